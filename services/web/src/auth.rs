//! Who may ask: whoever shows the installation's token, and actions that show their ticket.
//!
//! Both are accepted as `Authorization: Bearer`, and under the two names that StackStorm's clients
//! use; webhooks, whose senders often can set nothing but a url, take them in the query too.
//! Whether the process is there at all is nobody's secret.
//!
//! A ticket is good while its execution goes on, and for what [`crate::permit`] says; that of a
//! sensor is good while its process runs.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use hearken_engine::judge::USER_DEFAULT;
use hearken_kit::ticket;
use hearken_proto::record::LeaseState;
use hearken_proto::subject::Kind;
use hearken_proto::{Stream, Subject, codec};
use tokio::time::Instant;

use crate::fault::Fault;
use crate::webhook::same;
use crate::{App, permit, run};

/// Headers of StackStorm's clients that carry a bare token.
const BARE: [&str; 2] = ["St2-Api-Key", "X-Auth-Token"];
/// Paths that need none: one says that the process is there, the other asks for a password itself.
const OPEN: [&str; 4] = ["/healthz", "/auth/v1/tokens", "/auth/tokens", "/tokens"];
/// How long an execution that goes on is taken to go on: an action that asks for a thousand keys
/// makes us look once a second.
const LOOKED_FOR: Duration = Duration::from_secs(1);
/// What begins the name of a sensor's process in its ticket: `sensor:<reference>:<process>`.
const SENSOR: &str = "sensor:";
/// Executions that are remembered; more than run at a time, at a hundred bytes each.
const LOOKED_MAX: usize = 1024;

/// Who asks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caller {
    /// Whether it is an action, by its ticket.
    pub(crate) is_action: bool,
    /// The user that its execution is for.
    user: Option<String>,
}

impl Caller {
    /// The user that asks: of an action, whoever asked for it.
    pub(crate) fn user(&self) -> &str {
        self.user.as_deref().unwrap_or(USER_DEFAULT)
    }
}

/// What was found out lately about the executions of tickets.
#[derive(Debug, Default)]
pub(crate) struct Looked(Mutex<HashMap<String, (Instant, Going)>>);

/// An execution, as its ticket needs it.
#[derive(Clone, Debug)]
enum Going {
    /// It goes on.
    On {
        /// The pack of its action.
        pack: String,
        /// Who asked for it.
        user: String,
    },
    /// It has ended, or never was.
    Over,
}

/// Lets a request through when it shows the token, or a ticket that is good for it.
pub(crate) async fn require_token(
    State(app): State<App>,
    mut request: Request,
    next: Next,
) -> Result<Response, Fault> {
    let (path, method) = (request.uri().path().to_owned(), request.method().clone());
    if !OPEN.contains(&path.as_str()) {
        let shown: Vec<String> = shown(request.headers()).map(str::to_owned).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let caller = allowed(&app, &shown, &method, &path).await?;
        request.extensions_mut().insert(caller);
    }
    Ok(next.run(request).await)
}

/// Nobody showed the token.
pub(crate) fn refused() -> Fault {
    Fault::new(StatusCode::UNAUTHORIZED, "this needs the installation's token")
        .hint("send it as \"Authorization: Bearer …\"; it is in the file token of the data folder")
}

/// Refuses a webhook that shows neither a token nor a ticket, in a header or in the query.
pub(crate) async fn require_somewhere(
    app: &App,
    headers: &HeaderMap,
    query: &[(String, String)],
    path: &str,
) -> Result<(), Fault> {
    let named = |name: &str| BARE.iter().any(|bare| bare.eq_ignore_ascii_case(name));
    let in_query = query.iter().filter(|(name, _)| named(name)).map(|(_, shown)| shown.as_str());
    let shown: Vec<&str> = shown(headers).chain(in_query).collect();
    allowed(app, &shown, &Method::POST, path).await.map(drop)
}

/// Whether what was shown is good for this.
async fn allowed(app: &App, shown: &[&str], method: &Method, path: &str) -> Result<Caller, Fault> {
    if shown.iter().any(|shown| same(shown.as_bytes(), app.0.token.as_bytes())) {
        return Ok(Caller::default());
    }
    let Some(ticket) = shown.iter().find(|shown| ticket::is_ticket(shown)) else {
        return Err(refused());
    };
    let over = || {
        Fault::new(StatusCode::UNAUTHORIZED, "the ticket is not good (any more)")
            .hint("it is for the action or the sensor that got it, until that has ended")
    };
    let execution = ticket::verify(&app.0.sealer, ticket, app.0.clock.now()).ok_or_else(over)?;
    let Going::On { pack, user } = look(app, &execution).await? else { return Err(over()) };
    if permit::permits(&pack, method, path) {
        return Ok(Caller { is_action: true, user: Some(user) });
    }
    let what = format!("an action may not {method} {path} by its ticket");
    Err(Fault::new(StatusCode::FORBIDDEN, what)
        .hint("actions use keys, executions, inquiries and webhooks, and read what is in force"))
}

/// How an execution stands, not older than [`LOOKED_FOR`].
async fn look(app: &App, execution: &str) -> Result<Going, Fault> {
    if let Some(going) = app.0.looked.recall(execution) {
        return Ok(going);
    }
    if let Some((sensor, process)) = execution.strip_prefix(SENSOR).and_then(|n| n.rsplit_once(':'))
    {
        let going = look_at_sensor(app, sensor, process).await?;
        app.0.looked.keep(execution, going.clone());
        return Ok(going);
    }
    let going = match run::find(app, execution).await {
        Ok(found) if found.status.is_final() => Going::Over,
        Ok(found) => {
            let action = &found.request.action;
            let pack = action.split_once('.').map_or(action.as_str(), |(pack, _)| pack).to_owned();
            Going::On { pack, user: found.request.user }
        }
        Err(fault) if fault.status == StatusCode::NOT_FOUND => Going::Over,
        Err(fault) => return Err(fault),
    };
    app.0.looked.keep(execution, going.clone());
    Ok(going)
}

/// How a sensor's process stands: it goes on while STATE names it as the sensor's, and while some
/// host holds the sensor's lease.
async fn look_at_sensor(app: &App, sensor: &str, process: &str) -> Result<Going, Fault> {
    let is_held = holder(app, &format!("sensor {sensor}")).await?.is_some();
    let current = holder(app, &format!("sensor-process {sensor}")).await?;
    if !is_held || current.as_deref() != Some(process) {
        return Ok(Going::Over);
    }
    let pack = sensor.split_once('.').map_or(sensor, |(pack, _)| pack).to_owned();
    Ok(Going::On { pack, user: USER_DEFAULT.to_owned() })
}

/// Who holds a lease now.
async fn holder(app: &App, lease: &str) -> Result<Option<String>, Fault> {
    let subject = app.0.bus.subject(&Subject::state(Kind::Lease, lease));
    let entry = app.0.bus.last(Stream::State, &subject).await?;
    let state = entry.and_then(|e| codec::decode::<LeaseState>(&e.headers, &e.body).ok());
    let is_held = |state: &LeaseState| !state.holder.is_empty() && state.until > app.0.clock.now();
    Ok(state.filter(is_held).map(|state| state.holder))
}

impl Looked {
    fn recall(&self, execution: &str) -> Option<Going> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, going) = known.get(execution)?;
        (since.elapsed() < LOOKED_FOR).then(|| going.clone())
    }

    fn keep(&self, execution: &str, going: Going) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= LOOKED_MAX {
            known.retain(|_, (since, _)| since.elapsed() < LOOKED_FOR);
        }
        // Still full: they are asked again, which is right though slower.
        if known.len() < LOOKED_MAX {
            known.insert(execution.to_owned(), (Instant::now(), going));
        }
    }
}

/// What the headers show.
fn shown(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let bearer = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let bare = BARE.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    bearer.into_iter().chain(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_under_three_names_and_nothing_else_is() {
        let with = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            headers
        };
        for (headers, expected) in [
            (with("authorization", "Bearer secret"), Some("secret")),
            (with("st2-api-key", "secret"), Some("secret")),
            (with("x-auth-token", "secret"), Some("secret")),
            (HeaderMap::new(), None),
            (with("authorization", "secret"), None),
            (with("token", "secret"), None),
        ] {
            assert_eq!(shown(&headers).next(), expected, "{headers:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_found_out_is_believed_for_a_second_and_bounded() {
        let looked = Looked::default();
        looked.keep("one", Going::Over);
        assert!(matches!(looked.recall("one"), Some(Going::Over)));
        tokio::time::advance(LOOKED_FOR).await;
        assert!(looked.recall("one").is_none());
        for number in 0..2 * LOOKED_MAX {
            looked.keep(
                &number.to_string(),
                Going::On { pack: "shop".to_owned(), user: String::new() },
            );
        }
        assert_eq!(looked.0.lock().unwrap().len(), LOOKED_MAX);
        assert!(looked.recall("0").is_some());
    }
}

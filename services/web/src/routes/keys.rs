//! Keys of the datastore: StackStorm's `/v1/keys`, and what it lacks below `/hearken/v1/keys`.
//!
//! Without `decrypt` a secret is shown sealed. Whoever shows the token may do everything, so that
//! nobody's own keys are hidden from it; `user` says whose are meant.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse, Response};
use hearken_engine::judge::USER_DEFAULT;
use hearken_packs::kv::{Error, Expected, Item, Key, Scope, Selection, Write, scope_of};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{LIMIT_DEFAULT, LIMIT_MAX, OFFSET_MAX};
use crate::App;
use crate::fault::Fault;

/// What the values of one list may take together. A command line reads so much, and a thousand of
/// the longest values fit.
const LIST_BYTES_MAX: usize = 48 << 20;
/// Seconds a key may be told to live: a hundred years.
const TTL_SECONDS_MAX: u64 = 100 * 366 * 24 * 3600;
/// The word for both scopes.
const ALL: &str = "all";

/// What a request says beside the name of the key. StackStorm's clients write yes and no in
/// Python's way, and leave empty what they do not mean.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct KeyQuery {
    scope: Option<String>,
    user: Option<String>,
    prefix: Option<String>,
    decrypt: Option<String>,
    limit: Option<i64>,
    offset: Option<usize>,
}

impl KeyQuery {
    /// Whose keys; none for everybody's and the user's own together.
    fn scope(&self) -> Result<Option<Scope>, Fault> {
        match said(self.scope.as_deref()) {
            None => Ok(Some(Scope::System)),
            Some(ALL) => Ok(None),
            Some(scope) => known(scope).map(Some),
        }
    }

    fn user(&self) -> &str {
        said(self.user.as_deref()).unwrap_or(USER_DEFAULT)
    }

    fn decrypt(&self) -> Result<bool, Fault> {
        let Some(text) = said(self.decrypt.as_deref()) else { return Ok(false) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Ok(true),
            "false" | "0" | "no" | "off" => Ok(false),
            _ => Err(Fault::bad(format!("decrypt={text:?} is neither true nor false"))),
        }
    }

    /// The key `name` of this query; of everybody, when it means both scopes.
    fn key(&self, name: &str) -> Result<Key, Fault> {
        Ok(Key::new(self.scope()?.unwrap_or(Scope::System), self.user(), name)?)
    }
}

/// A text that was meant: an unset value of Python's is none.
fn said(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty() && *text != "None")
}

fn known(scope: &str) -> Result<Scope, Fault> {
    scope_of(scope).ok_or_else(|| {
        Fault::bad(format!("scope {scope:?} is not in the allowed scopes list"))
            .hint("system (or st2kv.system), user (or st2kv.user)")
    })
}

/// The keys wanted.
pub(crate) async fn list(
    State(app): State<App>,
    Query(query): Query<KeyQuery>,
) -> Result<Response, Fault> {
    let decrypt = query.decrypt()?;
    let limit = match query.limit {
        None => LIMIT_DEFAULT,
        // As many as there are.
        Some(-1) => usize::MAX,
        Some(limit) => usize::try_from(limit).unwrap_or(0).clamp(1, LIMIT_MAX),
    };
    let offset = query.offset.unwrap_or(0);
    if offset > OFFSET_MAX {
        return Err(Fault::bad(format!("the offset {offset} is beyond {OFFSET_MAX}"))
            .hint("narrow the list by prefix instead"));
    }
    let wanted = Selection {
        scope: query.scope()?,
        user: query.user().to_owned(),
        prefix: said(query.prefix.as_deref()).unwrap_or_default().to_owned(),
        offset,
        limit,
    };
    let (found, total) = app.0.datastore.list(&wanted);
    let bytes: usize = found.iter().map(|item| item.value.len()).sum();
    if bytes > LIST_BYTES_MAX {
        return Err(Fault::bad(format!("these {} keys hold {bytes} bytes", found.len()))
            .hint("ask for fewer: by prefix, or by limit and offset"));
    }
    let shown: Vec<Value> = found
        .iter()
        // A list is whole though one of its secrets was sealed elsewhere.
        .map(|item| (item, view(&app, item, decrypt).unwrap_or_else(|_sealed| sealed(item))))
        .map(|(item, shown)| revised(shown, item))
        .collect();
    let told = [
        (HeaderName::from_static("x-total-count"), total.to_string()),
        (
            HeaderName::from_static("x-limit"),
            query.limit.map_or_else(|| LIMIT_DEFAULT.to_string(), |limit| limit.to_string()),
        ),
    ];
    Ok((told, Json(shown)).into_response())
}

/// One key.
pub(crate) async fn get(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<KeyQuery>,
) -> Result<Json<Value>, Fault> {
    let item = found(&app, &name, &query).await?;
    Ok(Json(view(&app, &item, query.decrypt()?)?))
}

/// One key, with its revision.
pub(crate) async fn look(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<KeyQuery>,
) -> Result<Json<Value>, Fault> {
    let item = found(&app, &name, &query).await?;
    Ok(Json(revised(view(&app, &item, query.decrypt()?)?, &item)))
}

async fn found(app: &App, name: &str, query: &KeyQuery) -> Result<Item, Fault> {
    let key = query.key(name)?;
    // From the bus: what another host has written a moment ago is there.
    let item = app.0.datastore.fetch(&key).await?;
    Ok(item.ok_or_else(|| Error::Missing(key.name().to_owned()))?)
}

/// Writes a key, as StackStorm's clients do it.
pub(crate) async fn put(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<KeyQuery>,
    Json(body): Json<Map<String, Value>>,
) -> Result<Json<Value>, Fault> {
    let item = write(&app, &name, &query, &body, Expected::Anything).await?;
    Ok(Json(sealed(&item)))
}

/// Writes a key if it is at the revision that the body names.
pub(crate) async fn put_if(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<KeyQuery>,
    Json(body): Json<Map<String, Value>>,
) -> Result<Json<Value>, Fault> {
    let expected = number(&body, "revision")?.map_or(Expected::Anything, Expected::Revision);
    let item = write(&app, &name, &query, &body, expected).await?;
    Ok(Json(revised(sealed(&item), &item)))
}

async fn write(
    app: &App,
    name: &str,
    query: &KeyQuery,
    body: &Map<String, Value>,
    expected: Expected,
) -> Result<Item, Fault> {
    let key = key_in(body, name, query)?;
    let Some(value) = body.get("value").filter(|value| !value.is_null()) else {
        return Err(Fault::bad("'value' is a required property")
            .hint("for example {\"name\": \"region\", \"value\": \"eu\"}"));
    };
    let Some(value) = value.as_str() else {
        return Err(Fault::bad(format!("value: {value} is not of type 'string'"))
            .hint("keep its JSON text, and read it with the filter from_json_string"));
    };
    let sealed = flag(body, "encrypted")?;
    let write = Write {
        value: value.to_owned(),
        secret: sealed || flag(body, "secret")?,
        sealed,
        ttl: ttl(body)?,
        user: key.user().unwrap_or_else(|| query.user()).to_owned(),
    };
    Ok(app.0.datastore.set(&key, &write, expected).await?)
}

/// Takes a key away.
pub(crate) async fn delete(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<KeyQuery>,
) -> Result<StatusCode, Fault> {
    let key = query.key(&name)?;
    app.0.datastore.delete(&key, query.user(), Expected::Anything).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Counts a key up, or down.
pub(crate) async fn increment(
    State(app): State<App>,
    Path(name): Path<String>,
    Query(query): Query<KeyQuery>,
    Json(body): Json<Map<String, Value>>,
) -> Result<Json<Value>, Fault> {
    let key = key_in(&body, &name, &query)?;
    let by = match body.get("by").filter(|by| !by.is_null()) {
        None => 1,
        Some(by) => {
            by.as_i64().ok_or_else(|| Fault::bad(format!("by: {by} is not a whole number")))?
        }
    };
    let user = key.user().unwrap_or_else(|| query.user());
    let item = app.0.datastore.increment(&key, by, ttl(&body)?, user).await?;
    Ok(Json(revised(sealed(&item), &item)))
}

/// The key that a body and its path name; what the body says of it counts.
fn key_in(body: &Map<String, Value>, name: &str, query: &KeyQuery) -> Result<Key, Fault> {
    let scope = match text(body, "scope")? {
        Some(scope) => known(scope)?,
        None => query.scope()?.unwrap_or(Scope::System),
    };
    let user = text(body, "user")?.unwrap_or_else(|| query.user());
    Ok(Key::new(scope, user, name)?)
}

fn text<'a>(body: &'a Map<String, Value>, name: &str) -> Result<Option<&'a str>, Fault> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(said(Some(text))),
        Some(other) => Err(Fault::bad(format!("{name}: {other} is not of type 'string'"))),
    }
}

fn flag(body: &Map<String, Value>, name: &str) -> Result<bool, Fault> {
    match body.get(name) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(Fault::bad(format!("{name}: {other} is not of type 'boolean'"))),
    }
}

fn number(body: &Map<String, Value>, name: &str) -> Result<Option<u64>, Fault> {
    let Some(value) = body.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let number = value.as_u64();
    number.map(Some).ok_or_else(|| Fault::bad(format!("{name}: {value} is not of type 'integer'")))
}

/// How long a key is to live; for ever when nothing, or 0, is said.
fn ttl(body: &Map<String, Value>) -> Result<Option<Duration>, Fault> {
    let Some(seconds) = number(body, "ttl")?.filter(|seconds| *seconds > 0) else {
        return Ok(None);
    };
    if seconds > TTL_SECONDS_MAX {
        return Err(Fault::bad(format!("ttl: {seconds} s are more than a hundred years"))
            .hint("leave it out for a key that stays"));
    }
    Ok(Some(Duration::from_secs(seconds)))
}

/// A key in StackStorm's form, its secret opened if that is wanted.
fn view(app: &App, item: &Item, decrypt: bool) -> Result<Value, Error> {
    let mut shown = sealed(item);
    if decrypt
        && item.secret
        && let Some(fields) = shown.as_object_mut()
    {
        fields.insert("value".to_owned(), app.0.datastore.open(item)?.into());
        fields.insert("encrypted".to_owned(), false.into());
    }
    Ok(shown)
}

/// A key in StackStorm's form, its secret sealed.
fn sealed(item: &Item) -> Value {
    let key = &item.key;
    let mut shown = json!({
        "id": key.object_id(),
        "uid": key.uid(),
        "name": key.name(),
        "value": item.value,
        "scope": key.full_scope(),
        "secret": item.secret,
        "encrypted": item.secret,
    });
    if let Some(fields) = shown.as_object_mut() {
        if let Some(user) = key.user() {
            fields.insert("user".to_owned(), user.into());
        }
        if let Some(expires) = item.expires {
            fields.insert("expire_timestamp".to_owned(), expires.to_string().into());
        }
    }
    shown
}

fn revised(mut shown: Value, item: &Item) -> Value {
    if let Some(fields) = shown.as_object_mut() {
        fields.insert("revision".to_owned(), item.revision.into());
    }
    shown
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let text = match std::error::Error::source(&error) {
            // Its text has it in it.
            Some(_) if matches!(error, Error::Secret { .. }) => error.to_string(),
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        if let Error::Bus(error) = error {
            return error.into();
        }
        let of = |status| Self::new(status, text.clone());
        if matches!(error, Error::Missing(_)) {
            of(StatusCode::NOT_FOUND).hint("hearken kv list shows the keys that are there")
        } else if matches!(error, Error::Conflict { .. } | Error::Contended(_)) {
            of(StatusCode::CONFLICT).hint("read it again, and decide again")
        } else if matches!(error, Error::TooLarge { .. }) {
            of(StatusCode::PAYLOAD_TOO_LARGE).hint("keep large content elsewhere, and where it is")
        } else if matches!(error, Error::Full(_)) {
            of(StatusCode::INSUFFICIENT_STORAGE).hint("delete keys, or let them expire by a ttl")
        } else if matches!(error, Error::Name { .. } | Error::Uncountable { .. }) {
            of(StatusCode::BAD_REQUEST)
        } else if matches!(error, Error::Secret { .. }) {
            of(StatusCode::BAD_REQUEST).hint("a secret opens with the key that sealed it")
        } else {
            of(StatusCode::SERVICE_UNAVAILABLE)
        }
    }
}

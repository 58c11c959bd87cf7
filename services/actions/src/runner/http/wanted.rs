//! What an http-request asks for: the parameters, read and checked before anything is sent.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hearken_engine::definition::Action;
use hearken_engine::value::text::text;
use serde_json::{Map, Value};
use ureq::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use url::Url;

/// How long a request may take unless it says otherwise: StackStorm's default.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);
/// The longest time limit: a request that was given up holds its thread for so long.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3600);
/// How we introduce ourselves.
const USER_AGENT: &str = concat!("hearken/", env!("CARGO_PKG_VERSION"));
/// Header with the name of the action, as StackStorm sends it.
const ACTION_HEADER: &str = "X-Stanley-Action";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// A request that is ready to be sent.
#[derive(Debug)]
pub(super) struct Wanted {
    /// Where to, without credentials.
    pub url: Url,
    /// How.
    pub method: Method,
    /// With what besides the body.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Option<Vec<u8>>,
    /// Until the end of the answer, redirects included.
    pub timeout: Duration,
    /// Whether redirects are followed.
    pub follow: bool,
    /// Whether the server must prove who it is.
    pub verify: bool,
    /// Whom it may talk to.
    pub hosts: Hosts,
    /// Proxy for `http://`.
    pub http_proxy: Option<String>,
    /// Proxy for `https://`.
    pub https_proxy: Option<String>,
}

/// Which hosts a request may talk to. Redirects are held to it as well.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    /// All.
    Any,
    /// All but these.
    Not(Vec<String>),
    /// These.
    Only(Vec<String>),
}

impl Hosts {
    fn read(parameters: &Map<String, Value>) -> Result<Self, String> {
        let list = |name: &str| -> Option<Vec<String>> {
            let items = parameters.get(name)?.as_array().filter(|items| !items.is_empty())?;
            Some(items.iter().map(|item| bare(&text(item))).collect())
        };
        match (list("url_hosts_blacklist"), list("url_hosts_whitelist")) {
            (Some(_), Some(_)) => {
                Err("url_hosts_blacklist and url_hosts_whitelist exclude each other: give one"
                    .to_owned())
            }
            (Some(hosts), None) => Ok(Self::Not(hosts)),
            (None, Some(hosts)) => Ok(Self::Only(hosts)),
            (None, None) => Ok(Self::Any),
        }
    }

    /// Whether `url` may be asked; or why not.
    pub(super) fn check(&self, url: &Url) -> Result<(), String> {
        let host = bare(url.host_str().unwrap_or_default());
        match self {
            Self::Not(hosts) if hosts.contains(&host) => Err(format!("{host} is blacklisted")),
            Self::Only(hosts) if !hosts.contains(&host) => {
                Err(format!("{host} is not whitelisted"))
            }
            Self::Any | Self::Not(_) | Self::Only(_) => Ok(()),
        }
    }
}

/// A host in the form in which two are compared.
fn bare(host: &str) -> String {
    let host = host.trim().trim_start_matches('[').trim_end_matches(']');
    host.trim_end_matches('.').to_ascii_lowercase()
}

impl Wanted {
    /// Reads the parameters of an action of this runner.
    pub(super) fn read(action: &Action, parameters: &Map<String, Value>) -> Result<Self, String> {
        let given = |name: &str| parameters.get(name).and_then(Value::as_str).filter(some);
        let mut url = address(given("url"))?;
        let mut headers = headers(parameters.get("headers"))?;
        let own = [("user-agent", USER_AGENT), (ACTION_HEADER, action.name.as_str())];
        for (name, value) in own {
            if !headers.contains_key(name) {
                put(&mut headers, name, value)?;
            }
        }
        cookies(&mut headers, parameters.get("cookies"))?;
        credentials(&mut headers, &mut url, parameters)?;
        query(&mut url, parameters.get("params"));
        let body = body(&mut headers, parameters)?;
        let method = match given("method") {
            Some(method) => Method::from_bytes(method.to_ascii_uppercase().as_bytes())
                .map_err(|_no_method| format!("{method:?} is no method of HTTP"))?,
            None if body.is_some() => Method::POST,
            None => Method::GET,
        };
        let is = |name: &str| parameters.get(name).and_then(Value::as_bool);
        let seconds = parameters.get("timeout").and_then(Value::as_f64).filter(|s| *s > 0.0);
        let timeout = seconds.map(|s| Duration::try_from_secs_f64(s).unwrap_or(TIMEOUT_MAX));
        Ok(Self {
            url,
            method,
            headers,
            body,
            timeout: timeout.unwrap_or(TIMEOUT_DEFAULT).min(TIMEOUT_MAX),
            follow: is("allow_redirects").unwrap_or(false),
            verify: is("verify_ssl_cert").unwrap_or(true),
            hosts: Hosts::read(parameters)?,
            http_proxy: given("http_proxy").map(ToOwned::to_owned),
            https_proxy: given("https_proxy").map(ToOwned::to_owned),
        })
    }
}

fn some(text: &&str) -> bool {
    !text.is_empty()
}

fn address(given: Option<&str>) -> Result<Url, String> {
    let given = given.ok_or("the parameter \"url\" is empty: there is nobody to ask")?;
    // The text is not repeated: it may hold a password.
    let url = Url::parse(given).map_err(|error| format!("the url cannot be read: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(format!("http:// or https:// and a host is wanted, not {}:", url.scheme()));
    }
    Ok(url)
}

fn put(headers: &mut HeaderMap, name: &str, value: &str) -> Result<(), String> {
    let key = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_no_name| format!("{name:?} is no name of a header"))?;
    // The value is not repeated: it may be a secret.
    let value = HeaderValue::from_bytes(value.as_bytes())
        .map_err(|_no_value| format!("the value of the header {name:?} has a line break in it"))?;
    headers.insert(key, value);
    Ok(())
}

/// `{"name": value}`, or the old `name=value,name=value`.
fn pairs(given: Option<&Value>) -> Vec<(String, String)> {
    match given {
        Some(Value::Object(map)) => {
            let some = map.iter().filter(|(_, value)| !value.is_null());
            some.map(|(name, value)| (name.clone(), text(value))).collect()
        }
        Some(Value::String(list)) => list
            .split(',')
            .filter_map(|pair| pair.split_once('='))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_)) | None => {
            Vec::new()
        }
    }
}

fn headers(given: Option<&Value>) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(given) {
        // The length is ours to say: another one would desynchronise the connection.
        if !name.eq_ignore_ascii_case("content-length") {
            put(&mut headers, &name, &value)?;
        }
    }
    Ok(headers)
}

fn cookies(headers: &mut HeaderMap, given: Option<&Value>) -> Result<(), String> {
    let cookies: Vec<String> =
        pairs(given).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
    if cookies.is_empty() { Ok(()) } else { put(headers, "cookie", &cookies.join("; ")) }
}

/// Basic authentication by parameters or by what stands in the address, or a header of one's own
/// as `auth`.
fn credentials(
    headers: &mut HeaderMap,
    url: &mut Url,
    parameters: &Map<String, Value>,
) -> Result<(), String> {
    let given = |name: &str| parameters.get(name).and_then(Value::as_str).filter(some);
    let decoded = |text: &str| {
        let joined = format!("x={}", text.replace('+', "%2B").replace('&', "%26"));
        url::form_urlencoded::parse(joined.as_bytes())
            .next()
            .map_or_else(String::new, |(_, value)| value.into_owned())
    };
    let user = given("username").map_or_else(|| decoded(url.username()), ToOwned::to_owned);
    let in_url = url.password().map(decoded).unwrap_or_default();
    let password = given("password").map_or(in_url, ToOwned::to_owned);
    // An address with a host takes both; what is sent and what is said never has them.
    url.set_username("").and_then(|()| url.set_password(None)).unwrap_or(());
    if !user.is_empty() || !password.is_empty() {
        let both = STANDARD.encode(format!("{user}:{password}"));
        put(headers, "authorization", &format!("Basic {both}"))?;
    }
    match given("auth").map(|auth| auth.split_once('=').unwrap_or(("authorization", auth))) {
        Some((name, value)) => put(headers, name.trim(), value),
        None => Ok(()),
    }
}

fn query(url: &mut Url, params: Option<&Value>) {
    match params {
        Some(Value::Object(map)) if map.values().any(|value| !value.is_null()) => {
            let mut query = url.query_pairs_mut();
            for (name, value) in map {
                match value {
                    Value::Null => {}
                    Value::Array(items) => {
                        for item in items {
                            query.append_pair(name, &text(item));
                        }
                    }
                    Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
                        query.append_pair(name, &text(value));
                    }
                }
            }
        }
        Some(Value::String(more)) if !more.is_empty() => {
            let before = url.query().filter(|query| !query.is_empty());
            let all = before.map_or_else(|| more.clone(), |before| format!("{before}&{more}"));
            url.set_query(Some(&all));
        }
        Some(_) | None => {}
    }
}

/// What is sent, with the header that says what it is.
fn body(
    headers: &mut HeaderMap,
    parameters: &Map<String, Value>,
) -> Result<Option<Vec<u8>>, String> {
    let given = |name: &str| parameters.get(name).and_then(Value::as_str).filter(some);
    if let Some(name) = given("file_name") {
        let content = given("file_content").unwrap_or_default();
        return form(headers, name, content, given("file_content_type"), parameters.get("body"))
            .map(Some);
    }
    if given("file_path").is_some() {
        return Err("file_path is for clients, which send file_name and file_content".to_owned());
    }
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|kind| kind.split(';').next().unwrap_or(kind).trim() == JSON);
    let (kind, body) = match parameters.get("body") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.is_empty() => return Ok(None),
        Some(Value::String(text)) => return Ok(Some(text.clone().into_bytes())),
        Some(Value::Object(map)) if !is_json => {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                form.append_pair(name, &text(value));
            }
            (FORM, form.finish())
        }
        Some(value) => (JSON, value.to_string()),
    };
    if !headers.contains_key(header::CONTENT_TYPE) {
        put(headers, "content-type", kind)?;
    }
    Ok(Some(body.into_bytes()))
}

/// A file as a form with one field, called like the file, as StackStorm sends it. A body that is
/// an object becomes more fields.
fn form(
    headers: &mut HeaderMap,
    name: &str,
    content: &str,
    kind: Option<&str>,
    body: Option<&Value>,
) -> Result<Vec<u8>, String> {
    let random = hearken_kit::random::hex(16);
    let boundary = random.map_err(|error| format!("no boundary can be made: {error}"))?;
    // Names stand in quotes on one line.
    let quoted = |name: &str| name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
    let mut form = String::new();
    let mut field = |head: String, content: &str| {
        form.extend(["--", &boundary, "\r\nContent-Disposition: form-data; "]);
        form.extend([&head, "\r\n\r\n", content, "\r\n"]);
    };
    match body {
        None | Some(Value::Null) => {}
        Some(Value::Object(map)) => {
            for (name, value) in map.iter().filter(|(_, value)| !value.is_null()) {
                field(format!("name=\"{}\"", quoted(name)), &text(value));
            }
        }
        Some(Value::String(text)) if text.is_empty() => {}
        Some(_) => return Err("beside a file the body is an object of more fields".to_owned()),
    }
    let kind = kind.map(|kind| format!("\r\nContent-Type: {}", quoted(kind))).unwrap_or_default();
    let name = quoted(name);
    field(format!("name=\"{name}\"; filename=\"{name}\"{kind}"), content);
    form.extend(["--", &boundary, "--\r\n"]);
    put(headers, "content-type", &format!("multipart/form-data; boundary={boundary}"))?;
    Ok(form.into_bytes())
}

#[cfg(test)]
mod tests;

//! One exchange with a web server, redirects included, on a thread that may block.

use std::io::Read as _;
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use serde_json::Value;
use ureq::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body, Error, Proxy};
use url::Url;

use super::super::Outcome;
use super::answer::{self, Answer, BODY_BYTES_MAX};
use super::wanted::Wanted;

/// Redirects followed before the last one is an error.
const REDIRECTS_MAX: usize = 10;
/// Header lines of an answer, together.
const HEADERS_BYTES_MAX: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be sent, or the answer could not be read.
    Refused(String),
    /// It took too long.
    TimedOut,
}

/// The certificates that this machine trusts, read once. `SSL_CERT_FILE` names others.
static ROOTS: LazyLock<Vec<Certificate<'static>>> = LazyLock::new(|| {
    let found = rustls_native_certs::load_native_certs().certs;
    found.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
});

/// Asks, follows redirects as far as that is wanted, and reads the answer.
pub(super) fn run(wanted: &Wanted, deadline: Instant) -> Result<Outcome, Failure> {
    let mut url = wanted.url.clone();
    let mut method = wanted.method.clone();
    let mut headers = wanted.headers.clone();
    let mut body = wanted.body.as_deref();
    for _hop in 0..=REDIRECTS_MAX {
        wanted.hosts.check(&url).map_err(Failure::Refused)?;
        let failed = |error: Error| failure(&method, &url, error);
        let agent = agent(wanted, &url, deadline).map_err(failed)?;
        let response = send(&agent, &method, &url, &headers, body).map_err(failed)?;
        let next = if wanted.follow { location(&response, &url) } else { None };
        let Some(next) = next else {
            let answer = read(response).map_err(failed)?;
            return Ok(answer::outcome(answer));
        };
        let next = next.map_err(Failure::Refused)?;
        let is_get = becomes_get(&method, response.status());
        if next.origin() != url.origin() {
            if body.is_some() && !is_get {
                let answer = read(response).map_err(failed)?;
                return Ok(noted(answer::outcome(answer), &next));
            }
            headers = for_anybody(&headers);
        }
        if is_get {
            method = Method::GET;
            body = None;
            headers.remove(header::CONTENT_TYPE);
        }
        url = next;
    }
    Err(Failure::Refused(format!("more than {REDIRECTS_MAX} redirects")))
}

/// What of our headers another server than the one that was asked may have. Everything else was
/// meant for the first: any name may carry what one logs in with.
fn for_anybody(headers: &HeaderMap) -> HeaderMap {
    let kept = [header::ACCEPT, header::ACCEPT_LANGUAGE, header::CONTENT_TYPE, header::USER_AGENT];
    let kept = kept.into_iter();
    kept.filter_map(|name| headers.get(&name).cloned().map(|value| (name, value))).collect()
}

/// A redirect that is answered as it came: the body was meant for the first server only.
fn noted(mut outcome: Outcome, to: &Url) -> Outcome {
    if let Some(result) = outcome.result.as_object_mut() {
        let server = to.origin().ascii_serialization();
        let note = format!(
            "not followed: the redirect leads to another server, {server}, and would send the \
             body there"
        );
        result.insert("note".to_owned(), Value::from(note));
    }
    outcome
}

fn agent(wanted: &Wanted, url: &Url, deadline: Instant) -> Result<Agent, Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Error::Timeout(ureq::Timeout::Global));
    }
    let is_https = url.scheme() == "https";
    let proxy = if is_https { &wanted.https_proxy } else { &wanted.http_proxy };
    let proxy = proxy.as_deref().map(Proxy::new).transpose()?;
    // A proxy may be spoken to by TLS too.
    let roots = if wanted.verify && (is_https || proxy.is_some()) { ROOTS.as_slice() } else { &[] };
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(roots))
        .disable_verification(!wanted.verify)
        // Two cryptographic libraries could be linked in; this says which one is meant.
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(HEADERS_BYTES_MAX)
        .max_idle_connections(0)
        .allow_non_standard_methods(true)
        // What comes packed would count packed against the bound on bodies.
        .accept_encoding("identity")
        .timeout_global(Some(left))
        .tls_config(tls)
        .proxy(proxy)
        .build();
    Ok(config.new_agent())
}

fn send(
    agent: &Agent,
    method: &Method,
    url: &Url,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) -> Result<Response<Body>, Error> {
    let mut request = Request::builder().method(method.clone()).uri(url.as_str());
    if let Some(all) = request.headers_mut() {
        all.clone_from(headers);
    }
    match body {
        Some(body) => agent.run(request.body(body).map_err(Error::Http)?),
        None => agent.run(request.body(()).map_err(Error::Http)?),
    }
}

/// Where a redirect leads; `None` for any other answer.
fn location(response: &Response<Body>, from: &Url) -> Option<Result<Url, String>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    let text = response.headers().get(header::LOCATION)?;
    let to = text.to_str().ok().and_then(|text| from.join(text).ok());
    let to = to.filter(|to| matches!(to.scheme(), "http" | "https") && to.has_host());
    Some(to.map(without_credentials).ok_or_else(|| "a redirect leads nowhere".to_owned()))
}

/// A server does not choose what we log in with.
fn without_credentials(mut url: Url) -> Url {
    url.set_username("").and_then(|()| url.set_password(None)).unwrap_or(());
    url
}

/// What browsers do: 303 means "look there", 301 and 302 after a POST mean the same.
fn becomes_get(method: &Method, status: StatusCode) -> bool {
    match status.as_u16() {
        303 => method != Method::HEAD,
        301 | 302 => method == Method::POST,
        _ => false,
    }
}

/// Reads no more than is kept, and whether there was more.
fn read(response: Response<Body>) -> Result<Answer, Error> {
    let (parts, body) = response.into_parts();
    let mut bytes = Vec::new();
    let limit = u64::try_from(BODY_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    body.into_with_config().reader().take(limit).read_to_end(&mut bytes).map_err(Error::from)?;
    let truncated = bytes.len() > BODY_BYTES_MAX;
    bytes.truncate(BODY_BYTES_MAX);
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, bytes, truncated })
}

/// In words, with the server but without path and query, which may hold secrets.
fn failure(method: &Method, url: &Url, error: Error) -> Failure {
    if matches!(error, Error::Timeout(_)) {
        return Failure::TimedOut;
    }
    let hint = if !is_about_certificates(&error) {
        ""
    } else if ROOTS.is_empty() {
        " (this machine trusts no certificates: install ca-certificates)"
    } else {
        " (add its issuer to the certificates of this machine, or set verify_ssl_cert: false)"
    };
    let server = url.origin().ascii_serialization();
    Failure::Refused(format!("{method} {server} failed: {error}{hint}"))
}

/// The client has them as they are, or wrapped as a failure to read.
fn is_about_certificates(error: &Error) -> bool {
    let mut tls = None;
    if let Error::Rustls(error) = error {
        tls = Some(error);
    } else if let Error::Io(error) = error {
        tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    }
    matches!(tls, Some(rustls::Error::InvalidCertificate(_)))
}

//! Talking to a running server.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::Body;
use ureq::http::{Response, StatusCode};

use crate::data::{self, Chosen};
use crate::error::Failure;

/// Where a server answers when nothing else is said.
const URL_DEFAULT: &str = "http://127.0.0.1:9101";
/// How long a connection may take to be made.
const CONNECT_WAIT: Duration = Duration::from_secs(5);
/// The longest line of a stream, and the largest answer, that is read.
const BYTES_MAX: u64 = 64 << 20;

/// A server, and what it wants to see.
#[derive(Debug)]
pub(crate) struct Client {
    agent: Agent,
    /// Where it answers; None when the data folder was named and no server runs on it.
    url: Option<String>,
    folder: PathBuf,
    token: Option<String>,
}

impl Client {
    /// The server of `HEARKEN_URL`, of the data folder, or, when nobody named that folder, of this
    /// user, in this order.
    pub(crate) fn new(folder: &Path, chosen: Chosen) -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let known = data::server(folder, chosen);
        let otherwise = (chosen == Chosen::ByDefault).then(|| URL_DEFAULT.to_owned());
        let url = variable("HEARKEN_URL")
            .or_else(|| known.as_ref().map(|server| server.url.clone()))
            .or(otherwise);
        let token = variable("HEARKEN_TOKEN")
            .or_else(|| {
                let server = known.as_ref().filter(|server| Some(&server.url) == url.as_ref())?;
                data::token_of(&server.data)
            })
            .or_else(|| data::token_of(folder));
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT_WAIT))
            .build();
        let url = url.map(|url| url.trim_end_matches('/').to_owned());
        Self { agent: config.into(), url, folder: folder.to_owned(), token }
    }

    /// Where the server answers, if one is known.
    pub(crate) fn url(&self) -> Option<&str> {
        self.url.as_deref()
    }

    /// What the server has at `path`.
    pub(crate) fn get(&self, path: &str) -> Result<Value, Failure> {
        let request = self.agent.get(self.address(path)?);
        json(self.answered(self.with_token(request).call())?)
    }

    /// What the server answers to `body` at `path`.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.agent.post(self.address(path)?);
        json(self.answered(self.with_token(request).send_json(body))?)
    }

    /// Puts `body` at `path`.
    pub(crate) fn put(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let request = self.agent.put(self.address(path)?);
        json(self.answered(self.with_token(request).send_json(body))?)
    }

    /// Takes away what is at `path`.
    pub(crate) fn delete(&self, path: &str) -> Result<Value, Failure> {
        let request = self.agent.delete(self.address(path)?);
        let response = self.answered(self.with_token(request).call())?;
        if response.status() == StatusCode::NO_CONTENT { Ok(Value::Null) } else { json(response) }
    }

    /// Lines of a stream at `path`, one JSON value each, until it ends or `each` says so.
    pub(crate) fn follow(
        &self,
        path: &str,
        body: Option<&Value>,
        mut each: impl FnMut(Value) -> bool,
    ) -> Result<(), Failure> {
        let response = match body {
            Some(body) => self.with_token(self.agent.post(self.address(path)?)).send_json(body),
            None => self.with_token(self.agent.get(self.address(path)?)).call(),
        };
        let response = self.answered(response)?;
        let reader = BufReader::new(response.into_body().into_reader());
        for line in reader.lines() {
            let line = line.map_err(|error| self.lost(&error.to_string()))?;
            let value = serde_json::from_str(&line)
                .map_err(|error| Failure::no(format!("the server said {line:?}: {error}")))?;
            if !each(value) {
                return Ok(());
            }
        }
        Ok(())
    }

    fn address(&self, path: &str) -> Result<String, Failure> {
        let Some(url) = &self.url else {
            let folder = self.folder.display();
            return Err(Failure::unreachable(format!(
                "no server runs on the data folder {folder}"
            ))
            .hint(format!(
                "start one with \"hearken --data {folder} up\", or set HEARKEN_URL; without \
                     --data and HEARKEN_DATA any running server of yours is found"
            )));
        };
        Ok(format!("{url}{path}"))
    }

    fn with_token<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.token {
            Some(token) => request.header("Authorization", format!("Bearer {token}")),
            None => request,
        }
    }

    fn answered(
        &self,
        answer: Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>, Failure> {
        let response = answer.map_err(|error| self.lost(&error.to_string()))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(fault(response))
    }

    fn lost(&self, why: &str) -> Failure {
        let url = self.url.as_deref().unwrap_or_default();
        Failure::unreachable(format!("cannot reach a server at {url}: {why}"))
            .hint("start one with \"hearken up\", or set HEARKEN_URL")
    }
}

fn json(response: Response<Body>) -> Result<Value, Failure> {
    response
        .into_body()
        .into_with_config()
        .limit(BYTES_MAX)
        .read_json()
        .map_err(|error| Failure::no(format!("the server's answer cannot be read: {error}")))
}

/// What the server says went wrong, in its words.
fn fault(response: Response<Body>) -> Failure {
    let status = response.status();
    let body: Value = response.into_body().read_json().unwrap_or(Value::Null);
    let said = |name: &str| body.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
    let what = said("faultstring").unwrap_or_else(|| format!("the server answered {status}"));
    let failure = match status.as_u16() {
        400 | 401 | 422 => Failure::usage(what),
        502..=504 => Failure::unreachable(what),
        _ => Failure::no(what),
    };
    match said("hint") {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

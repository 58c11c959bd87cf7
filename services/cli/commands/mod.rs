//! One verb a file. Each takes the context and its arguments, and answers an exit code.

pub(crate) mod bus;
pub(crate) mod collect;
pub(crate) mod config;
pub(crate) mod definition;
pub(crate) mod doctor;
pub(crate) mod event;
pub(crate) mod execution;
mod explain;
pub(crate) mod inquiry;
pub(crate) mod kv;
pub(crate) mod log;
pub(crate) mod pack;
pub(crate) mod rule;
pub(crate) mod run;
mod trial;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use clap::CommandFactory as _;

use crate::args::{Args, Nats};
use crate::client::Client;
use crate::config::{Loaded, Loader};
use crate::data::{self, Chosen, Server};
use crate::error::{EXIT_OK, Failure};
use crate::output::Output;

/// What every verb is given.
#[derive(Debug)]
pub(crate) struct Context<'a> {
    /// How to print.
    pub output: &'a Output,
    /// The data folder, which need not exist yet.
    pub data: PathBuf,
    chosen: Chosen,
    config: Option<PathBuf>,
}

impl<'a> Context<'a> {
    pub(crate) fn new(args: &Args, output: &'a Output) -> Self {
        let (data, chosen) = data::folder(args.data.as_deref());
        Self { output, data, chosen, config: args.config.clone() }
    }

    /// The running server.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.data, self.chosen)
    }

    /// Where a server runs that is meant by this data folder.
    pub(crate) fn server(&self) -> Option<Server> {
        data::server(&self.data, self.chosen)
    }

    /// The configuration without flags.
    pub(crate) fn loader(&self) -> Result<Loader, Failure> {
        Loader::new(self.config.as_deref(), &self.data)
    }

    /// The configuration with the flag that says where the bus is.
    pub(crate) fn with_nats(&self, nats: &Nats) -> Result<Loaded, Failure> {
        let mut loader = self.loader()?;
        loader.flag("bus", "nats", nats.nats.clone());
        loader.finish()
    }
}

/// Prints a completion script.
pub(crate) fn completion(shell: clap_complete::Shell, output: &Output) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "hearken", &mut script);
    output.raw(&String::from_utf8_lossy(&script));
    Ok(EXIT_OK)
}

/// `name=value` pairs, as they were typed.
pub(crate) fn pairs(given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    given
        .iter()
        .map(|pair| match pair.split_once('=') {
            Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
            _ => Err(Failure::usage(format!("{pair:?} is not name=value"))
                .hint("quote values with blanks: cmd='echo hello'")),
        })
        .collect()
}

/// Items asked for at a time.
const PAGE: usize = 500;

/// The first `limit` items of a list; `path` ends inside its query.
pub(crate) fn pages(
    context: &Context,
    path: &str,
    limit: usize,
) -> Result<Vec<serde_json::Value>, Failure> {
    let client = context.client();
    let (mut rows, mut seen, mut offset) = (Vec::new(), BTreeSet::new(), 0);
    // One answer holds what one message carries; the next one goes on from there. What is new
    // meanwhile pushes the others on, so that some come twice.
    while rows.len() < limit {
        let page = (limit - rows.len()).min(PAGE);
        let found = client.get(&format!("{path}&limit={page}&offset={offset}"))?;
        let found = found.as_array().cloned().unwrap_or_default();
        if found.is_empty() {
            break;
        }
        offset += found.len();
        let id = |row: &serde_json::Value| row.get("id").map(ToString::to_string);
        rows.extend(found.into_iter().filter(|row| id(row).is_none_or(|id| seen.insert(id))));
    }
    Ok(rows)
}

/// One part of a path of the API.
pub(crate) fn segment(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~@".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text cannot fail.
            let _ok = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

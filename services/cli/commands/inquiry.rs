//! `hearken inquiry`: questions that actions put to people, and answers.

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::{Context, pages, pairs, segment};
use crate::error::{EXIT_OK, Failure};
use crate::output::Column;

const COLUMNS: [Column; 5] = [
    ("ID", "/id"),
    ("ACTION", "/action/ref"),
    ("ROUTE", "/route"),
    ("MINUTES", "/ttl"),
    ("START", "/start_timestamp"),
];

/// `hearken inquiry`
#[derive(Debug, Subcommand)]
pub(crate) enum Inquiry {
    /// Those that wait for an answer
    List {
        /// At most so many
        #[arg(short = 'n', long, default_value_t = 20)]
        limit: usize,
    },
    /// One question, with what an answer looks like
    Get {
        /// Its id, which is the execution's
        id: String,
    },
    /// Answer a question
    ///
    /// hearken inquiry respond 6957353500112233445566aa continue=true
    Respond {
        /// Its id, which is the execution's
        id: String,
        /// The answer, name=value; what is JSON is taken as such
        #[arg(value_name = "NAME=VALUE")]
        answer: Vec<String>,
        /// The answer as one JSON object
        #[arg(short, long, value_name = "JSON", conflicts_with = "answer")]
        response: Option<String>,
        /// Who answers, for questions that name their users
        #[arg(long)]
        user: Option<String>,
    },
}

/// Does what was asked.
pub(crate) fn run(context: &Context, verb: Inquiry) -> Result<u8, Failure> {
    let client = context.client();
    match verb {
        Inquiry::List { limit } => {
            let rows = pages(context, "/v1/inquiries?", limit)?;
            context.output.list(&rows, &COLUMNS);
        }
        Inquiry::Get { id } => {
            context.output.value(&client.get(&format!("/v1/inquiries/{}", segment(&id)))?);
        }
        Inquiry::Respond { id, answer, response, user } => {
            let response = match response {
                Some(text) => {
                    serde_json::from_str::<Map<String, Value>>(&text).map_err(|error| {
                        Failure::usage(format!("the answer is not a JSON object: {error}"))
                            .hint("for example --response '{\"continue\": true}'")
                    })?
                }
                None => pairs(&answer)?.into_iter().map(typed).collect(),
            };
            let body = json!({ "id": id, "response": response, "user": user });
            let path = format!("/v1/inquiries/{}", segment(&id));
            context.output.value(&client.put(&path, &body)?);
        }
    }
    Ok(EXIT_OK)
}

/// A value that is JSON is taken as such: `continue=true` is no text.
fn typed((name, text): (String, String)) -> (String, Value) {
    let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
    (name, value)
}

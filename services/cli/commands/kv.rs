//! `hearken kv`: keys of the datastore.

use std::io::Read as _;

use serde_json::{Value, json};

use super::{Context, segment};
use crate::args::{Format, Kv, Whose};
use crate::error::{EXIT_OK, Failure};

/// The longest text read from standard input: more than a key holds, so that the server says so.
const INPUT_BYTES_MAX: u64 = 128 << 10;

/// Does what was asked.
pub(crate) fn run(context: &Context, verb: Kv) -> Result<u8, Failure> {
    match verb {
        Kv::Get { name, decrypt, whose } => {
            let path = format!("{}?{}&decrypt={decrypt}", address(&name), query(&whose));
            let key = context.client().get(&path)?;
            say(context, &key);
        }
        Kv::Set { name, value, encrypt, encrypted, ttl, revision, whose } => {
            let value = if value == "-" { input()? } else { value };
            let body = json!({
                "name": name, "value": value, "secret": encrypt, "encrypted": encrypted,
                "ttl": ttl, "revision": revision,
            });
            let path = format!("{}?{}", address(&name), query(&whose));
            let key = context.client().put(&path, &body)?;
            if context.output.format() == Format::Table {
                context.output.note(&format!("{name} is set"));
            } else {
                context.output.value(&key);
            }
        }
        Kv::Increment { name, by, ttl, whose } => {
            let path = format!("{}/increment?{}", address(&name), query(&whose));
            let key = context.client().post(&path, &json!({ "by": by, "ttl": ttl }))?;
            say(context, &key);
        }
        Kv::List { prefix, limit, decrypt, whose } => {
            let query = format!("{}&prefix={}", query(&whose), segment(&prefix));
            let path = format!("/v1/keys?{query}&decrypt={decrypt}");
            let columns = [
                ("NAME", "/name"),
                ("VALUE", "/value"),
                ("REVISION", "/revision"),
                ("SECRET", "/secret"),
                ("SCOPE", "/scope"),
                ("USER", "/user"),
                ("EXPIRES", "/expire_timestamp"),
            ];
            context.output.list(&super::pages(context, &path, limit)?, &columns);
        }
        Kv::Delete { name, whose } => {
            let path = format!("/v1/keys/{}?{}", segment(&name), query(&whose));
            context.client().delete(&path)?;
            context.output.note(&format!("{name} is gone"));
        }
    }
    Ok(EXIT_OK)
}

/// The value alone for eyes, everything for programs.
fn say(context: &Context, key: &Value) {
    if context.output.format() == Format::Table {
        context.output.line(key.get("value").and_then(Value::as_str).unwrap_or_default());
    } else {
        context.output.value(key);
    }
}

fn address(name: &str) -> String {
    format!("/hearken/v1/keys/{}", segment(name))
}

fn query(whose: &Whose) -> String {
    let user = whose.user.as_deref().map(|user| format!("&user={}", segment(user)));
    format!("scope={}{}", segment(&whose.scope), user.unwrap_or_default())
}

/// The text on standard input, without the newline that ends it.
fn input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(INPUT_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|error| Failure::usage(format!("standard input: {error}")))?;
    Ok(text.strip_suffix('\n').map(ToOwned::to_owned).unwrap_or(text))
}

//! `hearken config`: the values in use.

use serde_json::{Value, json};

use super::Context;
use crate::args::Config;
use crate::config::{self, Settings, webhook};
use crate::data;
use crate::error::{EXIT_OK, Failure};

/// Shows, checks, or prints the default.
pub(crate) fn run(context: &Context, verb: Config) -> Result<u8, Failure> {
    match verb {
        Config::Default => context.output.raw(config::DEFAULT),
        Config::Check => {
            let settings = context.loader()?.finish()?.settings;
            // Files that the configuration names are part of it.
            webhook::hooks(&settings.webhook)?;
            if let Some(file) = &settings.secrets.key_file {
                data::sealer(&context.data, Some(file))?;
            }
            context.output.note("the configuration can be used");
        }
        Config::Show => show(context)?,
    }
    Ok(EXIT_OK)
}

fn show(context: &Context) -> Result<(), Failure> {
    let loaded = context.loader()?.finish()?;
    let rows: Vec<Value> = loaded
        .origins
        .iter()
        .map(|(name, origin)| {
            let (section, key) = name.split_once('.').unwrap_or((name, ""));
            let value = loaded.table.get(section).and_then(|table| table.get(key));
            let value = value.map(ToString::to_string);
            let value = value.or_else(|| hook(&loaded.settings, key)).unwrap_or_default();
            json!({ "key": name, "value": value, "origin": origin })
        })
        .collect();
    context.output.list(&rows, &[("KEY", "/key"), ("VALUE", "/value"), ("ORIGIN", "/origin")]);
    Ok(())
}

/// The hook at `url` without its secret.
fn hook(settings: &Settings, url: &str) -> Option<String> {
    let hook = settings.webhook.iter().find(|hook| hook.url.trim_matches('/') == url)?;
    Some(hook.shown())
}

//! The configuration: flag > `HEARKEN_*` > file > embedded default, each value with its origin.
//!
//! The default is `default.toml`, which is also the documentation: a key that is not in it does
//! not exist. Everything is parsed before anything is started.

pub(crate) mod ssh;
pub(crate) mod webhook;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::error::Failure;

/// The default configuration, with comments.
pub(crate) const DEFAULT: &str = include_str!("default.toml");
/// Keys that have no default: their absence means something.
const OPTIONAL: [(&str, &str); 5] = [
    ("bus", "gateway"),
    ("http", "listen"),
    ("secrets", "key_file"),
    ("ssh", "private_key"),
    ("ssh", "username"),
];
/// The list of hooks, which is no section with keys.
const WEBHOOK: &str = "webhook";
/// Variables with a shorter name than `HEARKEN_<SECTION>_<KEY>`.
const SHORT: [(&str, &str, &str); 4] = [
    ("HEARKEN_NATS", "bus", "nats"),
    ("HEARKEN_GATEWAY", "bus", "gateway"),
    ("HEARKEN_DURABILITY", "bus", "durability"),
    ("HEARKEN_LISTEN", "http", "listen"),
];

/// The values in use.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub bus: BusSettings,
    pub http: HttpSettings,
    pub log: LogSettings,
    pub packs: PackSettings,
    pub actions: ActionSettings,
    pub ssh: ssh::SshSettings,
    #[serde(default)]
    pub webhook: Vec<webhook::WebhookSettings>,
    pub secrets: SecretSettings,
}

/// `[bus]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BusSettings {
    pub prefix: String,
    pub nats: String,
    pub gateway: Option<String>,
    pub durability: String,
    #[serde(deserialize_with = "span")]
    pub events_age: Duration,
    #[serde(deserialize_with = "span")]
    pub log_age: Duration,
    #[serde(deserialize_with = "size")]
    pub bytes_max: u64,
    pub replicas: usize,
    #[serde(deserialize_with = "span")]
    pub duplicate_window: Duration,
}

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpSettings {
    pub listen: Option<String>,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSettings {
    #[serde(deserialize_with = "span")]
    pub samples_age: Duration,
}

/// `[packs]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PackSettings {
    pub folders: Vec<PathBuf>,
    pub bundled: bool,
    pub index: String,
}

/// `[actions]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActionSettings {
    pub concurrency: usize,
    #[serde(deserialize_with = "span")]
    pub grace: Duration,
}

/// `[secrets]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretSettings {
    pub key_file: Option<PathBuf>,
}

/// The values in use, and where each comes from.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    /// The values.
    pub settings: Settings,
    /// The same as a table, for showing.
    pub table: toml::Table,
    /// By `section.key`.
    pub origins: BTreeMap<String, String>,
}

/// Collects layers, the strongest last.
#[derive(Debug)]
pub(crate) struct Loader {
    table: toml::Table,
    origins: BTreeMap<String, String>,
}

impl Loader {
    /// Default, file and environment. `given` is the file of `--config`; without it there may be
    /// one in the data folder or in `/etc/hearken`.
    pub(crate) fn new(given: Option<&Path>, data: &Path) -> Result<Self, Failure> {
        let mut loader = Self { table: toml::Table::new(), origins: BTreeMap::new() };
        loader.layer(parse(DEFAULT, "the embedded default")?, "default");
        let file = match given {
            Some(given) => Some(given.to_owned()),
            None => [data.join("hearken.toml"), PathBuf::from("/etc/hearken/hearken.toml")]
                .into_iter()
                .find(|file| file.is_file()),
        };
        if let Some(file) = file {
            let name = file.display().to_string();
            let text = std::fs::read_to_string(&file).map_err(|error| {
                Failure::usage(format!("cannot read the configuration {name}: {error}"))
            })?;
            let mut table = parse(&text, &name)?;
            if let Some(entries) = table.get_mut(WEBHOOK) {
                webhook::check(entries, &text, &file, &name)?;
            }
            loader.check_keys(&table, &text, &name)?;
            loader.layer(table, &name);
        }
        loader.environment()?;
        Ok(loader)
    }

    /// Puts a flag on top.
    pub(crate) fn flag(&mut self, section: &str, key: &str, value: Option<impl Into<toml::Value>>) {
        if let Some(value) = value {
            self.set(section, key, value.into(), &format!("--{key}"));
        }
    }

    /// The values in use.
    pub(crate) fn finish(self) -> Result<Loaded, Failure> {
        let settings = Settings::deserialize(toml::Value::Table(self.table.clone()));
        let settings = settings.map_err(|error| {
            Failure::usage(format!("the configuration cannot be used: {}", error.message()))
                .hint("hearken config show tells where each value comes from")
        })?;
        Ok(Loaded { settings, table: self.table, origins: self.origins })
    }

    fn layer(&mut self, table: toml::Table, origin: &str) {
        for (section, values) in table {
            if section == WEBHOOK {
                webhook::layer(self, values, origin);
                continue;
            }
            let toml::Value::Table(values) = values else { continue };
            // A section whose keys are all optional is there all the same.
            let empty = toml::Value::Table(toml::Table::new());
            self.table.entry(section.clone()).or_insert(empty);
            for (key, value) in values {
                self.set(&section, &key, value, origin);
            }
        }
    }

    fn set(&mut self, section: &str, key: &str, value: toml::Value, origin: &str) {
        let entry = self.table.entry(section.to_owned());
        let place = entry.or_insert_with(|| toml::Value::Table(toml::Table::new()));
        if let toml::Value::Table(table) = place {
            table.insert(key.to_owned(), value);
            self.origins.insert(format!("{section}.{key}"), origin.to_owned());
        }
    }

    /// Refuses keys that do not exist, with the line and what was meant.
    fn check_keys(&self, table: &toml::Table, text: &str, name: &str) -> Result<(), Failure> {
        for (section, values) in table.iter().filter(|(section, _)| *section != WEBHOOK) {
            let toml::Value::Table(values) = values else {
                return Err(unknown(section, None, &self.sections(), text, name));
            };
            let Some(known) = self.keys(section) else {
                return Err(unknown(section, None, &self.sections(), text, name));
            };
            if let Some(key) = values.keys().find(|key| !known.contains(key)) {
                return Err(unknown(key, Some(section), &known, text, name));
            }
        }
        Ok(())
    }

    fn sections(&self) -> Vec<String> {
        let mut sections: Vec<String> = self.table.keys().cloned().collect();
        sections.retain(|section| section != WEBHOOK);
        sections
    }

    fn keys(&self, section: &str) -> Option<Vec<String>> {
        let table = self.table.get(section)?.as_table()?;
        let optional = OPTIONAL.iter().filter(|(of, _)| *of == section).map(|(_, key)| *key);
        Some(table.keys().map(String::as_str).chain(optional).map(ToOwned::to_owned).collect())
    }

    fn environment(&mut self) -> Result<(), Failure> {
        for section in self.sections() {
            for key in self.keys(&section).unwrap_or_default() {
                let long = format!("HEARKEN_{section}_{key}").to_ascii_uppercase();
                let short = SHORT.iter().find(|(_, s, k)| *s == section && *k == key);
                let names = std::iter::once(long.as_str()).chain(short.map(|(name, _, _)| *name));
                for name in names {
                    if let Ok(text) = std::env::var(name)
                        && !text.is_empty()
                    {
                        let value = self.typed(&section, &key, &text, name)?;
                        self.set(&section, &key, value, name);
                    }
                }
            }
        }
        Ok(())
    }

    /// A variable's text as the type that the default has.
    fn typed(
        &self,
        section: &str,
        key: &str,
        text: &str,
        name: &str,
    ) -> Result<toml::Value, Failure> {
        let wrong = || Failure::usage(format!("{name}={text:?} is not what {section}.{key} takes"));
        let default = self.table.get(section).and_then(|table| table.get(key));
        Ok(match default {
            Some(toml::Value::Integer(_)) => text.parse::<i64>().map_err(|_no| wrong())?.into(),
            Some(toml::Value::Boolean(_)) => text.parse::<bool>().map_err(|_no| wrong())?.into(),
            Some(toml::Value::Array(_)) => {
                text.split(':').map(toml::Value::from).collect::<Vec<_>>().into()
            }
            _ => text.into(),
        })
    }
}

fn parse(text: &str, name: &str) -> Result<toml::Table, Failure> {
    text.parse::<toml::Table>().map_err(|error| {
        let line = error.span().map(|span| line_of(text, span.start));
        let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{line}"));
        Failure::usage(format!("the configuration cannot be read: {}", error.message())).at(place)
    })
}

fn line_of(text: &str, at: usize) -> usize {
    text.get(..at).unwrap_or(text).matches('\n').count() + 1
}

fn unknown(key: &str, section: Option<&str>, known: &[String], text: &str, name: &str) -> Failure {
    let what = match section {
        Some(section) => format!("unknown key {key:?} in [{section}]"),
        None => format!("unknown section [{key}]"),
    };
    let line = text.lines().position(|line| {
        let line = line.trim_start().trim_start_matches('[');
        line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ']', '.']))
    });
    let place = line.map_or_else(|| name.to_owned(), |line| format!("{name}:{}", line + 1));
    let near = known.iter().min_by_key(|known| distance(known, key));
    let hint = match near.filter(|near| distance(near, key) <= 3) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("there are {}", known.join(", ")),
    };
    Failure::usage(what).at(place).hint(hint)
}

/// Edits that turn one word into the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (j, y) in b.iter().enumerate() {
            let (diagonal, above) = (row.get(j), row.get(j + 1));
            let change = diagonal.map_or(0, |d| d + usize::from(x != *y));
            left = change.min(above.map_or(0, |a| a + 1)).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

/// `"500ms"`, `"10s"`, `"5m"`, `"72h"`, `"30d"`.
pub(crate) fn parse_span(text: &str) -> Option<Duration> {
    let at = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = text.split_at(at);
    let seconds = match unit.trim() {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()
}

fn parse_size(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(1 << shift)
}

fn span<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_span(&text).ok_or_else(|| {
        serde::de::Error::custom(format!(
            "{text:?} is no duration: write \"10s\", \"5m\" or \"72h\""
        ))
    })
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse_size(&text).ok_or_else(|| {
        serde::de::Error::custom(format!("{text:?} is no size: write \"64MiB\" or \"8GiB\""))
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(super) fn load(text: &str) -> Result<Loaded, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("hearken.toml");
        std::fs::write(&file, text).unwrap();
        Loader::new(Some(&file), folder.path())?.finish()
    }

    #[test]
    fn the_default_is_complete() {
        let loaded = load("").unwrap();
        assert_eq!(loaded.settings.bus.prefix, "hearken");
        assert_eq!(loaded.settings.bus.bytes_max, 8 << 30);
        assert_eq!(loaded.settings.bus.duplicate_window, Duration::from_secs(120));
        assert_eq!(loaded.settings.http.listen, None);
    }

    #[test]
    fn unknown_keys_are_refused_with_line_and_hint() {
        let failure = load("[bus]\n\nreplica = 3\n").unwrap_err();
        assert_eq!(failure.what, "unknown key \"replica\" in [bus]");
        assert!(failure.place.unwrap().ends_with("hearken.toml:3"));
        assert_eq!(failure.hint.unwrap(), "did you mean \"replicas\"?");
        assert_eq!(load("[buss]\nx = 1\n").unwrap_err().hint.unwrap(), "did you mean \"bus\"?");
    }

    #[test]
    fn wrong_values_say_what_is_wanted() {
        let failure = load("[actions]\ngrace = \"soon\"\n").unwrap_err();
        assert!(failure.what.contains("\"soon\" is no duration"), "{}", failure.what);
        let failure = load("[bus\n").unwrap_err();
        assert!(failure.place.unwrap().ends_with(":1"));
    }

    #[test]
    fn spans_and_sizes_carry_units() {
        assert_eq!(parse_span("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_span("2d"), Some(Duration::from_secs(172_800)));
        assert_eq!(parse_span("10"), None);
        assert_eq!(parse_span("-1s"), None);
        assert_eq!(parse_size("64MiB"), Some(64 << 20));
        assert_eq!(parse_size("64MB"), None);
        assert_eq!(parse_size("99999999999TiB"), None);
    }
}

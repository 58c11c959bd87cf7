//! The configuration that a pack's actions and sensors see.
//!
//! Three layers, the later wins key by key: defaults of `config.schema.yaml`, the pack's own
//! `config.yaml` as packs of the first generation bring it, and what the installation gives in
//! `configs/<pack>.yaml`. Texts that are templates are rendered by whoever asks, because what they
//! refer to is in the datastore.
//!
//! Keys that no schema knows are kept, as StackStorm keeps them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use hearken_engine::judge::USER_DEFAULT;
use hearken_engine::template::{self, Datastore as _, Scope};
use hearken_kit::seal::Secrets;
use serde_json::{Map, Value};

use crate::kv::Datastore;
use crate::yaml::{self, Format};

/// Schema of a pack's configuration.
const SCHEMA: &str = "config.schema.yaml";
/// The pack's own values.
const OWN: &str = "config.yaml";
/// Values nested deeper are left as they are; what can be read at all is less deep.
const DEPTH_MAX: usize = yaml::DEPTH_MAX;

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read the configuration {}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file is not what it should be.
    #[error("the configuration {} cannot be used: {why}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        why: String,
    },
    /// A template cannot be rendered.
    #[error("the configuration of pack {pack} cannot be used: {key}: {why}")]
    Template {
        /// The pack.
        pack: String,
        /// Where the template stands.
        key: String,
        /// Why it cannot be rendered.
        why: String,
    },
}

/// A text of a configuration that is a template.
#[derive(Clone, Copy, Debug)]
pub struct Template<'a> {
    /// The text.
    pub text: &'a str,
    /// Whether the schema says that the value is secret: what it takes from the datastore is
    /// decrypted then.
    pub secret: bool,
}

/// A configuration that can be used.
#[derive(Debug, Default)]
pub struct Loaded {
    /// What the pack is given.
    pub values: Map<String, Value>,
    /// What of it the schema calls secret.
    pub secrets: Secrets,
}

/// The configuration of `pack`, whose content is in `folder`, in an installation that keeps its
/// values in the folder `configs`.
///
/// # Errors
/// [`Error`] names the file or the key.
pub fn load(
    pack: &str,
    folder: &Path,
    configs: &Path,
    render: impl FnMut(Template<'_>) -> Result<String, String>,
) -> Result<Loaded, Error> {
    let schema = read(&folder.join(SCHEMA))?;
    let mut values = read(&folder.join(OWN))?;
    overlay(&mut values, read(&configs.join(format!("{pack}.yaml")))?);
    complete(&mut values, &schema, 0);
    let mut rendering = Rendering { pack, render, key: String::new(), secret: Vec::new() };
    rendering.object(&mut values, Some(&schema))?;
    let secrets = Secrets::within(&rendering.secret);
    Ok(Loaded { values, secrets })
}

/// [`load`] with templates rendered from the keys of `datastore`.
///
/// # Errors
/// [`Error`] names the file or the key.
pub fn rendered(
    pack: &str,
    folder: &Path,
    configs: &Path,
    datastore: &Datastore,
) -> Result<Loaded, Error> {
    let context = datastore.context(USER_DEFAULT);
    let scope = Scope::viewing(context.views());
    load(pack, folder, configs, |wanted| {
        let compiled = template::Template::parse(wanted.text).map_err(|error| error.to_string())?;
        let text = compiled.render(&scope).map_err(|error| error.to_string())?;
        // A missing key is an empty text, and nothing to decrypt.
        if wanted.secret && !text.is_empty() { datastore.decrypt(&text) } else { Ok(text) }
    })
}

/// The mapping that a file holds; an empty or missing file holds none.
fn read(path: &Path) -> Result<Map<String, Value>, Error> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Map::new()),
        Err(source) => return Err(Error::Io { path: path.to_owned(), source }),
    };
    let failed = |why: String| Error::Content { path: path.to_owned(), why };
    let document = yaml::read_bytes(&bytes, Format::Yaml).map_err(|e| failed(e.to_string()))?;
    match document.value {
        Value::Null => Ok(Map::new()),
        Value::Object(values) => Ok(values),
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(failed("it is no mapping of names to values".to_owned()))
        }
    }
}

/// Puts `over` on top; mappings are merged, everything else is replaced.
fn overlay(under: &mut Map<String, Value>, over: Map<String, Value>) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(Value::Object(under)), Value::Object(over)) => overlay(under, over),
            (_, value) => drop(under.insert(key, value)),
        }
    }
}

/// Fills in defaults, within objects and lists of objects as well.
fn complete(values: &mut Map<String, Value>, schema: &Map<String, Value>, depth: usize) {
    if depth >= DEPTH_MAX {
        return;
    }
    for (key, schema) in schema {
        let properties = schema.get("properties").and_then(Value::as_object);
        let items = schema.pointer("/items/properties").and_then(Value::as_object);
        match (values.get_mut(key), properties, items) {
            (None, _, _) => {
                let mut value = schema.get("default").cloned();
                if let Some(properties) = properties {
                    let mut inner = match value {
                        Some(Value::Object(inner)) => inner,
                        Some(_) | None => Map::new(),
                    };
                    complete(&mut inner, properties, depth + 1);
                    value = (!inner.is_empty()).then_some(Value::Object(inner));
                }
                if let Some(value) = value {
                    values.insert(key.clone(), value);
                }
            }
            (Some(Value::Object(inner)), Some(properties), _) => {
                complete(inner, properties, depth + 1);
            }
            (Some(Value::Array(list)), _, Some(properties)) => {
                for inner in list.iter_mut().filter_map(Value::as_object_mut) {
                    complete(inner, properties, depth + 1);
                }
            }
            (Some(_), _, _) => {}
        }
    }
}

/// Renders every template of a configuration.
struct Rendering<'a, R> {
    /// Whose.
    pack: &'a str,
    /// How.
    render: R,
    /// Where we are.
    key: String,
    /// What was found secret.
    secret: Vec<Value>,
}

impl<R: FnMut(Template<'_>) -> Result<String, String>> Rendering<'_, R> {
    fn object(
        &mut self,
        values: &mut Map<String, Value>,
        schema: Option<&Map<String, Value>>,
    ) -> Result<(), Error> {
        let length = self.key.len();
        for (key, value) in values {
            if length > 0 {
                self.key.push('.');
            }
            self.key.push_str(key);
            self.value(value, schema.and_then(|schema| schema.get(key)))?;
            self.key.truncate(length);
        }
        Ok(())
    }

    fn value(&mut self, value: &mut Value, schema: Option<&Value>) -> Result<(), Error> {
        let secret = schema.and_then(|schema| schema.get("secret"));
        let secret = secret.and_then(Value::as_bool) == Some(true);
        self.rendered(value, schema, secret)?;
        if secret {
            self.secret.push(value.clone());
        }
        Ok(())
    }

    fn rendered(
        &mut self,
        value: &mut Value,
        schema: Option<&Value>,
        secret: bool,
    ) -> Result<(), Error> {
        match value {
            Value::String(text) if text.contains("{{") || text.contains("{%") => {
                *text = (self.render)(Template { text, secret }).map_err(|why| {
                    let (pack, key) = (self.pack.to_owned(), self.key.clone());
                    Error::Template { pack, key, why }
                })?;
                Ok(())
            }
            Value::Object(inner) => {
                let properties = schema.and_then(|schema| schema.get("properties"));
                self.object(inner, properties.and_then(Value::as_object))
            }
            Value::Array(list) => {
                let items = schema.and_then(|schema| schema.get("items"));
                list.iter_mut().try_for_each(|item| self.value(item, items))
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA_TEXT: &str = "
url: {type: string, default: http://localhost, required: true}
token: {type: string, secret: true}
limits:
  type: object
  properties: {retries: {type: integer, default: 3}, name: {type: string}}
hosts:
  type: array
  items: {type: object, properties: {port: {type: integer, default: 22}}}
";

    /// Loads with templates shown as `<text>` or `<text!>`, the latter where it is secret.
    fn check(schema: &str, own: &str, given: &str, expected: &Value) {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(SCHEMA), schema).unwrap();
        fs::write(folder.path().join(OWN), own).unwrap();
        fs::write(folder.path().join("shop.yaml"), given).unwrap();
        let loaded = load("shop", folder.path(), folder.path(), |template| {
            let text = template.text.trim_matches(['{', '}', ' ']);
            if text == "broken" {
                return Err("no such key".to_owned());
            }
            Ok(format!("<{text}{}>", if template.secret { "!" } else { "" }))
        });
        let found = match loaded {
            Ok(loaded) => Value::Object(loaded.values),
            Err(error) => {
                let folder = format!("{}/", folder.path().display());
                json!(error.to_string().replace(&folder, ""))
            }
        };
        assert_eq!(found, *expected);
    }

    #[test]
    fn later_layers_win_and_defaults_fill_what_is_missing() {
        let expected = json!({"url": "http://localhost", "limits": {"retries": 3}});
        check(SCHEMA_TEXT, "", "", &expected);
        check(
            SCHEMA_TEXT,
            "url: http://own\nextra: [1]\nlimits: {name: own}",
            "url: http://given\nlimits: {retries: 5}\nhosts: [{a: 1}, {port: 1}]",
            &json!({
                "url": "http://given", "extra": [1], "limits": {"name": "own", "retries": 5},
                "hosts": [{"a": 1, "port": 22}, {"port": 1}],
            }),
        );
        check("", "", "", &json!({}));
    }

    #[test]
    fn templates_are_rendered_wherever_they_stand() {
        check(
            SCHEMA_TEXT,
            "",
            "url: '{{ a }}'\ntoken: '{{ b }}'\nmore: {deep: ['{{ c }}', plain]}",
            &json!({
                "url": "<a>", "token": "<b!>", "more": {"deep": ["<c>", "plain"]},
                "limits": {"retries": 3},
            }),
        );
    }

    #[test]
    fn what_the_schema_calls_secret_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let schema = "a: {secret: true}\nb: {properties: {c: {secret: true}}}\n\
                      d: {secret: true, type: array}\n";
        let values = "a: '{{ x }}'\nb: {c: inner, e: shown}\nd: [listed]\n";
        fs::write(folder.path().join(SCHEMA), schema).unwrap();
        fs::write(folder.path().join(OWN), values).unwrap();
        let loaded = load("shop", folder.path(), folder.path(), |_| Ok("opened".to_owned()));
        let told = loaded.unwrap().secrets.hide("opened inner shown listed");
        assert_eq!(told, "******** ******** shown ********");
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let expected = "the configuration of pack shop cannot be used: more.deep: no such key";
        check("", "", "more: {deep: ['{{ broken }}']}", &json!(expected));
        let expected = "the configuration shop.yaml cannot be used: it is no mapping of names to \
                        values";
        check("", "", "- a", &json!(expected));
        let found = load("shop", Path::new("/"), Path::new("/dev/null"), |_| Ok(String::new()));
        let error = found.unwrap_err().to_string();
        assert_eq!(error, "cannot read the configuration /dev/null/shop.yaml");
    }
}

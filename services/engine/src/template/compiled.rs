//! One template: read once, rendered for every event.

use std::io;
use std::sync::Arc;

use minijinja::value::Value as Native;
use minijinja::{Environment, ErrorKind};
use serde_json::Value;

use super::rewrite::rewrite;
use super::scope::{KEEPER, Scope};
use super::simple::{Found, Simple};
use super::{environment, operators};

/// Longest template that is read, in bytes.
const SOURCE_MAX: usize = 64 * 1024;
/// Longest text a template may render, in bytes: parameters travel in one message.
const OUTPUT_MAX: usize = 4 * 1024 * 1024;
/// The name of the only template of its environment; it shows in messages.
const NAME: &str = "template";

/// Why a template has no text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is no template. In a parameter it then stands for itself.
    #[error("the template cannot be read: {reason}")]
    Syntax {
        /// What the reader met.
        reason: String,
    },
    /// A name or key that is not there was used.
    #[error("{reason}")]
    Undefined {
        /// Which.
        reason: String,
    },
    /// Rendering failed otherwise: an unknown filter, a value of the wrong type, a limit.
    #[error("{reason}")]
    Render {
        /// What failed.
        reason: String,
    },
}

/// Whether a text could be a template: the test StackStorm makes before it looks closer.
#[must_use]
pub fn looks_like_template(text: &str) -> bool {
    text.contains("{{") || text.contains("{%")
}

/// A template, read once.
#[derive(Clone, Debug)]
pub struct Template {
    source: String,
    roots: Vec<String>,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Simple(Simple),
    General(Arc<Environment<'static>>),
}

impl Template {
    /// Reads `source`.
    ///
    /// # Errors
    /// [`Error::Syntax`] when it is no template; unknown filters show only when rendering.
    pub fn parse(source: &str) -> Result<Self, Error> {
        if source.len() > SOURCE_MAX {
            return Err(Error::Syntax { reason: format!("it is longer than {SOURCE_MAX} bytes") });
        }
        let normal = normalise(source);
        if let Some(simple) = Simple::parse(&normal) {
            return Ok(Self {
                source: source.to_owned(),
                roots: simple.roots(),
                kind: Kind::Simple(simple),
            });
        }
        let mut environment = environment::base().clone();
        let rewritten = rewrite(&normal);
        environment.add_template_owned(NAME, rewritten).map_err(|error| syntax(&error))?;
        let template = environment.get_template(NAME).map_err(|error| syntax(&error))?;
        let mut roots: Vec<String> = template
            .undeclared_variables(false)
            .into_iter()
            .filter(|name| !environment::GLOBALS.contains(&name.as_str()))
            .filter(|name| !operators::NAMES.contains(&name.as_str()))
            .collect();
        roots.sort();
        Ok(Self { source: source.to_owned(), roots, kind: Kind::General(Arc::new(environment)) })
    }

    /// The text it was read from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names it takes from its scope.
    #[must_use]
    pub fn roots(&self) -> &[String] {
        &self.roots
    }

    /// Renders to text.
    ///
    /// # Errors
    /// [`Error::Undefined`] and [`Error::Render`].
    pub fn render(&self, scope: &Scope<'_>) -> Result<String, Error> {
        match &self.kind {
            Kind::Simple(simple) => simple.render(scope),
            Kind::General(environment) => self.render_general(environment, scope),
        }
    }

    /// The value itself when the template is one plain path and nothing else: its type survives.
    ///
    /// # Errors
    /// [`Error::Undefined`] when the path leads nowhere.
    #[must_use]
    pub fn bare(&self, scope: &Scope<'_>) -> Option<Result<Value, Error>> {
        match &self.kind {
            Kind::Simple(simple) => Some(simple.value(scope)?.map(|found| match found {
                Found::Value(value) => value.clone(),
                Found::Letter(letter) => Value::String(letter.to_string()),
            })),
            Kind::General(_) => None,
        }
    }

    fn render_general(
        &self,
        environment: &Environment<'static>,
        scope: &Scope<'_>,
    ) -> Result<String, Error> {
        let template = environment.get_template(NAME).map_err(|error| render(&error))?;
        let names = self.roots.iter().map(String::as_str).chain([KEEPER]);
        let context = Native::from_pairs(
            names.filter_map(|name| scope.native(name).map(|value| (name, value))),
        );
        let mut out = Bounded { bytes: Vec::new() };
        template.render_captured_to(context, &mut out).map_err(|error| render(&error))?;
        String::from_utf8(out.bytes)
            .map_err(|_| Error::Render { reason: "the output is no text".to_owned() })
    }
}

/// A text that refuses to grow beyond the limit.
struct Bounded {
    bytes: Vec<u8>,
}

impl io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > OUTPUT_MAX {
            let reason = format!("the output is longer than {OUTPUT_MAX} bytes");
            return Err(io::Error::other(reason));
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Line ends become `\n` and one at the end is dropped, as Jinja does before it reads.
fn normalise(source: &str) -> String {
    let mut text = source.replace("\r\n", "\n").replace('\r', "\n");
    if text.ends_with('\n') {
        text.pop();
    }
    text
}

fn syntax(error: &minijinja::Error) -> Error {
    Error::Syntax { reason: describe(error) }
}

fn render(error: &minijinja::Error) -> Error {
    let reason = describe(error);
    if error.kind() == ErrorKind::UndefinedError {
        return Error::Undefined { reason };
    }
    if error.kind() == ErrorKind::OutOfFuel {
        let steps = environment::STEPS_MAX;
        return Error::Render { reason: format!("the template takes more than {steps} steps") };
    }
    Error::Render { reason }
}

/// The innermost message, which is the one that names the fault.
fn describe(error: &minijinja::Error) -> String {
    let detail = error.detail().map(str::to_owned);
    let mut text = detail.unwrap_or_else(|| error.kind().to_string());
    if error.kind() == ErrorKind::UndefinedError {
        text = format!("undefined value: {text}");
    }
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn render_text(source: &str) -> Result<String, Error> {
        let trigger = json!({
            "s": "abc", "n": 5, "f": 1.5, "z": null, "b": true, "l": [1, "a"], "m": {"k": "v"},
            "items": "mine", "big": 1e16,
        });
        let mut scope = Scope::new();
        scope.put("trigger", &trigger);
        Template::parse(source)?.render(&scope)
    }

    #[test]
    fn templates_print_as_python_prints() {
        let rows = [
            ("plain", "plain"),
            ("{{ trigger.s }}", "abc"),
            ("{{trigger.s}} x {{ trigger['n'] }}\n", "abc x 5"),
            ("{{ trigger.l }}", "[1, 'a']"),
            ("{{ trigger.l[1] }}{{ trigger.s[-1] }}", "ac"),
            ("{{ trigger.m }}", "{'k': 'v'}"),
            ("{{ trigger.z }} {{ trigger.b }} {{ trigger.f }}", "None True 1.5"),
            ("{{ trigger.big }} {{ [trigger.big, trigger.b] }}", "1e+16 [1e+16, True]"),
            ("{{ trigger.missing | default('x') }}", "x"),
            ("{{ trigger.s | upper }}", "ABC"),
            ("{{ trigger.s.upper() }}", "ABC"),
            ("{{ 'a,b'.split(',') }}", "['a', 'b']"),
            ("{% for k, v in trigger.m.iteritems() %}{{ k }}={{ v }}{% endfor %}", "k=v"),
            ("{% if trigger.n > 3 %}\nbig\n{% endif %}\n", "big\n"),
            ("{% raw %}{{ x }}{% endraw %}", "{{ x }}"),
            ("{{ trigger.l | join('-') }}", "1-a"),
            ("{{ trigger['items'] }}", "mine"),
            ("{{ trigger.n ~ trigger.b }}", "5True"),
            ("{{ 'abc' | int }}", "0"),
            ("{{ '{0}-{x}'.format('a', x=trigger.n) }}", "a-5"),
            ("{% set x = 5 %}{{ x + 1 }}", "6"),
            ("{{ 7 // 2 }} {{ 7 / 2 }} {{ 2 ** 3 }}", "3 3.5 8"),
        ];
        let mut wrong = Vec::new();
        for (source, expected) in rows {
            let actual = render_text(source);
            if actual.as_deref() != Ok(expected) {
                wrong.push(format!("{source:?}: {actual:?}, not {expected:?}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        for source in [
            "{{ trigger.missing }}",
            "{{ missing }}",
            "{{ trigger.missing.deep }}",
            "{{ trigger.items }}",
            "{{ trigger.s | nosuchfilter }}",
            "{{ trigger.n + '1' }}",
            "{% for x in trigger.missing %}{% endfor %}",
            "{% if trigger.missing %}{% endif %}",
            "{{ trigger.missing == 1 }}",
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "{{ 'a' * 5000000 }}",
            "{% set ns = namespace(v='ab') %}{% for i in range(60) %}{% set ns.v = ns.v ~ ns.v %}\
             {% endfor %}{{ ns.v | length }}",
            "{% set big = 'a' * 1000000 %}{% set x %}{% for i in range(1000) %}{{ big }}\
             {% endfor %}{% endset %}{{ x | length }}",
            "{{ '%99999999d' % 1 }}",
            "{{ 'a'.ljust(99999999) }}",
        ] {
            assert!(render_text(source).is_err(), "{source}: {:?}", render_text(source));
        }
        assert!(matches!(Template::parse("{{ not jinja"), Err(Error::Syntax { .. })));
    }
}

//! A value that may be a template: a text, or a list or map with templates inside.

use std::sync::LazyLock;

use serde_json::Value;

use crate::pattern::regex::{Flags, Regex};
use crate::template::{Error, Scope, Template, looks_like_template};
use crate::value::text::repr;

/// A whole element that is one bare name keeps its type: StackStorm's own expression.
static BARE_NAME: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#""{{([A-z0-9_-]+)}}""#, Flags::default()).expect("a constant pattern")
});

/// A value as it is given or defaulted, compiled.
#[derive(Clone, Debug)]
pub enum Given {
    /// Taken as it stands.
    Literal(Value),
    /// A text to be rendered; the outcome is text.
    Text(Template),
    /// A list or map to be rendered as JSON text and read again.
    Structure {
        /// The names it needs.
        roots: Vec<String>,
        /// The JSON text as a template; what is wrong with it shows when it is rendered.
        template: Result<Template, Error>,
    },
}

impl Given {
    /// Compiles a value. What looks like a template and is none stands for itself.
    #[must_use]
    pub fn compile(value: &Value) -> Self {
        match value {
            Value::String(text) if looks_like_template(text) => match Template::parse(text) {
                Ok(template) => Self::Text(template),
                Err(_) => Self::Literal(value.clone()),
            },
            Value::Array(_) | Value::Object(_) => Self::compile_structure(value),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                Self::Literal(value.clone())
            }
        }
    }

    /// Whether a template is in it is judged by the Python text of the whole, so that one broken
    /// element leaves all of it as it stands.
    fn compile_structure(value: &Value) -> Self {
        let printed = repr(value);
        if !looks_like_template(&printed) {
            return Self::Literal(value.clone());
        }
        let Ok(whole) = Template::parse(&printed) else {
            return Self::Literal(value.clone());
        };
        let json = value.to_string();
        let template = BARE_NAME
            .replace(&json, r"{{\1 | to_complex}}")
            .map_err(|error| Error::Syntax { reason: error.to_string() })
            .and_then(|rewritten| Template::parse(&rewritten));
        Self::Structure { roots: whole.roots().to_vec(), template }
    }

    /// Whether rendering changes anything.
    #[must_use]
    pub const fn is_template(&self) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Text(_) | Self::Structure { .. } => true,
        }
    }

    /// The names it needs.
    #[must_use]
    pub fn roots(&self) -> &[String] {
        match self {
            Self::Literal(_) => &[],
            Self::Text(template) => template.roots(),
            Self::Structure { roots, .. } => roots,
        }
    }

    /// The value in `scope`. Where a list or map is `wanted`, one that a bare path leads to is
    /// taken as it is: printing and reading it again would give the same.
    ///
    /// # Errors
    /// What the template met.
    pub fn render(&self, scope: &Scope<'_>, wanted: Wanted) -> Result<Value, Error> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Text(template) => {
                if let Some(value) = template.bare(scope) {
                    let value = value?;
                    let same = match wanted {
                        Wanted::Structure => value.is_array() || value.is_object(),
                        Wanted::Text => value.is_string(),
                    };
                    if same {
                        return Ok(value);
                    }
                }
                template.render(scope).map(Value::String)
            }
            Self::Structure { template, .. } => {
                let text = template.as_ref().map_err(Clone::clone)?.render(scope)?;
                serde_json::from_str(&text).map_err(|error| Error::Render {
                    reason: format!("the rendered value is not JSON: {error}"),
                })
            }
        }
    }
}

/// What a rendered text is going to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A list or a map.
    Structure,
    /// A text, or whatever the text is cast to.
    Text,
}

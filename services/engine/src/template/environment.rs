//! The template engine set up as StackStorm's Jinja: its filters, its tests, its strictness.

use std::sync::LazyLock;

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use super::arguments::invalid;
use super::convert::native_text;
use super::{filters, methods, operators};

/// Instructions one rendering may take: some tens of milliseconds, where rules take tens of them.
pub(super) const STEPS_MAX: u64 = 200_000;

/// Most that one rendering may print, in bytes, what it keeps to itself included.
const PRINTED_MAX: usize = 16 * 1024 * 1024;

/// Names that every template knows.
pub(super) const GLOBALS: &[&str] = &["range", "dict", "namespace"];

/// What minijinja has and Jinja has not: kept out, so that a pack that works here works there.
const FOREIGN_FILTERS: &[&str] = &["split", "lines", "bool", "chain", "zip"];
const FOREIGN_TESTS: &[&str] = &["startingwith", "endingwith", "safe", "int"];

/// Bytes printed so far by one rendering.
#[derive(Debug, Default)]
struct Printed(usize);

static BASE: LazyLock<Environment<'static>> = LazyLock::new(build);

/// The environment that every template starts from.
pub(super) fn base() -> &'static Environment<'static> {
    &BASE
}

fn build() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(STEPS_MAX));
    environment.set_debug(true);
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.expect("only blanks differ from the default syntax"));
    environment.set_formatter(|out, state, value| {
        let text = native_text(value);
        // Text that a template keeps to itself (`{% set x %}…`) never meets the output limit.
        let printed = state.get_or_insert_extension_with(Printed::default);
        printed.0 = printed.0.saturating_add(text.len());
        if printed.0 > PRINTED_MAX {
            return Err(invalid(format!("the template prints more than {PRINTED_MAX} bytes")));
        }
        out.write_str(&text).map_err(minijinja::Error::from)
    });
    for name in FOREIGN_FILTERS {
        environment.remove_filter(name);
    }
    for name in FOREIGN_TESTS {
        environment.remove_test(name);
    }
    environment.remove_global("debug");
    filters::add(&mut environment);
    operators::add(&mut environment);
    environment.set_unknown_method_callback(methods::call);
    environment
}

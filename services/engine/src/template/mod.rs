//! Templates: Jinja as StackStorm set it up, rendered over JSON values.
//!
//! Sandboxed by construction (a template sees values and pure functions, nothing else), strict
//! about what is undefined, bounded in steps and output. A text that is nothing but plain paths
//! between literal pieces, which is nearly all of them, never meets the template engine.

mod arguments;
mod compiled;
mod convert;
mod datastore;
mod environment;
mod filters;
mod methods;
mod operators;
mod rewrite;
mod scope;
mod simple;
mod tokens;
mod writer;

pub use compiled::{Error, Template, looks_like_template};
pub use datastore::{Datastore, Empty, KeyScope, Lookup, YamlReader};
pub(crate) use filters::NONE_TEXT;
pub use scope::{Scope, Views};

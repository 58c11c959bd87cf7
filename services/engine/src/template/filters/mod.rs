//! Filters: StackStorm's own, and those of Jinja that the template engine lacks or sees otherwise.

mod clock;
mod data;
mod jinja;
mod regular;
mod version;
mod yaml;

pub(crate) use data::NONE_TEXT;
pub(super) use jinja::centered;

use minijinja::Environment;

/// Adds every filter.
pub(super) fn add(environment: &mut Environment<'static>) {
    clock::add(environment);
    data::add(environment);
    jinja::add(environment);
    regular::add(environment);
    version::add(environment);
    yaml::add(environment);
}

//! Filters over regular expressions, in Python's dialect.

use minijinja::value::Tuple;
use minijinja::{Environment, Error, Value as Native};

use super::super::arguments::{Given, invalid, named, required_text, text_of};
use crate::pattern::regex::{Flags, Regex};

/// Adds the filters.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("regex_match", |value: &Native, given: Given| {
        let [pattern, ignore_case] = named(given.into_values(), ["pattern", "ignorecase"])?;
        let regex = compile(pattern, ignore_case.as_ref(), true)?;
        regex.is_match(&text_of(value)?).map_err(|error| invalid(error.to_string()))
    });
    environment.add_filter("regex_search", |value: &Native, given: Given| {
        let [pattern, ignore_case] = named(given.into_values(), ["pattern", "ignorecase"])?;
        let regex = compile(pattern, ignore_case.as_ref(), false)?;
        regex.is_match(&text_of(value)?).map_err(|error| invalid(error.to_string()))
    });
    environment.add_filter("regex_replace", |value: &Native, given: Given| {
        let [pattern, replacement, ignore_case] =
            named(given.into_values(), ["pattern", "replacement", "ignorecase"])?;
        let regex = compile(pattern, ignore_case.as_ref(), false)?;
        let replacement = required_text(replacement, "replacement")?;
        regex.replace(&text_of(value)?, &replacement).map_err(|error| invalid(error.to_string()))
    });
    environment.add_filter("regex_substring", substring);
}

fn compile(
    pattern: Option<Native>,
    ignore_case: Option<&Native>,
    anchored: bool,
) -> Result<Regex, Error> {
    let pattern = required_text(pattern, "pattern")?;
    let ignore_case = ignore_case.is_some_and(Native::is_true);
    let flags = Flags { ignore_case, anchored, ..Flags::default() };
    Regex::new(&pattern, flags).map_err(|error| invalid(error.to_string()))
}

/// The n-th of `re.findall`: a text, or a tuple when the pattern has several groups.
fn substring(value: &Native, given: Given) -> Result<Native, Error> {
    let [pattern, index, ignore_case] =
        named(given.into_values(), ["pattern", "result_index", "ignorecase"])?;
    let regex = compile(pattern, ignore_case.as_ref(), false)?;
    let all = regex.find_all(&text_of(value)?).map_err(|error| invalid(error.to_string()))?;
    let index = match index {
        Some(index) => {
            index.as_i64().ok_or_else(|| invalid("list indices must be integers or slices"))?
        }
        None => 0,
    };
    let place = match usize::try_from(index) {
        Ok(place) => Some(place),
        Err(_) => {
            usize::try_from(index.unsigned_abs()).ok().and_then(|back| all.len().checked_sub(back))
        }
    };
    let groups =
        place.and_then(|place| all.get(place)).ok_or_else(|| invalid("list index out of range"))?;
    Ok(match groups.as_slice() {
        [only] => Native::from(only.as_str()),
        several => {
            Native::from(Tuple::new(several.iter().map(|text| text.as_str().into()).collect()))
        }
    })
}

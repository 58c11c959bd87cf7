//! Filters between values and texts: JSON, JSONPath, null that survives, encrypted values, paths.

use minijinja::{Environment, Error, State, Value as Native};
use serde_json::Value;

use super::super::arguments::{Given, invalid, named, required_text, text_of};
use super::super::convert::{from_native, to_native};
use super::super::datastore::{Keeper, Lookup};
use super::super::scope::KEEPER;
use crate::path::Path;
use crate::value::json::{Layout, dumps};

/// The text that stands for null until the value is cast.
pub(crate) const NONE_TEXT: &str = "%*****__%NONE%__*****%";
/// Widest indentation a template may ask for.
const INDENT_MAX: i64 = 32;

/// Adds the filters.
pub(super) fn add(environment: &mut Environment<'static>) {
    environment.add_filter("to_json_string", to_json_string);
    environment.add_filter("from_json_string", |value: &Native| -> Result<Native, Error> {
        let text = text_of(value)?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|error| invalid(format!("the text is not JSON: {error}")))?;
        Ok(to_native(&value))
    });
    environment.add_filter("tojson", |value: &Native, given: Given| {
        let [indent] = named(given.into_values(), ["indent"])?;
        let indent = indent.and_then(|indent| indent.as_usize()).filter(|n| *n <= 32);
        let separator = if indent.is_some() { "," } else { ", " }.to_owned();
        let layout =
            Layout { indent, sort_keys: true, item_separator: separator, ..Layout::default() };
        // Safe between the tags of a page, as Jinja has it.
        let mut text = json(value, &layout)?;
        for (c, escaped) in [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026"), ("'", "\\u0027")]
        {
            text = text.replace(c, escaped);
        }
        Ok::<Native, Error>(Native::from_safe_string(text))
    });
    environment.add_filter("to_complex", |value: &Native| json(value, &Layout::default()));
    environment.add_filter("json_escape", |value: &Native| {
        // All quotes at the ends go, also those of the value itself.
        json(value, &Layout::default()).map(|text| text.trim_matches('"').to_owned())
    });
    environment.add_filter("jsonpath_query", jsonpath_query);
    environment.add_filter("use_none", |value: Native| {
        if value.is_none() { Native::from(NONE_TEXT) } else { value }
    });
    environment.add_filter("decrypt_kv", decrypt_kv);
    environment.add_filter("basename", |value: &str| {
        value.rsplit('/').next().unwrap_or_default().to_owned()
    });
    environment.add_filter("dirname", |value: &str| dirname(value).to_owned());
}

fn json(value: &Native, layout: &Layout) -> Result<String, Error> {
    Ok(dumps(&from_native(value).map_err(invalid)?, layout))
}

fn to_json_string(value: &Native, given: Given) -> Result<String, Error> {
    let [indent, sort_keys, separators] =
        named(given.into_values(), ["indent", "sort_keys", "separators"])?;
    let mut layout = Layout { item_separator: ",".to_owned(), ..Layout::default() };
    if let Some(indent) = indent.filter(|indent| !indent.is_none()) {
        let indent = indent
            .as_i64()
            .filter(|indent| *indent <= INDENT_MAX)
            .ok_or_else(|| invalid(format!("indent is a number up to {INDENT_MAX}")))?;
        layout.indent = Some(usize::try_from(indent).unwrap_or(0));
    }
    layout.sort_keys = sort_keys.is_some_and(|sort_keys| sort_keys.is_true());
    if let Some(separators) = separators.filter(|separators| !separators.is_none()) {
        let mut parts = separators.try_iter()?;
        let (Some(item), Some(key)) = (parts.next(), parts.next()) else {
            return Err(invalid("separators are two texts"));
        };
        layout.item_separator = text_of(&item)?;
        layout.key_separator = text_of(&key)?;
    }
    json(value, &layout)
}

/// The list of matches, or none when there are none.
fn jsonpath_query(value: &Native, given: Given) -> Result<Native, Error> {
    let [query] = named(given.into_values(), ["query"])?;
    let query = required_text(query, "query")?;
    let path = Path::parse(&query).map_err(|error| invalid(error.to_string()))?;
    let value = from_native(value).map_err(invalid)?;
    let matches = path.all(&value).map_err(|error| invalid(error.to_string()))?;
    if matches.is_empty() {
        return Ok(Native::from(()));
    }
    Ok(Native::from(matches.iter().map(to_native).collect::<Vec<_>>()))
}

fn decrypt_kv(state: &State<'_, '_>, value: &Native) -> Result<String, Error> {
    let text = text_of(value)?;
    if let Some(lookup) = value.downcast_object_ref::<Lookup>()
        && text.is_empty()
    {
        return Err(invalid(format!(
            "Referenced datastore item \"{}\" doesn't exist or it contains an empty string",
            lookup.name()
        )));
    }
    let keeper = state.lookup(KEEPER);
    match keeper.as_ref().and_then(|keeper| keeper.downcast_object_ref::<Keeper>()) {
        Some(keeper) => keeper.decrypt(&text).map_err(invalid),
        None => Err(invalid("there is no datastore here")),
    }
}

/// `os.path.dirname`: the part before the last slash, without slashes at its end.
fn dirname(path: &str) -> &str {
    let Some((head, _)) = path.rsplit_once('/') else {
        return "";
    };
    let trimmed = head.trim_end_matches('/');
    if trimmed.is_empty() {
        // Nothing but slashes: they stay.
        return path.get(..=head.len()).unwrap_or("/");
    }
    trimmed
}

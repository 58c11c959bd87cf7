//! How much of a list a client wants, in the words of StackStorm's API, and the answer in its
//! shape: an array, how many there are in all in `X-Total-Count`, the limit in `X-Limit`.
//!
//! What a query says beyond that narrows the list where the items have a member of that name, and
//! is passed over elsewhere: clients send what they have (their credentials, an order we always
//! keep). Python's clients write `None` for what they do not mean.

use axum::Json;
use axum::extract::FromRequestParts;
use axum::http::HeaderName;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::fault::Fault;
use crate::form;
use crate::routes::{LIMIT_DEFAULT, LIMIT_MAX, offset};

/// Members that are always there, so that what is listed can be asked for.
const ALWAYS: [&str; 2] = ["id", "ref"];
/// Parameters of queries that name a member of the item's own, as its reference.
const BY_REFERENCE: [&str; 3] = ["action", "trigger", "type"];

/// What a query asks for.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    limit: Option<i64>,
    /// So many are passed over.
    pub(crate) offset: usize,
    include: Vec<String>,
    exclude: Vec<String>,
    others: Vec<(String, String)>,
}

impl<S: Sync> FromRequestParts<S> for Listing {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Fault> {
        Self::parse(parts.uri.query().unwrap_or_default())
    }
}

impl Listing {
    /// Reads a query.
    pub(crate) fn parse(query: &str) -> Result<Self, Fault> {
        let mut listing = Self::default();
        let names = |text: &str| -> Vec<String> {
            text.split(',').map(str::trim).filter(|n| !n.is_empty()).map(str::to_owned).collect()
        };
        for (name, value) in form::pairs(query.as_bytes()) {
            if value.is_empty() || value == "None" {
                continue;
            }
            match name.as_str() {
                "limit" => listing.limit = Some(number(&name, &value)?),
                "offset" => {
                    let wanted = usize::try_from(number(&name, &value)?).map_err(|_negative| {
                        Fault::bad(format!("offset={value:?} is not a number of items"))
                    })?;
                    listing.offset = offset(Some(wanted))?;
                }
                "include_attributes" => listing.include = names(&value),
                "exclude_attributes" => listing.exclude = names(&value),
                _ => listing.others.push((name, value)),
            }
        }
        Ok(listing)
    }

    /// What the query says under this name.
    pub(crate) fn said(&self, wanted: &str) -> Option<&str> {
        let mut found = self.others.iter().filter(|(name, _)| name == wanted);
        found.next_back().map(|(_, value)| value.as_str())
    }

    /// The most items of a list that is gathered: -1 is as many as may be.
    pub(crate) fn limit(&self) -> usize {
        match self.limit {
            None => LIMIT_DEFAULT,
            Some(limit) => usize::try_from(limit).unwrap_or(LIMIT_MAX).clamp(1, LIMIT_MAX),
        }
    }

    /// Answers those of `all` that are wanted. Without a limit it is all of them.
    pub(crate) fn of_all(&self, all: Vec<Value>) -> Response {
        let mut found = all;
        found.retain(|item| self.selects(item));
        let total = found.len();
        let limit = self.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(total));
        self.page(found.into_iter().skip(self.offset).take(limit).collect(), Some(total))
    }

    /// Answers a page that was gathered with this offset and limit. How many there are in all is
    /// known when the page is the last one.
    pub(crate) fn gathered(&self, page: Vec<Value>) -> Response {
        let is_last = page.len() < self.limit() && (!page.is_empty() || self.offset == 0);
        let total = is_last.then_some(self.offset + page.len());
        self.page(page, total)
    }

    fn page(&self, mut page: Vec<Value>, total: Option<usize>) -> Response {
        page.iter_mut().for_each(|item| self.trim(item));
        let limit = self.limit.unwrap_or_else(|| i64::try_from(LIMIT_DEFAULT).unwrap_or_default());
        let header = |name, value: String| [(HeaderName::from_static(name), value)];
        let answer = (header("x-limit", limit.to_string()), Json(page));
        match total {
            Some(total) => (header("x-total-count", total.to_string()), answer).into_response(),
            None => answer.into_response(),
        }
    }

    /// Leaves of an item what was asked for.
    pub(crate) fn trim(&self, item: &mut Value) {
        if !self.include.is_empty()
            && let Some(members) = item.as_object_mut()
        {
            let first = |path: &String| path.split('.').next().map(str::to_owned);
            let wanted: Vec<String> = self.include.iter().filter_map(first).collect();
            members.retain(|name, _| ALWAYS.contains(&name.as_str()) || wanted.contains(name));
        }
        for path in &self.exclude {
            let mut path = path.split('.');
            let last = path.next_back().unwrap_or_default();
            let parent = path.try_fold(&mut *item, |value, name| value.get_mut(name));
            if let Some(members) = parent.and_then(Value::as_object_mut) {
                // The order of the rest stays.
                drop(members.shift_remove(last));
            }
        }
    }

    fn selects(&self, item: &Value) -> bool {
        self.others.iter().all(|(name, wanted)| match item.get(name) {
            Some(Value::String(text)) => text == wanted,
            Some(Value::Bool(flag)) => flag.to_string() == wanted.to_ascii_lowercase(),
            Some(Value::Object(member)) if BY_REFERENCE.contains(&name.as_str()) => {
                member.get("ref").and_then(Value::as_str) == Some(wanted)
            }
            Some(_) | None => true,
        })
    }
}

fn number(name: &str, value: &str) -> Result<i64, Fault> {
    value.parse().map_err(|_no_number| Fault::bad(format!("{name}={value:?} is not a number")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn check(query: &str, expected: Value, total: Option<&str>) {
        let all = vec![
            json!({"ref": "a.x", "name": "x", "enabled": true, "action": {"ref": "core.noop"}}),
            json!({"ref": "a.y", "name": "y", "enabled": false, "action": {"ref": "core.local"}}),
            json!({"ref": "b.y", "name": "y", "enabled": true, "action": {"ref": "core.local"}}),
        ];
        let response = Listing::parse(query).unwrap().of_all(all);
        let header = response.headers().get("x-total-count").map(|value| value.to_str().unwrap());
        assert_eq!(header, total, "{query}");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        let refs: Vec<&Value> =
            answer.as_array().unwrap().iter().map(|item| &item["ref"]).collect();
        assert_eq!(json!(refs), expected, "{query}");
    }

    #[tokio::test]
    async fn a_list_is_narrowed_and_cut_and_says_how_many_there_are() {
        for (query, expected, total) in [
            ("", json!(["a.x", "a.y", "b.y"]), "3"),
            ("limit=-1&sort_asc=True&x-auth-token=secret", json!(["a.x", "a.y", "b.y"]), "3"),
            ("limit=1&offset=1", json!(["a.y"]), "3"),
            ("name=y", json!(["a.y", "b.y"]), "2"),
            ("name=y&pack=None&enabled=True", json!(["b.y"]), "1"),
            ("action=core.local&limit=1", json!(["a.y"]), "2"),
            ("name=z", json!([]), "0"),
        ] {
            check(query, expected, Some(total)).await;
        }
        for query in ["limit=x", "offset=-1", "offset=99999999"] {
            assert!(Listing::parse(query).is_err(), "{query}");
        }
    }

    #[test]
    fn members_are_left_in_and_out() {
        let item = json!({"id": "1", "result": {"a": 1, "b": 2}, "status": "failed"});
        for (query, expected) in [
            ("include_attributes=status", json!({"id": "1", "status": "failed"})),
            ("include_attributes=result.a", json!({"id": "1", "result": {"a": 1, "b": 2}})),
            ("exclude_attributes=result", json!({"id": "1", "status": "failed"})),
            (
                "exclude_attributes=result.a,nothing.here",
                json!({"id": "1", "result": {"b": 2}, "status": "failed"}),
            ),
        ] {
            let mut trimmed = item.clone();
            Listing::parse(query).unwrap().trim(&mut trimmed);
            assert_eq!(trimmed, expected, "{query}");
        }
    }

    #[test]
    fn the_number_of_all_is_told_when_it_is_known() {
        for (query, found, expected) in [
            ("limit=2", 1, Some("1")),
            ("limit=2", 2, None),
            ("limit=2&offset=4", 1, Some("5")),
            ("limit=2&offset=4", 0, None),
            ("", 0, Some("0")),
        ] {
            let response = Listing::parse(query).unwrap().gathered(vec![json!({}); found]);
            let total = response.headers().get("x-total-count").map(|t| t.to_str().unwrap());
            assert_eq!(total, expected, "{query} {found}");
        }
    }
}

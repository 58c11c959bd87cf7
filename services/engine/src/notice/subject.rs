//! Subjects.

use hearken_proto::check::CheckStatus;
use hearken_proto::notice::NoticeRequest;

use super::Style;
use super::words::{headline, one_line};

/// Longest subject, in characters.
const SUBJECT_MAX: usize = 200;
/// What picomon puts for a name that it does not know.
const NO_SUBSTITUTION: &str = "<no substitution>";

/// How subjects are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SubjectStyle {
    /// The same from the first mail to the last, but for `Re:`: every mail program sees a thread.
    #[default]
    Stable,
    /// The state comes first: for people whose mail program looks at headers only.
    Stateful,
    /// picomon's template, with `{state}`, `{check}` and `{dest}`.
    Picomon(String),
}

pub(super) fn subject(request: &NoticeRequest, style: &Style) -> String {
    let title = one_line(&request.title);
    let tag = one_line(&style.tag);
    let tagged = |rest: String| if tag.is_empty() { rest } else { format!("{tag} {rest}") };
    let subject = match &style.subject {
        SubjectStyle::Stable if request.number > 1 => format!("Re: {}", tagged(title)),
        SubjectStyle::Stable => tagged(title),
        SubjectStyle::Stateful => tagged(format!("{}: {title}", headline(request.kind))),
        SubjectStyle::Picomon(template) => picomon(request, template),
    };
    one_line(&subject).chars().take(SUBJECT_MAX).collect()
}

fn picomon(request: &NoticeRequest, template: &str) -> String {
    let state = if request.level == CheckStatus::Ok { "OK" } else { "Problem" };
    let of = request.picomon.as_ref();
    let member = request.incident.as_ref().and_then(|incident| incident.members.first());
    let check = of.map(|of| of.class.as_str()).or(member.map(|member| member.check.as_str()));
    let target = of.map_or("Unknown", |of| of.target.as_str());
    fill(template, |name| match name {
        "state" => Some(state),
        "check" => check,
        "dest" => Some(target),
        _ => None,
    })
}

/// Fills in `{name}`; two braces are one. What cannot be filled in says so and is no error.
fn fill<'a>(template: &str, value: impl Fn(&str) -> Option<&'a str>) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some(at) = rest.find(['{', '}']) {
        let (before, from) = rest.split_at(at);
        out.push_str(before);
        if let Some(after) = from.strip_prefix("{{").or(from.strip_prefix("}}")) {
            out.push_str(from.get(..1).unwrap_or_default());
            rest = after;
            continue;
        }
        match from.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
            Some((name, after)) => {
                let end = name.find(['!', ':']).unwrap_or(name.len());
                let name = name.get(..end).unwrap_or_default();
                out.push_str(value(name).unwrap_or(NO_SUBSTITUTION));
                rest = after;
            }
            // A brace alone stands for itself.
            None => {
                out.push_str(from.get(..1).unwrap_or_default());
                rest = from.get(1..).unwrap_or_default();
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_filled_in_and_never_fail() {
        let rows = [
            ("{state}: {check} on {dest}", "Problem: Ping on web"),
            ("{host} {state}", "<no substitution> Problem"),
            ("{{state}} {state!r} {state:>9}", "{state} Problem Problem"),
            ("{} {", "<no substitution> {"),
            ("} {state", "} {state"),
            ("", ""),
        ];
        let value = |name: &str| match name {
            "state" => Some("Problem"),
            "check" => Some("Ping"),
            "dest" => Some("web"),
            _ => None,
        };
        for (template, expected) in rows {
            assert_eq!(fill(template, value), expected, "{template}");
        }
    }
}

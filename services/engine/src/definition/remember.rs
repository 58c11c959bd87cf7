//! What a rule remembers between events: `dedupe`, `window`, `absence`, `throttle`, `cooldown`.
//!
//! Only the reading of the fields is here; what they lead to is [`crate::memory`]. An unknown field
//! is refused and not just noticed: a misspelt `key` would quietly make one memory of many.

use std::time::Duration;

use serde_json::{Map, Value};

use super::period;
use super::problem::Problem;
use super::reader::Reader;
use super::rule::{self, Reference};
use crate::criteria::Clause;
use crate::template::{Scope, Template};
use hearken_proto::id;

/// The fields of a rule that make it remember, in the order in which they apply.
pub(super) const FIELDS: [&str; 5] = ["dedupe", "window", "absence", "throttle", "cooldown"];

/// Most events that a window or a throttle counts: each is a time that is kept.
const COUNT_MAX: u32 = 1_000;
/// Longest key that is kept as it is, in bytes; a longer one is kept as its hash.
const KEY_MAX: usize = 256;

/// What a rule remembers; at least one field is there.
#[derive(Clone, Debug, Default)]
pub struct Remember {
    /// Drops repeats.
    pub dedupe: Option<Spell>,
    /// Fires for the nth event in a while; never together with `absence`.
    pub window: Option<Quota>,
    /// Fires for what did not happen.
    pub absence: Option<Absence>,
    /// Lets through so many requests in a while.
    pub throttle: Option<Quota>,
    /// Is silent for a while after a request.
    pub cooldown: Option<Spell>,
}

/// A while, per key.
#[derive(Clone, Debug)]
pub struct Spell {
    /// How long.
    pub period: Duration,
    /// What is told apart.
    pub key: Key,
}

/// So many in a while, per key.
#[derive(Clone, Debug)]
pub struct Quota {
    /// How many: `count` of a window, `limit` of a throttle.
    pub count: u32,
    /// How long.
    pub period: Duration,
    /// What is told apart.
    pub key: Key,
}

/// Something that is expected to follow the rule's own event.
#[derive(Clone, Debug)]
pub struct Absence {
    /// How long it may take.
    pub period: Duration,
    /// What is told apart, seen from the rule's own event.
    pub key: Key,
    /// What is expected.
    pub of: Expected,
}

/// The event that an absence waits for.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its trigger.
    pub trigger: Reference,
    /// Conditions it must meet.
    pub criteria: Vec<Clause>,
    /// The same key, seen from the expected event.
    pub key: Key,
}

/// What tells events apart: a template, or nothing when all are one.
#[derive(Clone, Debug, Default)]
pub struct Key(Option<Template>);

impl Key {
    /// The key of the event in `scope`; a long one is replaced by its hash. No secret of the
    /// datastore can be in it.
    ///
    /// # Errors
    /// Why the template has no text.
    pub fn render(&self, scope: &Scope<'_>) -> Result<String, String> {
        let Some(template) = &self.0 else {
            return Ok(String::new());
        };
        // Keys are kept, and quoted later as reasons.
        let text = template.render(&Scope::closed(scope)).map_err(|error| error.to_string())?;
        Ok(if text.len() > KEY_MAX { format!("#{}", id::derived(&[&text])) } else { text })
    }

    /// The template as it is written.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        self.0.as_ref().map(Template::source)
    }
}

impl Remember {
    /// The longest period among its fields.
    #[must_use]
    pub fn period_max(&self) -> Duration {
        let spells = [&self.dedupe, &self.cooldown].into_iter().flatten().map(|spell| spell.period);
        let quotas = [&self.window, &self.throttle].into_iter().flatten().map(|quota| quota.period);
        let absence = self.absence.iter().map(|absence| absence.period);
        spells.chain(quotas).chain(absence).max().unwrap_or_default()
    }

    /// Reads the fields from a rule; `None` when there are none.
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let mut remember = Self {
            dedupe: field(reader, "dedupe", &["period", "key"], spell),
            window: field(reader, "window", &["count", "period", "key"], |r| quota(r, "count")),
            absence: field(reader, "absence", &["period", "key", "of"], absence),
            throttle: field(reader, "throttle", &["limit", "period", "key"], |r| quota(r, "limit")),
            cooldown: field(reader, "cooldown", &["period", "key"], spell),
        };
        if reader.get("window").is_some() && reader.get("absence").is_some() {
            reader.problems.push(
                Problem::fatal("/absence", "a rule has a window or an absence, not both")
                    .hint("make two rules of it"),
            );
            remember.absence = None;
        }
        let any = remember.dedupe.is_some()
            || remember.window.is_some()
            || remember.absence.is_some()
            || remember.throttle.is_some()
            || remember.cooldown.is_some();
        any.then_some(remember)
    }

    /// Makes its criteria compare everything as text, as StackStorm did in 2014.
    pub fn compare_as_text(&mut self) {
        for clause in self.absence.iter_mut().flat_map(|absence| &mut absence.of.criteria) {
            clause.compare_as_text();
        }
    }

    /// It in one line, as `dedupe 10m by {{ trigger.host }}; throttle 5 per 1m`.
    #[must_use]
    pub fn describe(&self) -> String {
        let by = |key: &Key| key.source().map(|key| format!(" by {key}")).unwrap_or_default();
        let spell = |word: &str, spell: &Spell| {
            format!("{word} {}{}", period::show(spell.period), by(&spell.key))
        };
        let quota = |word: &str, quota: &Quota| {
            format!("{word} {} per {}{}", quota.count, period::show(quota.period), by(&quota.key))
        };
        let absence = |absence: &Absence| {
            let period = period::show(absence.period);
            format!("absence of {} for {period}{}", absence.of.trigger.reference, by(&absence.key))
        };
        let parts = [
            self.dedupe.as_ref().map(|dedupe| spell("dedupe", dedupe)),
            self.window.as_ref().map(|window| quota("window", window)),
            self.absence.as_ref().map(absence),
            self.throttle.as_ref().map(|throttle| quota("throttle", throttle)),
            self.cooldown.as_ref().map(|cooldown| spell("cooldown", cooldown)),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// The fields of a rule that make it remember, as they are written.
pub(super) fn raw(rule: &Value) -> Map<String, Value> {
    let written = |field: &str| rule.get(field).filter(|value| !value.is_null()).cloned();
    FIELDS.iter().filter_map(|field| Some(((*field).to_owned(), written(field)?))).collect()
}

/// Reads one field, when it is there, by its own reader.
fn field<T>(
    reader: &mut Reader<'_>,
    name: &str,
    known: &[&str],
    read: impl FnOnce(&mut Reader<'_>) -> Option<T>,
) -> Option<T> {
    let at = reader.at(name);
    let mut inner = match Reader::new(reader.get(name)?, &at) {
        Ok(inner) => inner,
        Err(problem) => {
            let example = known.iter().map(|field| format!("{field}: …")).collect::<Vec<_>>();
            reader.problems.push(problem.hint(format!("write {{{}}}", example.join(", "))));
            return None;
        }
    };
    inner.refuse_unknown(known);
    let outcome = read(&mut inner);
    reader.problems.append(&mut inner.problems);
    outcome
}

fn spell(reader: &mut Reader<'_>) -> Option<Spell> {
    let (period, key) = (span(reader), key(reader));
    Some(Spell { period: period?, key: key? })
}

fn quota(reader: &mut Reader<'_>, name: &str) -> Option<Quota> {
    let (count, period, key) = (number(reader, name), span(reader), key(reader));
    Some(Quota { count: count?, period: period?, key: key? })
}

fn absence(reader: &mut Reader<'_>) -> Option<Absence> {
    let (period, own) = (span(reader), key(reader));
    if reader.get("of").is_none() {
        let message = "of is missing: what is it that does not come?";
        reader.fault(message.to_owned(), "write of: {trigger: pack.name}".to_owned());
    }
    let bare = reader.get("of").and_then(Value::as_str).map(ToOwned::to_owned);
    let of = match bare {
        // A trigger says enough.
        Some(reference) => {
            Some((Reference { reference, parameters: Map::new() }, Vec::new(), None))
        }
        None => expected(reader),
    };
    let (period, own, (trigger, criteria, other)) = (period?, own?, of?);
    let key = other.unwrap_or_else(|| own.clone());
    Some(Absence { period, key: own, of: Expected { trigger, criteria, key } })
}

/// What `of` says when it says more than a trigger.
fn expected(reader: &mut Reader<'_>) -> Option<(Reference, Vec<Clause>, Option<Key>)> {
    field(reader, "of", &["trigger", "criteria", "key"], |reader| {
        let trigger = rule::reference(reader, "trigger", "type", rule::TRIGGER_FIELDS);
        let criteria = rule::criteria(reader);
        let written = reader.get("key").is_some();
        let key = key(reader);
        Some((trigger?, criteria, key.filter(|_| written)))
    })
}

/// The period, which must be there.
fn span(reader: &mut Reader<'_>) -> Option<Duration> {
    let Some(value) = reader.get("period") else {
        reader.fault("period is missing".to_owned(), "for example period: 5m".to_owned());
        return None;
    };
    match period::read(value) {
        Ok(period) => Some(period),
        Err((message, hint)) => {
            let at = reader.at("period");
            reader.problems.push(Problem::fatal(at, message).hint(hint));
            None
        }
    }
}

/// A number of events, which must be there.
fn number(reader: &mut Reader<'_>, name: &str) -> Option<u32> {
    let hint = format!("for example {name}: 5");
    let Some(value) = reader.get(name) else {
        reader.fault(format!("{name} is missing"), hint);
        return None;
    };
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    let number = number.filter(|number| (1..=COUNT_MAX).contains(number));
    if number.is_none() {
        let at = reader.at(name);
        let message = format!("{name} must be a whole number from 1 to {COUNT_MAX}, not {value}");
        reader.problems.push(Problem::fatal(at, message).hint(hint));
    }
    number
}

/// The key, which need not be there; `None` when it cannot be read.
fn key(reader: &mut Reader<'_>) -> Option<Key> {
    if reader.get("key").is_none() {
        return Some(Key::default());
    }
    let text = reader.text("key")?;
    if text.contains("decrypt_kv") {
        let at = reader.at("key");
        let message = "keys cannot use secrets: they are kept, and quoted as reasons";
        reader
            .problems
            .push(Problem::fatal(at, message).hint("tell events apart by what they carry"));
        return None;
    }
    match Template::parse(&text) {
        Ok(template) => Some(Key(Some(template))),
        Err(error) => {
            let at = reader.at("key");
            reader.problems.push(
                Problem::fatal(at, error.to_string()).hint("for example \"{{ trigger.host }}\""),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;
    use crate::definition::Rule;
    use crate::template::{Datastore, KeyScope, Views};

    /// Opens everything.
    #[derive(Debug)]
    struct Keys;

    impl Datastore for Keys {
        fn value(&self, _scope: &KeyScope, key: &str) -> Option<String> {
            Some(key.to_owned())
        }

        fn decrypt(&self, _value: &str) -> Result<String, String> {
            Ok("hunter2".to_owned())
        }
    }

    #[test]
    fn no_secret_is_in_a_key() {
        let keys: Arc<dyn Datastore> = Arc::new(Keys);
        let views = Views::new(&keys, None);
        let scope = Scope::viewing(&views);
        let key = |text: &str| Key(Some(Template::parse(text).unwrap())).render(&scope);
        assert_eq!(key("{{ st2kv.system.x }}"), Ok("x".to_owned()));
        let odd = "{{ [st2kv.system.x] | map('decrypt' ~ '_kv') | first }}";
        for text in ["{{ st2kv.system.x | decrypt_kv }}", odd] {
            let refused = key(text).unwrap_err();
            assert!(refused.contains("secrets cannot be used here"), "{refused}");
        }
        // Where it is plain to see it is said when the rule is read.
        let rule = json!({
            "name": "r", "trigger": {"type": "p.t"}, "action": {"ref": "core.noop"},
            "throttle": {"limit": 1, "period": "1m", "key": "{{ st2kv.system.x | decrypt_kv }}"},
        });
        let (_rule, problems) = Rule::from_value("p", &rule);
        let refused = problems.iter().find(|problem| problem.fatal).unwrap();
        assert!(refused.message.contains("keys cannot use secrets"), "{refused:?}");
    }
}

//! What there is to say of timers: when they will really tick.

use hearken_engine::definition::Rule;
use hearken_engine::definition::trigger::is_timer;
use hearken_engine::schedule::Schedule;
use serde_json::Value;

use super::material::{Material, Sights};
use crate::load::files::Metadata;

/// Ticks that are shown: enough to see the rhythm.
const TICKS_SHOWN: usize = 5;
/// Zone of a timer that names none.
const ZONE: &str = "UTC";
/// Fields of a cron timer, the most significant first, as APScheduler orders them.
const FIELDS: [&str; 8] =
    ["year", "month", "day", "week", "day_of_week", "hour", "minute", "second"];
/// Fields that a timer may leave out although a larger one is given: they have no minimum.
const WITHOUT_MINIMUM: [&str; 2] = ["week", "day_of_week"];

/// A rule that listens to a timer which can be read.
struct Timer<'a> {
    metadata: &'a Metadata,
    rule: &'a Rule,
    schedule: Schedule,
}

impl Timer<'_> {
    fn kind(&self) -> &str {
        self.rule.trigger.reference.strip_prefix("core.st2.").unwrap_or_default()
    }

    fn says(&self, parameter: &str) -> Option<&Value> {
        self.rule.trigger.parameters.get(parameter).filter(|value| !value.is_null())
    }
}

fn each<'a>(material: &'a Material<'_>) -> impl Iterator<Item = Timer<'a>> {
    material.rules.iter().filter_map(|(metadata, rule)| {
        let trigger = &rule.trigger;
        let parameters = Value::Object(trigger.parameters.clone());
        let is_given = is_timer(&trigger.reference) && !trigger.parameters.is_empty();
        let schedule = Schedule::parse(&trigger.reference, &parameters, ZONE);
        // What cannot be read was told when the rule was loaded.
        Some(Timer { metadata, rule, schedule: schedule.ok().filter(|_| is_given)? })
    })
}

/// The next ticks from now on.
fn ticks(timer: &Timer<'_>, material: &Material<'_>) -> Vec<String> {
    let now = material.surroundings.now;
    let (mut shown, mut after) = (Vec::new(), now);
    while let Some(next) = timer.schedule.next(after, now).filter(|_| shown.len() < TICKS_SHOWN) {
        shown.push(next.to_string().replace(".000000Z", "Z"));
        after = next;
    }
    shown
}

/// A cron timer with fields that nobody gave and that count all the same.
pub(super) fn defaults(material: &Material<'_>, sights: &mut Sights) {
    for timer in each(material).filter(|timer| timer.kind() == "CronTimer") {
        let smallest = FIELDS.iter().rposition(|field| timer.says(field).is_some());
        let below = FIELDS.iter().skip(smallest.map_or(FIELDS.len(), |place| place + 1));
        let least: Vec<&str> =
            below.filter(|field| !WITHOUT_MINIMUM.contains(*field)).copied().collect();
        let ticks = ticks(&timer, material);
        if least.is_empty() || ticks.is_empty() {
            continue;
        }
        let what = format!(
            "{} {} at the least; it ticks at {}",
            least.join(", "),
            if least.len() == 1 { "is" } else { "are" },
            ticks.join(", ")
        );
        sights.at(timer.metadata, "/trigger/parameters", what);
        sights.hint("give these fields as well, for example \"*\"; then nobody has to know");
    }
}

/// A timer on the wall clock of nobody in particular.
pub(super) fn zone(material: &Material<'_>, sights: &mut Sights) {
    for timer in each(material).filter(|timer| timer.says("timezone").is_none()) {
        let is_on_the_wall = match timer.kind() {
            "CronTimer" => true,
            "DateTimer" => !has_offset(timer.says("date")),
            _ => false,
        };
        if is_on_the_wall {
            let what = format!("the {} names no time zone", timer.kind());
            sights.at(timer.metadata, "/trigger/parameters", what);
            sights.hint("write timezone: UTC, or an IANA name such as Europe/Berlin");
        }
    }
}

/// Whether a date says how far from UTC it is.
fn has_offset(date: Option<&Value>) -> bool {
    let text = date.and_then(Value::as_str).unwrap_or_default().trim_end();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b':');
    let signed = text.rsplit_once(['+', '-']).is_some_and(|(before, offset)| {
        before.contains(':') && !offset.is_empty() && digits(offset)
    });
    text.ends_with(['Z', 'z']) || text.ends_with("UTC") || text.ends_with("GMT") || signed
}

/// A timer without a tick to come.
pub(super) fn never(material: &Material<'_>, sights: &mut Sights) {
    for timer in each(material) {
        if ticks(&timer, material).is_empty() {
            let what = match timer.kind() {
                "DateTimer" => "the date has passed",
                _ => "there is no such moment",
            };
            sights.at(timer.metadata, "/trigger/parameters", what);
        }
    }
}

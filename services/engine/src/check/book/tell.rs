//! Who is told what, and why not.
//!
//! For each contact of an incident: what it knows is held against how things are, and the first
//! thing that is missing is told, or held back by a rule that is named. So a notice follows from
//! states and never from the order in which they came to be: what was muted and is over again is
//! not told, what was muted and still stands is told as soon as nothing mutes it.
//!
//! | what | is held back by |
//! |---|---|
//! | the end of what was told | nothing |
//! | that somebody takes care | nothing |
//! | a start | the contact's levels, its time, an acknowledgement, silences, parents |
//! | flapping, a cause, an update | silences, flapping, the pause between updates |
//! | a reminder | its time, an acknowledgement, silences, flapping, parents |

use hearken_proto::Timestamp;
use hearken_proto::id;
use hearken_proto::incident::{Held, IncidentRecord, Told};
use hearken_proto::notice::{NoticeKind, NoticeRequest, PicomonNotice};

use super::effect::Effect;
use super::reach::{PARENT_WAIT, Reach};
use super::settle::first_check;
use super::turn::{Turn, note};
use super::whole;
use crate::check::silence::{lasts_until, open_until, selects};
use crate::definition::check::Notices;

/// Numbers of earlier notices that are kept for a contact: the thread of the next one.
const SENT_MAX: usize = 10;
/// Most notices of one contact in one round: an end of flapping, an acknowledgement, an update …
const ROUNDS_MAX: usize = 8;

/// A rule that holds something back, and until when.
#[derive(Clone, Debug)]
struct Rule {
    text: String,
    until: Option<Timestamp>,
}

/// What is to be done for one contact.
enum Step {
    /// It knows everything.
    Done,
    /// It will be told something then, unless something else comes.
    Wait(Timestamp),
    /// It is told.
    Say(NoticeKind),
    /// It is not told, because of a rule.
    Hold(NoticeKind, Rule),
}

/// How an incident is, as far as all contacts are concerned.
struct Situation {
    now: Timestamp,
    notices: Notices,
    picomon: bool,
    view: String,
    flapping: bool,
    silence: Option<Rule>,
    doubt: Option<Rule>,
}

/// What a contact knows of levels and members, as a digest.
pub(super) fn view(incident: &IncidentRecord) -> String {
    let mut parts = vec![incident.level.word()];
    for member in incident.failing() {
        parts.extend([member.check.as_str(), member.level.word()]);
    }
    let mut digest = id::derived(&parts);
    digest.truncate(16);
    digest
}

impl Turn<'_> {
    /// Tells the contacts of an incident what they do not know yet.
    pub(super) fn tell(&mut self, id: &str) {
        let Some(mut incident) = self.change_incident(id, std::mem::take) else { return };
        let now = self.now;
        if incident.acknowledged.as_ref().is_some_and(|by| by.until.is_some_and(|u| u <= now)) {
            incident.acknowledged = None;
            note(&mut incident, now, "the acknowledgement is over".to_owned());
        }
        let check = first_check(self, &incident);
        let situation = Situation {
            now,
            notices: self.notices_of(&incident),
            picomon: check.as_ref().is_some_and(|check| check.picomon.is_some()),
            view: view(&incident),
            flapping: incident.is_flapping(),
            silence: self.silenced(&incident),
            doubt: self.doubt(&incident),
        };
        let picomon = check.and_then(|check| check.picomon.clone());
        let mut next = incident.acknowledged.as_ref().and_then(|by| by.until);
        let mut told = std::mem::take(&mut incident.told);
        for one in &mut told {
            let due = self.tell_one(&mut incident, one, &situation, picomon.as_ref());
            next = [next, due].into_iter().flatten().min();
        }
        incident.told = told;
        // Nothing is looked at again for nothing: what is due lies ahead.
        incident.next = next.filter(|next| incident.closed.is_none() && *next > now);
        self.change_incident(id, |place| *place = incident);
    }

    fn notices_of(&self, incident: &IncidentRecord) -> Notices {
        let check = first_check(self, incident);
        check.map(|check| self.definitions.notices(&check.id)).unwrap_or_default()
    }

    /// Tells one contact; when it is to be looked at again.
    fn tell_one(
        &mut self,
        incident: &mut IncidentRecord,
        told: &mut Told,
        situation: &Situation,
        picomon: Option<&PicomonNotice>,
    ) -> Option<Timestamp> {
        for _ in 0..ROUNDS_MAX {
            if incident.acknowledged.is_none() {
                told.acknowledged = false;
            }
            if incident.cause.is_none() {
                told.unreachable = false;
            }
            let levels = self.definitions.contact(&told.contact).map(|c| c.levels.as_slice());
            let fits =
                levels.is_none_or(|levels| levels.is_empty() || levels.contains(&incident.level));
            match step(incident, told, situation, fits) {
                Step::Done => {
                    told.held = None;
                    return None;
                }
                Step::Wait(until) => {
                    told.held = None;
                    return Some(until);
                }
                Step::Hold(kind, Rule { text: rule, until }) => {
                    told.held = Some(Held { kind, rule, until });
                    return until;
                }
                Step::Say(kind) => {
                    let request = say(incident, told, situation, kind, picomon);
                    self.notices.push(Effect::Notice(Box::new(request)));
                }
            }
        }
        None
    }

    /// The silence or window of maintenance that mutes every failing member, if each has one.
    fn silenced(&self, incident: &IncidentRecord) -> Option<Rule> {
        let mut all: Option<Rule> = None;
        for member in incident.failing() {
            let check = self.check(&member.check)?;
            let by_people = self.book.silences.values().filter_map(|silence| {
                let until = lasts_until(silence, self.now)?;
                selects(&silence.matchers, &check.labels).then(|| Rule {
                    text: format!("silence {}: {}", silence.id, silence.comment),
                    until,
                })
            });
            let windows = check.maintenance.iter().filter_map(|window| {
                let until = Some(open_until(window, self.now)?);
                Some(Rule { text: format!("maintenance of {}", check.id), until })
            });
            // The one that lasts longest: what somebody has to end lasts for ever.
            let longest = by_people
                .chain(windows)
                .max_by_key(|rule| rule.until.map_or((1, Timestamp::EPOCH), |until| (0, until)))?;
            let earlier = |rule: &Rule| match (rule.until, longest.until) {
                (Some(one), Some(other)) => one <= other,
                (Some(_), None) | (None, None) => true,
                (None, Some(_)) => false,
            };
            all = Some(all.filter(earlier).unwrap_or(longest));
        }
        all
    }

    /// The parent that may be about to fail as well, for a short while.
    fn doubt(&self, incident: &IncidentRecord) -> Option<Rule> {
        let until = whole(incident.opened.plus(PARENT_WAIT));
        if until <= self.now {
            return None;
        }
        incident.failing().find_map(|member| match self.reach(&member.check) {
            Reach::Doubt(parent) => {
                let text = format!("parent {parent} is looked at first");
                Some(Rule { text, until: Some(until) })
            }
            Reach::Fine | Reach::Blocked(_) => None,
        })
    }
}

/// What is to be done next for a contact.
fn step(incident: &IncidentRecord, told: &Told, situation: &Situation, fits: bool) -> Step {
    if incident.closed.is_some() {
        return if told.flapping {
            Step::Say(NoticeKind::FlappingEnd)
        } else if told.problem {
            Step::Say(NoticeKind::Recovery)
        } else if told.at.is_none() {
            let last = incident.timeline.last().map_or("", |last| &last.text);
            let text = format!("over before anybody was told: {last}");
            Step::Hold(NoticeKind::Problem, Rule { text, until: None })
        } else {
            Step::Done
        };
    }
    if told.flapping && !situation.flapping {
        return Step::Say(NoticeKind::FlappingEnd);
    }
    if !told.problem && !told.flapping {
        return start(incident, told, situation, fits);
    }
    if incident.acknowledged.is_some() && !told.acknowledged {
        return Step::Say(NoticeKind::Acknowledged);
    }
    let hold = |kind, rules: &[Option<Rule>]| match rules.iter().flatten().next() {
        Some(rule) => Step::Hold(kind, rule.clone()),
        None => Step::Say(kind),
    };
    let silence = || situation.silence.clone();
    if situation.flapping && !told.flapping {
        return hold(NoticeKind::FlappingStart, &[silence()]);
    }
    if incident.cause.is_some() && !told.unreachable {
        return hold(NoticeKind::Unreachable, &[silence()]);
    }
    let flapping = || situation.flapping.then(|| rule("it flaps"));
    if told.view != situation.view && !situation.picomon && incident.cause.is_none() {
        let due = whole(told.at.unwrap_or_default().plus(situation.notices.updates_every));
        let early = (due > situation.now)
            .then(|| Rule { text: "updates_every".to_owned(), until: Some(due) });
        return hold(NoticeKind::Update, &[silence(), flapping(), early]);
    }
    let reminders = &situation.notices.reminders;
    let index = usize::try_from(told.reminders).unwrap_or(usize::MAX);
    let Some(pause) = reminders.get(index).or(reminders.last()) else { return Step::Done };
    let due = whole(told.at.unwrap_or_default().plus(*pause));
    if due > situation.now {
        return Step::Wait(due);
    }
    let parent = incident.cause.as_ref().map(|cause| rule(&format!("parent {cause} failed")));
    hold(NoticeKind::Reminder, &[acknowledged(incident), silence(), flapping(), parent])
}

/// A contact knows nothing of an incident that is not over.
fn start(incident: &IncidentRecord, told: &Told, situation: &Situation, fits: bool) -> Step {
    let kind = if situation.flapping {
        NoticeKind::FlappingStart
    } else if told.escalation {
        NoticeKind::Escalation
    } else {
        NoticeKind::Problem
    };
    let early = (told.from > situation.now).then(|| {
        let grouped = situation.notices.group.is_some();
        let text = match (told.escalation, grouped) {
            (true, _) => "escalation: its step is not due",
            (false, true) => "group: others may join",
            (false, false) => "notify_after: it may be over soon",
        };
        Rule { text: text.to_owned(), until: Some(told.from) }
    });
    let level = (!fits).then(|| {
        rule(&format!("contact {} does not want {}", told.contact, incident.level.word()))
    });
    let parent = incident.cause.as_ref().map(|cause| rule(&format!("parent {cause} failed")));
    let rules = [
        early,
        level,
        parent,
        acknowledged(incident),
        situation.silence.clone(),
        situation.doubt.clone(),
    ];
    match rules.into_iter().flatten().next() {
        Some(rule) => Step::Hold(kind, rule),
        None => Step::Say(kind),
    }
}

fn rule(text: &str) -> Rule {
    Rule { text: text.to_owned(), until: None }
}

fn acknowledged(incident: &IncidentRecord) -> Option<Rule> {
    let by = incident.acknowledged.as_ref()?;
    Some(Rule { text: format!("acknowledged by {}", by.author), until: by.until })
}

/// Writes down that a contact is told, and what.
fn say(
    incident: &mut IncidentRecord,
    told: &mut Told,
    situation: &Situation,
    kind: NoticeKind,
    picomon: Option<&PicomonNotice>,
) -> NoticeRequest {
    incident.notices = incident.notices.saturating_add(1);
    let number = incident.notices;
    let previous = told.at.map(|_| told.level);
    let earlier = told.sent.clone();
    match kind {
        NoticeKind::Problem | NoticeKind::Escalation => told.problem = true,
        NoticeKind::FlappingStart => told.flapping = true,
        NoticeKind::FlappingEnd => {
            told.flapping = false;
            // It is told that it does not flap any more, and that it fails.
            told.problem |= incident.closed.is_none();
        }
        NoticeKind::Recovery => told.problem = false,
        NoticeKind::Unreachable => told.unreachable = true,
        NoticeKind::Acknowledged => told.acknowledged = true,
        NoticeKind::Update | NoticeKind::Reminder | NoticeKind::Report | NoticeKind::Death => {}
    }
    // Whoever hears of it first hears who takes care and what is behind it as well.
    if previous.is_none() {
        told.acknowledged = incident.acknowledged.is_some();
        told.unreachable |= incident.cause.is_some();
    }
    told.reminders = match kind {
        NoticeKind::Reminder => told.reminders.saturating_add(1),
        // It is no news that changes how often one is reminded.
        NoticeKind::Acknowledged => told.reminders,
        NoticeKind::Problem
        | NoticeKind::Update
        | NoticeKind::Escalation
        | NoticeKind::Recovery
        | NoticeKind::FlappingStart
        | NoticeKind::FlappingEnd
        | NoticeKind::Unreachable
        | NoticeKind::Report
        | NoticeKind::Death => 0,
    };
    told.view.clone_from(&situation.view);
    told.level = incident.level;
    told.at = Some(situation.now);
    told.outcome = None;
    told.held = None;
    told.sent.push(number);
    if told.sent.len() > SENT_MAX {
        told.sent.remove(0);
    }
    let closed = incident.closed.is_some();
    NoticeRequest {
        id: format!("{}-{number}", incident.id),
        thread: incident.id.clone(),
        number,
        channel: told.channel.clone(),
        contact: told.contact.clone(),
        recipients: told.recipients.clone(),
        kind,
        at: situation.now,
        earlier,
        title: incident.title.clone(),
        level: if closed { hearken_proto::check::CheckStatus::Ok } else { incident.level },
        previous,
        incident: Some(incident.clone()),
        text: String::new(),
        picomon: picomon.cloned(),
    }
}

//! The fields of a cron timer and the expressions they may hold.

use jiff::civil::DateTime;

/// A field, from the most significant one down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Year,
    Month,
    Day,
    Week,
    DayOfWeek,
    Hour,
    Minute,
    Second,
}

impl Name {
    /// In the order of significance.
    pub(super) const ALL: [Self; 8] = [
        Self::Year,
        Self::Month,
        Self::Day,
        Self::Week,
        Self::DayOfWeek,
        Self::Hour,
        Self::Minute,
        Self::Second,
    ];

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Year => "year",
            Self::Month => "month",
            Self::Day => "day",
            Self::Week => "week",
            Self::DayOfWeek => "day_of_week",
            Self::Hour => "hour",
            Self::Minute => "minute",
            Self::Second => "second",
        }
    }

    pub(super) const fn minimum(self) -> i16 {
        match self {
            Self::Year => 1970,
            Self::Month | Self::Day | Self::Week => 1,
            Self::DayOfWeek | Self::Hour | Self::Minute | Self::Second => 0,
        }
    }

    const fn maximum(self) -> i16 {
        match self {
            Self::Year => 9999,
            Self::Month => 12,
            Self::Day => 31,
            Self::Week => 53,
            Self::DayOfWeek => 6,
            Self::Hour => 23,
            Self::Minute | Self::Second => 59,
        }
    }

    /// The last value it can have on this date.
    pub(super) fn maximum_at(self, date: DateTime) -> i16 {
        match self {
            Self::Day => i16::from(date.days_in_month()),
            Self::Year
            | Self::Month
            | Self::Week
            | Self::DayOfWeek
            | Self::Hour
            | Self::Minute
            | Self::Second => self.maximum(),
        }
    }

    /// Whether it is part of a date, and not computed from one.
    pub(super) const fn is_real(self) -> bool {
        !matches!(self, Self::Week | Self::DayOfWeek)
    }

    pub(super) fn value(self, date: DateTime) -> i16 {
        match self {
            Self::Year => date.year(),
            Self::Month => i16::from(date.month()),
            Self::Day => i16::from(date.day()),
            Self::Week => i16::from(date.date().iso_week_date().week()),
            Self::DayOfWeek => i16::from(date.weekday().to_monday_zero_offset()),
            Self::Hour => i16::from(date.hour()),
            Self::Minute => i16::from(date.minute()),
            Self::Second => i16::from(date.second()),
        }
    }
}

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const POSITIONS: [&str; 6] = ["1st", "2nd", "3rd", "4th", "5th", "last"];

/// One of the expressions between the commas of a field.
#[derive(Clone, Debug, PartialEq)]
enum Expression {
    /// `*`, `*/5`, `3`, `1-5`, `1-5/2`, `3/5`
    Range { first: Option<i16>, last: Option<i16>, step: Option<i16> },
    /// `2nd tue`, `last fri`: the position from 0, 5 for the last; the weekday from Monday.
    Position { position: i16, weekday: i16 },
    /// `last`: the last day of the month.
    LastDay,
}

/// A field and the values it may have.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) name: Name,
    expressions: Vec<Expression>,
}

impl Field {
    /// Reads the text of a field.
    pub(super) fn parse(name: Name, text: &str) -> Result<Self, String> {
        let expressions = text
            .trim()
            .split(',')
            .map(|part| expression(name, part.trim_matches(' ')))
            .collect::<Result<_, _>>()?;
        Ok(Self { name, expressions })
    }

    /// The first value from the one at `date` on; none when the rest has none.
    pub(super) fn next_value(&self, date: DateTime) -> Option<i16> {
        self.expressions.iter().filter_map(|expression| expression.next(self.name, date)).min()
    }
}

fn expression(name: Name, text: &str) -> Result<Expression, String> {
    let unknown = || format!("{text:?} is not understood for {}", name.word());
    if let Some(rest) = text.strip_prefix('*') {
        let step = match rest.strip_prefix('/') {
            Some(step) => Some(number(step).ok_or_else(unknown)?),
            None if rest.is_empty() => None,
            None => return Err(unknown()),
        };
        return range(name, None, None, step);
    }
    if text.starts_with(|c: char| c.is_ascii_digit())
        && let Some(expression) = numbers(name, text)
    {
        return expression;
    }
    let lower = text.to_ascii_lowercase();
    match name {
        Name::Day => {
            if let Some((position, weekday)) = lower.split_once(' ')
                && let Some(position) = index(&POSITIONS, position)
            {
                let weekday = weekday.trim_start();
                let weekday = index(&WEEKDAYS, weekday)
                    .ok_or_else(|| format!("{weekday:?} is no weekday"))?;
                return Ok(Expression::Position { position, weekday });
            }
            if lower.starts_with("last") { Ok(Expression::LastDay) } else { Err(unknown()) }
        }
        Name::DayOfWeek => names(name, &lower, &WEEKDAYS, 0).ok_or_else(unknown)?,
        Name::Month => names(name, &lower, &MONTHS, 1).ok_or_else(unknown)?,
        Name::Year | Name::Week | Name::Hour | Name::Minute | Name::Second => Err(unknown()),
    }
}

fn number(text: &str) -> Option<i16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// `3`, `1-5`, `1-5/2`, `3/5`; none when it is of another form.
fn numbers(name: Name, text: &str) -> Option<Result<Expression, String>> {
    let (span, step) = match text.split_once('/') {
        Some((span, step)) => (span, Some(number(step)?)),
        None => (text, None),
    };
    let (first, last) = match span.split_once('-') {
        Some((first, last)) => (number(first)?, Some(number(last)?)),
        None => (number(span)?, None),
    };
    // A lone number is a range of one; with a step it goes on to the end.
    let last = if last.is_none() && step.is_none() { Some(first) } else { last };
    Some(range(name, Some(first), last, step))
}

/// `mon`, `mon-fri`. What follows the names is not looked at, as in APScheduler.
fn names(name: Name, text: &str, known: &[&str], base: i16) -> Option<Result<Expression, String>> {
    let letters = |text: &str| -> usize {
        text.find(|c: char| !c.is_ascii_lowercase()).unwrap_or(text.len())
    };
    let (first, rest) = text.split_at(letters(text));
    if first.is_empty() {
        return None;
    }
    let read = |word: &str| match index(known, word) {
        Some(place) => Ok(place + base),
        None => Err(format!("{word:?} is no name of a {}", name.word().replace('_', " "))),
    };
    let last = rest.strip_prefix('-').map(|rest| rest.split_at(letters(rest)).0);
    Some(read(first).and_then(|first| {
        let last = match last.filter(|last| !last.is_empty()) {
            Some(last) => read(last)?,
            None => first,
        };
        range(name, Some(first), Some(last), None)
    }))
}

fn index(known: &[&str], word: &str) -> Option<i16> {
    known.iter().position(|known| *known == word).and_then(|place| i16::try_from(place).ok())
}

fn range(
    name: Name,
    first: Option<i16>,
    last: Option<i16>,
    step: Option<i16>,
) -> Result<Expression, String> {
    let (low, high) = (first.unwrap_or(name.minimum()), last.unwrap_or(name.maximum()));
    if low < name.minimum() {
        return Err(format!("{low} is below the minimum of {}, {}", name.word(), name.minimum()));
    }
    if high > name.maximum() {
        return Err(format!("{high} is above the maximum of {}, {}", name.word(), name.maximum()));
    }
    if low > high {
        return Err(format!("the range {low}-{high} of {} runs backwards", name.word()));
    }
    match step {
        Some(0) => Err("a step of 0 leads nowhere".to_owned()),
        Some(step) if step > high - low => {
            Err(format!("the step {step} of {} is longer than its range", name.word()))
        }
        Some(_) | None => Ok(Expression::Range { first, last, step }),
    }
}

impl Expression {
    fn next(&self, name: Name, date: DateTime) -> Option<i16> {
        match self {
            Self::Range { first, last, step } => {
                let low = first.unwrap_or(name.minimum()).max(name.minimum());
                let maximum = name.maximum_at(date);
                let high = last.map_or(maximum, |last| last.min(maximum));
                let mut next = name.value(date).max(low);
                if let Some(step) = step {
                    next += (step - (next - low)).rem_euclid(*step);
                }
                (next <= high).then_some(next)
            }
            Self::Position { position, weekday } => {
                let first_weekday =
                    i16::from(date.first_of_month().weekday().to_monday_zero_offset());
                let first_hit = (weekday - first_weekday).rem_euclid(7) + 1;
                let last_day = i16::from(date.days_in_month());
                let target = if *position < 5 {
                    first_hit + position * 7
                } else {
                    first_hit + (last_day - first_hit) / 7 * 7
                };
                (target <= last_day && target >= i16::from(date.day())).then_some(target)
            }
            Self::LastDay => Some(i16::from(date.days_in_month())),
        }
    }
}

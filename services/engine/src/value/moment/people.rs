//! Moments in free text, as `dateutil.parser.parse` reads them: months before days, English names,
//! what is missing from today.

use jiff::ToSpan;
use jiff::civil::{Date, Time, Weekday};

use super::Moment;
use super::tokens::split;

/// Longest text that is looked at, in bytes.
const LENGTH_MAX: usize = 200;

/// Words that mean nothing.
const JUMPS: &[&str] = &[
    " ", ".", ",", ";", "-", "/", "'", "at", "on", "and", "ad", "m", "t", "of", "st", "nd", "rd",
    "th",
];
const WEEKDAYS: &[&[&str]] = &[
    &["mon", "monday"],
    &["tue", "tuesday"],
    &["wed", "wednesday"],
    &["thu", "thursday"],
    &["fri", "friday"],
    &["sat", "saturday"],
    &["sun", "sunday"],
];
const MONTHS: &[&[&str]] = &[
    &["jan", "january"],
    &["feb", "february"],
    &["mar", "march"],
    &["apr", "april"],
    &["may"],
    &["jun", "june"],
    &["jul", "july"],
    &["aug", "august"],
    &["sep", "sept", "september"],
    &["oct", "october"],
    &["nov", "november"],
    &["dec", "december"],
];
const UNITS: &[&[&str]] =
    &[&["h", "hour", "hours"], &["m", "minute", "minutes"], &["s", "second", "seconds"]];
const HALVES: &[&[&str]] = &[&["am", "a"], &["pm", "p"]];

/// Reads a moment; `today` fills the gaps.
pub(super) fn parse(text: &str, today: Date) -> Option<Moment> {
    if text.len() > LENGTH_MAX {
        return None;
    }
    let mut reader = Reader { tokens: split(text), ..Reader::default() };
    let mut at = 0;
    while at < reader.tokens.len() {
        at = reader.step(at)? + 1;
    }
    reader.build(today)
}

fn place(known: &[&[&str]], word: &str) -> Option<usize> {
    let word = word.to_lowercase();
    known.iter().position(|names| names.contains(&word.as_str()))
}

fn is_jump(word: &str) -> bool {
    JUMPS.contains(&word.to_lowercase().as_str())
}

fn is_utc(word: &str) -> bool {
    matches!(word, "UTC" | "GMT" | "Z" | "z")
}

/// What one of the numbers of a date is known to be.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Part {
    Unknown,
    Year,
    Month,
}

#[derive(Default)]
struct Reader {
    tokens: Vec<String>,
    /// Numbers of the date, in the order in which they were met.
    date: Vec<(i64, Part)>,
    century_given: bool,
    weekday: Option<usize>,
    hour: Option<i64>,
    minute: Option<i64>,
    second: Option<i64>,
    microsecond: Option<i64>,
    half: Option<usize>,
    zone: Option<String>,
    offset: Option<i64>,
}

impl Reader {
    fn token(&self, at: usize) -> Option<&str> {
        self.tokens.get(at).map(String::as_str)
    }

    /// Reads what begins at `at`; gives the place of the last token that was used.
    fn step(&mut self, at: usize) -> Option<usize> {
        let token = self.token(at)?.to_owned();
        if let Some(value) = number(&token) {
            return self.number(at, &token, value);
        }
        if let Some(weekday) = place(WEEKDAYS, &token) {
            self.weekday = Some(weekday);
            return Some(at);
        }
        if let Some(month) = place(MONTHS, &token) {
            return self.month(at, month);
        }
        if let Some(half) = place(HALVES, &token) {
            return self.half(half).map(|()| at);
        }
        if self.could_be_zone(&token) {
            self.name_zone(at, &token);
            return Some(at);
        }
        if self.hour.is_some() && matches!(token.as_str(), "+" | "-") {
            return self.numbered_zone(at, &token);
        }
        is_jump(&token).then_some(at)
    }

    fn push(&mut self, value: i64, part: Part) -> Option<()> {
        // A part can be known once.
        if part != Part::Unknown && self.date.iter().any(|(_, known)| *known == part) {
            return None;
        }
        self.date.push((value, part));
        Some(())
    }

    fn push_text(&mut self, text: &str) -> Option<()> {
        let value: i64 = text.parse().ok()?;
        let long = text.chars().count() > 2;
        self.century_given |= long;
        self.push(value, if long { Part::Year } else { Part::Unknown })
    }

    fn push_value(&mut self, value: f64) -> Option<()> {
        let long = value > 100.0;
        self.century_given |= long;
        self.push(whole(value)?, if long { Part::Year } else { Part::Unknown })
    }

    fn push_month(&mut self, month: usize) -> Option<()> {
        self.push(i64::try_from(month).ok()? + 1, Part::Month)
    }

    /// A month's name, and what belongs to it: `Jan-01-99`, `Jan of 01`.
    fn month(&mut self, at: usize, month: usize) -> Option<usize> {
        self.push_month(month)?;
        let separator = self.token(at + 1).unwrap_or_default().to_owned();
        if matches!(separator.as_str(), "-" | "/") {
            let second = self.token(at + 2)?.to_owned();
            self.push_text(&second)?;
            if self.token(at + 3) == Some(separator.as_str()) {
                let third = self.token(at + 4)?.to_owned();
                self.push_text(&third)?;
                return Some(at + 4);
            }
            return Some(at + 2);
        }
        let of = separator == " "
            && self.token(at + 2).is_some_and(|word| word.eq_ignore_ascii_case("of"))
            && self.token(at + 3) == Some(" ");
        if of && let Some(year) = self.token(at + 4).and_then(|word| word.parse::<i64>().ok()) {
            self.push(year, Part::Year)?;
            return Some(at + 4);
        }
        Some(at)
    }

    fn half(&mut self, half: usize) -> Option<()> {
        // Without an hour, or with one of 24, it makes no sense.
        let hour = self.hour.filter(|hour| (0..=12).contains(hour))?;
        self.hour = Some(in_half(hour, half));
        self.half = Some(half);
        Some(())
    }

    fn could_be_zone(&self, word: &str) -> bool {
        self.hour.is_some()
            && self.zone.is_none()
            && self.offset.is_none()
            && word.chars().count() <= 5
            && (word.bytes().all(|byte| byte.is_ascii_uppercase()) || is_utc(word))
    }

    fn name_zone(&mut self, at: usize, word: &str) {
        self.zone = Some(word.to_owned());
        self.offset = is_utc(word).then_some(0);
        let Some(sign) = self.tokens.get_mut(at + 1).filter(|sign| *sign == "+" || *sign == "-")
        else {
            return;
        };
        // "GMT+3" is read as POSIX has it: my time plus 3 hours is GMT.
        *sign = if sign == "+" { "-" } else { "+" }.to_owned();
        self.offset = None;
        if is_utc(word) {
            self.zone = None;
        }
    }

    /// `+0100`, `+01:00`, `+1`, each perhaps with a name in parentheses behind.
    fn numbered_zone(&mut self, at: usize, sign: &str) -> Option<usize> {
        let digits = self.token(at + 1)?.to_owned();
        let (hours, minutes, mut end): (i64, i64, usize) = if digits.len() == 4 {
            (digits.get(..2)?.parse().ok()?, digits.get(2..)?.parse().ok()?, at + 1)
        } else if self.token(at + 2) == Some(":") {
            (digits.parse().ok()?, self.token(at + 3)?.parse().ok()?, at + 3)
        } else if digits.len() <= 2 {
            (digits.parse().ok()?, 0, at + 1)
        } else {
            return None;
        };
        let seconds = hours * 3_600 + minutes * 60;
        self.offset = Some(if sign == "+" { seconds } else { -seconds });
        let named = self.token(end + 1).is_some_and(is_jump)
            && self.token(end + 2) == Some("(")
            && self.token(end + 3).is_some_and(|name| name.len() >= 3)
            && self.token(end + 4) == Some(")");
        if named {
            end += 4;
        }
        Some(end)
    }

    fn number(&mut self, at: usize, token: &str, value: f64) -> Option<usize> {
        let length = token.len();
        let next = self.token(at + 1).map(str::to_owned);
        let next = next.as_deref();
        let alone = next.is_none_or(|next| next != ":" && place(UNITS, next).is_none());
        if self.date.len() == 3 && matches!(length, 2 | 4) && self.hour.is_none() && alone {
            // 19990101T23[59]
            self.hour = Some(token.get(..2)?.parse().ok()?);
            if length == 4 {
                self.minute = Some(token.get(2..)?.parse().ok()?);
            }
            return Some(at);
        }
        if length == 6 || (length > 6 && token.find('.') == Some(6)) {
            return self.six_digits(token).map(|()| at);
        }
        if matches!(length, 8 | 12 | 14) {
            return self.long_date(token).map(|()| at);
        }
        if let Some(unit_at) = self.unit_beside(at) {
            return self.with_unit(at, unit_at, value);
        }
        match next {
            Some(":") if self.token(at + 2).is_some() => self.clock(at, value),
            Some(separator @ ("-" | "/" | ".")) => self.separated(at, token, separator),
            None => self.part_of_date(at, value),
            Some(word) if is_jump(word) => self.part_of_date(at, value),
            Some(word) => match place(HALVES, word) {
                Some(half) if (0.0..24.0).contains(&value) => {
                    self.hour = Some(in_half(whole(value)?, half));
                    Some(at + 1)
                }
                _ if self.could_be_day(value) => self.push_value(value).map(|()| at),
                _ => None,
            },
        }
    }

    /// `YYMMDD`, or `HHMMSS[.ss]` once there is a date.
    fn six_digits(&mut self, token: &str) -> Option<()> {
        if self.date.is_empty() && !token.contains('.') {
            for part in [token.get(..2)?, token.get(2..4)?, token.get(4..)?] {
                self.push_text(part)?;
            }
            return Some(());
        }
        self.hour = Some(token.get(..2)?.parse().ok()?);
        self.minute = Some(token.get(2..4)?.parse().ok()?);
        self.seconds(token.get(4..)?)
    }

    /// `YYYYMMDD[hhmm[ss]]`
    fn long_date(&mut self, token: &str) -> Option<()> {
        self.century_given = true;
        self.push(token.get(..4)?.parse().ok()?, Part::Year)?;
        self.push_text(token.get(4..6)?)?;
        self.push_text(token.get(6..8)?)?;
        if token.len() > 8 {
            self.hour = Some(token.get(8..10)?.parse().ok()?);
            self.minute = Some(token.get(10..12)?.parse().ok()?);
        }
        if token.len() > 12 {
            self.second = Some(token.get(12..)?.parse().ok()?);
        }
        Some(())
    }

    /// Where the unit of the number at `at` stands: behind it, or before (`12h 04`).
    fn unit_beside(&self, at: usize) -> Option<usize> {
        let is_unit = |place_of: Option<usize>| {
            let place_of = place_of?;
            self.token(place_of).and_then(|word| place(UNITS, word)).map(|_| place_of)
        };
        let last = self.tokens.len() == at + 1;
        is_unit(at.checked_add(1))
            .or_else(|| {
                let blank = self.token(at + 1) == Some(" ");
                if blank { is_unit(at.checked_add(2)) } else { None }
            })
            .or_else(|| is_unit(at.checked_sub(1)))
            .or_else(|| {
                let blank = at.checked_sub(1).and_then(|before| self.token(before)) == Some(" ");
                if last && blank { is_unit(at.checked_sub(2)) } else { None }
            })
    }

    fn with_unit(&mut self, at: usize, unit_at: usize, value: f64) -> Option<usize> {
        let mut unit = self.token(unit_at).and_then(|word| place(UNITS, word))?;
        let after = unit_at > at;
        if !after {
            // "12h 04": the number belongs to the next smaller unit.
            unit += 1;
        }
        let rest = value.fract() * 60.0;
        match unit {
            0 => {
                self.hour = Some(whole(value)?);
                if value.fract() != 0.0 {
                    self.minute = Some(whole(rest)?);
                }
            }
            1 => self.minutes(value)?,
            _ => {
                let text = self.token(at)?.to_owned();
                self.seconds(&text)?;
            }
        }
        Some(if after { unit_at } else { at })
    }

    fn minutes(&mut self, value: f64) -> Option<()> {
        self.minute = Some(whole(value)?);
        if value.fract() != 0.0 {
            self.second = Some(whole(value.fract() * 60.0)?);
        }
        Some(())
    }

    fn seconds(&mut self, text: &str) -> Option<()> {
        match text.split_once('.') {
            None => self.second = Some(text.parse().ok()?),
            Some((seconds, fraction)) => {
                self.second = Some(seconds.parse().ok()?);
                let micros: String = fraction.chars().chain("000000".chars()).take(6).collect();
                self.microsecond = Some(micros.parse().ok()?);
            }
        }
        Some(())
    }

    /// `HH:MM[:SS[.ss]]`
    fn clock(&mut self, at: usize, hour: f64) -> Option<usize> {
        self.hour = Some(whole(hour)?);
        let minutes = number(self.token(at + 2)?)?;
        self.minutes(minutes)?;
        if self.token(at + 3) == Some(":") && self.token(at + 4).is_some() {
            let text = self.token(at + 4)?.to_owned();
            self.seconds(&text)?;
            return Some(at + 4);
        }
        Some(at + 2)
    }

    /// `01-02[-03]`, `01/Jan/03`, with one separator throughout.
    fn separated(&mut self, at: usize, token: &str, separator: &str) -> Option<usize> {
        self.push_text(token)?;
        let Some(second) = self.token(at + 2).map(str::to_owned).filter(|word| !is_jump(word))
        else {
            return Some(at + 1);
        };
        if second.bytes().all(|byte| byte.is_ascii_digit()) {
            self.push_text(&second)?;
        } else {
            self.push_month(place(MONTHS, &second)?)?;
        }
        if self.token(at + 3) != Some(separator) {
            return Some(at + 2);
        }
        let third = self.token(at + 4)?.to_owned();
        match place(MONTHS, &third) {
            Some(month) => self.push_month(month)?,
            None => self.push_text(&third)?,
        }
        Some(at + 4)
    }

    /// A number by itself: an hour before am or pm, else a year, month or day.
    fn part_of_date(&mut self, at: usize, value: f64) -> Option<usize> {
        match self.token(at + 2).and_then(|word| place(HALVES, word)) {
            Some(half) => {
                self.hour = Some(in_half(whole(value)?, half));
                Some(at + 2)
            }
            None => self.push_value(value).map(|()| at + 1),
        }
    }

    fn could_be_day(&self, value: f64) -> bool {
        (1.0..=31.0).contains(&value)
    }

    /// Year, month and day, by what is known and by what the numbers can be.
    fn resolve(&self) -> Option<(Option<i64>, Option<i64>, Option<i64>)> {
        let values: Vec<i64> = self.date.iter().map(|(value, _)| *value).collect();
        let at = |wanted: Part| self.date.iter().position(|(_, part)| *part == wanted);
        let (year_at, month_at) = (at(Part::Year), at(Part::Month));
        Some(match (values.as_slice(), month_at) {
            ([], _) => (None, None, None),
            ([month], Some(_)) => (None, Some(*month), None),
            ([other], None) if *other > 31 || year_at.is_some() => (Some(*other), None, None),
            ([day], None) => (None, None, Some(*day)),
            ([first, second], Some(month_at)) => {
                let (month, other) = if month_at == 0 { (first, second) } else { (second, first) };
                if *other > 31 || year_at.is_some() {
                    (Some(*other), Some(*month), None)
                } else {
                    (None, Some(*month), Some(*other))
                }
            }
            ([first, second], None) => {
                if *first > 31 || year_at == Some(0) {
                    (Some(*first), Some(*second), None)
                } else if *second > 31 || year_at == Some(1) {
                    (Some(*second), Some(*first), None)
                } else {
                    (None, Some(*first), Some(*second))
                }
            }
            ([first, second, third], month_at) => {
                let order = match (month_at, year_at) {
                    (Some(month), Some(year)) => [year, month, 3 - month - year],
                    (Some(0), None) if *second > 31 => [1, 0, 2],
                    (Some(0), None) => [2, 0, 1],
                    (Some(1), None) if *first > 31 => [0, 1, 2],
                    (Some(1), None) => [2, 1, 0],
                    (Some(_), None) if *second > 31 => [1, 2, 0],
                    (Some(_), None) => [0, 2, 1],
                    (None, Some(0)) => [0, 1, 2],
                    (None, _) if *first > 31 => [0, 1, 2],
                    (None, _) if *first > 12 => [2, 1, 0],
                    (None, _) => [2, 0, 1],
                };
                let [year, month, day] =
                    order.map(|place| [*first, *second, *third].get(place).copied());
                (year, month, day)
            }
            _ => return None,
        })
    }

    fn build(&self, today: Date) -> Option<Moment> {
        let nothing = self.date.is_empty()
            && self.weekday.is_none()
            && self.hour.is_none()
            && self.minute.is_none()
            && self.second.is_none();
        if nothing {
            return None;
        }
        let (year, month, day) = self.resolve()?;
        let year = match year {
            Some(year) => i16::try_from(self.full_year(year, today)).ok()?,
            None => today.year(),
        };
        let month = month.map_or(Some(today.month()), |month| i8::try_from(month).ok())?;
        let first = Date::new(year, month, 1).ok()?;
        let mut date = match day {
            Some(day) => Date::new(year, month, i8::try_from(day).ok()?).ok()?,
            // The 31st of a shorter month is its last day.
            None => Date::new(year, month, today.day().min(first.days_in_month())).ok()?,
        };
        if let Some(weekday) = self.weekday.filter(|_| day.is_none()) {
            let wanted = Weekday::from_monday_zero_offset(i8::try_from(weekday).ok()?).ok()?;
            date = date.checked_add(i64::from(date.weekday().until(wanted)).days()).ok()?;
        }
        let small = |value: Option<i64>| i8::try_from(value.unwrap_or(0)).ok();
        let nanosecond = i32::try_from(self.microsecond.unwrap_or(0)).ok()? * 1_000;
        let time =
            Time::new(small(self.hour)?, small(self.minute)?, small(self.second)?, nanosecond)
                .ok()?;
        let offset_seconds = match self.offset {
            Some(offset) => Some(i32::try_from(offset).ok()?),
            None => None,
        };
        Some(Moment { civil: date.to_datetime(time), offset_seconds })
    }

    /// Two digits mean the nearest such year.
    fn full_year(&self, year: i64, today: Date) -> i64 {
        if year >= 100 || self.century_given {
            return year;
        }
        let this = i64::from(today.year());
        let near = this - this % 100 + year;
        if near >= this + 50 {
            near - 100
        } else if near < this - 50 {
            near + 100
        } else {
            near
        }
    }
}

fn number(token: &str) -> Option<f64> {
    let digits = token.starts_with(|c: char| c.is_ascii_digit());
    if digits { token.parse().ok() } else { None }
}

fn whole(value: f64) -> Option<i64> {
    /// No part of a date is beyond this.
    const WHOLE_MAX: f64 = 1e15;
    if !(0.0..WHOLE_MAX).contains(&value) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked against WHOLE_MAX")]
    Some(value.trunc() as i64)
}

const fn in_half(hour: i64, half: usize) -> i64 {
    match (half, hour) {
        (1, 0..12) => hour + 12,
        (0, 12) => 0,
        _ => hour,
    }
}

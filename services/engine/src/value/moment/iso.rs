//! ISO 8601 as `ciso8601` reads it: calendar, week and ordinal dates, basic and extended form.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, ISOWeekDate, Time, Weekday};

use super::Moment;

/// Reads the whole text, or nothing.
pub(super) fn parse(text: &str) -> Option<Moment> {
    let mut reader = Reader { rest: text };
    let date = reader.date()?;
    if reader.rest.is_empty() {
        return Some(Moment { civil: date.at(0, 0, 0, 0), offset_seconds: None });
    }
    if !reader.accept('T') && !reader.accept('t') && !reader.accept(' ') {
        return None;
    }
    let civil = reader.time(date)?;
    let offset_seconds = if reader.rest.is_empty() { None } else { Some(reader.offset()?) };
    reader.rest.is_empty().then_some(Moment { civil, offset_seconds })
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    fn accept(&mut self, wanted: char) -> bool {
        match self.rest.strip_prefix(wanted) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// A number of exactly so many digits.
    fn digits(&mut self, count: usize) -> Option<i16> {
        let digits = self.rest.get(..count)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.rest = self.rest.get(count..)?;
        digits.parse().ok()
    }

    fn small(&mut self) -> Option<i8> {
        self.digits(2).and_then(|number| i8::try_from(number).ok())
    }

    fn count_digits(&self) -> usize {
        self.rest.bytes().take_while(u8::is_ascii_digit).count()
    }

    fn date(&mut self) -> Option<Date> {
        let year = self.digits(4)?;
        let extended = self.accept('-');
        if self.accept('W') {
            return self.week(year, extended);
        }
        match (self.count_digits(), extended) {
            (3, _) => {
                let day = self.digits(3).filter(|day| *day >= 1)?;
                let date = Date::new(year, 1, 1).ok()?.checked_add((day - 1).days()).ok()?;
                (date.year() == year).then_some(date)
            }
            (2, true) => {
                let month = self.small()?;
                let day = if self.accept('-') { self.small()? } else { 1 };
                Date::new(year, month, day).ok()
            }
            (4, false) => {
                let (month, day) = (self.small()?, self.small()?);
                Date::new(year, month, day).ok()
            }
            (_, _) => None,
        }
    }

    fn week(&mut self, year: i16, extended: bool) -> Option<Date> {
        let week = self.small()?;
        let more = if extended { self.accept('-') } else { self.count_digits() > 0 };
        let day = match more {
            true => i8::try_from(self.digits(1)?).ok()?,
            false => 1,
        };
        let weekday = Weekday::from_monday_one_offset(day).ok()?;
        Some(ISOWeekDate::new(year, week, weekday).ok()?.date())
    }

    fn time(&mut self, date: Date) -> Option<DateTime> {
        let hour = self.small()?;
        let extended = self.accept(':');
        let minute = if extended || self.count_digits() >= 2 { self.small()? } else { 0 };
        let second_follows = if extended { self.accept(':') } else { self.count_digits() >= 2 };
        let second = if second_follows { self.small()? } else { 0 };
        let nanosecond = if second_follows && (self.accept('.') || self.accept(',')) {
            self.fraction()?
        } else {
            0
        };
        if hour == 24 {
            let midnight = minute == 0 && second == 0 && nanosecond == 0;
            return midnight.then(|| date.tomorrow().ok())?.map(|date| date.at(0, 0, 0, 0));
        }
        Some(date.to_datetime(Time::new(hour, minute, second, nanosecond).ok()?))
    }

    /// Digits after the point; what is finer than a microsecond is dropped.
    fn fraction(&mut self) -> Option<i32> {
        let count = self.count_digits();
        let digits = self.rest.get(..count).filter(|digits| !digits.is_empty())?;
        let micros: String = digits.chars().chain("000000".chars()).take(6).collect();
        self.rest = self.rest.get(count..)?;
        micros.parse::<i32>().ok().map(|micros| micros * 1_000)
    }

    fn offset(&mut self) -> Option<i32> {
        if self.accept('Z') || self.accept('z') {
            return Some(0);
        }
        let negative = self.accept('-');
        if !negative && !self.accept('+') {
            return None;
        }
        let hours = i32::from(self.small()?);
        let colon = self.accept(':');
        let minutes = if colon || self.count_digits() > 0 { i32::from(self.small()?) } else { 0 };
        let seconds = hours * 3_600 + minutes * 60;
        (hours < 24 && minutes < 60).then_some(if negative { -seconds } else { seconds })
    }
}

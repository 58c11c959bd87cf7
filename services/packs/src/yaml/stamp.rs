//! Dates and times in plain scalars: what PyYAML turns into date objects, as text in ISO form.
//!
//! A spelling that looks like a date but is none (the 31st of February) stays the text it was;
//! PyYAML refuses the whole file there, which helps nobody.

/// The ISO text of a date or time as Python's `isoformat` prints it; nothing for other texts.
pub(crate) fn iso(text: &str) -> Option<String> {
    let mut rest = Reader { text };
    let year = rest.digits(4, 4)?;
    rest.one('-')?;
    let (month, month_digits) = rest.counted(1, 2)?;
    rest.one('-')?;
    let (day, day_digits) = rest.counted(1, 2)?;
    if !is_date(year, month, day) {
        return None;
    }
    let date = format!("{year:04}-{month:02}-{day:02}");
    if rest.text.is_empty() {
        // A date alone needs both digits; with a time behind it one is enough.
        return (month_digits == 2 && day_digits == 2).then_some(date);
    }
    if rest.one('T').or_else(|| rest.one('t')).is_none() {
        rest.blanks(1)?;
    }
    let clock = clock(&mut rest)?;
    let zone = zone(&mut rest)?;
    rest.text.is_empty().then(|| format!("{date}T{clock}{zone}"))
}

/// `h:mm:ss[.fraction]`, microseconds printed only when there are some.
fn clock(rest: &mut Reader<'_>) -> Option<String> {
    let hour = rest.digits(1, 2)?;
    rest.one(':')?;
    let minute = rest.digits(2, 2)?;
    rest.one(':')?;
    let second = rest.digits(2, 2)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut clock = format!("{hour:02}:{minute:02}:{second:02}");
    if rest.one('.').is_some() {
        let digits = rest.run();
        let micros: String = digits.chars().chain("000000".chars()).take(6).collect();
        if micros.bytes().any(|digit| digit != b'0') {
            clock.push('.');
            clock.push_str(&micros);
        }
    }
    Some(clock)
}

/// `Z`, `+h`, `-hh:mm` or nothing.
fn zone(rest: &mut Reader<'_>) -> Option<String> {
    if rest.text.is_empty() {
        return Some(String::new());
    }
    rest.blanks(0)?;
    if rest.one('Z').is_some() {
        return Some("+00:00".to_owned());
    }
    let negative = rest.one('+').map(|()| false).or_else(|| rest.one('-').map(|()| true))?;
    let hours = rest.digits(1, 2)?;
    let minutes = if rest.one(':').is_some() { rest.digits(2, 2)? } else { 0 };
    let total = hours * 60 + minutes;
    if total >= 24 * 60 {
        return None;
    }
    let sign = if negative && total > 0 { '-' } else { '+' };
    Some(format!("{sign}{:02}:{:02}", total / 60, total % 60))
}

/// Whether the calendar has this day; Python's calendar starts with the year 1.
fn is_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return false,
    };
    year >= 1 && (1..=days).contains(&day)
}

/// What is left of a text.
struct Reader<'text> {
    /// Not yet read.
    text: &'text str,
}

impl<'text> Reader<'text> {
    /// Takes `expected` when it is next.
    fn one(&mut self, expected: char) -> Option<()> {
        self.text = self.text.strip_prefix(expected)?;
        Some(())
    }

    /// Takes blanks and tabs; nothing when there are fewer than `least`.
    fn blanks(&mut self, least: usize) -> Option<()> {
        let rest = self.text.trim_start_matches([' ', '\t']);
        (self.text.len() - rest.len() >= least).then(|| self.text = rest)
    }

    /// Takes all digits that are next.
    fn run(&mut self) -> &'text str {
        let end = self.text.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.text.split_at(end);
        self.text = rest;
        digits
    }

    /// Takes between `least` and `most` digits, as a number.
    fn digits(&mut self, least: usize, most: usize) -> Option<u32> {
        self.counted(least, most).map(|(value, _)| value)
    }

    /// As [`Self::digits`], and how many digits there were.
    fn counted(&mut self, least: usize, most: usize) -> Option<(u32, usize)> {
        let digits = self.run();
        if !(least..=most).contains(&digits.len()) {
            return None;
        }
        Some((digits.parse().ok()?, digits.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row was read by PyYAML 6.0.3 first.
    #[test]
    fn times_become_what_python_prints() {
        let rows = [
            ("2001-12-14", Some("2001-12-14")),
            ("2001-12-14t21:59:43.10-05:00", Some("2001-12-14T21:59:43.100000-05:00")),
            ("2001-12-14 21:59:43.10 -5", Some("2001-12-14T21:59:43.100000-05:00")),
            ("2001-12-15 2:59:43.10", Some("2001-12-15T02:59:43.100000")),
            ("2001-1-4T1:02:03Z", Some("2001-01-04T01:02:03+00:00")),
            ("2001-12-14T21:59:43.", Some("2001-12-14T21:59:43")),
            ("2001-12-14T21:59:43.1234567", Some("2001-12-14T21:59:43.123456")),
            ("2001-12-14T21:59:43-00:00", Some("2001-12-14T21:59:43+00:00")),
            ("2024-02-29", Some("2024-02-29")),
            ("2023-02-29", None),
            ("0000-01-01", None),
            ("2001-1-4", None),
            ("2001-12-14T25:00:00", None),
            ("2001-12-14T21:59", None),
            ("20011214", None),
        ];
        for (given, expected) in rows {
            assert_eq!(iso(given).as_deref(), expected, "{given:?}");
        }
    }
}

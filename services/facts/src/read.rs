//! Reading the small text files of the kernel and of `/etc`: bounded, and wrong text has a place.
//!
//! Every file is read to a limit and refused beyond it: half a table would be taken for a whole
//! one. A [`Row`] knows its file and line, so whatever cannot be understood says where it stands.
//! Bytes that are no UTF-8 are replaced; names of processes and mounts may hold any.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::Unavailable;

/// A file that was read, with its name for messages.
#[derive(Debug)]
pub(crate) struct Text {
    path: PathBuf,
    text: String,
}

/// One line of a file, without its end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    path: &'a Path,
    number: usize,
    /// What stands in the line.
    pub(crate) text: &'a str,
}

/// The words of a line, taken from the left.
#[derive(Debug)]
pub(crate) struct Words<'a> {
    row: Row<'a>,
    rest: std::str::SplitAsciiWhitespace<'a>,
}

impl Text {
    /// Reads a file of at most `limit` bytes.
    pub(crate) fn read(path: impl Into<PathBuf>, limit: usize) -> Result<Self, Unavailable> {
        let path = path.into();
        let bytes = bytes(&path, limit)?;
        let text = String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
        Ok(Self { path, text })
    }

    /// Reads a file that some machines don't have: `None` where it is missing.
    pub(crate) fn read_if_there(
        path: impl Into<PathBuf>,
        limit: usize,
    ) -> Result<Option<Self>, Unavailable> {
        match Self::read(path, limit) {
            Ok(text) => Ok(Some(text)),
            Err(Unavailable::Missing { .. }) => Ok(None),
            Err(unavailable) => Err(unavailable),
        }
    }

    /// Text that was read elsewhere.
    #[cfg(test)]
    pub(crate) fn of(path: &str, text: &str) -> Self {
        Self { path: PathBuf::from(path), text: text.to_owned() }
    }

    /// The whole text without the blanks around it.
    pub(crate) fn trimmed(&self) -> &str {
        self.text.trim()
    }

    /// The whole text.
    pub(crate) fn whole(&self) -> &str {
        &self.text
    }

    /// The first line, or a complaint that there is none.
    pub(crate) fn first(&self) -> Result<Row<'_>, Unavailable> {
        self.rows().next().ok_or_else(|| self.malformed(1, "the file is empty"))
    }

    /// The lines.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let lines = self.text.lines().enumerate();
        lines.map(|(index, text)| Row { path: &self.path, number: index + 1, text })
    }

    /// Says that a line is wrong.
    pub(crate) fn malformed(&self, line: usize, why: impl Into<String>) -> Unavailable {
        Unavailable::Malformed { path: self.path.clone(), line, why: why.into() }
    }
}

impl<'a> Row<'a> {
    /// The words of the line.
    pub(crate) fn words(self) -> Words<'a> {
        Words { row: self, rest: self.text.split_ascii_whitespace() }
    }

    /// Reads a number that is a piece of the line.
    pub(crate) fn parse<T: FromStr>(self, what: &str, text: &str) -> Result<T, Unavailable> {
        // Rust takes "nan" and "inf" for numbers; the kernel has none of them.
        let number =
            text.parse().ok().filter(|_number| text.ends_with(|c: char| c.is_ascii_digit()));
        number.ok_or_else(|| self.malformed(format!("{what} is {text:?}")))
    }

    /// Says that this line is wrong.
    pub(crate) fn malformed(self, why: impl Into<String>) -> Unavailable {
        Unavailable::Malformed { path: self.path.to_owned(), line: self.number, why: why.into() }
    }
}

impl<'a> Words<'a> {
    /// The next word, which has to be there.
    pub(crate) fn text(&mut self, what: &str) -> Result<&'a str, Unavailable> {
        self.rest.next().ok_or_else(|| self.row.malformed(format!("{what} is missing")))
    }

    /// The next word as a number, which has to be there.
    pub(crate) fn number<T: FromStr>(&mut self, what: &str) -> Result<T, Unavailable> {
        let text = self.text(what)?;
        self.row.parse(what, text)
    }

    /// The next word as a number, or the default where an older kernel says no more.
    pub(crate) fn number_if_there<T: FromStr + Default>(
        &mut self,
        what: &str,
    ) -> Result<T, Unavailable> {
        self.rest.next().map_or_else(|| Ok(T::default()), |text| self.row.parse(what, text))
    }

    /// Passes over words that nobody needs.
    pub(crate) fn pass_over(&mut self, count: usize) {
        for _word in self.rest.by_ref().take(count) {}
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.rest.next()
    }
}

/// Reads a file of at most `limit` bytes.
pub(crate) fn bytes(path: &Path, limit: usize) -> Result<Vec<u8>, Unavailable> {
    let file = File::open(path).map_err(|cause| Unavailable::from_io(path, cause))?;
    let mut bytes = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound).read_to_end(&mut bytes).map_err(|cause| Unavailable::from_io(path, cause))?;
    if bytes.len() > limit {
        let what = path.display().to_string();
        return Err(Unavailable::TooLarge { what, limit, unit: "bytes" });
    }
    Ok(bytes)
}

/// Shows every line of a file to `each` without keeping them. False where there is no such file.
pub(crate) fn every_row(
    path: &Path,
    limit: usize,
    mut each: impl FnMut(Row<'_>) -> Result<(), Unavailable>,
) -> Result<bool, Unavailable> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(cause) => return Err(Unavailable::from_io(path, cause)),
    };
    let mut lines = BufReader::new(file.take(u64::try_from(limit).unwrap_or(u64::MAX)));
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let length = lines.read_until(b'\n', &mut line);
        let length = length.map_err(|cause| Unavailable::from_io(path, cause))?;
        if length == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        each(Row { path, number, text: text.trim_end_matches('\n') })?;
    }
    if lines.get_ref().limit() == 0 {
        let what = path.display().to_string();
        return Err(Unavailable::TooLarge { what, limit, unit: "bytes" });
    }
    Ok(true)
}

/// The names in a folder, sorted, at most `limit` of them.
pub(crate) fn names(folder: &Path, limit: usize) -> Result<Vec<String>, Unavailable> {
    let entries = std::fs::read_dir(folder).map_err(|cause| Unavailable::from_io(folder, cause))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|cause| Unavailable::from_io(folder, cause))?;
        names.push(entry.file_name().to_string_lossy().into_owned());
        if names.len() > limit {
            let what = folder.display().to_string();
            return Err(Unavailable::TooLarge { what, limit, unit: "entries" });
        }
    }
    names.sort_unstable();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_beyond_the_limit_is_refused_and_one_at_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stat");
        std::fs::write(&path, "12345678").unwrap();
        assert_eq!(Text::read(&path, 8).unwrap().trimmed(), "12345678");
        let refused = Text::read(&path, 7).unwrap_err();
        assert_eq!(refused.code(), "too_large");
        assert!(refused.reason().contains("more than 7 bytes"), "{}", refused.reason());
    }

    #[test]
    fn rows_are_shown_one_by_one_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tcp");
        std::fs::write(&path, "one\ntwo\n").unwrap();
        let seen = |limit| {
            let mut seen = Vec::new();
            let told = every_row(&path, limit, |row| {
                seen.push(format!("{} {}", row.number, row.text));
                Ok(())
            });
            told.map(|there| (there, seen))
        };
        let (there, rows) = seen(9).unwrap();
        assert!(there);
        assert_eq!(rows, ["1 one", "2 two"]);
        assert_eq!(seen(8).unwrap_err().code(), "too_large");
        assert!(!every_row(Path::new("/nonexistent"), 8, |_row| Ok(())).unwrap());
    }

    #[test]
    fn what_is_wrong_says_where() {
        let text = Text::of("/proc/x", "1 2\n3 four\n");
        let row = text.rows().nth(1).unwrap();
        let mut words = row.words();
        assert_eq!(words.number::<u64>("reads").unwrap(), 3);
        let wrong = words.number::<u64>("writes").unwrap_err();
        assert_eq!(wrong.reason(), "/proc/x:2: writes is \"four\"");
        let wrong = words.number::<u64>("flushes").unwrap_err();
        assert_eq!(wrong.reason(), "/proc/x:2: flushes is missing");
        for text in ["nan", "-inf", "infinity", "", "1e"] {
            assert_eq!(row.parse::<f64>("load", text).unwrap_err().code(), "malformed", "{text}");
        }
    }

    #[test]
    fn a_missing_file_is_no_error_where_it_may_be_missing() {
        assert!(Text::read_if_there("/nonexistent/file", 10).unwrap().is_none());
        assert_eq!(Text::read("/nonexistent/file", 10).unwrap_err().code(), "missing");
    }
}

//! Lines of a stream, none longer than a bound.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// A line's bytes at most, its end included: what the bus takes as one message.
pub(crate) const LINE_BYTES_MAX: usize = 1 << 20;

/// A line of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its bytes, without its end.
    Whole(Vec<u8>),
    /// It was longer than the bound, and was read and dropped.
    TooLong,
}

/// Reads lines.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    /// What has come of the next line.
    begun: Vec<u8>,
    /// Whether the next line is too long already.
    is_too_long: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of `reader`.
    pub(crate) fn new(reader: R) -> Self {
        Self { reader: BufReader::new(reader), begun: Vec::new(), is_too_long: false }
    }

    /// The next line; `None` at the end. A last line without an end is one too: a program that was
    /// killed while it wrote left half a line, which is no JSON.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Option<Line> {
        loop {
            // What cannot be read any more is at its end.
            let read = self.reader.fill_buf().await.unwrap_or_default();
            if read.is_empty() {
                let is_nothing = self.begun.is_empty() && !self.is_too_long;
                return (!is_nothing).then(|| self.take());
            }
            let end = read.iter().position(|byte| *byte == b'\n');
            let piece = read.get(..end.unwrap_or(read.len())).unwrap_or_default();
            if self.begun.len() + piece.len() >= LINE_BYTES_MAX {
                self.is_too_long = true;
                self.begun = Vec::new();
            }
            if !self.is_too_long {
                self.begun.extend_from_slice(piece);
            }
            let used = piece.len() + usize::from(end.is_some());
            self.reader.consume(used);
            if end.is_some() {
                return Some(self.take());
            }
        }
    }

    fn take(&mut self) -> Line {
        if std::mem::take(&mut self.is_too_long) {
            return Line::TooLong;
        }
        Line::Whole(std::mem::take(&mut self.begun))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(input: &[u8], expected: &[Option<&[u8]>]) {
        let mut lines = Lines::new(input);
        let mut found = Vec::new();
        while let Some(line) = lines.next().await {
            found.push(line);
        }
        let expected: Vec<Line> = expected
            .iter()
            .map(|line| line.map_or(Line::TooLong, |bytes| Line::Whole(bytes.to_vec())))
            .collect();
        assert!(found == expected, "{} bytes", input.len());
    }

    #[tokio::test]
    async fn lines_beyond_the_bound_are_dropped_and_the_next_is_read() {
        check(b"", &[]).await;
        check(b"a\n\nb", &[Some(b"a"), Some(b""), Some(b"b")]).await;
        let fits = vec![b'x'; LINE_BYTES_MAX - 1];
        let longer = vec![b'x'; LINE_BYTES_MAX];
        let input = [&fits[..], b"\n", &longer, b"\nb\n", &longer].concat();
        check(&input, &[Some(&fits), None, Some(b"b"), None]).await;
    }
}

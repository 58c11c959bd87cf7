//! What callers ask of the writer, and how it answers.
//!
//! The text of appended messages is not in the commands but behind one another in two buffers,
//! written by the caller and read by the writer in the same order. So a message is freed by the
//! thread that made it: freeing it in the writer's thread made the two fight for the allocator's
//! lock, a fifth of the time of an append.

use std::panic::{AssertUnwindSafe, catch_unwind};

use hearken_proto::{Entry, Message};

use crate::error::Error;
use crate::row::{Names, write_content};
use crate::stream::{Condition, Receipt};
use crate::writer::Writer;

/// Called with what became of an append.
pub(crate) type Done<T> = Box<dyn FnOnce(Result<T, Error>) + Send>;

/// Something to do between two commits.
pub(crate) type Between = Box<dyn FnOnce(&mut Writer) + Send>;

/// Something the writer is asked to do.
pub(crate) enum Command {
    /// Add a message, whose text is in [`Texts`].
    Append {
        /// Which stream.
        stream: usize,
        /// How long the parts of the text are.
        lengths: Lengths,
        /// When to add it.
        condition: Condition,
        /// Whom to tell.
        done: Done<Receipt>,
    },
    /// Add entries of another log at their own places.
    Import {
        /// Which stream.
        stream: usize,
        /// What to add, in order.
        entries: Vec<Entry>,
        /// Whom to tell how many were new.
        done: Done<u64>,
    },
    /// Do something between two commits.
    Between(Between),
}

impl Command {
    /// What it takes in the queue.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Append { lengths, .. } => lengths.names() + lengths.content,
            Self::Import { entries, .. } => entries.iter().map(bytes_of).sum(),
            Self::Between(_) => 0,
        }
    }

    /// Tells the caller that nothing was done.
    pub(crate) fn refuse(self, error: Error) {
        match self {
            Self::Append { done, .. } => done(Err(error)),
            Self::Import { done, .. } => done(Err(error)),
            // Its caller waits on a channel that closes when this is dropped.
            Self::Between(_) => {}
        }
    }
}

/// What an entry takes in the queue.
pub(crate) fn bytes_of(entry: &Entry) -> usize {
    entry.subject.len() + entry.id.len() + entry.cause.len() + entry.body.len()
}

/// An answer that waits for the flush.
pub(crate) enum Answer {
    /// To an append.
    Append(Done<Receipt>, Result<Receipt, Error>),
    /// To an import.
    Import(Done<u64>, Result<u64, Error>),
}

impl Answer {
    /// Tells the caller. A callback that panics is the caller's own trouble.
    pub(crate) fn give(self) {
        fenced(|| match self {
            Self::Append(done, result) => done(result),
            Self::Import(done, result) => done(result),
        });
    }

    /// Tells the caller that it was in vain.
    pub(crate) fn fail(self, error: &Error) {
        fenced(|| match self {
            Self::Append(done, _) => done(Err(error.clone())),
            Self::Import(done, _) => done(Err(error.clone())),
        });
    }
}

/// Calls into code of somebody else, who must not end the writer by a panic.
pub(crate) fn fenced(call: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(call)).is_err() {
        tracing::error!("a callback of the log panicked; its report is on standard error");
    }
}

/// How long the parts of a message's text are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lengths {
    subject: usize,
    id: usize,
    cause: usize,
    content: usize,
}

impl Lengths {
    const fn names(&self) -> usize {
        self.subject + self.id + self.cause
    }
}

/// The texts of messages, one behind another.
#[derive(Default)]
pub(crate) struct Texts {
    names: String,
    contents: Vec<u8>,
}

/// Buffers larger than this are given back when they are empty.
const KEPT_BYTES: usize = 512 * 1024;

impl Texts {
    /// Adds the text of a message behind the others.
    pub(crate) fn push(&mut self, message: &Message) -> Lengths {
        let id = message.id.as_deref().unwrap_or_default();
        let cause = message.cause.as_deref().unwrap_or_default();
        for name in [&message.subject[..], id, cause] {
            self.names.push_str(name);
        }
        let before = self.contents.len();
        write_content(&mut self.contents, &message.headers, &message.body);
        Lengths {
            subject: message.subject.len(),
            id: id.len(),
            cause: cause.len(),
            content: self.contents.len() - before,
        }
    }

    /// Reads the texts from the first on.
    pub(crate) fn read(&self) -> TextReader<'_> {
        TextReader { names: &self.names, contents: &self.contents }
    }

    /// Forgets all texts.
    pub(crate) fn clear(&mut self) {
        if self.contents.capacity() > KEPT_BYTES || self.names.capacity() > KEPT_BYTES {
            *self = Self::default();
        }
        self.names.clear();
        self.contents.clear();
    }
}

/// Reads texts in the order in which they were added.
pub(crate) struct TextReader<'a> {
    names: &'a str,
    contents: &'a [u8],
}

impl<'a> TextReader<'a> {
    /// The next text, which has these lengths.
    pub(crate) fn next(&mut self, lengths: Lengths) -> Option<(Names<'a>, &'a [u8])> {
        let (subject, rest) = self.names.split_at_checked(lengths.subject)?;
        let (id, rest) = rest.split_at_checked(lengths.id)?;
        let (cause, names) = rest.split_at_checked(lengths.cause)?;
        let (content, contents) = self.contents.split_at_checked(lengths.content)?;
        *self = Self { names, contents };
        Some((Names { subject, id, cause }, content))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_they_were_added() {
        let mut texts = Texts::default();
        let mut messages = Vec::new();
        for n in 0..5 {
            let mut message = Message {
                subject: format!("a.{n}"),
                id: (n % 2 == 0).then(|| format!("ü{n}")),
                cause: (n > 2).then(|| "c".repeat(n)),
                body: vec![7; n].into(),
                ..Message::default()
            };
            if n == 3 {
                message.headers.append("K", "v");
            }
            messages.push((texts.push(&message), message));
        }
        let mut reader = texts.read();
        for (lengths, message) in &messages {
            let (names, content) = reader.next(*lengths).unwrap();
            assert_eq!(names.subject, message.subject);
            assert_eq!(names.id, message.id.as_deref().unwrap_or_default());
            assert_eq!(names.cause, message.cause.as_deref().unwrap_or_default());
            let mut expected = Vec::new();
            write_content(&mut expected, &message.headers, &message.body);
            assert_eq!(content, expected);
        }
        assert!(reader.next(Lengths { content: 1, ..Lengths::default() }).is_none());
    }
}

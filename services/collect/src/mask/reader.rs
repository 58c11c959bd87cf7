//! Masking what is read, piece by piece, at the same length.

use std::io::{self, Read};

use super::rules::{Counts, Masker};

/// Bytes read at a time.
const PIECE_BYTES: usize = 256 << 10;
/// The least that is read at a time.
const SMALLEST: usize = 4 << 10;
/// The end of a line without end that is looked at again with what follows.
const OVERLAP_BYTES: usize = 8 << 10;
/// A line that goes on for longer is looked at in parts.
const LINE_BYTES_MAX: usize = 64 << 10;
/// Bytes in which a file shows whether it is text.
const SAMPLE_BYTES: usize = 8 << 10;

/// A reader whose secrets are hidden.
#[derive(Debug)]
pub struct Masked<'a, R> {
    inner: R,
    masker: &'a Masker,
    buffer: Vec<u8>,
    piece: usize,
    /// What of the buffer has been looked at, and may go out.
    ready: usize,
    /// What of that has gone out.
    gone: usize,
    ended: bool,
    in_key: bool,
    /// Nothing at all is hidden in what is not text.
    is_text: Option<bool>,
    counts: Counts,
}

impl<'a, R: Read> Masked<'a, R> {
    /// Hides in what `inner` gives, which is about so many bytes: small files need little room.
    pub fn new(inner: R, masker: &'a Masker, bytes: u64) -> Self {
        let piece = usize::try_from(bytes).unwrap_or(PIECE_BYTES).clamp(SMALLEST, PIECE_BYTES);
        Self {
            inner,
            masker,
            buffer: Vec::new(),
            piece,
            ready: 0,
            gone: 0,
            ended: false,
            in_key: false,
            is_text: None,
            counts: Counts::new(),
        }
    }

    /// Whether it is text, so that something can be hidden in it.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.is_text.unwrap_or(true)
    }

    /// How often each rule has hidden something so far.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Reads until there is something to look at.
    fn fill(&mut self) -> io::Result<()> {
        self.buffer.drain(..self.gone);
        self.ready -= self.gone;
        self.gone = 0;
        let from = self.buffer.len();
        self.buffer.resize(from + self.piece, 0);
        let room = self.buffer.get_mut(from..).unwrap_or_default();
        let read = self.inner.read(room)?;
        self.buffer.truncate(from + read);
        self.ended = read == 0;
        let sample = self.buffer.get(..self.buffer.len().min(SAMPLE_BYTES)).unwrap_or_default();
        // A log that was cut while it was written to begins with zeros.
        let begins = sample.iter().position(|byte| *byte != 0);
        if let (None, Some(begins)) = (self.is_text, begins) {
            self.is_text = Some(!sample.get(begins..).unwrap_or_default().contains(&0));
        }
        let is_text = self.is_text.unwrap_or(true);
        let end = self.buffer.len();
        let cut = if self.ended || !is_text { end } else { self.cut() };
        if let Some(fresh) = self.buffer.get_mut(self.ready..cut)
            && is_text
        {
            self.masker.mask_part(fresh, &mut self.in_key, &mut self.counts);
        }
        self.ready = cut;
        Ok(())
    }

    /// Up to where the buffer holds whole lines.
    fn cut(&self) -> usize {
        let fresh = self.buffer.get(self.ready..).unwrap_or_default();
        match fresh.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => self.ready + newline + 1,
            None if fresh.len() > LINE_BYTES_MAX => self.buffer.len() - OVERLAP_BYTES,
            None => self.ready,
        }
    }
}

impl<R: Read> Read for Masked<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.gone == self.ready && !self.ended {
            self.fill()?;
        }
        let ready = self.buffer.get(self.gone..self.ready).unwrap_or_default();
        let count = ready.len().min(into.len());
        for (to, from) in into.iter_mut().zip(ready) {
            *to = *from;
        }
        self.gone += count;
        Ok(count)
    }
}

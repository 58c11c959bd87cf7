//! From the events of the YAML parser to the tree.

use std::borrow::Cow;
use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, Tag};

use super::indent::Moved;
use super::node::{self, DEPTH_MAX, Node, VALUES_MAX};
use super::scalar::{self, Scalar};
use super::{Place, SyntaxError};

/// Reads the only document of `text`; an empty file is null.
pub(crate) fn tree(text: &str) -> Result<Rc<Node>, SyntaxError> {
    let mut moved = Moved::default();
    let mut current = Cow::Borrowed(text);
    loop {
        let mut composer =
            Composer { moved, text_end: unfinished_end(&current), ..Composer::default() };
        let refused = match composer.read(&current) {
            Ok(()) => {
                let empty = || Node::scalar(Place::START, Scalar::Null);
                return Ok(composer.root.unwrap_or_else(empty));
            }
            Err(Refused::Here(error)) => return Err(error),
            Err(Refused::Parser(error)) => error,
        };
        moved = composer.moved;
        // Each turn moves one more line, and their number is bounded.
        if !moved.add(&refused, text) {
            return Err(syntax_error(&refused, &moved, text));
        }
        current = Cow::Owned(moved.apply(text));
    }
}

/// Why a reading stopped.
enum Refused {
    /// The parser could not go on.
    Parser(ScanError),
    /// What it found cannot be used.
    Here(SyntaxError),
}

/// The tree so far.
#[derive(Default)]
struct Composer {
    /// The value of the document once it is complete.
    root: Option<Rc<Node>>,
    /// Containers that have begun and not ended, outermost first.
    open: Vec<Open>,
    /// Complete nodes that have an anchor, by its number.
    anchors: HashMap<usize, Rc<Node>>,
    /// Nodes made so far.
    nodes: usize,
    /// Where the text ends, when its last line has content but no line break.
    text_end: Option<usize>,
    /// Lines that are not where the file has them.
    moved: Moved,
}

/// A container that has begun.
struct Open {
    /// Where it began.
    place: Place,
    /// Number of its anchor; 0 when it has none.
    anchor: usize,
    /// What is in it.
    items: Items,
}

/// What is in an open container.
enum Items {
    /// A list.
    Sequence(Vec<Rc<Node>>),
    /// A mapping, and the key that waits for its value.
    Mapping(Vec<(Rc<Node>, Rc<Node>)>, Option<Rc<Node>>),
}

impl Composer {
    fn read(&mut self, text: &str) -> Result<(), Refused> {
        // Each event ends a token of the text, and the open containers are bounded: this ends.
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(Refused::Parser)?;
            self.take(event, span).map_err(Refused::Here)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), SyntaxError> {
        let place = place(&span.start, &self.moved);
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).map(Rc::clone);
                let node = node.ok_or_else(|| {
                    SyntaxError::at(place, "an alias cannot stand inside what it names")
                })?;
                self.add(node)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let mut text: &str = &text;
                if is_block(style) && self.text_end == Some(span.end.index()) {
                    // The parser adds the line break that the file does not have.
                    text = text.strip_suffix('\n').unwrap_or(text);
                }
                let scalar = read_scalar(text, style, tag.as_deref(), place)?;
                self.complete(Node::scalar(place, scalar), anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                known_collection(tag.as_deref(), &["seq", "omap", "pairs"], place)?;
                self.begin(place, anchor, Items::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                known_collection(tag.as_deref(), &["map", "set"], place)?;
                self.begin(place, anchor, Items::Mapping(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, items: Items) -> Result<(), SyntaxError> {
        if self.open.len() >= DEPTH_MAX {
            return Err(node::too_deep(place));
        }
        self.open.push(Open { place, anchor, items });
        Ok(())
    }

    fn end(&mut self) -> Result<(), SyntaxError> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let node = match open.items {
            Items::Sequence(items) => Node::sequence(open.place, items)?,
            Items::Mapping(pairs, _) => Node::mapping(open.place, pairs)?,
        };
        self.complete(node, open.anchor)
    }

    fn complete(&mut self, node: Rc<Node>, anchor: usize) -> Result<(), SyntaxError> {
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        self.add(node)
    }

    /// Puts a complete node where it belongs.
    fn add(&mut self, node: Rc<Node>) -> Result<(), SyntaxError> {
        self.nodes += 1;
        if self.nodes > VALUES_MAX * 2 {
            let message = format!("more than {VALUES_MAX} values");
            return Err(SyntaxError::at(node.place, message));
        }
        match self.open.last_mut().map(|open| &mut open.items) {
            Some(Items::Sequence(items)) => items.push(node),
            Some(Items::Mapping(pairs, key)) => match key.take() {
                Some(key) => pairs.push((key, node)),
                None => *key = Some(node),
            },
            None if self.root.is_none() => self.root = Some(node),
            // A closing `---` makes an empty second document, which takes nothing away.
            None if matches!(node.content, node::Content::Scalar(Scalar::Null)) => {}
            None => {
                return Err(SyntaxError::at(node.place, "a second document starts here")
                    .hint("one file holds one document: remove what follows the line ---"));
            }
        }
        Ok(())
    }
}

/// The length of `text` in characters when its last line is unfinished and not blank.
fn unfinished_end(text: &str) -> Option<usize> {
    let last = text.rsplit('\n').next().unwrap_or_default();
    (!last.trim().is_empty()).then(|| text.chars().count())
}

/// Whether a scalar is written below its key, as `|` and `>` are.
fn is_block(style: ScalarStyle) -> bool {
    match style {
        ScalarStyle::Literal | ScalarStyle::Folded => true,
        ScalarStyle::Plain | ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => false,
    }
}

/// A scalar by its tag, or by its spelling when it is plain.
fn read_scalar(
    text: &str,
    style: ScalarStyle,
    tag: Option<&Tag>,
    place: Place,
) -> Result<Scalar, SyntaxError> {
    let Some(tag) = tag else {
        return Ok(match style {
            ScalarStyle::Plain => scalar::plain(text),
            ScalarStyle::SingleQuoted
            | ScalarStyle::DoubleQuoted
            | ScalarStyle::Literal
            | ScalarStyle::Folded => Scalar::Text(text.to_owned()),
        });
    };
    if tag.handle.is_empty() && tag.suffix == "!" {
        return Ok(scalar::plain(text));
    }
    let read = match core_tag(tag) {
        Some("str" | "binary" | "timestamp") => Some(Scalar::Text(text.to_owned())),
        Some("null") => Some(Scalar::Null),
        Some("bool") => {
            let lower = text.to_ascii_lowercase();
            scalar::boolean(&lower).map(Scalar::Bool)
        }
        Some("int") => scalar::integer(text),
        Some("float") => scalar::float(text)
            .or_else(|| text.replace('_', "").parse().ok().and_then(scalar::finite)),
        _ => return Err(unknown_tag(tag, place)),
    };
    read.ok_or_else(|| SyntaxError::at(place, format!("{text:?} is no {}", tag.suffix)))
}

/// Lists and mappings may only carry the tags that say what they are anyway.
fn known_collection(tag: Option<&Tag>, known: &[&str], place: Place) -> Result<(), SyntaxError> {
    match tag {
        Some(tag) if !core_tag(tag).is_some_and(|suffix| known.contains(&suffix)) => {
            Err(unknown_tag(tag, place))
        }
        Some(_) | None => Ok(()),
    }
}

/// The name after `!!`.
fn core_tag(tag: &Tag) -> Option<&str> {
    match tag.handle.as_str() {
        "tag:yaml.org,2002:" => Some(&tag.suffix),
        "" => tag.suffix.strip_prefix("tag:yaml.org,2002:"),
        _ => None,
    }
}

fn unknown_tag(tag: &Tag, place: Place) -> SyntaxError {
    SyntaxError::at(place, format!("the tag {tag} means nothing here"))
        .hint("quote a text that starts with an exclamation mark")
}

fn place(marker: &Marker, moved: &Moved) -> Place {
    Place::new(marker.line(), moved.column(marker.line(), marker.col()) + 1)
}

/// The parser's error with what usually helps.
fn syntax_error(error: &ScanError, moved: &Moved, text: &str) -> SyntaxError {
    let marker = error.marker();
    let place = place(marker, moved);
    let line = text.lines().nth(marker.line().saturating_sub(1)).unwrap_or_default();
    let found = SyntaxError::at(place, error.info());
    if line.contains(": {{") || line.contains("- {{") || line.contains(": {%") {
        return found.hint("a template needs quotes: \"{{ name }}\"");
    }
    if line.trim_start_matches(' ').starts_with('\t') {
        return found.hint("indent with blanks, not with tabs");
    }
    if line.matches(": ").count() > 1 {
        return found.hint("a text that holds \": \" needs quotes");
    }
    if line.contains(": %") || line.contains(": @") || line.contains(": `") {
        return found.hint("a text that starts with %, @ or ` needs quotes");
    }
    found
}

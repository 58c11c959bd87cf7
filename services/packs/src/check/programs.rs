//! What there is to say of programs by looking at their text.
//!
//! Nothing is run and no Python is needed: what only Python 2 reads is recognised by the few forms
//! that nearly all such files have, outside texts and comments.

use hearken_proto::definition::BundleFile;

use super::material::{Material, Sights};

/// Where StackStorm is installed.
const PREFIX: &str = "/opt/stackstorm/";
/// Folders of programs; what is elsewhere is for people, tests and other systems.
const FOLDERS: [&str; 3] = ["actions/", "sensors/", "lib/"];
/// A program that is longer is no program.
const BYTES_MAX: usize = 1 << 20;

/// Programs of the pack, as text.
fn each<'a>(material: &'a Material<'_>) -> impl Iterator<Item = (&'a BundleFile, &'a str)> {
    let is_program = |file: &&BundleFile| {
        FOLDERS.iter().any(|folder| file.path.starts_with(folder))
            && file.content.len() <= BYTES_MAX
            && (file.executable || [".py", ".sh"].iter().any(|end| file.path.ends_with(end)))
    };
    let files = material.bundle.files.iter().filter(is_program);
    files.filter_map(|file| Some((file, std::str::from_utf8(&file.content).ok()?)))
}

/// Python that only Python 2 reads.
pub(super) fn python2(material: &Material<'_>, sights: &mut Sights) {
    for (file, text) in each(material).filter(|(file, _)| file.path.ends_with(".py")) {
        let mut code = Code::default();
        let lines = text.lines().enumerate();
        let first =
            lines.filter_map(|(at, line)| Some((at + 1, old_form(&code.plain(line))?))).next();
        if let Some((line, form)) = first {
            sights.in_line(&file.path, line, format!("only Python 2 reads this: {form}"));
            sights.hint("port the file: python3 -m lib2to3, or 2to3, does most of it");
        }
    }
}

/// The text of a Python file without what is quoted or a comment.
#[derive(Default)]
struct Code {
    /// The quotes that end the long text that we are in.
    long: Option<&'static str>,
}

impl Code {
    /// One line, each text in it as two quotes.
    fn plain(&mut self, line: &str) -> String {
        let mut plain = String::new();
        let mut rest = line;
        loop {
            if let Some(end) = self.long {
                let Some((_, after)) = rest.split_once(end) else { return plain };
                self.long = None;
                plain.push_str("\"\"");
                rest = after;
                continue;
            }
            let Some(at) = rest.find(['"', '\'', '#']) else {
                plain.push_str(rest);
                return plain;
            };
            let (before, from) = rest.split_at(at);
            plain.push_str(before);
            if from.starts_with('#') {
                return plain;
            }
            let long = ["\"\"\"", "'''"].into_iter().find(|quotes| from.starts_with(quotes));
            if let Some(quotes) = long {
                self.long = Some(quotes);
                rest = from.get(quotes.len()..).unwrap_or_default();
                continue;
            }
            plain.push_str("\"\"");
            let Some(after) = behind_text(from) else { return plain };
            rest = after;
        }
    }
}

/// What stands behind the short text that `from` begins with; nothing when it has no end here.
fn behind_text(from: &str) -> Option<&str> {
    let quote = from.chars().next()?;
    let mut letters = from.char_indices().skip(1);
    while let Some((at, letter)) = letters.next() {
        if letter == '\\' {
            letters.next();
        } else if letter == quote {
            return from.get(at + 1..);
        }
    }
    None
}

/// What in a line only Python 2 reads.
fn old_form(line: &str) -> Option<&'static str> {
    let line = line.trim();
    let behind = |word: &str| {
        let rest = line.strip_prefix(word)?;
        rest.starts_with([' ', '\t']).then(|| rest.trim_start())
    };
    let is_operand = |rest: &str| {
        let word: String = rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let is_word = !word.is_empty() && !["in", "is", "and", "or", "if", "not"].contains(&&*word);
        is_word || rest.starts_with(['"', '%', '>'])
    };
    if behind("print").is_some_and(is_operand) {
        return Some("print without parentheses");
    }
    if behind("exec").is_some_and(is_operand) {
        return Some("exec without parentheses");
    }
    let caught = behind("except").and_then(|rest| rest.strip_suffix(':'));
    let (mut depth, mut has_comma) = (0_usize, false);
    for letter in caught.unwrap_or_default().chars() {
        match letter {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => has_comma = true,
            _ => {}
        }
    }
    if has_comma {
        return Some("except with a comma");
    }
    let mut words = line.split(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.')));
    let is_octal =
        |word: &str| word.starts_with('0') && word.bytes().all(|byte| byte.is_ascii_digit());
    if words.any(|word| is_octal(word) && word.bytes().any(|byte| byte != b'0')) {
        return Some("an octal number without 0o");
    }
    let raised = behind("raise").unwrap_or_default();
    let name: String =
        raised.chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | '.')).collect();
    let after = raised.strip_prefix(name.as_str()).unwrap_or_default().trim_start();
    (!name.is_empty() && after.starts_with(", \"\"")).then_some("raise with a comma")
}

/// Programs that name places in StackStorm's installation.
pub(super) fn prefix(material: &Material<'_>, sights: &mut Sights) {
    for (file, text) in each(material) {
        let is_python = file.path.ends_with(".py");
        let mut code = Code::default();
        let mut named = text.lines().enumerate().filter_map(|(at, line)| {
            // A long text is for people; an interpreter was told when the pack was loaded.
            let is_prose = is_python && code.long.is_some();
            code.plain(line);
            let is_remark = line.trim_start().starts_with(['#', '/', '*']);
            let (_, path) = line.split_once(PREFIX).filter(|_| !is_prose && !is_remark)?;
            Some((at + 1, path))
        });
        let Some((line, path)) = named.next() else { continue };
        let is_end = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/'));
        let path = path.split(is_end).next().unwrap_or_default();
        let more = match named.count() {
            0 => String::new(),
            more => format!(", and {more} more lines do"),
        };
        sights.in_line(&file.path, line, format!("this names {PREFIX}{path}{more}"));
        sights.hint(
            "a Python action asks st2common.content.utils.get_pack_base_path; others look beside \
             themselves",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::{Code, old_form};

    /// The first line with an old form, if there is one.
    fn first(text: &str) -> Option<(usize, &'static str)> {
        let mut code = Code::default();
        text.lines().enumerate().find_map(|(at, line)| Some((at + 1, old_form(&code.plain(line))?)))
    }

    #[test]
    fn what_only_python_2_reads_is_seen() {
        for (text, expected) in [
            ("x = 1\nprint \"a\"", Some((2, "print without parentheses"))),
            ("    print >>sys.stderr, x", Some((1, "print without parentheses"))),
            ("print x, y", Some((1, "print without parentheses"))),
            ("except (A, B), e:", Some((1, "except with a comma"))),
            ("  except ValueError, error:  # why", Some((1, "except with a comma"))),
            ("raise E, 'no'", Some((1, "raise with a comma"))),
            ("exec code in x", Some((1, "exec without parentheses"))),
            ("os.mkdir(path, 0755)", Some((1, "an octal number without 0o"))),
            ("x = [0, 00, 0.05, 0o755, 0x01, a01, 10]", None),
            ("print", None),
            ("print (x)", None),
            ("print = 5", None),
            ("printer x", None),
            ("print('print x')", None),
            ("# print x", None),
            ("\"\"\"\nprint x\n\"\"\" # '''\nprint(1)", None),
            ("x = '''a\nexcept A, b:\n'''", None),
            ("x = 'it\\'s'; y = \"#\"\nexcept (A, B) as e:", None),
            ("except A as e:", None),
            ("except f(a, b):", None),
            ("raise E(a, 'b')", None),
        ] {
            assert_eq!(first(text), expected, "{text}");
        }
    }
}

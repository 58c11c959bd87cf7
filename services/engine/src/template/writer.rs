//! Reads an expression with Jinja's grammar and writes it again, operators as calls.
//!
//! One function per level of precedence, from `if … else` down to names and brackets; each gives
//! the text of what it read, in parentheses of its own where that is not one word.

use super::simple::MAP_METHODS;
use super::tokens::Token;

/// Deepest nesting of an expression.
const DEPTH_MAX: usize = 64;

/// Words that end an operand or stand between two.
const WORDS: &[&str] = &["and", "or", "not", "in", "is", "if", "else"];

/// Filters that go through their operand: the engine takes null for an empty list.
const THROUGH: &[&str] = &[
    "batch", "first", "groupby", "join", "last", "list", "max", "min", "reverse", "slice", "sort",
    "sum", "unique",
];

/// Filters for which whatever counts as false is an empty list.
const THROUGH_OR_NOTHING: &[&str] = &["map", "reject", "rejectattr", "select", "selectattr"];

/// A reader over the tokens of an expression.
pub(super) struct Writer {
    tokens: Vec<Token>,
    /// The next token.
    at: usize,
    /// How deep the expression is nested here.
    depth: usize,
}

impl Writer {
    /// A reader that begins at token `at`.
    pub(super) fn new(tokens: Vec<Token>, at: usize) -> Self {
        Self { tokens, at, depth: 0 }
    }

    /// The names before `=`, which is taken too.
    pub(super) fn targets(&mut self) -> Option<String> {
        let start = self.at;
        while self.peek()? != "=" {
            self.at += 1;
        }
        let names = self.tokens.get(start..self.at)?.iter().map(|token| token.text.as_str());
        let names = names.collect();
        self.at += 1;
        Some(names)
    }

    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(|token| token.text.as_str())
    }

    /// Whether nothing is left.
    pub(super) fn is_done(&self) -> bool {
        self.at >= self.tokens.len()
    }

    /// Takes the next token if it is this one.
    pub(super) fn accept(&mut self, text: &str) -> bool {
        let found =
            self.tokens.get(self.at).is_some_and(|token| token.text == text && !token.is_text);
        self.at += usize::from(found);
        found
    }

    fn accept_any<'t>(&mut self, texts: &[&'t str]) -> Option<&'t str> {
        texts.iter().copied().find(|text| self.accept(text))
    }

    fn take_name(&mut self) -> Option<String> {
        let token = self.tokens.get(self.at).filter(|token| token.is_name)?;
        let name = token.text.clone();
        self.at += 1;
        Some(name)
    }

    /// Whether `, name =` stands here.
    pub(super) fn assignment_follows(&self) -> bool {
        let text = |ahead: usize| self.tokens.get(self.at + ahead).map(|token| &*token.text);
        self.tokens.get(self.at + 1).is_some_and(|token| token.is_name) && text(2) == Some("=")
    }

    /// A whole expression, `if … else` included.
    pub(super) fn conditional(&mut self) -> Option<String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        let mut value = self.or()?;
        while self.accept("if") {
            let condition = self.or()?;
            value = if self.accept("else") {
                format!("({value} if {condition} else {})", self.conditional()?)
            } else {
                format!("({value} if {condition})")
            };
        }
        self.depth -= 1;
        Some(value)
    }

    /// An expression without `if`.
    pub(super) fn or(&mut self) -> Option<String> {
        let mut left = self.and()?;
        while self.accept("or") {
            left = format!("({left} or {})", self.and()?);
        }
        Some(left)
    }

    fn and(&mut self) -> Option<String> {
        let mut left = self.not()?;
        while self.accept("and") {
            left = format!("({left} and {})", self.not()?);
        }
        Some(left)
    }

    fn not(&mut self) -> Option<String> {
        if self.accept("not") {
            return Some(format!("(not {})", self.not()?));
        }
        self.comparison()
    }

    fn comparison(&mut self) -> Option<String> {
        let mut left = self.sum()?;
        let mut parts = Vec::new();
        loop {
            let negated = self.peek() == Some("not")
                && self.tokens.get(self.at + 1).is_some_and(|token| token.text == "in");
            self.at += usize::from(negated);
            let Some(operator) = self.accept_any(&["==", "!=", "<=", ">=", "<", ">", "in"]) else {
                break;
            };
            let right = self.sum()?;
            parts.push(match operator {
                "<" => format!("__less({left}, {right})"),
                ">" => format!("__less({right}, {left}, '>')"),
                "<=" => format!("__at_most({left}, {right})"),
                ">=" => format!("__at_most({right}, {left}, '>=')"),
                "in" if negated => format!("(not __contains({right}, {left}))"),
                "in" => format!("__contains({right}, {left})"),
                equality => format!("({left} {equality} {right})"),
            });
            left = right;
        }
        match parts.as_slice() {
            [] => Some(left),
            [only] => Some(only.clone()),
            several => Some(format!("({})", several.join(" and "))),
        }
    }

    fn sum(&mut self) -> Option<String> {
        let mut left = self.joined()?;
        while let Some(operator) = self.accept_any(&["+", "-"]) {
            let right = self.joined()?;
            left = match operator {
                "+" => format!("__add({left}, {right})"),
                _ => format!("({left} - {right})"),
            };
        }
        Some(left)
    }

    fn joined(&mut self) -> Option<String> {
        let mut parts = vec![self.product()?];
        while self.accept("~") {
            parts.push(self.product()?);
        }
        match parts.as_slice() {
            [only] => Some(only.clone()),
            several => Some(format!("__join({})", several.join(", "))),
        }
    }

    fn product(&mut self) -> Option<String> {
        let mut left = self.power()?;
        while let Some(operator) = self.accept_any(&["*", "//", "/", "%"]) {
            let right = self.power()?;
            left = match operator {
                "*" => format!("__times({left}, {right})"),
                "%" => format!("__modulo({left}, {right})"),
                division => format!("({left} {division} {right})"),
            };
        }
        Some(left)
    }

    fn power(&mut self) -> Option<String> {
        let mut left = self.unary(Filters::Allowed)?;
        while self.accept("**") {
            left = format!("({left} ** {})", self.unary(Filters::Allowed)?);
        }
        Some(left)
    }

    fn unary(&mut self, filters: Filters) -> Option<String> {
        let operand = match self.accept_any(&["-", "+"]) {
            Some(sign) => {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return None;
                }
                let operand = self.unary(Filters::Refused)?;
                self.depth -= 1;
                if sign == "-" {
                    format!("__negate({operand})")
                } else {
                    format!("__plus({operand})")
                }
            }
            None => self.primary()?,
        };
        let operand = self.postfix(operand)?;
        match filters {
            Filters::Allowed => self.filtered(operand),
            Filters::Refused => Some(operand),
        }
    }

    fn primary(&mut self) -> Option<String> {
        if self.accept("(") {
            return self.items(")").map(|(items, comma)| match items.as_slice() {
                [only] if !comma => format!("({only})"),
                [] => "()".to_owned(),
                _ => format!("({},)", items.join(", ")),
            });
        }
        if self.accept("[") {
            return self.items("]").map(|(items, _)| format!("[{}]", items.join(", ")));
        }
        if self.accept("{") {
            return self.map();
        }
        let token = self.tokens.get(self.at)?;
        let is_operand = token.is_text || token.is_number || token.is_name;
        if !is_operand || WORDS.contains(&&*token.text) && token.is_name {
            return None;
        }
        let mut text = token.text.clone();
        let was_text = token.is_text;
        self.at += 1;
        // Texts side by side are one.
        while was_text && let Some(more) = self.tokens.get(self.at).filter(|token| token.is_text) {
            text = format!("{text} {}", more.text);
            self.at += 1;
        }
        Some(text)
    }

    /// Items up to `end`, and whether a comma stood behind the last.
    fn items(&mut self, end: &str) -> Option<(Vec<String>, bool)> {
        let mut items = Vec::new();
        let mut comma = false;
        loop {
            if self.accept(end) {
                return Some((items, comma));
            }
            if !items.is_empty() && !comma {
                return None;
            }
            items.push(self.conditional()?);
            comma = self.accept(",");
        }
    }

    fn map(&mut self) -> Option<String> {
        let mut entries = Vec::new();
        loop {
            if self.accept("}") {
                return Some(format!("{{{}}}", entries.join(", ")));
            }
            let key = self.conditional()?;
            if !self.accept(":") {
                return None;
            }
            entries.push(format!("{key}: {}", self.conditional()?));
            if !self.accept(",") && self.peek() != Some("}") {
                return None;
            }
        }
    }

    fn postfix(&mut self, mut operand: String) -> Option<String> {
        loop {
            if self.accept(".") {
                let token = self.tokens.get(self.at)?;
                let (name, is_name) = (token.text.clone(), token.is_name);
                if !is_name && !token.is_number {
                    return None;
                }
                self.at += 1;
                operand = if !is_name {
                    format!("{operand}[{name}]")
                } else if MAP_METHODS.contains(&name.as_str()) && self.peek() != Some("(") {
                    format!("__attribute({operand}, '{name}')")
                } else {
                    format!("{operand}.{name}")
                };
            } else if self.accept("[") {
                operand = self.subscript(&operand)?;
            } else if self.accept("(") {
                operand = format!("{operand}({})", self.arguments()?);
            } else {
                return Some(operand);
            }
        }
    }

    fn subscript(&mut self, operand: &str) -> Option<String> {
        let mut parts = Vec::new();
        let mut colons = 0;
        loop {
            if self.accept("]") {
                break;
            }
            if self.accept(":") {
                colons += 1;
                continue;
            }
            while parts.len() < colons {
                parts.push("none".to_owned());
            }
            parts.push(self.conditional()?);
        }
        if colons == 0 {
            return match parts.as_slice() {
                [only] => Some(format!("{operand}[{only}]")),
                _ => None,
            };
        }
        Some(format!("__slice({operand}, {})", parts.join(", ")).replace(", )", ")"))
    }

    /// Arguments up to the closing parenthesis, named ones with their names.
    fn arguments(&mut self) -> Option<String> {
        let mut arguments = Vec::new();
        loop {
            if self.accept(")") {
                return Some(arguments.join(", "));
            }
            let named = self.tokens.get(self.at).is_some_and(|token| token.is_name)
                && self.tokens.get(self.at + 1).is_some_and(|token| token.text == "=");
            let name = if named {
                let name = self.take_name()?;
                self.at += 1;
                format!("{name}=")
            } else {
                self.accept_any(&["**", "*"]).unwrap_or_default().to_owned()
            };
            arguments.push(format!("{name}{}", self.conditional()?));
            if !self.accept(",") && self.peek() != Some(")") {
                return None;
            }
        }
    }

    /// Filters and tests behind an operand.
    fn filtered(&mut self, mut operand: String) -> Option<String> {
        loop {
            if self.accept("|") {
                let mut name = self.take_name()?;
                while self.accept(".") {
                    name = format!("{name}.{}", self.take_name()?);
                }
                let arguments = if self.accept("(") { Some(self.arguments()?) } else { None };
                if THROUGH.contains(&name.as_str()) {
                    operand = format!("__iterable({operand})");
                } else if THROUGH_OR_NOTHING.contains(&name.as_str()) {
                    operand = format!("__iterable({operand}, true)");
                }
                operand = match arguments {
                    Some(arguments) => format!("({operand}|{name}({arguments}))"),
                    None => format!("({operand}|{name})"),
                };
                // What follows belongs to the outcome: `x|f.y` was read above, `(x|f)[0]` is not.
            } else if self.accept("is") {
                operand = self.test(&operand)?;
            } else if self.accept("(") {
                operand = format!("{operand}({})", self.arguments()?);
            } else {
                return Some(operand);
            }
        }
    }

    fn test(&mut self, operand: &str) -> Option<String> {
        let not = if self.accept("not") { "not " } else { "" };
        let name = self.take_name()?;
        if name == "in" {
            let container = self.primary().and_then(|operand| self.postfix(operand))?;
            return Some(format!("({not}__contains({container}, {operand}))"));
        }
        if self.peek().is_some_and(|next| matches!(next, "is" | "if" | "in" | "not")) {
            // Jinja reads on here and fails: so must the engine.
            return Some(format!("({operand} is {name} is)"));
        }
        let argument_follows = self.tokens.get(self.at).is_some_and(|token| {
            token.is_text
                || token.is_number
                || (token.is_name && !WORDS.contains(&&*token.text))
                || matches!(&*token.text, "[" | "{")
        });
        let arguments = if self.accept("(") {
            format!("({})", self.arguments()?)
        } else if argument_follows {
            let argument = self.primary().and_then(|operand| self.postfix(operand))?;
            format!("({argument})")
        } else {
            String::new()
        };
        Some(format!("({operand} is {not}{name}{arguments})"))
    }
}

/// Whether filters bind to an operand: not between a sign and its number.
#[derive(Clone, Copy, PartialEq)]
enum Filters {
    Allowed,
    Refused,
}

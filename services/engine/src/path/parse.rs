//! Reads a path: the tokens and the grammar of `jsonpath_rw` 1.4.
//!
//! The grammar there is LALR with precedences; from loosest to tightest: brackets, `..`, `.`, `|`,
//! `&`, `where`, all to the left.

use super::find::Node;

/// Longest path that is read, in characters: criteria are short, and nesting follows length.
const LENGTH_MAX: usize = 1_000;

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Name(String),
    Number(i64),
    Operator(String),
    Where,
    DoubleDot,
    Symbol(char),
}

/// Reads `source` into a tree of steps.
pub(super) fn parse(source: &str) -> Result<Node, String> {
    if source.chars().count() > LENGTH_MAX {
        return Err(format!("it is longer than {LENGTH_MAX} characters"));
    }
    let tokens = tokens(source)?;
    let mut parser = Parser { tokens, place: 0 };
    let node = parser.path(0)?;
    match parser.peek() {
        None => Ok(node),
        Some(token) => Err(format!("{token:?} is not expected here")),
    }
}

fn tokens(source: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut chars = source.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            ' ' | '\t' | '\n' => {}
            'a'..='z' | 'A'..='Z' | '_' | '@' => {
                let mut name = String::from(c);
                while let Some(c) =
                    chars.next_if(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '@' | '-'))
                {
                    name.push(c);
                }
                tokens.push(if name == "where" { Token::Where } else { Token::Name(name) });
            }
            '0'..='9' => tokens.push(number(c, &mut chars)?),
            '-' if chars.peek().is_some_and(char::is_ascii_digit) => {
                tokens.push(number(c, &mut chars)?);
            }
            '\'' | '"' => tokens.push(Token::Name(quoted(c, &mut chars)?)),
            '`' => tokens.push(Token::Operator(quoted(c, &mut chars)?)),
            '.' if chars.next_if_eq(&'.').is_some() => tokens.push(Token::DoubleDot),
            '*' | '.' | '[' | ']' | '(' | ')' | '$' | ',' | ':' | '|' | '&' => {
                tokens.push(Token::Symbol(c));
            }
            other => return Err(format!("{other:?} is no character of a path")),
        }
    }
    Ok(tokens)
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn number(first: char, chars: &mut Chars<'_>) -> Result<Token, String> {
    let mut digits = String::from(first);
    while let Some(c) = chars.next_if(char::is_ascii_digit) {
        digits.push(c);
    }
    digits.parse().map(Token::Number).map_err(|_| format!("{digits} is too large"))
}

fn quoted(quote: char, chars: &mut Chars<'_>) -> Result<String, String> {
    let mut text = String::new();
    while let Some(c) = chars.next() {
        match c {
            c if c == quote => return Ok(text),
            '\\' => text.push(chars.next().ok_or("an escape without a character")?),
            c => text.push(c),
        }
    }
    Err(format!("the {quote} is not closed"))
}

/// Makes one step of two.
type Join = fn(Box<Node>, Box<Node>) -> Node;

struct Parser {
    tokens: Vec<Token>,
    place: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.place)
    }

    fn accept(&mut self, symbol: char) -> bool {
        let found = self.peek() == Some(&Token::Symbol(symbol));
        self.place += usize::from(found);
        found
    }

    fn expect(&mut self, symbol: char) -> Result<(), String> {
        if self.accept(symbol) { Ok(()) } else { Err(format!("{symbol:?} is missing")) }
    }

    fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.place).cloned();
        self.place += 1;
        token
    }

    /// Operators at least as tight as `floor`, to the left.
    fn path(&mut self, floor: u8) -> Result<Node, String> {
        let mut left = self.step()?;
        loop {
            // Brackets are the loosest of all: they close everything before them.
            if floor == 0 && self.accept('[') {
                left = Node::Child(Box::new(left), Box::new(self.brackets()?));
                continue;
            }
            let Some((tightness, make)) = self.operator() else {
                return Ok(left);
            };
            if tightness < floor {
                return Ok(left);
            }
            self.place += 1;
            let right = self.path(tightness + 1)?;
            left = make(Box::new(left), Box::new(right));
        }
    }

    fn operator(&self) -> Option<(u8, Join)> {
        match self.peek()? {
            Token::DoubleDot => Some((1, Node::Descendants)),
            Token::Symbol('.') => Some((2, Node::Child)),
            Token::Symbol('|') => Some((3, Node::Union)),
            Token::Symbol('&') => Some((4, |_, _| Node::Intersect)),
            Token::Where => Some((5, Node::Where)),
            Token::Name(_) | Token::Number(_) | Token::Operator(_) | Token::Symbol(_) => None,
        }
    }

    /// One step.
    fn step(&mut self) -> Result<Node, String> {
        let node = match self.take() {
            Some(Token::Name(name)) => Node::Fields(self.more_names(name)?),
            Some(Token::Operator(word)) if word == "this" => Node::This,
            Some(Token::Operator(word)) if word == "parent" => Node::Parent,
            Some(Token::Operator(word)) => return Err(format!("`{word}` is no operator")),
            Some(Token::Symbol('*')) => Node::Every,
            Some(Token::Symbol('$')) => Node::Root,
            Some(Token::Symbol('(')) => {
                let node = self.path(0)?;
                self.expect(')')?;
                node
            }
            Some(Token::Symbol('[')) => self.brackets()?,
            Some(Token::Number(number)) => {
                return Err(format!("{number} is no name: quote it"));
            }
            Some(token @ (Token::Where | Token::DoubleDot | Token::Symbol(_))) => {
                return Err(format!("{token:?} is not expected here"));
            }
            None => return Err("it ends where a name should be".to_owned()),
        };
        Ok(node)
    }

    fn more_names(&mut self, first: String) -> Result<Vec<String>, String> {
        let mut names = vec![first];
        while self.accept(',') {
            match self.take() {
                Some(Token::Name(name)) => names.push(name),
                Some(_) | None => return Err("a name is missing after the comma".to_owned()),
            }
        }
        Ok(names)
    }

    fn brackets(&mut self) -> Result<Node, String> {
        let node = match self.take() {
            Some(Token::Name(name)) => Node::Fields(self.more_names(name)?),
            Some(Token::Symbol('*')) => Node::Slice(None, None),
            Some(Token::Symbol(':')) => Node::Slice(None, self.maybe_number()),
            Some(Token::Number(number)) if self.accept(':') => {
                Node::Slice(Some(number), self.maybe_number())
            }
            Some(Token::Number(number)) => Node::Index(number),
            Some(_) | None => return Err("brackets hold a name, a number or a slice".to_owned()),
        };
        self.expect(']')?;
        Ok(node)
    }

    fn maybe_number(&mut self) -> Option<i64> {
        match self.peek() {
            Some(Token::Number(number)) => {
                let number = *number;
                self.place += 1;
                Some(number)
            }
            Some(_) | None => None,
        }
    }
}

//! GraphQL documents, and the part of the schema language that `schema.graphql` needs.

use std::collections::BTreeMap;

/// Line and column, both from 1.
pub(super) type Place = (usize, usize);

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Literal {
    Variable(String),
    Number(i64),
    Text(String),
    Bool(bool),
    Null,
    Word(String),
    List(Vec<Literal>),
    Object(Vec<(String, Literal)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Type {
    Named(String),
    List(Box<Type>),
    Must(Box<Type>),
}

#[derive(Debug, Clone)]
pub(super) struct Field {
    /// The alias, or the name.
    pub key: String,
    pub name: String,
    pub args: Vec<(String, Literal)>,
    pub selection: Vec<Selection>,
    pub at: Place,
}

#[derive(Debug, Clone)]
pub(super) enum Selection {
    Field(Field),
    /// A part for one type only.
    On(Option<String>, Vec<Selection>, Place),
    Spread(String, Place),
}

#[derive(Debug, Clone)]
pub(super) struct Operation {
    pub mutation: bool,
    pub name: Option<String>,
    pub variables: Vec<(String, Type, Option<Literal>)>,
    pub selection: Vec<Selection>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Document {
    pub operations: Vec<Operation>,
    pub fragments: BTreeMap<String, (String, Vec<Selection>)>,
}

/// A definition of the schema: its keyword, its name, the interfaces, and the fields with arguments and type.
#[derive(Debug, Clone)]
pub(super) struct Definition {
    pub keyword: String,
    pub name: String,
    pub interfaces: Vec<String>,
    pub fields: Vec<Declared>,
}

/// A field of a definition: its name, its arguments, its type.
pub(super) type Declared = (String, Vec<(String, Type)>, Type);

#[derive(Debug, Clone, PartialEq)]
enum Token {
    Name(String),
    Sign(char),
    Dots,
    Number(i64),
    Text(String),
    End,
}

/// What is wrong, and where.
pub(super) type Wrong = (String, Place);

pub(super) fn parse(text: &str) -> Result<Document, Wrong> {
    let mut parser = Parser::new(text)?;
    let mut document = Document::default();
    while *parser.peek() != Token::End {
        parser.definition(&mut document)?;
    }
    Ok(document)
}

pub(super) fn parse_schema(text: &str) -> Result<Vec<Definition>, Wrong> {
    let mut parser = Parser::new(text)?;
    let mut found = Vec::new();
    while *parser.peek() != Token::End {
        found.push(parser.schema_definition()?);
    }
    Ok(found)
}

struct Parser {
    tokens: Vec<(Token, Place)>,
    at: usize,
}

impl Parser {
    fn new(text: &str) -> Result<Self, Wrong> {
        Ok(Self { tokens: tokens(text)?, at: 0 })
    }

    fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    fn place(&self) -> Place {
        self.tokens[self.at].1
    }

    fn next(&mut self) -> Token {
        let token = self.tokens[self.at].0.clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn skip(&mut self, sign: char) -> bool {
        let is = *self.peek() == Token::Sign(sign);
        if is {
            self.next();
        }
        is
    }

    fn must(&mut self, sign: char) -> Result<(), Wrong> {
        if self.skip(sign) { Ok(()) } else { self.wrong(&format!("expected {sign:?}")) }
    }

    fn wrong<T>(&self, what: &str) -> Result<T, Wrong> {
        let (line, column) = self.place();
        Err((format!("Parse error on {:?} at [{line}, {column}]: {what}", self.peek()), (line, column)))
    }

    fn name(&mut self) -> Result<String, Wrong> {
        match self.peek().clone() {
            Token::Name(name) => {
                self.next();
                Ok(name)
            }
            _ => self.wrong("expected a name"),
        }
    }

    fn definition(&mut self, document: &mut Document) -> Result<(), Wrong> {
        if *self.peek() == Token::Sign('{') {
            let selection = self.selection()?;
            document.operations.push(Operation { mutation: false, name: None, variables: Vec::new(), selection });
            return Ok(());
        }
        match self.name()?.as_str() {
            "fragment" => {
                let name = self.name()?;
                if self.name()? != "on" {
                    return self.wrong("expected `on`");
                }
                let of = self.name()?;
                let selection = self.selection()?;
                document.fragments.insert(name, (of, selection));
            }
            keyword @ ("query" | "mutation") => {
                let mutation = keyword == "mutation";
                let name = matches!(self.peek(), Token::Name(_)).then(|| self.name()).transpose()?;
                let mut variables = Vec::new();
                if self.skip('(') {
                    while !self.skip(')') {
                        self.must('$')?;
                        let name = self.name()?;
                        self.must(':')?;
                        let of = self.type_of()?;
                        let default = if self.skip('=') { Some(self.literal()?) } else { None };
                        variables.push((name, of, default));
                    }
                }
                let selection = self.selection()?;
                document.operations.push(Operation { mutation, name, variables, selection });
            }
            _ => return self.wrong("expected an operation"),
        }
        Ok(())
    }

    fn selection(&mut self) -> Result<Vec<Selection>, Wrong> {
        self.must('{')?;
        let mut found = Vec::new();
        while !self.skip('}') {
            found.push(self.selected()?);
        }
        if found.is_empty() { self.wrong("expected a field") } else { Ok(found) }
    }

    fn selected(&mut self) -> Result<Selection, Wrong> {
        let at = self.place();
        if *self.peek() == Token::Dots {
            self.next();
            return match self.peek().clone() {
                Token::Name(word) if word == "on" => {
                    self.next();
                    let of = self.name()?;
                    Ok(Selection::On(Some(of), self.selection()?, at))
                }
                Token::Name(name) => {
                    self.next();
                    Ok(Selection::Spread(name, at))
                }
                _ => Ok(Selection::On(None, self.selection()?, at)),
            };
        }
        let key = self.name()?;
        let name = if self.skip(':') { self.name()? } else { key.clone() };
        let mut args = Vec::new();
        if self.skip('(') {
            while !self.skip(')') {
                let name = self.name()?;
                self.must(':')?;
                args.push((name, self.literal()?));
            }
        }
        let selection = if *self.peek() == Token::Sign('{') { self.selection()? } else { Vec::new() };
        Ok(Selection::Field(Field { key, name, args, selection, at }))
    }

    fn type_of(&mut self) -> Result<Type, Wrong> {
        let of = if self.skip('[') {
            let inner = self.type_of()?;
            self.must(']')?;
            Type::List(Box::new(inner))
        } else {
            Type::Named(self.name()?)
        };
        Ok(if self.skip('!') { Type::Must(Box::new(of)) } else { of })
    }

    fn literal(&mut self) -> Result<Literal, Wrong> {
        match self.peek().clone() {
            Token::Sign('$') => {
                self.next();
                Ok(Literal::Variable(self.name()?))
            }
            Token::Sign('[') => {
                self.next();
                let mut items = Vec::new();
                while !self.skip(']') {
                    items.push(self.literal()?);
                }
                Ok(Literal::List(items))
            }
            Token::Sign('{') => {
                self.next();
                let mut members = Vec::new();
                while !self.skip('}') {
                    let name = self.name()?;
                    self.must(':')?;
                    members.push((name, self.literal()?));
                }
                Ok(Literal::Object(members))
            }
            token => {
                let literal = match token {
                    Token::Number(number) => Literal::Number(number),
                    Token::Text(text) => Literal::Text(text),
                    Token::Name(word) => match word.as_str() {
                        "true" => Literal::Bool(true),
                        "false" => Literal::Bool(false),
                        "null" => Literal::Null,
                        _ => Literal::Word(word),
                    },
                    _ => return self.wrong("expected a value"),
                };
                self.next();
                Ok(literal)
            }
        }
    }

    fn schema_definition(&mut self) -> Result<Definition, Wrong> {
        let (keyword, name) = (self.name()?, self.name()?);
        let mut interfaces = Vec::new();
        while *self.peek() != Token::Sign('{') {
            if !self.skip('&') {
                interfaces.push(self.name()?);
            }
        }
        interfaces.retain(|interface| interface != "implements");
        self.must('{')?;
        let mut fields = Vec::new();
        while !self.skip('}') {
            let field = self.name()?;
            let mut args = Vec::new();
            if self.skip('(') {
                while !self.skip(')') {
                    let arg = self.name()?;
                    self.must(':')?;
                    args.push((arg, self.type_of()?));
                }
            }
            let of = if self.skip(':') { self.type_of()? } else { Type::Named(name.clone()) };
            fields.push((field, args, of));
        }
        Ok(Definition { keyword, name, interfaces, fields })
    }
}

fn tokens(text: &str) -> Result<Vec<(Token, Place)>, Wrong> {
    let mut found = Vec::new();
    let (mut line, mut column) = (1, 1);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let place = (line, column);
        let length = match first {
            '\n' => {
                line += 1;
                column = 0;
                1
            }
            ' ' | '\t' | '\r' | ',' | '\u{feff}' => first.len_utf8(),
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '{' | '}' | '(' | ')' | '[' | ']' | ':' | '=' | '!' | '$' | '&' | '@' | '|' => {
                found.push((Token::Sign(first), place));
                1
            }
            '.' if rest.starts_with("...") => {
                found.push((Token::Dots, place));
                3
            }
            '"' => {
                let (text, length) =
                    string(rest).ok_or_else(|| (format!("Unterminated string at {place:?}"), place))?;
                found.push((Token::Text(text), place));
                length
            }
            '-' | '0'..='9' => {
                let end = rest[1..].find(|c: char| !c.is_ascii_digit()).map_or(rest.len(), |end| end + 1);
                let number = rest[..end].parse().map_err(|_| (format!("Bad number at {place:?}"), place))?;
                found.push((Token::Number(number), place));
                end
            }
            c if c.is_ascii_alphabetic() || c == '_' => {
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
                found.push((Token::Name(rest[..end].to_owned()), place));
                end
            }
            other => return Err((format!("Unexpected character {other:?} at {place:?}"), place)),
        };
        column += rest[..length].chars().count();
        rest = &rest[length..];
    }
    found.push((Token::End, (line, column)));
    Ok(found)
}

/// A string at the beginning of the text, and its length there. Block strings are not modelled.
fn string(text: &str) -> Option<(String, usize)> {
    let mut end = 1;
    let mut escaped = false;
    for c in text[1..].chars() {
        end += c.len_utf8();
        match c {
            '"' if !escaped => return Some((serde_json::from_str(&text[..end]).ok()?, end)),
            '\n' => return None,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}

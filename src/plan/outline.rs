//! Where everything stands in a document's text: the same tree as its value, with places in place of values.

use serde_yaml::granit_parser::{self, Event, Parser, Span, StructureStyle};

use crate::domain::pointer::{Pointer, Step};

/// A node of the tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Bytes of the text; those of a block collection end where its last node does, or later.
    pub start: usize,
    pub end: usize,
    /// 1-based.
    pub line: u64,
    pub column: u64,
    pub shape: Shape,
}

/// What a node is.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A scalar, or an alias, whose content stands elsewhere.
    Leaf,
    List {
        items: Vec<Node>,
        style: Style,
    },
    Map {
        entries: Vec<Entry>,
        style: Style,
    },
}

/// How a collection is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Block,
    /// In brackets.
    Flow,
}

/// One entry of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// As it is written, without quotes; empty for a key that is no scalar.
    pub name: String,
    pub key: Node,
    pub value: Node,
}

impl Node {
    /// The place of the key or item at a pointer, or of the nearest above it: where a person looks first.
    pub fn place(&self, pointer: &Pointer) -> (u64, u64) {
        let mut node = self;
        let mut place = (self.line, self.column);
        for step in pointer.steps() {
            match (&node.shape, step) {
                (Shape::Map { entries, .. }, Step::Key(name)) => {
                    let Some(entry) = entries.iter().find(|entry| entry.name == *name) else { return place };
                    place = (entry.key.line, entry.key.column);
                    node = &entry.value;
                }
                (Shape::List { items, .. }, Step::Index(index)) => {
                    let Some(item) = items.get(*index) else { return place };
                    place = (item.line, item.column);
                    node = item;
                }
                (Shape::Leaf | Shape::Map { .. } | Shape::List { .. }, _) => return place,
            }
        }
        place
    }
}

/// The outline of the first document of a text; `None` when it has none, or is not YAML.
pub fn outline(text: &str) -> Option<Node> {
    let mut options = granit_parser::Options::default();
    options.emit_comments = false;
    options.emit_unresolved_aliases = true;
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.ok()?;
        let done = match event {
            Event::MappingStart(style, ..) => {
                open.push(Open::new(true, style, &span)?);
                None
            }
            Event::SequenceStart(style, ..) => {
                open.push(Open::new(false, style, &span)?);
                None
            }
            Event::MappingEnd | Event::SequenceEnd => Some((open.pop()?.closed(&span)?, String::new())),
            Event::Scalar(value, ..) => Some((node(&span, Shape::Leaf)?, value.into_owned())),
            Event::Alias(..) | Event::UnresolvedAlias(..) => Some((node(&span, Shape::Leaf)?, String::new())),
            _ => None,
        };
        let Some((node, name)) = done else { continue };
        match open.last_mut() {
            Some(parent) => parent.take(node, name),
            None => return Some(node),
        }
    }
    None
}

/// A collection whose end was not reached yet.
struct Open {
    is_map: bool,
    node: Node,
    style: Style,
    key: Option<(Node, String)>,
    items: Vec<Node>,
    entries: Vec<Entry>,
}

impl Open {
    fn new(is_map: bool, style: StructureStyle, span: &Span) -> Option<Self> {
        let style = match style {
            StructureStyle::Flow => Style::Flow,
            _ => Style::Block,
        };
        let node = node(span, Shape::Leaf)?;
        Some(Self { is_map, node, style, key: None, items: Vec::new(), entries: Vec::new() })
    }

    fn take(&mut self, node: Node, name: String) {
        if !self.is_map {
            self.items.push(node);
            return;
        }
        match self.key.take() {
            None => self.key = Some((node, name)),
            Some((key, name)) => self.entries.push(Entry { name, key, value: node }),
        }
    }

    fn closed(self, end: &Span) -> Option<Node> {
        let end = end.byte_range()?.end;
        let style = self.style;
        let shape = match self.is_map {
            true => Shape::Map { entries: self.entries, style },
            false => Shape::List { items: self.items, style },
        };
        Some(Node { end: end.max(self.node.start), shape, ..self.node })
    }
}

fn node(span: &Span, shape: Shape) -> Option<Node> {
    let bytes = span.byte_range()?;
    let (line, column) = (span.start.line().max(1) as u64, span.start.col() as u64 + 1);
    Some(Node { start: bytes.start, end: bytes.end, line, column, shape })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# c\na: 1\nb:\n  - x: {y: é}\n    z: [1, 2]\n  - *q\n";

    fn place(steps: &[Step]) -> (u64, u64) {
        outline(&TEXT.replace("a: 1", "a: &q 1")).unwrap().place(&Pointer::from(steps))
    }

    fn key(name: &str) -> Step {
        Step::Key(name.to_owned())
    }

    #[test]
    fn keys_and_items_are_found_where_they_stand() {
        assert_eq!(place(&[key("a")]), (2, 1));
        assert_eq!(place(&[key("b"), Step::Index(0), key("z"), Step::Index(1)]), (5, 12));
        assert_eq!(place(&[key("b"), Step::Index(0), key("x"), key("y")]), (4, 9));
        assert_eq!(place(&[key("b"), Step::Index(1)]), (6, 5));
    }

    #[test]
    fn what_is_not_there_is_the_nearest_that_is() {
        assert_eq!(place(&[key("b"), Step::Index(0), key("missing"), key("deep")]), (4, 5));
        assert_eq!(place(&[key("c")]), (2, 1));
    }

    #[test]
    fn spans_are_bytes_of_the_text() {
        let text = "é: 1\nb: \"two\" # c\n";
        let outline = outline(text).unwrap();
        let Shape::Map { entries, .. } = &outline.shape else { unreachable!() };

        assert_eq!(&text[entries[0].value.start..entries[0].value.end], "1");
        assert_eq!(&text[entries[1].value.start..entries[1].value.end], "\"two\"");
    }

    #[test]
    fn what_is_no_document_has_no_outline() {
        assert_eq!(outline(""), None);
        assert_eq!(outline("a: [1"), None);
    }
}

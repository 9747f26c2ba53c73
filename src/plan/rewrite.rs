//! Makes a file's text hold a new value and leaves the lines of everything that did not change: comments, blank
//! lines, quotes and order stay where the value that they belong to did.
//!
//! Only plain cases are edited: block mappings and lists, and scalars. What is less plain is written anew, the smallest
//! part that can be. The result is read back, and where it is not exactly what was wanted the whole file is written
//! anew instead; so an odd file costs its comments, never its content.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::outline::{Entry, Node, Shape, Style, outline};
use super::yaml;

/// The text with the wanted content; `None` when it has to be written anew.
pub fn rewrite(text: &[u8], wanted: &Map<String, Value>) -> Option<Bytes> {
    let text = std::str::from_utf8(text).ok()?;
    let Value::Object(was) = yaml::read(text.as_bytes()).ok()? else { return None };
    let root = outline(text)?;
    let mut editor = Editor { text, edits: Vec::new() };
    editor.mapping(&root, &was, wanted)?;
    editor.drop_old_header(&root);
    let text = editor.applied()?;
    let same = yaml::read(text.as_bytes()).is_ok_and(|found| found.as_object() == Some(wanted));
    same.then(|| Bytes::from(text))
}

struct Editor<'t> {
    text: &'t str,
    /// What takes the place of which bytes.
    edits: Vec<(Range<usize>, String)>,
}

/// A value that cannot be edited in place; whoever holds it writes it anew.
type Edited = Option<()>;

impl Editor<'_> {
    fn value(&mut self, node: &Node, was: &Value, wanted: &Value, in_flow: bool) -> Edited {
        if was == wanted {
            return Some(());
        }
        let before = self.edits.len();
        let edited = match (was, wanted) {
            (Value::Object(was), Value::Object(wanted)) => self.mapping(node, was, wanted),
            (Value::Array(was), Value::Array(wanted)) => self.list(node, was, wanted),
            (Value::Object(_) | Value::Array(_), _) | (_, Value::Object(_) | Value::Array(_)) => None,
            (_, wanted) => self.scalar(node, wanted, in_flow),
        };
        if edited.is_none() {
            self.edits.truncate(before);
        }
        edited
    }

    fn scalar(&mut self, node: &Node, wanted: &Value, in_flow: bool) -> Edited {
        let old = self.text.get(node.start..node.end)?;
        if node.shape != Shape::Leaf || old.is_empty() || old.contains(['\n', '\r']) {
            return None;
        }
        let new = match wanted {
            Value::String(text) if in_flow => serde_json::to_string(text).ok()?,
            wanted => serde_yaml::to_string(wanted).ok()?.trim_end().to_owned(),
        };
        if new.contains('\n') {
            return None;
        }
        self.edits.push((node.start..node.end, new));
        Some(())
    }

    fn mapping(&mut self, node: &Node, was: &Map<String, Value>, wanted: &Map<String, Value>) -> Edited {
        let Shape::Map { entries, style } = &node.shape else { return None };
        let in_flow = *style == Style::Flow;
        let new: BTreeMap<&String, &Value> = wanted.iter().filter(|(name, _)| !was.contains_key(*name)).collect();
        let gone = was.keys().any(|name| !wanted.contains_key(name));
        // A merge or an unusual key: the entries are not the value's.
        let unusual = entries.len() != was.len() || entries.iter().any(|entry| !was.contains_key(&entry.name));
        if unusual || wanted.is_empty() || (in_flow && (gone || !new.is_empty())) {
            return None;
        }
        for (place, entry) in entries.iter().enumerate() {
            match wanted.get(&entry.name) {
                None => self.remove(entry, place == 0)?,
                Some(value) if self.value(&entry.value, &was[&entry.name], value, in_flow).is_some() => {}
                Some(value) if !in_flow => self.write_entry(entry, value)?,
                Some(_) => return None,
            }
        }
        let last = entries.last()?;
        let column = usize::try_from(last.key.column).ok()?.checked_sub(1)?;
        let texts =
            new.into_iter().map(|(name, value)| block(&Map::from_iter([(name.clone(), value.clone())]), column));
        self.insert_lines(end_of(last), column, texts.collect())
    }

    /// Items are told apart by their place, but what is equal at the front and at the back stays as it is.
    fn list(&mut self, node: &Node, was: &[Value], wanted: &[Value]) -> Edited {
        let Shape::List { items, style } = &node.shape else { return None };
        let in_flow = *style == Style::Flow;
        if items.len() != was.len() || wanted.is_empty() || (in_flow && was.len() != wanted.len()) {
            return None;
        }
        let front = was.iter().zip(wanted).take_while(|(was, wanted)| was == wanted).count();
        let rest = was.len().min(wanted.len()) - front;
        let back =
            was.iter().rev().zip(wanted.iter().rev()).take(rest).take_while(|(was, wanted)| was == wanted).count();
        let (old_middle, new_middle) = (front..was.len() - back, &wanted[front..wanted.len() - back]);
        let (mut old, mut new) = (old_middle, new_middle.iter());
        loop {
            match (old.next(), new.next()) {
                (None, None) => return Some(()),
                (Some(place), Some(value)) => {
                    if self.value(&items[place], &was[place], value, in_flow).is_none() {
                        self.write_item(&items[place], value, in_flow)?;
                    }
                }
                (Some(place), None) => self.remove_item(&items[place], place == 0)?,
                (None, Some(value)) => {
                    // Before the first item there is nothing to write behind.
                    let after = items.get((was.len() - back).checked_sub(1)?)?;
                    let dash = self.dash(after)?;
                    let added = std::iter::once(value).chain(new.by_ref()).map(|value| item_block(value, dash));
                    self.insert_lines(content_end(after), dash, added.collect())?;
                    return Some(());
                }
            }
        }
    }

    /// Writes an entry of a block mapping anew, to the end of its last line.
    fn write_entry(&mut self, entry: &Entry, value: &Value) -> Edited {
        let column = usize::try_from(entry.key.column).ok()?.checked_sub(1)?;
        let text = block(&Map::from_iter([(entry.name.clone(), value.clone())]), column)?;
        let end = self.line_end(end_of(entry));
        self.edits.push((entry.key.start..end, text));
        Some(())
    }

    fn write_item(&mut self, item: &Node, value: &Value, in_flow: bool) -> Edited {
        if in_flow {
            return None;
        }
        let dash = self.dash(item)?;
        let start = self.line_start(item.start) + dash;
        let end = self.line_end(content_end(item));
        self.edits.push((start..end, item_block(value, dash)?));
        Some(())
    }

    fn remove(&mut self, entry: &Entry, is_first: bool) -> Edited {
        let column = usize::try_from(entry.key.column).ok()?.checked_sub(1)?;
        self.remove_lines(entry.key.start, column, end_of(entry), is_first)
    }

    fn remove_item(&mut self, item: &Node, is_first: bool) -> Edited {
        let dash = self.dash(item)?;
        self.remove_lines(self.line_start(item.start) + dash, dash, content_end(item), is_first)
    }

    /// Removes the lines from `start` to `end` and the comment directly above; the first one's may be about them all.
    fn remove_lines(&mut self, start: usize, column: usize, end: usize, is_first: bool) -> Edited {
        let mut from = self.line_start(start);
        if self.text.get(from..start)?.chars().any(|c| c != ' ') {
            return None;
        }
        while !is_first && from > 0 {
            let above = self.line_start(from - 1);
            let line = self.text.get(above..from)?;
            let is_its_comment = line.len() - line.trim_start().len() == column && line.trim_start().starts_with('#');
            if !is_its_comment {
                break;
            }
            from = above;
        }
        let end = self.line_end(end);
        let end = end + self.text[end..].len().min(self.line_break().len());
        self.edits.push((from..end, String::new()));
        Some(())
    }

    /// Inserts lines behind the line on which `after` stands.
    fn insert_lines(&mut self, after: usize, column: usize, texts: Vec<Option<String>>) -> Edited {
        if texts.is_empty() {
            return Some(());
        }
        let at = self.line_end(after);
        let mut inserted = String::new();
        for text in texts {
            inserted += "\n";
            inserted += &" ".repeat(column);
            inserted += &text?;
        }
        self.edits.push((at..at, inserted));
        Some(())
    }

    /// The column (0-based) of the dash before a block list's item, when nothing but space stands around it.
    fn dash(&self, item: &Node) -> Option<usize> {
        let start = self.line_start(item.start);
        let before = self.text.get(start..item.start)?;
        let dash = before.find('-')?;
        let alone = before.bytes().enumerate().all(|(place, byte)| byte == b' ' || place == dash);
        alone.then_some(dash)
    }

    /// Header lines with a date and a time were written by the service before us with every save.
    fn drop_old_header(&mut self, root: &Node) {
        let mut start = 0;
        for line in self.text[..root.start].split_inclusive('\n') {
            let end = start + line.len();
            if line.starts_with('#') && has_time(line) {
                self.edits.push((start..end, String::new()));
            }
            start = end;
        }
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |found| found + 1)
    }

    /// Where the line of a byte ends, without its break.
    fn line_end(&self, at: usize) -> usize {
        let end = self.text[at..].find('\n').map_or(self.text.len(), |found| at + found);
        if self.text[at..end].ends_with('\r') { end - 1 } else { end }
    }

    fn line_break(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// The text with all edits; `None` when two of them overlap.
    fn applied(mut self) -> Option<String> {
        self.edits.sort_by_key(|(range, _)| (range.start, range.end));
        let mut text = String::with_capacity(self.text.len());
        let mut at = 0;
        for (range, new) in &self.edits {
            text += self.text.get(at..range.start)?;
            text += &if self.line_break() == "\n" { new.clone() } else { new.replace('\n', "\r\n") };
            at = range.end;
        }
        text += self.text.get(at..)?;
        if !text.ends_with('\n') {
            text += self.line_break();
        }
        Some(text)
    }
}

/// A mapping as block lines for a column; the first line has no indentation.
fn block(map: &Map<String, Value>, column: usize) -> Option<String> {
    Some(indented(&serde_yaml::to_string(map).ok()?, column))
}

/// A list item with its dash, for a dash at this column.
fn item_block(value: &Value, column: usize) -> Option<String> {
    Some(indented(&serde_yaml::to_string(&[value]).ok()?, column))
}

fn indented(text: &str, column: usize) -> String {
    let mut lines = text.trim_end_matches('\n').split('\n');
    let mut indented = lines.next().unwrap_or_default().to_owned();
    for line in lines {
        indented.push('\n');
        if !line.is_empty() {
            indented += &" ".repeat(column);
            indented += line;
        }
    }
    indented
}

fn end_of(entry: &Entry) -> usize {
    content_end(&entry.value).max(entry.key.end)
}

/// Where a node's last content ends; a block collection's own end may be where the next thing begins.
fn content_end(node: &Node) -> usize {
    match &node.shape {
        Shape::Map { entries, style: Style::Block } => entries.last().map_or(node.start, end_of),
        Shape::List { items, style: Style::Block } => items.last().map_or(node.start, content_end),
        Shape::Leaf | Shape::Map { .. } | Shape::List { .. } => node.end,
    }
}

/// Whether a line has `YYYY-MM-DD` and, right behind, `T` or a space and `HH:MM`.
fn has_time(line: &str) -> bool {
    const SHAPE: &[u8; 16] = b"dddd-dd-ddtdd:dd";
    line.as_bytes().windows(SHAPE.len()).any(|window| {
        window.iter().zip(SHAPE).all(|(byte, shape)| match shape {
            b'd' => byte.is_ascii_digit(),
            b't' => matches!(byte, b'T' | b' '),
            shape => byte == shape,
        })
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TEXT: &str = "\
# Web servers of the lab.
kind: VPC # the kind
metadata:
  name: web

  # Who pays.
  labels:
    cost: '42' # the old number
spec:
  # What people reach.
  subnets:
    default:
      subnet: 10.0.0.0/24 # outer
      vlan: 1001 # tagged
    db: {subnet: 10.0.1.0/24, vlan: 1002} # inner
  ports:
  # The first one.
  - leaf-1/E1
  - leaf-2/E1 # spare
  # The last one.
  - leaf-3/E1
";

    fn changed(text: &str, pointer: &str, to: Value) -> String {
        let mut value = yaml::read(text.as_bytes()).unwrap();
        *value.pointer_mut(pointer).unwrap() = to;
        rewritten(text, &value)
    }

    fn rewritten(text: &str, value: &Value) -> String {
        let text = rewrite(text.as_bytes(), value.as_object().unwrap());
        text.map_or_else(|| "written anew".to_owned(), |text| String::from_utf8(text.to_vec()).unwrap())
    }

    #[test]
    fn a_changed_scalar_changes_nothing_else() {
        let text = changed(TEXT, "/spec/subnets/default/vlan", json!(2002));
        assert_eq!(text, TEXT.replace("1001", "2002"));

        let text = changed(TEXT, "/metadata/labels/cost", json!("0755"));
        assert_eq!(text, TEXT.replace("'42'", "\"0755\""));
    }

    #[test]
    fn a_scalar_in_brackets_is_changed_in_its_place() {
        let text = changed(TEXT, "/spec/subnets/db/subnet", json!("a, b}"));

        assert_eq!(text, TEXT.replace("10.0.1.0/24", "\"a, b}\""));
    }

    #[test]
    fn a_new_key_follows_the_others_of_its_mapping() {
        let text = changed(TEXT, "/metadata/labels", json!({"cost": "42", "tier": "on", "area": "1"}));

        assert_eq!(text, TEXT.replace("# the old number\n", "# the old number\n    area: \"1\"\n    tier: \"on\"\n"));
    }

    #[test]
    fn a_key_that_goes_takes_its_comments_along() {
        let text = changed(TEXT, "/metadata", json!({"name": "web"}));

        assert_eq!(text, TEXT.replace("  # Who pays.\n  labels:\n    cost: '42' # the old number\n", ""));
    }

    #[test]
    fn list_items_keep_their_comments_when_others_come_and_go() {
        let text = changed(TEXT, "/spec/ports", json!(["leaf-1/E1", "leaf-3/E1"]));
        assert_eq!(text, TEXT.replace("  - leaf-2/E1 # spare\n", ""));

        let text = changed(TEXT, "/spec/ports", json!(["leaf-1/E1", "leaf-2/E1", "x", {"a": [1]}, "leaf-3/E1"]));
        assert_eq!(text, TEXT.replace("# spare\n", "# spare\n  - x\n  - a:\n    - 1\n"));

        let text = changed(TEXT, "/spec/ports", json!(["leaf-1/E1", {"a": 1, "b": 2}, "leaf-3/E1"]));
        assert_eq!(text, TEXT.replace("- leaf-2/E1 # spare\n", "- a: 1\n    b: 2\n"));
    }

    #[test]
    fn an_item_before_all_others_writes_the_list_anew() {
        let value = json!({"kind": "VPC", "spec": [false, null]});
        let text = rewritten("# About it.\nkind: VPC\nspec:\n  - null\n", &value);
        assert!(text.starts_with("# About it.\nkind: VPC\n"), "{text}");
        assert_eq!(yaml::read(text.as_bytes()).unwrap(), value);
    }

    #[test]
    fn what_becomes_another_kind_of_thing_is_written_anew_alone() {
        let text = changed(TEXT, "/spec/subnets/db", json!({"subnet": "10.0.1.0/24"}));
        assert_eq!(
            text,
            TEXT.replace("db: {subnet: 10.0.1.0/24, vlan: 1002} # inner", "db:\n      subnet: 10.0.1.0/24")
        );

        let text = changed(TEXT, "/spec/ports", json!([]));
        assert!(text.ends_with("# inner\n  ports: []\n") && text.contains("# tagged"), "{text}");
    }

    #[test]
    fn a_text_of_several_lines_is_written_as_one() {
        let text = changed(TEXT, "/metadata/labels/cost", json!("a\nb\n"));

        assert!(text.contains("    cost: |\n      a\n      b\nspec:\n"), "{text}");
    }

    #[test]
    fn line_endings_stay_and_a_missing_last_one_is_added() {
        let windows = TEXT.replace('\n', "\r\n");
        let text = changed(&windows, "/metadata/labels", json!({"cost": "42", "tier": "x"}));
        assert_eq!(text, windows.replace("number\r\n", "number\r\n    tier: x\r\n"));

        assert_eq!(rewritten("a: 1", &json!({"a": 1, "b": 2})), "a: 1\nb: 2\n");
    }

    #[test]
    fn header_lines_with_a_time_go_and_others_stay() {
        let text = "# Generated 2025-08-01T10:22:33Z by HNP\n# Ours since 2025-08-01.\na: 1\n";

        assert_eq!(rewritten(text, &json!({"a": 2})), "# Ours since 2025-08-01.\na: 2\n");
    }

    #[test]
    fn what_cannot_be_edited_safely_is_written_anew() {
        assert_eq!(rewritten("a: &x 1\nb: *x\n", &json!({"a": 2, "b": 1})), "written anew");
        assert_eq!(rewritten("a: {b: 1}\n<<: {c: 1}\n", &json!({"a": {"b": 2}, "c": 1})), "written anew");
        assert_eq!(rewritten("---\n---\na: 1\n", &json!({"a": 2})), "written anew");
        assert_eq!(rewritten("a: 1\n", &json!({})), "written anew");
    }
}

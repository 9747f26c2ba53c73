//! Cuts a file into its documents without reading them, byte for byte.
//!
//! The YAML reader skips empty documents, stops for good at its first error and counts characters; we need the index
//! of every document and its exact bytes. By the YAML rules a `---` at the start of a line always begins a document,
//! whatever construct it stands in, so lines are enough.

use std::ops::Range;

/// The byte range of every document, in order; they cover the file without gaps. At least one, even for no bytes.
///
/// A separator belongs to the document it begins, and so do comments and directives before a file's first separator or
/// after a `...`.
pub fn split(bytes: &[u8]) -> Vec<Range<usize>> {
    let mut documents: Vec<Range<usize>> = Vec::new();
    let mut start = 0;
    let mut begun = false;
    for line in Lines::new(bytes, 0) {
        let text = &bytes[line.text.clone()];
        if is_marker(text, b"---") {
            if begun {
                documents.push(start..line.text.start);
                start = line.text.start;
            }
            begun = true;
        } else if is_marker(text, b"...") {
            if begun {
                documents.push(start..line.next);
                start = line.next;
            }
            begun = false;
        } else if !begun && has_content(text) && !text.starts_with(b"%") {
            begun = true;
        }
    }
    match documents.last_mut() {
        Some(last) if !begun => last.end = bytes.len(),
        Some(_) | None => documents.push(start..bytes.len()),
    }
    documents
}

/// The 1-based line, within `bytes`, of the first content of a document; the first line when there is none.
pub fn first_content_line(bytes: &[u8]) -> u64 {
    let content = |line: &Line| {
        let text = &bytes[line.text.clone()];
        let text = if is_marker(text, b"---") { &text[3..] } else { text };
        has_content(text) && !text.starts_with(b"%") && !is_marker(text, b"...")
    };
    let lines = Lines::new(bytes, 0);
    lines.zip(1..).find(|(line, _)| content(line)).map_or(1, |(_, number)| number)
}

/// How many line breaks there are.
pub fn line_breaks(bytes: &[u8]) -> u64 {
    Lines::new(bytes, 0).fold(0, |count, line| count + u64::from(line.next > line.text.end))
}

/// The bytes without a leading byte order mark.
pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(MARK).unwrap_or(bytes)
}

const MARK: &[u8] = b"\xEF\xBB\xBF";

struct Line {
    /// Without its break, and without a byte order mark at the start of the file.
    text: Range<usize>,
    /// Where the next line begins.
    next: usize,
}

/// Lines end as YAML 1.2 ends them: with `\n`, `\r\n` or `\r`.
struct Lines<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len());
        let ends = match rest.get(length..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([_, ..]) => 1,
            Some([]) | None => 0,
        };
        let skipped = if self.at == 0 && rest.starts_with(MARK) { MARK.len() } else { 0 };
        let line = Line { text: self.at + skipped..self.at + length, next: self.at + length + ends };
        self.at = line.next;
        Some(line)
    }
}

fn is_marker(line: &[u8], marker: &[u8; 3]) -> bool {
    line.strip_prefix(marker).is_some_and(|rest| matches!(rest.first(), None | Some(b' ' | b'\t')))
}

/// Whether there is more than space and a comment.
fn has_content(line: &[u8]) -> bool {
    line.iter().find(|byte| !matches!(byte, b' ' | b'\t')).is_some_and(|first| *first != b'#')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<&str> {
        split(text.as_bytes()).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn separators_belong_to_the_document_they_begin() {
        assert_eq!(pieces("a: 1\n---\nb: 2\n"), ["a: 1\n", "---\nb: 2\n"]);
    }

    #[test]
    fn a_leading_separator_and_what_stands_before_it_belong_to_the_first_document() {
        assert_eq!(pieces("# head\n---\na: 1\n--- b\n"), ["# head\n---\na: 1\n", "--- b\n"]);
        assert_eq!(pieces("%YAML 1.2\n---\na: 1\n"), ["%YAML 1.2\n---\na: 1\n"]);
    }

    #[test]
    fn empty_documents_count() {
        assert_eq!(pieces("---\n---\n# only\n---\n"), ["---\n", "---\n# only\n", "---\n"]);
        assert_eq!(pieces(""), [""]);
        assert_eq!(pieces("# nothing\n"), ["# nothing\n"]);
    }

    #[test]
    fn an_end_marker_ends_a_document_and_the_next_separator_does_not_make_another() {
        assert_eq!(pieces("a\n...\n# c\n---\nb\n"), ["a\n...\n", "# c\n---\nb\n"]);
        assert_eq!(pieces("a\n...\nb\n"), ["a\n...\n", "b\n"]);
        assert_eq!(pieces("a\n...\n# the end\n"), ["a\n...\n# the end\n"]);
    }

    #[test]
    fn a_separator_in_a_block_scalar_separates() {
        assert_eq!(pieces("a: |\n  x\n---\n  y\n"), ["a: |\n  x\n", "---\n  y\n"]);
        assert_eq!(pieces("a: |\n  ---\n  y\n"), ["a: |\n  ---\n  y\n"]);
    }

    #[test]
    fn only_three_dashes_and_space_separate() {
        assert_eq!(pieces("---a\n----\n"), ["---a\n----\n"]);
        assert_eq!(pieces("a\n---\tb"), ["a\n", "---\tb"]);
    }

    #[test]
    fn every_line_break_of_yaml_is_one() {
        assert_eq!(pieces("a\r\n---\r\nb"), ["a\r\n", "---\r\nb"]);
        assert_eq!(pieces("a\r---\rb"), ["a\r", "---\rb"]);
        assert_eq!(line_breaks(b"a\r\nb\rc\nd"), 3);
    }

    #[test]
    fn a_byte_order_mark_does_not_hide_a_separator() {
        assert_eq!(pieces("\u{feff}---\na\n---\nb"), ["\u{feff}---\na\n", "---\nb"]);
    }

    #[test]
    fn the_first_content_is_found_behind_comments_and_separators() {
        assert_eq!(first_content_line(b"# a\n---\n\n  b: 1\n"), 4);
        assert_eq!(first_content_line(b"# a\n--- b: 1\n"), 2);
        assert_eq!(first_content_line(b"---\n"), 1);
    }
}

//! Changes as requests for trees have them: which of them go together, and in which order.

use bytes::Bytes;
use serde_json::Value;

use crate::repo::changes::{Change, Changes};

/// How many entries one request for a tree has; people saw GitHub time out above two hundred with their content.
pub(super) const MAX_ENTRIES: usize = 200;
/// How much content one request for a tree has; people saw GitHub time out at 2.5 MB.
const MAX_CONTENT: usize = 2 * 1024 * 1024;
/// A longer text is sent as a blob of its own.
const LONG_TEXT: usize = 1024 * 1024;
/// One change as a request for a tree has it.
pub(super) struct Entry {
    pub wire: Value,
    /// Bytes of content in it.
    pub weight: usize,
}

/// Where a file takes a directory's place or the other way round, deletions go first, in requests of their own.
pub(super) fn in_turns(changes: &Changes<'_>, entries: Vec<Entry>) -> (Vec<Entry>, Vec<Entry>) {
    let deleted = |path: &str| matches!(changes.get(path), Some(Change::Delete));
    let above = |path: &str| path.match_indices('/').any(|(at, _)| deleted(&path[..at]));
    let below = |path: &str| {
        let inside = format!("{path}/");
        changes.range(inside.as_str()..).next().is_some_and(|(next, _)| next.starts_with(&inside) && deleted(next))
    };
    let clash =
        changes.iter().any(|(path, change)| matches!(change, Change::Write { .. }) && (above(path) || below(path)));
    if !clash {
        return (Vec::new(), entries);
    }
    entries.into_iter().partition(|entry| entry.wire["sha"].is_null() && entry.wire.get("content").is_none())
}

/// How many entries go into the next request: one at least.
pub(super) fn fitting(entries: &[Entry], limit: usize) -> usize {
    let mut weight = 0;
    let fits = entries.iter().take(limit).take_while(|entry| {
        weight += entry.weight;
        weight <= MAX_CONTENT
    });
    fits.count().max(1)
}

/// A text that survives JSON and every reader of it.
pub(super) fn plain(bytes: &Bytes) -> Option<&str> {
    let text = str::from_utf8(bytes).ok()?;
    (!text.is_empty() && text.len() <= LONG_TEXT && !text.contains('\0')).then_some(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    static TEXT: Bytes = Bytes::from_static(b"x");

    fn turns(list: &[(&'static str, bool)]) -> (usize, usize) {
        let change =
            |write: bool| if write { Change::Write { executable: false, bytes: &TEXT } } else { Change::Delete };
        let changes: Changes<'_> = list.iter().map(|(path, write)| (*path, change(*write))).collect();
        let wire = |write: bool| if write { json!({ "content": "x" }) } else { json!({ "sha": null }) };
        let entries = list.iter().map(|(_, write)| Entry { wire: wire(*write), weight: 0 }).collect();
        let (first, then) = in_turns(&changes, entries);
        (first.len(), then.len())
    }

    #[test]
    fn deletions_go_first_only_where_a_file_and_a_directory_change_places() {
        assert_eq!(turns(&[("dir/a", false), ("other/a", true)]), (0, 2));
        assert_eq!(turns(&[("dir", true), ("dir/a", false), ("dir/b", false)]), (2, 1));
        assert_eq!(turns(&[("file", false), ("file/a", true)]), (1, 1));
        assert_eq!(turns(&[("dir", true), ("dir-x/a", false)]), (0, 2));
    }

    #[test]
    fn a_request_has_a_limit_of_entries_and_of_content() {
        let entries = |weights: &[usize]| -> Vec<Entry> {
            weights.iter().map(|weight| Entry { wire: Value::Null, weight: *weight }).collect()
        };

        assert_eq!(fitting(&entries(&[1; 250]), MAX_ENTRIES), 200);
        assert_eq!(fitting(&entries(&[MAX_CONTENT / 2; 10]), MAX_ENTRIES), 2);
        assert_eq!(fitting(&entries(&[MAX_CONTENT + 1, 1]), MAX_ENTRIES), 1);
    }

    #[test]
    fn only_text_that_survives_travels_inside_a_tree() {
        let plain = |bytes: &'static [u8]| plain(&Bytes::from_static(bytes)).is_some();

        assert!(plain("a: ü\r\n".as_bytes()));
        assert!(!plain(b"") && !plain(b"\xff") && !plain(b"a\0b"));
    }
}

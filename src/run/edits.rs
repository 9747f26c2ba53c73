//! What a run changes in files, kept for people to look at.

use std::collections::BTreeMap;

use similar::TextDiff;

use crate::domain::cause::with_causes;
use crate::domain::file_edit::{FileEdit, RunEdits};
use crate::domain::path::RepoPath;
use crate::ledger::types::Claim;
use crate::plan::rollback::Rewound;
use crate::plan::{FabricPlan, GitSide, Sides};

use super::Runner;
use super::gather::Gathered;

/// Files whose edits are kept.
const MOST_FILES: usize = 100;
/// Bytes of all diffs of a fabric's share.
const MOST_BYTES: usize = 64 * 1024;
/// Larger files are not compared line by line.
const LARGEST_FILE: usize = 256 * 1024;
/// Lines around a change.
const CONTEXT: usize = 3;

/// Keeps the edits of managed files. Never fails the run: they are a courtesy, and the commit is the truth.
pub async fn keep(runner: &Runner, claim: &Claim, gathered: &Gathered, plan: &FabricPlan) {
    let fabric = &gathered.sides.fabric;
    let edits = edits_of(&gathered.sides, gathered.rewound.as_ref().map(|(rewound, _)| rewound), plan);
    if edits == RunEdits::default() {
        return;
    }
    if let Err(error) = runner.ledger.keep_edits(&claim.run, fabric, &edits).await {
        tracing::warn!(run.id = %claim.run, %fabric, error = with_causes(&error), "what the run changed was not kept");
    }
}

fn edits_of(sides: &Sides, rewound: Option<&Rewound>, plan: &FabricPlan) -> RunEdits {
    let before: BTreeMap<&RepoPath, &[u8]> = sides
        .keys
        .values()
        .filter_map(|key| match &key.git {
            GitSide::File { path, bytes, .. } => Some((path, bytes.as_ref())),
            _ => None,
        })
        .collect();
    let Ok(managed) = sides.directory.join("managed") else { return RunEdits::default() };
    let managed = format!("{managed}/");
    let (mut edits, mut bytes) = (RunEdits::default(), 0);
    for (path, edit) in plan.edits.iter().filter(|(path, _)| path.as_str().starts_with(&managed)) {
        let (old, is_there) = match rewound.filter(|rewound| rewound.edits.contains_key(path)) {
            // The sides have the earlier state in its place.
            Some(rewound) => (rewound.before.get(path).map(|bytes| bytes.as_ref()), false),
            None => (before.get(path).copied(), sides.tree.contains_key(path)),
        };
        let diff = match (old, is_there, edit) {
            // It is there, and its content was not needed: what to compare with is not at hand.
            (None, true, _) => None,
            (old, _, edit) => diff(old.unwrap_or_default(), edit.bytes().map_or(b"", |new| new.as_ref())),
        };
        match diff {
            Some(diff) if edits.files.len() < MOST_FILES && bytes + diff.len() <= MOST_BYTES => {
                bytes += diff.len();
                edits.files.push(FileEdit { path: path.to_string(), diff });
            }
            Some(_) | None => edits.left_out += 1,
        }
    }
    edits
}

/// `None` for what is not text, or too large to be compared.
fn diff(old: &[u8], new: &[u8]) -> Option<String> {
    if old.len().max(new.len()) > LARGEST_FILE {
        return None;
    }
    let (old, new) = (std::str::from_utf8(old).ok()?, std::str::from_utf8(new).ok()?);
    Some(TextDiff::from_lines(old, new).unified_diff().context_radius(CONTEXT).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_diff_is_in_the_unified_format() {
        let text = diff(b"a\nb\nc\n", b"a\nB\nc\n").unwrap();

        assert_eq!(text, "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
    }

    #[test]
    fn what_is_no_text_or_too_large_is_not_compared() {
        assert_eq!(diff(b"\xff", b"a"), None);
        assert_eq!(diff(&vec![b'a'; LARGEST_FILE + 1], b"a"), None);
    }
}

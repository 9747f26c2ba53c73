//! Whether a branch still contains what was dealt with: who takes a deleted branch, a forced push or another repository
//! for people's edits would carry them over to NetBox.

use crate::domain::history::{BreakKind, HistoryBreak};
use crate::domain::names::{Oid, Target};
use crate::repo::{self, History, Repository};

use super::failure::{Failure, error};

/// Looks how the head stands to the one that was last dealt with; `None` when it contains that, or nothing was dealt
/// with yet.
pub async fn find_break(
    repository: &dyn Repository,
    known: Option<&Oid>,
    head: Option<&Oid>,
) -> Result<Option<HistoryBreak>, repo::Error> {
    let Some(known) = known.filter(|known| Some(*known) != head) else { return Ok(None) };
    let kind = match head {
        None => BreakKind::BranchGone,
        Some(head) => match repository.history(known, head).await? {
            History::Contains => return Ok(None),
            History::Rewritten => BreakKind::HistoryRewritten,
            History::Unrelated => BreakKind::RepositoryReplaced,
        },
    };
    Ok(Some(HistoryBreak { kind, known: known.clone(), now: head.cloned() }))
}

/// Why nothing is written on either side before a person has looked.
pub fn stalled(broken: &HistoryBreak, target: &Target) -> Failure {
    let known = &broken.known;
    let message = match (broken.kind, &broken.now) {
        (BreakKind::BranchGone, _) | (_, None) => {
            format!("{target} does not exist any more; its head was {known}")
        }
        (BreakKind::HistoryRewritten, Some(now)) => {
            format!(
                "the history of {target} was rewritten: its head {now} does not contain {known}, which was dealt with"
            )
        }
        (BreakKind::RepositoryReplaced, Some(now)) => format!(
            "{target} is not the repository that it was: its head {now} has nothing in common with {known}, which was \
             dealt with"
        ),
    };
    Failure::Stalled(error(
        broken.kind.as_str(),
        message,
        "put the branch back; or, if it is meant to be so, look at a dry run and POST \
         /api/v1/fabrics/{name}/accept-history",
    ))
}

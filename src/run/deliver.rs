//! How the edits of a run reach the target: as a commit, or as a pull request.

use std::collections::BTreeSet;

use crate::domain::directory::{Condition, DirectoryRecord, DirectoryStatus, DirectoryWork};
use crate::domain::edit::{CommitMessage, Edits};
use crate::domain::fate::Reason;
use crate::domain::key::Key;
use crate::domain::names::Oid;
use crate::domain::policy::Delivery;
use crate::domain::proposal::Review;
use crate::ledger::types::{Advance, Claim};
use crate::plan::FabricPlan;
use crate::repo;

use super::failure::{Failure, error};
use super::{Runner, Site};

/// Where the edits are now.
pub enum Delivered {
    /// There was nothing to deliver.
    Nothing,
    /// Seen in the branch.
    Commit(Oid),
    /// With people, who have not merged them.
    Proposed(Review),
}

impl Delivered {
    /// The commit, when the branch has it.
    pub fn commit(&self) -> Option<&Oid> {
        match self {
            Self::Commit(oid) => Some(oid),
            Self::Nothing | Self::Proposed(_) => None,
        }
    }

    /// The pull request, when there is one.
    pub fn review(&self) -> Option<&Review> {
        match self {
            Self::Proposed(review) => Some(review),
            Self::Nothing | Self::Commit(_) => None,
        }
    }
}

/// Delivers the edits of all fabrics of the batch at once.
pub async fn deliver(
    runner: &Runner,
    claim: &Claim,
    head: Option<&Oid>,
    (edits, message): (&Edits, &CommitMessage),
) -> Result<Delivered, Failure> {
    let site = runner.site(claim.proof.target())?;
    match site.delivery {
        Delivery::Push if edits.is_empty() => Ok(Delivered::Nothing),
        Delivery::Push => commit(claim, site, head, (edits, message)).await.map(Delivered::Commit),
        Delivery::PullRequest => propose(runner, claim, head, (edits, message)).await,
    }
}

async fn commit(
    claim: &Claim,
    site: &Site,
    head: Option<&Oid>,
    (edits, message): (&Edits, &CommitMessage),
) -> Result<Oid, Failure> {
    let (repository, branch) = (&site.repository, &claim.proof.target().branch);
    match repository.commit(&claim.proof, head, edits, message).await {
        Ok(oid) => Ok(oid),
        // The server may have taken it: its trailer tells, before anything is tried again.
        Err(uncertain @ repo::Error::Uncertain { .. }) => match repository.find_run(branch, head, &claim.run).await? {
            Some(oid) => Ok(oid),
            None => Err(uncertain.into()),
        },
        Err(failed) => Err(failed.into()),
    }
}

async fn propose(
    runner: &Runner,
    claim: &Claim,
    head: Option<&Oid>,
    (edits, message): (&Edits, &CommitMessage),
) -> Result<Delivered, Failure> {
    let (proof, target) = (&claim.proof, claim.proof.target());
    let repository = &runner.site(target)?.repository;
    let last = runner.ledger.proposal(target).await?;
    if edits.is_empty() {
        if let Some(last) = last {
            repository.withdraw(proof, &last).await?;
        }
        return Ok(Delivered::Nothing);
    }
    let Some(head) = head else {
        return Err(Failure::Stalled(error(
            "no_branch",
            format!("{target} does not exist, and a pull request needs a branch to be merged into"),
            "make the branch with a first commit, or set `delivery: push` for the repository",
        )));
    };
    let review = repository.propose(proof, head, edits, (message, last.as_ref())).await?;
    if last.as_ref() != Some(review.proposal()) {
        runner.ledger.remember_proposal(proof, review.proposal()).await?;
    }
    Ok(Delivered::Proposed(review))
}

/// Proposed is not agreed: leaves in an advance only what holds although the branch has none of the edits.
///
/// The keys of the edits are held until a head contains them; whatever a run finds there then is the agreement, however
/// the pull request was merged.
pub fn only_agreed(mut advance: Advance, plan: &FabricPlan, review: &Review) -> Advance {
    let proposed: BTreeSet<&Key> = plan.changes.iter().map(|change| &change.key).collect();
    let is_proposed = |key: &Key| proposed.contains(key);
    advance.base.retain(|update| !is_proposed(&update.key));
    advance.answered.retain(|key, _| !is_proposed(key));
    advance.lost.retain(|key, _| !is_proposed(key));
    advance.deleted.clear();
    // The raw files are still there, and so is what the marker said.
    advance.remember.clear();
    advance.forget.clear();
    advance.adopted = false;
    if plan.directory_report.work == DirectoryWork::Move {
        // Every file is still in its old place.
        advance.base.clear();
        advance.intents.clear();
    }
    advance.directory = match plan.directory_report.work {
        DirectoryWork::None => advance.directory,
        DirectoryWork::Tend => None,
        DirectoryWork::Move => advance.directory.map(|record| in_its_old_place(record, plan, review)),
        DirectoryWork::Initialize | DirectoryWork::Adopt => advance.directory.map(|record| DirectoryRecord {
            known: false,
            condition: Condition::of(DirectoryStatus::NotInitialized, Some(reason(review))),
            ..record
        }),
    };
    let reason = reason(review);
    advance.held.extend(proposed.into_iter().map(|key| (key.clone(), Some(reason.clone()))));
    advance
}

/// A directory whose move people have not merged.
fn in_its_old_place(record: DirectoryRecord, plan: &FabricPlan, review: &Review) -> DirectoryRecord {
    let path = plan.directory_report.moved.as_ref().map_or(record.path, |moved| moved.from.clone());
    let condition = Condition::of(record.condition.status, Some(reason(review)));
    DirectoryRecord { path, condition, ..record }
}

fn reason(review: &Review) -> Reason {
    match review {
        Review::Open(proposal) => Reason::new(
            "proposed",
            format!("it is in pull request #{}, which people merge: {}", proposal.number, proposal.url),
        ),
        Review::Declined(proposal) => Reason::new(
            "proposal_declined",
            format!(
                "pull request #{} was closed without being merged ({}): reopen it, or change the object on either side",
                proposal.number, proposal.url
            ),
        ),
    }
}

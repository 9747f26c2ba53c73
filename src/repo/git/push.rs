//! The push: a compare-and-swap of the branch, and looking until its outcome is known.

use std::time::Duration;

use super::cache::Held;
use super::command::Ran;
use super::failure::{self, Rejection};
use crate::domain::lease::LeaseProof;
use crate::domain::names::{BranchName, Oid};
use crate::repo::Error;

/// How often and after how long a head is read again when the server took the push but still shows the base: replicas
/// of large servers lag by seconds.
const STALE_READS: &[Duration] =
    &[Duration::ZERO, Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(4)];

/// The branch, the head that it must have, and the one that it gets.
#[derive(Clone, Copy)]
pub(super) struct Swap<'a> {
    pub branch: &'a BranchName,
    pub base: Option<&'a Oid>,
    pub ours: &'a Oid,
}

/// What the push itself told.
enum Told {
    Accepted,
    Rejected(Rejection, String),
    /// Nothing was sent.
    NotSent(Error),
    /// It may or may not have been taken.
    Unclear(String),
}

/// Where the branch is now.
enum Seen {
    /// At our commit, or past it.
    Ours,
    Base,
    Elsewhere(Option<Oid>),
}

/// Pushes a commit whose parent is the base; it becomes the branch's head only if the branch is still at the base.
pub(super) async fn push(held: &Held<'_>, proof: &LeaseProof, swap: Swap<'_>) -> Result<Oid, Error> {
    assert_parent(held, swap).await?;
    proof.require(held.timeouts().push)?;
    let outcome = match attempt(held, swap).await? {
        Told::Accepted => confirm(held, swap).await,
        Told::NotSent(error) => Err(error),
        Told::Rejected(rejection, words) => after_rejection(held, swap, rejection, words).await,
        Told::Unclear(words) => after_rejection(held, swap, Rejection::Unknown, words).await,
    };
    held.collect_garbage().await;
    outcome
}

/// Fails unless the branch is where the edits were planned on.
pub(super) async fn confirm_unmoved(held: &Held<'_>, branch: &BranchName, base: Option<&Oid>) -> Result<(), Error> {
    let now = held.remote_head(branch).await?;
    if now.as_ref() == base { Ok(()) } else { Err(moved(branch, now)) }
}

/// What a push that did not end well means, now that the branch is looked at.
///
/// Even a clear rejection may follow a success: when a connection breaks after the server took the push, curl sends the
/// request again by itself, and the second one finds the branch moved, by us.
async fn after_rejection(held: &Held<'_>, swap: Swap<'_>, rejection: Rejection, words: String) -> Result<Oid, Error> {
    match (rejection, look(held, swap).await) {
        (_, Ok(Seen::Ours)) => Ok(swap.ours.clone()),
        (Rejection::Refused, _) => Err(Error::Refused { branch: swap.branch.clone(), detail: words }),
        // The server would have to find the branch at the base to take the push now.
        (_, Ok(Seen::Elsewhere(now))) => Err(moved(swap.branch, now)),
        (Rejection::Moved | Rejection::Trouble, Ok(Seen::Base)) => {
            Err(Error::Unavailable { remote: held.git().remote().to_string(), detail: words, after: None })
        }
        // The server may still be at it.
        (Rejection::Unknown, Ok(Seen::Base)) => Err(uncertain(swap, words)),
        (_, Err(error)) => Err(uncertain(swap, format!("{words}; then {error}"))),
    }
}

/// A lease compares the branch with the base, not with the commit's parent: with another parent it would be a force.
async fn assert_parent(held: &Held<'_>, swap: Swap<'_>) -> Result<(), Error> {
    let call = held.call("checking the commit", ["log", "-1", "--format=%P", swap.ours.as_str(), "--"]);
    let answer = held.git().run(call).await?;
    let parents = String::from_utf8_lossy(&answer);
    if parents.trim() == swap.base.map_or("", Oid::as_str) {
        return Ok(());
    }
    Err(Error::Local {
        doing: "checking the commit",
        detail: format!("{} has the parents {}", swap.ours, parents.trim()),
    })
}

async fn attempt(held: &Held<'_>, swap: Swap<'_>) -> Result<Told, Error> {
    let Swap { branch, base, ours } = swap;
    let lease = format!("--force-with-lease=refs/heads/{branch}:{}", base.map_or("", Oid::as_str));
    let mut call = held
        .call("pushing", ["push", "--porcelain", "--no-verify", "--no-signed", &lease, "origin"])
        .arg(format!("{ours}:refs/heads/{branch}"))
        .reaching_the_remote();
    call.limit = held.timeouts().push;
    let limit = humantime::format_duration(call.limit);
    let output = match held.git().output(call).await? {
        Ran::Ended(output) => output,
        Ran::TimedOut => return Ok(Told::Unclear(format!("the push took longer than {limit}"))),
    };
    let remote = held.git().remote();
    Ok(match status(&String::from_utf8_lossy(&output.stdout), branch) {
        Some(Status::Updated) if output.status.success() => Told::Accepted,
        Some(Status::Rejected(reason)) => {
            let words = format!("{reason}\n{}", failure::telling(&output.words));
            Told::Rejected(failure::rejection(&reason), words)
        }
        None if failure::before_sending(remote, &output.words) => {
            Told::NotSent(failure::error(remote, "pushing", &output.words))
        }
        Some(Status::Updated) | None => Told::Unclear(failure::telling(&output.words)),
    })
}

#[derive(Debug, PartialEq, Eq)]
enum Status {
    Updated,
    Rejected(String),
}

/// The line of `--porcelain` for our branch: `<flag> TAB <from>:<to> TAB <summary>[ (<reason>)]`.
fn status(stdout: &str, branch: &BranchName) -> Option<Status> {
    let ours = format!(":refs/heads/{branch}");
    stdout.lines().find_map(|line| {
        let mut fields = line.split('\t');
        let (flag, refs, summary) = (fields.next()?, fields.next()?, fields.next()?);
        if !refs.ends_with(&ours) {
            return None;
        }
        match flag {
            // `+`, a forced update, cannot be: the parent is the base, and the base is what the lease compares with.
            " " | "*" | "=" | "+" => Some(Status::Updated),
            _ => Some(Status::Rejected(reason(summary).to_owned())),
        }
    })
}

fn reason(summary: &str) -> &str {
    let inner = summary.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(summary)
}

/// The server said yes: the head must show it.
async fn confirm(held: &Held<'_>, swap: Swap<'_>) -> Result<Oid, Error> {
    for wait in STALE_READS {
        tokio::time::sleep(*wait).await;
        match look(held, swap).await {
            Ok(Seen::Ours) => return Ok(swap.ours.clone()),
            Ok(Seen::Elsewhere(now)) => return Err(moved(swap.branch, now)),
            Ok(Seen::Base) => {}
            Err(error) => return Err(uncertain(swap, format!("the server took it, but then: {error}"))),
        }
    }
    Err(uncertain(swap, "the server took it, but still shows the head from before".to_owned()))
}

async fn look(held: &Held<'_>, swap: Swap<'_>) -> Result<Seen, Error> {
    let now = held.remote_head(swap.branch).await?;
    if now.as_ref() == Some(swap.ours) {
        return Ok(Seen::Ours);
    }
    if now.as_ref() == swap.base {
        return Ok(Seen::Base);
    }
    let Some(now) = now else { return Ok(Seen::Elsewhere(None)) };
    held.need_commit(Some(swap.branch), &now).await?;
    Ok(if held.is_ancestor(swap.ours, &now).await? { Seen::Ours } else { Seen::Elsewhere(Some(now)) })
}

fn moved(branch: &BranchName, now: Option<Oid>) -> Error {
    Error::HeadMoved { branch: branch.clone(), now }
}

fn uncertain(swap: Swap<'_>, detail: String) -> Error {
    Error::Uncertain { branch: swap.branch.clone(), detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Option<Status> {
        status(&format!("To https://example.com/f.git\n{line}\nDone\n"), &BranchName::new("main"))
    }

    #[test]
    fn every_status_of_a_ref_is_told_apart() {
        let rejected = |reason: &str| Some(Status::Rejected(reason.to_owned()));

        assert_eq!(of(" \ta1:refs/heads/main\t54ecdb5..b0fceb2"), Some(Status::Updated));
        assert_eq!(of("*\ta1:refs/heads/main\t[new branch]"), Some(Status::Updated));
        assert_eq!(of("!\ta1:refs/heads/main\t[rejected] (stale info)"), rejected("stale info"));
        assert_eq!(
            of("!\ta1:refs/heads/main\t[remote rejected] (pre-receive hook declined)"),
            rejected("pre-receive hook declined")
        );
        assert_eq!(
            of("!\ta1:refs/heads/main\t[remote failure] (remote failed to report status)"),
            rejected("remote failed to report status")
        );
    }

    #[test]
    fn no_line_for_our_branch_is_no_answer() {
        assert_eq!(of(" \ta1:refs/heads/other\ta..b"), None);
        assert_eq!(status("", &BranchName::new("main")), None);
    }

    #[test]
    fn a_reason_may_hold_parentheses() {
        assert_eq!(reason("[remote rejected] (cannot lock ref (again))"), "cannot lock ref (again)");
    }
}

//! The one mapping from what went wrong to what happens next.

use std::time::Duration;

use crate::domain::lease::LeaseLost;
use crate::ledger::types::{JobError, PartOutcome};
use crate::{ledger, netbox, repo};

const NETBOX_UNAVAILABLE: &str = "netbox_unavailable";
const NETBOX_DENIED: &str = "netbox_denied";

/// What a failure means for the work it stopped.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// May go away by itself: tried again after a back-off, dead letter in the end.
    Transient(JobError),
    /// The server said when to come back.
    WaitUntil { after: Duration, error: JobError },
    /// The world moved under the plan: gather and plan again at once.
    Conflict(JobError),
    /// A person, or a new input, must change something first.
    Stalled(JobError),
    /// As `Stalled`, and it is the fabric's directory that a person must look at.
    Directory(JobError),
    /// What was asked for cannot be done, now or later.
    Refused(JobError),
}

impl Failure {
    /// The settings no longer name what accepted work needs.
    pub fn not_configured(what: &str, name: &str) -> Self {
        Self::Stalled(error(
            "not_configured",
            format!("the settings have no {what} named `{name}`, but work for it was accepted earlier"),
            "put it back into the settings, or cancel the job",
        ))
    }

    /// The outcome of a part that ends with this failure.
    pub fn into_outcome(self) -> PartOutcome {
        match self {
            Self::Transient(error) | Self::Conflict(error) => PartOutcome::Transient { error },
            Self::WaitUntil { after, error } => PartOutcome::WaitUntil { after, error },
            Self::Stalled(error) | Self::Directory(error) => PartOutcome::Stalled { error },
            Self::Refused(error) => PartOutcome::Refused { error },
        }
    }

    /// Whether a NetBox could not be asked.
    pub fn is_netbox_unavailable(&self) -> bool {
        self.error().code == NETBOX_UNAVAILABLE
    }

    /// Whether a NetBox's token may not do it.
    pub fn is_netbox_denied(&self) -> bool {
        self.error().code == NETBOX_DENIED
    }

    /// What is wrong, for logs and the job.
    pub fn error(&self) -> &JobError {
        match self {
            Self::Transient(error)
            | Self::Conflict(error)
            | Self::Stalled(error)
            | Self::Directory(error)
            | Self::Refused(error) => error,
            Self::WaitUntil { error, .. } => error,
        }
    }
}

/// A job's error.
pub fn error(code: &str, message: impl Into<String>, remedy: &str) -> JobError {
    JobError { code: code.to_owned(), message: message.into(), remedy: remedy.to_owned() }
}

fn wait_or_retry(after: Option<Duration>, error: JobError) -> Failure {
    match after {
        Some(after) => Failure::WaitUntil { after, error },
        None => Failure::Transient(error),
    }
}

impl From<repo::Error> for Failure {
    fn from(failed: repo::Error) -> Self {
        use repo::Error as E;
        let message = failed.to_string();
        match failed {
            E::HeadMoved { .. } => {
                Self::Conflict(error("head_moved", message, "nothing: the run plans again on the new head"))
            }
            E::Uncertain { .. } => Self::Transient(error(
                "push_uncertain",
                message,
                "nothing: the next attempt looks for the commit before it pushes again",
            )),
            E::Refused { .. } => Self::Stalled(error(
                "push_refused",
                message,
                "let the service's account push to this branch, or point the fabric at a branch it may push to",
            )),
            E::Denied { .. } => Self::Stalled(error(
                "git_denied",
                message,
                "check the repository's credentials in the settings and what they may do",
            )),
            E::NotFound { .. } => Self::Stalled(error(
                "git_not_found",
                message,
                "check the repository's url in the settings, and that its credentials may see it",
            )),
            E::Unavailable { after, .. } => wait_or_retry(
                after,
                error("git_unavailable", message, "nothing if it passes; else check the Git server and the network"),
            ),
            E::Missing { .. } => {
                Self::Transient(error("git_object_missing", message, "nothing: the cache is built again"))
            }
            E::Local { .. } => Self::Transient(error(
                "local_trouble",
                message,
                "check the service's disk space, permissions and its git program",
            )),
            E::Lease(lost) => lost.into(),
        }
    }
}

impl From<netbox::Error> for Failure {
    fn from(failed: netbox::Error) -> Self {
        use netbox::Error as E;
        let message = failed.to_string();
        match failed {
            E::Unavailable { after, .. } => wait_or_retry(
                after,
                error(NETBOX_UNAVAILABLE, message, "nothing if it passes; else check NetBox and the network"),
            ),
            E::Denied { .. } => Self::Stalled(error(
                NETBOX_DENIED,
                message,
                "check the NetBox token in the settings and its user's permissions",
            )),
            E::NoEndpoint { .. } => Self::Stalled(error(
                "netbox_not_set_up",
                message,
                "run `fgd-sync setup netbox`, or correct the NetBox's `model` in the settings",
            )),
            E::Unexpected { .. } => Self::Transient(error(
                "netbox_unexpected",
                message,
                "check that the NetBox url leads to NetBox itself and not to a proxy's page",
            )),
            E::Settings { .. } => Self::Stalled(error(
                "netbox_settings",
                message,
                "correct the NetBox's url, token file, CA file or proxy in the settings",
            )),
            E::Lease(lost) => lost.into(),
        }
    }
}

impl From<ledger::Error> for Failure {
    fn from(failed: ledger::Error) -> Self {
        Self::Transient(error("ledger_unavailable", failed.to_string(), "check Redis"))
    }
}

impl From<LeaseLost> for Failure {
    fn from(lost: LeaseLost) -> Self {
        Self::Transient(error("lease_lost", lost.to_string(), "nothing: whoever holds the lease now goes on"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::{BranchName, RepoName, Target};

    fn class(failure: &Failure) -> &'static str {
        match failure {
            Failure::Transient(_) => "transient",
            Failure::WaitUntil { .. } => "wait until",
            Failure::Conflict(_) => "conflict",
            Failure::Stalled(_) | Failure::Directory(_) => "stalled",
            Failure::Refused(_) => "refused",
        }
    }

    #[test]
    fn every_failure_of_a_repository_has_one_consequence() {
        use repo::Error as E;
        let (branch, remote, detail) = (BranchName::new("main"), "r".to_owned(), "d".to_owned());
        let target = Target { repo: RepoName::new("r"), branch: branch.clone() };
        let later = Some(Duration::from_secs(60));
        let oid = "1".repeat(40).parse().unwrap();
        let lost = LeaseLost { target, left: Duration::ZERO, needed: Duration::ZERO };

        let consequences = [
            (E::HeadMoved { branch: branch.clone(), now: None }, "conflict", "head_moved"),
            (E::Uncertain { branch: branch.clone(), detail: detail.clone() }, "transient", "push_uncertain"),
            (E::Refused { branch, detail: detail.clone() }, "stalled", "push_refused"),
            (E::Denied { remote: remote.clone(), detail: detail.clone() }, "stalled", "git_denied"),
            (E::NotFound { remote: remote.clone(), detail: detail.clone() }, "stalled", "git_not_found"),
            (
                E::Unavailable { remote: remote.clone(), detail: detail.clone(), after: None },
                "transient",
                "git_unavailable",
            ),
            (
                E::Unavailable { remote: remote.clone(), detail: detail.clone(), after: later },
                "wait until",
                "git_unavailable",
            ),
            (E::Missing { remote, oid }, "transient", "git_object_missing"),
            (E::Local { doing: "x", detail }, "transient", "local_trouble"),
            (E::Lease(lost), "transient", "lease_lost"),
        ];

        for (error, consequence, code) in consequences {
            let failure = Failure::from(error);
            assert_eq!((class(&failure), failure.error().code.as_str()), (consequence, code));
            assert!(!failure.error().remedy.is_empty());
        }
    }
}

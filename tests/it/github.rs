//! What only the kind `github` has, against the stand-in: how it asks, faults, limits, rules, tokens.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod apps;
mod asking;
mod faults;
mod guards;
mod limits;
mod refusals;
mod replicas;
mod signed;
mod statuses;
mod tokens;
mod writing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fgd_sync::domain::edit::{CommitMessage, Edit, Edits, RUN_TRAILER, Signature};
use fgd_sync::domain::lease::LeaseProof;
use fgd_sync::domain::names::{BranchName, Oid, RepoName, RunId, Target};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::secret::SecretSource;
use fgd_sync::repo::github::{Auth, GitHubRepository, Options, Signing, Timeouts};
use fgd_sync::repo::{Error, Repository};

use crate::support::fakes::github::{GitHub, Route, TOKEN};
use crate::support::git_server::{Bare, Person};
use crate::support::github_options::github_options;
use crate::support::lease::proof_for;

/// A repository (`owner/name`) of the stand-in, with its token.
pub fn options_for(github: &GitHub, repository: &str) -> Options {
    github_options(&github.rest_url(), repository, TOKEN)
}

/// A stand-in with one repository, `acme/fabric`, and a person's first commit on `main`.
struct Scene {
    github: GitHub,
    bare: Bare,
    person: Person,
    /// The person's commit.
    first: Oid,
}

impl Scene {
    fn start() -> Self {
        Self::with(&[("a.yaml", "a: 1\n"), ("dir/b.yaml", "b: 1\n")])
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let github = GitHub::start();
        let hosted = github.create("acme", "fabric");
        let (bare, person) = (hosted.bare(), hosted.person());
        for (path, content) in files {
            person.write(path, content);
        }
        let first = oid(&person.push("main", "first"));
        Self { github, bare, person, first }
    }

    fn options(&self) -> Options {
        options_for(&self.github, "acme/fabric")
    }

    /// Another replica, with nothing remembered.
    fn open(&self) -> GitHubRepository {
        GitHubRepository::open(self.options()).unwrap()
    }

    fn head(&self) -> Option<Oid> {
        self.bare.head("main").map(|head| oid(&head))
    }

    /// How many requests each route got since the last forgetting, in the routes' order.
    fn asked(&self) -> BTreeMap<Route, usize> {
        let mut counts = BTreeMap::new();
        for route in self.github.served().iter().filter_map(|served| served.route) {
            *counts.entry(route).or_default() += 1;
        }
        counts
    }
}

fn main() -> BranchName {
    BranchName::new("main")
}

fn target() -> Target {
    Target { repo: RepoName::new("lab"), branch: main() }
}

fn proof() -> LeaseProof {
    proof_for(&target())
}

fn oid(text: &str) -> Oid {
    text.parse().unwrap()
}

fn path(text: &str) -> RepoPath {
    RepoPath::new(text).unwrap()
}

fn write(content: impl AsRef<[u8]>) -> Edit {
    Edit::Write(Bytes::copy_from_slice(content.as_ref()))
}

fn edits<const N: usize>(list: [(&str, Edit); N]) -> Edits {
    list.into_iter().map(|(at, edit)| (path(at), edit)).collect()
}

/// So many new files in a dozen directories.
fn many(count: usize) -> Edits {
    (0..count).map(|at| (path(&format!("managed/{}/object-{at}.yaml", at % 12)), write(format!("n: {at}\n")))).collect()
}

fn message(run: &str) -> CommitMessage {
    CommitMessage {
        text: format!("Sync 1 object of lab\n\nChanged-by: alice\n{RUN_TRAILER}: {run}\n"),
        author: Signature { name: "Alice Ö".to_owned(), email: "alice@example.com".to_owned() },
        committer: Signature { name: "fgd-sync".to_owned(), email: "sync@example.com".to_owned() },
        run: RunId::new(run),
    }
}

async fn commit(repository: &GitHubRepository, base: Option<&Oid>, edits: &Edits) -> Result<Oid, Error> {
    repository.commit(&proof(), base, edits, &message("01RUN")).await
}

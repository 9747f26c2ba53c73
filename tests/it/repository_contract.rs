//! What every kind of repository must do, run against each kind, with ordinary Git as the independent witness.
//!
//! A kind joins with a `Subject` and one `contract!` line; one that speaks over a network also with `network_contract!`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod git_kind;
mod network;

use std::path::Path;
use std::sync::Arc;

use fgd_sync::domain::names::{Oid, RunId};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::secret::SecretSource;
use fgd_sync::repo::git::{Credentials, GitRepository, Options, Timeouts};
use fgd_sync::repo::github::GitHubRepository;
use fgd_sync::repo::{Error, Repository};
use secrecy::SecretString;
use tempfile::TempDir;

use crate::github::options_for;
use crate::support::contract::*;
use crate::support::fakes::github::GitHub;
use crate::support::git_server::{Bare, GitServer, Person};

/// A subject behind a server with an account, and with faults.
trait OnNetwork: Subject {
    fn server(&self) -> &GitServer;

    /// Our way to it with this password.
    fn repository_with(&self, token: SecretSource) -> Arc<dyn Repository>;

    /// Our way to it with these limits.
    fn repository_within(&self, timeouts: Timeouts) -> Arc<dyn Repository>;
}

macro_rules! network_contract {
    ($kind:ident, $subject:path) => {
        mod $kind {
            use crate::repository_contract::network;
            use crate::support::contract::{Subject as _, tests};

            tests!($subject, network:
                a_wrong_password_is_denied_and_not_shown,
                a_rotated_password_counts_at_once,
                an_unknown_repository_is_not_found,
                a_server_that_is_down_is_unavailable,
                a_bad_gateway_while_reading_is_unavailable,
                a_bad_gateway_before_the_push_changes_nothing,
                a_push_whose_answer_was_lost_counts,
                a_push_that_takes_too_long_is_uncertain,
                a_push_that_nobody_can_ask_about_is_uncertain_and_found_later,
                a_person_who_pushes_during_our_push_wins,
                many_blobs_come_in_one_fetch,
            );
        }
    };
}

contract!(git_on_a_local_path, super::LocalPath);
contract!(git_over_http, super::Http);
contract!(github, super::OnGitHub);
network_contract!(git_over_a_network, super::Http);

// The subjects.

struct LocalPath {
    dir: TempDir,
    bare: Bare,
}

impl LocalPath {
    async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let bare = Bare::create(&dir.path().join("fabric with space.git"));
        Self { dir, bare }
    }
}

impl Subject for LocalPath {
    fn repository(&self) -> Arc<dyn Repository> {
        let cache = tempfile::tempdir_in(&self.dir).unwrap().keep();
        Arc::new(GitRepository::open(options(self.bare.path().to_str().unwrap(), &cache, Credentials::None)).unwrap())
    }

    fn person(&self) -> Person {
        Person::clone_of(self.bare.path().to_str().unwrap())
    }

    fn bare(&self) -> &Bare {
        &self.bare
    }
}

/// Fake, as every password here.
const PASSWORD: &str = "s3cret-password";

struct Http {
    dir: TempDir,
    server: GitServer,
    bare: Bare,
}

impl Http {
    async fn start() -> Self {
        let server = GitServer::start_with_account("bot", PASSWORD).await;
        let bare = server.create("fabric.git");
        Self { dir: tempfile::tempdir().unwrap(), server, bare }
    }

    fn options(&self, token: SecretSource) -> Options {
        let cache = tempfile::tempdir_in(&self.dir).unwrap().keep();
        options(&self.server.url("fabric.git"), &cache, Credentials::Token { user: "bot".to_owned(), token })
    }
}

impl Subject for Http {
    fn repository(&self) -> Arc<dyn Repository> {
        self.repository_with(SecretSource::Text(SecretString::from(PASSWORD)))
    }

    fn person(&self) -> Person {
        Person::clone_of(&self.server.url_with_account("fabric.git"))
    }

    fn bare(&self) -> &Bare {
        &self.bare
    }
}

impl OnNetwork for Http {
    fn server(&self) -> &GitServer {
        &self.server
    }

    fn repository_with(&self, token: SecretSource) -> Arc<dyn Repository> {
        Arc::new(GitRepository::open(self.options(token)).unwrap())
    }

    fn repository_within(&self, timeouts: Timeouts) -> Arc<dyn Repository> {
        let token = SecretSource::Text(SecretString::from(PASSWORD));
        Arc::new(GitRepository::open(Options { timeouts, ..self.options(token) }).unwrap())
    }
}

/// Answers under the paths of GitHub Enterprise Server.
struct OnGitHub {
    github: GitHub,
    bare: Bare,
}

impl OnGitHub {
    async fn start() -> Self {
        let github = GitHub::start();
        let bare = github.create("acme", "fabric").bare();
        Self { github, bare }
    }
}

impl Subject for OnGitHub {
    fn repository(&self) -> Arc<dyn Repository> {
        Arc::new(GitHubRepository::open(options_for(&self.github, "acme/fabric")).unwrap())
    }

    fn person(&self) -> Person {
        Person::clone_of(self.bare.path().to_str().unwrap())
    }

    fn bare(&self) -> &Bare {
        &self.bare
    }

    fn refuse_pushes(&self, words: &str) {
        self.github.hosted("acme/fabric").protect("main", words);
    }
}

fn options(remote: &str, cache: &Path, credentials: Credentials) -> Options {
    Options {
        remote: remote.parse().unwrap(),
        cache: cache.to_owned(),
        credentials,
        ca_file: None,
        proxy: None,
        timeouts: Timeouts::default(),
    }
}

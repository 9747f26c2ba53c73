//! What every kind of repository must do, run against each kind, with ordinary Git as the independent witness.
//!
//! A kind joins with a `Subject` and one `contract!` line; one that speaks over a network also with `network_contract!`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod git_kind;
mod network;
mod racing;
mod reading;
mod writing;

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use fgd_sync::domain::edit::{CommitMessage, Edit, Edits, RUN_TRAILER, Signature};
use fgd_sync::domain::names::{BranchName, Oid, RepoName, RunId, Target};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::domain::secret::SecretSource;
use fgd_sync::repo::git::{Credentials, GitRepository, Options, Timeouts};
use fgd_sync::repo::github::GitHubRepository;
use fgd_sync::repo::{Error, Repository};
use secrecy::SecretString;
use tempfile::TempDir;

use crate::github::options_for;
use crate::support::fakes::github::GitHub;
use crate::support::git_server::{Bare, GitServer, Person};
use crate::support::lease::proof_for;

/// One repository of a kind, empty at first.
trait Subject {
    /// Our way to it. Every call is another replica with nothing cached.
    fn repository(&self) -> Arc<dyn Repository>;

    /// Somebody's clone of it.
    fn person(&self) -> Person;

    /// What the server really holds.
    fn bare(&self) -> &Bare;

    /// From now on every push to main is refused with these words, as this kind's server refuses them.
    fn refuse_pushes(&self, words: &str) {
        self.bare().refuse_pushes(words);
    }
}

/// A subject behind a server with an account, and with faults.
trait OnNetwork: Subject {
    fn server(&self) -> &GitServer;

    /// Our way to it with this password.
    fn repository_with(&self, token: SecretSource) -> Arc<dyn Repository>;

    /// Our way to it with these limits.
    fn repository_within(&self, timeouts: Timeouts) -> Arc<dyn Repository>;
}

macro_rules! tests {
    ($subject:path, $group:ident: $($name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                let subject = <$subject>::start().await;

                crate::repository_contract::$group::$name(&subject).await;

                subject.bare().assert_sound();
            }
        )*
    };
}

macro_rules! contract {
    ($kind:ident, $subject:path) => {
        mod $kind {
            use crate::repository_contract::Subject as _;

            tests!($subject, reading:
                an_empty_repository_has_no_head,
                a_missing_branch_has_no_head,
                the_tree_is_complete_whatever_the_names,
                the_tree_of_a_directory_has_only_what_is_below,
                a_directory_that_does_not_exist_is_empty,
                a_commit_that_does_not_exist_is_missing,
                blobs_are_read_byte_for_byte,
                a_blob_that_does_not_exist_is_missing,
                an_earlier_commit_can_be_read_after_a_forced_push,
            );
            tests!($subject, writing:
                the_first_commit_makes_the_branch,
                a_new_branch_starts_beside_the_others,
                a_commit_writes_and_deletes_at_once,
                author_committer_and_message_are_exact,
                the_mode_of_a_file_is_kept,
                a_symlink_is_replaced_not_followed,
                a_directory_can_be_moved,
                deleting_an_absent_path_is_harmless,
                a_directory_is_never_replaced_or_deleted,
                every_name_can_be_written,
                edits_that_change_nothing_make_no_commit,
                edits_that_change_nothing_notice_a_moved_head,
            );
            tests!($subject, racing:
                a_head_that_moved_is_left_alone,
                a_branch_that_appeared_is_left_alone,
                a_branch_that_went_away_is_not_brought_back,
                what_a_person_dropped_by_force_stays_dropped,
                of_two_writers_exactly_one_wins,
                a_run_is_found_by_its_trailer,
                a_run_outside_the_range_is_not_found,
                a_run_of_another_name_is_not_found,
                a_refusal_carries_the_words_of_the_hook,
                a_lost_lease_stops_before_the_push,
                five_thousand_edits_are_one_commit,
            );
        }
    };
}

macro_rules! network_contract {
    ($kind:ident, $subject:path) => {
        mod $kind {
            use crate::repository_contract::Subject as _;

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
        Arc::new(GitHubRepository::open(options_for(&self.github, "acme", "fabric")).unwrap())
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

// Words for the tests.

fn main() -> BranchName {
    BranchName::new("main")
}

fn target() -> Target {
    Target { repo: RepoName::new("lab"), branch: main() }
}

fn path(text: &str) -> RepoPath {
    RepoPath::new(text).unwrap()
}

fn oid(text: &str) -> Oid {
    text.parse().unwrap()
}

fn write(content: &str) -> Edit {
    Edit::Write(Bytes::copy_from_slice(content.as_bytes()))
}

fn edits<const N: usize>(list: [(&str, Edit); N]) -> Edits {
    list.into_iter().map(|(at, edit)| (path(at), edit)).collect()
}

fn message(run: &str) -> CommitMessage {
    CommitMessage {
        text: format!("Sync 1 object of lab\n\nChanged-by: alice\n{RUN_TRAILER}: {run}\n"),
        author: Signature { name: "Alice Ö".to_owned(), email: "alice@example.com".to_owned() },
        committer: Signature { name: "fgd-sync".to_owned(), email: "sync@example.com".to_owned() },
        run: RunId::new(run),
    }
}

async fn commit(repository: &Arc<dyn Repository>, base: Option<&Oid>, edits: &Edits) -> Result<Oid, Error> {
    repository.commit(&proof_for(&target()), base, edits, &message("01RUN")).await
}

/// A person's first commit on main.
fn seed(subject: &impl Subject) -> (Person, Oid) {
    let person = subject.person();
    let head = person.write("a.yaml", "a: 1\n").write("dir/b.yaml", "b: 1\n").push("main", "first");
    (person, oid(&head))
}

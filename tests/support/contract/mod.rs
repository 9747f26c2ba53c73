//! What every kind of repository must do, with ordinary Git as the independent witness.
//!
//! A kind joins with a `Subject` and one `contract!` line, or with `tests!` lines for what its server has of it.
#![allow(unused_imports, unused_macros, reason = "each test binary uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

pub mod racing;
pub mod reading;
pub mod writing;

use std::sync::Arc;

use bytes::Bytes;
use fgd_sync::domain::edit::{CommitMessage, Edit, Edits, RUN_TRAILER, Signature};
use fgd_sync::domain::names::{BranchName, Oid, RepoName, RunId, Target};
use fgd_sync::domain::path::RepoPath;
use fgd_sync::repo::{Error, History, Repository};

use super::git_server::{Bare, Person};
use super::lease::proof_for;

/// One repository of a kind, empty at first.
pub trait Subject {
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

/// Tests of a group, which must be in scope, on subjects of their own.
macro_rules! tests {
    ($subject:path, $group:ident: $($name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                let subject = <$subject>::start().await;

                $group::$name(&subject).await;

                subject.bare().assert_sound();
            }
        )*
    };
}
pub(crate) use tests;

/// The whole contract, as a module of tests.
macro_rules! contract {
    ($kind:ident, $subject:path) => {
        mod $kind {
            use $crate::support::contract::{Subject as _, racing, reading, tests, writing};

            tests!($subject, reading:
                an_empty_repository_has_no_head,
                a_missing_branch_has_no_head,
                the_tree_is_complete_whatever_the_names,
                a_name_that_cannot_be_a_path_is_told_and_harms_no_other_file,
                the_tree_of_a_directory_has_only_what_is_below,
                a_directory_that_does_not_exist_is_empty,
                a_commit_that_does_not_exist_is_missing,
                blobs_are_read_byte_for_byte,
                a_blob_that_does_not_exist_is_missing,
                an_earlier_commit_can_be_read_after_a_forced_push,
                a_history_contains_what_came_before,
                a_forced_push_rewrites_the_history,
                a_history_that_begins_anew_is_unrelated,
                a_history_without_the_commit_is_unrelated,
            );
            tests!($subject, writing:
                the_first_commit_makes_the_branch,
                a_new_branch_starts_beside_the_others,
                a_commit_writes_and_deletes_at_once,
                author_committer_and_message_are_exact,
                the_mode_of_a_file_is_kept,
                a_moved_file_takes_its_mode_along,
                a_restored_file_has_its_mode_again,
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
pub(crate) use contract;

pub fn main() -> BranchName {
    BranchName::new("main")
}

pub fn target() -> Target {
    Target { repo: RepoName::new("lab"), branch: main() }
}

pub fn path(text: &str) -> RepoPath {
    RepoPath::new(text).unwrap()
}

pub fn oid(text: &str) -> Oid {
    text.parse().unwrap()
}

pub fn write(content: &str) -> Edit {
    Edit::Write(Bytes::copy_from_slice(content.as_bytes()))
}

pub fn edits<const N: usize>(list: [(&str, Edit); N]) -> Edits {
    list.into_iter().map(|(at, edit)| (path(at), edit)).collect()
}

pub fn message(run: &str) -> CommitMessage {
    CommitMessage {
        text: format!("Sync 1 object of lab\n\nChanged-by: alice\n{RUN_TRAILER}: {run}\n"),
        author: Signature { name: "Alice Ö".to_owned(), email: "alice@example.com".to_owned() },
        committer: Signature { name: "fgd-sync".to_owned(), email: "sync@example.com".to_owned() },
        run: RunId::new(run),
    }
}

pub async fn commit(repository: &Arc<dyn Repository>, base: Option<&Oid>, edits: &Edits) -> Result<Oid, Error> {
    repository.commit(&proof_for(&target()), base, edits, &message("01RUN")).await
}

/// A person's first commit on main.
pub fn seed(subject: &impl Subject) -> (Person, Oid) {
    let person = subject.person();
    let head = person.write("a.yaml", "a: 1\n").write("dir/b.yaml", "b: 1\n").push("main", "first");
    (person, oid(&head))
}

//! Commits that GitHub makes and signs: one request, always verified, but in the name of the token's own account.
//!
//! <https://docs.github.com/en/graphql/reference/mutations#createcommitonbranch>

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::json;

use super::graphql::{self, NoData, Query};
use super::heads::Heads;
use super::http::Http;
use super::swap::{How, Swap, Swapper, moved, uncertain};
use super::{refusal, runs};
use crate::domain::edit::{CommitMessage, Mode};
use crate::domain::lease::LeaseProof;
use crate::domain::names::{BranchName, Oid};
use crate::repo::Error;
use crate::repo::changes::{self, Change, Changes, Files};

/// Writes commits that GitHub signs.
pub(super) struct Signer<'a> {
    pub http: &'a Http,
    pub heads: &'a Heads,
    pub swapper: &'a Swapper<'a>,
    pub proof: &'a LeaseProof,
    pub branch: &'a BranchName,
}

impl Signer<'_> {
    /// Puts one commit with the changes on the branch, whose head must still be `base`.
    pub async fn commit(&self, base: &Oid, changes: &Changes<'_>, message: &CommitMessage) -> Result<Oid, Error> {
        #[derive(Deserialize)]
        struct Data {
            #[serde(rename = "createCommitOnBranch")]
            created: Option<Created>,
        }
        #[derive(Deserialize)]
        struct Created {
            commit: Option<Commit>,
        }
        #[derive(Deserialize)]
        struct Commit {
            oid: Oid,
        }
        let branch = self.branch;
        let text =
            "mutation($input: CreateCommitOnBranchInput!) { createCommitOnBranch(input: $input) { commit { oid } } }";
        let variables = json!({ "input": self.input(base, changes, message) });
        self.proof.require(self.http.write_limit())?;
        match self.http.graphql::<Data>(&Query { text, variables, writes: true }).await {
            Ok(Data { created: Some(Created { commit: Some(Commit { oid }) }) }) => {
                self.swapper.confirm(Swap { branch, base: Some(base), ours: &oid, how: How::OnTop }).await
            }
            Ok(_) => self.look(base, message, "an answer without the commit".to_owned(), Doubt::Open).await,
            Err(NoData::NotDone(error)) => Err(error),
            Err(NoData::Refused(words)) => {
                Err(Error::Denied { remote: self.http.shown(), detail: self.no_signing(&words) })
            }
            Err(NoData::Lost(words)) => self.look(base, message, words, Doubt::Open).await,
            Err(NoData::Faults(faults)) => {
                let words = graphql::words(&faults);
                if refusal::is_refusal(&words) {
                    return Err(Error::Refused { branch: branch.clone(), detail: words });
                }
                self.look(base, message, words, Doubt::None).await
            }
        }
    }

    fn no_signing(&self, words: &str) -> String {
        format!("createCommitOnBranch: {words}; give the token `contents: write`, or take `signed` out of the settings")
    }

    fn input(&self, base: &Oid, changes: &Changes<'_>, message: &CommitMessage) -> serde_json::Value {
        let (owner, name) = self.http.full_name();
        let (mut additions, mut deletions) = (Vec::new(), Vec::new());
        for (path, change) in changes {
            match change {
                Change::Write { bytes, .. } => {
                    additions.push(json!({ "path": path, "contents": BASE64_STANDARD.encode(bytes) }));
                }
                Change::Delete => deletions.push(json!({ "path": path })),
            }
        }
        let text = with_author(message);
        let (headline, body) = in_two(&text);
        json!({
            "branch": {
                "repositoryNameWithOwner": format!("{owner}/{name}"),
                "branchName": self.branch,
            },
            "expectedHeadOid": base,
            "message": { "headline": headline, "body": body },
            "fileChanges": { "additions": additions, "deletions": deletions },
        })
    }

    /// What became of it: the branch tells, and the run's trailer on it.
    async fn look(&self, base: &Oid, message: &CommitMessage, words: String, doubt: Doubt) -> Result<Oid, Error> {
        let branch = self.branch;
        let unknown = |error: Error| match doubt {
            Doubt::Open => uncertain(branch, format!("{words}; then {error}")),
            Doubt::None => error,
        };
        match self.heads.look_anew(self.http, branch).await.map_err(unknown)? {
            Some(now) if now == *base => Err(match doubt {
                Doubt::Open => uncertain(branch, words),
                Doubt::None => self.http.unavailable(words),
            }),
            None => Err(moved(branch, None)),
            Some(now) => match runs::find(self.http, &now, Some(base), &message.run).await.map_err(unknown)? {
                Some(ours) => {
                    self.heads.wrote(branch, &now, Some(base));
                    Ok(ours)
                }
                None => Err(moved(branch, Some(now))),
            },
        }
    }
}

/// Whether GitHub may have done it, or may still be at it.
#[derive(Clone, Copy)]
enum Doubt {
    Open,
    None,
}

/// What this way of writing cannot keep: GitHub's mutation knows no modes.
pub(super) fn cannot_sign(files: &Files, changes: &Changes<'_>) -> Option<String> {
    let special = |path: &str, change: &Change| match (change, files.get(path.as_bytes()).map(|(mode, _)| mode)) {
        (Change::Delete, _) => None,
        (Change::Write { executable: true, .. }, _) => Some("an executable file"),
        (Change::Write { .. }, Some(Mode::Symlink)) => Some("a symbolic link"),
        (Change::Write { .. }, Some(Mode::Submodule)) => Some("a submodule"),
        (Change::Write { .. }, Some(Mode::File | Mode::Executable) | None) => None,
    };
    let (path, what) = changes.iter().find_map(|(path, change)| Some((path, special(path, change)?)))?;
    Some(format!(
        "`{path}` is {what}, which a commit that GitHub signs cannot keep or replace: make it an ordinary file, or take \
         `signed` out of the settings"
    ))
}

/// The account of the token is the author, so whoever changed the objects becomes a co-author.
///
/// <https://docs.github.com/en/pull-requests/committing-changes-to-your-project/creating-and-editing-commits/creating-a-commit-with-multiple-authors>
fn with_author(message: &CommitMessage) -> String {
    let text = message.text.trim_end();
    if message.author == message.committer {
        return text.to_owned();
    }
    let author = changes::clean(&message.author);
    format!("{text}\nCo-authored-by: {} <{}>", author.name, author.email)
}

/// The subject, and the rest after the blank line.
fn in_two(text: &str) -> (&str, &str) {
    let (headline, rest) = text.split_once('\n').unwrap_or((text, ""));
    (headline, rest.trim_start_matches('\n'))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::domain::edit::Signature;
    use crate::domain::names::RunId;

    fn person(name: &str) -> Signature {
        Signature { name: name.to_owned(), email: format!("{name}@example.com") }
    }

    #[test]
    fn whoever_changed_something_becomes_a_co_author() {
        let mut message = CommitMessage {
            text: "Sync 1 object\n\n- a\n\nFgd-Run: 01RUN\n".to_owned(),
            author: person("alice"),
            committer: person("sync"),
            run: RunId::new("01RUN"),
        };

        let text = with_author(&message);
        message.author = person("sync");

        assert_eq!(
            in_two(&text),
            ("Sync 1 object", "- a\n\nFgd-Run: 01RUN\nCo-authored-by: alice <alice@example.com>")
        );
        assert_eq!(with_author(&message), "Sync 1 object\n\n- a\n\nFgd-Run: 01RUN");
        assert!(runs::names(&text, &message.run));
    }

    #[test]
    fn only_a_written_special_file_stops_a_signed_commit() {
        let oid = Oid::of_blob(b"x");
        let files: Files = [("run.sh", Mode::Executable), ("a", Mode::File), ("link", Mode::Symlink)]
            .map(|(path, mode)| (path.into(), (mode, oid.clone())))
            .into();
        let bytes = Bytes::from_static(b"y");
        let write = |path, executable| Changes::from([(path, Change::Write { executable, bytes: &bytes })]);

        assert!(cannot_sign(&files, &write("run.sh", true)).is_some());
        assert!(cannot_sign(&files, &write("moved.sh", true)).is_some());
        assert!(cannot_sign(&files, &write("link", false)).is_some());
        assert!(cannot_sign(&files, &write("a", false)).is_none());
        assert!(cannot_sign(&files, &write("new", false)).is_none());
        assert!(cannot_sign(&files, &Changes::from([("run.sh", Change::Delete)])).is_none());
    }
}

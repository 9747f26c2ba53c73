//! Moving a branch to a commit only while it is where the commit was planned on, and looking until the outcome is known.
//!
//! GraphQL's `updateRefs` compares with the old commit: strict. Where it is not to be had, REST moves the branch after a
//! fresh look, if that is a fast-forward. Between that look and the move one thing can go unseen: somebody resetting the
//! branch to one of its earlier commits, whose reset our commit would then undo.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::call::Call;
use super::capabilities::Capabilities;
use super::graphql::{self, NoData, Query};
use super::heads::{self, Heads, Relation};
use super::http::{Http, NoAnswer};
use super::{answer, refusal};
use crate::domain::lease::LeaseProof;
use crate::domain::names::{BranchName, Oid};
use crate::repo::Error;

/// After how long a head is read again that does not show yet what GitHub has taken.
const STALE_READS: &[Duration] = &[
    Duration::from_millis(250),
    Duration::from_millis(750),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];
/// Stands for no commit.
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// The branch, the head that it must have, and the one that it gets.
#[derive(Clone, Copy)]
pub(super) struct Swap<'a> {
    pub branch: &'a BranchName,
    /// `None`: the branch must not exist.
    pub base: Option<&'a Oid>,
    pub ours: &'a Oid,
    /// Whether the commit follows its base, or stands in its place.
    pub how: How,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    OnTop,
    /// Only ever in place of a commit that we have made ourselves a moment ago, and only where the swap is strict.
    InPlace,
}

/// What the request itself told.
enum Told {
    Accepted,
    /// It was not done, perhaps because the branch moved.
    Rejected(String),
    /// A rule says no.
    Refused(String),
    /// Nothing was done, for another reason.
    NotDone(Error),
    /// It may or may not have been done.
    Unclear(String),
}

/// Where the branch is now.
enum Seen {
    /// At our commit, or past it.
    Ours,
    /// Where it was before: perhaps only the answer is old.
    Before,
    /// At a commit that ours has in its history, older than the base.
    Behind(Oid),
    Elsewhere(Option<Oid>),
}

/// What a swap needs of the repository.
pub(super) struct Swapper<'a> {
    pub http: &'a Http,
    pub heads: &'a Heads,
    pub can: &'a Capabilities,
    pub proof: &'a LeaseProof,
}

/// The repository's id in GraphQL, once it was asked for.
#[derive(Default)]
pub(super) struct NodeId(Mutex<Option<String>>);

impl Swapper<'_> {
    /// Moves the branch, and returns once its head was seen to be our commit or to contain it.
    pub async fn swap(&self, swap: Swap<'_>) -> Result<Oid, Error> {
        match self.attempt(swap).await {
            Told::Accepted => self.confirm(swap).await,
            Told::NotDone(error) => Err(error),
            Told::Refused(words) => match self.look(swap).await {
                Ok(Seen::Ours) => Ok(swap.ours.clone()),
                Ok(_) | Err(_) => Err(Error::Refused { branch: swap.branch.clone(), detail: words }),
            },
            Told::Rejected(words) => match self.look(swap).await? {
                Seen::Ours => Ok(swap.ours.clone()),
                Seen::Behind(now) => Err(moved(swap.branch, Some(now))),
                Seen::Elsewhere(now) => Err(moved(swap.branch, now)),
                Seen::Before => Err(self.http.unavailable(words)),
            },
            Told::Unclear(words) => match self.look(swap).await {
                Ok(Seen::Ours) => {
                    self.heads.wrote(swap.branch, swap.ours, swap.base);
                    Ok(swap.ours.clone())
                }
                // GitHub would have to find the branch at the base to do it now.
                Ok(Seen::Behind(now)) => Err(moved(swap.branch, Some(now))),
                Ok(Seen::Elsewhere(now)) => Err(moved(swap.branch, now)),
                Ok(Seen::Before) => Err(uncertain(swap.branch, words)),
                Err(error) => Err(uncertain(swap.branch, format!("{words}; then {error}"))),
            },
        }
    }

    async fn attempt(&self, swap: Swap<'_>) -> Told {
        if let Err(lost) = self.proof.require(self.http.write_limit()) {
            return Told::NotDone(lost.into());
        }
        if self.can.strict_swap() {
            match self.node_id().await {
                Ok(Some(id)) => match self.strictly(swap, &id).await {
                    Ok(told) => return told,
                    Err(words) => self.can.without_strict_swap(self.http, &words),
                },
                Ok(None) => {}
                Err(error) => return Told::NotDone(error),
            }
        }
        match (swap.how, swap.base) {
            (How::InPlace, _) => Told::NotDone(
                self.http.unavailable("a branch's first commit cannot be replaced without GraphQL".to_owned()),
            ),
            (How::OnTop, Some(base)) => self.fast_forward(swap, base).await,
            (How::OnTop, None) => self.create(swap).await,
        }
    }

    /// <https://docs.github.com/en/graphql/reference/mutations#updaterefs>
    ///
    /// Fails with the words of a server or token that does not have it.
    async fn strictly(&self, swap: Swap<'_>, repository: &str) -> Result<Told, String> {
        let text = "mutation($input: UpdateRefsInput!) { updateRefs(input: $input) { clientMutationId } }";
        let update = json!({
            "name": format!("refs/heads/{}", swap.branch),
            "beforeOid": swap.base.map_or(NOTHING, Oid::as_str),
            "afterOid": swap.ours,
            "force": swap.how == How::InPlace,
        });
        let variables = json!({ "input": { "repositoryId": repository, "refUpdates": [update] } });
        match self.http.graphql::<Value>(&Query { text, variables, writes: true }).await {
            Ok(_) => Ok(Told::Accepted),
            Err(NoData::NotDone(error)) => Ok(Told::NotDone(error)),
            Err(NoData::Refused(words)) => Err(words),
            Err(NoData::Lost(words)) => Ok(Told::Unclear(words)),
            Err(NoData::Faults(faults)) => {
                let words = graphql::words(&faults);
                // The repository may have been replaced by another of its name.
                self.can.node_id.forget();
                Ok(if refusal::is_refusal(&words) { Told::Refused(words) } else { Told::Rejected(words) })
            }
        }
    }

    /// The repository's id, through GraphQL, so that whoever has none of it is found out here.
    async fn node_id(&self) -> Result<Option<String>, Error> {
        #[derive(Deserialize)]
        struct Data {
            repository: Option<Repository>,
        }
        #[derive(Deserialize)]
        struct Repository {
            id: String,
        }
        if let Some(id) = self.can.node_id.get() {
            return Ok(Some(id));
        }
        let text = "query($owner: String!, $name: String!) { repository(owner: $owner, name: $name) { id } }";
        let (owner, name) = self.http.full_name();
        let query = Query { text, variables: json!({ "owner": owner, "name": name }), writes: false };
        let words = match self.http.graphql::<Data>(&query).await {
            Ok(Data { repository: Some(Repository { id }) }) => {
                self.can.node_id.set(&id);
                return Ok(Some(id));
            }
            Ok(Data { repository: None }) => "it shows no repository".to_owned(),
            Err(NoData::NotDone(error)) => return Err(error),
            Err(NoData::Lost(words)) => return Err(self.http.unavailable(format!("POST graphql: {words}"))),
            Err(NoData::Refused(words)) => words,
            Err(NoData::Faults(faults)) => graphql::words(&faults),
        };
        self.can.without_graphql(self.http, &words);
        Ok(None)
    }

    /// <https://docs.github.com/en/rest/git/refs#update-a-reference>
    async fn fast_forward(&self, swap: Swap<'_>, base: &Oid) -> Told {
        match self.heads.look_anew(self.http, swap.branch).await {
            Ok(Some(now)) if now == *base => {}
            Ok(now) => {
                return Told::Rejected(format!("the branch is at {}", now.map_or("nothing".to_owned(), String::from)));
            }
            Err(error) => return Told::NotDone(error),
        }
        let body = json!({ "sha": swap.ours, "force": false });
        let parts = ["git", "refs", "heads"].into_iter().chain(swap.branch.as_str().split('/'));
        self.over_rest(&Call::of(Method::PATCH, parts).body(&body)).await
    }

    /// Strict by itself: GitHub makes no branch that is there.
    ///
    /// <https://docs.github.com/en/rest/git/refs#create-a-reference>
    async fn create(&self, swap: Swap<'_>) -> Told {
        let body = json!({ "ref": format!("refs/heads/{}", swap.branch), "sha": swap.ours });
        self.over_rest(&Call::of(Method::POST, ["git", "refs"]).body(&body)).await
    }

    async fn over_rest(&self, call: &Call<'_>) -> Told {
        let reply = match self.http.send(call).await {
            Ok(reply) => reply,
            Err(NoAnswer::NotDone(error)) => return Told::NotDone(error),
            Err(NoAnswer::Lost(words)) => return Told::Unclear(words),
        };
        let words = answer::words(&reply);
        match reply.status {
            StatusCode::OK | StatusCode::CREATED => Told::Accepted,
            status if status.is_server_error() => Told::Unclear(words),
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::FORBIDDEN | StatusCode::CONFLICT
                if refusal::is_refusal(&words) =>
            {
                Told::Refused(words)
            }
            StatusCode::UNPROCESSABLE_ENTITY | StatusCode::CONFLICT => Told::Rejected(words),
            _ => Told::NotDone(self.http.write_failure(call, &reply).await),
        }
    }

    /// GitHub said yes: the head must show it.
    pub async fn confirm(&self, swap: Swap<'_>) -> Result<Oid, Error> {
        self.heads.wrote(swap.branch, swap.ours, swap.base);
        let unclear = |error: &Error| uncertain(swap.branch, format!("GitHub took it, but then: {error}"));
        let mut waits = STALE_READS.iter();
        loop {
            let last = match self.look(swap).await.map_err(|error| unclear(&error))? {
                Seen::Ours => return Ok(swap.ours.clone()),
                Seen::Elsewhere(now) => return Err(moved(swap.branch, now)),
                Seen::Behind(now) => moved(swap.branch, Some(now)),
                Seen::Before => {
                    uncertain(swap.branch, "GitHub took it, but still shows the head from before".to_owned())
                }
            };
            let Some(wait) = waits.next() else { return Err(last) };
            tokio::time::sleep(*wait).await;
        }
    }

    async fn look(&self, swap: Swap<'_>) -> Result<Seen, Error> {
        let now = self.heads.look_anew(self.http, swap.branch).await?;
        if now.as_ref() == Some(swap.ours) {
            return Ok(Seen::Ours);
        }
        if now.as_ref() == swap.base {
            return Ok(Seen::Before);
        }
        let Some(now) = now else { return Ok(Seen::Elsewhere(None)) };
        Ok(match heads::relation(self.http, &now, swap.ours).await? {
            Relation::Contains => Seen::Ours,
            Relation::Behind => Seen::Behind(now),
            Relation::Diverged | Relation::Apart => Seen::Elsewhere(Some(now)),
        })
    }
}

impl NodeId {
    pub fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, id: &str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
    }

    fn forget(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// The branch is not where it was planned on.
pub(super) fn moved(branch: &BranchName, now: Option<Oid>) -> Error {
    Error::HeadMoved { branch: branch.clone(), now }
}

/// Nobody knows yet what became of it.
pub(super) fn uncertain(branch: &BranchName, detail: String) -> Error {
    Error::Uncertain { branch: branch.clone(), detail }
}

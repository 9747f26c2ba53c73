//! Pull requests: one rolling branch and one rolling pull request for each target.
//!
//! The branch is rebuilt on the target's head whenever that or the edits changed, and moved only while its tip is the
//! commit that we left there. Where it is not, somebody works on it: their branch stays, and the edits get another one.

use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::answer;
use super::call::Call;
use super::heads::Heads;
use super::http::{Http, NoAnswer};
use super::swap::{How, Swap, Swapper};
use crate::domain::edit::{CommitMessage, RUN_TRAILER};
use crate::domain::lease::LeaseProof;
use crate::domain::names::{BranchName, Oid};
use crate::domain::proposal::{Proposal, Review};
use crate::repo::Error;

/// Begins the name of every branch of ours.
const PREFIX: &str = "fgd-sync/";
/// The longest title, in characters, that GitHub takes.
const MAX_TITLE: usize = 256;
/// The longest body, in characters, that GitHub takes.
const MAX_BODY: usize = 65_536;

/// A pull request as far as we look at it.
#[derive(Debug, Deserialize)]
struct PullRequest {
    number: u64,
    html_url: String,
    state: State,
    merged_at: Option<String>,
    head: Tip,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Open,
    Closed,
}

#[derive(Debug, Deserialize)]
struct Tip {
    #[serde(rename = "ref")]
    branch: BranchName,
    sha: Oid,
}

/// A commit that is ready to be proposed.
pub(super) struct Proposing<'a> {
    pub base: &'a Oid,
    pub ours: &'a Oid,
    pub edits: String,
    pub message: &'a CommitMessage,
}

/// What proposing needs of the repository.
pub(super) struct Proposer<'a> {
    pub http: &'a Http,
    pub heads: &'a Heads,
    pub swapper: &'a Swapper<'a>,
    pub proof: &'a LeaseProof,
}

/// What is to be done about what was proposed before.
pub(super) enum Standing {
    /// It says all there is to say.
    Settled(Review),
    /// Its branch is at our commit and can be moved on.
    Movable(Proposal),
    /// There is none, or its branch is not ours alone any more.
    None,
}

impl Proposer<'_> {
    /// Looks at the last proposal, before a commit is made.
    pub async fn standing(&self, last: Option<&Proposal>, base: &Oid, edits: &str) -> Result<Standing, Error> {
        let last = match last {
            Some(last) => last.clone(),
            None => match self.unrecorded().await? {
                Some(found) => found,
                None => return Ok(Standing::None),
            },
        };
        let request = self.pull_request(last.number).await?;
        let declined = request.as_ref().is_some_and(|pr| pr.state == State::Closed && pr.merged_at.is_none());
        if declined && last.edits == edits {
            return Ok(Standing::Settled(Review::Declined(last)));
        }
        let tip = self.heads.look_anew(self.http, &last.branch).await?;
        let is_open = request.is_some_and(|request| request.state == State::Open);
        if tip.as_ref() != Some(&last.commit) {
            return Ok(Standing::None);
        }
        if is_open && last.edits == edits && last.base == *base {
            return Ok(Standing::Settled(Review::Open(last)));
        }
        Ok(Standing::Movable(last))
    }

    /// Shows the commit on a branch of ours, and has a pull request for it.
    pub async fn show(&self, proposing: Proposing<'_>, standing: Standing) -> Result<Review, Error> {
        let branch = match standing {
            Standing::Settled(review) => return Ok(review),
            Standing::Movable(last) => {
                let swap =
                    Swap { branch: &last.branch, base: Some(&last.commit), ours: proposing.ours, how: How::InPlace };
                self.swapper.swap(swap).await?;
                last.branch
            }
            Standing::None => self.new_branch(&proposing).await?,
        };
        let request = match self.open_on(&branch).await? {
            Some(request) => self.retell(&request, proposing.message).await.map(|()| request)?,
            None => self.open(&branch, proposing.message).await?,
        };
        Ok(Review::Open(Proposal {
            branch,
            commit: proposing.ours.clone(),
            base: proposing.base.clone(),
            edits: proposing.edits,
            number: request.number,
            url: request.html_url,
        }))
    }

    /// Closes the pull request, when it is open and only ours: there is nothing left to propose.
    ///
    /// <https://docs.github.com/en/rest/pulls/pulls#update-a-pull-request>
    pub async fn withdraw(&self, last: &Proposal) -> Result<(), Error> {
        let Some(request) = self.pull_request(last.number).await? else { return Ok(()) };
        if request.state != State::Open || request.head.sha != last.commit {
            return Ok(());
        }
        self.change(last.number, &json!({ "state": "closed" })).await
    }

    fn target(&self) -> &BranchName {
        &self.proof.target().branch
    }

    /// The rolling branch; where that name is taken by somebody else's work, one of the run's own.
    async fn new_branch(&self, proposing: &Proposing<'_>) -> Result<BranchName, Error> {
        let rolling = BranchName::new(format!("{PREFIX}{}", self.target()));
        let swap = Swap { branch: &rolling, base: None, ours: proposing.ours, how: How::OnTop };
        match self.swapper.swap(swap).await {
            Ok(_) => return Ok(rolling),
            Err(Error::HeadMoved { .. }) => {}
            Err(error) => return Err(error),
        }
        let own = BranchName::new(format!("{rolling}-{}", proposing.message.run.as_str().to_ascii_lowercase()));
        self.swapper.swap(Swap { branch: &own, ..swap }).await?;
        Ok(own)
    }

    /// A proposal of a run that was killed before it could be recorded: the rolling branch is at a commit with our trailer,
    /// and a pull request is open for it.
    async fn unrecorded(&self) -> Result<Option<Proposal>, Error> {
        let rolling = BranchName::new(format!("{PREFIX}{}", self.target()));
        let Some(request) = self.open_on(&rolling).await? else { return Ok(None) };
        let Some(base) = self.parent_of_ours(&request.head.sha).await? else { return Ok(None) };
        Ok(Some(Proposal {
            branch: rolling,
            commit: request.head.sha,
            base,
            // Not known: it is rebuilt.
            edits: String::new(),
            number: request.number,
            url: request.html_url,
        }))
    }

    /// The only parent of a commit that carries a run's trailer; `None` for anybody else's commit.
    async fn parent_of_ours(&self, commit: &Oid) -> Result<Option<Oid>, Error> {
        #[derive(Deserialize)]
        struct Commit {
            message: String,
            parents: Vec<Parent>,
        }
        #[derive(Deserialize)]
        struct Parent {
            sha: Oid,
        }
        let call = Call::get(["git", "commits", commit.as_str()]);
        let reply = self.http.read(&call).await?;
        if reply.status != StatusCode::OK {
            return Err(self.http.failure(&call, &reply));
        }
        let Commit { message, parents } = self.http.parse(&call, &reply)?;
        let ours = message.lines().any(|line| line.starts_with(&format!("{RUN_TRAILER}: ")));
        Ok(match <[Parent; 1]>::try_from(parents) {
            Ok([parent]) if ours => Some(parent.sha),
            Ok(_) | Err(_) => None,
        })
    }

    async fn pull_request(&self, number: u64) -> Result<Option<PullRequest>, Error> {
        let number = number.to_string();
        let call = Call::get(["pulls", &number]);
        let reply = self.http.read(&call).await?;
        match reply.status {
            StatusCode::OK => self.http.parse(&call, &reply).map(Some),
            StatusCode::NOT_FOUND => Ok(None),
            _ => Err(self.http.failure(&call, &reply)),
        }
    }

    /// <https://docs.github.com/en/rest/pulls/pulls#list-pull-requests>
    async fn open_on(&self, branch: &BranchName) -> Result<Option<PullRequest>, Error> {
        let (owner, _) = self.http.full_name();
        let call = Call::get(["pulls"])
            .query("state", "open")
            .query("head", format!("{owner}:{branch}"))
            .query("base", self.target().as_str());
        let reply = self.http.read(&call).await?;
        match reply.status {
            StatusCode::OK => {
                let found: Vec<PullRequest> = self.http.parse(&call, &reply)?;
                Ok(found.into_iter().find(|request| request.head.branch == *branch))
            }
            _ => Err(self.http.failure(&call, &reply)),
        }
    }

    /// <https://docs.github.com/en/rest/pulls/pulls#create-a-pull-request>
    async fn open(&self, branch: &BranchName, message: &CommitMessage) -> Result<PullRequest, Error> {
        let (title, text) = words(message);
        let body = json!({ "title": title, "body": text, "head": branch, "base": self.target() });
        let call = Call::of(Method::POST, ["pulls"]).body(&body);
        self.proof.require(self.http.write_limit())?;
        let words = match self.http.send(&call).await {
            Ok(reply) if reply.status == StatusCode::CREATED => return self.http.parse(&call, &reply),
            Ok(reply) if reply.status == StatusCode::UNPROCESSABLE_ENTITY || reply.status.is_server_error() => {
                answer::words(&reply)
            }
            Ok(reply) => return Err(self.http.write_failure(&call, &reply).await),
            Err(NoAnswer::NotDone(error)) => return Err(error),
            Err(NoAnswer::Lost(words)) => words,
        };
        // Opened all the same, by us or by somebody who was faster.
        match self.open_on(branch).await? {
            Some(request) => Ok(request),
            None => Err(Error::Refused { branch: self.target().clone(), detail: format!("no pull request: {words}") }),
        }
    }

    async fn retell(&self, request: &PullRequest, message: &CommitMessage) -> Result<(), Error> {
        let (title, text) = words(message);
        self.change(request.number, &json!({ "title": title, "body": text })).await
    }

    async fn change(&self, number: u64, body: &Value) -> Result<(), Error> {
        let number = number.to_string();
        let call = Call::of(Method::PATCH, ["pulls", &number]).body(body);
        self.proof.require(self.http.write_limit())?;
        match self.http.send(&call).await {
            Ok(reply) if reply.status == StatusCode::OK => Ok(()),
            Ok(reply) => Err(self.http.write_failure(&call, &reply).await),
            Err(NoAnswer::NotDone(error)) => Err(error),
            // The next run finds it done or does it again.
            Err(NoAnswer::Lost(words)) => Err(self.http.unavailable(format!("PATCH pulls/{number}: {words}"))),
        }
    }
}

/// Title and body: the commit's subject, and the rest of its message.
fn words(message: &CommitMessage) -> (String, String) {
    let (subject, body) = message.text.split_once('\n').unwrap_or((&message.text, ""));
    (subject.chars().take(MAX_TITLE).collect(), body.trim_start().chars().take(MAX_BODY).collect())
}

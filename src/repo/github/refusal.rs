//! When a branch may not be written: what GitHub says then, and what its rules say beforehand.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::call::Call;
use super::http::Http;
use crate::domain::names::BranchName;
use crate::repo::Error;

/// How long rules that let us write are believed.
const BELIEVED: Duration = Duration::from_secs(300);

/// Words, in lower case, of a ref that may not be moved: classic protection, rulesets and hooks, over REST and GraphQL.
const WORDS: &[&str] = &[
    "protected branch",
    "branch_protection",
    "branch protection",
    "rule violation",
    "rule_violation",
    "gh006",
    "gh013",
    "through a pull request",
    "through the merge queue",
    "verified signature",
    "status check",
    "approving review",
    "not authorized to push",
    "being restricted",
    "cannot force-push",
    "hook declined",
    "pre-receive",
    "secret detected",
    "archived",
];

/// Whether a rule or a hook said no. The only place that reads these words.
pub(super) fn is_refusal(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    WORDS.iter().any(|part| words.contains(part))
}

/// What is known of the rules of branches.
#[derive(Default)]
pub(super) struct Rules {
    /// By branch, and by whether the write makes it.
    free: Mutex<HashMap<(BranchName, bool), Instant>>,
}

/// What a write is, as far as rules care.
#[derive(Debug, Clone, Copy)]
pub(super) struct Writing {
    /// The branch does not exist yet.
    pub creates: bool,
    /// GitHub signs the commit.
    pub signed: bool,
}

#[derive(Debug, Deserialize)]
struct Rule {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    ruleset_id: Option<u64>,
    #[serde(default)]
    parameters: Value,
}

impl Rules {
    /// Fails when an active rule refuses such a write and we may not bypass it. A refusal is never remembered, so that a
    /// rule that a person changed counts at once.
    ///
    /// <https://docs.github.com/en/rest/repos/rules#get-rules-for-a-branch>
    pub async fn check(&self, http: &Http, branch: &BranchName, writing: Writing) -> Result<(), Error> {
        let what = (branch.clone(), writing.creates);
        let known = self.free.lock().unwrap_or_else(PoisonError::into_inner).get(&what).copied();
        if known.is_some_and(|at| at.elapsed() < BELIEVED) {
            return Ok(());
        }
        let against: Vec<Rule> =
            rules(http, branch).await?.into_iter().filter(|rule| rule.is_against(writing)).collect();
        let rulesets: BTreeSet<u64> = against.iter().filter_map(|rule| rule.ruleset_id).collect();
        let mut binding = BTreeSet::new();
        for ruleset in rulesets {
            if binds_us(http, ruleset).await? {
                binding.insert(ruleset);
            }
        }
        let words: Vec<String> = against
            .iter()
            .filter(|rule| rule.ruleset_id.is_some_and(|id| binding.contains(&id)))
            .map(|rule| format!("{} (ruleset {})", rule.words(), rule.ruleset_id.unwrap_or_default()))
            .collect();
        if words.is_empty() {
            self.free.lock().unwrap_or_else(PoisonError::into_inner).insert(what, Instant::now());
            return Ok(());
        }
        Err(Error::Refused { branch: branch.clone(), detail: words.join("; ") })
    }

    /// GitHub refused although the rules as we knew them let us write.
    pub fn forget(&self, branch: &BranchName) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).retain(|(of, _), _| of != branch);
    }
}

/// All active rules of a branch; none where the server has no such thing.
async fn rules(http: &Http, branch: &BranchName) -> Result<Vec<Rule>, Error> {
    let parts = ["rules", "branches"].into_iter().chain(branch.as_str().split('/'));
    let call = Call::get(parts).query("per_page", 100);
    let reply = http.read(&call).await?;
    match reply.status {
        StatusCode::OK => http.parse(&call, &reply),
        // Old servers, and tokens that may push but not look: the push itself will tell.
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(Vec::new()),
        _ => Err(http.failure(&call, &reply)),
    }
}

/// Whether a ruleset is certain to hold for us; where GitHub does not tell, the push itself will.
///
/// <https://docs.github.com/en/rest/repos/rules#get-a-repository-ruleset>
async fn binds_us(http: &Http, ruleset: u64) -> Result<bool, Error> {
    #[derive(Deserialize)]
    struct Ruleset {
        #[serde(default)]
        current_user_can_bypass: Option<String>,
    }
    let id = ruleset.to_string();
    let call = Call::get(["rulesets", &id]);
    let reply = http.read(&call).await?;
    match reply.status {
        StatusCode::OK => {
            let bypass = http.parse::<Ruleset>(&call, &reply)?.current_user_can_bypass;
            Ok(matches!(bypass.as_deref(), Some("never" | "pull_requests_only")))
        }
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => Ok(false),
        _ => Err(http.failure(&call, &reply)),
    }
}

impl Rule {
    /// Whether the rule refuses a direct write, whatever is in the commit.
    fn is_against(&self, writing: Writing) -> bool {
        let on_create = self.parameters.get("do_not_enforce_on_create").and_then(Value::as_bool) != Some(true);
        match self.kind.as_str() {
            "pull_request" | "update" | "merge_queue" => !writing.creates,
            "creation" => writing.creates,
            "required_status_checks" | "workflows" => !writing.creates || on_create,
            "required_deployments" => true,
            "required_signatures" => !writing.signed,
            // Rules about the content or about other events; a new kind of rule shows in GitHub's own refusal.
            _ => false,
        }
    }

    /// In GitHub's words where it has some.
    fn words(&self) -> String {
        match self.kind.as_str() {
            "pull_request" => "changes must be made through a pull request".to_owned(),
            "update" => "updates of the branch are restricted".to_owned(),
            "creation" => "creations of such branches are restricted".to_owned(),
            "merge_queue" => "changes must be made through the merge queue".to_owned(),
            "required_status_checks" => format!("required status checks are expected: {}", self.checks()),
            "workflows" => "required workflows must pass first".to_owned(),
            "required_deployments" => "required deployments must succeed first".to_owned(),
            "required_signatures" => {
                "commits must have verified signatures: set `signed: true` for this repository in the settings"
                    .to_owned()
            }
            other => other.replace('_', " "),
        }
    }

    fn checks(&self) -> String {
        let checks = self.parameters.get("required_status_checks").and_then(Value::as_array);
        let names = checks.into_iter().flatten().filter_map(|check| check.get("context").and_then(Value::as_str));
        names.collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_of_a_refusal_is_one_and_a_moved_branch_is_none() {
        for words in [
            "Cannot update this protected branch.",
            "Repository rule violations found: Changes must be made through a pull request.",
            "error: GH006: Protected branch update failed for refs/heads/main.",
            "2 of 2 required status checks are expected. (BRANCH_PROTECTION_RULE_VIOLATION)",
            "Commits must have verified signatures.",
            "Cannot create ref due to creations being restricted.",
            "pre-receive hook declined",
        ] {
            assert!(is_refusal(words), "{words}");
        }
        for words in [
            "Update is not a fast forward",
            "Reference already exists",
            "Reference does not exist",
            "Expected branch to point to \"abc\" but it did not. Pull and try again. (STALE_DATA)",
            "Reference cannot be updated",
        ] {
            assert!(!is_refusal(words), "{words}");
        }
    }

    #[test]
    fn a_rule_holds_for_what_it_is_about() {
        let rule = |kind: &str, parameters| Rule { kind: kind.to_owned(), ruleset_id: Some(1), parameters };
        let update = Writing { creates: false, signed: false };
        let create = Writing { creates: true, signed: true };

        assert!(rule("pull_request", json!({})).is_against(update));
        assert!(!rule("pull_request", json!({})).is_against(create));
        assert!(!rule("creation", json!({})).is_against(update));
        assert!(rule("required_signatures", Value::Null).is_against(update));
        assert!(!rule("required_signatures", Value::Null).is_against(create));
        assert!(rule("required_status_checks", json!({})).is_against(create));
        assert!(!rule("required_status_checks", json!({"do_not_enforce_on_create": true})).is_against(create));
        assert!(!rule("non_fast_forward", json!({})).is_against(update));
    }
}

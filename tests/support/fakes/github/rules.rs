//! Classic protection and rulesets: what a push must keep to.

use serde_json::{Value, json};

use super::reply::Reply;
use super::server::Asked;
use super::store::{Store, ZERO};
use super::world::{Repo, World};

/// A classic protected branch.
#[derive(Debug, Clone)]
pub(super) struct Protection {
    /// What GitHub says when it refuses.
    pub words: String,
    /// Whether REST says only that, without naming the protected branch.
    pub bare: bool,
}

/// One rule of a ruleset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Changes need a pull request.
    PullRequest,
    /// Commits must be signed by a key that GitHub knows.
    RequiredSignatures,
    /// This status must be there.
    RequiredStatusCheck(String),
    /// Nobody moves it.
    Update,
    /// Nobody makes it.
    Creation,
    /// Nobody removes it.
    Deletion,
    /// No forced pushes.
    NonFastForward,
    /// No merge commits.
    LinearHistory,
    /// The message must begin so.
    MessageStart(String),
}

/// Rules for one branch.
#[derive(Debug, Clone)]
pub(super) struct Ruleset {
    pub id: u64,
    pub branch: String,
    pub rules: Vec<Rule>,
    /// Logins that need not keep to it.
    pub bypass: Vec<String>,
}

/// A move of a ref, as a push asks for it.
pub(super) struct Move<'a> {
    pub name: &'a str,
    /// `ZERO`: it goes away.
    pub to: &'a str,
    pub from: Option<&'a str>,
    /// Whether it comes by merging a pull request.
    pub merges: bool,
}

/// Why a move is not allowed.
#[derive(Debug, Clone)]
pub(super) enum Violation {
    Classic { branch: String, protection: Protection },
    Ruleset { words: Vec<String> },
}

/// What stands against a move by this login.
pub(super) fn violation(repo: &Repo, login: &str, moved: &Move<'_>) -> Option<Violation> {
    let branch = moved.name.strip_prefix("refs/heads/")?;
    let broken: Vec<String> = repo
        .rulesets
        .iter()
        .filter(|set| set.branch == branch && !set.bypass.iter().any(|actor| actor == login))
        .flat_map(|set| set.rules.iter().filter_map(|rule| broken(&repo.store, rule, moved)))
        .collect();
    if !broken.is_empty() {
        return Some(Violation::Ruleset { words: broken });
    }
    let protection = repo.protections.get(branch).filter(|_| !moved.merges)?;
    Some(Violation::Classic { branch: branch.to_owned(), protection: protection.clone() })
}

fn broken(store: &Store, rule: &Rule, moved: &Move<'_>) -> Option<String> {
    let removed = moved.to == ZERO;
    let new: Vec<String> = match (removed, moved.from) {
        (true, _) => Vec::new(),
        (false, Some(from)) => store.log(&[moved.to, &format!("^{from}")], None),
        (false, None) => store.log(&[moved.to, "--not", "--branches"], None),
    };
    let commits = || new.iter().filter_map(|sha| Some((sha, store.commit(sha)?)));
    match rule {
        Rule::PullRequest => (moved.from.is_some() && !removed && !moved.merges)
            .then(|| "Changes must be made through a pull request.".to_owned()),
        Rule::RequiredSignatures => {
            let unsigned: Vec<&String> = commits().filter(|(_, c)| c.signature.is_none()).map(|(sha, _)| sha).collect();
            (!unsigned.is_empty()).then(|| {
                let listed: Vec<&str> = unsigned.iter().map(|sha| sha.as_str()).collect();
                format!(
                    "Commits must have verified signatures.\nFound {} violation:\n\n{}",
                    listed.len(),
                    listed.join("\n")
                )
            })
        }
        Rule::RequiredStatusCheck(context) => {
            (!removed).then(|| format!("Required status check \"{context}\" is expected."))
        }
        Rule::Update => {
            (moved.from.is_some() && !removed && !moved.merges).then(|| "Cannot update this protected ref.".to_owned())
        }
        Rule::Creation => (moved.from.is_none() && !removed)
            .then(|| "Cannot create ref due to creations being restricted.".to_owned()),
        Rule::Deletion => removed.then(|| "Cannot delete this protected ref.".to_owned()),
        Rule::NonFastForward => {
            let forced = moved.from.is_some_and(|from| !removed && !store.is_ancestor(from, moved.to));
            forced.then(|| "Cannot force-push to this protected ref.".to_owned())
        }
        Rule::LinearHistory => {
            let merge = commits().any(|(_, commit)| commit.parents.len() > 1);
            merge.then(|| "This branch must not contain merge commits.".to_owned())
        }
        Rule::MessageStart(start) => {
            let wrong = commits().any(|(_, commit)| !commit.message.starts_with(start.as_str()));
            wrong.then(|| format!("Commit message must start with a matching pattern: {start}"))
        }
    }
}

impl Violation {
    /// As REST says it.
    pub fn reply(&self) -> Reply {
        match self {
            Self::Classic { branch, protection: Protection { words, bare } } => {
                let named = format!("Protected branch update failed for refs/heads/{branch}.\n\n{words}");
                let mut reply = Reply::unprocessable(if *bare { words } else { &named });
                if let super::reply::Body::Json(body) = &mut reply.body {
                    body["documentation_url"] = json!("https://docs.github.com/articles/about-protected-branches");
                }
                reply
            }
            Self::Ruleset { .. } => Reply::unprocessable(&self.words()),
        }
    }

    /// The type and words of GraphQL's error.
    pub fn graphql(&self) -> (&'static str, String) {
        match self {
            Self::Classic { branch, protection } => {
                let words = &protection.words;
                ("BRANCH_PROTECTION_RULE_VIOLATION", format!("protected branch '{branch}' check failed:\n  {words}"))
            }
            Self::Ruleset { .. } => ("UNPROCESSABLE", self.words()),
        }
    }

    fn words(&self) -> String {
        match self {
            Self::Classic { protection, .. } => protection.words.clone(),
            Self::Ruleset { words } => format!("Repository rule violations found\n\n{}\n\n", words.join("\n\n")),
        }
    }
}

/// `rules/branches/{branch}`: the rules of rulesets only, flat.
pub(super) fn of_branch(world: &World, repo: usize, branch: &str) -> Reply {
    let repo = &world.repos[repo];
    let sets = repo.rulesets.iter().filter(|set| set.branch == branch);
    let rules = sets.flat_map(|set| {
        set.rules.iter().map(|rule| {
            let mut shown = shown(rule);
            shown["ruleset_source_type"] = json!("Repository");
            shown["ruleset_source"] = json!(repo.full_name());
            shown["ruleset_id"] = json!(set.id);
            shown
        })
    });
    Reply::ok(Value::Array(rules.collect()))
}

/// `rulesets/{id}`, which also tells the asker whether it holds for them.
pub(super) fn ruleset(world: &World, repo: usize, asked: &Asked) -> Result<Reply, Reply> {
    let repo = &world.repos[repo];
    let found =
        repo.rulesets.iter().find(|set| set.id.to_string() == asked.param("id")).ok_or_else(Reply::not_found)?;
    let may_bypass = found.bypass.contains(&asked.login);
    Ok(Reply::ok(json!({
        "id": found.id, "name": format!("ruleset {}", found.id), "target": "branch", "enforcement": "active",
        "source_type": "Repository", "source": repo.full_name(),
        "conditions": {"ref_name": {"include": [format!("refs/heads/{}", found.branch)], "exclude": []}},
        "rules": found.rules.iter().map(shown).collect::<Vec<_>>(),
        "current_user_can_bypass": if may_bypass { "always" } else { "never" },
    })))
}

fn shown(rule: &Rule) -> Value {
    match rule {
        Rule::PullRequest => json!({"type": "pull_request", "parameters": {
            "allowed_merge_methods": ["merge", "squash", "rebase"], "dismiss_stale_reviews_on_push": false,
            "require_code_owner_review": false, "require_last_push_approval": false,
            "required_approving_review_count": 0, "required_review_thread_resolution": false,
        }}),
        Rule::RequiredSignatures => json!({"type": "required_signatures"}),
        Rule::RequiredStatusCheck(context) => json!({"type": "required_status_checks", "parameters": {
            "required_status_checks": [{"context": context}], "strict_required_status_checks_policy": false,
            "do_not_enforce_on_create": false,
        }}),
        Rule::Update => json!({"type": "update", "parameters": {"update_allows_fetch_and_merge": false}}),
        Rule::Creation => json!({"type": "creation"}),
        Rule::Deletion => json!({"type": "deletion"}),
        Rule::NonFastForward => json!({"type": "non_fast_forward"}),
        Rule::LinearHistory => json!({"type": "required_linear_history"}),
        Rule::MessageStart(start) => json!({"type": "commit_message_pattern", "parameters": {
            "operator": "starts_with", "pattern": start, "negate": false,
        }}),
    }
}

/// `branches/{branch}/protection`: classic only.
pub(super) fn protection(world: &World, repo: usize, base: &str, branch: &str) -> Reply {
    let repo = &world.repos[repo];
    if !repo.protections.contains_key(branch) {
        return Reply::refused(404, "Branch not protected");
    }
    let url = format!("{base}/repos/{}/branches/{branch}/protection", repo.full_name());
    Reply::ok(json!({
        "url": url,
        "required_pull_request_reviews": {
            "url": format!("{url}/required_pull_request_reviews"), "dismiss_stale_reviews": false,
            "require_code_owner_reviews": false, "require_last_push_approval": false,
            "required_approving_review_count": 1,
        },
        "required_signatures": {"url": format!("{url}/required_signatures"), "enabled": false},
        "enforce_admins": {"url": format!("{url}/enforce_admins"), "enabled": true},
        "required_linear_history": {"enabled": false}, "allow_force_pushes": {"enabled": false},
        "allow_deletions": {"enabled": false}, "block_creations": {"enabled": false},
        "required_conversation_resolution": {"enabled": false}, "lock_branch": {"enabled": false},
        "allow_fork_syncing": {"enabled": false},
    }))
}

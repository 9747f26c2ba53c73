//! What objects answer.

use serde_json::{Map, Value, json};

use super::Failure;
use crate::support::fakes::github::access::{Level, Permission};
use crate::support::fakes::github::server::Asked;
use crate::support::fakes::github::show;
use crate::support::fakes::github::store::{Commit, Entry, Stamp};
use crate::support::fakes::github::world::{World, iso};

/// Longest text of a blob that is shown whole.
const LONGEST_TEXT: usize = 512_000;

/// An object.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Query,
    Mutation,
    Viewer,
    Repository(usize),
    /// Repository, full name, commit.
    Ref(usize, String, String),
    Commit(usize, String),
    Tree(usize, String),
    Blob(usize, String),
    TreeEntry(usize, Entry),
    /// Fields that are known already.
    Bag(&'static str, Vec<(&'static str, Resolved)>),
}

/// What a field is.
#[derive(Debug, Clone)]
pub(super) enum Resolved {
    Scalar(Value),
    Object(Node),
    List(Vec<Resolved>),
}

impl Node {
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Mutation => "Mutation",
            Self::Viewer => "User",
            Self::Repository(_) => "Repository",
            Self::Ref(..) => "Ref",
            Self::Commit(..) => "Commit",
            Self::Tree(..) => "Tree",
            Self::Blob(..) => "Blob",
            Self::TreeEntry(..) => "TreeEntry",
            Self::Bag(name, _) => name,
        }
    }
}

const NULL: Resolved = Resolved::Scalar(Value::Null);

fn scalar(value: impl Into<Value>) -> Resolved {
    Resolved::Scalar(value.into())
}

fn object(node: Option<Node>) -> Resolved {
    node.map_or(NULL, Resolved::Object)
}

pub(super) fn field(
    world: &mut World,
    asked: &Asked,
    node: &Node,
    name: &str,
    args: &Map<String, Value>,
) -> Result<Resolved, Failure> {
    let text = |name: &str| args.get(name).and_then(Value::as_str);
    Ok(match node {
        Node::Query => return query(world, asked, name, args),
        Node::Viewer => match name {
            "login" => scalar(asked.login.as_str()),
            "url" => scalar(format!("{}/{}", world.origin, asked.login)),
            _ => scalar(show::node_id("User", &asked.login)),
        },
        Node::Repository(at) => repository(world, asked, *at, name, args),
        Node::Ref(at, full, sha) => match name {
            "name" => scalar(full.trim_start_matches("refs/heads/").trim_start_matches("refs/tags/")),
            "prefix" => scalar(if full.starts_with("refs/tags/") { "refs/tags/" } else { "refs/heads/" }),
            "repository" => Resolved::Object(Node::Repository(*at)),
            "target" => object(git_object(world, *at, sha)),
            _ => scalar(ref_id(world, *at, full)),
        },
        Node::Commit(at, sha) => {
            let commit = world.repos[*at].store.commit(sha).ok_or_else(broken)?;
            commit_field(world, *at, sha, &commit, name, args)
        }
        Node::Tree(at, sha) => match name {
            "entries" => {
                let entries = world.repos[*at].store.entries(sha, false);
                Resolved::List(entries.into_iter().map(|e| Resolved::Object(Node::TreeEntry(*at, e))).collect())
            }
            _ => any_object(*at, sha, name),
        },
        Node::Blob(at, sha) => blob(world, *at, sha, name)?,
        Node::TreeEntry(at, entry) => match name {
            "mode" => scalar(i64::from_str_radix(&entry.mode, 8).unwrap_or_default()),
            "name" => scalar(entry.path.rsplit('/').next()),
            "path" => scalar(entry.path.as_str()),
            "oid" => scalar(entry.sha.as_str()),
            "size" => scalar(entry.size.unwrap_or_default()),
            "type" => scalar(entry.kind.as_str()),
            _ => object(git_object(world, *at, &entry.sha)),
        },
        Node::Bag(_, members) => {
            let found = members.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
            found.unwrap_or(NULL)
        }
        Node::Mutation => {
            let _ = text("input");
            NULL
        }
    })
}

fn broken() -> Failure {
    Failure::new("INTERNAL", "Something went wrong while executing your query.")
}

fn query(world: &mut World, asked: &Asked, name: &str, args: &Map<String, Value>) -> Result<Resolved, Failure> {
    let text = |name: &str| args.get(name).and_then(Value::as_str).unwrap_or_default();
    match name {
        "repository" => {
            let full = format!("{}/{}", text("owner"), text("name"));
            let at = find_repo(world, asked, &full).ok_or_else(|| {
                let words = format!("Could not resolve to a Repository with the name '{full}'.");
                Failure::new("NOT_FOUND", words)
            })?;
            Ok(Resolved::Object(Node::Repository(at)))
        }
        "node" => by_id(world, asked, text("id")).map(Resolved::Object),
        "nodes" => {
            let ids = args["ids"].as_array().cloned().unwrap_or_default();
            let found = ids.iter().map(|id| by_id(world, asked, id.as_str().unwrap_or_default()));
            Ok(Resolved::List(found.map(|node| object(node.ok())).collect()))
        }
        "viewer" => Ok(Resolved::Object(Node::Viewer)),
        _ => {
            let budget = world.token(asked).budgets.graphql;
            let members = vec![
                ("cost", scalar(1)),
                ("limit", scalar(budget.limit)),
                ("nodeCount", scalar(0)),
                ("remaining", scalar(budget.remaining())),
                ("resetAt", scalar(iso(budget.reset))),
                ("used", scalar(budget.used)),
            ];
            Ok(Resolved::Object(Node::Bag("RateLimit", members)))
        }
    }
}

/// The repository of a name, or a former name, that the token may know of.
pub(super) fn find_repo(world: &World, asked: &Asked, full: &str) -> Option<usize> {
    let at = world.repo_named(full).or_else(|| world.repo_formerly(full))?;
    world.token(asked).sees(&world.repos[at].full_name()).then_some(at)
}

fn by_id(world: &World, asked: &Asked, id: &str) -> Result<Node, Failure> {
    let not_found = || Failure::new("NOT_FOUND", format!("Could not resolve to a node with the global id of '{id}'"));
    for (at, repo) in world.repos.iter().enumerate() {
        if !world.token(asked).sees(&repo.full_name()) {
            continue;
        }
        if show::repo_node_id(repo) == id {
            return Ok(Node::Repository(at));
        }
        let refs = repo.store.refs("refs/");
        if let Some((name, sha)) = refs.into_iter().find(|(name, _)| ref_id(world, at, name) == id) {
            return Ok(Node::Ref(at, name, sha));
        }
    }
    Err(not_found())
}

/// The repository with this node id.
pub(super) fn repo_by_id(world: &World, asked: &Asked, id: &str) -> Result<usize, Failure> {
    match by_id(world, asked, id)? {
        Node::Repository(at) => Ok(at),
        _ => Err(Failure::new(
            "NOT_FOUND",
            format!("Could not resolve to Repository node with the global id of '{id}'."),
        )),
    }
}

/// The branch with this node id: its repository and full name.
pub(super) fn ref_by_id(world: &World, asked: &Asked, id: &str) -> Result<(usize, String), Failure> {
    match by_id(world, asked, id)? {
        Node::Ref(at, name, _) => Ok((at, name)),
        _ => Err(Failure::new("NOT_FOUND", format!("Could not resolve to Ref node with the global id of '{id}'."))),
    }
}

pub(super) fn ref_id(world: &World, at: usize, full: &str) -> String {
    format!("REF_{}", show::node_id("Ref", &format!("{}:{full}", world.repos[at].id)))
}

fn repository(world: &mut World, asked: &Asked, at: usize, name: &str, args: &Map<String, Value>) -> Resolved {
    let text = |name: &str| args.get(name).and_then(Value::as_str);
    let token = world.token(asked);
    let origin = world.origin.clone();
    let repo = &mut world.repos[at];
    match name {
        "databaseId" => scalar(repo.id),
        "id" => scalar(show::repo_node_id(repo)),
        "isArchived" => scalar(false),
        "isEmpty" => scalar(repo.store.is_empty()),
        "isPrivate" => scalar(true),
        "name" => scalar(repo.name.as_str()),
        "nameWithOwner" => scalar(repo.full_name()),
        "url" => scalar(format!("{origin}/{}", repo.full_name())),
        "viewerPermission" => scalar(if token.can(Permission::Contents, Level::Write) { "WRITE" } else { "READ" }),
        "defaultBranchRef" => {
            let full = format!("refs/heads/{}", repo.default_branch);
            object(repo.seen(&full).map(|sha| Node::Ref(at, full, sha)))
        }
        "ref" => {
            let wanted = text("qualifiedName").unwrap_or_default();
            let full = if wanted.starts_with("refs/") { wanted.to_owned() } else { format!("refs/heads/{wanted}") };
            object(repo.seen(&full).map(|sha| Node::Ref(at, full, sha)))
        }
        _ => {
            let sha = match (text("oid"), text("expression")) {
                (Some(oid), _) => Some(oid.to_owned()),
                (None, Some(expression)) => match expression.split_once(':') {
                    Some((of, path)) => repo.seen_commit(of).and_then(|commit| repo.store.object_at(&commit, path)),
                    None => repo.seen_commit(expression),
                },
                (None, None) => None,
            };
            object(sha.and_then(|sha| git_object(world, at, &sha)))
        }
    }
}

fn git_object(world: &World, at: usize, sha: &str) -> Option<Node> {
    match world.repos[at].store.kind(sha)?.as_str() {
        "commit" => Some(Node::Commit(at, sha.to_owned())),
        "tree" => Some(Node::Tree(at, sha.to_owned())),
        "blob" => Some(Node::Blob(at, sha.to_owned())),
        _ => None,
    }
}

fn any_object(at: usize, sha: &str, name: &str) -> Resolved {
    match name {
        "oid" => scalar(sha),
        "abbreviatedOid" => scalar(sha.get(..7)),
        "repository" => Resolved::Object(Node::Repository(at)),
        _ => scalar(show::node_id("Object", sha)),
    }
}

fn blob(world: &World, at: usize, sha: &str, name: &str) -> Result<Resolved, Failure> {
    if !matches!(name, "byteSize" | "isBinary" | "isTruncated" | "text") {
        return Ok(any_object(at, sha, name));
    }
    let content = world.repos[at].store.read("blob", sha).ok_or_else(broken)?;
    let binary = content.contains(&0);
    Ok(match name {
        "byteSize" => scalar(content.len()),
        "isBinary" => scalar(binary),
        "isTruncated" => scalar(content.len() > LONGEST_TEXT),
        _ if binary => NULL,
        // What is no UTF-8 comes damaged: text is not bytes.
        _ => scalar(String::from_utf8_lossy(&content[..content.len().min(LONGEST_TEXT)]).into_owned()),
    })
}

fn commit_field(
    world: &mut World,
    at: usize,
    sha: &str,
    commit: &Commit,
    name: &str,
    args: &Map<String, Value>,
) -> Resolved {
    let (headline, body) = commit.message.split_once('\n').unwrap_or((&commit.message, ""));
    match name {
        "author" => Resolved::Object(actor(&commit.author)),
        "authoredDate" => scalar(iso(commit.author.at)),
        "committer" => Resolved::Object(actor(&commit.committer)),
        "committedDate" => scalar(iso(commit.committer.at)),
        "message" => scalar(commit.message.trim_end()),
        "messageHeadline" => scalar(headline),
        "messageBody" => scalar(body.trim()),
        "signature" => {
            object(commit.signature.as_ref().map(|_| {
                Node::Bag("GitSignature", vec![("isValid", scalar(true)), ("wasSignedByGitHub", scalar(true))])
            }))
        }
        "tree" => Resolved::Object(Node::Tree(at, commit.tree.clone())),
        "url" => scalar(format!("{}/{}/commit/{sha}", world.origin, world.repos[at].full_name())),
        "parents" => connection("CommitConnection", at, &commit.parents, args),
        "history" => {
            let path = args.get("path").and_then(Value::as_str);
            connection("CommitHistoryConnection", at, &world.repos[at].store.log(&[sha], path), args)
        }
        "file" => {
            let path = args.get("path").and_then(Value::as_str).unwrap_or_default();
            let entries = world.repos[at].store.entries(sha, true);
            object(entries.into_iter().find(|entry| entry.path == path).map(|entry| Node::TreeEntry(at, entry)))
        }
        _ => any_object(at, sha, name),
    }
}

fn actor(stamp: &Stamp) -> Node {
    let (name, email) = (scalar(stamp.name.as_str()), scalar(stamp.email.as_str()));
    Node::Bag("GitActor", vec![("name", name), ("email", email), ("date", scalar(iso(stamp.at)))])
}

/// A page of commits; the cursor is the number of the last one.
fn connection(name: &'static str, at: usize, shas: &[String], args: &Map<String, Value>) -> Resolved {
    let first = args.get("first").and_then(Value::as_u64).unwrap_or(100).min(100);
    let first = usize::try_from(first).unwrap_or(100);
    let after: usize = args.get("after").and_then(Value::as_str).and_then(|text| text.parse().ok()).unwrap_or(0);
    let page: Vec<&String> = shas.iter().skip(after).take(first).collect();
    let end = after + page.len();
    let info = vec![
        ("endCursor", scalar(json!(end.to_string()))),
        ("hasNextPage", scalar(end < shas.len())),
        ("hasPreviousPage", scalar(after > 0)),
        ("startCursor", scalar(json!(after.to_string()))),
    ];
    let nodes = page.into_iter().map(|sha| Resolved::Object(Node::Commit(at, sha.clone()))).collect();
    let members = vec![
        ("nodes", Resolved::List(nodes)),
        ("pageInfo", Resolved::Object(Node::Bag("PageInfo", info))),
        ("totalCount", scalar(shas.len())),
    ];
    Resolved::Object(Node::Bag(name, members))
}

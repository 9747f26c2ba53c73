//! What commits answer, and pages of them.

use serde_json::{Map, Value, json};

use super::fields::{Node, Resolved, any_object, object, scalar};
use crate::support::fakes::github::commit::{Commit, Stamp};
use crate::support::fakes::github::world::{World, iso};

pub(super) fn field(
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

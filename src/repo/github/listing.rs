//! One listing of a tree, as GitHub gives it.

use std::sync::Arc;

use reqwest::StatusCode;
use serde::Deserialize;

use super::call::Call;
use super::http::Http;
use crate::domain::edit::Mode;
use crate::domain::names::Oid;
use crate::repo::Error;

/// One entry of a tree, as GitHub lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// From the directory that was listed; may be a path that a `RepoPath` cannot be.
    pub path: String,
    pub kind: Kind,
    pub oid: Oid,
    pub size: Option<u64>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    File(Mode),
}

/// One listing, in Git's order.
pub(super) type Listing = Arc<Vec<Entry>>;

/// <https://docs.github.com/en/rest/git/trees#get-a-tree>
pub(super) async fn request(http: &Http, tree: &Oid, recursive: bool) -> Result<(Listing, bool), Error> {
    #[derive(Deserialize)]
    struct Listed {
        tree: Vec<Wire>,
        #[serde(default)]
        truncated: bool,
    }
    let mut call = Call::get(["git", "trees", tree.as_str()]);
    if recursive {
        call = call.query("recursive", 1);
    }
    let reply = http.read(&call).await?;
    match reply.status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {
            // The tree of the empty commit is in no object store; GitHub answers 404 for it.
            if tree.as_str() == EMPTY_TREE {
                return Ok((Listing::default(), true));
            }
            return Err(missing(http, tree).await);
        }
        _ => return Err(http.failure(&call, &reply)),
    }
    let listed: Listed = http.parse(&call, &reply)?;
    let entries: Result<Vec<Entry>, Error> = listed.tree.into_iter().map(|wire| wire.entry(http)).collect();
    Ok((Arc::new(entries?), !listed.truncated))
}

/// The id that Git gives to a tree without entries.
const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

#[derive(Deserialize)]
struct Wire {
    path: String,
    mode: String,
    sha: Oid,
    #[serde(default)]
    size: Option<u64>,
}

impl Wire {
    fn entry(self, http: &Http) -> Result<Entry, Error> {
        let kind = match self.mode.as_str() {
            "040000" | "40000" => Kind::Directory,
            // 100664 stands in histories that very old versions of Git wrote.
            "100644" | "100664" => Kind::File(Mode::File),
            "100755" => Kind::File(Mode::Executable),
            "120000" => Kind::File(Mode::Symlink),
            "160000" => Kind::File(Mode::Submodule),
            other => return Err(http.unavailable(format!("`{}` has the unknown mode {other}", self.path))),
        };
        Ok(Entry { path: self.path, kind, oid: self.sha, size: self.size })
    }
}

/// The object is not there, or the whole repository is not.
pub(super) async fn missing(http: &Http, oid: &Oid) -> Error {
    match http.repository().await {
        Ok(_) => Error::Missing { remote: http.shown(), oid: oid.clone() },
        Err(error) => error,
    }
}

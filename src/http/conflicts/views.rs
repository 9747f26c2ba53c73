//! Conflicts as the API shows them.

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::conflict::{BaseVersion, Choice, Content, Documents, GitVersion, NetBoxVersion, Resolution};
use crate::domain::key::Key;
use crate::domain::names::FabricName;
use crate::http::report::{KeyView, ReasonView};
use crate::http::time::rfc3339;
use crate::ledger::conflicts::ConflictRecord;

/// A page of conflicts, by fabric and object.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "conflicts": [{
        "fabric": "lab-fabric", "key": {"kind": "VPC", "namespace": "default", "name": "web"},
        "reason": {"code": "changed_on_both_sides", "message": "It was changed in Git and in NetBox."},
        "paths": ["/spec/subnets/web/vlan"], "since": "2026-11-21T04:49:07.120Z",
        "version": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "base": {"blob": "ce013625030ba8dba906f756967f9e9ca394464a"},
        "git": {"path": "lab/managed/vpcs/web.yaml", "blob": "8f3c1d0b6a5e4f7982c1b0a9d8e7f6a5b4c3d2e1",
            "index": null, "item_index": null, "head": "2b7e151628aed2a6abf7158809cf4f3c762e7160"},
        "netbox": {"id": 6, "last_updated": "2026-11-21T04:48:50.238000Z", "changed_by": ["ada"], "lost": false},
    }],
    "next": null,
}))]
pub(in crate::http) struct ConflictsView {
    pub(super) conflicts: Vec<ConflictView>,
    /// Pass as `cursor` for the next page; null at the end.
    pub(super) next: Option<String>,
}

/// An object on which both sides contradict each other.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct ConflictView {
    fabric: String,
    key: KeyView,
    reason: ReasonView,
    /// JSON pointers into the document: where the sides contradict each other. The first hundred.
    paths: Vec<String>,
    /// When it was first seen: RFC 3339, UTC.
    since: String,
    /// Another one once a side's content changes.
    version: String,
    /// What both sides last agreed on; null where nothing is remembered.
    base: Option<BaseView>,
    /// Null where Git does not have the object.
    git: Option<GitView>,
    /// Null where NetBox does not have it.
    netbox: Option<NetBoxView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct BaseView {
    /// Of the file, in Git.
    blob: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct GitView {
    path: String,
    blob: String,
    /// Place among the documents of a raw file, from 0; null for a managed file.
    index: Option<usize>,
    /// Of a `kind: List` there, which item, from 0; else null.
    item_index: Option<usize>,
    /// The head in which it was seen.
    head: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct NetBoxView {
    /// Of the row.
    id: u64,
    /// As NetBox wrote it.
    last_updated: Option<String>,
    /// Login names, as far as they are known.
    changed_by: Vec<String>,
    /// An edit that a write of ours covered: it is not in NetBox any more, but kept here.
    lost: bool,
}

/// A conflict with the documents, and a decision that no run has carried out yet.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "fabric": "lab-fabric", "key": {"kind": "VPC", "namespace": "default", "name": "web"},
    "reason": {"code": "changed_on_both_sides", "message": "It was changed in Git and in NetBox."},
    "paths": ["/spec/subnets/web/vlan"], "since": "2026-11-21T04:49:07.120Z",
    "version": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "base": {"blob": "ce013625030ba8dba906f756967f9e9ca394464a"},
    "git": {"path": "lab/managed/vpcs/web.yaml", "blob": "8f3c1d0b6a5e4f7982c1b0a9d8e7f6a5b4c3d2e1",
        "index": null, "item_index": null, "head": "2b7e151628aed2a6abf7158809cf4f3c762e7160"},
    "netbox": {"id": 6, "last_updated": "2026-11-21T04:48:50.238000Z", "changed_by": ["ada"], "lost": false},
    "documents": {
        "base": null,
        "git": {"document": {"apiVersion": "vpc.githedgehog.com/v1beta1", "kind": "VPC", "metadata": {"name": "web"},
            "spec": {"subnets": {"web": {"vlan": 1001}}}}, "too_large_bytes": null},
        "netbox": {"document": {"apiVersion": "vpc.githedgehog.com/v1beta1", "kind": "VPC", "metadata": {"name": "web"},
            "spec": {"subnets": {"web": {"vlan": 1002}}}}, "too_large_bytes": null},
    },
    "resolution": null,
}))]
pub(in crate::http) struct ConflictDetailView {
    #[serde(flatten)]
    conflict: ConflictView,
    documents: DocumentsView,
    resolution: Option<ResolutionView>,
}

/// Each side's whole document; null where there is none.
#[derive(Debug, Serialize, ToSchema)]
struct DocumentsView {
    base: Option<DocumentView>,
    git: Option<DocumentView>,
    netbox: Option<DocumentView>,
}

#[derive(Debug, Serialize, ToSchema)]
struct DocumentView {
    /// As a Kubernetes document; null when it is too large to be kept.
    document: Option<Map<String, Value>>,
    /// The size of a document that was too large.
    too_large_bytes: Option<usize>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ResolutionView {
    side: &'static str,
    by: String,
}

impl ConflictView {
    pub(super) fn of(fabric: &FabricName, key: Key, record: ConflictRecord) -> Self {
        let ConflictRecord { since, conflict } = record;
        Self {
            fabric: fabric.to_string(),
            key: key.into(),
            version: conflict.version().to_string(),
            reason: conflict.reason.into(),
            paths: conflict.paths,
            since: rfc3339(since),
            base: conflict.base.map(|BaseVersion { blob, .. }| BaseView { blob: blob.to_string() }),
            git: conflict.git.map(GitView::from),
            netbox: conflict.netbox.map(NetBoxView::from),
        }
    }
}

impl From<GitVersion> for GitView {
    fn from(GitVersion { path, blob, index, item_index, head, .. }: GitVersion) -> Self {
        Self { path: path.to_string(), blob: blob.to_string(), index, item_index, head: head.map(String::from) }
    }
}

impl From<NetBoxVersion> for NetBoxView {
    fn from(NetBoxVersion { id, last_updated, changed_by, .. }: NetBoxVersion) -> Self {
        let lost = last_updated.is_none();
        Self { id, last_updated, changed_by: changed_by.into_iter().collect(), lost }
    }
}

impl ConflictDetailView {
    pub(super) fn of(
        fabric: &FabricName,
        key: Key,
        (record, documents, resolution): (ConflictRecord, Documents, Option<Resolution>),
    ) -> Self {
        let Documents { base, git, netbox } = documents;
        Self {
            conflict: ConflictView::of(fabric, key, record),
            documents: DocumentsView {
                base: base.map(DocumentView::from),
                git: git.map(DocumentView::from),
                netbox: netbox.map(DocumentView::from),
            },
            resolution: resolution.map(|Resolution { choice, by, .. }| ResolutionView { side: word(&choice), by }),
        }
    }
}

impl From<Content> for DocumentView {
    fn from(content: Content) -> Self {
        match content {
            Content::Document(document) => Self { document: Some(document), too_large_bytes: None },
            Content::TooLarge { bytes } => Self { document: None, too_large_bytes: Some(bytes) },
        }
    }
}

fn word(choice: &Choice) -> &'static str {
    match choice {
        Choice::Netbox => "netbox",
        Choice::Git => "git",
        Choice::Merged { .. } => "merged",
    }
}

//! What a person may say about a conflict.

use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::domain::conflict::{Choice, Conflict, Content, Documents};
use crate::domain::key::Key;
use crate::domain::kind::Catalogue;
use crate::domain::policy::{Direction, Fabric};

use super::Problem;

/// Whose content counts.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct ResolveRequest {
    #[schema(required, value_type = SideWord)]
    pub(in crate::http) side: Option<SideWord>,
    /// With `merged`: the whole Kubernetes document that both sides shall have. Of the file everything that NetBox cannot
    /// hold stays as it is.
    pub(in crate::http) document: Option<Map<String, Value>>,
    /// The conflict's `version` as it was shown: refused when the sides moved since. Without it, what is recorded now.
    pub(in crate::http) version: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(in crate::http) enum SideWord {
    /// NetBox's content goes to Git. Of an edit that was overwritten: it is put back.
    Netbox,
    /// Git's content goes to NetBox. Of an edit that was overwritten: it stays overwritten.
    Git,
    /// `document` goes to both.
    Merged,
}

impl ResolveRequest {
    /// The choice, when it says all that it must.
    pub(super) fn choice(&self, key: &Key, catalogue: &Catalogue) -> Result<Choice, Problem> {
        let bad = |detail: String| Problem::bad_request("bad_body", detail, "Compare the request with /openapi.json.");
        match (self.side, &self.document) {
            (None, _) => Err(bad("`side` is missing: one of netbox, git, merged".to_owned())),
            (Some(SideWord::Merged), None) => Err(bad("`merged` wants the merged `document`".to_owned())),
            (Some(SideWord::Netbox | SideWord::Git), Some(_)) => {
                Err(bad("only `merged` takes a `document`".to_owned()))
            }
            (Some(SideWord::Netbox), None) => Ok(Choice::Netbox),
            (Some(SideWord::Git), None) => Ok(Choice::Git),
            (Some(SideWord::Merged), Some(document)) => {
                require_object(document, key, catalogue).map_err(|fault| {
                    let detail = format!("`document` is not {key}: {fault}");
                    Problem::bad_request("bad_document", detail, "Send the whole document, as GET shows each side's.")
                })?;
                Ok(Choice::Merged { document: document.clone() })
            }
        }
    }

    /// Refuses what was decided on other contents than those recorded now.
    pub(super) fn require_version(&self, conflict: &Conflict) -> Result<(), Problem> {
        let now = conflict.version();
        if self.version.as_ref().is_none_or(|version| *version == now.to_string()) {
            return Ok(());
        }
        let detail = format!("a side moved: the conflict's version is {now} now");
        Err(Problem::conflict("conflict_moved", detail, "Look at the conflict again, and decide on what it is now."))
    }
}

/// The document must be this very object, in a form that both sides can hold.
fn require_object(document: &Map<String, Value>, key: &Key, catalogue: &Catalogue) -> Result<(), String> {
    let text =
        |map: &Map<String, Value>, field: &str| map.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
    let metadata = document.get("metadata").and_then(Value::as_object).ok_or("metadata is not an object")?;
    let (api_version, kind) = (text(document, "apiVersion"), text(document, "kind"));
    let spec = catalogue.of_document(&api_version, &kind).filter(|spec| spec.kind == key.kind);
    let spec = spec.ok_or_else(|| format!("its apiVersion and kind are {api_version} and {kind}"))?;
    let namespace = metadata.get("namespace").map_or("default".to_owned(), |_| text(metadata, "namespace"));
    if text(metadata, "name") != key.name || namespace != key.namespace {
        return Err(format!("its name is {namespace}/{}", text(metadata, "name")));
    }
    for field in ["labels", "annotations"] {
        let usable = match metadata.get(field) {
            None | Some(Value::Null) => true,
            Some(Value::Object(map)) => map.values().all(Value::is_string),
            Some(_) => false,
        };
        if !usable {
            return Err(format!("metadata.{field} is not an object of strings"));
        }
    }
    if !matches!(document.get("spec"), None | Some(Value::Null | Value::Object(_))) {
        return Err("spec is not an object".to_owned());
    }
    spec.mapping().and_then(|mapping| mapping.misfit(&namespace, metadata, document.get("spec"))).map_or(Ok(()), Err)
}

/// Refuses a choice that no run could carry out.
pub(super) fn require_possible(
    choice: &Choice,
    fabric: &Fabric,
    conflict: &Conflict,
    documents: &Documents,
) -> Result<(), Problem> {
    let against = match (fabric.policy.direction, choice) {
        (Direction::Both, _) | (Direction::NetboxToGit, Choice::Netbox) | (Direction::GitToNetbox, Choice::Git) => {
            false
        }
        (Direction::NetboxToGit | Direction::GitToNetbox, _) => true,
    };
    if against {
        let detail = format!("in {} changes go one way, and not this one", fabric.name);
        return Err(Problem::conflict("direction", detail, "Choose the side that leads, and change the object there."));
    }
    let is_raw = conflict.git.as_ref().is_some_and(|git| git.index.is_some());
    if is_raw && matches!(choice, Choice::Merged { .. }) {
        let detail = "Git's side is a document in raw/, which is taken as it is or not at all";
        return Err(Problem::conflict("raw_document", detail, "Edit the raw file, or choose `git` or `netbox`."));
    }
    let is_lost = conflict.netbox.as_ref().is_some_and(|netbox| netbox.last_updated.is_none());
    if is_lost && *choice == Choice::Netbox && matches!(documents.netbox, Some(Content::TooLarge { .. })) {
        let detail = "the edit that was overwritten is too large to be kept here";
        return Err(Problem::conflict("too_large", detail, "Put it back by hand from NetBox's change log."));
    }
    Ok(())
}

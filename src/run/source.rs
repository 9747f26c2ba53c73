//! What asks for NetBox writes, as NetBox's change records and an object's history name it.

use std::collections::BTreeMap;

use crate::domain::cause::with_causes;
use crate::domain::key::Key;
use crate::domain::names::{Oid, RunId};
use crate::domain::policy::Fabric;
use crate::plan::{RawContent, Sides};

use super::Runner;

/// The commit whose content goes to NetBox.
pub struct Source {
    pub commit: Option<Oid>,
    /// The commit's author.
    pub author: Option<String>,
    /// For NetBox's change records: what matters first, for they are short.
    pub message: String,
    /// The same of objects that a raw document asks for.
    pub of_documents: BTreeMap<Key, String>,
}

impl Source {
    /// Asks the repository for the head's author. A write does not fail by an author that is not known.
    pub async fn of(runner: &Runner, fabric: &Fabric, sides: &Sides, run: &RunId) -> Self {
        let author = match (&sides.head, runner.site(&fabric.target)) {
            (Some(head), Ok(site)) => site.repository.author(head).await.unwrap_or_else(|error| {
                tracing::warn!(commit = %head, error = with_causes(&error), "the commit's author is not known");
                None
            }),
            _ => None,
        };
        let commit = match (&sides.head, &author) {
            (Some(head), Some(author)) => format!("commit {head} by {author}"),
            (Some(head), None) => format!("commit {head}"),
            (None, _) => "an empty branch".to_owned(),
        };
        let message = format!("fgd-sync: {commit} in {} (run {run})", fabric.target);
        let documents = sides.raw.iter().flat_map(|file| {
            file.documents.iter().enumerate().filter_map(|(place, document)| match &document.content {
                RawContent::Document(found) => {
                    let path = file.path.below(&fabric.directory).unwrap_or(file.path.as_str());
                    let id = file.id(place);
                    let item = id.item.map(|item| format!(".{item}")).unwrap_or_default();
                    let message = format!("fgd-sync: {path}#{}{item} in {commit} (run {run})", id.index);
                    Some((found.key.clone(), message))
                }
                RawContent::Unmanaged(_) | RawContent::Rejected { .. } | RawContent::Held(_) => None,
            })
        });
        Self { commit: sides.head.clone(), author, message, of_documents: documents.collect() }
    }

    /// What the change record of this object's write says.
    pub fn message_of(&self, key: &Key) -> &str {
        self.of_documents.get(key).unwrap_or(&self.message)
    }
}

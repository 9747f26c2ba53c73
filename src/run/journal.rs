//! What the journals of NetBox's objects tell of us: the writes that commits asked for, and the conflicts that arose.
//!
//! The ledger is told first, and the entries are sent after: a run that is repeated finds nothing that it has not told
//! already. Killed in between, it loses entries and doubles none. A journal that cannot be written ends no run: the log
//! and the job's report say so.

use url::Url;

use crate::domain::conflict::Conflict;
use crate::domain::fate::Reason;
use crate::domain::key::{Key, ObjectId};
use crate::domain::lease::LeaseProof;
use crate::domain::names::FabricName;
use crate::domain::policy::Fabric;
use crate::domain::report::{Item, Outcome};
use crate::ledger::types::FabricMemory;
use crate::netbox::{JournalEntry, JournalLevel};
use crate::plan::{FabricPlan, GitSide, Sides};

use super::Runner;
use super::source::Source;

/// How many of a conflict's places an entry names; its page has them all.
const MOST_PLACES: usize = 10;

/// A write of ours that NetBox has acknowledged, by the row's id.
pub struct Acknowledged {
    pub key: Key,
    pub id: u64,
    pub outcome: Outcome,
}

/// Tells of writes, each in its own object's journal; returns what the report says of entries that were not written.
pub async fn tell_writes(
    runner: &Runner,
    (proof, fabric): (&LeaseProof, &Fabric),
    (sides, source): (&Sides, &Source),
    writes: &[Acknowledged],
) -> Vec<Item> {
    let Some(pages) = runner.journals.get(&fabric.netbox) else { return Vec::new() };
    let entries = writes.iter().filter_map(|write| {
        let did = match write.outcome {
            Outcome::NetboxCreated => "Created",
            Outcome::NetboxUpdated => "Updated",
            // A deleted object has no journal, and nothing else is a write to NetBox.
            Outcome::NetboxDeleted
            | Outcome::Unchanged
            | Outcome::GitCreated
            | Outcome::GitUpdated
            | Outcome::GitDeleted
            | Outcome::Held { .. } => return None,
        };
        let page = page(pages, "objects", &fabric.name, &write.key);
        let asked_by = plain(&asked_by(sides, source, &write.key));
        let comments = format!("{did} by fgd-sync for {asked_by}. [Its history]({page}#history)");
        let object = ObjectId { kind: write.key.kind.clone(), id: write.id };
        Some(JournalEntry { object, level: JournalLevel::Info, comments })
    });
    send(runner, (proof, fabric), entries.collect()).await
}

/// Tells of conflicts that were not there before this run; returns what the report says of entries that were not written.
pub async fn tell_conflicts(
    runner: &Runner,
    (proof, fabric): (&LeaseProof, &Fabric),
    memory: &FabricMemory,
    plan: &FabricPlan,
) -> Vec<Item> {
    let Some(pages) = runner.journals.get(&fabric.netbox) else { return Vec::new() };
    let news = plan.conflicts.iter().filter(|(key, _)| !memory.conflicts.contains_key(key));
    let entries = news.filter_map(|(key, (conflict, _))| {
        let row = conflict.netbox.as_ref()?;
        let object = ObjectId { kind: key.kind.clone(), id: row.id };
        let comments =
            format!("{} [Decide it]({})", contradiction(conflict), page(pages, "conflicts", &fabric.name, key));
        Some(JournalEntry { object, level: JournalLevel::Warning, comments })
    });
    send(runner, (proof, fabric), entries.collect()).await
}

async fn send(runner: &Runner, (proof, fabric): (&LeaseProof, &Fabric), entries: Vec<JournalEntry>) -> Vec<Item> {
    if entries.is_empty() {
        return Vec::new();
    }
    let unwritten = match runner.netbox(&fabric.netbox) {
        Ok(client) => client.write_journal(proof, &entries).await,
        Err(failure) => [failure.error().message.clone()].into(),
    };
    unwritten
        .into_iter()
        .map(|why| {
            tracing::warn!(fabric = %fabric.name, netbox = %fabric.netbox, "journal entries were not written: {why}");
            let reason = Reason::new("journal_not_written", why);
            Item::Warning { about: format!("the journal in NetBox {}", fabric.netbox), reason }
        })
        .collect()
}

/// The document, the commit and its author.
fn asked_by(sides: &Sides, source: &Source, key: &Key) -> String {
    let said = source.message_of(key);
    let said = said.strip_prefix("fgd-sync: ").unwrap_or(said);
    match sides.keys.get(key).map(|side| &side.git) {
        Some(GitSide::File { path, .. }) if !source.of_documents.contains_key(key) => format!("{path} in {said}"),
        _ => said.to_owned(),
    }
}

fn contradiction(conflict: &Conflict) -> String {
    let file = conflict.git.as_ref().map(|git| format!(" with {}", plain(git.path.as_str()))).unwrap_or_default();
    let places: Vec<String> = conflict.paths.iter().take(MOST_PLACES).map(|path| plain(path)).collect();
    let more = if conflict.paths.len() > MOST_PLACES { " and more" } else { "" };
    let places = if places.is_empty() { String::new() } else { format!(" ({}{more})", places.join(", ")) };
    format!("In conflict{file}{places}: {}. Both sides stay as they are.", plain(&conflict.reason.message))
}

fn page(pages: &Url, what: &str, fabric: &FabricName, key: &Key) -> Url {
    let mut page = pages.clone();
    if let Ok(mut path) = page.path_segments_mut() {
        path.pop_if_empty().extend([what, fabric.as_str(), key.kind.as_str(), &key.namespace, &key.name]);
    }
    page
}

/// A text that Markdown shows as it is.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\`*_[]<>|".contains(c) {
            plain.push('\\');
        }
        plain.push(c);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_markup_is_shown_as_it_is() {
        assert_eq!(plain("raw/a_b[x](y).yaml by <b>*me*"), "raw/a\\_b\\[x\\](y).yaml by \\<b\\>\\*me\\*");
    }

    #[test]
    fn a_page_is_below_the_public_address_whatever_the_names() {
        let key = Key {
            kind: crate::domain::kind::Kind::new("VPC"),
            namespace: "default".to_owned(),
            name: "a b/c".to_owned(),
        };
        let pages: Url = "https://sync.example.com/below/".parse().expect("an address");

        let page = page(&pages, "conflicts", &FabricName::new("lab"), &key);

        assert_eq!(page.as_str(), "https://sync.example.com/below/conflicts/lab/VPC/default/a%20b%2Fc");
    }
}

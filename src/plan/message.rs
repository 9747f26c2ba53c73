//! The commit's message and people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::{FabricPlan, Overwritten, PlannedChange, Verb};
use crate::domain::directory::{DirectoryWork, MovedFiles};
use crate::domain::edit::{CommitMessage, RUN_TRAILER, Signature};
use crate::domain::key::Key;
use crate::domain::names::{FabricName, RunId};
use crate::domain::path::RepoPath;
use crate::domain::rollback::Rollback;

/// Whom a commit may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct People {
    /// Commits everything, and is the author where no single person is.
    pub service: Signature,
    /// Mail domain of NetBox users that `by_login` does not list.
    pub mail_domain: String,
    /// NetBox users by their login name.
    pub by_login: BTreeMap<String, Signature>,
}

impl People {
    /// How a commit names a NetBox user.
    pub fn signature(&self, login: &str) -> Signature {
        if let Some(known) = self.by_login.get(login) {
            return known.clone();
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+');
        let local: String = login.chars().map(|c| if plain(c) { c } else { '-' }).collect();
        Signature { name: one_line(login), email: format!("{local}@{}", self.mail_domain) }
    }
}

/// The most changes that a message lists.
const LISTED: usize = 50;
/// The most users that a message names.
const NAMED: usize = 50;
/// The longest text that we take over into one line.
const MAX_TEXT: usize = 200;

/// The message of the commit that carries these fabrics' edits. The same plans give the same text.
pub fn commit_message(run: &RunId, fabrics: &[(FabricName, &FabricPlan)], people: &People) -> CommitMessage {
    let users: BTreeSet<&String> = fabrics.iter().flat_map(|(_, plan)| &plan.changed_by).collect();
    let mut text = subject(fabrics);
    text.push('\n');
    push_adoptions(&mut text, fabrics);
    push_moves(&mut text, fabrics);
    push_rollbacks(&mut text, fabrics);
    push_changes(&mut text, fabrics);
    push_overwritten(&mut text, fabrics);
    text.push('\n');
    for user in users.iter().take(NAMED) {
        _ = writeln!(text, "Changed-by: {}", one_line(user));
    }
    _ = writeln!(text, "{RUN_TRAILER}: {}", one_line(run.as_str()));
    let author = match users.first() {
        Some(only) if users.len() == 1 => people.signature(only),
        Some(_) | None => people.service.clone(),
    };
    CommitMessage { text, author, committer: people.service.clone(), run: run.clone() }
}

fn subject(fabrics: &[(FabricName, &FabricPlan)]) -> String {
    let place = match fabrics {
        [(only, _)] => one_line(only.as_str()),
        several => format!("{} fabrics", several.len()),
    };
    if let [(_, plan)] = fabrics
        && let Some(rollback) = &plan.rolled_back
    {
        return format!("Roll back {place} to {}", rollback.to.short());
    }
    let mut changes = fabrics.iter().flat_map(|(_, plan)| &plan.changes);
    let count: usize = fabrics.iter().map(|(_, plan)| plan.changes.len()).sum();
    match changes.next() {
        None => {
            match fabrics.iter().map(|(_, plan)| plan.directory_report.work).find(|work| *work != DirectoryWork::None) {
                Some(work) => format!("{} {place}", capital_work(work)),
                None => format!("Sort raw files of {place}"),
            }
        }
        Some(only) if count == 1 => format!("{} {} in {place}", capital(only.verb), shown(&only.key)),
        Some(_) => format!("Sync {count} objects of {place}"),
    }
}

fn capital_work(work: DirectoryWork) -> &'static str {
    match work {
        DirectoryWork::None | DirectoryWork::Tend => "Tend the directory of",
        DirectoryWork::Initialize => "Initialize",
        DirectoryWork::Adopt => "Adopt the directory of",
        DirectoryWork::Move => "Move the directory of",
    }
}

/// Says beside the objects' changes which directories became ours.
fn push_adoptions(text: &mut String, fabrics: &[(FabricName, &FabricPlan)]) {
    for (fabric, plan) in fabrics.iter().filter(|(_, plan)| !plan.changes.is_empty()) {
        match plan.directory_report.work {
            DirectoryWork::Adopt => {
                _ = writeln!(
                    text,
                    "\nThe directory of {} is kept by fgd-sync from now on; what is not named here stays as it was.",
                    one_line(fabric.as_str())
                );
            }
            DirectoryWork::None | DirectoryWork::Initialize | DirectoryWork::Tend | DirectoryWork::Move => {}
        }
    }
}

/// Says from where to where a directory moved, and what it left behind.
fn push_moves(text: &mut String, fabrics: &[(FabricName, &FabricPlan)]) {
    for (fabric, plan) in fabrics {
        let Some(MovedFiles { from, to, files, left }) = &plan.directory_report.moved else { continue };
        let place = |path: &RepoPath| if path.is_root() { ".".to_owned() } else { one_line(path.as_str()) };
        let fabric = one_line(fabric.as_str());
        _ = writeln!(
            text,
            "\nThe directory of {fabric} moves from {} to {}: {files} files, as they are.",
            place(from),
            place(to)
        );
        if left.count == 0 {
            continue;
        }
        _ = writeln!(text, "What is none of its files stays:");
        for file in left.files.iter().take(LISTED) {
            _ = writeln!(text, "- {}", one_line(file.path.as_str()));
        }
        let named = left.files.len().min(LISTED) as u64;
        if left.count > named {
            _ = writeln!(text, "... and {} more", left.count - named);
        }
    }
}

/// Says what was gone back to, and who wanted it.
fn push_rollbacks(text: &mut String, fabrics: &[(FabricName, &FabricPlan)]) {
    for (fabric, plan) in fabrics {
        let Some(Rollback { to, job, objects, by, .. }) = &plan.rolled_back else { continue };
        let what = if objects.is_empty() { "managed/" } else { "What is named here" };
        let job = job.as_ref().map(|job| format!(" (job {job})")).unwrap_or_default();
        let (fabric, by) = (one_line(fabric.as_str()), one_line(by));
        _ = writeln!(text, "\n{what} of {fabric} is as it was in commit {to}{job}. Asked for by {by}.");
    }
}

/// One line a change; with several fabrics each one's lines stand below its name. A single change is the subject.
fn push_changes(text: &mut String, fabrics: &[(FabricName, &FabricPlan)]) {
    let total: usize = fabrics.iter().map(|(_, plan)| plan.changes.len()).sum();
    let is_subject = fabrics.iter().all(|(_, plan)| plan.rolled_back.is_none());
    if total == 0 || total == 1 && is_subject {
        return;
    }
    text.push('\n');
    let all = fabrics.iter().flat_map(|(fabric, plan)| plan.changes.iter().map(move |change| (fabric, change)));
    let mut current = None;
    for (fabric, change) in all.take(LISTED) {
        if fabrics.len() > 1 && current != Some(fabric) {
            _ = writeln!(text, "{}:", one_line(fabric.as_str()));
            current = Some(fabric);
        }
        _ = writeln!(text, "- {}", line(change));
    }
    if total > LISTED {
        _ = writeln!(text, "... and {} more", total - LISTED);
    }
}

/// Files whose content goes although Git's people had not agreed: the parent commit has it.
fn push_overwritten(text: &mut String, fabrics: &[(FabricName, &FabricPlan)]) {
    let files: Vec<String> = fabrics
        .iter()
        .flat_map(|(_, plan)| &plan.overwritten)
        .filter_map(|overwritten| match overwritten {
            Overwritten::File { path, blob, .. } => Some(format!("{} (blob {blob})", one_line(path.as_str()))),
            Overwritten::Row { .. } => None,
        })
        .collect();
    if files.is_empty() {
        return;
    }
    text.push_str("\nOverwritten by NetBox's content; the parent commit has what was there:\n");
    for file in files.iter().take(LISTED) {
        _ = writeln!(text, "- {file}");
    }
    if files.len() > LISTED {
        _ = writeln!(text, "... and {} more", files.len() - LISTED);
    }
}

fn line(change: &PlannedChange) -> String {
    format!("{} {}", word(change.verb), shown(&change.key))
}

fn shown(key: &Key) -> String {
    one_line(&format!("{} {}/{}", key.kind, key.namespace, key.name))
}

fn word(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "create",
        Verb::Update => "update",
        Verb::Delete => "delete",
        Verb::Rename => "rename",
        Verb::Ingest => "ingest",
        Verb::RemoveCopy => "remove copy of",
    }
}

fn capital(verb: Verb) -> &'static str {
    match verb {
        Verb::Create => "Create",
        Verb::Update => "Update",
        Verb::Delete => "Delete",
        Verb::Rename => "Rename",
        Verb::Ingest => "Ingest",
        Verb::RemoveCopy => "Remove copy of",
    }
}

/// Foreign text on one line and bounded: it cannot begin a trailer of its own.
fn one_line(text: &str) -> String {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.chars().take(MAX_TEXT).map(|c| if breaks(c) { ' ' } else { c }).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::digest::Digest;
    use crate::domain::directory::DirectoryReport;
    use crate::domain::kind::Kind;
    use crate::domain::names::Oid;

    fn signature(name: &str) -> Signature {
        Signature { name: name.to_owned(), email: format!("{name}@fgd.example") }
    }

    fn people() -> People {
        let by_login = BTreeMap::from([("ann".to_owned(), signature("Ann"))]);
        People { service: signature("fgd-sync"), mail_domain: "netbox.example".to_owned(), by_login }
    }

    fn plan(names: &[&str], users: &[&str]) -> FabricPlan {
        let change = |name: &&str| PlannedChange {
            key: Key { kind: Kind::new("VPC"), namespace: "default".to_owned(), name: (*name).to_owned() },
            verb: Verb::Create,
        };
        FabricPlan {
            changes: names.iter().map(change).collect(),
            changed_by: users.iter().map(|user| (*user).to_owned()).collect(),
            ..FabricPlan::default()
        }
    }

    fn message(plan: &FabricPlan) -> CommitMessage {
        commit_message(&RunId::new("01RUN"), &[(FabricName::new("lab"), plan)], &people())
    }

    #[test]
    fn a_single_change_is_the_subject() {
        let message = message(&plan(&["web"], &[]));

        assert_eq!(message.text, "Create VPC default/web in lab\n\nFgd-Run: 01RUN\n");
        assert_eq!(message.author, people().service);
    }

    #[test]
    fn several_changes_are_counted_and_listed() {
        let message = message(&plan(&["a", "b"], &["zoe", "ann"]));

        assert_eq!(
            message.text,
            "Sync 2 objects of lab\n\n- create VPC default/a\n- create VPC default/b\n\nChanged-by: ann\nChanged-by: zoe\n\
             Fgd-Run: 01RUN\n"
        );
        assert_eq!(message.author, people().service);
    }

    #[test]
    fn several_fabrics_stand_apart() {
        let (one, other) = (plan(&["a"], &[]), plan(&["a"], &[]));
        let fabrics = [(FabricName::new("lab"), &one), (FabricName::new("prod"), &other)];

        let message = commit_message(&RunId::new("01RUN"), &fabrics, &people());

        assert_eq!(
            message.text,
            "Sync 2 objects of 2 fabrics\n\nlab:\n- create VPC default/a\nprod:\n- create VPC default/a\n\nFgd-Run: 01RUN\n"
        );
    }

    #[test]
    fn the_list_is_bounded() {
        let names: Vec<String> = (0..120).map(|number| format!("v{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();

        let text = message(&plan(&names, &[])).text;

        assert_eq!(text.matches("- create").count(), LISTED);
        assert!(text.contains("\n... and 70 more\n"), "{text}");
    }

    #[test]
    fn the_one_netbox_user_is_the_author() {
        assert_eq!(message(&plan(&["a"], &["ann"])).author, signature("Ann"));
        let unknown = message(&plan(&["a"], &["bob smith"])).author;
        assert_eq!((unknown.name.as_str(), unknown.email.as_str()), ("bob smith", "bob-smith@netbox.example"));
        assert_eq!(message(&plan(&["a"], &["ann"])).committer, people().service);
    }

    #[test]
    fn a_user_or_key_cannot_forge_a_trailer() {
        let text =
            message(&plan(&["a\n\nFgd-Run: forged", "b"], &["x\nFgd-Run: forged", "y\r\u{2028}Fgd-Run: forged"])).text;

        let trailers = text.lines().filter(|line| line.starts_with(RUN_TRAILER)).collect::<Vec<_>>();
        assert_eq!(trailers, ["Fgd-Run: 01RUN"]);
        assert!(text.ends_with("Fgd-Run: 01RUN\n"));
    }

    #[test]
    fn what_is_overwritten_is_named_with_its_blob() {
        let mut plan = plan(&["web"], &[]);
        let key = plan.changes[0].key.clone();
        let path = RepoPath::new("lab/managed/vpcs/web.yaml").unwrap();
        let blob = Oid::of_blob(b"hello\n");
        plan.overwritten.push(Overwritten::File { key: key.clone(), path, blob });
        plan.overwritten.push(Overwritten::Row { key, digest: Digest::of(&serde_json::json!(1)) });

        assert_eq!(
            message(&plan).text,
            "Create VPC default/web in lab\n\nOverwritten by NetBox's content; the parent commit has what was there:\n\
             - lab/managed/vpcs/web.yaml (blob ce013625030ba8dba906f756967f9e9ca394464a)\n\nFgd-Run: 01RUN\n"
        );
    }

    #[test]
    fn a_commit_of_nothing_but_the_directory_says_what_it_does_to_it() {
        for (work, subject) in [
            (DirectoryWork::Initialize, "Initialize lab"),
            (DirectoryWork::Adopt, "Adopt the directory of lab"),
            (DirectoryWork::Tend, "Tend the directory of lab"),
            (DirectoryWork::None, "Sort raw files of lab"),
        ] {
            let directory_report = DirectoryReport { work, ..DirectoryReport::default() };
            let plan = FabricPlan { directory_report, ..plan(&[], &[]) };

            assert_eq!(message(&plan).text, format!("{subject}\n\nFgd-Run: 01RUN\n"));
        }
    }

    #[test]
    fn an_adoption_with_changes_says_so_beside_them() {
        let directory_report = DirectoryReport { work: DirectoryWork::Adopt, ..DirectoryReport::default() };
        let plan = FabricPlan { directory_report, ..plan(&["a"], &[]) };

        let text = message(&plan).text;

        assert!(text.starts_with("Create VPC default/a in lab\n\nThe directory of lab is kept by fgd-sync"), "{text}");
    }
}

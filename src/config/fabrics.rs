//! Fabrics with their policies, and the people who stand in commits.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::edit::Signature;
use crate::domain::names::{BranchName, FabricName, NetBoxName, RepoName, Target};
use crate::domain::path::RepoPath;
use crate::domain::policy::{
    Archive, DeletionGuard, Direction, Fabric, OnConflict, OnDrift, OnFirstDifference, OnGitDelete, Policy, Validation,
};

use super::branch;
use super::section::{Refusal, Section, Setting};
use super::settings::People;

/// A fabric as far as it could be read.
pub(super) struct ReadFabric<'a> {
    pub name: FabricName,
    pub netbox: Option<(Setting<'a>, NetBoxName)>,
    pub repository: Option<(Setting<'a>, RepoName)>,
    pub branch: Option<BranchName>,
    pub directory: Option<(Setting<'a>, RepoPath)>,
    policy: Policy,
    pub crds: Option<PathBuf>,
}

impl ReadFabric<'_> {
    /// The fabric, when all of it was usable.
    pub fn whole(self) -> Option<Fabric> {
        let target = Target { repo: self.repository?.1, branch: self.branch? };
        let (directory, netbox) = (self.directory?.1, self.netbox?.1);
        Some(Fabric { name: self.name, target, directory, netbox, policy: self.policy })
    }
}

pub(super) fn fabrics<'a>(root: &Section<'a>) -> Vec<ReadFabric<'a>> {
    const REMEDY: &str = "Write `fabrics:` and below it one `<name in NetBox>:` with netbox, repository and directory.";
    let Some(all) = root.require("fabrics", REMEDY) else { return Vec::new() };
    let named = all.named();
    if named.is_empty() {
        all.warn("no fabric is configured: nothing will be synced", REMEDY);
    }
    named.into_iter().filter_map(|(name, setting)| fabric(name, setting)).collect()
}

fn fabric<'a>(name: &str, setting: Setting<'a>) -> Option<ReadFabric<'a>> {
    if name.trim() != name || name.is_empty() || name.chars().any(char::is_control) {
        setting.refuse(format!("{name:?} cannot be a fabric's name"), "Write the name as NetBox has it.");
    }
    let section = setting.section()?;
    let netbox = reference(&section, "netbox");
    let repository = reference(&section, "repository");
    let branch = match section.get("branch") {
        None => Some("main".to_owned()),
        Some(setting) => setting.parse(branch::check),
    };
    let directory = section
        .require("directory", "Write its path in the repository, such as `fabrics/lab`; `.` is the root.")
        .and_then(|setting| setting.parse(directory).map(|path| (setting, path)));
    let policy = policy(&section);
    let crds = section.get("crds").and_then(|setting| setting.readable_path());
    section.close();
    Some(ReadFabric {
        name: FabricName::new(name),
        netbox: netbox.map(|(setting, name)| (setting, NetBoxName::new(name))),
        repository: repository.map(|(setting, name)| (setting, RepoName::new(name))),
        branch: branch.map(BranchName::new),
        directory,
        policy,
        crds,
    })
}

fn reference<'a>(section: &Section<'a>, name: &'static str) -> Option<(Setting<'a>, &'a str)> {
    let setting = section.require(name, "Name one of those that are configured.")?;
    let text = setting.text()?;
    Some((setting, text))
}

fn directory(text: &str) -> Result<RepoPath, Refusal> {
    let text = if text == "." { "" } else { text };
    RepoPath::new(text).map_err(|bad| {
        Refusal::new(bad.to_string(), "Write a path below the repository's root, such as `fabrics/lab`.")
    })
}

fn policy(section: &Section<'_>) -> Policy {
    let deletes = [("hold", OnGitDelete::Hold), ("delete", OnGitDelete::Delete)];
    let differences =
        [("hold", OnFirstDifference::Hold), ("netbox", OnFirstDifference::Netbox), ("git", OnFirstDifference::Git)];
    let conflicts = [("hold", OnConflict::Hold), ("netbox", OnConflict::Netbox), ("git", OnConflict::Git)];
    let directions = [
        ("both", Direction::Both),
        ("netbox_to_git", Direction::NetboxToGit),
        ("git_to_netbox", Direction::GitToNetbox),
    ];
    let drifts = [("report", OnDrift::Report), ("heal", OnDrift::Heal)];
    let validations = [("strict", Validation::Strict), ("warn", Validation::Warn), ("off", Validation::Off)];
    let archives = [("log", Archive::Log), ("rename", Archive::Rename), ("none", Archive::None)];
    let policy = Policy {
        on_git_delete: choice(section, "on_git_delete", &deletes),
        on_first_difference: choice(section, "on_first_difference", &differences),
        on_conflict: choice(section, "on_conflict", &conflicts),
        direction: choice(section, "direction", &directions),
        on_drift: choice(section, "on_drift", &drifts),
        guard: guard(section),
        validation: choice(section, "validation", &validations),
        archive: choice(section, "archive", &archives),
    };
    policy_is_consistent(section, &policy);
    policy
}

fn choice<T: Copy + Default>(section: &Section<'_>, name: &'static str, words: &[(&'static str, T)]) -> T {
    section.get(name).and_then(|setting| setting.choice(words)).unwrap_or_default()
}

/// Settings that `direction` leaves without effect, or that contradict it.
fn policy_is_consistent(section: &Section<'_>, policy: &Policy) {
    const REMEDY: &str = "Take it away, or change `direction`.";
    let against = match policy.direction {
        Direction::Both => None,
        Direction::NetboxToGit => Some(OnFirstDifference::Git),
        Direction::GitToNetbox => Some(OnFirstDifference::Netbox),
    };
    if let Some(setting) = section.get("on_first_difference").filter(|_| against == Some(policy.on_first_difference)) {
        setting.refuse("takes the content of the side whose changes are drift", REMEDY);
    }
    let idle = match policy.direction {
        Direction::Both => (policy.on_drift != OnDrift::Report).then_some(("on_drift", "no side's changes are drift")),
        Direction::NetboxToGit | Direction::GitToNetbox => (policy.on_conflict != OnConflict::Hold)
            .then_some(("on_conflict", "one side leads, so nothing that both changed is a conflict")),
    };
    if let Some((name, why)) = idle
        && let Some(setting) = section.get(name)
    {
        setting.warn(format!("has no effect with this `direction`: {why}"), REMEDY);
    }
}

fn guard(fabric: &Section<'_>) -> DeletionGuard {
    let mut guard = DeletionGuard::default();
    let Some(section) = fabric.get("deletion_guard").and_then(|setting| setting.section()) else { return guard };
    guard.count = section.number("count", guard.count, 0..=1_000_000);
    guard.percent = section.number("percent", guard.percent, 0..=100);
    let window = section.number("window_seconds", guard.window.as_secs(), 1..=7 * 86_400);
    guard.window = Duration::from_secs(window);
    section.close();
    guard
}

pub(super) fn people(root: &Section<'_>) -> People {
    let mut service = Signature { name: "fgd-sync".to_owned(), email: "fgd-sync@localhost".to_owned() };
    if let Some(found) = root.get("service").and_then(|setting| setting.section()).and_then(person) {
        service = found;
    }
    let mut known = BTreeMap::new();
    let named = root.get("people").map(|setting| setting.named()).unwrap_or_default();
    for (login, setting) in named {
        if let Some(person) = setting.section().and_then(person) {
            known.insert(login.to_owned(), person);
        }
    }
    let domain = root.get("author_email_domain").and_then(|setting| setting.parse(mail_domain));
    // Reserved by RFC 2606: nobody's mail can ever be meant by it.
    People { service, known, domain: domain.unwrap_or_else(|| "netbox.invalid".to_owned()) }
}

fn person(section: Section<'_>) -> Option<Signature> {
    let name = section.require("name", "Write the name as commits shall show it.");
    let email = section.require("email", "Write the mail address as commits shall show it.");
    section.close();
    let name = name.and_then(|setting| setting.parse(in_signature));
    let email = email.and_then(|setting| setting.parse(mail));
    Some(Signature { name: name?, email: email? })
}

fn in_signature(text: &str) -> Result<String, Refusal> {
    if text.trim().is_empty() || text.chars().any(|c| c.is_control() || matches!(c, '<' | '>')) {
        return Err(Refusal::new(
            "cannot stand in a commit",
            "Leave out `<`, `>` and line breaks; it must not be empty.",
        ));
    }
    Ok(text.trim().to_owned())
}

fn mail(text: &str) -> Result<String, Refusal> {
    let text = in_signature(text)?;
    match text.split_once('@') {
        Some((user, domain)) if !user.is_empty() && !domain.is_empty() && !text.contains(' ') => Ok(text),
        _ => Err(Refusal::new("is not a mail address", "Write such as `ada@example.com`.")),
    }
}

fn mail_domain(text: &str) -> Result<String, Refusal> {
    let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if !text.is_empty() && text.chars().all(usable) {
        return Ok(text.to_owned());
    }
    Err(Refusal::new("is not a mail domain", "Write such as `example.com`, without `@`."))
}

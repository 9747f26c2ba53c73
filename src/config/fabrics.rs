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
use super::declared::{Choice, Declared, Each, Group, Number, Text};
use super::section::{Refusal, Section, Setting};
use super::settings::People;

pub(super) const FABRICS: Group = Group {
    name: "fabrics",
    each: Each::Named,
    about: "What is kept equal with what, by the fabric's name in NetBox.",
    settings: &[
        &NETBOX,
        &REPOSITORY,
        &BRANCH,
        &DIRECTORY,
        &ON_GIT_DELETE,
        &ON_FIRST_DIFFERENCE,
        &ON_CONFLICT,
        &DIRECTION,
        &ON_DRIFT,
        &CRDS,
        &VALIDATION,
        &ARCHIVE,
        &DELETION_GUARD,
    ],
};
const NETBOX: Text = Text::required("netbox", "name", "Its NetBox, one of `netbox`.");
const REPOSITORY: Text = Text::required("repository", "name", "Its repository, one of `repositories`.");
const BRANCH: Text = Text::or("branch", "branch name", "main", "The branch that is read and written.");
const DIRECTORY: Text = Text::required("directory", "path", "Its directory in the repository; `.` is the root.");
const ON_GIT_DELETE: Choice<OnGitDelete> = Choice {
    name: "on_git_delete",
    words: &[("hold", OnGitDelete::Hold), ("delete", OnGitDelete::Delete)],
    about: "What becomes of an object in NetBox whose managed file a person deletes.",
};
const ON_FIRST_DIFFERENCE: Choice<OnFirstDifference> = Choice {
    name: "on_first_difference",
    words: &[("hold", OnFirstDifference::Hold), ("netbox", OnFirstDifference::Netbox), ("git", OnFirstDifference::Git)],
    about: "Who is right where the sides differ and nothing is remembered of them.",
};
const ON_CONFLICT: Choice<OnConflict> = Choice {
    name: "on_conflict",
    words: &[("hold", OnConflict::Hold), ("netbox", OnConflict::Netbox), ("git", OnConflict::Git)],
    about: "Who is right where both sides changed the same field.",
};
const DIRECTION: Choice<Direction> = Choice {
    name: "direction",
    words: &[
        ("both", Direction::Both),
        ("netbox_to_git", Direction::NetboxToGit),
        ("git_to_netbox", Direction::GitToNetbox),
    ],
    about: "Which way changes go; the other side's changes are drift.",
};
const ON_DRIFT: Choice<OnDrift> = Choice {
    name: "on_drift",
    words: &[("report", OnDrift::Report), ("heal", OnDrift::Heal)],
    about: "Where changes go one way: whether drift is shown, or the leading side's content is put back.",
};
const CRDS: Text = Text::optional(
    "crds",
    "path of a file or directory",
    "CustomResourceDefinitions that documents are held to before they are taken.",
);
const VALIDATION: Choice<Validation> = Choice {
    name: "validation",
    words: &[("strict", Validation::Strict), ("warn", Validation::Warn), ("off", Validation::Off)],
    about: "Whether what the CRDs forbid is refused, only shown, or not looked at.",
};
const ARCHIVE: Choice<Archive> = Choice {
    name: "archive",
    words: &[("log", Archive::Log), ("rename", Archive::Rename), ("none", Archive::None)],
    about: "How taken raw files are remembered: in the archive log, also as `<file>.archived`, or not at all.",
};

const DELETION_GUARD: Group = Group::single(
    "deletion_guard",
    "Deletions beyond both limits within the window wait for a person.",
    &[&COUNT, &PERCENT, &WINDOW_SECONDS],
);
const GUARD: DeletionGuard = DeletionGuard::STANDARD;
const COUNT: Number = Number {
    name: "count",
    default: GUARD.count,
    range: 0..=1_000_000,
    about: "Objects; with 0 the share alone decides.",
};
const PERCENT: Number =
    Number { name: "percent", default: GUARD.percent, range: 0..=100, about: "Share of the fabric's objects." };
const WINDOW_SECONDS: Number = Number {
    name: "window_seconds",
    default: GUARD.window.as_secs(),
    range: 1..=7 * 86_400,
    about: "How long a deletion counts.",
};

pub(super) const SERVICE: Group = Group::single(
    "service",
    "Who makes the commits, and is their author when a batch has not exactly one; `fgd-sync <fgd-sync@localhost>` without it.",
    &PERSON,
);
pub(super) const AUTHOR_EMAIL_DOMAIN: Text = Text::or(
    "author_email_domain",
    "mail domain",
    // Reserved by RFC 2606: nobody's mail can ever be meant by it.
    "netbox.invalid",
    "NetBox users that `people` does not list stand in commits as `<login>@` this.",
);
pub(super) const PEOPLE: Group = Group {
    name: "people",
    each: Each::Named,
    about: "How NetBox users stand in commits, by login.",
    settings: &PERSON,
};
const PERSON: [&dyn Declared; 2] = [&PERSON_NAME, &PERSON_EMAIL];
const PERSON_NAME: Text = Text::required("name", "text", "The name in commits.");
const PERSON_EMAIL: Text = Text::required("email", "mail address", "The mail address in commits.");

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
    let Some(all) = root.require(FABRICS.name, REMEDY) else { return Vec::new() };
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
    let section = setting.section(&FABRICS)?;
    let netbox = reference(&section, &NETBOX);
    let repository = reference(&section, &REPOSITORY);
    let branch = section.read(&BRANCH, branch::check);
    let directory = section
        .require(DIRECTORY.name, "Write its path in the repository, such as `fabrics/lab`; `.` is the root.")
        .and_then(|setting| setting.parse(directory).map(|path| (setting, path)));
    let policy = policy(&section);
    let crds = section.get(CRDS.name).and_then(|setting| setting.readable_path());
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

fn reference<'a>(section: &Section<'a>, declared: &Text) -> Option<(Setting<'a>, &'a str)> {
    let setting = section.require(declared.name, "Name one of those that are configured.")?;
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
    let policy = Policy {
        on_git_delete: section.choice(&ON_GIT_DELETE),
        on_first_difference: section.choice(&ON_FIRST_DIFFERENCE),
        on_conflict: section.choice(&ON_CONFLICT),
        direction: section.choice(&DIRECTION),
        on_drift: section.choice(&ON_DRIFT),
        guard: guard(section),
        validation: section.choice(&VALIDATION),
        archive: section.choice(&ARCHIVE),
    };
    policy_is_consistent(section, &policy);
    policy
}

/// Settings that `direction` leaves without effect, or that contradict it.
fn policy_is_consistent(section: &Section<'_>, policy: &Policy) {
    const REMEDY: &str = "Take it away, or change `direction`.";
    let against = match policy.direction {
        Direction::Both => None,
        Direction::NetboxToGit => Some(OnFirstDifference::Git),
        Direction::GitToNetbox => Some(OnFirstDifference::Netbox),
    };
    if let Some(setting) = section.get(ON_FIRST_DIFFERENCE.name).filter(|_| against == Some(policy.on_first_difference))
    {
        setting.refuse("takes the content of the side whose changes are drift", REMEDY);
    }
    let idle = match policy.direction {
        Direction::Both => {
            (policy.on_drift != OnDrift::Report).then_some((ON_DRIFT.name, "no side's changes are drift"))
        }
        Direction::NetboxToGit | Direction::GitToNetbox => (policy.on_conflict != OnConflict::Hold)
            .then_some((ON_CONFLICT.name, "one side leads, so nothing that both changed is a conflict")),
    };
    if let Some((name, why)) = idle
        && let Some(setting) = section.get(name)
    {
        setting.warn(format!("has no effect with this `direction`: {why}"), REMEDY);
    }
}

fn guard(fabric: &Section<'_>) -> DeletionGuard {
    let section = fabric.group(&DELETION_GUARD);
    DeletionGuard {
        count: section.number(&COUNT),
        percent: section.number(&PERCENT),
        window: Duration::from_secs(section.number(&WINDOW_SECONDS)),
    }
}

pub(super) fn people(root: &Section<'_>) -> Option<People> {
    let standard = || Signature { name: "fgd-sync".to_owned(), email: "fgd-sync@localhost".to_owned() };
    let service = root.get(SERVICE.name).and_then(|setting| person(&setting.section(&SERVICE)?));
    let mut known = BTreeMap::new();
    let named = root.get(PEOPLE.name).map(|setting| setting.named()).unwrap_or_default();
    for (login, setting) in named {
        if let Some(person) = setting.section(&PEOPLE).as_ref().and_then(person) {
            known.insert(login.to_owned(), person);
        }
    }
    let domain = root.read(&AUTHOR_EMAIL_DOMAIN, mail_domain)?;
    Some(People { service: service.unwrap_or_else(standard), known, domain })
}

fn person(section: &Section<'_>) -> Option<Signature> {
    let name = section.require(PERSON_NAME.name, "Write the name as commits shall show it.");
    let email = section.require(PERSON_EMAIL.name, "Write the mail address as commits shall show it.");
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

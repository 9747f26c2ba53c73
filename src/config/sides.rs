//! The two sides: NetBoxes and repositories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::Url;

use crate::domain::names::{NetBoxName, RepoName};
use crate::domain::secret::SecretSource;

use super::declared::{Choice, Each, Group, Number, Secret, Standard, Text};
use super::github;
use super::remote::{self, RemoteUrl, Transport};
use super::secret::{self, Found, WEBHOOK_SECRET, WEBHOOK_SECRETS};
use super::section::{Refusal, Section, Setting};
use super::service::with_slash;
use super::settings::{Access, Login, NetBox, ObjectModel, Repository, Switch};

pub(super) const NETBOX: Group = Group {
    name: "netbox",
    each: Each::Named,
    about: "The NetBoxes, by a name of your own (lower-case letters, digits and dashes). One is required.",
    settings: &[
        &NETBOX_URL,
        &NETBOX_TOKEN,
        &WEBHOOK_SECRET,
        &WEBHOOK_SECRETS,
        &MODEL,
        &FABRIC_STATUS,
        &JOURNAL,
        &CUSTOM_LINKS,
        &MAX_RUNS,
        &CA_FILE,
        &PROXY,
    ],
};
const NETBOX_URL: Text = Text::required("url", "http or https address", "NetBox's own address, without /api.");
const NETBOX_TOKEN: Secret = Secret {
    text: "token",
    file: "token_file",
    standard: Standard::Required,
    about: "An API token of a user of its own.",
};
const MODEL: Choice<ObjectModel> = Choice {
    name: "model",
    words: &[("custom_objects", ObjectModel::CustomObjects), ("hedgehog", ObjectModel::Hedgehog)],
    about: "Where the objects are: in custom object types, or in the Hedgehog plugin's own models.",
};
const FABRIC_STATUS: Choice<Switch> = Choice {
    name: "fabric_status",
    words: &[("on", Switch::On), ("off", Switch::Off)],
    about: "Whether NetBox is told how its fabrics stand.",
};
const JOURNAL: Choice<Switch> = Choice {
    name: "journal",
    words: &[("off", Switch::Off), ("on", Switch::On)],
    about: "Whether objects get journal entries of what commits did to them, and of conflicts.",
};
const CUSTOM_LINKS: Choice<Switch> = Choice {
    name: "custom_links",
    words: &[("on", Switch::On), ("off", Switch::Off)],
    about: "Whether `setup netbox` makes links from NetBox's pages to `public_url`.",
};
// As many as one process has workers.
const MAX_RUNS: Number = Number {
    name: "max_runs",
    default: 4,
    range: 0..=256,
    about: "Runs that may need it at the same time, over all replicas; 0 is no limit.",
};
pub(super) const CA_FILE: Text = Text::optional(
    "ca_file",
    "file",
    "PEM of an authority that an https server is checked against, beside the known ones.",
);
pub(super) const PROXY: Text = Text::optional(
    "proxy",
    "http or https address",
    "A proxy on the way to it; the environment's (HTTPS_PROXY) counts where it is not set.",
);

pub(super) const REPOSITORIES: Group = Group {
    name: "repositories",
    each: Each::Named,
    about: "The Git repositories, by a name of your own (lower-case letters, digits and dashes). One is required.",
    settings: &[
        &KIND,
        &REPOSITORY_URL,
        &GITHUB,
        &USER,
        &TOKEN,
        &WEBHOOK_SECRET,
        &WEBHOOK_SECRETS,
        &MAX_RUNS,
        &CA_FILE,
        &PROXY,
        &SSH_KEY_FILE,
        &KNOWN_HOSTS_FILE,
        &github::API_URL,
        &github::APP,
        &github::SIGNED,
        &github::COMMIT_STATUS,
        &github::DELIVERY,
    ],
};
const KIND: Choice<RepositoryKind> = Choice {
    name: "kind",
    words: &[("git", RepositoryKind::Git), ("github", RepositoryKind::GitHub)],
    about: "How it is spoken to: through git, or through GitHub's API alone.",
};
pub(super) const REPOSITORY_URL: Text = Text::optional(
    "url",
    "https, ssh or `git@host:path` address, or local path",
    "Where it is; required for kind `git`, on `github` only where webhooks call it by another address.",
);
pub(super) const GITHUB: Text = Text::optional(
    "github",
    "owner/name",
    "Its name on GitHub: required for kind `github`, else what webhooks call it where that is not in `url`.",
);
const USER: Text =
    Text::or("user", "text", "x-access-token", "The name that goes with the token over http; kind `git`.");
pub(super) const TOKEN: Secret = Secret {
    text: "token",
    file: "token_file",
    standard: Standard::Unset,
    about: "The token for http addresses and for kind `github`.",
};
const SSH_KEY_FILE: Text =
    Text::optional("ssh_key_file", "file", "The private key for ssh addresses; what ssh finds by itself without it.");
const KNOWN_HOSTS_FILE: Text =
    Text::optional("known_hosts_file", "file", "The hosts that ssh trusts; the user's own without it.");

/// Everything that was read of one side, usable or not: the cross-checks look at all of it.
pub(super) struct Side<'a, Name, Value> {
    pub name: Name,
    pub setting: Setting<'a>,
    /// `None`: it has a problem of its own, already reported.
    pub value: Option<Value>,
    /// The webhook secrets as they are now.
    pub secrets: Vec<(Setting<'a>, SecretString)>,
}

pub(super) type NetBoxes<'a> = Vec<Side<'a, NetBoxName, NetBox>>;
pub(super) type Repositories<'a> = Vec<Side<'a, RepoName, Repository>>;

/// The sides that are usable, by name.
pub(super) fn usable<Name: Ord, Value>(sides: Vec<Side<'_, Name, Value>>) -> BTreeMap<Name, Value> {
    sides.into_iter().filter_map(|side| Some((side.name, side.value?))).collect()
}

pub(super) fn netboxes<'a>(root: &Section<'a>) -> NetBoxes<'a> {
    let Some(all) = root.require(NETBOX.name, "Write `netbox:` and below it `main: {url: …, token_file: …}`.")
    else {
        return Vec::new();
    };
    let mut sides = Vec::new();
    for (name, setting) in all.named() {
        check_name(name, &setting);
        let Some(section) = setting.section(&NETBOX) else { continue };
        let secrets = secret::webhook_secrets(&section);
        if secrets.is_empty()
            && section.get(WEBHOOK_SECRET.text).is_none()
            && section.get(WEBHOOK_SECRETS.name).is_none()
        {
            section.warn_missing(
                WEBHOOK_SECRET.text,
                "is not set: deliveries of this NetBox are refused, and changes wait for the next comparison",
                "Set it to the secret of NetBox's webhook.",
            );
        }
        let value = netbox(&section, sources(&secrets));
        sides.push(Side { name: NetBoxName::new(name), setting, value, secrets: now(secrets) });
    }
    sides
}

fn netbox(section: &Section<'_>, webhook_secrets: Vec<SecretSource>) -> Option<NetBox> {
    let url = section.require(NETBOX_URL.name, "Write such as https://netbox.example.com.");
    let token = secret::required(section, &NETBOX_TOKEN, "Give an API token of NetBox, or the file that holds it.");
    let model = section.choice(&MODEL);
    let ca_file = section.get(CA_FILE.name).and_then(|setting| setting.readable_file());
    let proxy = section.get(PROXY.name).and_then(|setting| setting.parse(remote::http));
    let (fabric_status, custom_links) = (section.choice(&FABRIC_STATUS), section.choice(&CUSTOM_LINKS));
    let journal = section.choice(&JOURNAL);
    let max_runs = max_runs(section);
    let url = url.and_then(|setting| server(&setting))?;
    Some(NetBox {
        max_runs,
        url,
        token: token?.source,
        model,
        webhook_secrets,
        ca_file,
        proxy,
        fabric_status,
        custom_links,
        journal,
    })
}

pub(super) fn max_runs(section: &Section<'_>) -> u32 {
    u32::try_from(section.number(&MAX_RUNS)).unwrap_or(u32::MAX)
}

fn server(setting: &Setting<'_>) -> Option<Url> {
    let url = setting.parse(remote::http)?;
    if remote::is_plain_and_far(&url) {
        setting.warn("sends the token unencrypted over the network", "Use https.");
    }
    if url.path().trim_end_matches('/').ends_with("/api") {
        setting.refuse("ends with /api", "Write NetBox's own address; /api/ is added.");
    }
    Some(with_slash(url))
}

pub(super) fn repositories<'a>(root: &Section<'a>, data_directory: &Path) -> Repositories<'a> {
    let Some(all) = root.require(REPOSITORIES.name, "Write `repositories:` and below it `main: {url: …}`.") else {
        return Vec::new();
    };
    let mut sides = Vec::new();
    for (name, setting) in all.named() {
        let named = check_name(name, &setting);
        let Some(section) = setting.section(&REPOSITORIES) else { continue };
        let secrets = secret::webhook_secrets(&section);
        let cache = data_directory.join("repositories").join(name);
        let value = repository(&section, cache, sources(&secrets)).filter(|_| named);
        sides.push(Side { name: RepoName::new(name), setting, value, secrets: now(secrets) });
    }
    sides
}

fn repository(
    section: &Section<'_>,
    cache_directory: PathBuf,
    webhook_secrets: Vec<SecretSource>,
) -> Option<Repository> {
    match section.choice(&KIND) {
        RepositoryKind::Git => {
            github::refuse_its_own(section);
            git_repository(section, cache_directory, webhook_secrets)
        }
        RepositoryKind::GitHub => {
            for setting in [USER.name].iter().chain(&SSH).filter_map(|name| section.get(name)) {
                setting.refuse("has no effect on kind `github`", "Take it away, or use kind `git`.");
            }
            github::repository(section, cache_directory, webhook_secrets)
        }
    }
}

/// How a repository is spoken to.
#[derive(Debug, Clone, Copy)]
enum RepositoryKind {
    /// Through git.
    Git,
    /// Through GitHub's API.
    GitHub,
}

fn git_repository(
    section: &Section<'_>,
    cache_directory: PathBuf,
    webhook_secrets: Vec<SecretSource>,
) -> Option<Repository> {
    let github = section.get(GITHUB.name).and_then(|setting| setting.parse(full_name));
    let address = section.require(REPOSITORY_URL.name, "Write such as https://git.example.com/team/fabric.git.");
    let url = address.as_ref().and_then(|setting| setting.parse(RemoteUrl::read));
    let access = access(section, url.as_ref().map(RemoteUrl::transport));
    let max_runs = max_runs(section);
    let url = url?;
    if let (Some(address), Access::Http { login: Some(_), .. }) = (&address, &access)
        && Url::parse(url.as_str()).is_ok_and(|url| remote::is_plain_and_far(&url))
    {
        address.warn("sends the token unencrypted over the network", "Use https.");
    }
    Some(Repository { url, access, webhook_secrets, github, cache_directory, max_runs })
}

const HTTP: [&str; 5] = [USER.name, TOKEN.text, TOKEN.file, CA_FILE.name, PROXY.name];
const SSH: [&str; 2] = [SSH_KEY_FILE.name, KNOWN_HOSTS_FILE.name];

/// Reads the settings of every way, and refuses those that this address does not use.
fn access(section: &Section<'_>, transport: Option<Transport>) -> Access {
    let refuse_others = |names: &[&'static str], way: &str| {
        for setting in names.iter().filter_map(|name| section.get(name)) {
            setting.refuse(format!("has no effect on {way}"), "Take it away, or use another form of `url`.");
        }
    };
    match transport {
        None => Access::Local,
        Some(Transport::Local) => {
            refuse_others(&HTTP, "a local path");
            refuse_others(&SSH, "a local path");
            Access::Local
        }
        Some(Transport::Ssh) => {
            refuse_others(&HTTP, "an ssh address");
            let file = |declared: &Text| section.get(declared.name).and_then(|setting| setting.readable_file());
            Access::Ssh { key_file: file(&SSH_KEY_FILE), known_hosts_file: file(&KNOWN_HOSTS_FILE) }
        }
        Some(Transport::Http) => {
            refuse_others(&SSH, "an http address");
            Access::Http {
                login: login(section),
                ca_file: section.get(CA_FILE.name).and_then(|setting| setting.readable_file()),
                proxy: section.get(PROXY.name).and_then(|setting| setting.parse(remote::http)),
            }
        }
    }
}

fn login(section: &Section<'_>) -> Option<Login> {
    let user = section.get(USER.name);
    let Some(token) = secret::one(section, &TOKEN) else {
        if let Some(user) = user.filter(|_| !secret::is_written(section, &TOKEN)) {
            user.refuse("stands without a token", "Add `token_file`, or take the user away.");
        }
        return None;
    };
    // GitHub wants this name for the tokens of an App; the other servers look at the token alone.
    let user = section.read(&USER, |text| Ok(text.to_owned()))?;
    Some(Login { user, token: token.source })
}

/// `owner/name`, as GitHub shows it.
pub(super) fn full_name(text: &str) -> Result<String, Refusal> {
    let part = |part: &str| {
        !matches!(part, "" | "." | "..")
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
    };
    match text.split_once('/') {
        Some((owner, name)) if part(owner) && part(name) => Ok(text.to_owned()),
        _ => Err(Refusal::new("is not a repository's full name", "Write `owner/name`.")),
    }
}

/// Names become directories, parts of Redis keys and parts of variables: one plain form fits all.
fn check_name(name: &str, setting: &Setting<'_>) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let usable = name.chars().all(plain) && name.starts_with(|c: char| c != '-') && name.len() <= 63;
    if !usable {
        setting.refuse(
            format!("`{name}` cannot be a name here"),
            "Use up to 63 lower-case letters, digits and dashes, no dash first.",
        );
    }
    usable
}

fn sources(found: &[Found<'_>]) -> Vec<SecretSource> {
    found.iter().map(|found| found.source.clone()).collect()
}

fn now<'a>(found: Vec<Found<'a>>) -> Vec<(Setting<'a>, SecretString)> {
    found.into_iter().map(|found| (found.setting, found.now)).collect()
}

//! The two sides: NetBoxes and repositories.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use url::Url;

use crate::domain::names::{NetBoxName, RepoName};
use crate::domain::secret::SecretSource;

use super::github;
use super::remote::{self, RemoteUrl, Transport};
use super::secret::{self, Found, TOKEN};
use super::section::{Refusal, Section, Setting};
use super::service::with_slash;
use super::settings::{Access, Login, NetBox, ObjectModel, Repository, Switch};

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
    let Some(all) = root.require("netbox", "Write `netbox:` and below it `main: {url: …, token_file: …}`.") else {
        return Vec::new();
    };
    let mut sides = Vec::new();
    for (name, setting) in all.named() {
        check_name(name, &setting);
        let Some(section) = setting.section() else { continue };
        let secrets = secret::webhook_secrets(&section);
        if secrets.is_empty() && section.get("webhook_secret").is_none() && section.get("webhook_secrets").is_none() {
            section.warn_missing(
                "webhook_secret",
                "is not set: deliveries of this NetBox are refused, and changes wait for the next comparison",
                "Set it to the secret of NetBox's webhook.",
            );
        }
        let value = netbox(&section, sources(&secrets));
        section.close();
        sides.push(Side { name: NetBoxName::new(name), setting, value, secrets: now(secrets) });
    }
    sides
}

fn netbox(section: &Section<'_>, webhook_secrets: Vec<SecretSource>) -> Option<NetBox> {
    let url = section.require("url", "Write such as https://netbox.example.com.");
    let token = secret::required(section, &TOKEN, "Give an API token of NetBox, or the file that holds it.");
    let models = [("custom_objects", ObjectModel::CustomObjects), ("hedgehog", ObjectModel::Hedgehog)];
    let model = section.get("model").and_then(|setting| setting.choice(&models)).unwrap_or_default();
    let ca_file = section.get("ca_file").and_then(|setting| setting.readable_file());
    let proxy = section.get("proxy").and_then(|setting| setting.parse(remote::http));
    let fabric_status = switch(section, "fabric_status", Switch::On);
    let custom_links = switch(section, "custom_links", Switch::On);
    let journal = switch(section, "journal", Switch::Off);
    let url = url.and_then(|setting| server(&setting))?;
    let token = token?.source;
    Some(NetBox { url, token, model, webhook_secrets, ca_file, proxy, fabric_status, custom_links, journal })
}

fn switch(section: &Section<'_>, name: &'static str, standard: Switch) -> Switch {
    let words = [("on", Switch::On), ("off", Switch::Off)];
    section.get(name).and_then(|setting| setting.choice(&words)).unwrap_or(standard)
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
    let Some(all) = root.require("repositories", "Write `repositories:` and below it `main: {url: …}`.") else {
        return Vec::new();
    };
    let mut sides = Vec::new();
    for (name, setting) in all.named() {
        let named = check_name(name, &setting);
        let Some(section) = setting.section() else { continue };
        let secrets = secret::webhook_secrets(&section);
        let cache = data_directory.join("repositories").join(name);
        let value = repository(&section, cache, sources(&secrets)).filter(|_| named);
        section.close();
        sides.push(Side { name: RepoName::new(name), setting, value, secrets: now(secrets) });
    }
    sides
}

fn repository(
    section: &Section<'_>,
    cache_directory: PathBuf,
    webhook_secrets: Vec<SecretSource>,
) -> Option<Repository> {
    let kinds = [("git", RepositoryKind::Git), ("github", RepositoryKind::GitHub)];
    match section.get("kind").and_then(|kind| kind.choice(&kinds)).unwrap_or_default() {
        RepositoryKind::Git => {
            github::refuse_its_own(section);
            git_repository(section, cache_directory, webhook_secrets)
        }
        RepositoryKind::GitHub => {
            for setting in ["user"].iter().chain(&SSH).filter_map(|name| section.get(name)) {
                setting.refuse("has no effect on kind `github`", "Take it away, or use kind `git`.");
            }
            github::repository(section, cache_directory, webhook_secrets)
        }
    }
}

/// How a repository is spoken to.
#[derive(Debug, Clone, Copy, Default)]
enum RepositoryKind {
    /// Through git.
    #[default]
    Git,
    /// Through GitHub's API.
    GitHub,
}

fn git_repository(
    section: &Section<'_>,
    cache_directory: PathBuf,
    webhook_secrets: Vec<SecretSource>,
) -> Option<Repository> {
    let github = section.get("github").and_then(|setting| setting.parse(full_name));
    let address = section.require("url", "Write such as https://git.example.com/team/fabric.git.");
    let url = address.as_ref().and_then(|setting| setting.parse(RemoteUrl::read));
    let access = access(section, url.as_ref().map(RemoteUrl::transport));
    let url = url?;
    if let (Some(address), Access::Http { login: Some(_), .. }) = (&address, &access)
        && Url::parse(url.as_str()).is_ok_and(|url| remote::is_plain_and_far(&url))
    {
        address.warn("sends the token unencrypted over the network", "Use https.");
    }
    Some(Repository { url, access, webhook_secrets, github, cache_directory })
}

const HTTP: [&str; 5] = ["user", "token", "token_file", "ca_file", "proxy"];
const SSH: [&str; 2] = ["ssh_key_file", "known_hosts_file"];

/// Reads the settings of every way, and refuses those that this address does not use.
fn access(section: &Section<'_>, transport: Option<Transport>) -> Access {
    let refuse_others = |names: &[&'static str], way: &str| {
        for setting in names.iter().filter_map(|name| section.get(name)) {
            setting.refuse(format!("has no effect on {way}"), "Take it away, or use another form of `url`.");
        }
    };
    for name in HTTP.iter().chain(&SSH) {
        section.get(name);
    }
    match transport {
        None => Access::Local,
        Some(Transport::Local) => {
            refuse_others(&HTTP, "a local path");
            refuse_others(&SSH, "a local path");
            Access::Local
        }
        Some(Transport::Ssh) => {
            refuse_others(&HTTP, "an ssh address");
            let file = |name| section.get(name).and_then(|setting| setting.readable_file());
            Access::Ssh { key_file: file("ssh_key_file"), known_hosts_file: file("known_hosts_file") }
        }
        Some(Transport::Http) => {
            refuse_others(&SSH, "an http address");
            Access::Http {
                login: login(section),
                ca_file: section.get("ca_file").and_then(|setting| setting.readable_file()),
                proxy: section.get("proxy").and_then(|setting| setting.parse(remote::http)),
            }
        }
    }
}

fn login(section: &Section<'_>) -> Option<Login> {
    let user = section.get("user");
    let Some(token) = secret::one(section, &TOKEN) else {
        if let Some(user) = user.filter(|_| section.get("token").is_none() && section.get("token_file").is_none()) {
            user.refuse("stands without a token", "Add `token_file`, or take the user away.");
        }
        return None;
    };
    // GitHub wants this name for the tokens of an App; the other servers look at the token alone.
    let user = user.and_then(|setting| setting.text()).unwrap_or("x-access-token").to_owned();
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

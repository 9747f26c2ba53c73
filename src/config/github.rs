//! Repositories of kind `github`.

use std::path::PathBuf;

use url::{Host, Url};

use crate::domain::policy::Delivery;
use crate::domain::secret::SecretSource;

use super::declared::{Choice, Group, Text};
use super::remote::{self, RemoteUrl};
use super::secret;
use super::section::{Refusal, Section, Setting};
use super::service::with_slash;
use super::settings::{Access, CommitStatus, GitHub, GitHubLogin, Repository, Signing};
use super::sides::{CA_FILE, GITHUB, PROXY, REPOSITORY_URL, TOKEN, full_name, max_runs};
use super::tree::Value;

pub(super) const API_URL: Text = Text::or(
    "api_url",
    "http or https address",
    "https://api.github.com/",
    "Kind `github`: where the API answers; `https://HOST/api/v3` of GitHub Enterprise Server.",
);
pub(super) const APP: Group =
    Group::single("app", "Kind `github`: a GitHub App in place of a token.", &[&APP_ID, &INSTALLATION, &KEY_FILE]);
const APP_ID: Text = Text::required("id", "id or client id", "Which App it is.");
const INSTALLATION: Text =
    Text::optional("installation", "whole number", "The installation; GitHub is asked where it is not set.");
const KEY_FILE: Text = Text::required("key_file", "file", "PEM: the App's private key.");
pub(super) const SIGNED: Choice<Signing> = Choice {
    name: "signed",
    words: &[("off", Signing::Nobody), ("on", Signing::Server)],
    about: "Kind `github`: GitHub makes and signs the commits, in the name of the token's account.",
};
pub(super) const COMMIT_STATUS: Choice<CommitStatus> = Choice {
    name: "commit_status",
    words: &[("off", CommitStatus::Off), ("on", CommitStatus::On)],
    about: "Kind `github`: what became of a pushed commit is shown beside it.",
};
pub(super) const DELIVERY: Choice<Delivery> = Choice {
    name: "delivery",
    words: &[("push", Delivery::Push), ("pull_request", Delivery::PullRequest)],
    about: "Kind `github`: edits are commits on the branch, or wait in one rolling pull request.",
};

/// Refuses what only this kind has on another kind.
pub(super) fn refuse_its_own(section: &Section<'_>) {
    let own = [API_URL.name, APP.name, SIGNED.name, COMMIT_STATUS.name, DELIVERY.name];
    for setting in own.into_iter().filter_map(|name| section.get(name)) {
        setting.refuse("has an effect on kind `github` alone", "Write `kind: github`, or take it away.");
    }
}

pub(super) fn repository(
    section: &Section<'_>,
    cache_directory: PathBuf,
    webhook_secrets: Vec<SecretSource>,
) -> Option<Repository> {
    let full = section.require(GITHUB.name, "Name the repository: `github: owner/name`.");
    let full = full.and_then(|setting| setting.parse(full_name));
    let api = api(section);
    let login = login(section);
    let ca_file = section.get(CA_FILE.name).and_then(|setting| setting.readable_file());
    let proxy = section.get(PROXY.name).and_then(|setting| setting.parse(remote::http));
    let (signing, commit_status) = (section.choice(&SIGNED), section.choice(&COMMIT_STATUS));
    let delivery = delivery(section, signing);
    let max_runs = max_runs(section);
    let written = section.get(REPOSITORY_URL.name).map(|setting| setting.parse(RemoteUrl::read));
    let (full, api, login) = (full?, api?, login?);
    let url = match written {
        Some(read) => read?,
        None => RemoteUrl::read(&web_address(&api, &full)).ok()?,
    };
    let (owner, name) = full.split_once('/')?;
    let access = Access::GitHub(GitHub {
        api,
        owner: owner.to_owned(),
        name: name.to_owned(),
        login,
        ca_file,
        proxy,
        signing,
        commit_status,
        delivery,
    });
    Some(Repository { url, access, webhook_secrets, github: Some(full), cache_directory, max_runs })
}

fn delivery(section: &Section<'_>, signing: Signing) -> Delivery {
    let delivery = section.choice(&DELIVERY);
    if let Some(setting) = section.get(DELIVERY.name)
        && (delivery, signing) == (Delivery::PullRequest, Signing::Server)
    {
        setting.refuse("cannot go with `signed`", "Whoever merges the pull request signs: take one of the two away.");
    }
    delivery
}

fn api(section: &Section<'_>) -> Option<Url> {
    let url = with_slash(section.read(&API_URL, api_url)?);
    if let Some(setting) = section.get(API_URL.name)
        && remote::is_plain_and_far(&url)
    {
        setting.warn("sends the token unencrypted over the network", "Use https.");
    }
    Some(url)
}

/// The REST root of github.com, of GitHub Enterprise Cloud with its own domain, or of GitHub Enterprise Server.
fn api_url(text: &str) -> Result<Url, Refusal> {
    let url = remote::http(text)?;
    let refuse = |right: String| Err(Refusal::new("is not where the API answers", format!("Write {right}.")));
    let path = url.path().trim_end_matches('/');
    match url.host() {
        Some(Host::Domain("github.com" | "www.github.com")) => refuse("https://api.github.com/".to_owned()),
        Some(Host::Domain(host)) if host.starts_with("api.") => Ok(url),
        // A test server, or a proxy on this machine, may have any path.
        _ if !remote::is_far(&url) => Ok(url),
        Some(host) if path != "/api/v3" => refuse(format!("https://{host}/api/v3")),
        Some(_) | None => Ok(url),
    }
}

/// Where people and git find the repository: what its webhooks call `clone_url`.
fn web_address(api: &Url, full_name: &str) -> String {
    let host = api.host_str().unwrap_or_default();
    let port = api.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}/{full_name}.git", api.scheme(), host.strip_prefix("api.").unwrap_or(host))
}

fn login(section: &Section<'_>) -> Option<GitHubLogin> {
    let app = section.get(APP.name);
    let has_token = secret::is_written(section, &TOKEN);
    match (app, has_token) {
        (Some(app), true) => {
            app.refuse("stands beside a token", "Keep one of the two.");
            None
        }
        (Some(app), false) => app_login(&app),
        (None, _) => {
            let remedy = "Give a token, the file that holds it, or `app: {id: …, key_file: …}`.";
            secret::required(section, &TOKEN, remedy).map(|found| GitHubLogin::Token(found.source))
        }
    }
}

fn app_login(app: &Setting<'_>) -> Option<GitHubLogin> {
    let section = app.section(&APP)?;
    let id = section.require(APP_ID.name, "Write the App's id or client id.").and_then(|setting| app_id(&setting));
    let installation = section.get(INSTALLATION.name).map(|setting| setting.number(1..=u64::MAX));
    let key_file = section.require(KEY_FILE.name, "Name the file with the App's private key (PEM).");
    let key_file = key_file.and_then(|setting| setting.readable_file());
    let installation = match installation {
        Some(read) => Some(read?),
        None => None,
    };
    Some(GitHubLogin::App { id: id?, installation, key_file: key_file? })
}

/// A number, or a client id such as `Iv23liABC`.
fn app_id(setting: &Setting<'_>) -> Option<String> {
    if let Value::Integer(number) = setting.node.value {
        return Some(number.to_string());
    }
    setting.parse(|text| {
        let plain = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'));
        if plain { Ok(text.to_owned()) } else { Err(Refusal::new("is not an App's id", "Write the id or client id.")) }
    })
}

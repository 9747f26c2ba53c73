//! Repositories of kind `github`.

use std::path::PathBuf;

use url::{Host, Url};

use crate::domain::policy::Delivery;
use crate::domain::secret::SecretSource;

use super::remote::{self, RemoteUrl};
use super::secret::{self, TOKEN};
use super::section::{Refusal, Section, Setting};
use super::service::with_slash;
use super::settings::{Access, CommitStatus, GitHub, GitHubLogin, Repository, Signing};
use super::sides::{full_name, max_runs};
use super::tree::Value;

/// Settings that only this kind has.
const OWN: [&str; 5] = ["api_url", "app", "signed", "commit_status", "delivery"];

const API: &str = "https://api.github.com/";

/// Marks this kind's settings as known, and refuses them on another kind.
pub(super) fn refuse_its_own(section: &Section<'_>) {
    for setting in OWN.iter().filter_map(|name| section.get(name)) {
        setting.refuse("has an effect on kind `github` alone", "Write `kind: github`, or take it away.");
    }
}

pub(super) fn repository(
    section: &Section<'_>,
    cache_directory: PathBuf,
    webhook_secrets: Vec<SecretSource>,
) -> Option<Repository> {
    let full = section.require("github", "Name the repository: `github: owner/name`.");
    let full = full.and_then(|setting| setting.parse(full_name));
    let api = api(section);
    let login = login(section);
    let ca_file = section.get("ca_file").and_then(|setting| setting.readable_file());
    let proxy = section.get("proxy").and_then(|setting| setting.parse(remote::http));
    let is_on = |name| section.get(name).and_then(|setting| setting.switch()).unwrap_or_default();
    let signing = if is_on("signed") { Signing::Server } else { Signing::Nobody };
    let commit_status = if is_on("commit_status") { CommitStatus::On } else { CommitStatus::Off };
    let delivery = delivery(section, signing);
    let max_runs = max_runs(section);
    let written = section.get("url").map(|setting| setting.parse(RemoteUrl::read));
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
    let Some(setting) = section.get("delivery") else { return Delivery::default() };
    let delivery =
        setting.choice(&[("push", Delivery::Push), ("pull_request", Delivery::PullRequest)]).unwrap_or_default();
    if (delivery, signing) == (Delivery::PullRequest, Signing::Server) {
        setting.refuse("cannot go with `signed`", "Whoever merges the pull request signs: take one of the two away.");
    }
    delivery
}

fn api(section: &Section<'_>) -> Option<Url> {
    let Some(setting) = section.get("api_url") else { return Url::parse(API).ok() };
    let url = with_slash(setting.parse(api_url)?);
    if remote::is_plain_and_far(&url) {
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
        Some(Host::Domain("github.com" | "www.github.com")) => refuse(API.to_owned()),
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
    let app = section.get("app");
    let has_token = section.get("token").is_some() || section.get("token_file").is_some();
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
    let section = app.section()?;
    let id = section.require("id", "Write the App's id or client id.").and_then(|setting| app_id(&setting));
    let installation = section.get("installation").map(|setting| setting.number(1..=u64::MAX));
    let key_file = section.require("key_file", "Name the file with the App's private key (PEM).");
    let key_file = key_file.and_then(|setting| setting.readable_file());
    section.close();
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

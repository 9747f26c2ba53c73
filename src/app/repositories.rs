//! The repositories of the settings, each opened as its kind wants it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use url::Url;

use super::{StartError, pace, write_limits};
use crate::config::{self, Access, CommitStatus, GitHubLogin, Settings};
use crate::domain::names::RepoName;
use crate::domain::policy::Delivery;
use crate::ledger::Ledger;
use crate::repo::Repository;
use crate::repo::git::{self, Credentials, GitRepository};
use crate::repo::github::{self, Auth, GitHubRepository, Installations};
use crate::run::Site;

/// Opens every repository; none is asked for anything yet. Without a ledger, tokens have a budget of this process alone.
pub(super) fn open(settings: &Settings, ledger: Option<&Ledger>) -> Result<BTreeMap<RepoName, Site>, StartError> {
    let opening = Opening { settings, ledger, installations: Arc::default() };
    let site = |(name, repository): (&RepoName, &config::Repository)| {
        let (delivery, shown) = match &repository.access {
            Access::GitHub(access) => (access.delivery, access.commit_status == CommitStatus::On),
            Access::Http { .. } | Access::Ssh { .. } | Access::Local => (Delivery::Push, false),
        };
        let status_url = shown.then(|| settings.public_url.clone());
        let keeps_deliveries = matches!(repository.access, Access::GitHub(_)) && !repository.webhook_secrets.is_empty();
        let receiver = if keeps_deliveries { Some(receiver(settings)?) } else { None };
        Ok((name.clone(), Site { repository: opening.one(name, repository)?, delivery, status_url, receiver }))
    };
    settings.repositories.iter().map(site).collect()
}

/// Where GitHub sends its webhooks.
pub(super) fn receiver(settings: &Settings) -> Result<Url, StartError> {
    let address = format!("{}webhooks/github", settings.public_url);
    settings.public_url.join("webhooks/github").map_err(|source| StartError::Receiver { address, source })
}

/// What the repositories of one process share.
struct Opening<'a> {
    settings: &'a Settings,
    ledger: Option<&'a Ledger>,
    installations: Arc<Installations>,
}

/// How a remote that speaks Git is reached.
struct Way {
    credentials: Credentials,
    ca_file: Option<PathBuf>,
    proxy: Option<String>,
}

impl Opening<'_> {
    fn one(&self, name: &RepoName, repository: &config::Repository) -> Result<Arc<dyn Repository>, StartError> {
        let way = match &repository.access {
            Access::GitHub(access) => {
                let opened = GitHubRepository::open(self.github_options(access));
                return Ok(Arc::new(opened.map_err(|source| StartError::Repository { name: name.clone(), source })?));
            }
            Access::Http { login, ca_file, proxy } => Way {
                credentials: match login {
                    None => Credentials::None,
                    Some(login) => Credentials::Token { user: login.user.clone(), token: login.token.clone() },
                },
                ca_file: ca_file.clone(),
                proxy: proxy.as_ref().map(ToString::to_string),
            },
            Access::Ssh { key_file: Some(file), known_hosts_file: Some(known_hosts) } => Way {
                credentials: Credentials::SshKey { file: file.clone(), known_hosts: known_hosts.clone() },
                ca_file: None,
                proxy: None,
            },
            Access::Ssh { .. } | Access::Local => Way { credentials: Credentials::None, ca_file: None, proxy: None },
        };
        self.git(name, repository, way)
    }

    fn git(
        &self,
        name: &RepoName,
        repository: &config::Repository,
        way: Way,
    ) -> Result<Arc<dyn Repository>, StartError> {
        let remote = repository
            .url
            .as_str()
            .parse()
            .map_err(|bad: git::BadRemote| StartError::Remote { name: name.clone(), why: bad.to_string() })?;
        let (_, push) = write_limits(self.settings.lease);
        let options = git::Options {
            remote,
            cache: repository.cache_directory.clone(),
            credentials: way.credentials,
            ca_file: way.ca_file,
            proxy: way.proxy,
            timeouts: git::Timeouts { push, ..git::Timeouts::default() },
        };
        let opened =
            GitRepository::open(options).map_err(|source| StartError::Repository { name: name.clone(), source })?;
        Ok(Arc::new(opened))
    }

    fn clock(&self) -> github::Now {
        match self.ledger.map(Ledger::clock).cloned() {
            Some(clock) => Arc::new(move || clock.now()),
            None => Arc::new(Instant::now),
        }
    }

    fn github_options(&self, access: &config::GitHub) -> github::Options {
        let (connect, write) = write_limits(self.settings.lease);
        github::Options {
            api: access.api.clone(),
            owner: access.owner.clone(),
            name: access.name.clone(),
            auth: match &access.login {
                GitHubLogin::Token(token) => Auth::Token(token.clone()),
                GitHubLogin::App { id, installation, key_file } => {
                    Auth::App { id: id.clone(), installation: *installation, key_file: key_file.clone() }
                }
            },
            installations: Arc::clone(&self.installations),
            pace: pace::at(&access.api, self.ledger),
            ca_file: access.ca_file.clone(),
            proxy: access.proxy.clone(),
            timeouts: github::Timeouts { connect, write, ..github::Timeouts::default() },
            signing: match access.signing {
                config::Signing::Nobody => github::Signing::Nobody,
                config::Signing::Server => github::Signing::GitHub,
            },
            now: self.clock(),
        }
    }
}

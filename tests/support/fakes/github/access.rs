//! Who may do what: tokens, their repositories and permissions, and their budget.

use std::collections::BTreeMap;
use std::time::Duration;

/// What GitHub lets tokens and Apps be allowed, as far as it is modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    /// Any token will do.
    Nothing,
    /// The App itself, by its JWT.
    App,
    Metadata,
    Contents,
    PullRequests,
    Statuses,
    Webhooks,
    Administration,
}

impl Permission {
    pub const ALL: [Self; 6] =
        [Self::Metadata, Self::Contents, Self::PullRequests, Self::Statuses, Self::Webhooks, Self::Administration];

    /// As GitHub writes it in JSON and headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nothing => "",
            Self::App => "app",
            Self::Metadata => "metadata",
            Self::Contents => "contents",
            Self::PullRequests => "pull_requests",
            Self::Statuses => "statuses",
            Self::Webhooks => "repository_hooks",
            Self::Administration => "administration",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.name() == name)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Read,
    Write,
}

impl Level {
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// How a token came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A fine-grained personal token.
    Personal,
    /// An App's token for an installation.
    Installation { id: u64, app: u64 },
}

/// A token's rights, for `GitHub::add_token`.
#[derive(Debug, Clone)]
pub struct Token {
    pub(super) kind: Kind,
    pub(super) login: String,
    /// `owner/name`; `None`: all.
    pub(super) repos: Option<Vec<String>>,
    pub(super) permissions: BTreeMap<Permission, Level>,
    /// Seconds since 1970.
    pub(super) expires: Option<i64>,
    pub(super) budgets: Budgets,
}

impl Token {
    /// Everything on every repository, without an end.
    pub fn of(login: &str) -> Self {
        Self {
            kind: Kind::Personal,
            login: login.to_owned(),
            repos: None,
            permissions: Permission::ALL.into_iter().map(|permission| (permission, Level::Write)).collect(),
            expires: None,
            budgets: Budgets::of(5_000),
        }
    }

    /// Only these repositories, as `owner/name`.
    pub fn only(mut self, repos: &[&str]) -> Self {
        self.repos = Some(repos.iter().map(|repo| (*repo).to_owned()).collect());
        self
    }

    /// Only these permissions; reading metadata is always among them.
    pub fn may(mut self, permissions: &[(Permission, Level)]) -> Self {
        self.permissions = permissions.iter().copied().collect();
        self.permissions.entry(Permission::Metadata).or_insert(Level::Read);
        self
    }

    /// The requests in an hour.
    pub fn limited_to(mut self, requests: u64) -> Self {
        self.budgets = Budgets::of(requests);
        self
    }

    pub(super) fn sees(&self, repo: &str) -> bool {
        self.repos.as_ref().is_none_or(|repos| repos.iter().any(|name| name.eq_ignore_ascii_case(repo)))
    }

    pub(super) fn can(&self, permission: Permission, level: Level) -> bool {
        permission == Permission::Nothing || self.permissions.get(&permission).is_some_and(|has| *has >= level)
    }

    pub(super) fn is_app(&self) -> bool {
        matches!(self.kind, Kind::Installation { .. })
    }

    /// As GitHub calls the token's owner when it refuses.
    pub(super) fn described(&self) -> &'static str {
        match self.kind {
            Kind::Personal => "personal access token",
            Kind::Installation { .. } => "integration",
        }
    }

    /// Name and mail of commits for which none were given.
    pub(super) fn identity(&self) -> (String, String) {
        let name = match self.kind {
            Kind::Personal => self.login.clone(),
            Kind::Installation { .. } => format!("{}[bot]", self.login),
        };
        let mail = format!("{name}@users.noreply.github.com");
        (name, mail)
    }
}

/// The hourly budgets of a token: REST and GraphQL count apart.
#[derive(Debug, Clone, Default)]
pub(super) struct Budgets {
    pub core: Budget,
    pub graphql: Budget,
}

impl Budgets {
    fn of(limit: u64) -> Self {
        let budget = Budget { limit, used: 0, reset: 0 };
        Self { core: budget.clone(), graphql: budget }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Budget {
    pub limit: u64,
    pub used: u64,
    /// Seconds since 1970; zero before the first request.
    pub reset: i64,
}

/// A budget's length.
const WINDOW: Duration = Duration::from_secs(3_600);

impl Budget {
    /// Begins a new window when the last one is over.
    pub fn roll(&mut self, now: i64) {
        if self.reset <= now {
            self.used = 0;
            self.reset = now + WINDOW.as_secs().cast_signed();
        }
    }

    pub fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

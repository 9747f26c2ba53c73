//! A repository, as its administrator, the people around it and a witness see it.

use super::hooks::{ContentType, Hook};
use super::merge::{self, Method};
use super::pulls::Pull;
use super::rules::{self, Rule};
use super::statuses::Status;
use super::{GitHub, deliveries};
use crate::support::git_server::{Bare, Person};

/// A repository on it, as its administrator and as a witness sees it.
pub struct Hosted<'a> {
    pub(super) github: &'a GitHub,
    pub(super) at: usize,
}

impl Hosted<'_> {
    /// What is really there.
    pub fn bare(&self) -> Bare {
        self.github.world().repos[self.at].store.bare().clone()
    }

    /// Somebody's clone of it.
    pub fn person(&self) -> Person {
        Person::clone_of(self.bare().path().to_str().expect("a path in UTF-8"))
    }

    /// Protects a branch in the classic way; `words` is what GitHub says to a push.
    pub fn protect(&self, branch: &str, words: &str) -> &Self {
        self.add_protection(branch, words, false)
    }

    /// The same, where REST says only the rule's own words, as it does for required checks and reviews.
    pub fn protect_saying_only(&self, branch: &str, words: &str) -> &Self {
        self.add_protection(branch, words, true)
    }

    fn add_protection(&self, branch: &str, words: &str, bare: bool) -> &Self {
        let protection = rules::Protection { words: words.to_owned(), bare };
        self.github.world().repos[self.at].protections.insert(branch.to_owned(), protection);
        self
    }

    /// Adds a ruleset for a branch; the logins in `bypass` need not keep to it.
    pub fn add_ruleset(&self, branch: &str, rules: &[Rule], bypass: &[&str]) -> &Self {
        let mut world = self.github.world();
        let id = world.next_id();
        let bypass = bypass.iter().map(|login| (*login).to_owned()).collect();
        let ruleset = rules::Ruleset { id, branch: branch.to_owned(), rules: rules.to_vec(), bypass };
        world.repos[self.at].rulesets.push(ruleset);
        self
    }

    /// Takes all protection away.
    pub fn unprotect(&self) {
        let repo = &mut self.github.world().repos[self.at];
        repo.protections.clear();
        repo.rulesets.clear();
    }

    /// Its pull requests, oldest first.
    pub fn pulls(&self) -> Vec<Pull> {
        self.github.look().repos[self.at].pulls.clone()
    }

    /// A person merges a pull request; gives the new head of its base.
    pub fn merge_pull(&self, number: u64, method: Method) -> String {
        let mut world = self.github.look();
        let place = world.repos[self.at].pulls.iter().position(|pull| pull.number == number);
        let merged = merge::merge(&mut world, self.at, place.expect("a pull request"), "a-person", method);
        merged.unwrap_or_else(|reply| panic!("it cannot be merged: {reply:?}"))
    }

    /// A person closes a pull request without merging it.
    pub fn close_pull(&self, number: u64) {
        let mut world = self.github.look();
        let now = world.now();
        let pull = world.repos[self.at].pulls.iter_mut().find(|pull| pull.number == number).expect("a pull request");
        (pull.open, pull.closed) = (false, Some(now));
    }

    /// Statuses of its commits, oldest first.
    pub fn statuses(&self) -> Vec<Status> {
        self.github.world().repos[self.at].statuses.clone()
    }

    pub fn hooks(&self) -> Vec<Hook> {
        self.github.world().repos[self.at].hooks.clone()
    }

    /// Registers an active webhook for pushes, without a ping.
    pub fn hook(&self, url: &str, secret: &str, content_type: ContentType) -> u64 {
        let mut world = self.github.look();
        let (id, now) = (world.next_id(), world.now());
        let events = vec!["push".to_owned()];
        let (url, secret) = (url.to_owned(), Some(secret.to_owned()));
        let repo = &mut world.repos[self.at];
        deliveries::begin(repo);
        let hook = Hook {
            id,
            url,
            content_type,
            secret,
            insecure_ssl: false,
            events,
            active: true,
            created: now,
            updated: now,
        };
        repo.hooks.push(hook);
        id
    }

    /// From now on the old name redirects.
    pub fn rename(&self, owner: &str, name: &str) {
        let repo = &mut self.github.world().repos[self.at];
        let former = repo.full_name();
        repo.former.push(former);
        (repo.owner, repo.name) = (owner.to_owned(), name.to_owned());
    }
}

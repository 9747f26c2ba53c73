//! A run: gather the three sides, plan, apply, settle. The only place where planning meets the world.

mod apply;
mod attempt;
mod catch_up;
mod contents;
mod deliver;
mod edits;
mod failure;
mod gather;
mod git_side;
mod history;
mod journal;
mod moving;
mod netbox_side;
mod report;
mod rollback;
mod shown;
mod source;
mod state;
mod unreachable;
mod validation;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use url::Url;

use crate::domain::change::Change;
use crate::domain::kind::Catalogue;
use crate::domain::names::{FabricName, NetBoxName, Oid, RepoName, Target};
use crate::domain::policy::{Delivery, Fabric};
use crate::ledger::Ledger;
use crate::ledger::types::{Accept, Claim, FabricStanding, Millis, Origin, Settlement};
use crate::netbox;
use crate::plan::directory::FABRIC_UNKNOWN;
use crate::plan::message::People;
use crate::repo::Repository;
use crate::validate::Crds;

pub use failure::Failure;

/// Everything a run needs: the ledger, the two clients, and what the settings say of each fabric.
pub struct Runner {
    pub ledger: Ledger,
    pub repositories: BTreeMap<RepoName, Site>,
    pub netboxes: BTreeMap<NetBoxName, Arc<netbox::Client>>,
    /// The NetBoxes that are told how their fabrics stand.
    pub told: BTreeSet<NetBoxName>,
    /// The NetBoxes whose objects get journal entries, and where the pages are that these lead to; ends with `/`.
    pub journals: BTreeMap<NetBoxName, Url>,
    pub fabrics: BTreeMap<FabricName, Fabric>,
    /// Every kind that is kept equal.
    pub catalogue: Catalogue,
    /// What documents of a fabric are held to, where its settings name CRDs.
    pub crds: BTreeMap<FabricName, Arc<Crds>>,
    /// How commits name NetBox users and the service.
    pub people: People,
}

/// A repository, and what the settings say of working with it.
#[derive(Clone)]
pub struct Site {
    pub repository: Arc<dyn Repository>,
    pub delivery: Delivery,
    /// Where people read about a run, when commits shall show how they fared.
    pub status_url: Option<Url>,
    /// Where the server sends its webhooks, when it keeps those that did not arrive.
    pub receiver: Option<Url>,
}

impl Runner {
    /// Carries one batch as far as it goes; every part of it gets an outcome. Nothing is settled here.
    pub async fn carry(&self, claim: &Claim) -> Settlement {
        // On the heap: whoever awaits a run would otherwise have all of it on its stack.
        Box::pin(attempt::until_settled(self, claim)).await
    }

    /// Tells NetBox how the claim's fabrics stand, now that its settlement is recorded. Nothing fails by it.
    pub async fn tell(&self, claim: &Claim) {
        let fabrics: Vec<_> = claim.parts.iter().map(|part| &part.fabric).collect();
        state::tell(self, &fabrics).await;
    }

    /// Tells NetBox again of fabrics whose state it does not have: a write failed, or a worker ended before it told.
    pub async fn tell_again(&self) -> Result<(), Failure> {
        state::tell_again(self).await
    }

    /// Asks the target's server for its head and records a job for the fabrics that it was not dealt with for.
    ///
    /// Safe to repeat. Returns the new head; `None` when nothing moved or the branch does not exist.
    pub async fn poll_head(&self, target: &Target) -> Result<Option<Oid>, Failure> {
        let head = self.site(target)?.repository.head(&target.branch).await?;
        let behind = self.behind(target, head.as_ref()).await?;
        if behind.is_empty() {
            return Ok(None);
        }
        let fabrics: Vec<&str> = behind.iter().map(|fabric| fabric.as_str()).collect();
        let fabrics = fabrics.join(" ");
        // The same head found twice before a run has dealt with it is one job.
        let dedupe = match (&head, self.ledger.head(target).await?) {
            (Some(head), _) => format!("poll:{target}:{head}:{fabrics}"),
            (None, Some(known)) => format!("poll:{target}:gone after {known}:{fabrics}"),
            (None, None) => return Ok(None),
        };
        let moved = Accept {
            origin: Origin::Schedule { what: format!("the head of {target} moved") },
            dedupe: Some(dedupe),
            changes: behind.into_iter().map(|fabric| (fabric.clone(), target.clone(), Change::GitMoved)).collect(),
            at_once: true,
        };
        self.ledger.accept(&moved).await?;
        Ok(head)
    }

    /// A target's fabrics whose last run saw another head than this.
    async fn behind(&self, target: &Target, head: Option<&Oid>) -> Result<Vec<&FabricName>, Failure> {
        let on_target = self.fabrics.values().filter(|fabric| fabric.target == *target);
        let fabrics: Vec<&FabricName> = on_target.map(|fabric| &fabric.name).collect();
        let seen = self.ledger.fabric_heads(&fabrics).await?;
        Ok(fabrics.into_iter().zip(seen).filter(|(_, seen)| seen.as_ref() != head).map(|(fabric, _)| fabric).collect())
    }

    /// Looks whether fabrics that a NetBox did not know are there now, and records a job for each; returns how many.
    ///
    /// NetBox sends no delivery for a fabric that was made over REST. Safe to repeat.
    pub async fn find_new_fabrics(&self, name: &NetBoxName) -> Result<usize, Failure> {
        let fabrics: Vec<&Fabric> = self.fabrics.values().filter(|fabric| fabric.netbox == *name).collect();
        let asked: Vec<_> = fabrics.iter().map(|fabric| (&fabric.name, &fabric.target)).collect();
        let standings = self.ledger.standings(&asked).await?;
        let unknown = |standing: &FabricStanding| {
            let reason = standing.directory.as_ref().and_then(|record| record.condition.reason.as_ref());
            reason.is_some_and(|reason| reason.code == FABRIC_UNKNOWN)
        };
        let waiting =
            fabrics.iter().zip(&standings).filter(|(_, standing)| unknown(standing)).map(|(fabric, _)| fabric);
        let waiting: Vec<_> = waiting.collect();
        let known = if waiting.is_empty() { None } else { self.netbox(name)?.fabrics().await? };
        let mut found = 0;
        for (id, fabric) in known.into_iter().flatten() {
            let Some(fabric) = waiting.iter().find(|waiting| waiting.name.as_str() == fabric) else { continue };
            let appeared = Accept {
                origin: Origin::Schedule { what: format!("{} appeared in NetBox", fabric.name) },
                dedupe: Some(format!("appeared:{name}:{id}")),
                changes: vec![(fabric.name.clone(), fabric.target.clone(), Change::Everything)],
                at_once: true,
            };
            self.ledger.accept(&appeared).await?;
            found += 1;
        }
        Ok(found)
    }

    /// Whether a NetBox is there and takes our token.
    pub async fn check_netbox(&self, name: &NetBoxName) -> Result<(), Failure> {
        Ok(self.netbox(name)?.status().await.map(drop)?)
    }

    /// When our token for a repository ends, if its server says so.
    pub fn token_expires(&self, name: &RepoName) -> Option<Millis> {
        self.repositories.get(name)?.repository.expires().map(Millis::of)
    }

    /// Asks a repository's server for deliveries that never arrived; returns how many come again.
    pub async fn ask_again(&self, name: &RepoName) -> Result<usize, Failure> {
        let Some(site) = self.repositories.get(name) else { return Ok(0) };
        match &site.receiver {
            Some(receiver) => Ok(site.repository.ask_again(receiver).await?),
            None => Ok(0),
        }
    }

    fn site(&self, target: &Target) -> Result<&Site, Failure> {
        self.repositories.get(&target.repo).ok_or_else(|| Failure::not_configured("repository", target.repo.as_str()))
    }

    fn fabric(&self, name: &FabricName) -> Result<&Fabric, Failure> {
        self.fabrics.get(name).ok_or_else(|| Failure::not_configured("fabric", name.as_str()))
    }

    fn netbox(&self, name: &NetBoxName) -> Result<&Arc<netbox::Client>, Failure> {
        self.netboxes.get(name).ok_or_else(|| Failure::not_configured("netbox", name.as_str()))
    }
}

//! Who may send, and where what they send goes.

use secrecy::SecretString;

use crate::domain::kind::Catalogue;
use crate::domain::names::{FabricName, NetBoxName, RepoName, Target};
use crate::domain::policy::Fabric;
use crate::webhook::github::RepositoryNames;
use crate::webhook::netbox::Model;
use crate::webhook::signature::Keyring;

/// Everything of the settings that deciding about a delivery or a request needs.
#[derive(Debug, Clone)]
pub struct Routing {
    pub netboxes: Vec<NetBoxSender>,
    pub repositories: Vec<RepositorySender>,
    /// Names are unique; the state keeps them by name.
    pub fabrics: Vec<Fabric>,
    /// The kinds whose deliveries count.
    pub catalogue: Catalogue,
}

/// A NetBox that sends deliveries.
#[derive(Debug, Clone)]
pub struct NetBoxSender {
    pub name: NetBoxName,
    /// For people; without credentials.
    pub url: String,
    /// All active ones; none of them may be another NetBox's, for a delivery is told apart by them alone.
    pub secrets: Vec<SecretString>,
    /// Only rows of this model are kept equal: both may be installed, and their ids mean different rows.
    pub model: Model,
}

/// A repository whose server sends deliveries.
#[derive(Debug, Clone)]
pub struct RepositorySender {
    pub name: RepoName,
    /// `owner/name`, where the settings say it.
    pub full_name: Option<String>,
    pub clone_url: String,
    /// All active ones; repositories may share them.
    pub secrets: Vec<SecretString>,
}

impl Routing {
    /// The secrets of all NetBoxes.
    pub fn netbox_keys(&self) -> Keyring<NetBoxName> {
        let keys = |sender: &NetBoxSender| with_owner(&sender.name, &sender.secrets);
        Keyring::new(self.netboxes.iter().flat_map(keys))
    }

    /// The secrets of all repositories.
    pub fn repository_keys(&self) -> Keyring<RepoName> {
        let keys = |sender: &RepositorySender| with_owner(&sender.name, &sender.secrets);
        Keyring::new(self.repositories.iter().flat_map(keys))
    }

    /// The model of a NetBox's objects.
    pub fn model_of(&self, netbox: &NetBoxName) -> Option<Model> {
        self.netboxes.iter().find(|sender| sender.name == *netbox).map(|sender| sender.model)
    }

    /// The fabric with this name.
    pub fn fabric(&self, name: &FabricName) -> Option<&Fabric> {
        self.fabrics.iter().find(|fabric| fabric.name == *name)
    }

    /// The fabrics whose objects are in this NetBox.
    pub fn fabrics_in(&self, netbox: &NetBoxName) -> impl Iterator<Item = &Fabric> {
        self.fabrics.iter().filter(move |fabric| fabric.netbox == *netbox)
    }

    /// The fabrics whose directories are on this branch.
    pub fn fabrics_on(&self, target: &Target) -> impl Iterator<Item = &Fabric> {
        self.fabrics.iter().filter(move |fabric| fabric.target == *target)
    }

    /// The repositories that a delivery may mean; more than one when the settings name one place twice.
    pub fn repositories_called(&self, names: &RepositoryNames) -> impl Iterator<Item = &RepositorySender> {
        self.repositories.iter().filter(move |sender| {
            sender.full_name.as_ref().is_some_and(|full_name| names.is_named(full_name))
                || names.is_at(&sender.clone_url)
        })
    }
}

fn with_owner<Id: Clone>(owner: &Id, secrets: &[SecretString]) -> Vec<(Id, SecretString)> {
    secrets.iter().map(|secret| (owner.clone(), secret.clone())).collect()
}

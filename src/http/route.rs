//! From what a delivery says to the fabrics that it makes dirty, or the reason why it makes none.

use std::collections::BTreeSet;

use crate::domain::change::Change;
use crate::domain::names::{BranchName, FabricName, NetBoxName, RepoName, Target};
use crate::domain::policy::Fabric;
use crate::webhook::github::Push;
use crate::webhook::netbox::{FabricChange, Model, ObjectChange};

use super::HttpState;
use super::problem::Problem;
use super::routing::Routing;

/// What became dirty.
pub(super) type Changes = Vec<(FabricName, Target, Change)>;

/// What a delivery of NetBox leads to.
pub(super) struct Routed {
    pub(super) changes: Changes,
    pub(super) event: String,
    pub(super) user: Option<String>,
    pub(super) request: Option<String>,
}

/// The changes that a delivery about an object leads to, or why it leads to none.
pub(super) async fn object(
    state: &HttpState,
    netbox: &NetBoxName,
    delivery: ObjectChange,
) -> Result<Result<Routed, String>, Problem> {
    if let Some(model) = delivery.model.filter(|model| state.routing.model_of(netbox) != Some(*model)) {
        return Ok(Err(other_model(model)));
    }
    if delivery.fabrics.is_empty() {
        return Ok(Err("the object belongs to no fabric".to_owned()));
    }
    let mut fabrics: BTreeSet<FabricName> = BTreeSet::new();
    for fabric in &delivery.fabrics {
        match state.ledger.fabric_meant(netbox, fabric).await? {
            Some(name) => drop(fabrics.insert(name)),
            // A hint costs little.
            None => fabrics.extend(state.routing.fabrics_in(netbox).map(|fabric| fabric.name.clone())),
        }
    }
    let ObjectChange { object, event, cascade, user, request_id, .. } = delivery;
    let change = |user| Change::Object { netbox: netbox.clone(), object: object.clone(), event, cascade, user };
    let changes: Changes =
        configured(&state.routing, netbox, &fabrics).map(|fabric| dirty(fabric, change(user.clone()))).collect();
    if changes.is_empty() {
        return Ok(Err(unknown_fabric(&fabrics)));
    }
    Ok(Ok(Routed { changes, event: event.as_str().to_owned(), user, request: request_id }))
}

/// A fabric that appears, has another name or is gone is compared as a whole.
pub(super) fn fabric(routing: &Routing, netbox: &NetBoxName, delivery: FabricChange) -> Result<Routed, String> {
    if routing.model_of(netbox) != Some(delivery.model) {
        return Err(other_model(delivery.model));
    }
    let fabrics = configured(routing, netbox, &delivery.names);
    let changes: Changes = fabrics.map(|fabric| dirty(fabric, Change::Everything)).collect();
    if changes.is_empty() {
        return Err(unknown_fabric(&delivery.names));
    }
    let event = delivery.event.as_str().to_owned();
    Ok(Routed { changes, event, user: delivery.user, request: delivery.request_id })
}

fn configured<'s>(
    routing: &'s Routing,
    netbox: &NetBoxName,
    names: &'s BTreeSet<FabricName>,
) -> impl Iterator<Item = &'s Fabric> {
    routing.fabrics_in(netbox).filter(|fabric| names.contains(&fabric.name))
}

/// The changes that a push leads to, or why it leads to none.
pub(super) fn push(routing: &Routing, signers: &[RepoName], push: &Push) -> Result<(BranchName, Changes), String> {
    let branch = push.branch().ok_or_else(|| format!("{} is no branch", push.reference))?;
    let called: Vec<_> = routing.repositories_called(&push.repository).collect();
    if called.is_empty() {
        return Err(format!("the repository {} is not in the settings", push.repository.full_name));
    }
    let signed: Vec<_> = called.into_iter().filter(|sender| signers.contains(&sender.name)).collect();
    if signed.is_empty() {
        return Err("it was signed with another repository's secret".to_owned());
    }
    let targets = signed.into_iter().map(|sender| Target { repo: sender.name.clone(), branch: branch.clone() });
    let on = |target: Target| routing.fabrics_on(&target).cloned().collect::<Vec<_>>();
    let changes: Changes = targets.flat_map(on).map(|fabric| dirty(&fabric, Change::GitMoved)).collect();
    if changes.is_empty() {
        return Err(format!("no fabric is on the branch {branch}"));
    }
    Ok((branch, changes))
}

fn dirty(fabric: &Fabric, change: Change) -> (FabricName, Target, Change) {
    (fabric.name.clone(), fabric.target.clone(), change)
}

fn other_model(model: Model) -> String {
    match model {
        Model::CustomObjects => "the settings say that this NetBox holds the objects in the Hedgehog plugin's models",
        Model::Hedgehog => "the settings say that this NetBox holds the objects as custom objects",
    }
    .to_owned()
}

fn unknown_fabric(names: &BTreeSet<FabricName>) -> String {
    if names.is_empty() {
        return "the settings have no fabric in this NetBox".to_owned();
    }
    let names: Vec<_> = names.iter().map(FabricName::as_str).collect();
    format!("unknown fabric: {}", names.join(", "))
}

//! What runs and schedules see of the servers on both sides, noted for people.

use std::collections::BTreeMap;

use crate::domain::names::NetBoxName;
use crate::ledger::circuits::Fared;
use crate::ledger::servers::Endpoint;
use crate::ledger::types::{Claim, JobError, PartOutcome, Server, Settlement};
use crate::run::{Failure, Runner};

/// Notes what a run says of the servers that it needed.
pub(super) async fn note_run(runner: &Runner, claim: &Claim, settlement: &Settlement) {
    let mut seen: BTreeMap<Server, Option<&JobError>> = BTreeMap::new();
    let repository = Server::Repository(claim.proof.target().repo.clone());
    for (fabric, outcome) in &settlement.parts {
        let netbox = runner.fabrics.get(fabric).map(|fabric| Server::NetBox(fabric.netbox.clone()));
        match outcome {
            PartOutcome::Done { .. } => {
                for server in netbox.into_iter().chain([repository.clone()]) {
                    seen.entry(server).or_insert(None);
                }
            }
            PartOutcome::Transient { error }
            | PartOutcome::Stalled { error }
            | PartOutcome::WaitUntil { error, .. } => {
                let blamed = match blamed(&error.code) {
                    Some(Side::NetBox) => netbox,
                    Some(Side::Git) => Some(repository.clone()),
                    None => None,
                };
                seen.extend(blamed.map(|server| (server, Some(error))));
            }
            PartOutcome::Refused { .. } | PartOutcome::Returned => {}
        }
    }
    for (server, failed) in seen {
        note(runner, &server, failed).await;
    }
    for (endpoint, fared) in fared(runner, claim, settlement) {
        match runner.ledger.record_run_on(&endpoint, fared).await {
            Ok(true) => {
                tracing::warn!(server = %endpoint, "run after run failed on it: one run tries it, the others wait")
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "how a run fared could not be noted");
            }
        }
    }
}

/// How the run fared with what it needed. Of several fabrics' answers the best counts: the server is there.
fn fared<'a>(runner: &Runner, claim: &Claim, settlement: &'a Settlement) -> BTreeMap<Endpoint, Fared<'a>> {
    let repository = runner.ledger.endpoint_of(&claim.proof.target().repo);
    let mut all = BTreeMap::new();
    for (fabric, outcome) in &settlement.parts {
        let netbox = runner.fabrics.get(fabric).map(|fabric| Endpoint::NetBox(fabric.netbox.clone()));
        let blamed = |error: &JobError| match blamed(&error.code) {
            Some(Side::NetBox) => netbox.clone(),
            Some(Side::Git) => Some(repository.clone()),
            None => None,
        };
        match outcome {
            PartOutcome::Done { .. } => {
                all.extend(netbox.into_iter().chain([repository.clone()]).map(|server| (server, Fared::Answered)));
            }
            // Whoever refuses is there. Settings that cannot be used are not asked with.
            PartOutcome::Stalled { error } if error.code != "netbox_settings" => {
                all.extend(blamed(error).map(|server| (server, Fared::Answered)));
            }
            PartOutcome::Transient { error } => {
                if let Some(server) = blamed(error) {
                    all.entry(server).or_insert(Fared::Failed(error));
                }
            }
            PartOutcome::WaitUntil { error, .. } => {
                let fared = match blamed(error) {
                    Some(server @ Endpoint::NetBox(_)) => Some((server, Fared::Failed(error))),
                    // The limits of a Git server are those of a token.
                    Some(server) => Some((server, Fared::AskedToWait(error))),
                    None => None,
                };
                if let Some((server, fared)) = fared {
                    all.entry(server).or_insert(fared);
                }
            }
            PartOutcome::Stalled { .. } | PartOutcome::Refused { .. } | PartOutcome::Returned => {}
        }
    }
    all
}

/// Notes whether a repository's server answered when it was asked for a head.
pub(super) async fn note_poll(runner: &Runner, server: &Server, failed: Option<&Failure>) {
    match failed.map(Failure::error) {
        // A trouble of ours says nothing about the server.
        Some(error) if blamed(&error.code).is_none() => {}
        failed => note(runner, server, failed).await,
    }
}

/// Asks a NetBox whether it is there and takes our token, and notes it.
pub(super) async fn check_netbox(runner: &Runner, name: &NetBoxName) {
    let failed = runner.check_netbox(name).await.err();
    note_poll(runner, &Server::NetBox(name.clone()), failed.as_ref()).await;
}

async fn note(runner: &Runner, server: &Server, failed: Option<&JobError>) {
    let token_expires = match server {
        Server::Repository(name) => runner.token_expires(name),
        Server::NetBox(_) => None,
    };
    if let Err(error) = runner.ledger.record_health(server, failed, token_expires).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "a server's health could not be noted");
    }
}

enum Side {
    NetBox,
    Git,
}

/// The side whose server is to blame for an error; `run::failure` spells the codes.
fn blamed(code: &str) -> Option<Side> {
    match code {
        // Somebody was faster than we: both servers are well.
        "netbox_changed" | "git_object_missing" => None,
        _ if code.starts_with("netbox_") => Some(Side::NetBox),
        _ if ["git_", "github_", "push_"].iter().any(|side| code.starts_with(side)) => Some(Side::Git),
        _ => None,
    }
}

//! One repository: its branches, what stands against writing them, the token's end, and the webhook.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use super::Notes;
use crate::config::Settings;
use crate::domain::cause::with_causes;
use crate::domain::names::{BranchName, RepoName};
use crate::domain::policy::Delivery;
use crate::repo::{Error, HookState};
use crate::run::Site;

/// A token that ends within this is worth a warning.
const SOON: Duration = Duration::from_secs(7 * 24 * 3_600);
const SET_UP: &str = "Run `fgd-sync setup github`, with a token that has the permission Webhooks: write.";

pub(super) async fn examine(settings: &Settings, name: &RepoName, site: &Site) -> Notes {
    let mut notes = Notes::about(format!("repository {name}"));
    let on_it = settings.fabrics.values().filter(|fabric| fabric.target.repo == *name);
    let branches: BTreeSet<&BranchName> = on_it.map(|fabric| &fabric.target.branch).collect();
    for name in branches {
        branch(&mut notes, site, name).await;
    }
    expiry(&mut notes, site.repository.expires());
    if let Some(receiver) = &site.receiver {
        match site.repository.webhook(receiver).await {
            Ok(None) => {}
            Ok(Some(state)) => webhook(&mut notes, receiver.as_str(), &state),
            Err(error) => notes.warn(
                format!("its webhook cannot be seen: {error}"),
                "Look at the repository's settings yourself, or give the token the permission Webhooks: read.",
            ),
        }
    }
    notes
}

async fn branch(notes: &mut Notes, site: &Site, branch: &BranchName) {
    let head = match site.repository.head(branch).await {
        Ok(Some(head)) => {
            notes.ok(format!("{branch} is at {}", &head.as_str()[..10]));
            true
        }
        Ok(None) => {
            notes.ok(format!("{branch} does not exist yet: the first commit makes it"));
            false
        }
        Err(error) => {
            let remedy = match &error {
                Error::Denied { .. } => "Put valid credentials in the settings' place for them.",
                Error::NotFound { .. } => "Correct the address, or let the token see the repository.",
                Error::Unavailable { .. } => "Check the address, the server and the network between.",
                _ => "See what the message names.",
            };
            return notes.fail(format!("{branch}: {}", with_causes(&error)), remedy);
        }
    };
    match site.repository.obstacles(branch, head).await {
        Ok(found) if found.is_empty() => {}
        Ok(found) => {
            let remedy = match site.delivery {
                Delivery::Push => "Let the token's account bypass the rule, or set `delivery: pull_request`.",
                Delivery::PullRequest => "Nothing, when the rule only forbids direct writes: edits go by pull request.",
            };
            for what in found {
                match site.delivery {
                    Delivery::Push => notes.fail(format!("{branch} cannot be written: {what}"), remedy),
                    Delivery::PullRequest => notes.warn(format!("{branch}: {what}"), remedy),
                }
            }
        }
        Err(error) => notes.warn(
            format!("the rules of {branch} cannot be seen: {error}"),
            "Nothing; a rule that forbids the write shows when it is tried.",
        ),
    }
}

fn expiry(notes: &mut Notes, expires: Option<SystemTime>) {
    let Some(expires) = expires else { return };
    let at = humantime::format_rfc3339_seconds(expires);
    match expires.duration_since(SystemTime::now()) {
        Ok(left) if left > SOON => notes.ok(format!("the token is good until {at}")),
        Ok(_) => notes.warn(format!("the token ends at {at}"), "Make a new one, and put it in the old one's place."),
        Err(_) => notes.fail(format!("the token ended at {at}"), "Make a new one, and put it in the old one's place."),
    }
}

fn webhook(notes: &mut Notes, receiver: &str, state: &HookState) {
    match state {
        HookState::Missing => {
            notes.warn(format!("no webhook leads to {receiver}: pushes are only found by polling"), SET_UP);
        }
        HookState::Found { wrong, last } => {
            if !wrong.is_empty() {
                notes.fail(format!("the webhook to {receiver} is not as it should be: {}", wrong.join(", ")), SET_UP);
            }
            match last {
                None => notes.ok(format!("a webhook leads to {receiver}; it has delivered no push yet")),
                Some(200..300) => notes.ok(format!("the last push was delivered to {receiver}")),
                Some(0) => notes.fail(
                    format!("the last push could not be delivered: nobody answered at {receiver}"),
                    "Make public_url reachable for the server: name, port, certificate, firewall.",
                ),
                Some(401) => notes
                    .fail("the last push was refused with 401: the webhook's secret is none of the settings", SET_UP),
                Some(status) => notes.fail(
                    format!("the last push was answered with {status}"),
                    "See whether public_url leads to this service, and look into its log.",
                ),
            }
        }
    }
}

//! One NetBox: its version and clock, the token's permissions, and whether changes are told to us.

use std::time::Duration;

use super::Notes;
use crate::app::secrets;
use crate::config::{Settings, Switch};
use crate::domain::cause::with_causes;
use crate::domain::kind::Kind;
use crate::netbox::{Access, Client, Error, Examined, Hooks, Model};

/// The difference of two clocks that nobody would notice; the header tells whole seconds.
const SKEW: Duration = Duration::from_secs(30);
const SET_UP: &str = "Run `fgd-sync setup netbox`.";
/// Object types that a message names.
const NAMED: usize = 6;

pub(super) async fn examine(settings: &Settings, client: &Client) -> Notes {
    let mut notes = Notes::about(format!("netbox {}", client.name()));
    let known = match secrets(&settings.netboxes[client.name()].webhook_secrets) {
        Ok(known) => known,
        Err(error) => {
            notes.fail(with_causes(&error), "Mend the webhook secret's file.");
            return notes;
        }
    };
    let receiver = match settings.public_url.join("webhooks/netbox") {
        Ok(receiver) => receiver,
        Err(error) => {
            notes.fail(format!("public_url: {error}"), "Set it to this service's own address.");
            return notes;
        }
    };
    let found = match client.examine(&receiver, &known).await {
        Ok(found) => found,
        Err(error) => {
            let remedy = match &error {
                Error::Denied { .. } => {
                    "Put a valid token in the settings' place for it, and see that its user is active."
                }
                Error::Unavailable { .. } => "Check the url, NetBox itself and the network between.",
                _ => "Set `url` to where NetBox itself answers.",
            };
            notes.fail(with_causes(&error), remedy);
            return notes;
        }
    };
    version(&mut notes, client.model(), &found);
    clock(&mut notes, found.skew);
    access(&mut notes, &found.access);
    match &found.change_log {
        Ok(()) => notes.ok("the change log can be read"),
        Err(error) => notes.warn(
            format!("the change log cannot be read: a change whose webhook was lost waits for the full comparison, and a deletion is held then: {error}"),
            "Let the token's user view core > object change.",
        ),
    }
    if settings.netboxes[client.name()].journal == Switch::On {
        journal(&mut notes, &client.may_write_journal().await);
    }
    hooks(&mut notes, receiver.as_str(), &found.hooks);
    notes
}

fn version(notes: &mut Notes, model: Model, found: &Examined) {
    let (plugin, name) = match model {
        Model::CustomObjects => ("netbox_custom_objects", "the custom objects plugin"),
        Model::Hedgehog => ("netbox_hedgehog", "the Hedgehog plugin"),
    };
    let netbox = &found.status.version;
    match found.status.plugins.get(plugin) {
        Some(version) => notes.ok(format!("NetBox {netbox} answers and takes the token; {plugin} {version}")),
        None => notes.fail(
            format!("NetBox {netbox} answers, but has no {plugin}"),
            format!("Install {name} in NetBox, or correct `model` in the settings."),
        ),
    }
}

fn clock(notes: &mut Notes, skew: Option<Duration>) {
    match skew {
        Some(skew) if skew <= SKEW => notes.ok("its clock and ours agree"),
        Some(skew) => notes.warn(
            format!("its clock and ours are {} s apart", skew.as_secs()),
            "Let both machines follow a time server: times in conflicts and logs mislead otherwise.",
        ),
        None => notes.warn("it does not tell its time", "Let the proxy in between pass the Date header."),
    }
}

fn access(notes: &mut Notes, access: &[(Kind, Result<Access, Error>)]) {
    let mut full = 0;
    let mut lacking = Vec::new();
    for (kind, access) in access {
        match access {
            Ok(Access { view: true, add: true, change: true }) => full += 1,
            // What else it may not is not known.
            Ok(Access { view: false, .. }) => lacking.push(format!("{kind} (view)")),
            Ok(Access { view: true, add, change }) => {
                let not: Vec<_> = [(*add, "add"), (*change, "change")]
                    .iter()
                    .filter(|(may, _)| !may)
                    .map(|(_, what)| *what)
                    .collect();
                lacking.push(format!("{kind} ({})", not.join(", ")));
            }
            Err(error @ Error::NoEndpoint { .. }) => notes.fail(with_causes(error), SET_UP),
            Err(error) => notes.fail(format!("{kind}: {error}"), format!("Let the token's user view {kind} objects.")),
        }
    }
    if full > 0 {
        notes.ok(format!(
            "the token may view, add and change {full} of {} kinds (NetBox does not tell of delete)",
            access.len()
        ));
    }
    if !lacking.is_empty() {
        notes.fail(
            format!("the token lacks permissions: {}", lacking.join(", ")),
            "Give its user the permission, and the token `write enabled`.",
        );
    }
}

fn journal(notes: &mut Notes, may: &Result<bool, Error>) {
    const REMEDY: &str = "Let the token's user add extras > journal entry, or take `journal` out of the settings.";
    match may {
        Ok(true) => notes.ok("the token may write journal entries"),
        Ok(false) => notes.fail("the token lacks permissions: journal entry (add)", REMEDY),
        Err(error) => notes.fail(format!("journal entries cannot be written: {error}"), REMEDY),
    }
}

fn hooks(notes: &mut Notes, receiver: &str, hooks: &Result<Hooks, Error>) {
    match hooks {
        Err(error) => notes.warn(
            format!("webhooks and event rules cannot be seen: {error}"),
            "Look at them yourself, or let the token's user view extras > webhook and event rule.",
        ),
        Ok(Hooks::Missing) => {
            notes.warn(format!("no webhook leads to {receiver}: changes are only found by comparisons"), SET_UP);
        }
        Ok(Hooks::Found { secret, uncovered, conditional }) => {
            if *secret {
                notes.ok(format!("a webhook leads to {receiver}, with a secret of the settings"));
            } else {
                notes.fail(
                    format!("the secret of the webhook to {receiver} is none of the settings: each delivery gets 401"),
                    SET_UP,
                );
            }
            if uncovered.is_empty() {
                notes.ok("event rules send every change of every kind");
            } else {
                let named: Vec<_> = uncovered.iter().take(NAMED).map(String::as_str).collect();
                let more = uncovered.len().saturating_sub(NAMED);
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                notes.warn(format!("no event rule sends {}{more}", named.join(", ")), SET_UP);
            }
            for rule in conditional {
                notes.warn(
                    format!("the event rule {rule} sends only what its conditions let through"),
                    "Take the conditions away, or know that the rest is only found by comparisons.",
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::doctor::Verdict;

    fn verdict_of(skew: Option<u64>) -> Verdict {
        let mut notes = Notes::about("netbox main");
        clock(&mut notes, skew.map(Duration::from_secs));
        notes.findings[0].verdict
    }

    #[test]
    fn a_clock_that_misleads_is_a_warning() {
        assert_eq!(
            [Some(0), Some(30), Some(31), None].map(verdict_of),
            [Verdict::Ok, Verdict::Ok, Verdict::Warning, Verdict::Warning]
        );
    }
}

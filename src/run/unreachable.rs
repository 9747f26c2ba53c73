//! NetBoxes that did not answer: who waited for one in vain does not wait once more for each fabric that needs it.

use std::collections::BTreeMap;

use crate::domain::names::NetBoxName;

use super::Runner;
use super::failure::Failure;

/// What was found out while several fabrics were dealt with, one after the other.
#[derive(Default)]
pub struct Unreachable(BTreeMap<NetBoxName, Failure>);

impl Unreachable {
    /// What everything fails with that needs this NetBox, without asking it.
    pub fn failure(&self, netbox: &NetBoxName) -> Option<&Failure> {
        self.0.get(netbox)
    }

    /// Takes note of what a fabric failed with. One that NetBox could not answer for says nothing of the others: NetBox
    /// itself is asked once, unless it said when it wants to be asked again.
    pub async fn note(&mut self, runner: &Runner, netbox: &NetBoxName, failure: &Failure) {
        if self.0.contains_key(netbox) || !failure.is_netbox_unavailable() {
            return;
        }
        let of_all = match failure {
            Failure::WaitUntil { .. } => true,
            Failure::Transient(_)
            | Failure::Conflict(_)
            | Failure::Stalled(_)
            | Failure::Directory(_)
            | Failure::Refused(_) => {
                runner.check_netbox(netbox).await.is_err_and(|failure| failure.is_netbox_unavailable())
            }
        };
        if of_all {
            self.0.insert(netbox.clone(), failure.clone());
        }
    }
}

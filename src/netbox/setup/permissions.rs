//! What the token may do, asked before anything is changed.
//!
//! NetBox tells it in the answer to OPTIONS on a list: an `actions` entry `POST` stands for the permission to add, `PUT`
//! for the one to change, and a token that may only read gets neither (seen on NetBox 4.7.3). A token that may not even
//! view gets neither too, whatever else it may, and still a 200: so viewing is tried. The permission to delete cannot be
//! seen without deleting.

use std::fmt;

use crate::netbox::Error;
use crate::netbox::client::Client;

/// A permission of NetBox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    View,
    Add,
    Change,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::View => "view",
            Self::Add => "add",
            Self::Change => "change",
        })
    }
}

pub(super) const ALL: [Action; 3] = [Action::View, Action::Add, Action::Change];

/// Permissions that are needed on one list endpoint.
pub(super) struct Need {
    /// Below `/api/`.
    pub path: String,
    pub actions: &'static [Action],
}

/// What of the needs the token lacks, one line each, such as `add, change extras/webhooks/`; where it may not view, that
/// alone, for NetBox hides the rest. An endpoint that does not exist (yet) lacks nothing.
pub(super) async fn lacking(client: &Client, needs: &[Need]) -> Result<Vec<String>, Error> {
    let mut lacking = Vec::new();
    for Need { path, actions } in needs {
        let mut missing = Vec::new();
        if actions.contains(&Action::View) && !may_view(client, path).await? {
            lacking.push(format!("{} {path}", Action::View));
            continue;
        }
        for action in *actions {
            let granted = match action {
                Action::View => true,
                Action::Add => offers(client, path, "POST").await?,
                Action::Change => offers(client, path, "PUT").await?,
            };
            missing.extend((!granted).then(|| action.to_string()));
        }
        if !missing.is_empty() {
            lacking.push(format!("{} {path}", missing.join(", ")));
        }
    }
    Ok(lacking)
}

async fn offers(client: &Client, path: &str, method: &str) -> Result<bool, Error> {
    match client.http.options(path).await {
        Ok(answer) => Ok(answer.pointer(&format!("/actions/{method}")).is_some()),
        Err(Error::NoEndpoint { .. }) => Ok(true),
        Err(Error::Denied { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

pub(in crate::netbox) async fn may_view(client: &Client, path: &str) -> Result<bool, Error> {
    let query = [("ordering", "id".to_owned()), ("limit", "1".to_owned()), ("omit", "display_url".to_owned())];
    match client.http.get(path, &query).await {
        Ok(_) => Ok(true),
        Err(Error::Denied { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}

//! The lab's NetBox: the stand-in, or a real one.

use std::process::Command;

use serde_json::{Value, json};

use crate::support::app::FABRIC;
use crate::support::fakes::netbox::{NetBox, Object, TOKEN};
use crate::support::process::Failure;
use crate::support::real_netbox::RealNetBox;

/// The NetBox of the story, and alice who works in it.
pub enum LabNetBox {
    StandIn(Box<NetBox>),
    /// Started by `tests/netbox/up`, stopped when dropped.
    Real(RealNetBox),
}

impl LabNetBox {
    /// A stand-in with nothing set up.
    pub fn stand_in() -> Self {
        Self::StandIn(Box::new(NetBox::bare()))
    }

    /// Installs and starts a real NetBox; the first time that takes minutes.
    pub fn real() -> Result<Self, Failure> {
        let status = Command::new("tests/netbox/up").status()?;
        if !status.success() {
            return Err(Failure(format!("tests/netbox/up failed ({status}); its logs are in .dev/netbox/logs")));
        }
        Ok(Self::Real(RealNetBox::running().map_err(Failure)?))
    }

    /// What it is, for the story.
    pub fn what(&self) -> &'static str {
        match self {
            Self::StandIn(_) => "a NetBox stand-in",
            Self::Real(_) => "a real NetBox 4.7.3",
        }
    }

    /// Its address; ends with `/`.
    pub fn url(&self) -> &str {
        match self {
            Self::StandIn(netbox) => netbox.url(),
            Self::Real(netbox) => &netbox.url,
        }
    }

    /// The service's token.
    pub fn token(&self) -> &str {
        match self {
            Self::StandIn(_) => TOKEN,
            Self::Real(netbox) => &netbox.token,
        }
    }

    /// Sends the webhooks that are due and returns how many; a real NetBox sends its own.
    pub async fn deliver(&self) -> Result<usize, Failure> {
        let Self::StandIn(netbox) = self else { return Ok(0) };
        let answers = netbox.deliver_all(None).await;
        for answer in &answers {
            match answer {
                Ok(200 | 202) => {}
                Ok(status) => return Err(Failure(format!("a NetBox delivery was answered with {status}"))),
                Err(error) => return Err(Failure(error.clone())),
            }
        }
        Ok(answers.len())
    }

    /// The fabric's rows of a kind.
    pub async fn rows(&self, kind: &str) -> Vec<Value> {
        match self {
            Self::StandIn(netbox) => netbox.rows(kind),
            Self::Real(netbox) => netbox.rows(FABRIC, kind).await,
        }
    }

    /// How many changes there were so far, whoever made them.
    pub async fn changes(&self) -> usize {
        match self {
            Self::StandIn(netbox) => netbox.changes().len(),
            Self::Real(netbox) => usize::try_from(netbox.recorded_changes().await).unwrap_or(usize::MAX),
        }
    }

    /// Alice changes fields of an object.
    pub async fn update(&self, kind: &str, name: &str, fields: Value) -> Result<(), Failure> {
        let id = self.id(kind, name).await?;
        match self {
            Self::StandIn(netbox) => netbox.user("alice").update(kind, id, fields),
            Self::Real(netbox) => netbox.patch(kind, id, fields).await,
        }
        Ok(())
    }

    /// Alice renames an object.
    pub async fn rename(&self, kind: &str, old: &str, new: &str) -> Result<(), Failure> {
        self.update(kind, old, json!({"name": new})).await
    }

    /// Alice deletes an object.
    pub async fn delete(&self, kind: &str, name: &str) -> Result<(), Failure> {
        let id = self.id(kind, name).await?;
        match self {
            Self::StandIn(netbox) => netbox.user("alice").delete(kind, id),
            Self::Real(netbox) => netbox.delete(kind, id).await,
        }
        Ok(())
    }

    /// Alice creates objects in one request.
    pub async fn create_many(&self, kind: &str, objects: Vec<(String, Value)>) {
        match self {
            Self::StandIn(netbox) => {
                let object = |(name, spec): &(String, Value)| Object::new(kind, FABRIC, name, spec.clone());
                netbox.user("alice").bulk_create(&objects.iter().map(object).collect::<Vec<_>>());
            }
            Self::Real(netbox) => {
                netbox.create(FABRIC, kind, &objects).await;
            }
        }
    }

    async fn id(&self, kind: &str, name: &str) -> Result<u64, Failure> {
        let row = self.rows(kind).await.into_iter().find(|row| row["name"] == name);
        row.and_then(|row| row["id"].as_u64()).ok_or_else(|| Failure(format!("NetBox has no {kind} {name}")))
    }
}

impl Drop for LabNetBox {
    fn drop(&mut self) {
        if let Self::Real(_) = self {
            let _ = Command::new("tests/netbox/down").status();
        }
    }
}

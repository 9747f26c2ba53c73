//! The client: its options, the two models of objects, and the fabrics.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::domain::kind::{Catalogue, Kind, KindSpec};
use crate::domain::names::{FabricName, NetBoxName};
use crate::domain::secret::SecretSource;

use super::Error;
use super::form::Form;
use super::http::Http;

/// One NetBox of the settings.
pub struct Options {
    pub name: NetBoxName,
    /// Where NetBox itself answers, a path prefix included; `api/` is appended.
    pub url: Url,
    /// Version 2 (`nbt_...`) and version 1 (40 hex digits) are told apart by their look.
    pub token: SecretSource,
    pub model: Model,
    /// The kinds that it is asked for.
    pub catalogue: Catalogue,
    /// PEM certificates trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Used for every request; the environment's proxies are not.
    pub proxy: Option<Url>,
    pub timeouts: Timeouts,
}

/// How long one request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    pub connect: Duration,
    /// For a whole GET, its body included.
    pub read: Duration,
    /// For a whole write.
    pub write: Duration,
    /// How long a write whose answer was lost is given to appear, before it is sent again.
    pub appear: Duration,
    /// Before a failed GET is tried again; doubles.
    pub pause: Duration,
}

impl Default for Timeouts {
    /// A page of 1,000 rows takes NetBox seconds; a lot of 100 rows up to ten.
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(60),
            write: Duration::from_secs(60),
            appear: Duration::from_secs(60),
            pause: Duration::from_millis(100),
        }
    }
}

/// How NetBox holds the objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// One custom object type per kind; the fabric is a text field.
    CustomObjects,
    /// The Hedgehog plugin's tables; the fabric is a row of its own.
    Hedgehog,
}

/// What NetBox says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Status {
    #[serde(rename = "netbox-version")]
    pub version: String,
    /// Name to version.
    #[serde(default)]
    pub plugins: BTreeMap<String, String>,
}

/// A connection to one NetBox. Everything it does may be repeated.
pub struct Client {
    pub(super) http: Http,
    name: NetBoxName,
    model: Model,
    catalogue: Catalogue,
    /// The plugin's fabrics as last read; every listing and `fabrics` refresh them.
    fabrics: Mutex<Arc<BTreeMap<u64, String>>>,
    /// Custom object slug to NetBox's own name of the type, as last read.
    pub(super) object_types: Mutex<Arc<BTreeMap<String, String>>>,
    /// Kinds that have no journal, as NetBox said.
    pub(super) without_journal: Mutex<BTreeSet<Kind>>,
    /// Whether it was already said that edits cannot be audited.
    pub(super) audit_warned: std::sync::atomic::AtomicBool,
}

impl Client {
    /// Checks the options; nothing is sent yet.
    pub fn new(options: Options) -> Result<Client, Error> {
        let Options { name, url, token, model, catalogue, ca_file, proxy, timeouts } = options;
        let http = Http::new(name.clone(), url, token, timeouts, ca_file.as_deref(), proxy)?;
        Ok(Client {
            http,
            name,
            model,
            catalogue,
            fabrics: Mutex::default(),
            object_types: Mutex::default(),
            without_journal: Mutex::default(),
            audit_warned: std::sync::atomic::AtomicBool::new(false),
        })
    }

    /// Its name in the settings.
    pub fn name(&self) -> &NetBoxName {
        &self.name
    }

    /// How it holds the objects.
    pub fn model(&self) -> Model {
        self.model
    }

    /// Asks for version and plugins; also shows whether the token is good.
    pub async fn status(&self) -> Result<Status, Error> {
        Ok(self.dated_status().await?.0)
    }

    /// As `status`, with the time by NetBox's clock where it tells it.
    pub(super) async fn dated_status(&self) -> Result<(Status, Option<SystemTime>), Error> {
        let (value, date) = self.http.get_dated("status/").await?;
        let status = serde_json::from_value(value);
        Ok((status.map_err(|error| self.http.unexpected("GET /api/status/", error.to_string()))?, date))
    }

    /// The plugin's fabrics, id to name; `None` for custom objects, where the fabric is a text field.
    pub async fn fabrics(&self) -> Result<Option<BTreeMap<u64, String>>, Error> {
        match self.model {
            Model::CustomObjects => Ok(None),
            Model::Hedgehog => Ok(Some(self.fresh_fabrics().await?.as_ref().clone())),
        }
    }

    /// Reads the fabrics. Only id and name are asked for: their rows carry cluster tokens in clear.
    pub(super) async fn fresh_fabrics(&self) -> Result<Arc<BTreeMap<u64, String>>, Error> {
        #[derive(Deserialize)]
        struct WireFabric {
            id: u64,
            name: String,
        }
        let path = "plugins/hedgehog/fabrics/";
        let rows = self.http.list(path, &[("fields", "id,name".to_owned())]).await?;
        let mut fabrics = BTreeMap::new();
        for row in rows {
            let fabric: WireFabric = serde_json::from_value(Value::Object(row))
                .map_err(|error| self.http.unexpected("GET /api/plugins/hedgehog/fabrics/", error.to_string()))?;
            fabrics.insert(fabric.id, fabric.name);
        }
        let fabrics = Arc::new(fabrics);
        *self.fabrics.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&fabrics);
        Ok(fabrics)
    }

    /// The fabrics as last read; empty before the first reading and for custom objects.
    pub(super) fn known_fabrics(&self) -> Arc<BTreeMap<u64, String>> {
        Arc::clone(&self.fabrics.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a row's `fabric` field must say to belong to this fabric.
    pub(super) async fn fabric_field(&self, spec: &KindSpec, fabric: &FabricName) -> Result<Value, Error> {
        let id_in = |fabrics: &BTreeMap<u64, String>| {
            fabrics.iter().find(|(_, name)| name.as_str() == fabric.as_str()).map(|(id, _)| Value::from(*id))
        };
        match self.form(spec) {
            Form::CustomObject { .. } | Form::Mapped(_) => Ok(Value::from(fabric.as_str())),
            Form::Plugin { .. } => id_in(self.fresh_fabrics().await?.as_ref()).ok_or_else(|| self.no_fabric(fabric)),
        }
    }

    pub(super) fn no_fabric(&self, fabric: &FabricName) -> Error {
        self.http.no_endpoint(
            &format!("fabric `{fabric}`"),
            "create it in NetBox, or give the token's user permission to view it".to_owned(),
        )
    }

    /// The catalogue's entry of a kind.
    pub(super) fn spec(&self, kind: &Kind) -> Result<&KindSpec, Error> {
        self.catalogue.get(kind).ok_or_else(|| {
            self.http.no_endpoint(&format!("endpoint for {kind}"), "the kind is not in the catalogue".to_owned())
        })
    }

    /// All kinds that it may be asked for.
    pub(super) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    /// How a kind's rows look here.
    pub(super) fn form<'s>(&self, spec: &'s KindSpec) -> Form<'s> {
        Form::of(spec, self.model)
    }

    /// The list endpoint of a kind, below `/api/`.
    pub(super) fn path(&self, spec: &KindSpec) -> String {
        self.form(spec).path()
    }
}

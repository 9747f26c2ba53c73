//! Live rows: one by id, all of one key, all of a fabric.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::domain::key::{Key, ObjectId};
use crate::domain::kind::{Kind, KindSpec};
use crate::domain::names::FabricName;
use crate::domain::row::Row;

use super::Error;
use super::client::Client;
use super::form::Form;
use super::rows::{self, Found, MissingField};

/// Every row of a kind in a fabric; ordered by id.
#[derive(Debug, Default)]
pub struct Listing {
    /// Rows that are as the caller knows them, by id: their content is gone with the page that it came in.
    pub as_known: BTreeSet<u64>,
    pub others: Vec<Found>,
}

impl Client {
    /// The row with this id; `None` when NetBox says that there is none (or that the token may not see it).
    ///
    /// A 404 is believed only from an endpoint that otherwise answers: a plugin that was removed deletes nothing.
    pub async fn read(&self, object: &ObjectId) -> Result<Option<Found>, Error> {
        let spec = self.spec(&object.kind)?;
        let path = format!("{}{}/", self.path(spec), object.id);
        match self.http.get(&path, &self.form(spec).query()).await? {
            Some(Value::Object(wire)) => self.found(spec, object.id, &wire).await.map(Some),
            Some(_) => Err(self.http.unexpected(&format!("GET {}", self.http.shown(&path)), "no row".to_owned())),
            None => {
                self.control_read(spec).await?;
                Ok(None)
            }
        }
    }

    /// Every row of this fabric that holds the key, unusable ones included: complete, whatever filters NetBox honours.
    pub async fn find(&self, fabric: &FabricName, key: &Key) -> Result<Vec<Found>, Error> {
        let spec = self.spec(&key.kind)?;
        // A text field's filter finds more than equal values, never less; the plugin has no filters at all.
        let filters = self.form(spec).filters(fabric, Some(&key.name));
        self.listed(spec, filters, |found| (found.is_of(fabric) && found.key() == Some(key)).then_some(found)).await
    }

    /// Every row of a kind in this fabric, ordered by id: complete, or an error.
    pub async fn list(&self, fabric: &FabricName, kind: &Kind) -> Result<Vec<Found>, Error> {
        Ok(self.list_but(fabric, kind, |_| false).await?.others)
    }

    /// As `list`, but of rows that are known to the caller with this very content only the id.
    pub async fn list_but(
        &self,
        fabric: &FabricName,
        kind: &Kind,
        mut is_known: impl FnMut(&Row) -> bool,
    ) -> Result<Listing, Error> {
        enum Kept {
            Known(u64),
            Other(Box<Found>),
        }
        let spec = self.spec(kind)?;
        let keep = |found: Found| match &found {
            _ if !found.is_of(fabric) => None,
            Found::Row { row, .. } if is_known(row) => Some(Kept::Known(row.id)),
            Found::Row { .. } | Found::Invalid { .. } => Some(Kept::Other(Box::new(found))),
        };
        let mut listing = Listing::default();
        for kept in self.listed(spec, self.form(spec).filters(fabric, None), keep).await? {
            match kept {
                Kept::Known(id) => _ = listing.as_known.insert(id),
                Kept::Other(found) => listing.others.push(*found),
            }
        }
        Ok(listing)
    }

    /// What is kept of the rows that a listing with these filters gives; at least those that match.
    pub(super) async fn listed<T>(
        &self,
        spec: &KindSpec,
        filters: Vec<(String, String)>,
        mut keep: impl FnMut(Found) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let form = self.form(spec);
        let fabrics = match form {
            Form::CustomObject { .. } | Form::Mapped(_) => self.known_fabrics(),
            Form::Plugin { .. } => self.fresh_fabrics().await?,
        };
        let mut query: Vec<(&str, String)> = form.query();
        query.extend(filters.iter().map(|(name, value)| (name.as_str(), value.clone())));
        let path = form.path();
        self.http.list_as(&path, &query, |id, wire| Ok(keep(self.parse(spec, id, &wire, &fabrics)?))).await
    }

    /// One row, with its fabric's name looked up again when the id is new to us.
    pub(super) async fn found(&self, spec: &KindSpec, id: u64, wire: &Map<String, Value>) -> Result<Found, Error> {
        let mut fabrics = self.known_fabrics();
        if matches!(self.form(spec), Form::Plugin { .. }) && rows::unknown_fabric(wire, &fabrics) {
            fabrics = self.fresh_fabrics().await?;
        }
        self.parse(spec, id, wire, &fabrics)
    }

    fn parse(
        &self,
        spec: &KindSpec,
        id: u64,
        wire: &Map<String, Value>,
        fabrics: &BTreeMap<u64, String>,
    ) -> Result<Found, Error> {
        self.form(spec).parse(spec, id, wire, fabrics).map_err(|MissingField(field)| {
            let endpoint = self.http.shown(&self.path(spec));
            self.http.no_endpoint(
                &format!("field `{field}` at {endpoint}"),
                "run `fgd-sync setup netbox`, or give the token's user permission to view it".to_owned(),
            )
        })
    }

    /// Asks an endpoint for one row, to know that it works.
    pub(super) async fn control_read(&self, spec: &KindSpec) -> Result<(), Error> {
        let mut query = self.form(spec).query();
        query.extend([("ordering", "id".to_owned()), ("limit", "1".to_owned())]);
        self.http.get_present(&self.path(spec), &query).await.map(|_| ())
    }
}

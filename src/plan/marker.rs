//! The marker: whose directory it is, and which ledger remembers it.

use std::collections::BTreeSet;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::render::text;
use super::rewrite::rewrite;
use super::yaml;
use crate::domain::fate::Reason;
use crate::domain::names::{FabricName, LedgerId};

/// What the marker of a fabric's directory says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marker {
    pub fabric: FabricName,
    pub ledger: LedgerId,
    /// Files that were found when the directory was first seen are still to be taken over.
    pub onboarding: bool,
    /// Parts of the skeleton that were missing and put back once; they are not put back again.
    pub restored: BTreeSet<String>,
}

impl Marker {
    /// The marker of a directory that has nothing to catch up with.
    pub fn new(fabric: FabricName, ledger: LedgerId) -> Self {
        Self { fabric, ledger, onboarding: false, restored: BTreeSet::new() }
    }
}

/// What a marker file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MarkerState {
    /// Names a fabric and a ledger, this one or another.
    Named(Marker),
    /// A marker of the service before us: no ledger has it.
    NoLedger,
    /// Not readable; nothing is written to the directory's marker until a person has looked.
    Broken(Reason),
}

const OWN: &str = "fgd-sync";

/// Reads a marker file. An empty one names no ledger.
pub fn read_marker(bytes: &[u8]) -> MarkerState {
    let map = match fields(bytes) {
        Ok(map) => map,
        Err(reason) => return MarkerState::Broken(reason),
    };
    let own = map.get(OWN).and_then(Value::as_object);
    let text = |field: &str| own.and_then(|own| own.get(field)).and_then(Value::as_str).filter(|text| !text.is_empty());
    match (text("fabric"), text("ledger")) {
        (Some(fabric), Some(ledger)) => {
            let field = |name: &str| own.and_then(|own| own.get(name));
            let restored = field("restored").and_then(Value::as_array).into_iter().flatten();
            MarkerState::Named(Marker {
                fabric: FabricName::new(fabric),
                ledger: LedgerId::new(ledger),
                onboarding: field("onboarding").and_then(Value::as_bool).unwrap_or_default(),
                restored: restored.filter_map(Value::as_str).map(str::to_owned).collect(),
            })
        }
        (_, None) => MarkerState::NoLedger,
        (None, Some(_)) => MarkerState::Broken(Reason::new("broken_marker", "the marker names a ledger but no fabric")),
    }
}

/// A marker file. Whatever else stood in `existing` is kept.
pub fn render_marker(marker: &Marker, existing: Option<&[u8]>) -> Bytes {
    let mut map = existing.and_then(|bytes| fields(bytes).ok()).unwrap_or_default();
    let mut own = Map::new();
    own.insert("fabric".to_owned(), Value::from(marker.fabric.as_str()));
    own.insert("ledger".to_owned(), Value::from(marker.ledger.as_str()));
    if marker.onboarding {
        own.insert("onboarding".to_owned(), Value::Bool(true));
    }
    if !marker.restored.is_empty() {
        own.insert("restored".to_owned(), marker.restored.iter().map(String::as_str).collect());
    }
    map.insert(OWN.to_owned(), Value::Object(own));
    existing.and_then(|text| rewrite(text, &map)).unwrap_or_else(|| text(&map))
}

fn fields(bytes: &[u8]) -> Result<Map<String, Value>, Reason> {
    match yaml::read(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_)) => {
            Err(Reason::new("broken_marker", "the marker is not a mapping"))
        }
        Err(fault) => Err(Reason::new("broken_marker", fault.message).at(fault.line, fault.column)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker() -> Marker {
        Marker::new(FabricName::new("lab"), LedgerId::new("01LEDGER"))
    }

    #[test]
    fn a_marker_reads_back_what_was_written() {
        assert_eq!(read_marker(&render_marker(&marker(), None)), MarkerState::Named(marker()));
    }

    #[test]
    fn what_the_directory_has_to_catch_up_with_is_kept() {
        let restored = ["README.md", "managed/vpcs"].map(str::to_owned).into();
        let waiting = Marker { onboarding: true, restored, ..marker() };

        assert_eq!(read_marker(&render_marker(&waiting, None)), MarkerState::Named(waiting));
    }

    #[test]
    fn comments_in_a_marker_stay() {
        let old = b"# Ask the lab first.\nfgd-sync:\n  fabric: lab\n  ledger: 01OLD\n";

        let new = render_marker(&marker(), Some(old));

        assert_eq!(new, "# Ask the lab first.\nfgd-sync:\n  fabric: lab\n  ledger: 01LEDGER\n");
    }

    #[test]
    fn a_marker_of_the_service_before_us_names_no_ledger_and_keeps_its_fields() {
        let old = br#"{"apiVersion": "v1", "fabric": "lab", "created": "2025-01-01"}"#;
        assert_eq!(read_marker(old), MarkerState::NoLedger);

        let new = render_marker(&marker(), Some(old));

        assert_eq!(read_marker(&new), MarkerState::Named(marker()));
        assert!(String::from_utf8_lossy(&new).contains("2025-01-01"));
    }

    #[test]
    fn a_marker_that_cannot_be_read_is_broken() {
        for text in ["[", "- a", "fgd-sync: {ledger: x}"] {
            assert!(matches!(read_marker(text.as_bytes()), MarkerState::Broken(_)), "{text}");
        }
    }
}

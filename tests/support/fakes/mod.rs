//! Stand-ins for servers that cannot run here: stateful, strict, with faults as data.

pub mod collector;
pub mod github;
pub mod netbox;

//! How NetBox says which fabric a row belongs to.

use super::names::FabricName;

/// The fabric of a row, as a delivery or the change log names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum FabricRef {
    /// The plugin's primary key.
    Id(u64),
    Name(FabricName),
    /// It is not said: it may be any of the NetBox's.
    Any,
}

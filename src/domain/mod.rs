//! Values only: no I/O, no clock, no async (a secret alone can be read from its file). Every other module speaks in
//! these words.

pub mod cause;
pub mod change;
pub mod conflict;
pub mod digest;
pub mod document;
pub mod drift;
pub mod edit;
pub mod fate;
pub mod file_edit;
pub mod history;
pub mod key;
pub mod kind;
pub mod lease;
pub mod mapping;
pub mod names;
pub mod network;
pub mod path;
pub mod pointer;
pub mod policy;
pub mod proposal;
pub mod report;
pub mod role;
pub mod rollback;
pub mod row;
pub mod secret;

//! The rules of the decision table, one test each.

mod deletions;
mod directory;
mod paths;
mod raw_documents;
mod sides;
mod table;
mod taking_apart;

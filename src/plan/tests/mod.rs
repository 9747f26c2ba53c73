//! The rules of the decision table, one test each.

mod conflicts;
mod deletions;
mod direction;
mod directory;
mod merge;
mod moving;
mod paths;
mod raw_documents;
mod sides;
mod table;
mod taking_apart;
mod unchanged;

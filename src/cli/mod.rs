//! The commands, one file each, and what they share.
//!
//! Some work on the settings (`serve`, `check`, `doctor`, `setup`), some on a running service over its API (`fabrics`,
//! `sync`, `jobs`, `conflicts`, `drift`), `init` on either, some on nothing but files (`lint`, `openapi`, `settings`, `completions`).

pub mod check;
mod client;
pub mod completions;
pub mod conflicts;
pub mod doctor;
pub mod drift;
pub mod exit;
pub mod fabrics;
pub mod init;
pub mod jobs;
pub mod lint;
pub mod openapi;
mod output;
pub mod reference;
pub mod serve;
pub mod settings;
pub mod setup;
pub mod sync;
mod views;
mod wait;

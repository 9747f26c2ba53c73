//! Subcommands with more to them than a call.

pub mod init;
pub mod lint;

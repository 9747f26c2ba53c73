//! Subcommands that need no service.

pub mod lint;

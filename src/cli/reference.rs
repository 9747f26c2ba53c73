//! `fgd-sync settings`: every setting, for people.

use fgd_sync::config;

use super::exit::Exit;
use super::output::print;

/// Runs it.
pub fn run() -> Exit {
    print(&config::reference());
    Exit::Done
}

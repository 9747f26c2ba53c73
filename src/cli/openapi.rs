//! `fgd-sync openapi`: the API's description.

use fgd_sync::http;

use super::exit::{Exit, fail};
use super::output::print;

/// Runs it.
pub fn run() -> Exit {
    match http::openapi().to_pretty_json() {
        Ok(text) => {
            print(&format!("{text}\n"));
            Exit::Done
        }
        Err(error) => fail(&error),
    }
}

//! What only the kind `github` has, against the stand-in: faults, limits, rules, tokens.

use std::sync::Arc;
use std::time::Duration;

use fgd_sync::domain::secret::SecretSource;
use fgd_sync::repo::github::pace::InProcessPace;
use fgd_sync::repo::github::{Auth, Options, Signing, Timeouts};

use crate::support::fakes::github::{GitHub, TOKEN};

/// With the stand-in's token, and no gap between writes.
pub fn options_for(github: &GitHub, owner: &str, name: &str) -> Options {
    Options {
        api: github.rest_url().parse().unwrap(),
        owner: owner.to_owned(),
        name: name.to_owned(),
        auth: Auth::Token(SecretSource::Text(TOKEN.into())),
        installations: Arc::default(),
        pace: Arc::new(InProcessPace::new(Duration::ZERO)),
        ca_file: None,
        proxy: None,
        timeouts: Timeouts::default(),
        signing: Signing::Nobody,
    }
}

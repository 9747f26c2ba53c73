//! How a client of GitHub's API is opened in tests and benchmarks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fgd_sync::domain::secret::SecretSource;
use fgd_sync::repo::github::pace::InProcessPace;
use fgd_sync::repo::github::{Auth, Options, Signing, Timeouts};

/// A repository (`owner/name`) below an API's root, with a token, and no gap between writes.
pub fn github_options(api: &str, repository: &str, token: &str) -> Options {
    let (owner, name) = repository.split_once('/').expect("a repository is named owner/name");
    Options {
        api: api.parse().expect("the API's root is an address"),
        owner: owner.to_owned(),
        name: name.to_owned(),
        auth: Auth::Token(SecretSource::Text(token.into())),
        installations: Arc::default(),
        pace: Arc::new(InProcessPace::new(Duration::ZERO)),
        ca_file: None,
        proxy: None,
        timeouts: Timeouts::default(),
        signing: Signing::Nobody,
        now: Arc::new(Instant::now),
    }
}

//! Sessions of people who signed in to the dashboard. Any replica knows them, and ending one ends it everywhere.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::options::millis;
use super::{Error, Ledger, json, parse};

/// Whose session it is: a token of the settings, as it was when its holder signed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// The token's name.
    pub token: String,
    /// SHA-256 of the token, in hex: a session ends when another token takes the name.
    pub digest: String,
}

impl Ledger {
    /// Keeps a session for `length`. The secret itself is not kept: whoever reads Redis cannot take the session over.
    pub async fn open_session(&self, secret: &str, session: &Session, length: Duration) -> Result<(), Error> {
        redis::cmd("SET")
            .arg(self.session_key(secret))
            .arg(json(session))
            .arg("PX")
            .arg(millis(length))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("open a session"))
    }

    /// The session with this secret; `None` for an unknown one, and for one that is over.
    pub async fn session(&self, secret: &str) -> Result<Option<Session>, Error> {
        let text: Option<String> = redis::cmd("GET")
            .arg(self.session_key(secret))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("read a session"))?;
        text.map(|text| parse("session", &text)).transpose()
    }

    /// Ends a session; one that is over already stays so.
    pub async fn close_session(&self, secret: &str) -> Result<(), Error> {
        redis::cmd("DEL")
            .arg(self.session_key(secret))
            .query_async(&mut self.connection().await?)
            .await
            .map_err(Error::unavailable("close a session"))
    }

    fn session_key(&self, secret: &str) -> String {
        self.keys().of("session", hex::encode(Sha256::digest(secret)))
    }
}

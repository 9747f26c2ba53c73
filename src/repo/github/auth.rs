//! What GitHub is shown with each request: a token, or one that an App was given for an hour.
//!
//! Nothing is kept from a file longer than for one request, so a replaced file counts at once. An installation's token
//! is kept for all repositories of the process, because GitHub counts and limits them together.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;

use super::pace::{Resource, TokenName};
use super::transport::{Reply, Request, Silence, Transport};
use super::{answer, jwt, limits};
use crate::domain::cause::with_causes;
use crate::domain::secret::SecretSource;
use crate::repo::Error;

/// How we show who we are.
#[derive(Debug, Clone)]
pub enum Auth {
    /// A personal access token, classic or fine-grained.
    Token(SecretSource),
    /// A GitHub App.
    App {
        /// The App's id or client id.
        id: String,
        /// `None`: GitHub is asked which installation the repository has.
        installation: Option<u64>,
        /// The App's private key in PEM form.
        key_file: PathBuf,
    },
}

/// An installation's token lives for an hour.
const RENEWED_AFTER: Duration = Duration::from_secs(50 * 60);
/// A pause that GitHub did not tell the length of.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(60);

/// The tokens of Apps' installations, shared by all repositories of a process.
#[derive(Default)]
pub struct Installations {
    tokens: Mutex<HashMap<Installation, Arc<Slot>>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Installation {
    host: String,
    app: String,
    id: u64,
}

/// One installation's token. Whoever holds the lock asks for a new one; the others wait for it.
type Slot = tokio::sync::Mutex<Option<Minted>>;

struct Minted {
    text: SecretString,
    at: Instant,
}

/// A token to use now.
pub(super) struct Grant {
    pub name: TokenName,
    text: SecretString,
}

/// The way to tokens for one repository.
pub(super) struct Authorizer {
    auth: Auth,
    installations: Arc<Installations>,
    /// The repository's installation, once GitHub was asked.
    found: Mutex<Option<u64>>,
}

impl Grant {
    /// What the request carries.
    pub fn header(&self) -> Result<HeaderValue, Error> {
        header(&self.text)
    }
}

fn header(token: &SecretString) -> Result<HeaderValue, Error> {
    let text = SecretString::from(format!("Bearer {}", token.expose_secret()));
    HeaderValue::try_from(text.expose_secret())
        .map_err(|_| local("the token has characters that a token cannot have".to_owned()))
}

fn local(detail: String) -> Error {
    Error::Local { doing: "reading the repository's credentials", detail }
}

/// What a grant is asked for: where, and for which repository.
#[derive(Clone, Copy)]
pub(super) struct For<'a> {
    pub transport: &'a Transport,
    /// The parts of the repository's path: `repos`, owner, name.
    pub repository: &'a [String],
    /// As errors name it.
    pub remote: &'a str,
}

impl Authorizer {
    pub fn new(auth: Auth, installations: Arc<Installations>) -> Self {
        Self { auth, installations, found: Mutex::default() }
    }

    /// The token to use now.
    pub async fn grant(&self, wanted: For<'_>) -> Result<Grant, Error> {
        match &self.auth {
            Auth::Token(source) => {
                let text = source.read().map_err(|error| local(with_causes(&error)))?;
                Ok(Grant { name: name_of_token(&wanted.transport.api.shown, &text), text })
            }
            Auth::App { id, .. } => self.installation_grant(wanted, id, None).await,
        }
    }

    /// Another token than this one, which GitHub refused; `None` when there is no other.
    pub async fn other_than(&self, refused: &Grant, wanted: For<'_>) -> Result<Option<Grant>, Error> {
        match &self.auth {
            Auth::Token(_) => {
                let now = self.grant(wanted).await?;
                Ok((now.text.expose_secret() != refused.text.expose_secret()).then_some(now))
            }
            Auth::App { id, .. } => self.installation_grant(wanted, id, Some(refused)).await.map(Some),
        }
    }

    async fn installation_grant(&self, wanted: For<'_>, app: &str, refused: Option<&Grant>) -> Result<Grant, Error> {
        let id = self.installation(wanted).await?;
        let host = wanted.transport.api.shown.clone();
        let name = TokenName::new(format!("app:{app}/{id}@{host}"));
        let slot = self.installations.slot(Installation { host, app: app.to_owned(), id });
        let mut minted = slot.lock().await;
        let usable = minted.as_ref().filter(|minted| {
            let was_refused = refused.is_some_and(|grant| grant.text.expose_secret() == minted.text.expose_secret());
            minted.at.elapsed() < RENEWED_AFTER && !was_refused
        });
        if let Some(usable) = usable {
            return Ok(Grant { name, text: usable.text.clone() });
        }
        let at = Instant::now();
        let text = self.mint(wanted, id).await?;
        *minted = Some(Minted { text: text.clone(), at });
        Ok(Grant { name, text })
    }

    /// Asks for a token of the installation.
    ///
    /// <https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app>
    async fn mint(&self, wanted: For<'_>, installation: u64) -> Result<SecretString, Error> {
        #[derive(Deserialize)]
        struct Token {
            token: String,
        }
        let id = installation.to_string();
        let path = ["app", "installations", &id, "access_tokens"];
        let reply = self.as_app(wanted, Method::POST, &path).await?;
        match reply.status {
            StatusCode::CREATED => parse::<Token>(wanted, &reply).map(|token| SecretString::from(token.token)),
            StatusCode::NOT_FOUND => {
                // The App was taken off and put on again: it has another installation then.
                *self.found.lock().unwrap_or_else(PoisonError::into_inner) = None;
                Err(denied(wanted, format!("the App has no installation {installation} (any more)")))
            }
            _ => Err(refusal(wanted, &reply)),
        }
    }

    /// The repository's installation: the one of the settings, or the one that GitHub names.
    async fn installation(&self, wanted: For<'_>) -> Result<u64, Error> {
        #[derive(Deserialize)]
        struct Found {
            id: u64,
        }
        if let Auth::App { installation: Some(id), .. } = &self.auth {
            return Ok(*id);
        }
        let known = *self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = known {
            return Ok(id);
        }
        let path: Vec<&str> = wanted.repository.iter().map(String::as_str).chain(["installation"]).collect();
        let reply = self.as_app(wanted, Method::GET, &path).await?;
        let id = match reply.status {
            StatusCode::OK => parse::<Found>(wanted, &reply)?.id,
            StatusCode::NOT_FOUND => {
                let detail = "the App is not installed on it, or there is no such repository".to_owned();
                return Err(Error::NotFound { remote: wanted.remote.to_owned(), detail });
            }
            _ => return Err(refusal(wanted, &reply)),
        };
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(id);
        Ok(id)
    }

    /// A request that the App makes for itself, with its signature.
    async fn as_app(&self, wanted: For<'_>, method: Method, path: &[&str]) -> Result<Reply, Error> {
        let Auth::App { id, key_file, .. } = &self.auth else {
            return Err(local("there is no App".to_owned()));
        };
        let unusable = |why: String| local(format!("the App's key file {}: {why}", key_file.display()));
        let pem = std::fs::read(key_file).map_err(|error| unusable(error.to_string()))?;
        let jwt = SecretString::from(jwt::sign(id, &pem, SystemTime::now()).map_err(unusable)?);
        let request = Request {
            method,
            url: wanted.transport.api.rest(path.iter().copied()),
            body: None,
            etag: None,
            authorization: &header(&jwt)?,
            limit: wanted.transport.timeouts().read,
        };
        let reply = wanted.transport.exchange(request).await.map_err(|silence| {
            let (Silence::NotSent(detail) | Silence::Lost(detail)) = silence;
            unavailable(wanted, format!("asking for the App's token: {detail}"))
        })?;
        if limits::of(&reply, Resource::Rest, SystemTime::now()).refused {
            let after = Some(limits::retry_after(&reply).unwrap_or(UNKNOWN_PAUSE));
            return Err(Error::Unavailable { remote: wanted.remote.to_owned(), detail: answer::words(&reply), after });
        }
        Ok(reply)
    }
}

impl Installations {
    fn slot(&self, of: Installation) -> Arc<Slot> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(tokens.entry(of).or_default())
    }
}

/// A name that is the same for the same token, and from which the token cannot be found.
fn name_of_token(host: &str, token: &SecretString) -> TokenName {
    use sha2::{Digest, Sha256};
    let digest = Sha256::new().chain_update("fgd-sync token name\0").chain_update(token.expose_secret()).finalize();
    TokenName::new(format!("token:{}@{host}", &hex::encode(digest)[..16]))
}

fn parse<'a, T: Deserialize<'a>>(wanted: For<'_>, reply: &'a Reply) -> Result<T, Error> {
    // The answer holds the token: only what is wrong with it is told.
    serde_json::from_slice(&reply.body)
        .map_err(|error| unavailable(wanted, format!("the answer to the App is not understood at {}", error.column())))
}

fn refusal(wanted: For<'_>, reply: &Reply) -> Error {
    let words = answer::words(reply);
    match reply.status {
        StatusCode::UNAUTHORIZED => denied(
            wanted,
            format!("{words}; check the App's id, that the key file is one of its keys, and this machine's clock"),
        ),
        StatusCode::FORBIDDEN => denied(wanted, format!("{words}; check that the App's installation is not suspended")),
        _ => unavailable(wanted, format!("asking for the App's token: {words}")),
    }
}

fn denied(wanted: For<'_>, detail: String) -> Error {
    Error::Denied { remote: wanted.remote.to_owned(), detail }
}

fn unavailable(wanted: For<'_>, detail: String) -> Error {
    Error::Unavailable { remote: wanted.remote.to_owned(), detail, after: None }
}

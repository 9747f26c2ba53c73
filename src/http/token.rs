//! Bearer tokens of the API, and what each lets its holder do.

use std::future::{Ready, ready};
use std::time::SystemTime;

use actix_web::dev::Payload;
use actix_web::http::StatusCode;
use actix_web::http::header;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use hmac::digest::{CtOutput, Output};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::domain::role::Role;
use crate::ledger::Session;

use super::HttpState;
use super::problem::{Header, Problem};

/// What to do when a token does not let its holder sign in.
const SIGN_IN: &str = "Take one of the settings' api_tokens.";

/// One token that lets its holder in.
#[derive(Debug, Clone)]
pub struct Token {
    /// Shown in logs in place of the token.
    pub name: String,
    /// SHA-256 of the token.
    pub digest: [u8; 32],
    pub role: Role,
    /// From then on it lets nobody in.
    pub expires: Option<SystemTime>,
}

impl Token {
    /// A token by its text, without an end. An empty text lets nobody in.
    pub fn of_text(name: &str, text: &SecretString, role: Role) -> Self {
        Self { name: name.to_owned(), digest: Sha256::digest(text.expose_secret()).into(), role, expires: None }
    }
}

/// The tokens that let callers in, as digests. Without any, nobody gets in.
#[derive(Clone, Default)]
pub struct Tokens {
    tokens: Vec<(CtOutput<Sha256>, Token)>,
}

impl Tokens {
    /// Takes the tokens of the settings.
    pub fn new(tokens: impl IntoIterator<Item = Token>) -> Self {
        Self { tokens: tokens.into_iter().map(|token| (CtOutput::new(token.digest.into()), token)).collect() }
    }

    /// The holder of a session's token, as long as the settings have that very token and its time is not over.
    pub(super) fn holder(&self, session: &Session) -> Option<ApiToken> {
        let digest = hex::decode(&session.digest).ok()?;
        let digest = CtOutput::<Sha256>::new(Output::<Sha256>::try_from(digest.as_slice()).ok()?);
        let token = self.tokens.iter().find(|(known, token)| *known == digest && token.name == session.token);
        token.and_then(|(_, token)| admit(token).ok())
    }

    /// Whoever shows this text, and the session that it may have; a problem when it is no good token.
    pub(super) fn sign_in(&self, text: &str) -> Result<(ApiToken, Session), Problem> {
        let unknown = || Problem::unauthorized("wrong_token", "this is no token of ours", SIGN_IN);
        let token = self.find(text).ok_or_else(unknown)?;
        let session = Session { token: token.name.clone(), digest: hex::encode(token.digest) };
        Ok((admit(token)?, session))
    }

    /// The token with this text. Digests are compared in constant time, and all of them.
    fn find(&self, text: &str) -> Option<&Token> {
        if text.is_empty() {
            return None;
        }
        let digest: Output<Sha256> = Sha256::digest(text);
        let digest = CtOutput::<Sha256>::new(digest);
        let same: Vec<&Token> =
            self.tokens.iter().filter(|(known, _)| *known == digest).map(|(_, token)| token).collect();
        same.first().copied()
    }
}

/// Proof that the caller showed a good token; enough to read.
#[derive(Debug, Clone)]
pub struct ApiToken {
    /// The token's name in the settings.
    pub name: String,
    pub role: Role,
}

/// Proof that the caller's token lets it operate.
pub struct Operator(pub ApiToken);

/// Proof that the caller's token lets it do everything.
pub struct Admin(pub ApiToken);

impl FromRequest for ApiToken {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authenticate(request))
    }
}

impl FromRequest for Operator {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(with_role(request, Role::Operate).map(Self))
    }
}

impl FromRequest for Admin {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(with_role(request, Role::Admin).map(Self))
    }
}

fn with_role(request: &HttpRequest, needed: Role) -> Result<ApiToken, Problem> {
    require(authenticate(request)?, needed)
}

/// The token again, when its role is high enough.
pub(super) fn require(token: ApiToken, needed: Role) -> Result<ApiToken, Problem> {
    if token.role >= needed {
        return Ok(token);
    }
    let detail = format!("the token `{}` may {}, and this needs {}", token.name, token.role.as_str(), needed.as_str());
    Err(Problem::new(
        StatusCode::FORBIDDEN,
        "role_too_low",
        detail,
        "Use a token whose `role` in the settings allows it.",
    ))
}

/// Who calls; the same however often it is asked in one request.
pub(super) fn authenticate(request: &HttpRequest) -> Result<ApiToken, Problem> {
    if let Some(known) = request.extensions().get::<ApiToken>() {
        return Ok(known.clone());
    }
    let token = from_header(request)?;
    request.extensions_mut().insert(token.clone());
    Ok(token)
}

fn from_header(request: &HttpRequest) -> Result<ApiToken, Problem> {
    let state = HttpState::of(request);
    let Some(header) = request.headers().get(header::AUTHORIZATION) else {
        return Err(refused("missing_token", "the request has no Authorization header", "Bearer realm=\"fgd-sync\""));
    };
    let text = header.to_str().ok().and_then(|text| text.split_once(' '));
    let text = text.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, text)| text.trim());
    let challenge = "Bearer realm=\"fgd-sync\", error=\"invalid_token\"";
    let token = text.and_then(|text| state.tokens.find(text));
    let token =
        token.ok_or_else(|| refused("wrong_token", "the Authorization header holds no token of ours", challenge))?;
    admit(token)
}

/// Lets the holder in unless the token's time is over.
fn admit(token: &Token) -> Result<ApiToken, Problem> {
    if token.expires.is_some_and(|end| end <= SystemTime::now()) {
        let detail = format!("the token `{}` was good until its day in the settings, which is over", token.name);
        return Err(refused("expired_token", &detail, "Bearer realm=\"fgd-sync\", error=\"invalid_token\""));
    }
    Ok(ApiToken { name: token.name.clone(), role: token.role })
}

fn refused(code: &'static str, detail: &str, challenge: &'static str) -> Problem {
    Problem::unauthorized(code, detail, "Send `Authorization: Bearer <token>` with one of the settings' api_tokens.")
        .with_header(Header::Challenge(challenge))
}

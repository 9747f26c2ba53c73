//! Bearer tokens of the API.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use hmac::digest::CtOutput;
use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::HttpState;
use super::problem::{Header, Problem};

/// The tokens that let callers in, as digests. Without any, nobody gets in.
#[derive(Clone, Default)]
pub struct Tokens {
    tokens: Vec<(String, CtOutput<Hmac<Sha256>>)>,
}

impl Tokens {
    /// Takes tokens with the names that logs show for them. Empty ones let nobody in.
    pub fn new(tokens: impl IntoIterator<Item = (String, SecretString)>) -> Self {
        let tokens = tokens.into_iter().filter(|(_, token)| !token.expose_secret().is_empty());
        Self { tokens: tokens.map(|(name, token)| (name, digest(token.expose_secret()))).collect() }
    }

    /// The name of a token. Digests are compared in constant time, and all of them.
    fn name_of(&self, token: &str) -> Option<&str> {
        let digest = digest(token);
        let same = self.tokens.iter().filter(|(_, known)| *known == digest);
        let names: Vec<&str> = same.map(|(name, _)| name.as_str()).collect();
        names.first().copied()
    }
}

fn digest(token: &str) -> CtOutput<Hmac<Sha256>> {
    let key = b"fgd-sync api token";
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.chain_update(token).finalize()
}

/// Proof that the caller showed a good token.
#[derive(Debug, Clone)]
pub struct ApiToken {
    /// The token's name in the settings.
    pub name: String,
}

impl FromRequest for ApiToken {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authenticate(request))
    }
}

fn authenticate(request: &HttpRequest) -> Result<ApiToken, Problem> {
    let state = HttpState::of(request);
    let Some(header) = request.headers().get(header::AUTHORIZATION) else {
        return Err(refused("missing_token", "the request has no Authorization header", "Bearer realm=\"fgd-sync\""));
    };
    let token = header.to_str().ok().and_then(|text| text.split_once(' '));
    let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    let name = token.and_then(|token| state.tokens.name_of(token));
    let challenge = "Bearer realm=\"fgd-sync\", error=\"invalid_token\"";
    let name =
        name.ok_or_else(|| refused("wrong_token", "the Authorization header holds no token of ours", challenge))?;
    Ok(ApiToken { name: name.to_owned() })
}

fn refused(code: &'static str, detail: &str, challenge: &'static str) -> Problem {
    Problem::unauthorized(code, detail, "Send `Authorization: Bearer <token>` with one of the settings' api_tokens.")
        .with_header(Header::Challenge(challenge))
}

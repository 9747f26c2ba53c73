//! Signing in with an API token, and what a signed-in browser is believed.
//!
//! The cookie holds a random secret and nothing else; the ledger knows whose it is. A form is believed when it carries the
//! word that was put into it, which only pages of the same session hold.

use std::future::{Ready, ready};
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{StatusCode, Uri};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use futures::future::LocalBoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use ring::rand::{SecureRandom, SystemRandom};
use sha2::Sha256;
use url::form_urlencoded;

use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::input::read_up_to;
use crate::http::problem::Problem;
use crate::http::token::{self, ApiToken};
use crate::http::verified::header_text;

use super::shell::{self, Site};

/// How long somebody stays signed in: a working day.
const LENGTH: Duration = Duration::from_secs(12 * 3_600);
const COOKIE: &str = "fgd_session";
/// The field of a form that proves that it is ours.
pub(super) const PROOF: &str = "proof";
/// Largest form: a merged document as YAML, escaped.
const LARGEST_FORM: usize = 512 * 1024;
/// Longest address to come back to after signing in.
const LONGEST_WAY_BACK: usize = 2_000;

/// Somebody who signed in.
#[derive(Clone)]
pub(in crate::http) struct Viewer {
    pub token: ApiToken,
    /// Goes into every form.
    pub proof: String,
    pub site: Site,
    secret: String,
}

impl Viewer {
    pub(super) fn may(&self, role: Role) -> bool {
        self.token.role >= role
    }

    /// The address of a page or form of ours; `path` begins with `/`.
    pub(super) fn link(&self, path: &str) -> String {
        self.site.link(path)
    }
}

impl FromRequest for Viewer {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let viewer = request.extensions().get::<Self>().cloned();
        ready(viewer.ok_or_else(|| {
            let remedy = "Open the dashboard and sign in with an API token.";
            Problem::unauthorized("not_signed_in", "nobody is signed in here, or not any more", remedy)
        }))
    }
}

/// A form of ours, sent by somebody who signed in.
pub(super) struct Form {
    pub viewer: Viewer,
    pub fields: Fields,
}

impl Form {
    /// The sender, when the role is high enough.
    pub(super) fn sender(&self, needed: Role) -> Result<ApiToken, Problem> {
        token::require(self.viewer.token.clone(), needed)
    }
}

impl FromRequest for Form {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let viewer = Viewer::from_request(request, payload).into_inner();
        let fields = Fields::from_request(request, payload);
        Box::pin(async move {
            let (viewer, fields) = (viewer?, fields.await?);
            if is_proof(&viewer.secret, fields.first(PROOF)) {
                return Ok(Self { viewer, fields });
            }
            Err(forged("the form was not made for this session"))
        })
    }
}

/// The fields of a form, in its order.
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// The first field of this name; empty when there is none.
    pub(super) fn first(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, text)| text.as_str())
    }

    /// A text that a person may leave empty.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        Some(self.first(name).trim()).filter(|text| !text.is_empty()).map(str::to_owned)
    }
}

impl FromRequest for Fields {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let payload = payload.take();
        let is_ours = is_same_origin(request.headers(), HttpState::of(request));
        Box::pin(async move {
            if !is_ours {
                return Err(forged("the form comes from a page of another site"));
            }
            let body = read_up_to(payload, LARGEST_FORM).await?;
            Ok(Self(form_urlencoded::parse(&body).into_owned().collect()))
        })
    }
}

fn forged(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "forged_form", detail, "Load the page again, and repeat what you did there.")
}

/// Whether a browser sends the form from a page of ours, as far as it says so.
fn is_same_origin(headers: &HeaderMap, state: &HttpState) -> bool {
    if let Some(site) = header_text(headers, "Sec-Fetch-Site") {
        return site == "same-origin";
    }
    let Some(origin) = header_text(headers, header::ORIGIN.as_str()) else { return true };
    let public = state.public_url.as_ref().map(|url| url.origin().ascii_serialization());
    let host = header_text(headers, header::HOST.as_str());
    let sender = origin.parse::<Uri>().ok().and_then(|uri| uri.authority().map(ToString::to_string));
    public.as_deref() == Some(origin) || (sender.is_some() && sender.as_deref() == host)
}

/// Who sends the request, by its cookie.
pub(super) async fn recognise(headers: &HeaderMap, state: &HttpState) -> Result<Option<Viewer>, Problem> {
    let Some(secret) = secret_of(headers) else { return Ok(None) };
    let Some(session) = state.ledger.session(secret).await? else { return Ok(None) };
    let Some(token) = state.tokens.holder(&session) else { return Ok(None) };
    let (site, secret) = (Site::of(state), secret.to_owned());
    Ok(Some(Viewer { token, proof: hex::encode(proof(&secret).finalize().into_bytes()), site, secret }))
}

/// The cookie's secret, when it looks like one of ours.
fn secret_of(headers: &HeaderMap) -> Option<&str> {
    let texts = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
    let mut cookies = texts.flat_map(|text| text.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
    let secret = cookies.find(|(name, _)| *name == COOKIE).map(|(_, secret)| secret)?;
    (secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(secret)
}

fn proof(secret: &str) -> Hmac<Sha256> {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.chain_update(b"forms")
}

/// Compares in constant time.
fn is_proof(secret: &str, shown: &str) -> bool {
    hex::decode(shown).is_ok_and(|shown| proof(secret).verify_slice(&shown).is_ok())
}

/// `GET /sign-in`: the form that takes a token. `to` is the page that was asked for.
pub(super) async fn show(request: HttpRequest, state: web::Data<HttpState>) -> HttpResponse {
    let to = form_urlencoded::parse(request.query_string().as_bytes()).find(|(name, _)| name == "to");
    let to = to.map(|(_, to)| to.into_owned()).unwrap_or_default();
    shell::sign_in(&Site::of(&state), way_back(&to), None, StatusCode::OK)
}

/// `POST /sign-in`: opens a session for a good token.
pub(super) async fn sign_in(fields: Fields, state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    let (site, to) = (Site::of(&state), way_back(fields.first("to")));
    let (holder, session) = match state.tokens.sign_in(fields.first("token").trim()) {
        Ok(known) => known,
        Err(problem) => return Ok(shell::sign_in(&site, to, Some(&problem), StatusCode::UNAUTHORIZED)),
    };
    let mut secret = [0; 32];
    SystemRandom::new().fill(&mut secret).map_err(|_| {
        let remedy = "Try again; if this lasts, look at the machine's source of random numbers.";
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no_random", "the system gave no random numbers", remedy)
    })?;
    let secret = hex::encode(secret);
    state.ledger.open_session(&secret, &session, LENGTH).await?;
    tracing::info!(token = holder.name, "signed in to the dashboard");
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, site.link(to)))
        .insert_header((header::SET_COOKIE, cookie(&state, &secret, LENGTH)))
        .finish())
}

/// `POST /sign-out`: ends the session on all replicas.
pub(super) async fn sign_out(form: Form, state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    state.ledger.close_session(&form.viewer.secret).await?;
    tracing::info!(token = form.viewer.token.name, "signed out of the dashboard");
    Ok(HttpResponse::SeeOther()
        .insert_header((header::LOCATION, form.viewer.link("/sign-in")))
        .insert_header((header::SET_COOKIE, cookie(&state, "", Duration::ZERO)))
        .finish())
}

fn cookie(state: &HttpState, secret: &str, length: Duration) -> String {
    let path = Some(state.base_path()).filter(|path| !path.is_empty()).unwrap_or("/");
    let secure = if state.is_over_tls() { "; Secure" } else { "" };
    // Not `Strict`: whoever follows a link on NetBox's pages, which may be another site, is still signed in. A page only
    // shows; what changes something is a form, for which no other site gets the cookie, and which carries a proof.
    format!("{COOKIE}={secret}; Path={path}; Max-Age={}; HttpOnly; SameSite=Lax{secure}", length.as_secs())
}

/// The page to come back to: one of ours, else the first one.
fn way_back(to: &str) -> &str {
    let is_ours = to.starts_with('/') && !to.starts_with("//") && to.len() <= LONGEST_WAY_BACK;
    let is_plain = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_ours && is_plain { to } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_never_leaves_this_site() {
        for to in ["/", "/jobs?state=dead", "/conflicts/lab/VPC/default/a%20b"] {
            assert_eq!(way_back(to), to);
        }
        for to in ["", "jobs", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nSet-Cookie: a=b"] {
            assert_eq!(way_back(to), "/", "{to:?}");
        }
    }

    #[test]
    fn a_proof_holds_for_its_own_session_only() {
        let own = hex::encode(proof("a").finalize().into_bytes());

        assert!(is_proof("a", &own));
        assert!(!is_proof("b", &own));
        assert!(!is_proof("a", ""));
        assert!(!is_proof("a", "zz"));
    }

    #[test]
    fn the_secret_is_found_among_other_cookies() {
        let secret = "0".repeat(64);
        let mut headers = HeaderMap::new();
        let cookies = format!("theme=dark; {COOKIE}={secret}; a=b").parse().unwrap();
        headers.insert(header::COOKIE, cookies);

        assert_eq!(secret_of(&headers), Some(secret.as_str()));
        headers.insert(header::COOKIE, format!("{COOKIE}=short").parse().unwrap());
        assert_eq!(secret_of(&headers), None);
    }
}

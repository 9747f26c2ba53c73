//! Apps: their JWTs, installations and tokens.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, RsaKeyPair, UnparsedPublicKey};
use serde_json::{Value, json};

use super::access::{Kind, Level, Permission, Token};
use super::body::{Field, Shape, expect};
use super::reply::Reply;
use super::routes::Route;
use super::server::Asked;
use super::show;
use super::world::{World, iso};

/// The private key of every App here, as GitHub hands them out. Fake: it opens nothing.
pub const APP_KEY: &str = include_str!("app.pem");

/// Longest life of a JWT, in seconds.
const JWT_LIFE: i64 = 600;

/// Life of an installation's token, in seconds.
const TOKEN_LIFE: i64 = 3_600;

/// Lengths of tokens, in turn: no client may count on one.
const TOKEN_LENGTHS: [usize; 3] = [36, 520, 190];

/// A GitHub App.
#[derive(Debug, Clone)]
pub(super) struct App {
    pub id: u64,
    pub client_id: String,
    pub slug: String,
}

/// An App on an account.
#[derive(Debug, Clone)]
pub(super) struct Installation {
    pub id: u64,
    pub app: u64,
    pub account: String,
    /// `owner/name`; `None`: all of the account.
    pub repos: Option<Vec<String>>,
    pub permissions: BTreeMap<Permission, Level>,
    pub suspended: bool,
}

const NEW_TOKEN: &[Field] = &[
    ("repositories", false, Shape::List(&Shape::Text)),
    ("repository_ids", false, Shape::List(&Shape::Number)),
    ("permissions", false, Shape::Object(PERMISSIONS)),
];

const LEVEL: Shape = Shape::Word(&["read", "write"]);

const PERMISSIONS: &[Field] = &[
    ("metadata", false, LEVEL),
    ("contents", false, LEVEL),
    ("pull_requests", false, LEVEL),
    ("statuses", false, LEVEL),
    ("repository_hooks", false, LEVEL),
    ("administration", false, LEVEL),
];

/// The slug of the App that a JWT stands for, or GitHub's words against it.
pub(super) fn verify(world: &World, jwt: &str) -> Result<String, &'static str> {
    const UNREADABLE: &str = "A JSON web token could not be decoded";
    let (signed, signature) = jwt.rsplit_once('.').ok_or(UNREADABLE)?;
    let (header, claims) = signed.split_once('.').ok_or(UNREADABLE)?;
    let bytes = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| UNREADABLE);
    let json =
        |part: &str| -> Result<Value, &'static str> { serde_json::from_slice(&bytes(part)?).map_err(|_| UNREADABLE) };
    let (header, claims) = (json(header)?, json(claims)?);
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public_key());
    if header["alg"] != "RS256" || key.verify(signed.as_bytes(), &bytes(signature)?).is_err() {
        return Err(UNREADABLE);
    }
    let now = world.now();
    let issued = claims["iat"].as_i64();
    if issued.is_none_or(|issued| issued > now) {
        return Err("'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued");
    }
    let expires = claims["exp"].as_i64().filter(|expires| *expires > now).ok_or(
        "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion \
         expires",
    )?;
    if expires > now + JWT_LIFE {
        return Err("'Expiration time' claim ('exp') is too far in the future");
    }
    let issuer = match &claims["iss"] {
        Value::Number(id) => id.to_string(),
        Value::String(id) => id.clone(),
        _ => return Err("'Issuer' claim ('iss') must be an Integer"),
    };
    let app = world.apps.iter().find(|app| app.id.to_string() == issuer || app.client_id == issuer);
    app.map(|app| app.slug.clone()).ok_or("Integration not found")
}

fn public_key() -> Vec<u8> {
    let body: String = APP_KEY.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = STANDARD.decode(body).expect("the key is in Base64");
    RsaKeyPair::from_der(&der).expect("an RSA key").public_key().as_ref().to_vec()
}

pub(super) fn answer(world: &mut World, asked: &Asked) -> Result<Reply, Reply> {
    let app = world.apps.iter().find(|app| app.slug == asked.login).cloned().ok_or_else(Reply::not_found)?;
    let own = |world: &World| -> Vec<Installation> {
        world.installations.iter().filter(|installation| installation.app == app.id).cloned().collect()
    };
    match asked.found.route {
        Route::GetApp => Ok(Reply::ok(shown_app(&app, asked))),
        Route::ListInstallations => {
            let found = own(world);
            asked.page(found.iter().map(|installation| shown(installation, &app, asked)).collect())
        }
        Route::GetRepositoryInstallation => {
            let name = format!("{}/{}", asked.param("owner"), asked.param("repo"));
            let found = own(world).into_iter().find(|installation| installation.sees(&name));
            let found = found.filter(|_| world.repo_named(&name).is_some()).ok_or_else(Reply::not_found)?;
            Ok(Reply::ok(shown(&found, &app, asked)))
        }
        route => {
            let id = asked.param("id");
            let found = own(world).into_iter().find(|installation| installation.id.to_string() == id);
            let found = found.ok_or_else(Reply::not_found)?;
            match route {
                Route::CreateToken => create_token(world, asked, &found, &app),
                _ => Ok(Reply::ok(shown(&found, &app, asked))),
            }
        }
    }
}

impl Installation {
    fn sees(&self, repo: &str) -> bool {
        let owner = repo.split('/').next().unwrap_or_default();
        owner.eq_ignore_ascii_case(&self.account)
            && self.repos.as_ref().is_none_or(|repos| repos.iter().any(|name| name.eq_ignore_ascii_case(repo)))
    }
}

fn create_token(world: &mut World, asked: &Asked, of: &Installation, app: &App) -> Result<Reply, Reply> {
    if of.suspended {
        return Err(Reply::refused(403, "This installation has been suspended"));
    }
    let body = expect(asked.json.as_ref(), NEW_TOKEN, &mut world.unexpected)?;
    let wanted = body.get("permissions").and_then(Value::as_object);
    let mut permissions = of.permissions.clone();
    if let Some(wanted) = wanted {
        permissions.clear();
        for (name, level) in wanted {
            let level = if level == "write" { Level::Write } else { Level::Read };
            let granted =
                Permission::parse(name).filter(|name| of.permissions.get(name).is_some_and(|has| *has >= level));
            let granted = granted.ok_or_else(|| {
                Reply::unprocessable("The permissions requested are not granted to this installation.")
            })?;
            permissions.insert(granted, level);
        }
        permissions.entry(Permission::Metadata).or_insert(Level::Read);
    }
    let repos = chosen_repos(world, of, &body)?;
    let secret = secret(world);
    let expires = world.now() + TOKEN_LIFE;
    let selected = repos.is_some() || of.repos.is_some();
    let repos = repos.or_else(|| of.repos.clone()).or_else(|| {
        let own = world.repos.iter().map(super::world::Repo::full_name).filter(|name| of.sees(name));
        Some(own.collect())
    });
    let token = Token {
        kind: Kind::Installation { id: of.id, app: app.id },
        repos,
        permissions: permissions.clone(),
        expires: Some(expires),
        ..Token::of(&app.slug)
    };
    world.tokens.insert(secret.clone(), token);
    Ok(Reply::json(
        201,
        json!({
            "token": secret, "expires_at": iso(expires), "permissions": shown_permissions(&permissions),
            "repository_selection": if selected { "selected" } else { "all" },
        }),
    ))
}

fn chosen_repos(world: &World, of: &Installation, body: &Value) -> Result<Option<Vec<String>>, Reply> {
    let list = |name: &str| body.get(name).and_then(Value::as_array);
    let by_name = list("repositories").into_iter().flatten().map(|name| {
        let name = format!("{}/{}", of.account, name.as_str().unwrap_or_default());
        world.repo_named(&name)
    });
    let by_id = list("repository_ids").into_iter().flatten();
    let by_id = by_id.map(|id| world.repos.iter().position(|repo| Some(repo.id) == id.as_u64()));
    let found: Option<Vec<String>> =
        by_name.chain(by_id).map(|at| at.map(|at| world.repos[at].full_name()).filter(|name| of.sees(name))).collect();
    let found = found.ok_or_else(|| {
        let words =
            "There is at least one repository that does not exist or is not accessible to the parent installation.";
        Reply::unprocessable(words)
    })?;
    Ok((!found.is_empty()).then_some(found))
}

fn secret(world: &mut World) -> String {
    let number = world.next_id();
    let length = TOKEN_LENGTHS[usize::try_from(number).unwrap_or_default() % TOKEN_LENGTHS.len()];
    let start = format!("ghs_standin{number}");
    let rest = "0123456789abcdefghijklmnopqrstuvwxyz".chars().cycle().take(length.saturating_sub(start.len()));
    start + &rest.collect::<String>()
}

fn shown_permissions(permissions: &BTreeMap<Permission, Level>) -> Value {
    permissions.iter().map(|(name, level)| (name.name().to_owned(), json!(level.name()))).collect()
}

fn shown_app(app: &App, asked: &Asked) -> Value {
    json!({
        "id": app.id, "slug": app.slug, "client_id": app.client_id, "node_id": show::node_id("App", &app.slug),
        "owner": show::owner(&asked.base, "acme"), "name": app.slug, "description": null,
        "external_url": "https://example.com", "html_url": format!("{}/apps/{}", asked.base, app.slug),
        "created_at": iso(0), "updated_at": iso(0), "permissions": {}, "events": [],
    })
}

fn shown(installation: &Installation, app: &App, asked: &Asked) -> Value {
    let id = installation.id;
    json!({
        "id": id, "account": show::owner(&asked.base, &installation.account), "app_id": app.id, "app_slug": app.slug,
        "client_id": app.client_id, "target_id": id, "target_type": "Organization",
        "repository_selection": if installation.repos.is_some() { "selected" } else { "all" },
        "access_tokens_url": format!("{}/app/installations/{id}/access_tokens", asked.base),
        "repositories_url": format!("{}/installation/repositories", asked.base),
        "html_url": format!("{}/settings/installations/{id}", asked.base),
        "permissions": shown_permissions(&installation.permissions), "events": ["push"], "created_at": iso(0),
        "updated_at": iso(0), "single_file_name": null, "suspended_by": null,
        "suspended_at": installation.suspended.then(|| iso(0)),
    })
}

//! Who may call the API, and how often anybody may call at all.

use std::num::NonZeroU32;
use std::time::SystemTime;

use secrecy::ExposeSecret;
use sha2::{Digest, Sha256};

use crate::domain::network::Network;
use crate::domain::role::Role;

use super::declared::{Choice, Each, Group, Number, Secret, Standard, Text};
use super::secret::{self, Found};
use super::section::{Refusal, Section, Setting};
use super::settings::{ApiToken, RateLimits, TokenSecret};

pub(super) const API_TOKEN: Secret = Secret {
    text: "api_token",
    file: "api_token_file",
    standard: Standard::Unset,
    about: "One token with the role `admin`, named `default` in logs.",
};
pub(super) const API_TOKENS: Group = Group {
    name: "api_tokens",
    each: Each::Listed,
    about: "Bearer tokens of the API, which also open the dashboard; without any the API answers everybody with 401.",
    settings: &[&NAME, &TOKEN, &TOKEN_SHA256, &ROLE, &EXPIRES],
};
const NAME: Text = Text::required("name", "text", "What logs show in place of the token.");
const TOKEN: Secret = Secret {
    text: "token",
    file: "token_file",
    standard: Standard::Unset,
    about: "The token itself; this or `token_sha256` is required.",
};
const TOKEN_SHA256: Text = Text::optional(
    "token_sha256",
    "64 hex digits",
    "The token's SHA-256 digest, where its holder alone shall know it.",
);
const ROLE: Choice<Role> = Choice {
    name: "role",
    words: &[("admin", Role::Admin), ("operate", Role::Operate), ("read", Role::Read)],
    about: "What its holder may do.",
};
const EXPIRES: Text =
    Text::optional("expires", "day or time, in UTC", "From then on it lets nobody in; never where it is not set.");

pub(super) const RATE_LIMITS: Group = Group::single(
    "rate_limits",
    "Beyond these an address is answered with 429; 0 is no limit, and signed deliveries are never limited.",
    &[&API_PER_SECOND, &REFUSED_WEBHOOKS_PER_MINUTE],
);
const API_PER_SECOND: Number = Number {
    name: "api_per_second",
    default: 100,
    range: 0..=1_000_000,
    about: "Requests to the API; a burst may hold ten seconds of it.",
};
const REFUSED_WEBHOOKS_PER_MINUTE: Number = Number {
    name: "refused_webhooks_per_minute",
    default: 120,
    range: 0..=1_000_000,
    about: "Deliveries that no secret signed; a burst may hold a minute of it.",
};

pub(super) const TRUSTED_PROXIES: Text = Text::optional(
    "trusted_proxies",
    "list of addresses or networks",
    "Proxies in front of the service, whose X-Forwarded-For is believed.",
);

/// A token as far as it could be read, and the digest by which it is compared with others.
struct Known<'a> {
    setting: Setting<'a>,
    token: ApiToken,
    digest: [u8; 32],
}

pub(super) fn api_tokens(root: &Section<'_>) -> Vec<ApiToken> {
    let mut tokens: Vec<Known<'_>> = Vec::new();
    if let Some(found) = secret::one(root, &API_TOKEN) {
        let digest = digest_of(&found);
        let secret = TokenSecret::Text(found.source);
        let token = ApiToken { name: "default".to_owned(), secret, role: Role::Admin, expires: None };
        tokens.push(Known { setting: found.setting, token, digest });
    }
    let items = root.get(API_TOKENS.name).map(|list| list.items()).unwrap_or_default();
    let had_any = !items.is_empty() || !tokens.is_empty();
    for section in items.iter().filter_map(|item| item.section(&API_TOKENS)) {
        tokens.extend(token(&section));
    }
    distinct(&tokens);
    if !had_any {
        root.warn_missing(
            API_TOKENS.name,
            "no token is configured: the API answers everybody with 401",
            "Add `- {name: …, token_file: …}`, or set FGD_API_TOKEN.",
        );
    }
    tokens.into_iter().map(|known| known.token).collect()
}

fn token<'a>(section: &Section<'a>) -> Option<Known<'a>> {
    let name = section.require(NAME.name, "Name it: logs show the name in place of the token.");
    let secret = token_secret(section);
    let role = section.choice(&ROLE);
    let expires = section.get(EXPIRES.name).and_then(|setting| expiry(&setting));
    let name = name.and_then(|name| name.parse(token_name))?;
    let (setting, secret, digest) = secret?;
    Some(Known { setting, token: ApiToken { name, secret, role, expires }, digest })
}

/// The token's text, the file that holds it, or its digest.
fn token_secret<'a>(section: &Section<'a>) -> Option<(Setting<'a>, TokenSecret, [u8; 32])> {
    let Some(setting) = section.get(TOKEN_SHA256.name) else {
        let found = secret::required(section, &TOKEN, "Give the token, the file that holds it, or `token_sha256`.")?;
        let digest = digest_of(&found);
        return Some((found.setting, TokenSecret::Text(found.source), digest));
    };
    if secret::is_written(section, &TOKEN) {
        setting.refuse("stands beside the token itself", "Keep one of the two.");
    }
    let read = |text: &str| {
        let bytes = hex::decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let remedy = "Write the 64 hex digits that `printf %s \"$TOKEN\" | sha256sum` prints.";
        bytes.ok_or_else(|| Refusal::new("is not a SHA-256 digest", remedy))
    };
    let digest = setting.parse(read)?;
    Some((setting, TokenSecret::Sha256(digest), digest))
}

fn digest_of(found: &Found<'_>) -> [u8; 32] {
    Sha256::digest(found.now.expose_secret()).into()
}

/// A day, which ends the token at its beginning in UTC, or a time.
fn expiry(setting: &Setting<'_>) -> Option<SystemTime> {
    let read = |text: &str| {
        let time = humantime::parse_rfc3339(text).or_else(|_| humantime::parse_rfc3339(&format!("{text}T00:00:00Z")));
        time.map_err(|_| {
            let remedy = "Write such as 2027-01-31 or 2027-01-31T12:00:00Z.";
            Refusal::new(format!("`{text}` is neither a day nor a time in UTC"), remedy)
        })
    };
    let expires = setting.parse(read)?;
    if expires <= SystemTime::now() {
        setting.warn("is over: the token lets nobody in", "Take the token away, or give it another day.");
    }
    Some(expires)
}

fn token_name(text: &str) -> Result<String, Refusal> {
    if text.is_empty() || text.chars().any(char::is_control) {
        return Err(Refusal::new("is not a name", "Write a short text."));
    }
    Ok(text.to_owned())
}

fn distinct(tokens: &[Known<'_>]) {
    for (index, Known { setting, token, digest }) in tokens.iter().enumerate() {
        for other in &tokens[..index] {
            if other.token.name == token.name {
                setting.refuse(format!("two tokens are named `{}`", token.name), "Give each its own name.");
            }
            if other.digest == *digest {
                let message = format!("`{}` and `{}` are the same token", token.name, other.token.name);
                setting.refuse(message, "Give each its own, so that logs can tell them apart.");
            }
        }
    }
}

pub(super) fn rate_limits(root: &Section<'_>) -> RateLimits {
    let section = root.group(&RATE_LIMITS);
    let limit = |declared| u32::try_from(section.number(declared)).ok().and_then(NonZeroU32::new);
    RateLimits {
        api_per_second: limit(&API_PER_SECOND),
        refused_webhooks_per_minute: limit(&REFUSED_WEBHOOKS_PER_MINUTE),
    }
}

/// Proxies whose word about the caller's address is believed.
pub(super) fn trusted_proxies(root: &Section<'_>) -> Vec<Network> {
    let items = root.get(TRUSTED_PROXIES.name).map(|list| list.items()).unwrap_or_default();
    let read = |text: &str| {
        let remedy = "Write an address or a network, such as 10.0.0.0/8.";
        text.parse().map_err(|error| Refusal::new(format!("{error}"), remedy))
    };
    items.iter().filter_map(|item| item.parse(read)).collect()
}

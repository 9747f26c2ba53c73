//! GitHub's webhooks, and those of servers that send the same. A push says no more than "look at the head".

use serde::Deserialize;
use url::form_urlencoded;

use crate::domain::names::BranchName;

use super::{Loose, NotADelivery};

/// What one delivery says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitHubDelivery {
    /// Sent when the webhook is made.
    Ping,
    Push(Push),
    /// An event that we did not ask for.
    Other {
        event: String,
        repository: Option<String>,
    },
}

/// A ref moved, appeared or went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    pub repository: RepositoryNames,
    /// For example `refs/heads/main`.
    pub reference: String,
    /// Who pushed, as the server names them.
    pub pusher: Option<String>,
}

impl Push {
    /// The branch; `None` for a tag.
    pub fn branch(&self) -> Option<BranchName> {
        self.reference.strip_prefix("refs/heads/").filter(|name| !name.is_empty()).map(BranchName::new)
    }
}

/// All that a delivery calls its repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepositoryNames {
    /// `owner/name`.
    pub full_name: String,
    /// Addresses to clone from.
    pub urls: Vec<String>,
}

impl RepositoryNames {
    /// Whether it is called `owner/name`; the server does not care about case.
    pub fn is_named(&self, full_name: &str) -> bool {
        self.full_name.eq_ignore_ascii_case(full_name)
    }

    /// Whether this address leads to it, over whatever protocol.
    pub fn is_at(&self, url: &str) -> bool {
        let place = place_of(url);
        self.urls.iter().any(|own| place_of(own) == place)
    }
}

/// `host/owner/name`, from `https://user@host/owner/name.git`, `ssh://git@host:22/owner/name` or `git@host:owner/name`.
fn place_of(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").map_or((None, url), |(scheme, rest)| (Some(scheme), rest));
    let (authority, path) = match scheme {
        Some(_) => rest.split_once('/').unwrap_or((rest, "")),
        None => rest.split_once(':').unwrap_or(("", rest)),
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    let default_port = match scheme {
        Some("https") => ":443",
        Some("http") => ":80",
        Some("git") => ":9418",
        // ssh, and what is written without a scheme.
        Some(_) | None => ":22",
    };
    let host = host.strip_suffix(default_port).unwrap_or(host);
    let path = path.trim_matches('/');
    format!("{host}/{}", path.strip_suffix(".git").unwrap_or(path)).to_ascii_lowercase()
}

/// Reads a delivery. The signature must have been checked. `form`: whether the body is an encoded form with the JSON in
/// its field `payload`.
pub fn parse(event: &str, encoding: Encoding, body: &[u8]) -> Result<GitHubDelivery, NotADelivery> {
    match encoding {
        Encoding::Json => read(event, body),
        Encoding::Form => {
            let mut fields = form_urlencoded::parse(body);
            let (_, payload) = fields.find(|(name, _)| name == "payload").ok_or(NotADelivery::NoPayload)?;
            read(event, payload.as_bytes())
        }
    }
}

/// How a delivery's JSON is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Json,
    /// `application/x-www-form-urlencoded`: the JSON is the field `payload`. The default in GitHub's own form.
    Form,
}

impl Encoding {
    /// By content type; whatever is no form is taken as JSON.
    pub fn of(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") { Self::Form } else { Self::Json }
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(default, rename = "ref")]
    reference: Loose<String>,
    #[serde(default)]
    repository: Option<Repository>,
    #[serde(default)]
    pusher: Option<Pusher>,
}

#[derive(Default, Deserialize)]
struct Repository {
    #[serde(default)]
    full_name: Loose<String>,
    #[serde(default)]
    clone_url: Loose<String>,
    #[serde(default)]
    ssh_url: Loose<String>,
    #[serde(default)]
    git_url: Loose<String>,
    #[serde(default)]
    html_url: Loose<String>,
}

#[derive(Default, Deserialize)]
struct Pusher {
    #[serde(default)]
    name: Loose<String>,
    #[serde(default)]
    login: Loose<String>,
}

fn read(event: &str, json: &[u8]) -> Result<GitHubDelivery, NotADelivery> {
    let body: Body = serde_json::from_slice(json).map_err(|error| NotADelivery::of(&error))?;
    match event {
        "ping" => Ok(GitHubDelivery::Ping),
        "push" => push(body).map(GitHubDelivery::Push),
        _ => {
            let repository = body.repository.and_then(|repository| repository.full_name.text());
            Ok(GitHubDelivery::Other { event: event.to_owned(), repository })
        }
    }
}

fn push(body: Body) -> Result<Push, NotADelivery> {
    let reference = body.reference.text().ok_or(NotADelivery::Field { field: "ref", wants: "a text" })?;
    let repository = body.repository.unwrap_or_default();
    let full_name = repository.full_name.text();
    let full_name = full_name.ok_or(NotADelivery::Field { field: "repository.full_name", wants: "a text" })?;
    let urls = [repository.clone_url, repository.ssh_url, repository.git_url, repository.html_url];
    let urls = urls.into_iter().filter_map(Loose::text).collect();
    let pusher = body.pusher.and_then(|pusher| pusher.name.text().or_else(|| pusher.login.text()));
    Ok(Push { repository: RepositoryNames { full_name, urls }, reference, pusher })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PUSH: &str = r#"{"ref": "refs/heads/main", "deleted": false, "head_commit": null,
        "repository": {"full_name": "Acme/Fabrics", "clone_url": "https://github.example.com/Acme/Fabrics.git",
                       "ssh_url": "git@github.example.com:Acme/Fabrics.git"},
        "pusher": {"name": "kim", "email": "kim@example.com"}}"#;

    fn pushed(event: &str, encoding: Encoding, body: &str) -> Push {
        match parse(event, encoding, body.as_bytes()).unwrap() {
            GitHubDelivery::Push(push) => push,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_form_and_json_say_the_same() {
        let form: String = form_urlencoded::Serializer::new(String::new()).append_pair("payload", PUSH).finish();

        let push = pushed("push", Encoding::Form, &form);

        assert_eq!(push, pushed("push", Encoding::Json, PUSH));
        assert_eq!(push.branch(), Some(BranchName::new("main")));
        assert_eq!(push.pusher.as_deref(), Some("kim"));
    }

    #[test]
    fn a_repository_is_found_by_any_of_its_addresses() {
        let names = pushed("push", Encoding::Json, PUSH).repository;

        assert!(names.is_named("acme/fabrics"));
        for url in [
            "https://github.example.com/Acme/Fabrics.git",
            "https://bot@github.example.com/acme/fabrics",
            "https://github.example.com:443/acme/fabrics/",
            "ssh://git@github.example.com:22/Acme/Fabrics.git",
            "git@github.example.com:Acme/Fabrics",
        ] {
            assert!(names.is_at(url), "{url}");
        }
        for url in ["https://elsewhere.example.com/Acme/Fabrics.git", "https://github.example.com/Acme/Fabrics2", ""] {
            assert!(!names.is_at(url), "{url}");
        }
    }

    #[test]
    fn a_tag_is_no_branch_and_a_branch_may_look_like_one() {
        let reference =
            |reference: &str| Push { reference: reference.to_owned(), ..pushed("push", Encoding::Json, PUSH) };

        assert_eq!(reference("refs/tags/v1").branch(), None);
        assert_eq!(reference("refs/heads/tags/v1").branch(), Some(BranchName::new("tags/v1")));
    }

    #[test]
    fn other_events_are_named() {
        let other = parse("issues", Encoding::Json, PUSH.as_bytes()).unwrap();

        let repository = Some("Acme/Fabrics".to_owned());
        assert_eq!(other, GitHubDelivery::Other { event: "issues".to_owned(), repository });
    }

    #[test]
    fn a_form_without_a_payload_is_no_delivery() {
        assert_eq!(parse("push", Encoding::Form, b"a=b"), Err(NotADelivery::NoPayload));
    }

    #[test]
    fn a_push_without_a_ref_or_a_repository_names_it() {
        let field = |body: &str| parse("push", Encoding::Json, body.as_bytes()).unwrap_err().to_string();

        assert!(field("{}").contains("`ref`"));
        assert!(field(r#"{"ref": "refs/heads/main"}"#).contains("`repository.full_name`"));
    }
}

//! What an answer without the wished result means, in GitHub's words and ours.

use reqwest::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::limits;
use super::transport::Reply;
use crate::repo::Error;

/// GitHub's own words, and the status.
pub(super) fn words(reply: &Reply) -> String {
    let status = format!("status {}", reply.status.as_u16());
    match said(reply) {
        Some(words) => format!("{words} ({status})"),
        None => status,
    }
}

/// GitHub's own words: the message, and what is below it.
///
/// <https://docs.github.com/en/rest/using-the-rest-api/troubleshooting-the-rest-api#validation-failed>
pub(super) fn said(reply: &Reply) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        message: String,
        #[serde(default)]
        errors: Value,
    }
    let said: Said = serde_json::from_slice(&reply.body).ok()?;
    let mut parts = vec![said.message.trim().replace("\n\n", ": ").replace('\n', " ")];
    match &said.errors {
        Value::Array(errors) => parts.extend(errors.iter().filter_map(detail)),
        Value::String(text) => parts.push(text.clone()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
    }
    parts.retain(|part| !part.is_empty());
    parts.dedup();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn detail(error: &Value) -> Option<String> {
    let text = |name: &str| error.get(name).and_then(Value::as_str);
    match (error, text("message")) {
        (Value::String(text), _) => Some(text.clone()),
        (_, Some(message)) => Some(message.to_owned()),
        (_, None) => Some(format!("{} {}", text("field")?, text("code")?)),
    }
}

/// The error of an answer that the caller has no meaning of its own for. `request` is as messages show it.
pub(super) fn failure(remote: &str, request: &str, reply: &Reply) -> Error {
    let remote = remote.to_owned();
    let detail = format!("{request}: {}", words(reply));
    let with = |more: Option<String>| more.map_or(detail.clone(), |more| format!("{detail}; {more}"));
    match reply.status {
        StatusCode::UNAUTHORIZED => Error::Denied {
            remote,
            detail: with(Some("the token is wrong, expired or revoked: put a new one in its place".to_owned())),
        },
        StatusCode::FORBIDDEN | StatusCode::UNAVAILABLE_FOR_LEGAL_REASONS => {
            Error::Denied { remote, detail: with(what_is_missing(reply)) }
        }
        StatusCode::NOT_FOUND => Error::NotFound { remote, detail: with(Some(why_not_found(reply))) },
        _ => Error::Unavailable { remote, detail, after: limits::retry_after(reply) },
    }
}

/// A private repository answers 404 to whoever may not see it, so this cannot tell which of the two it is.
fn why_not_found(reply: &Reply) -> String {
    let doors = "check its name, and that the App is installed on it or the token's account may see it";
    match what_is_missing(reply) {
        Some(missing) => format!("{doors}; {missing}"),
        None => doors.to_owned(),
    }
}

/// The permission that the request needs, where GitHub names it.
pub(super) fn what_is_missing(reply: &Reply) -> Option<String> {
    if let Some(sso) = reply.header("x-github-sso").filter(|text| text.starts_with("required")) {
        let place = sso.split_once("url=").map(|(_, url)| format!(": {url}")).unwrap_or_default();
        return Some(format!("the organization wants this token authorized for single sign-on{place}"));
    }
    if let Some(needed) = reply.header("x-accepted-github-permissions").filter(|text| !text.trim().is_empty()) {
        return Some(format!("this needs the repository permission {}", permissions(needed)));
    }
    let needed = reply.header("x-accepted-oauth-scopes").filter(|text| !text.trim().is_empty())?;
    let has = reply.header("x-oauth-scopes")?;
    let scope = needed.split(',').map(str::trim).collect::<Vec<_>>().join("` or `");
    Some(format!("this needs the scope `{scope}`, and the token has `{}`", has.trim()))
}

/// `contents=write,pull_requests=write; issues=write` as a sentence has it.
fn permissions(header: &str) -> String {
    let one = |text: &str| {
        let (name, level) = text.trim().split_once('=').unwrap_or((text.trim(), ""));
        format!("`{}: {level}`", name.replace('_', " "))
    };
    let set = |text: &str| text.split(',').map(one).collect::<Vec<_>>().join(" and ");
    header.split(';').map(set).collect::<Vec<_>>().join(", or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::github::transport::tests::reply;

    #[test]
    fn a_missing_permission_is_named() {
        let headers = [("x-accepted-github-permissions", "contents=write,workflows=write; administration=write")];
        let body = r#"{"message":"Resource not accessible by integration","documentation_url":"https://…"}"#;

        let error = failure("github.com/acme/fabric", "POST git/trees", &reply(403, &headers, body));

        assert_eq!(
            error.to_string(),
            "access to github.com/acme/fabric was denied: POST git/trees: Resource not accessible by integration \
             (status 403); this needs the repository permission `contents: write` and `workflows: write`, or \
             `administration: write`"
        );
    }

    #[test]
    fn a_missing_scope_of_a_classic_token_is_named() {
        let headers = [("x-accepted-oauth-scopes", "public_repo, repo"), ("x-oauth-scopes", "gist")];

        let missing = what_is_missing(&reply(404, &headers, ""));

        assert_eq!(missing.as_deref(), Some("this needs the scope `public_repo` or `repo`, and the token has `gist`"));
    }

    #[test]
    fn every_form_of_a_validation_error_is_told_whole() {
        let body = r#"{"message":"Repository rule violations found\n\nChanges must be made through a pull request.\n\n",
            "errors":[{"message":"one"},"two",{"resource":"Ref","field":"sha","code":"invalid"},3]}"#;

        assert_eq!(
            words(&reply(422, &[], body)),
            "Repository rule violations found: Changes must be made through a pull request.; one; two; sha invalid \
             (status 422)"
        );
        assert_eq!(words(&reply(502, &[], "<html>Unicorn!</html>")), "status 502");
    }
}

//! `/conflicts/{fabric}/{kind}/{namespace}/{name}`: both sides beside what they agreed on, and the decision.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde_json::{Map, Value};

use crate::domain::conflict::{Choice, Conflict, Content, Documents, Resolution};
use crate::domain::key::Key;
use crate::domain::policy::{Direction, Fabric};
use crate::domain::role::Role;
use crate::http::HttpState;
use crate::http::conflicts::{ResolveRequest, SideWord, decide as record, find, object};
use crate::http::input::bad_field;
use crate::http::objects::page_in_netbox;
use crate::http::problem::Problem;

use super::session::{Form, Viewer};
use super::shell::{Tab, go_on, page, proof};
use super::sides;
use super::words::{conflict_path, fabric_link, oid, when};

/// Fabric, kind, namespace and name.
type Place = web::Path<(String, String, String, String)>;

/// `GET /conflicts/{fabric}/{kind}/{namespace}/{name}`
pub(super) async fn show(viewer: Viewer, place: Place, state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    let (fabric, key) = object(&state, place.into_inner())?;
    let (record, documents, resolution) = find(&state, fabric, &key).await?;
    let conflict = &record.conflict;
    let netbox_page = conflict.netbox.as_ref().map(|row| page_in_netbox(&state, fabric, &key.kind, row.id));
    let content = html! {
        div.crumbs { a href=(viewer.link("/conflicts")) { "Conflicts" } " / " (fabric_link(&viewer, &fabric.name)) " /" }
        div.title { h1 { (super::words::object(&key)) } }
        section #conflict data-live="fabric run" {
            div.notice.attention {
                p { (super::shell::capitalised(&conflict.reason.message)) "." }
                p.quiet { "Since " (when(record.since)) ". " code { (conflict.reason.code) } }
            }
            @if let Some(resolution) = &resolution { (decided(resolution)) }
            (sides::table(&documents, &conflict.paths, heads(netbox_page, conflict, &documents)))
        }
        @if viewer.may(Role::Operate) { (choices(&viewer, fabric, &key, conflict, &documents)) }
        @else { p.quiet { "Somebody with the role operate decides it." } }
    };
    Ok(page(&viewer, Tab::Conflicts, &format!("Conflict of {key}"), content))
}

fn decided(resolution: &Resolution) -> Markup {
    let word = match resolution.choice {
        Choice::Netbox => "NetBox's content",
        Choice::Git => "Git's content",
        Choice::Merged { .. } => "a merged document",
    };
    html! { p.notice.good { (resolution.by) " decided for " (word) ". The next run carries it out." } }
}

/// Whose column it is, and where its content comes from; `netbox_page` is the row's in NetBox.
fn heads(netbox_page: Option<String>, conflict: &Conflict, documents: &Documents) -> [Markup; 3] {
    let missing = |content: &Option<Content>| {
        html! { @if !matches!(content, Some(Content::Document(_))) { div.below { (sides::absence(content.as_ref())) } } }
    };
    let base = html! {
        "Last agreed on"
        @if let Some(base) = &conflict.base { div.below { "blob " (oid(&base.blob)) } }
        (missing(&documents.base))
    };
    let netbox = html! {
        "NetBox"
        @if let Some(netbox) = &conflict.netbox {
            div.below {
                a href=[&netbox_page] rel="noreferrer" { "row " (netbox.id) }
                @if !netbox.changed_by.is_empty() { ", by " (netbox.changed_by.iter().map(String::as_str).collect::<Vec<_>>().join(", ")) }
                @if netbox.last_updated.is_none() { ", overwritten since" }
            }
        }
        (missing(&documents.netbox))
    };
    let git = html! {
        "Git"
        @if let Some(git) = &conflict.git {
            div.below { code { (git.path) } @if let Some(index) = git.index { ", document " (index) } @if let Some(head) = &git.head { " at " (oid(head)) } }
        }
        (missing(&documents.git))
    };
    [base, netbox, git]
}

fn choices(viewer: &Viewer, fabric: &Fabric, key: &Key, conflict: &Conflict, documents: &Documents) -> Markup {
    let (to_git, to_netbox) = match fabric.policy.direction {
        Direction::Both => (true, true),
        Direction::NetboxToGit => (true, false),
        Direction::GitToNetbox => (false, true),
    };
    let is_raw = conflict.git.as_ref().is_some_and(|git| git.index.is_some());
    let action = viewer.link(&conflict_path(&fabric.name, key));
    html! {
        h2 #decide { "Decide" }
        form method="post" action=(action) {
            (proof(viewer))
            input type="hidden" name="version" value=(conflict.version());
            div.actions {
                @if to_git { button #take-netbox type="submit" name="side" value="netbox" { "Take NetBox's" } }
                @if to_netbox { button #take-git type="submit" name="side" value="git" { "Take Git's" } }
            }
        }
        @if to_git && to_netbox && !is_raw {
            form method="post" action=(action) {
                (proof(viewer))
                input type="hidden" name="version" value=(conflict.version());
                details #merge {
                    summary { "Write a merged document" }
                    label for="document" { "The whole document, as YAML; both sides get it" }
                    textarea #document name="document" spellcheck="false" required { (draft(documents)) }
                    div.actions { button.primary type="submit" name="side" value="merged" { "Take this document" } }
                }
            }
        }
    }
}

/// What a merged document begins with: Git's, which has all that both sides can hold.
fn draft(documents: &Documents) -> String {
    let document = [&documents.git, &documents.netbox].into_iter().flatten().find_map(|content| match content {
        Content::Document(document) => Some(document),
        Content::TooLarge { .. } => None,
    });
    // A document that cannot be written as YAML is shown as JSON, which YAML reads.
    document.map_or_else(String::new, |document| {
        serde_yaml::to_string(document).unwrap_or_else(|_| Value::Object(document.clone()).to_string())
    })
}

/// `POST /conflicts/{fabric}/{kind}/{namespace}/{name}`
pub(super) async fn decide(form: Form, place: Place, state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    let token = form.sender(Role::Operate)?;
    let (side, document) = match form.fields.first("side") {
        "netbox" => (SideWord::Netbox, None),
        "git" => (SideWord::Git, None),
        "merged" => (SideWord::Merged, Some(read(form.fields.first("document"))?)),
        _ => return Err(bad_field("`side` is none of netbox, git, merged")),
    };
    let request = ResolveRequest { side: Some(side), document, version: form.fields.text("version") };
    let accepted = record(&state, &token, object(&state, place.into_inner())?, &request).await?;
    Ok(go_on(&form.viewer, &format!("/jobs/{}", accepted.job)))
}

fn read(text: &str) -> Result<Map<String, Value>, Problem> {
    serde_yaml::from_str(text).map_err(|error| {
        let detail = format!("the merged document is no YAML mapping: {error}");
        Problem::bad_request("bad_document", detail, "Go back, correct it, and send it again: nothing was recorded.")
    })
}

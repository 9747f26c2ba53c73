//! `/fabrics/{name}/objects`: a fabric's objects, and how each stands.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde::Deserialize;

use crate::domain::key::Key;
use crate::domain::kind::Kind;
use crate::domain::policy::Fabric;
use crate::http::HttpState;
use crate::http::fabrics::find;
use crate::http::input::Query;
use crate::http::objects::{page_in_netbox, read_cursor, state_of};
use crate::http::problem::Problem;
use crate::ledger::objects::ObjectKnown;

use super::object::stands;
use super::report::held_reason;
use super::session::Viewer;
use super::shell::{Tab, page};
use super::words::{fabric_link, fabric_path, next_page, object_link};

/// Objects on a page.
const PAGE: usize = 100;

/// What the list is narrowed to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ObjectsPage {
    #[serde(default)]
    kind: String,
    /// A part of the name.
    #[serde(default)]
    name: String,
    cursor: Option<String>,
}

/// `GET /fabrics/{name}/objects`
pub(super) async fn list(
    viewer: Viewer,
    name: web::Path<String>,
    query: Query<ObjectsPage>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let fabric = find(&state, &name)?;
    let ObjectsPage { kind, name, cursor } = query.0;
    let after = cursor.as_deref().map(read_cursor).transpose()?;
    let keys = state.ledger.object_keys(&fabric.name).await?;
    let kinds: BTreeSet<Kind> = keys.iter().map(|key| key.kind.clone()).collect();
    let fits = |key: &Key| {
        (kind.is_empty() || key.kind.as_str() == kind)
            && key.name.contains(&name)
            && after.as_ref().is_none_or(|after| key > after)
    };
    let mut rest = keys.into_iter().filter(fits);
    let keys: Vec<Key> = rest.by_ref().take(PAGE).collect();
    let next = keys.last().filter(|_| rest.next().is_some()).map(ToString::to_string);
    let objects = state.ledger.objects(&fabric.name, &fabric.netbox, &keys).await?;
    let path = format!("{}/objects", fabric_path(&fabric.name));
    let content = html! {
        div.crumbs { (fabric_link(&viewer, &fabric.name)) " /" }
        div.title { h1 { "Objects" } }
        form.filter method="get" action=(viewer.link(&path)) {
            label {
                "Kind"
                select name="kind" {
                    option value="" { "any" }
                    @for each in &kinds { option value=(each) selected[each.as_str() == kind] { (each) } }
                }
            }
            label { "Name contains" input type="search" name="name" value=(name); }
            button type="submit" { "Show" }
        }
        section #objects data-live="fabric run" {
            @if objects.is_empty() { (nothing(&viewer, &path, !kind.is_empty() || !name.is_empty())) }
            @else { (table(&viewer, &state, fabric, &objects)) }
        }
        (next_page(&viewer, &path, &[("kind", &kind), ("name", &name)], next.as_deref()))
    };
    Ok(page(&viewer, Tab::Fabrics, &format!("Objects of {}", fabric.name), content))
}

fn nothing(viewer: &Viewer, path: &str, is_narrowed: bool) -> Markup {
    html! {
        div.empty {
            @if is_narrowed {
                h2 { "No such object" }
                p { "No object fits. " a href=(viewer.link(path)) { "Show all objects" } }
            } @else {
                h2 { "No object yet" }
                p { "Create one in NetBox, or drop its document into " code { "raw/" } " and push." }
            }
        }
    }
}

fn table(viewer: &Viewer, state: &HttpState, fabric: &Fabric, objects: &[ObjectKnown]) -> Markup {
    html! {
        div.table.cards {
            table {
                thead { tr { th { "Object" } th { "State" } th { "File" } th { "NetBox" } } }
                tbody {
                    @for known in objects {
                        @let base = known.base.as_ref();
                        tr {
                            th scope="row" { (object_link(viewer, &fabric.name, &known.key)) }
                            td.whole {
                                (stands(state_of(known)))
                                @if let Some(why) = &known.held { div.below { (held_reason(viewer, &fabric.name, &known.key, why)) } }
                            }
                            td.whole data-name="File" {
                                @if let Some(file) = base.and_then(|base| base.git.as_ref()) { code { (file.path) } } @else { span.quiet { "none" } }
                            }
                            td data-name="NetBox" {
                                @if let Some(row) = base.and_then(|base| base.netbox.as_ref()) {
                                    a href=(page_in_netbox(state, fabric, &known.key.kind, row.id)) rel="noreferrer" { "row " (row.id) }
                                } @else { span.quiet { "none" } }
                            }
                        }
                    }
                }
            }
        }
    }
}

//! `/conflicts`: objects on which both sides contradict each other.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};
use serde::Deserialize;

use crate::http::HttpState;
use crate::http::conflicts::{Listed, list as page_of};
use crate::http::input::Query;
use crate::http::problem::Problem;

use super::jobs::fabric_choice;
use super::session::Viewer;
use super::shell::{Tab, page};
use super::words::{conflict_path, fabric_link, next_page, object, when};

/// Conflicts on a page.
const PAGE: usize = 100;
/// Paths of a conflict that the list names.
const MOST_PATHS: usize = 3;

/// What the list is narrowed to.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConflictsPage {
    #[serde(default)]
    fabric: String,
    cursor: Option<String>,
}

/// `GET /conflicts`
pub(super) async fn list(
    viewer: Viewer,
    query: Query<ConflictsPage>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let ConflictsPage { fabric, cursor } = query.0;
    let only = Some(fabric.as_str()).filter(|fabric| !fabric.is_empty());
    let (conflicts, next) = page_of(&state, only, cursor.as_deref(), PAGE).await?;
    let content = html! {
        div.title { h1 { "Conflicts" } }
        form.filter method="get" action=(viewer.link("/conflicts")) {
            (fabric_choice(&state, &fabric))
            button type="submit" { "Show" }
        }
        section #conflicts data-live="fabric run" {
            @if conflicts.is_empty() {
                div.empty {
                    h2 { "No conflict" }
                    p { "Nothing was changed differently on both sides. When it is, both are left as they are, and you decide here." }
                }
            } @else { (table(&viewer, &conflicts)) }
        }
        (next_page(&viewer, "/conflicts", &[("fabric", &fabric)], next.as_deref()))
    };
    Ok(page(&viewer, Tab::Conflicts, "Conflicts", content))
}

fn table(viewer: &Viewer, conflicts: &[Listed]) -> Markup {
    html! {
        div.table.cards {
            table {
                thead { tr { th { "Object" } th { "Fabric" } th { "Fields" } th { "Why" } th { "Changed by" } th { "Since" } } }
                tbody {
                    @for Listed { fabric, key, record } in conflicts {
                        tr {
                            th scope="row" { a href=(viewer.link(&conflict_path(fabric, key))) { (object(key)) } }
                            td data-name="Fabric" { (fabric_link(viewer, fabric)) }
                            td.whole { (fields(&record.conflict.paths)) }
                            td.whole { code { (record.conflict.reason.code) } }
                            td data-name="Changed by" { (changed_by(record.conflict.netbox.as_ref().map(|netbox| &netbox.changed_by))) }
                            td data-name="Since" { (when(record.since)) }
                        }
                    }
                }
            }
        }
    }
}

/// Where the sides differ, a few of the places.
fn fields(paths: &[String]) -> Markup {
    html! {
        @for path in paths.iter().take(MOST_PATHS) {
            div { @if path.is_empty() { "the whole object" } @else { code { (path) } } }
        }
        @if paths.len() > MOST_PATHS { div.below { "and " (paths.len() - MOST_PATHS) " more" } }
    }
}

fn changed_by(users: Option<&std::collections::BTreeSet<String>>) -> Markup {
    let users: Vec<&str> = users.into_iter().flatten().map(String::as_str).collect();
    html! { @if users.is_empty() { span.quiet { "unknown" } } @else { (users.join(", ")) span.quiet { " in NetBox" } } }
}

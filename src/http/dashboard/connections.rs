//! `/connections`: the servers on both sides, as they answered last.

use actix_web::{HttpResponse, web};
use maud::{Markup, html};

use crate::domain::policy::Fabric;
use crate::http::HttpState;
use crate::http::problem::Problem;
use crate::ledger::types::{Circuit, Health, Server};

use super::session::Viewer;
use super::shell::{Tab, page};
use super::words::{Tone, badge, error, fabric_link, when};

/// Fabrics that a server is shown with.
const MOST_FABRICS: usize = 20;

/// A server of the settings.
struct Known<'s> {
    server: Server,
    name: &'s str,
    url: &'s str,
    webhook: bool,
    fabrics: Vec<&'s Fabric>,
}

/// `GET /connections`
pub(super) async fn show(viewer: Viewer, state: web::Data<HttpState>) -> Result<HttpResponse, Problem> {
    let (health, circuits) = (state.ledger.health().await?, state.ledger.circuits().await?);
    let circuit = |server: &Server| circuits.get(&state.ledger.endpoint(server));
    let fabrics =
        |needs: &dyn Fn(&Fabric) -> bool| state.routing.fabrics.iter().filter(|fabric| needs(fabric)).collect();
    let repositories = state.routing.repositories.iter().map(|sender| Known {
        server: Server::Repository(sender.name.clone()),
        name: sender.name.as_str(),
        url: &sender.clone_url,
        webhook: !sender.secrets.is_empty(),
        fabrics: fabrics(&|fabric| fabric.target.repo == sender.name),
    });
    let netboxes = state.routing.netboxes.iter().map(|sender| Known {
        server: Server::NetBox(sender.name.clone()),
        name: sender.name.as_str(),
        url: &sender.url,
        webhook: !sender.secrets.is_empty(),
        fabrics: fabrics(&|fabric| fabric.netbox == sender.name),
    });
    let (repositories, netboxes): (Vec<_>, Vec<_>) = (repositories.collect(), netboxes.collect());
    let content = html! {
        div.title { h1 { "Connections" } }
        section #connections data-live="server" {
            @for (title, servers) in [("Repositories", &repositories), ("NetBoxes", &netboxes)] {
                h2 { (title) }
                @if servers.is_empty() { p.quiet { "None in the settings." } }
                @else { (table(&viewer, servers, |server| (health.get(server), circuit(server)))) }
            }
        }
    };
    Ok(page(&viewer, Tab::Connections, "Connections", content))
}

type Standing<'h> = (Option<&'h Health>, Option<&'h Circuit>);

fn table<'h>(viewer: &Viewer, servers: &[Known], standing_of: impl Fn(&Server) -> Standing<'h>) -> Markup {
    html! {
        div.table.cards {
            table {
                thead { tr { th { "Name" } th { "Health" } th { "Asked" } th { "Webhook" } th { "Fabrics" } } }
                tbody {
                    @for known in servers {
                        @let (health_now, circuit) = standing_of(&known.server);
                        tr {
                            th scope="row" { (known.name) div.below { (known.url) } }
                            td.whole { (health(health_now)) (left_alone(circuit)) }
                            td data-name="Asked" { @if let Some(health) = health_now { (when(health.checked)) } @else { span.quiet { "never" } } }
                            td data-name="Webhook" { @if known.webhook { "taken" } @else { span.quiet { "none: changes are polled" } } }
                            td.whole { (fabrics(viewer, &known.fabrics)) }
                        }
                    }
                }
            }
        }
    }
}

fn health(health: Option<&Health>) -> Markup {
    let Some(health) = health else { return badge(Tone::Quiet, "unknown") };
    html! {
        @if health.ok { (badge(Tone::Good, "ok")) } @else { (badge(Tone::Bad, "failing")) }
        " " span.quiet { "since " (when(health.since)) }
        @if let Some(why) = &health.error { (error(why)) }
        @if let (false, Some(at)) = (health.ok, health.last_ok) { p.quiet { "Last well " (when(at)) "." } }
    }
}

/// Work that needs the server waits.
fn left_alone(circuit: Option<&Circuit>) -> Markup {
    html! {
        @if let Some(circuit) = circuit {
            p {
                (badge(Tone::Bad, "left alone")) " " (circuit.failures) " runs in a row failed; "
                @if circuit.may_be_tried { "one run may try it now" } @else { "one run tries it " (when(circuit.until)) }
                ", " (circuit.waiting_targets) " branches wait."
            }
        }
    }
}

fn fabrics(viewer: &Viewer, fabrics: &[&Fabric]) -> Markup {
    html! {
        @for (place, fabric) in fabrics.iter().take(MOST_FABRICS).enumerate() { @if place > 0 { ", " } (fabric_link(viewer, &fabric.name)) }
        @if fabrics.len() > MOST_FABRICS { span.quiet { " and " (fabrics.len() - MOST_FABRICS) " more" } }
        @if fabrics.is_empty() { span.quiet { "none" } }
    }
}

//! `/api/v1/repositories` and `/api/v1/netboxes`: the servers on both sides, as they answered last, and who needs them.

use actix_web::{HttpResponse, get, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::policy::Fabric;
use crate::ledger::types::{Circuit, Health, Server};

use super::HttpState;
use super::answers::ErrorView;
use super::input::{Query, limit};
use super::problem::Problem;
use super::time::rfc3339;
use super::token::ApiToken;

/// Largest page, and the one when none is asked for.
const MOST: usize = 500;
const STANDARD: usize = 100;
/// Fabrics that one server is shown with.
const MOST_FABRICS: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServersQuery {
    cursor: Option<String>,
    limit: Option<String>,
}

/// A page of repositories, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "repositories": [{
        "name": "fabrics", "url": "https://git.example.com/acme/fabrics.git", "webhook": true,
        "health": {"state": "ok", "since": "2026-11-20T09:00:00.000Z", "checked": "2026-11-21T04:49:07.120Z",
            "last_ok": "2026-11-21T04:49:07.120Z", "token_expires": "2027-01-31T12:34:56.000Z", "error": null},
        "max_runs": 4,
        "circuit": {"state": "closed", "since": null, "next_try": null, "failures": 0, "waiting_branches": 0},
        "fabrics": ["far-fabric", "lab-fabric"], "all_fabrics": 2,
    }],
    "next": null,
}))]
pub(super) struct RepositoriesView {
    repositories: Vec<ServerView>,
    /// Pass as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// A page of NetBoxes, by name.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "netboxes": [{
        "name": "lab", "url": "https://netbox.example.com/", "webhook": true,
        "health": {"state": "failing", "since": "2026-11-21T04:40:00.000Z", "checked": "2026-11-21T04:49:07.120Z",
            "last_ok": "2026-11-21T04:39:00.000Z", "token_expires": null,
            "error": {"code": "netbox_unavailable", "message": "NetBox lab could not be reached: connection refused",
                "remedy": "nothing if it passes; else check NetBox and the network"}},
        "max_runs": 4,
        "circuit": {"state": "open", "since": "2026-11-21T04:41:12.000Z", "next_try": "2026-11-21T04:51:40.000Z",
            "failures": 7, "waiting_branches": 3},
        "fabrics": ["lab-fabric"], "all_fabrics": 1,
    }],
    "next": null,
}))]
pub(super) struct NetBoxesView {
    netboxes: Vec<ServerView>,
    /// Pass as `cursor` for the next page; null at the end.
    next: Option<String>,
}

/// A server that fabrics need.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ServerView {
    name: String,
    /// Without credentials.
    url: String,
    /// Whether its webhooks are taken; without them changes are found by polling and comparing.
    webhook: bool,
    health: ServerHealthView,
    /// Runs that may need it at the same time, over all replicas; null is no limit.
    max_runs: Option<u32>,
    circuit: CircuitView,
    /// The first hundred fabrics that need it, by name.
    fabrics: Vec<String>,
    all_fabrics: usize,
}

/// Whether work that needs the server waits, because run after run failed on it. Repositories of one host have it in common.
#[derive(Debug, Default, Serialize, ToSchema)]
struct CircuitView {
    state: CircuitWord,
    /// Since when it is not closed: RFC 3339, UTC.
    since: Option<String>,
    /// When one run may try it: RFC 3339, UTC.
    next_try: Option<String>,
    /// Runs in a row that failed on it, while it is not closed.
    failures: u64,
    /// Branches whose work waits for it.
    waiting_branches: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CircuitWord {
    /// Work goes on.
    #[default]
    Closed,
    /// All work waits.
    Open,
    /// One run may try, or does.
    HalfOpen,
}

impl CircuitView {
    fn of(circuit: Option<&Circuit>) -> Self {
        let Some(circuit) = circuit else { return Self::default() };
        Self {
            state: if circuit.may_be_tried { CircuitWord::HalfOpen } else { CircuitWord::Open },
            since: Some(rfc3339(circuit.since)),
            next_try: Some(rfc3339(circuit.until)),
            failures: circuit.failures,
            waiting_branches: circuit.waiting_targets,
        }
    }
}

/// How a server answered when a run or a periodic check last asked it.
#[derive(Debug, Serialize, ToSchema)]
struct ServerHealthView {
    state: HealthWord,
    /// Since when it is so: RFC 3339, UTC.
    since: Option<String>,
    /// When it was last asked: RFC 3339, UTC.
    checked: Option<String>,
    /// When it was last well: RFC 3339, UTC.
    last_ok: Option<String>,
    /// When our token for it ends, where the server says so (GitHub): RFC 3339, UTC.
    token_expires: Option<String>,
    error: Option<ErrorView>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum HealthWord {
    Ok,
    Failing,
    /// It was never asked.
    Unknown,
}

/// Lists the repositories with their health
#[utoipa::path(
    tag = "connections",
    params(
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 500, description = "Repositories on a page; 100 when not given"),
    ),
    responses(
        (status = 200, description = "A page of the settings' repositories, by name", body = RepositoriesView),
    ),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/repositories")]
pub(super) async fn list_repositories(
    _token: ApiToken,
    query: Query<ServersQuery>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let known = state.routing.repositories.iter();
    let known = known.map(|sender| Known {
        server: Server::Repository(sender.name.clone()),
        name: sender.name.as_str(),
        url: &sender.clone_url,
        webhook: !sender.secrets.is_empty(),
    });
    let (repositories, next) = page(&state, query.0, known.collect()).await?;
    Ok(HttpResponse::Ok().json(RepositoriesView { repositories, next }))
}

/// Lists the NetBoxes with their health
#[utoipa::path(
    tag = "connections",
    params(
        ("cursor" = Option<String>, Query, description = "The `next` of the page before"),
        ("limit" = Option<usize>, Query, minimum = 1, maximum = 500, description = "NetBoxes on a page; 100 when not given"),
    ),
    responses((status = 200, description = "A page of the settings' NetBoxes, by name", body = NetBoxesView)),
    security(("api_token" = ["read"])),
)]
#[get("/api/v1/netboxes")]
pub(super) async fn list_netboxes(
    _token: ApiToken,
    query: Query<ServersQuery>,
    state: web::Data<HttpState>,
) -> Result<HttpResponse, Problem> {
    let known = state.routing.netboxes.iter();
    let known = known.map(|sender| Known {
        server: Server::NetBox(sender.name.clone()),
        name: sender.name.as_str(),
        url: &sender.url,
        webhook: !sender.secrets.is_empty(),
    });
    let (netboxes, next) = page(&state, query.0, known.collect()).await?;
    Ok(HttpResponse::Ok().json(NetBoxesView { netboxes, next }))
}

/// What the settings say of a server.
struct Known<'s> {
    server: Server,
    name: &'s str,
    url: &'s str,
    webhook: bool,
}

impl Known<'_> {
    fn is_needed_by(&self, fabric: &Fabric) -> bool {
        match &self.server {
            Server::Repository(name) => fabric.target.repo == *name,
            Server::NetBox(name) => fabric.netbox == *name,
        }
    }
}

/// One page, and where the next begins.
async fn page(
    state: &HttpState,
    query: ServersQuery,
    mut known: Vec<Known<'_>>,
) -> Result<(Vec<ServerView>, Option<String>), Problem> {
    let size = limit(query.limit.as_deref(), STANDARD, MOST)?;
    known.sort_by_key(|known| known.name);
    known.retain(|known| query.cursor.as_deref().is_none_or(|after| known.name > after));
    let more = known.len() > size;
    known.truncate(size);
    let next = known.last().filter(|_| more).map(|last| last.name.to_owned());
    let (health, circuits) = (state.ledger.health().await?, state.ledger.circuits().await?);
    let view = |known: &Known<'_>| {
        let fabrics = state.routing.fabrics.iter().filter(|fabric| known.is_needed_by(fabric));
        ServerView {
            name: known.name.to_owned(),
            url: known.url.to_owned(),
            webhook: known.webhook,
            health: ServerHealthView::of(health.get(&known.server)),
            max_runs: state.ledger.max_runs(&known.server),
            circuit: CircuitView::of(circuits.get(&state.ledger.endpoint(&known.server))),
            all_fabrics: fabrics.clone().count(),
            fabrics: fabrics.take(MOST_FABRICS).map(|fabric| fabric.name.to_string()).collect(),
        }
    };
    Ok((known.iter().map(view).collect(), next))
}

impl ServerHealthView {
    fn of(health: Option<&Health>) -> Self {
        let Some(health) = health.cloned() else {
            return Self {
                state: HealthWord::Unknown,
                since: None,
                checked: None,
                last_ok: None,
                token_expires: None,
                error: None,
            };
        };
        Self {
            state: if health.ok { HealthWord::Ok } else { HealthWord::Failing },
            since: Some(rfc3339(health.since)),
            checked: Some(rfc3339(health.checked)),
            last_ok: health.last_ok.map(rfc3339),
            token_expires: health.token_expires.map(rfc3339),
            error: health.error.map(ErrorView::from),
        }
    }
}

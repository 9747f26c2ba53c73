//! The API's description, made from the handlers; `openapi/openapi.json` is its copy for readers.

use actix_web::{App, HttpResponse, get, web};
use serde_json::Value;
use utoipa::OpenApi;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::Type;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{ContentBuilder, ObjectBuilder, Ref, RefOr, Required, Response, ResponseBuilder};
use utoipa_actix_web::AppExt;

use super::problem::Problem;
use super::surface::routes;
use super::{events, head};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "fgd-sync",
        description = "Keeps a Fabric GitOps Directory in Git and NetBox equal: webhooks in, status out.\n\n\
            Every error is an RFC 9457 problem with a stable `code`. Unknown query parameters and body fields are errors. \
            Whatever answers GET answers HEAD, but for the events.",
    ),
    tags(
        (name = "webhooks", description = "Signed deliveries of NetBox and GitHub"),
        (name = "jobs", description = "What became of every accepted delivery and request"),
        (name = "runs", description = "Each turn of a worker on a repository's branch"),
        (name = "fabrics", description = "How each fabric stands"),
        (name = "objects", description = "Where each object is, and what happened to it"),
        (name = "conflicts", description = "Objects on which both sides contradict each other"),
        (name = "connections", description = "The servers on both sides"),
        (name = "dead letters", description = "What was given up, and what a person does about it"),
        (name = "service", description = "The service as a whole"),
        (name = "events", description = "What changes, as it changes"),
        (name = "deliveries", description = "What came in, and what it led to"),
        (name = "health", description = "For whoever restarts the process or sends it traffic"),
    ),
    components(schemas(events::EventView))
)]
struct Description;

/// The description of every route.
pub fn openapi() -> utoipa::openapi::OpenApi {
    let mut description = App::new().into_utoipa_app().openapi(base()).configure(|all| routes(all)).split_for_parts().1;
    for (path, item) in &mut description.paths.paths {
        let in_api = path.starts_with("/api/");
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            describe_any(path, operation);
        }
        // Events have no end, and so no digest.
        if let Some(read) = item.get.as_mut().filter(|_| in_api && path != head::ENDLESS) {
            describe_read(read);
        }
        if let Some(write) = &mut item.post {
            if in_api {
                describe_write(write);
            }
            add_problem(write, "429", TOO_OFTEN);
        }
    }
    description
}

/// Describes the API
///
/// What `fgd-sync openapi` prints: OpenAPI 3.1, for those who make clients.
#[utoipa::path(
    tag = "service",
    responses((status = 200, description = "The description", body = Object, example = json!({"openapi": "3.1.0", "info": {"title": "fgd-sync"}}))),
)]
#[get("/openapi.json")]
pub(super) async fn describe() -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(described().await?))
}

/// The description as JSON, made beside the threads that answer.
pub(super) async fn described() -> Result<Value, Problem> {
    let made = web::block(|| serde_json::to_value(openapi())).await;
    made.map_err(|stopped| Problem::internal(&stopped))?.map_err(|failed| Problem::internal(&failed))
}

const TOO_OFTEN: &str = "The caller's address calls too often; see Retry-After";

/// What everything answers that needs a token, and what everything of the API does.
fn describe_any(path: &str, operation: &mut Operation) {
    if operation.security.is_some() {
        add_problem(operation, "401", "No token, or a wrong one");
    }
    if path.starts_with("/api/") {
        add_problem(operation, "400", wrong_input(operation));
        add_problem(operation, "503", "Redis cannot be reached");
    }
    if path.starts_with("/api/v1/fabrics/{name}") {
        add_problem(operation, "404", "The settings have no such fabric");
    }
}

/// What may be wrong with a request depends on what it can say.
fn wrong_input(operation: &Operation) -> &'static str {
    let in_query = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(parameter) => matches!(parameter.parameter_in, ParameterIn::Query),
        RefOr::Ref(_) => false,
    };
    if operation.request_body.is_some() {
        "A parameter or field is unknown or wrong; it is named"
    } else if operation.parameters.iter().flatten().any(in_query) {
        "A parameter is unknown or wrong; it is named"
    } else {
        "A parameter is unknown"
    }
}

/// What every read of the API takes and answers.
fn describe_read(read: &mut Operation) {
    add_header(read, "If-None-Match", "The `ETag` of an answer that the caller has already");
    let unchanged = Response::new("Nothing has changed since the answer with this `ETag`");
    read.responses.responses.entry("304".to_owned()).or_insert(unchanged.into());
    add_problem(read, "429", TOO_OFTEN);
}

/// What every write of the API takes and answers.
fn describe_write(write: &mut Operation) {
    add_problem(write, "403", "The token's role is too low");
    if write.request_body.is_some() {
        add_problem(write, "413", "The body is too large");
        add_problem(write, "415", "The body is not JSON");
    }
    let key = "Names the request, so that it can be repeated when its answer was lost: for a day a request with the same \
               key is answered as the first was (`Idempotency-Replayed: true`), and carried out once";
    add_header(write, "Idempotency-Key", key);
    add_problem(write, "409", "A request with this Idempotency-Key is being carried out");
    add_problem(write, "422", "The Idempotency-Key was used for another request");
}

fn add_header(operation: &mut Operation, name: &str, description: &str) {
    let header = ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).build()));
    operation.parameters.get_or_insert_default().push(header.build().into());
}

/// Adds the answer, unless the operation describes one of its own.
fn add_problem(operation: &mut Operation, status: &str, description: &str) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    let response = ResponseBuilder::new().description(description).content("application/problem+json", content).build();
    operation.responses.responses.entry(status.to_owned()).or_insert(response.into());
}

fn base() -> utoipa::openapi::OpenApi {
    let mut description = Description::openapi();
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some(
        "One of the settings' api_tokens. The word beside an operation is the role that it needs: `read`, `operate` or \
         `admin`; each may do what the ones before it may.",
    ));
    let components = description.components.get_or_insert_default();
    components.add_security_scheme("api_token", SecurityScheme::Http(bearer.build()));
    description
}

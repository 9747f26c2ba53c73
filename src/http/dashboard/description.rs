//! `/docs`: the API's description for people, with what it takes to try it.
//!
//! Made from the same description that programs get, so that it cannot say anything else.

use actix_web::HttpResponse;
use maud::{Markup, html};
use serde_json::Value;

use crate::http::openapi::described;
use crate::http::problem::Problem;

use super::session::Viewer;
use super::shell::{Tab, page};
use super::words::{Tone, badge};

/// `GET /docs`
pub(super) async fn show(viewer: Viewer) -> Result<HttpResponse, Problem> {
    let api = described().await?;
    let operations = operations(&api);
    let content = html! {
        div.title {
            h1 { "API" }
            a.button href=(viewer.link("/openapi.json")) { "openapi.json" }
        }
        p {
            "Programs send " code { "Authorization: Bearer <token>" } " with one of the settings' " code { "api_tokens" }
            ", whose role is named beside each request. This page reads with your session, and writes nothing: take the "
            "command of a write to a terminal, with " code { "FGD_URL" } " and " code { "FGD_TOKEN" } " set."
        }
        @for tag in list(&api["tags"]) {
            @let name = text(&tag["name"]);
            h2 { (super::shell::capitalised(name)) " " span.quiet { (text(&tag["description"])) } }
            @for operation in operations.iter().filter(|operation| operation.tag == name) { (shown(&viewer, &api, operation)) }
        }
        script defer src=(viewer.link("/assets/docs.js")) {}
    };
    Ok(page(&viewer, Tab::Api, "API", content))
}

/// One method of one path.
struct Operation<'a> {
    tag: &'a str,
    path: &'a str,
    method: &'a str,
    is: &'a Value,
}

/// All of them, by path.
fn operations(api: &Value) -> Vec<Operation<'_>> {
    let mut operations = Vec::new();
    for (path, item) in api["paths"].as_object().into_iter().flatten() {
        for (method, is) in item.as_object().into_iter().flatten() {
            operations.push(Operation { tag: text(&is["tags"][0]), path, method, is });
        }
    }
    operations
}

fn shown(viewer: &Viewer, api: &Value, operation: &Operation) -> Markup {
    let Operation { path, method, is, .. } = operation;
    let role = list(&is["security"]).iter().find_map(|scheme| scheme["api_token"][0].as_str());
    let tone = if *method == "get" { Tone::Busy } else { Tone::Attention };
    let body = example(api, &is["requestBody"]["content"]["application/json"]);
    html! {
        details.operation id=(text(&is["operationId"])) {
            summary {
                (badge(tone, &method.to_uppercase())) " " code { (path) } " " span.quiet { (text(&is["summary"])) }
            }
            @if let Some(description) = is["description"].as_str() { p { (prose(description)) } }
            p.quiet { @if let Some(role) = role { "Needs a token with the role " code { (role) } "." } @else { "Needs no token." } }
            (parameters(api, is))
            @if let Some(body) = &body { h3 { "Body" } pre tabindex="0" { (body) } }
            (answers(api, is))
            h3 { "From a terminal" }
            pre tabindex="0" { (command(operation, role.is_some(), body.as_deref())) }
            @if *method == "get" && *path != crate::http::head::ENDLESS { (trial(viewer, operation)) }
        }
    }
}

fn parameters(api: &Value, operation: &Value) -> Markup {
    let all = list(&operation["parameters"]);
    html! {
        @if !all.is_empty() {
            div.table.cards {
                table {
                    thead { tr { th { "Parameter" } th { "In" } th { "Takes" } th { "Says" } } }
                    tbody {
                        @for parameter in all {
                            tr {
                                th scope="row" { code { (text(&parameter["name"])) } }
                                td data-name="In" { (text(&parameter["in"])) }
                                td data-name="Takes" { (takes(api, &parameter["schema"])) }
                                td.whole { (prose(text(&parameter["description"]))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn answers(api: &Value, operation: &Value) -> Markup {
    let answers = operation["responses"].as_object();
    html! {
        h3 { "Answers" }
        div.table.cards {
            table {
                thead { tr { th { "Status" } th { "Says" } } }
                tbody {
                    @for (status, answer) in answers.into_iter().flatten() {
                        tr {
                            th scope="row" { (status) }
                            td.whole {
                                (prose(text(&answer["description"])))
                                @if let Some(example) = example(api, &answer["content"]["application/json"]) { pre tabindex="0" { (example) } }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Sends a read with what the fields say; the script shows the form and the answer.
fn trial(viewer: &Viewer, operation: &Operation) -> Markup {
    let parameters = list(&operation.is["parameters"]).iter().filter(|parameter| parameter["in"] != "header");
    html! {
        form.filter data-path=(viewer.link(operation.path)) hidden {
            @for parameter in parameters {
                label {
                    (text(&parameter["name"]))
                    input type="search" name=(text(&parameter["name"])) data-in=(text(&parameter["in"])) required[parameter["in"] == "path"];
                }
            }
            button type="submit" { "Send" }
        }
        pre tabindex="0" hidden {}
    }
}

/// The request for a shell.
fn command(operation: &Operation, needs_token: bool, body: Option<&str>) -> String {
    let mut command = format!("curl \"$FGD_URL{}\"", operation.path);
    if needs_token {
        command.push_str(" \\\n  -H \"Authorization: Bearer $FGD_TOKEN\"");
    }
    if operation.method == "post" {
        command.push_str(" \\\n  -X POST");
        if operation.path.starts_with("/api/") {
            command.push_str(" -H \"Idempotency-Key: $(uuidgen)\"");
        }
    }
    if let Some(body) = body {
        let body = body.replace('\'', "'\\''");
        command.push_str(&format!(" \\\n  -H \"Content-Type: application/json\" -d '{body}'"));
    }
    command
}

/// What a schema takes, in a word or by its choices.
fn takes(api: &Value, schema: &Value) -> String {
    let schema = resolved(api, schema);
    let choices: Vec<&str> = list(&schema["enum"]).iter().map(text).collect();
    if !choices.is_empty() {
        return choices.join(", ");
    }
    let limits = (schema["minimum"].as_u64(), schema["maximum"].as_u64());
    match (schema["type"].as_str().unwrap_or("text"), limits) {
        (_, (Some(least), Some(most))) => format!("{least} to {most}"),
        (kind, _) => kind.to_owned(),
    }
}

/// An example of a body: its own, or its schema's.
fn example(api: &Value, media: &Value) -> Option<String> {
    let own = Some(&media["example"]).filter(|own| !own.is_null());
    let example = own.unwrap_or(&resolved(api, &media["schema"])["example"]);
    (!example.is_null()).then(|| format!("{example:#}"))
}

/// A schema, where the value may only name one; of several the first that is named.
fn resolved<'a>(api: &'a Value, schema: &'a Value) -> &'a Value {
    let named = |schema: &'a Value| schema["$ref"].as_str()?.strip_prefix('#').and_then(|at| api.pointer(at));
    let among = || list(&schema["oneOf"]).iter().find_map(named);
    named(schema).or_else(among).unwrap_or(schema)
}

/// Words of the description; what stands between backticks is code.
fn prose(words: &str) -> Markup {
    html! {
        @for (at, part) in words.split('`').enumerate() {
            @if at % 2 == 1 { code { (part) } } @else { (part) }
        }
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

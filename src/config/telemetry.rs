//! Where traces go. OpenTelemetry's own variables count where the settings say nothing.

use std::fmt;

use secrecy::SecretString;
use url::Url;

use super::declared::{Choice, Group, Text};
use super::environment::Environment;
use super::remote;
use super::section::{Refusal, Section};
use super::service::with_slash;

pub(super) const TELEMETRY: Group =
    Group::single("telemetry", "Traces by OTLP/HTTP, in JSON.", &[&OTLP_ENDPOINT, &PROPAGATE]);
const OTLP_ENDPOINT: Text = Text::optional(
    "otlp_endpoint",
    "http or https address",
    "Where traces go, `/v1/traces` being added; OTEL_EXPORTER_OTLP_ENDPOINT and the like count without it.",
);
const PROPAGATE: Choice<bool> = Choice {
    name: "propagate",
    words: &[("off", false), ("on", true)],
    about: "Whether requests to NetBox and Git servers carry a `traceparent` header.",
};

/// Traces by OTLP/HTTP.
#[derive(Clone)]
pub struct Telemetry {
    /// Where they are sent, whole; `None` sends none.
    pub endpoint: Option<Url>,
    /// With each request.
    pub headers: Vec<(String, SecretString)>,
    /// Of this process: `service.name` and what OTEL_RESOURCE_ATTRIBUTES adds.
    pub resource: Vec<(String, String)>,
    /// Whether requests to NetBox and Git servers carry a `traceparent`.
    pub propagate: bool,
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        f.debug_struct("Telemetry")
            .field("endpoint", &self.endpoint)
            .field("headers", &headers)
            .field("resource", &self.resource)
            .field("propagate", &self.propagate)
            .finish()
    }
}

pub(super) fn telemetry(root: &Section<'_>, environment: &Environment) -> Telemetry {
    let variable = |name: &str| environment.get(name).map(String::as_str).filter(|text| !text.is_empty());
    let section = root.group(&TELEMETRY);
    let written = section.get(OTLP_ENDPOINT.name);
    let mut endpoint = written.as_ref().and_then(|setting| setting.parse(remote::http)).map(traces_below);
    if written.is_none() {
        let refused = |name: &'static str| {
            let read = variable(name).map(|text| remote::http(text).map_err(|refusal| (name, refusal)));
            read.transpose()
        };
        let of_traces = refused("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT");
        let of_all = refused("OTEL_EXPORTER_OTLP_ENDPOINT");
        endpoint = match (of_traces, of_all) {
            // The first is the whole address, the second the root of all signals.
            (Ok(Some(whole)), _) => Some(whole),
            (Ok(None), Ok(root)) => root.map(traces_below),
            (Err((name, Refusal { message, remedy })), _) | (Ok(None), Err((name, Refusal { message, remedy }))) => {
                root.missing(TELEMETRY.name, format!("{name} {message}"), remedy);
                None
            }
        };
    }
    if variable("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
        endpoint = None;
    }
    let headers = variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS").or_else(|| variable("OTEL_EXPORTER_OTLP_HEADERS"));
    let headers = pairs(headers).map(|(name, value)| (name, SecretString::from(value))).collect();
    let mut resource: Vec<(String, String)> = pairs(variable("OTEL_RESOURCE_ATTRIBUTES")).collect();
    if let Some(name) = variable("OTEL_SERVICE_NAME") {
        resource.retain(|(key, _)| key != "service.name");
        resource.push(("service.name".to_owned(), name.to_owned()));
    }
    if !resource.iter().any(|(key, _)| key == "service.name") {
        resource.push(("service.name".to_owned(), "fgd-sync".to_owned()));
    }
    Telemetry { endpoint, headers, resource, propagate: section.choice(&PROPAGATE) }
}

/// An endpoint without a path of its own is the root of all signals.
fn traces_below(url: Url) -> Url {
    if url.path().ends_with("/v1/traces") {
        return url;
    }
    let mut url = with_slash(url);
    url.set_path(&format!("{}v1/traces", url.path()));
    url
}

/// `a=1,b=2`, percent-encoded, as OpenTelemetry's variables have it.
fn pairs(text: Option<&str>) -> impl Iterator<Item = (String, String)> {
    let pairs = text.unwrap_or_default().split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decoded(name.trim()), decoded(value.trim())))
}

fn decoded(text: &str) -> String {
    // Percent-encoding as in a query, but with `+` for itself.
    let query = format!("v={}", text.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(query.as_bytes()).next().map(|(_, value)| value.into_owned()).unwrap_or_default()
}

//! The API of a running service, as the commands use it.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::OsStringValueParser;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::Value;
use url::{Host, Url};

use fgd_sync::domain::cause::with_causes;
use fgd_sync::domain::secret::SecretSource;

use super::exit::Exit;
use super::output::Output;

/// Where the service is, what lets us in, and how its answers are written.
#[derive(Args)]
pub struct ServiceArgs {
    /// Where the service answers
    #[arg(long, env = "FGD_URL", value_name = "URL", default_value = HERE, value_parser = service_url)]
    url: Url,
    /// A file that holds the API token; else FGD_TOKEN is the token itself
    #[arg(long, env = "FGD_TOKEN_FILE", value_name = "FILE", value_parser = OsStringValueParser::new())]
    token_file: Option<OsString>,
    /// A CA certificate (PEM) that the service's certificate may come from, beside those of the system
    #[arg(long, env = "FGD_CA_FILE", value_name = "FILE", value_parser = OsStringValueParser::new())]
    ca_file: Option<OsString>,
    /// How to write the answer
    #[arg(long, value_enum, default_value_t)]
    pub output: Output,
}

/// Where a service answers that is not told otherwise.
const HERE: &str = "http://127.0.0.1:8080";
/// Longest time for a connection, and for a whole answer.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(60);

/// A service that can be asked.
pub struct Client {
    http: reqwest::Client,
    url: Url,
    token: Option<Token>,
}

/// What lets us in, and where it was found.
struct Token {
    secret: SecretString,
    from: String,
}

/// Why there is no answer to use.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(
        "the service at {url} cannot be reached: {detail}\n    Name it with --url or FGD_URL, and see whether it runs: {url}healthz"
    )]
    Unreachable { url: Url, detail: String },
    #[error("{problem}")]
    Problem { status: StatusCode, problem: String },
    #[error(
        "{url} answered with {status}, and with nothing that fgd-sync says\n    See whether --url names fgd-sync and not a proxy."
    )]
    Foreign { url: Url, status: StatusCode },
    #[error(
        "the service answered what this version does not understand: {detail}\n    Use the same version on both sides."
    )]
    NotUnderstood { detail: String },
    #[error(
        "waited {} for the job {job}, which goes on: {progress}\n    Look at it with: fgd-sync jobs get {job}",
        humantime::format_duration(*.after)
    )]
    TimedOut { job: String, after: Duration, progress: String },
    #[error("{why}\n    Look at it with: fgd-sync jobs get {job}")]
    NotDone { job: String, why: String },
}

impl Failure {
    /// Prints it, and says how to end.
    pub fn tell(&self) -> Exit {
        eprintln!("error: {self}");
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Problem { status, .. } => match *status {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Exit::Refused,
                StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => Exit::Unreachable,
                // The command line asked for what no service gives.
                StatusCode::BAD_REQUEST => Exit::Usage,
                _ => Exit::Failed,
            },
            Self::Foreign { .. } => Exit::Unreachable,
            Self::NotUnderstood { .. } | Self::NotDone { .. } => Exit::Failed,
            Self::TimedOut { .. } => Exit::TimedOut,
        }
    }
}

#[derive(Deserialize)]
struct Accepted {
    job_id: String,
}

/// The service's words about a request that it did not carry out (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    title: String,
    code: String,
    detail: String,
    #[serde(default)]
    remedy: String,
}

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

impl Client {
    /// Reads the token and what else is named; asks nobody yet.
    pub fn new(args: &ServiceArgs) -> Result<Self, Failure> {
        let usage = |text: String| Failure::Usage(text);
        let token = token(args)?;
        if token.is_some() && args.url.scheme() == "http" && is_far(&args.url) {
            eprintln!("warning: the token goes to {} unencrypted; use an https address", args.url);
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            // The service never redirects, and a token must not follow one.
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("fgd-sync-cli/", env!("CARGO_PKG_VERSION")));
        if !is_far(&args.url) {
            builder = builder.no_proxy();
        }
        if let Some(path) = named_file(&args.ca_file) {
            let unusable = |why: String| usage(format!("the CA file {} cannot be used: {why}", path.display()));
            let pem = std::fs::read(&path).map_err(|error| unusable(error.to_string()))?;
            let all = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| unusable(with_causes(&error)))?;
            if all.is_empty() {
                return Err(unusable("it holds no PEM certificate".to_owned()));
            }
            builder = builder.tls_certs_merge(all);
        }
        let http = builder.build().map_err(|error| usage(with_causes(&error)))?;
        let mut url = args.url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self { http, url, token })
    }

    /// Reads from the API: the JSON of a good answer.
    pub async fn get(&self, path: &[&str], query: &[(&str, &str)]) -> Result<Value, Failure> {
        let request = self.request(Method::GET, path)?.query(query).timeout(ANSWER);
        self.json_of(self.send(request).await?).await
    }

    /// Every item of a list, page by page: what its pages hold under `name`, and the last page.
    pub async fn list(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        name: &str,
    ) -> Result<(Vec<Value>, Value), Failure> {
        let (mut items, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let after = cursor.as_deref().map(|cursor| ("cursor", cursor));
            let mut page = self.get(path, &[query, after.as_slice()].concat()).await?;
            match page[name].take() {
                Value::Array(mut found) => items.append(&mut found),
                _ => return Err(Failure::NotUnderstood { detail: format!("a list without `{name}`") }),
            }
            match page["next"].take() {
                Value::String(next) => cursor = Some(next),
                _ => return Ok((items, page)),
            }
        }
    }

    /// Asks for a job, and tells its id.
    pub async fn ask(&self, path: &[&str], body: &Value) -> Result<String, Failure> {
        let accepted: Accepted = read(&self.post(path, body).await?)?;
        Ok(accepted.job_id)
    }

    /// Asks for something; an answer that is lost can be asked for again with the same `key`.
    pub async fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        let key = ulid::Ulid::generate().to_string();
        let send = || async {
            let request = self.request(Method::POST, path)?.json(body).header("Idempotency-Key", &key).timeout(ANSWER);
            self.json_of(self.send(request).await?).await
        };
        match send().await {
            // It may have been carried out: the service tells, and does nothing twice.
            Err(Failure::Unreachable { .. }) => send().await,
            answered => answered,
        }
    }

    /// Begins to listen to what changes, after the event with this id.
    pub async fn listen(&self, fabric: Option<&str>, after: Option<&str>) -> Result<Response, Failure> {
        let mut request = self.request(Method::GET, &["api", "v1", "events"])?;
        if let Some(fabric) = fabric {
            request = request.query(&[("fabric", fabric)]);
        }
        if let Some(after) = after {
            request = request.header("Last-Event-ID", after);
        }
        let response = self.send(request).await?;
        if response.status().is_success() { Ok(response) } else { Err(self.refusal(response).await) }
    }

    fn request(&self, method: Method, path: &[&str]) -> Result<RequestBuilder, Failure> {
        let mut url = self.url.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => _ = segments.pop_if_empty().extend(path),
            Err(()) => return Err(Failure::Usage(format!("--url: {} cannot have a path", self.url))),
        }
        let request = self.http.request(method, url);
        Ok(match &self.token {
            Some(token) => request.bearer_auth(token.secret.expose_secret()),
            None => request,
        })
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        request.send().await.map_err(|error| self.unreachable(error))
    }

    /// Why nothing came.
    pub fn unreachable(&self, error: reqwest::Error) -> Failure {
        Failure::Unreachable { url: self.url.clone(), detail: with_causes(&error.without_url()) }
    }

    async fn json_of(&self, response: Response) -> Result<Value, Failure> {
        let status = response.status();
        if !status.is_success() {
            return Err(self.refusal(response).await);
        }
        let body = response.bytes().await.map_err(|error| self.unreachable(error))?;
        serde_json::from_slice(&body).map_err(|_| Failure::Foreign { url: self.url.clone(), status })
    }

    async fn refusal(&self, response: Response) -> Failure {
        let (status, id) = (response.status(), request_id(response.headers()));
        let problem = response.bytes().await.ok().and_then(|body| serde_json::from_slice::<Problem>(&body).ok());
        let Some(Problem { title, code, detail, remedy }) = problem else {
            return Failure::Foreign { url: self.url.clone(), status };
        };
        let hint = match (status, &self.token) {
            (StatusCode::UNAUTHORIZED, None) => {
                " Name the token with FGD_TOKEN, or its file with --token-file.".to_owned()
            }
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(Token { from, .. })) => {
                format!(" This one is from {from}.")
            }
            _ => String::new(),
        };
        let problem = format!("{title} ({code}): {detail}\n    {remedy}{hint}\n    X-Request-ID: {id}");
        Failure::Problem { status, problem }
    }
}

/// A value of the API as the commands know it.
pub fn read<T: for<'de> Deserialize<'de>>(value: &Value) -> Result<T, Failure> {
    T::deserialize(value).map_err(|error| Failure::NotUnderstood { detail: error.to_string() })
}

fn request_id(headers: &HeaderMap<HeaderValue>) -> String {
    headers.get(&REQUEST_ID).and_then(|id| id.to_str().ok()).unwrap_or("none").to_owned()
}

/// The token; `None` where none is named: the service says then what it wants.
fn token(args: &ServiceArgs) -> Result<Option<Token>, Failure> {
    let named = std::env::var("FGD_TOKEN").ok().filter(|text| !text.is_empty());
    let (source, from) = match (named_file(&args.token_file), named) {
        (Some(file), _) => (SecretSource::File(file.clone()), format!("the file {}", file.display())),
        (None, Some(text)) => (SecretSource::Text(SecretString::from(text)), "FGD_TOKEN".to_owned()),
        (None, None) => return Ok(None),
    };
    let secret = source.read().map_err(|error| Failure::Usage(format!("the API token: {}", with_causes(&error))))?;
    Ok(Some(Token { secret, from }))
}

/// A variable that is set to nothing names no file.
fn named_file(argument: &Option<OsString>) -> Option<PathBuf> {
    argument.as_ref().filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// A variable that is set to nothing leaves the address as it is without.
fn service_url(text: &str) -> Result<Url, String> {
    let url = Url::parse(if text.is_empty() { HERE } else { text }).ok();
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some());
    url.ok_or_else(|| format!("it is not an http(s) address; write such as {HERE} or https://fgd-sync.example.com"))
}

fn is_far(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name != "localhost",
        Some(Host::Ipv4(address)) => !address.is_loopback(),
        Some(Host::Ipv6(address)) => !address.is_loopback(),
        None => true,
    }
}

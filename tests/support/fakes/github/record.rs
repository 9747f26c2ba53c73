//! What was asked and answered, kept for a check against GitHub's published descriptions.
//!
//! `FGD_TEST_GITHUB_RECORD` names a directory; `tests/github/check` reads what is in it.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::reply::{Body, Reply};
use super::server::Asked;

/// The requests of one stand-in. Nothing is kept when nobody asks for it.
pub(super) struct Record {
    directory: Option<PathBuf>,
    test: String,
    lines: Vec<Value>,
}

impl Record {
    pub fn new() -> Self {
        let directory = std::env::var_os("FGD_TEST_GITHUB_RECORD").filter(|name| !name.is_empty()).map(PathBuf::from);
        let test = std::thread::current().name().unwrap_or("a thread without a name").to_owned();
        Self { directory, test, lines: Vec::new() }
    }

    /// Keeps a request and its answer. One that was noted as unexpected, or ran into a fault, says so.
    pub fn keep(&mut self, asked: &Asked, reply: &Reply, (unexpected, fault): (bool, bool)) {
        if self.directory.is_none() {
            return;
        }
        let answer = match &reply.body {
            Body::Json(body) => body.clone(),
            Body::None | Body::Raw(..) => Value::Null,
        };
        let query: Vec<Value> = asked.query.iter().map(|(name, value)| json!([name, value])).collect();
        self.lines.push(json!({
            "test": self.test, "route": format!("{:?}", asked.found.route), "method": asked.method,
            "path": asked.path, "query": query, "body": asked.json, "status": reply.status, "answer": answer,
            "unexpected": unexpected, "fault": fault,
        }));
    }

    /// Keeps a webhook's payload.
    pub fn keep_delivery(&mut self, event: &str, payload: &Value) {
        if self.directory.is_some() {
            let (route, unexpected) = (format!("delivery of {event}"), false);
            self.lines.push(json!({
                "test": self.test, "route": route, "event": event, "payload": payload, "unexpected": unexpected,
            }));
        }
    }

    /// Writes what was kept into a file of its own.
    pub fn write(&mut self) {
        let Some(directory) = self.directory.as_ref().filter(|_| !self.lines.is_empty()) else { return };
        let text: String = self.lines.drain(..).map(|line| format!("{line}\n")).collect();
        let name = format!("{}.jsonl", ulid::Ulid::generate());
        let written = std::fs::create_dir_all(directory).and_then(|()| std::fs::write(directory.join(name), text));
        written.expect("the directory that FGD_TEST_GITHUB_RECORD names can be written");
    }
}

//! Writing one lot: look, send, settle every row.
//!
//! NetBox has no upsert, no idempotency key and no fence, and a bulk write has no If-Match. So every row is compared
//! with what was planned against immediately before it is sent, and looked up after every answer that leaves a doubt,
//! before anything is sent again. A refused lot is split until the bad rows are known; only they are refused.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::domain::document::Shared;
use crate::domain::key::{Key, ObjectId};
use crate::domain::kind::KindSpec;
use crate::domain::lease::LeaseProof;
use crate::domain::names::FabricName;
use crate::domain::row::Row;

use super::client::Client;
use super::http::{Answer, NoAnswer, Write};
use super::lookup::{Asked, Open};
use super::refusal::{Blame, Refusal, blame};
use super::rows::{self, Found};
use super::{Error, Written};

/// The most rows of one request: 500 took NetBox half a minute, and a lot is lost or saved as a whole.
pub const MAX_LOT: usize = 100;
/// Below this many rows each is written alone, with If-Match; so are rows whose lost edits nothing would tell.
const MIN_BULK: usize = 5;
/// How often one row, or a lot whose answers are lost, is sent before it is given up.
const MAX_TRIES: u32 = 2;
/// The longest message that NetBox's change log takes, in characters; a longer one is a 500.
pub(super) const MAX_MESSAGE: usize = 200;

/// One wished write, with what it was planned against.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    Create { want: Shared },
    Update { against: Box<Row>, want: Shared },
    Delete { against: Box<Row> },
}

/// What all writes of a lot have in common.
#[derive(Debug, Clone)]
pub struct WriteContext {
    pub fabric: FabricName,
    /// For NetBox's change log: says which commit asked for the writes. Cut at 200 characters.
    pub message: String,
    /// What the change log says of single rows instead.
    pub notes: BTreeMap<Key, String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Create,
    Update,
    Delete,
}

impl Request {
    pub(super) fn verb(&self) -> Verb {
        match self {
            Self::Create { .. } => Verb::Create,
            Self::Update { .. } => Verb::Update,
            Self::Delete { .. } => Verb::Delete,
        }
    }

    /// The key that the row has afterwards, or had before its deletion.
    pub(super) fn key(&self) -> &Key {
        match self {
            Self::Create { want } | Self::Update { want, .. } => &want.key,
            Self::Delete { against } => &against.shared.key,
        }
    }

    pub(super) fn against(&self) -> Option<&Row> {
        match self {
            Self::Create { .. } => None,
            Self::Update { against, .. } | Self::Delete { against } => Some(against),
        }
    }
}

/// Rows that travel together.
struct Piece {
    rows: Vec<usize>,
    tries: u32,
    /// What went wrong when these rows were sent last; some of them may be saved.
    failed: Option<Failed>,
}

#[derive(Clone)]
struct Failed {
    detail: String,
    request_id: Option<String>,
}

impl Piece {
    fn fresh(rows: Vec<usize>) -> Self {
        Self { rows, tries: 0, failed: None }
    }
}

/// One lot on its way.
pub(super) struct Lot<'a> {
    pub client: &'a Client,
    pub proof: &'a LeaseProof,
    pub fabric: &'a FabricName,
    pub spec: &'a KindSpec,
    pub verb: Verb,
    pub requests: &'a [Request],
    /// By place in `requests`.
    pub settled: Vec<Option<Written>>,
    message: String,
    notes: &'a BTreeMap<Key, String>,
    /// What new rows say in their `fabric` field.
    fabric_field: Value,
}

impl Client {
    /// Writes at most `MAX_LOT` rows of one kind with one verb; the answers have the order and length of `requests`.
    ///
    /// Safe to repeat: a row that already is as wished is `Done` without a write. An error means that nothing was
    /// settled; once a row is, the rest of a lot that ends early is `Written::Unanswered`, so that no acknowledgement is
    /// lost. The lease must outlast each request by the time that it may take.
    pub async fn write_lot(
        &self,
        proof: &LeaseProof,
        requests: &[Request],
        context: &WriteContext,
    ) -> Result<Vec<Written>, Error> {
        let Some(first) = requests.first() else { return Ok(Vec::new()) };
        let alike = |request: &Request| request.verb() == first.verb() && request.key().kind == first.key().kind;
        if requests.len() > MAX_LOT || !requests.iter().all(alike) {
            let detail = format!("a lot is at most {MAX_LOT} rows of one kind and verb: this is a defect of fgd-sync");
            return Err(self.http.unexpected("nothing yet", detail));
        }
        let spec = self.spec(&first.key().kind)?;
        let mut lot = Lot {
            client: self,
            proof,
            fabric: &context.fabric,
            spec,
            verb: first.verb(),
            requests,
            settled: requests.iter().map(|_| None).collect(),
            message: cut(&context.message),
            notes: &context.notes,
            fabric_field: self.fabric_field(spec, &context.fabric).await?,
        };
        let end = lot.run().await;
        lot.answers(end)
    }
}

impl Lot<'_> {
    async fn run(&mut self) -> Result<(), Error> {
        let mut work = vec![Piece::fresh((0..self.requests.len()).collect())];
        while let Some(piece) = work.pop() {
            let alone = piece.rows.len() < MIN_BULK || !self.client.form(self.spec).is_told_by_the_change_log();
            if alone && piece.rows.len() > 1 {
                work.extend(piece.rows.iter().rev().map(|&row| Piece {
                    rows: vec![row],
                    tries: piece.tries,
                    failed: piece.failed.clone(),
                }));
                continue;
            }
            let asked = if piece.failed.is_some() { Asked::Sent } else { Asked::Fresh };
            let open = self.look(&piece.rows, asked).await?;
            if let Some(request_id) = piece.failed.as_ref().and_then(|failed| failed.request_id.as_deref()) {
                self.recognise(&piece.rows, request_id).await;
                self.audit(&piece.rows, request_id).await;
            }
            match &piece.failed {
                _ if open.is_empty() => {}
                Some(_) if open.len() > 1 => work.extend(halves(&open, piece.tries)),
                Some(failed) if piece.tries >= MAX_TRIES => {
                    self.client.control_read(self.spec).await?;
                    self.settle_open(&open, || Written::Failing { detail: failed.detail.clone() });
                }
                Some(_) | None => work.extend(self.send(&open, piece.tries).await?),
            }
        }
        Ok(())
    }

    /// Every row's answer, once the lot has ended.
    fn answers(self, end: Result<(), Error>) -> Result<Vec<Written>, Error> {
        let error = match end {
            Err(error) if self.settled.iter().all(Option::is_none) => return Err(error),
            Err(error) => error,
            Ok(()) => self.client.http.unexpected("a write", "a row was left unsettled".to_owned()),
        };
        Ok(self.settled.into_iter().map(|row| row.unwrap_or_else(|| Written::Unanswered(error.clone()))).collect())
    }

    fn settle_open(&mut self, open: &[Open], written: impl Fn() -> Written) {
        for row in open {
            self.settled[row.row] = Some(written());
        }
    }

    /// Sends the rows in one request; what is left to do comes back as pieces.
    async fn send(&mut self, open: &[Open], tries: u32) -> Result<Vec<Piece>, Error> {
        let timeouts = self.client.http.timeouts;
        self.proof.require(timeouts.connect + timeouts.write)?;
        let (method, path) = self.request_line(open);
        let body = self.body(open);
        let query = self.client.form(self.spec).query();
        let if_match = match open {
            [only] if self.verb != Verb::Create => rows::etag(&only.last_updated),
            _ => None,
        };
        let write = Write { method: method.clone(), path: &path, query: &query, body: &body, if_match };
        let answer = match self.client.http.write(&write).await {
            Ok(answer) => answer,
            Err(NoAnswer::NotSent(error)) => return Err(error),
            Err(NoAnswer::Lost(detail)) => return self.after_silence(open, tries, detail).await,
        };
        match answer.status {
            status if status.is_success() => self.take(open, &answer).await,
            StatusCode::BAD_REQUEST
            | StatusCode::CONFLICT
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNPROCESSABLE_ENTITY => self.refused(open, &answer).await,
            StatusCode::PRECONDITION_FAILED => Ok(self.changed(open)),
            // Of a row that was read a moment ago: somebody deleted it.
            StatusCode::NOT_FOUND if self.verb != Verb::Create && open.len() == 1 && answer.json.is_some() => {
                Ok(self.changed(open))
            }
            // A gateway lost patience; NetBox itself may still be at it.
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => {
                self.after_silence(open, tries, answer.words()).await
            }
            StatusCode::SERVICE_UNAVAILABLE => Err(self.client.http.failure(&method, &path, &answer)),
            status if status.is_server_error() => {
                let failed = Failed { detail: answer.words(), request_id: answer.request_id };
                let rows = open.iter().map(|open| open.row).collect();
                Ok(vec![Piece { rows, tries: tries + 1, failed: Some(failed) }])
            }
            _ => Err(self.client.http.failure(&method, &path, &answer)),
        }
    }

    fn request_line(&self, open: &[Open]) -> (Method, String) {
        let list = self.client.path(self.spec);
        let path = match open {
            [only] => match self.requests[only.row].against() {
                Some(row) => format!("{list}{}/", row.id),
                None => list,
            },
            _ => list,
        };
        let method = match self.verb {
            Verb::Create => Method::POST,
            Verb::Update => Method::PATCH,
            Verb::Delete => Method::DELETE,
        };
        (method, path)
    }

    fn body(&self, open: &[Open]) -> Value {
        match open {
            [only] => self.row_body(only.row),
            rows => rows
                .iter()
                .map(|open| {
                    let mut body = self.row_body(open.row);
                    if let Some(row) = self.requests[open.row].against() {
                        body["id"] = Value::from(row.id);
                    }
                    body
                })
                .collect(),
        }
    }

    fn row_body(&self, row: usize) -> Value {
        let note = self.notes.get(self.requests[row].key()).map(|note| cut(note));
        let message = note.as_deref().unwrap_or(&self.message);
        match &self.requests[row] {
            Request::Create { want } => self.client.form(self.spec).creation(want, &self.fabric_field, message),
            Request::Update { want, .. } => self.client.form(self.spec).update(want, message),
            Request::Delete { .. } => json!({ "changelog_message": message }),
        }
    }

    fn changed(&mut self, open: &[Open]) -> Vec<Piece> {
        self.settle_open(open, || Written::Changed);
        Vec::new()
    }

    /// Settles an acknowledged request with the rows of its answer.
    async fn take(&mut self, open: &[Open], answer: &Answer) -> Result<Vec<Piece>, Error> {
        if self.verb == Verb::Delete {
            self.settle_open(open, || Written::Done { row: None, request: answer.request_id.clone() });
        } else {
            for wire in answer.json.iter().flat_map(listed) {
                let (Some(id), Some(map)) = (wire.get("id").and_then(Value::as_u64), wire.as_object()) else {
                    continue;
                };
                if let Found::Row { row, fabric } = self.client.found(self.spec, id, map).await?
                    && fabric.as_ref() == Some(self.fabric)
                    && let Some(open) = open.iter().find(|open| self.is_answer_to(open.row, &row))
                {
                    self.settled[open.row] =
                        Some(Written::Done { row: Some(Box::new(row)), request: answer.request_id.clone() });
                }
            }
            // Acknowledged, but not as what was asked for: looked up, and never sent twice.
            let rest: Vec<usize> =
                open.iter().map(|open| open.row).filter(|&row| self.settled[row].is_none()).collect();
            let open = self.look(&rest, Asked::Sent).await?;
            self.settle_open(&open, || Written::Changed);
        }
        let rows: Vec<usize> = open.iter().map(|open| open.row).collect();
        if let Some(request_id) = answer.request_id.as_deref().filter(|_| rows.len() > 1) {
            self.audit(&rows, request_id).await;
        }
        Ok(Vec::new())
    }

    fn is_answer_to(&self, row: usize, answer: &Row) -> bool {
        match &self.requests[row] {
            Request::Create { want } => want.key == answer.shared.key,
            Request::Update { against, .. } | Request::Delete { against } => against.id == answer.id,
        }
    }

    /// Refuses the rows that NetBox blames; the others are sent again without them.
    async fn refused(&mut self, open: &[Open], answer: &Answer) -> Result<Vec<Piece>, Error> {
        let body = answer.json.as_ref().unwrap_or(&Value::Null);
        let blamed = match open {
            [_] => Blame::Rows(BTreeMap::from([(0, Refusal::of(body))])),
            rows => {
                let ids: Vec<u64> =
                    rows.iter().filter_map(|open| Some(self.requests[open.row].against()?.id)).collect();
                blame(body, rows.len(), &ids)
            }
        };
        let Blame::Rows(mut blamed) = blamed else { return Ok(halves(open, 0)) };
        if let Some(refusal) = blamed.values().find(|refusal| refusal.about_fabric) {
            let request = format!("use for fabric `{}`", self.fabric);
            return Err(self.client.http.no_endpoint(&request, format!("it says: {}", refusal.words)));
        }
        let rows: Vec<usize> = blamed.keys().filter_map(|&place| Some(open.get(place)?.row)).collect();
        // A duplicate is refused too: the row that is there may be the wished one.
        let asked = if self.verb == Verb::Create { Asked::Sent } else { Asked::Fresh };
        let still: Vec<usize> = self.look(&rows, asked).await?.iter().map(|open| open.row).collect();
        for (place, open) in open.iter().enumerate() {
            if let Some(refusal) = blamed.remove(&place).filter(|_| still.contains(&open.row)) {
                let words = if refusal.words.is_empty() { answer.words() } else { refusal.words };
                self.settled[open.row] = Some(Written::Refused { words });
            }
        }
        let rest: Vec<usize> = open.iter().map(|open| open.row).filter(|&row| self.settled[row].is_none()).collect();
        Ok(if rest.is_empty() { Vec::new() } else { vec![Piece::fresh(rest)] })
    }

    /// No answer came: NetBox may still be working, so what it has is looked at for as long as it may take to appear.
    async fn after_silence(&mut self, open: &[Open], tries: u32, detail: String) -> Result<Vec<Piece>, Error> {
        let patience = self.client.http.timeouts.appear;
        let pause = (patience / 10).clamp(Duration::from_millis(10), Duration::from_secs(5));
        let started = Instant::now();
        let mut rows: Vec<usize> = open.iter().map(|open| open.row).collect();
        loop {
            rows = self.look(&rows, Asked::Sent).await?.iter().map(|open| open.row).collect();
            if rows.is_empty() {
                return Ok(Vec::new());
            }
            if started.elapsed() >= patience {
                break;
            }
            tokio::time::sleep(pause).await;
        }
        if tries + 1 >= MAX_TRIES {
            let request = format!("{} of {} {} rows", self.request_line(open).0, rows.len(), self.spec.kind);
            return Err(self.client.http.unavailable(format!("{request}: no answer: {detail}"), None));
        }
        let failed = Failed { detail, request_id: None };
        Ok(vec![Piece { rows, tries: tries + 1, failed: Some(failed) }])
    }

    /// Names our request for rows that it saved although it was answered with an error: the plugin does that. Where the
    /// change log cannot be read, nothing proves whose rows they are.
    async fn recognise(&mut self, rows: &[usize], request_id: &str) {
        let nameless =
            |row: &&usize| matches!(&self.settled[**row], Some(Written::Done { row: Some(_), request: None }));
        let nameless: Vec<usize> = rows.iter().filter(nameless).copied().collect();
        if nameless.is_empty() {
            return;
        }
        let written = match self.client.written_by(self.spec, request_id).await {
            Ok(written) => written,
            Err(error) => {
                tracing::debug!(netbox = %self.client.name(), %error, "a request's rows are not known");
                return;
            }
        };
        for row in nameless {
            if let Some(Written::Done { row: Some(found), request }) = &mut self.settled[row]
                && written.contains(&found.id)
            {
                *request = Some(request_id.to_owned());
            }
        }
    }

    /// Finds the edits of users that a bulk write covered, in NetBox's record of the request.
    async fn audit(&mut self, rows: &[usize], request_id: &str) {
        let done = |row: &&usize| matches!(self.settled[**row], Some(Written::Done { .. }));
        let against: BTreeMap<u64, &Row> =
            rows.iter().filter(done).filter_map(|&row| self.requests[row].against()).map(|row| (row.id, row)).collect();
        if against.is_empty() {
            return;
        }
        let covered = self.client.covered(self.spec, request_id, &against).await;
        for (id, edit) in covered {
            let place = rows.iter().find(|&&row| self.requests[row].against().is_some_and(|row| row.id == id));
            if let Some(&row) = place {
                let object = ObjectId { kind: self.spec.kind.clone(), id };
                self.settled[row] = Some(Written::LostEdit { object, by: edit.by, before: edit.before });
            }
        }
    }
}

/// Two smaller pieces, the first rows on top of the stack.
fn halves(open: &[Open], tries: u32) -> Vec<Piece> {
    let rows: Vec<usize> = open.iter().map(|open| open.row).collect();
    let (first, second) = rows.split_at(rows.len() / 2);
    [second, first].into_iter().map(|rows| Piece { rows: rows.to_vec(), tries, failed: None }).collect()
}

fn cut(message: &str) -> String {
    message.chars().take(MAX_MESSAGE).collect()
}

fn listed(answer: &Value) -> &[Value] {
    match answer {
        Value::Array(rows) => rows,
        row => std::slice::from_ref(row),
    }
}

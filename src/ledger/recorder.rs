//! Accepts that come while Redis is busy go to it together.
//!
//! Redis syncs its file once for all that it did in one turn, and a call of a script costs more than the few fields that
//! one delivery adds. So a delivery that comes alone is sent at once, and under load one call records many of them: more
//! load makes the calls larger, not more.

use std::sync::{Arc, Weak};

use redis::{ErrorKind, RedisError};
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::domain::names::JobId;

use super::connect::ACCEPTED_WITHIN;
use super::types::Accepted;
use super::{Error, Inner, Ledger};

/// Accepts in one call; more would keep Redis from its other work for long.
const MOST: usize = 64;
/// Calls at the same time: while Redis works on one, what came meanwhile is on its way in the other.
const CALLS: usize = 2;
/// Accepts that may wait; beyond them whoever asks waits to be let in.
const QUEUE: usize = 4_096;

const DOING: &str = "record a delivery";

/// The arguments of one accept, and who waits for its answer.
struct Waiting {
    arguments: Vec<String>,
    answer: oneshot::Sender<Result<Accepted, RedisError>>,
}

/// The way in; what carries the calls out ends with it.
pub(super) struct Recorder(mpsc::Sender<Waiting>);

/// The other end of the way in.
pub(super) struct Queue(mpsc::Receiver<Waiting>);

impl Recorder {
    pub(super) fn new() -> (Self, Queue) {
        let (send, receive) = mpsc::channel(QUEUE);
        (Self(send), Queue(receive))
    }

    /// Has one accept recorded, but waits no longer for it than a sender waits for us.
    pub(super) async fn record(&self, arguments: Vec<String>) -> Result<Accepted, Error> {
        let (answer, answered) = oneshot::channel();
        let recorded = async {
            // Both ends live as long as the ledger does.
            let gone = |_| RedisError::from((ErrorKind::Client, "the ledger was closed"));
            self.0.send(Waiting { arguments, answer }).await.map_err(|_| gone(()))?;
            answered.await.map_err(|_| gone(()))?
        };
        match tokio::time::timeout(ACCEPTED_WITHIN, recorded).await {
            Ok(recorded) => recorded.map_err(Error::unavailable(DOING)),
            Err(elapsed) => Err(Error::unavailable(DOING)(elapsed)),
        }
    }
}

impl Queue {
    /// Carries the calls out until the last handle of the ledger is gone.
    pub(super) fn carry_out(self, ledger: Weak<Inner>) {
        let queue = Arc::new(Mutex::new(self.0));
        for _ in 0..CALLS {
            tokio::spawn(carry_out(Arc::clone(&queue), Weak::clone(&ledger)));
        }
    }
}

async fn carry_out(queue: Arc<Mutex<mpsc::Receiver<Waiting>>>, ledger: Weak<Inner>) {
    loop {
        let mut together = Vec::new();
        queue.lock().await.recv_many(&mut together, MOST).await;
        let Some(inner) = ledger.upgrade().filter(|_| !together.is_empty()) else { return };
        // Whoever has gone has heard that it was not recorded.
        together.retain(|waiting| !waiting.answer.is_closed());
        Ledger(inner).record_together(together).await;
    }
}

impl Ledger {
    async fn record_together(&self, together: Vec<Waiting>) {
        match self.call_accept(&together).await {
            Ok(answers) => answer(together, answers.into_iter().map(Ok)),
            // The fault may be one's alone, and must not be the others'.
            Err(error) if together.len() > 1 && is_of_the_script(&error) => {
                for waiting in together {
                    let alone = [waiting];
                    let answers = self.call_accept(&alone).await;
                    answer(alone, std::iter::once(answers.and_then(the_one)));
                }
            }
            Err(error) => answer(together, std::iter::repeat(Err(error))),
        }
    }

    async fn call_accept(&self, together: &[Waiting]) -> Result<Vec<Accepted>, RedisError> {
        let mut call = self.call(&self.0.scripts.accept);
        for argument in together.iter().flat_map(|waiting| &waiting.arguments) {
            call.arg(argument);
        }
        let mut connection = self.0.accepting.clone();
        let answers: Vec<(String, bool)> = call.invoke_async(&mut connection).await?;
        Ok(answers.into_iter().map(|(job, duplicate)| Accepted { job: JobId::new(job), duplicate }).collect())
    }
}

fn answer(
    together: impl IntoIterator<Item = Waiting>,
    answers: impl IntoIterator<Item = Result<Accepted, RedisError>>,
) {
    for (waiting, answer) in together.into_iter().zip(answers) {
        // Whoever waited may have gone.
        let _ = waiting.answer.send(answer);
    }
}

fn the_one(answers: Vec<Accepted>) -> Result<Accepted, RedisError> {
    answers.into_iter().next().ok_or_else(|| (ErrorKind::UnexpectedReturnType, "no answer").into())
}

/// Redis answered, and the answer is an error of what was asked: the connection is good.
fn is_of_the_script(error: &RedisError) -> bool {
    matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension)
}

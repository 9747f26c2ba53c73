//! The repository's webhook: making it, mending it, and asking again for what it could not deliver.
//!
//! GitHub never sends a failed delivery again by itself, but on request for three days.

use std::collections::BTreeMap;

use reqwest::{Method, StatusCode};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::call::Call;
use super::http::{Http, NoAnswer};
use crate::repo::{Error, HookEffect, HookState, Webhook};

/// How many of the newest deliveries are looked at.
const DELIVERIES: usize = 100;
/// How often a delivery that keeps failing is asked for: what we refuse each time, a person has to look at.
const ATTEMPTS: usize = 4;
/// How many deliveries are asked for in one turn.
const MOST: usize = 20;

#[derive(Debug, Deserialize)]
struct Hook {
    id: u64,
    active: bool,
    events: Vec<String>,
    config: Config,
}

#[derive(Debug, Default, Deserialize)]
struct Config {
    #[serde(default)]
    url: String,
    content_type: Option<String>,
    /// "0" or "1"; older servers send a number.
    #[serde(default)]
    insecure_ssl: Value,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    id: u64,
    /// Names the delivery; its repetitions have the same.
    guid: String,
    event: String,
    /// 0 when nobody answered.
    status_code: u16,
}

/// Makes the webhook or mends it. The secret cannot be read back, so it is set each time.
///
/// <https://docs.github.com/en/rest/repos/webhooks>
pub(super) async fn set_up(http: &Http, webhook: &Webhook) -> Result<HookEffect, Error> {
    let wanted = json!({
        "url": webhook.receiver,
        "content_type": "json",
        "insecure_ssl": "0",
        "secret": webhook.secret.expose_secret(),
    });
    let body = json!({ "config": wanted, "events": ["push"], "active": true });
    match ours(http, &webhook.receiver).await? {
        None => {
            if !webhook.dry_run {
                let body = json!({ "name": "web", "config": wanted, "events": ["push"], "active": true });
                write(http, Method::POST, &["hooks"], &body).await?;
            }
            Ok(HookEffect::Created)
        }
        Some(hook) => {
            let wrong = hook.faults();
            if !webhook.dry_run {
                write(http, Method::PATCH, &["hooks", &hook.id.to_string()], &body).await?;
            }
            Ok(if wrong.is_empty() { HookEffect::Unchanged } else { HookEffect::Mended(wrong) })
        }
    }
}

impl Hook {
    /// What is not as it should be, by name.
    fn faults(&self) -> Vec<&'static str> {
        let secure = matches!(&self.config.insecure_ssl, Value::Null)
            || self.config.insecure_ssl == "0"
            || self.config.insecure_ssl == 0;
        [
            ("content type", self.config.content_type.as_deref() == Some("json")),
            ("certificate check", secure),
            ("events", self.events == ["push"]),
            ("active", self.active),
        ]
        .into_iter()
        .filter(|(_, right)| !right)
        .map(|(name, _)| name)
        .collect()
    }
}

/// How our webhook is, and how its last delivery fared.
pub(super) async fn state(http: &Http, receiver: &Url) -> Result<HookState, Error> {
    let Some(hook) = ours(http, receiver).await? else { return Ok(HookState::Missing) };
    let pushes = deliveries(http, &hook).await?.into_iter().filter(|delivery| delivery.event == "push");
    let last = pushes.max_by_key(|delivery| delivery.id).map(|delivery| delivery.status_code);
    Ok(HookState::Found { wrong: hook.faults(), last })
}

/// The newest attempts to deliver.
async fn deliveries(http: &Http, hook: &Hook) -> Result<Vec<Delivery>, Error> {
    let hook = hook.id.to_string();
    let call = Call::get(["hooks", &hook, "deliveries"]).query("per_page", DELIVERIES);
    let reply = http.read(&call).await?;
    if reply.status != StatusCode::OK {
        return Err(http.failure(&call, &reply));
    }
    http.parse(&call, &reply)
}

/// Asks for the deliveries that nobody took; returns how many.
///
/// <https://docs.github.com/en/rest/repos/webhooks#redeliver-a-delivery-for-a-repository-webhook>
pub(super) async fn ask_again(http: &Http, receiver: &Url) -> Result<usize, Error> {
    let Some(hook) = ours(http, receiver).await? else { return Ok(0) };
    let deliveries = deliveries(http, &hook).await?;
    let hook = hook.id.to_string();
    let mut asked = 0;
    for id in lost(&deliveries) {
        let delivery = id.to_string();
        let call = Call::of(Method::POST, ["hooks", &hook, "deliveries", &delivery, "attempts"]);
        match http.send(&call).await {
            Ok(reply) if reply.status == StatusCode::ACCEPTED => asked += 1,
            // Too old to be sent again.
            Ok(reply) if matches!(reply.status, StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY) => {}
            Ok(reply) => return Err(http.write_failure(&call, &reply).await),
            Err(NoAnswer::NotDone(error)) => return Err(error),
            Err(NoAnswer::Lost(words)) => return Err(http.unavailable(words)),
        }
    }
    Ok(asked)
}

/// The newest attempt of each delivery of a push that never arrived, oldest first.
fn lost(deliveries: &[Delivery]) -> Vec<u64> {
    let mut attempts: BTreeMap<&str, Vec<&Delivery>> = BTreeMap::new();
    for delivery in deliveries.iter().filter(|delivery| delivery.event == "push") {
        attempts.entry(&delivery.guid).or_default().push(delivery);
    }
    let mut lost: Vec<u64> = attempts
        .values()
        .filter(|attempts| attempts.len() < ATTEMPTS && !attempts.iter().any(|attempt| attempt.arrived()))
        .filter_map(|attempts| attempts.iter().map(|attempt| attempt.id).max())
        .collect();
    lost.sort_unstable();
    lost.truncate(MOST);
    lost
}

impl Delivery {
    fn arrived(&self) -> bool {
        (200..300).contains(&self.status_code)
    }
}

/// Our webhook: the one that leads to the receiver.
async fn ours(http: &Http, receiver: &Url) -> Result<Option<Hook>, Error> {
    let call = Call::get(["hooks"]).query("per_page", 100);
    let reply = http.read(&call).await?;
    match reply.status {
        StatusCode::OK => {
            let hooks: Vec<Hook> = http.parse(&call, &reply)?;
            Ok(hooks.into_iter().find(|hook| hook.config.url == receiver.as_str()))
        }
        _ => Err(http.failure(&call, &reply)),
    }
}

async fn write(http: &Http, method: Method, path: &[&str], body: &Value) -> Result<(), Error> {
    let call = Call::of(method, path.iter().copied()).body(body);
    match http.send(&call).await {
        Ok(reply) if reply.status.is_success() => Ok(()),
        Ok(reply) => Err(http.write_failure(&call, &reply).await),
        Err(NoAnswer::NotDone(error)) => Err(error),
        Err(NoAnswer::Lost(words)) => Err(http.unavailable(words)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delivery(id: u64, guid: &str, event: &str, status_code: u16) -> Delivery {
        Delivery { id, guid: guid.to_owned(), event: event.to_owned(), status_code }
    }

    #[test]
    fn only_pushes_that_never_arrived_are_asked_for_and_not_for_ever() {
        let mut deliveries = vec![
            delivery(9, "again", "push", 0),
            delivery(8, "again", "push", 503),
            delivery(7, "arrived later", "push", 202),
            delivery(6, "arrived later", "push", 502),
            delivery(5, "ping", "ping", 0),
            delivery(4, "once", "push", 500),
        ];
        deliveries.extend((0..4).map(|n| delivery(20 + n, "hopeless", "push", 400)));

        assert_eq!(lost(&deliveries), [4, 9]);
    }
}

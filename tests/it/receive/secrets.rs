//! What stands in a body stays there: in no key, value or log line.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};

use actix_web::test::{TestRequest, call_service, init_service};
use fgd_sync::domain::names::NetBoxName;
use fgd_sync::http::{HttpState, Tokens, app};
use fgd_sync::webhook::netbox::Model;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tokio::sync::Notify;
use tracing_subscriber::fmt::MakeWriter;

use super::service::{Captured, Service, routing};
use crate::support::redis::TestLedger;

/// Everything that a Redis holds, as one text.
async fn contents(redis: &mut MultiplexedConnection) -> String {
    let keys: Vec<String> = redis.keys("*").await.expect("Redis answers");
    let mut text = keys.join("\n");
    for key in keys {
        let kind: String = redis::cmd("TYPE").arg(&key).query_async(redis).await.expect("Redis answers");
        let values: Vec<String> = match kind.as_str() {
            "string" => vec![redis.get(&key).await.expect("Redis answers")],
            "hash" => redis
                .hgetall::<_, Vec<(String, String)>>(&key)
                .await
                .expect("Redis answers")
                .into_iter()
                .flat_map(<[_; 2]>::from)
                .collect(),
            "list" => redis.lrange(&key, 0, -1).await.expect("Redis answers"),
            "set" => redis.smembers(&key).await.expect("Redis answers"),
            "zset" => redis.zrange(&key, 0, -1).await.expect("Redis answers"),
            "stream" => {
                let entries: redis::streams::StreamRangeReply = redis.xrange_all(&key).await.expect("Redis answers");
                let values = entries.ids.into_iter().flat_map(|entry| entry.map.into_iter());
                values.map(|(name, value)| format!("{name} {value:?}")).collect()
            }
            other => panic!("a key of type {other}"),
        };
        text.push_str(&values.join("\n"));
    }
    text
}

#[tokio::test]
async fn nothing_of_a_bodys_content_reaches_redis() {
    let service = Service::start(Model::Hedgehog).await;
    let known = BTreeMap::from([(3, "lab-fabric".to_owned())]);
    service.test.ledger.learn_fabrics(&NetBoxName::new("lab"), &known).await.unwrap();

    for captured in Captured::all() {
        captured.send(&service).await;
    }

    let text = contents(&mut service.test.server.connect().await).await;
    assert!(text.contains("netbox_hedgehog.hedgehogfabric#3"), "the scan sees what is there");
    for content in ["SECRET", "10.10.1.0/24", "payments", "fixture-netbox-secret"] {
        assert!(!text.contains(content), "{content}");
    }
}

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic before").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// In this thread alone, where the log is caught.
#[actix_web::test]
async fn nothing_of_a_body_header_or_query_reaches_the_log() {
    let test = TestLedger::open().await;
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(lines.clone())
        .finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let state =
        HttpState::new(test.ledger.clone(), routing(Model::Hedgehog), Tokens::default(), Arc::new(Notify::new()));
    let app = init_service(app(state)).await;

    for captured in Captured::all() {
        let request = TestRequest::post().uri("/webhooks/netbox?token=SECRET-IN-QUERY");
        let request = request.insert_header(("X-Hook-Signature", captured.signature)).set_payload(captured.body);
        call_service(&app, request.to_request()).await;
    }
    let request = TestRequest::get().uri("/api/v1/jobs").insert_header(("Authorization", "Bearer SECRET-TOKEN"));
    call_service(&app, request.to_request()).await;

    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert_eq!(log.matches("answered a request").count(), 34, "{log}");
    assert!(log.contains("/webhooks/netbox") && log.contains("status=202") && log.contains("status=401"), "{log}");
    assert!(!log.contains("SECRET"), "{log}");
    assert!(!log.contains("payments"), "{log}");
}

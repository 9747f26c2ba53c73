//! What a caller of the API may write: path, query and body of any request, answered by the service with a Redis of its
//! own. Whatever is wrong with it is told as a problem, and none of it is the service's fault.
#![no_main]

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, mpsc};
use std::time::Duration;

use fgd_sync::app::{App, Duty};
use fgd_sync::config::{Environment, load};
use fgd_sync::ledger::Clock;

const TOKEN: &str = "protects-nothing";
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the service of this process answers.
static SERVICE: LazyLock<SocketAddr> = LazyLock::new(|| {
    let home = std::env::temp_dir().join(format!("fgd-sync-fuzz-{}", std::process::id()));
    std::fs::create_dir_all(&home).expect("a directory can be made");
    let settings = write_settings(&home);
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
        runtime.block_on(async {
            let settings = load(Some(&settings), &Environment::new()).expect("the settings are right");
            // Nothing works on what the requests ask for.
            let app =
                App::build_for(Duty::Receive, settings, Clock::default()).await.expect("the service can be built");
            tell.send(app.address().expect("it listens")).expect("somebody waits for it");
            app.run_until(std::future::pending()).await.expect("the service goes on");
        });
    });
    told.recv().expect("the service starts")
});

fn write_settings(home: &Path) -> PathBuf {
    let file = home.join("fgd-sync.yaml");
    // Nobody listens where its servers should be: what is fuzzed asks them for nothing.
    let text = format!(
        "listen: 127.0.0.1:0\ndata_directory: data\nredis: embedded\nworkers: 1\n\
         api_tokens: [{{name: fuzz, token: {TOKEN}}}]\n\
         rate_limits: {{api_per_second: 0, refused_webhooks_per_minute: 0}}\n\
         netbox:\n  main: {{url: 'http://127.0.0.1:9', token: '{token}'}}\n\
         repositories:\n  main: {{kind: git, url: 'http://127.0.0.1:9/fabrics.git'}}\n\
         fabrics:\n  lab: {{netbox: main, repository: main, branch: main, directory: lab}}\n",
        token = "0123456789abcdef0123456789abcdef01234567",
    );
    std::fs::write(&file, text).expect("the settings can be written");
    file
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let Some((method, rest)) = input.split_first() else { return };
    let method = METHODS[usize::from(*method) % METHODS.len()];
    let (target, body) = match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (rest, &[][..]),
    };
    let Some(answer) = send(method, target, body) else { return };

    let (head, body) = answer.split_once("\r\n\r\n").expect("an answer has a head");
    let status: u16 = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer has a status");
    assert!(status < 500, "{method} {}: {answer}", String::from_utf8_lossy(target));
    if status >= 400 && method != "HEAD" {
        assert!(head.to_ascii_lowercase().contains("content-type: application/problem+json"), "{answer}");
        for field in ["\"code\":\"", "\"remedy\":\"", "\"detail\":\""] {
            assert!(body.contains(field), "{field} is missing: {answer}");
        }
    }
});

/// The whole answer; `None` for a stream of events, which has no end.
fn send(method: &str, target: &[u8], body: &[u8]) -> Option<String> {
    let mut stream = TcpStream::connect(*SERVICE).expect("the service answers");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket takes a time limit");
    let mut request = format!("{method} /api/v1/").into_bytes();
    for byte in target {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=%".contains(byte) => request.push(*byte),
            // No address holds it otherwise: such a request ends at the HTTP parser.
            other => request.extend(format!("%{other:02X}").into_bytes()),
        }
    }
    request.extend(
        format!(
            " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
            body.len()
        )
        .into_bytes(),
    );
    request.extend(body);
    // A request that is refused may be answered before all of it was taken.
    let _ = stream.write_all(&request);
    let mut answer = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(read) => answer.extend(&part[..read]),
            // The fuzzer's own clock ticks by signals.
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) if !answer.is_empty() => break,
            Err(error) => panic!("{method} {}: no answer: {error}", String::from_utf8_lossy(target)),
        }
        if answer.windows(17).any(|some| some == b"text/event-stream") {
            return None;
        }
    }
    Some(String::from_utf8_lossy(&answer).into_owned())
}

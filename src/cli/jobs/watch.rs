//! `fgd-sync jobs watch`: until the named jobs end, or every change of every job as it happens.

use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::client::{Client, Failure, ServiceArgs, read};
use crate::cli::exit::Exit;
use crate::cli::output::{Output, on_one_line, print, print_json_line};
use crate::cli::wait::{WaitArgs, finish};

#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync jobs watch 01KAJ3V0M1W9T6N4ZC5X8R7QHD --timeout 5m   # 0 when it succeeded
  fgd-sync jobs watch --fabric lab                              # one line for each change, until Ctrl-C
  fgd-sync jobs watch --output json | jq 'select(.state == \"dead\")'")]
pub struct WatchArgs {
    /// Jobs to wait for, by their ids; none for every change of every job
    #[arg(value_name = "JOB")]
    ids: Vec<String>,
    /// Only jobs of this fabric
    #[arg(long, conflicts_with = "ids")]
    fabric: Option<String>,
    /// Wait no longer than this, such as 90s or 10m; the jobs go on [default: as long as it takes]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, requires = "ids")]
    timeout: Option<Duration>,
    #[command(flatten)]
    service: ServiceArgs,
}

/// Before a lost connection is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// How often in a row it is tried.
const TRIES: u32 = 30;

/// The `data` of a `job` event.
#[derive(Deserialize)]
struct JobChange {
    job_id: String,
    state: String,
    fabrics: Vec<String>,
    at: String,
}

pub async fn watch(args: &WatchArgs) -> Result<Exit, Failure> {
    let client = Client::new(&args.service)?;
    if !args.ids.is_empty() {
        return finish(&client, &args.ids, &WaitArgs::until(args.timeout), args.service.output).await;
    }
    let mut stream = EventStream::default();
    let mut response = client.listen(args.fabric.as_deref(), None).await?;
    loop {
        while let Ok(Some(bytes)) = response.chunk().await {
            for event in stream.take(&bytes) {
                tell(&event, args.service.output)?;
            }
        }
        // The service ends a connection after an hour, or restarts: what happens meanwhile is told then.
        response = reconnect(&client, args, &mut stream).await?;
    }
}

async fn reconnect(client: &Client, args: &WatchArgs, stream: &mut EventStream) -> Result<reqwest::Response, Failure> {
    stream.rest.clear();
    for _ in 1..TRIES {
        match client.listen(args.fabric.as_deref(), stream.last_id.as_deref()).await {
            Err(Failure::Unreachable { .. }) => tokio::time::sleep(AGAIN).await,
            answered => return answered,
        }
    }
    client.listen(args.fabric.as_deref(), stream.last_id.as_deref()).await
}

fn tell(event: &Event, output: Output) -> Result<(), Failure> {
    match event.name.as_str() {
        "job" => {}
        "reset" => {
            eprintln!("warning: too much happened while the connection was lost; some changes are not shown");
            return Ok(());
        }
        // Of runs, fabrics and servers other commands tell.
        _ => return Ok(()),
    }
    let data: Value =
        serde_json::from_str(&event.data).map_err(|error| Failure::NotUnderstood { detail: error.to_string() })?;
    match output {
        Output::Json => print_json_line(&data),
        Output::Table => {
            let JobChange { job_id, state, fabrics, at } = read(&data)?;
            print(&format!("{}\n", on_one_line(&format!("{at}  {job_id}  {state:<9}  {}", fabrics.join(",")))));
        }
    }
    Ok(())
}

/// One server-sent event.
#[derive(Debug, PartialEq, Eq)]
struct Event {
    name: String,
    data: String,
}

/// Events out of bytes, however these are cut.
#[derive(Default)]
struct EventStream {
    rest: Vec<u8>,
    last_id: Option<String>,
}

impl EventStream {
    fn take(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.rest.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.rest.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            let (mut name, mut data) = (String::new(), String::new());
            for line in String::from_utf8_lossy(&block).lines() {
                match line.split_once(": ") {
                    Some(("id", id)) => self.last_id = Some(id.to_owned()),
                    Some(("event", event)) => event.clone_into(&mut name),
                    Some(("data", text)) => data.push_str(text),
                    _ => {}
                }
            }
            if !name.is_empty() {
                events.push(Event { name, data });
            }
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_their_bytes_are_cut() {
        let text = b"retry: 2000\nid: 1-0\n\nid: 2-0\nevent: job\ndata: {\"a\":1}\n\nid: 3-0\nevent: run\ndata: {}\n\n";
        let event = |name: &str, data: &str| Event { name: name.to_owned(), data: data.to_owned() };
        for size in 1..text.len() {
            let mut stream = EventStream::default();

            let events: Vec<_> = text.chunks(size).flat_map(|chunk| stream.take(chunk)).collect();

            assert_eq!(events, [event("job", "{\"a\":1}"), event("run", "{}")]);
            assert_eq!((stream.last_id.as_deref(), stream.rest.len()), (Some("3-0"), 0));
        }
    }
}

//! This service's own surroundings: its public address, its disk, its tokens.

use std::path::Path;
use std::time::Duration;

use super::Notes;
use crate::config::Settings;
use crate::domain::cause::with_causes;

/// For the whole answer of one's own service.
const PATIENCE: Duration = Duration::from_secs(10);
/// Free bytes below which a copy of a repository or Redis's file may not find its place.
const ROOM: u64 = 1 << 30;
const LITTLE: u64 = 100 << 20;

pub(super) async fn examine(settings: &Settings) -> Notes {
    let mut notes = Notes::about("service");
    reachable(&mut notes, settings).await;
    disk(&mut notes, &settings.data_directory);
    if settings.api_tokens.is_empty() {
        notes.warn("the API has no token and answers everybody with 401", "Set `api_tokens`, or FGD_API_TOKEN.");
    }
    notes
}

async fn reachable(notes: &mut Notes, settings: &Settings) {
    let address = format!("{}healthz", settings.public_url);
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("fgd-sync/", env!("CARGO_PKG_VERSION")))
        .build();
    let answered = match client {
        Ok(client) => client.get(&address).send().await,
        Err(error) => Err(error),
    };
    match answered {
        Ok(answer) if answer.status().is_success() => notes.ok(format!("{address} answers")),
        Ok(answer) => notes.warn(
            format!("{address} answers with {}", answer.status()),
            "Let public_url lead to this service, without a login or a redirect before it.",
        ),
        Err(error) => notes.warn(
            format!("{address} does not answer: {}", with_causes(&error.without_url())),
            "Start the service; if it runs, make public_url lead to it.",
        ),
    }
}

fn disk(notes: &mut Notes, directory: &Path) {
    // The directory is made when the service starts.
    let whole = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let Some(there) = whole.ancestors().find(|path| path.exists()) else {
        return notes.fail(format!("{} has no place", directory.display()), "Correct `data_directory`.");
    };
    if rustix::fs::access(there, rustix::fs::Access::WRITE_OK).is_err() {
        notes.fail(
            format!("{} cannot be written by this user", there.display()),
            "Give the service's user the directory, or correct `data_directory`.",
        );
    }
    match rustix::fs::statvfs(there) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let what = format!("{} has {} MiB free", there.display(), free >> 20);
            match free {
                LITTLE.. if free >= ROOM => notes.ok(what),
                LITTLE.. => notes.warn(what, "Make room before copies of repositories and Redis's file need it."),
                _ => notes.fail(what, "Make room: copies of repositories and Redis's file need it."),
            }
        }
        Err(error) => notes
            .warn(format!("the free space of {} is not known: {error}", there.display()), "Look at the disk yourself."),
    }
}

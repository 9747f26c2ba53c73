//! The lab: fgd-sync on real parts on this machine, told as a story.
//!
//! The service is the real binary, started as a process with a settings file: an embedded Redis, a Git server
//! (`git http-backend`) and a NetBox stand-in. Nothing reaches beyond this machine.

mod service;
mod story;

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use story::Story;

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut keep = false;
    for argument in &arguments {
        match argument.as_str() {
            "--keep" => keep = true,
            other => {
                eprintln!("lab: unknown argument `{other}`; it takes --keep");
                return ExitCode::from(2);
            }
        }
    }
    match Story::tell(keep).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nThe lab failed: {failure}");
            ExitCode::FAILURE
        }
    }
}

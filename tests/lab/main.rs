//! The lab: fgd-sync on real parts on this machine, told as a story.
//!
//! The service is the real binary, started as a process with a settings file: an embedded Redis, a Git server
//! (`git http-backend`) and a NetBox stand-in, or with `--netbox` a real NetBox. Nothing reaches beyond this machine.

mod netbox;
mod story;

#[path = "../support/mod.rs"]
mod support;

use std::process::ExitCode;

use netbox::LabNetBox;
use story::Story;

#[tokio::main]
async fn main() -> ExitCode {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (mut keep, mut real) = (false, false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--keep" => keep = true,
            "--netbox" => real = true,
            other => {
                eprintln!("lab: unknown argument `{other}`; it takes --keep and --netbox");
                return ExitCode::from(2);
            }
        }
    }
    let netbox = if real { LabNetBox::real() } else { Ok(LabNetBox::stand_in()) };
    let told = match netbox {
        Ok(netbox) => Story::tell(netbox, keep).await,
        Err(failure) => Err(failure),
    };
    match told {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("\nThe lab failed: {failure}");
            ExitCode::FAILURE
        }
    }
}

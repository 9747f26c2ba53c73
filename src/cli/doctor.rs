//! `fgd-sync doctor`: every connection of the settings, tried for real.

use clap::Args;
use serde_json::json;

use fgd_sync::app::doctor::{Finding, Verdict, examine};
use fgd_sync::domain::cause::with_causes;

use super::exit::Exit;
use super::output::{Output, on_one_line, print, print_json};
use super::settings::{SettingsFile, counted};

/// What `doctor` takes.
#[derive(Args)]
#[command(after_help = "\
It only reads: Redis (version, persistence, eviction), each NetBox (version, clock, the token's
permissions, webhook and event rules), each repository (branches, rules, the token's end, the webhook's last
delivery), and the service's own address and disk.

Examples:
  fgd-sync doctor --config fgd-sync.yaml
  fgd-sync doctor --output json | jq -r '.findings[] | select(.verdict == \"failed\") | .remedy'

Exit codes: 0 nothing failed; 1 something failed (with --deny-warnings: or is at risk); 2 the settings are wrong.")]
pub struct DoctorArgs {
    #[command(flatten)]
    settings: SettingsFile,
    /// End with 1 for warnings too
    #[arg(long)]
    deny_warnings: bool,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Runs it.
pub async fn run(args: &DoctorArgs) -> Exit {
    let settings = match args.settings.load() {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    let findings = match examine(&settings).await {
        Ok(findings) => findings,
        Err(error) => {
            eprintln!("error: {}", with_causes(&error));
            return Exit::Usage;
        }
    };
    match args.output {
        Output::Table => print(&text(&findings)),
        Output::Json => print_json(&json!({"findings": findings})),
    }
    let bearable = if args.deny_warnings { Verdict::Ok } else { Verdict::Warning };
    if findings.iter().all(|finding| finding.verdict <= bearable) { Exit::Done } else { Exit::Failed }
}

/// A line for each finding, and below it what to change.
fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for Finding { about, verdict, what, remedy } in findings {
        let word = match verdict {
            Verdict::Ok => "ok",
            Verdict::Warning => "warning",
            Verdict::Failed => "failed",
        };
        text.push_str(&format!("{word:<8} {about}: {}\n", on_one_line(what)));
        if let Some(remedy) = remedy {
            text.push_str(&format!("         -> {}\n", on_one_line(remedy)));
        }
    }
    let count = |verdict: Verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (failed, warnings) = (count(Verdict::Failed), count(Verdict::Warning));
    text.push_str(&format!("{failed} failed, {}, {} ok\n", counted(warnings, "warning"), count(Verdict::Ok)));
    text
}

//! `fgd-sync check`: the settings, without a server.

use clap::Args;
use serde_json::json;

use fgd_sync::app;
use fgd_sync::config::{Problem, Settings};

use super::exit::{Exit, fail};
use super::output::{Output, print, print_json};
use super::settings::{SettingsFile, counted};

/// What `check` takes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync check --config fgd-sync.yaml
  fgd-sync check --output json | jq -r '.errors[].setting'

Exit codes: 0 the settings are good; 2 they are not, and each error names its setting, place and remedy.
`fgd-sync doctor` tries what they name.")]
pub struct CheckArgs {
    #[command(flatten)]
    settings: SettingsFile,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

/// Runs it.
pub fn run(args: &CheckArgs) -> Exit {
    match args.output {
        Output::Table => as_text(&args.settings),
        Output::Json => as_json(&args.settings),
    }
}

fn as_text(file: &SettingsFile) -> Exit {
    let settings = match file.load() {
        Ok(settings) => settings,
        Err(exit) => return exit,
    };
    if let Err(failed) = app::crds(&settings) {
        fail(&failed);
        return Exit::Usage;
    }
    let repositories = match settings.repositories.len() {
        1 => "1 repository".to_owned(),
        many => format!("{many} repositories"),
    };
    print(&format!(
        "The settings are good: {}, {repositories}, {}.\n",
        counted(settings.fabrics.len(), "fabric"),
        counted(settings.netboxes.len(), "NetBox instance"),
    ));
    Exit::Done
}

fn as_json(file: &SettingsFile) -> Exit {
    let shown = |problem: &Problem| {
        json!({
            "setting": problem.setting,
            "place": problem.place.as_ref().map(ToString::to_string),
            "message": problem.message,
            "remedy": problem.remedy,
        })
    };
    let crds_of = |settings: &Settings| match app::crds(settings) {
        Ok(_) => Vec::new(),
        Err(failed) => {
            let message = fgd_sync::domain::cause::with_causes(&failed);
            vec![json!({"setting": "crds", "place": null, "message": message, "remedy": "Mend the files."})]
        }
    };
    let (errors, warnings) = match file.read() {
        Ok(settings) => (crds_of(&settings), settings.warnings.iter().map(shown).collect::<Vec<_>>()),
        Err(problems) => (problems.iter().map(shown).collect(), Vec::new()),
    };
    let exit = if errors.is_empty() { Exit::Done } else { Exit::Usage };
    print_json(&json!({"errors": errors, "warnings": warnings}));
    exit
}

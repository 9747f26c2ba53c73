//! `fgd-sync lint`: local files, without a server or settings.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use fgd_sync::domain::policy::Validation;
use fgd_sync::lint::{Rules, files, lint, output};
use fgd_sync::validate::{Crds, Severity};

use super::exit::{Exit, fail};
use super::output::print;

/// Check Kubernetes documents as the service and a cluster would; needs no server and no settings.
#[derive(Args)]
#[command(after_long_help = LONG_HELP)]
pub struct LintArgs {
    /// Files, and directories whose YAML files are checked (without hidden ones and `unmanaged`)
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// CustomResourceDefinitions: a directory of YAML files, or one file
    #[arg(long, value_name = "DIR")]
    crds: Option<PathBuf>,
    /// How to write what was found
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
    /// What the CRDs forbid is an error, a warning, or not looked at
    #[arg(long, value_enum, default_value_t = Mode::Strict)]
    validation: Mode,
    /// End with 1 for warnings too
    #[arg(long)]
    deny_warnings: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Output {
    /// One line for each finding, as compilers write them
    Text,
    /// One JSON object
    Json,
    /// Annotations for GitHub's pages of a pull request
    Github,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    Strict,
    Warn,
    Off,
}

const LONG_HELP: &str = "\
What is checked:
  always          YAML as Kubernetes reads it, duplicate keys, values that readers disagree about, names,
                  one object in two places; below `managed/` also one document a file, at its place
  with --crds     types, required fields, choices, patterns and limits of any kind that has a CRD;
                  a field that a cluster would drop is a warning
  unless off      Hedgehog's own rules, and references to objects that are not among the files: warnings

CRDs come from the repository of their project, or from a cluster:
  kubectl get crds -o yaml > crds.yaml

Exit codes: 0 no errors; 1 errors (with --deny-warnings also warnings); 2 the command line is wrong,
or a file cannot be read.

Examples:
  fgd-sync lint fabrics/lab/raw
  fgd-sync lint --crds crds/ fabrics/
  fgd-sync lint --crds crds/ --output github $(git diff --name-only --diff-filter=d origin/main -- '*.yaml')

As a hook of pre-commit (.pre-commit-config.yaml):
  - repo: local
    hooks:
    - id: fgd-sync-lint
      name: fgd-sync lint
      language: system
      entry: fgd-sync lint --crds crds/
      files: \\.ya?ml$";

/// Runs it.
pub fn run(args: &LintArgs) -> Exit {
    let crds = match &args.crds {
        None => Ok(Crds::default()),
        Some(path) => files::read_crds(path),
    };
    let (crds, files) = match crds.and_then(|crds| Ok((crds, files::read(&args.paths)?))) {
        Ok(read) => read,
        Err(error) => {
            fail(&error);
            return Exit::Usage;
        }
    };
    for what in crds.unchecked() {
        eprintln!("note: {what}");
    }
    let validation = match args.validation {
        Mode::Strict => Validation::Strict,
        Mode::Warn => Validation::Warn,
        Mode::Off => Validation::Off,
    };
    let report = lint(&files, &Rules { crds, validation });
    let text = match args.output {
        Output::Text => output::text(&report),
        Output::Json => output::json(&report),
        Output::Github => output::github(&report),
    };
    print(&text);
    let bad = report.count(Severity::Error) + if args.deny_warnings { report.count(Severity::Warning) } else { 0 };
    if bad == 0 { Exit::Done } else { Exit::Failed }
}

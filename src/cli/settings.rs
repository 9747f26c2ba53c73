//! The settings file of the commands that need one.

use std::path::PathBuf;

use clap::Args;

use fgd_sync::config::{self, Environment, Problem, Settings};

use super::exit::Exit;

/// Which settings file to read.
#[derive(Args)]
pub struct SettingsFile {
    /// The settings file [default: $FGD_CONFIG, else fgd-sync.yaml]
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl SettingsFile {
    /// The settings, or everything that is wrong with them.
    pub fn read(&self) -> Result<Settings, Vec<Problem>> {
        config::load(self.config.as_deref(), &environment())
    }

    /// As `read`; what is wrong is printed, and so is what puts something at risk.
    pub fn load(&self) -> Result<Settings, Exit> {
        let settings = self.read().map_err(|problems| {
            for problem in &problems {
                eprintln!("error: {problem}");
            }
            eprintln!("{} in the settings", counted(problems.len(), "error"));
            Exit::Usage
        })?;
        for warning in &settings.warnings {
            eprintln!("warning: {warning}");
        }
        Ok(settings)
    }
}

/// The variables that are text; settings can be read from no others.
fn environment() -> Environment {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// `1 fabric`, `2 fabrics`.
pub fn counted(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

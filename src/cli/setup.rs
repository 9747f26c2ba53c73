//! `fgd-sync setup`: preparing the servers that fgd-sync works with.

use clap::{Subcommand, ValueEnum};

use fgd_sync::app::{self, NetBoxSetup};
use fgd_sync::config::{ObjectModel, Settings};
use fgd_sync::domain::names::{NetBoxName, RepoName};

use super::exit::{Exit, fail};
use super::settings::SettingsFile;

const NETBOX: &str = "\
Examples:
  fgd-sync setup netbox --dry-run     # what would be created
  fgd-sync setup netbox --name main

It needs the settings' token with permission to add and change object types, webhooks, event rules and custom links, and
says which one is missing before anything is changed. It may be repeated.";

const GITHUB: &str = "\
Examples:
  fgd-sync setup github --dry-run     # what would be changed
  fgd-sync setup github --name main

It needs the settings' token or App with the permission Webhooks: write. It may be repeated.";

/// Which server to prepare.
#[derive(Subcommand)]
pub enum Setup {
    /// Create object types, webhook and event rules in NetBox; what is right already is left alone.
    #[command(after_help = NETBOX)]
    Netbox {
        #[command(flatten)]
        settings: SettingsFile,
        /// Only this NetBox of the settings [default: all]
        #[arg(long)]
        name: Option<String>,
        /// How the NetBox holds the objects [default: what the settings say]
        #[arg(long, value_enum)]
        model: Option<Model>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
    /// Create or mend the webhook of repositories of kind `github`; needs the permission Webhooks: write.
    #[command(after_help = GITHUB)]
    Github {
        #[command(flatten)]
        settings: SettingsFile,
        /// Only this repository of the settings [default: all]
        #[arg(long)]
        name: Option<String>,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

/// `model` of a NetBox, as the command line spells it.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Model {
    /// Custom object types, which are created.
    CustomObjects,
    /// The Hedgehog plugin's own models.
    Hedgehog,
}

impl From<Model> for ObjectModel {
    fn from(model: Model) -> Self {
        match model {
            Model::CustomObjects => Self::CustomObjects,
            Model::Hedgehog => Self::Hedgehog,
        }
    }
}

/// Runs it.
pub async fn run(server: Setup) -> Exit {
    match server {
        Setup::Netbox { settings, name, model, dry_run } => match settings.load() {
            Ok(settings) => {
                let model = model.map(ObjectModel::from);
                netbox(&settings, &NetBoxSetup { only: name.map(NetBoxName::new), model, dry_run }).await
            }
            Err(exit) => exit,
        },
        Setup::Github { settings, name, dry_run } => match settings.load() {
            Ok(settings) => github(&settings, name.map(RepoName::new), dry_run).await,
            Err(exit) => exit,
        },
    }
}

async fn github(settings: &Settings, only: Option<RepoName>, dry_run: bool) -> Exit {
    match app::setup_githubs(settings, only.as_ref(), dry_run, |step| println!("{step}")).await {
        Ok(()) => Exit::Done,
        Err(failed) => fail(&failed),
    }
}

async fn netbox(settings: &Settings, wish: &NetBoxSetup) -> Exit {
    match app::setup_netboxes(settings, wish, |step| println!("{step}")).await {
        Ok(()) => Exit::Done,
        Err(failed) => fail(&failed),
    }
}

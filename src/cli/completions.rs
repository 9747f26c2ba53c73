//! `fgd-sync completions`: what a shell needs to complete the commands.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::exit::Exit;
use super::output::print;
use crate::Cli;

/// What `completions` takes.
#[derive(Args)]
#[command(after_help = "\
Examples:
  fgd-sync completions bash > /usr/share/bash-completion/completions/fgd-sync
  fgd-sync completions zsh  > ~/.zfunc/_fgd-sync
  fgd-sync completions fish > ~/.config/fish/completions/fgd-sync.fish")]
pub struct CompletionsArgs {
    /// For which shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Runs it.
pub fn run(args: &CompletionsArgs) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "fgd-sync", &mut script);
    let script = String::from_utf8_lossy(&script);
    // clap_complete 4.6 spells a program's name with a hyphen in two ways in bash's script, which then finds no subcommand.
    print(&script.replace("fgd__subcmd__sync", "fgd__sync"));
    Exit::Done
}

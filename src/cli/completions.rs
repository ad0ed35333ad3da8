//! `boathouse completions`: what a shell needs to complete commands and flags.

use clap::Args;
use clap_complete::Shell;

use super::output;

const EXAMPLES: &str = "Examples:
  boathouse completions bash > ~/.local/share/bash-completion/completions/boathouse
  boathouse completions zsh > ~/.zfunc/_boathouse        with fpath+=~/.zfunc before compinit in ~/.zshrc
  boathouse completions fish > ~/.config/fish/completions/boathouse.fish
  boathouse completions powershell >> $PROFILE
  source <(boathouse completions bash)                   for this shell alone";

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Runs the command.
pub(super) fn run(args: &CompletionsArgs) {
    // Into memory first: written straight to a pipe that has gone away it would panic.
    let mut script = Vec::new();
    let mut command = super::command();
    clap_complete::generate(args.shell, &mut command, "boathouse", &mut script);
    output::write(String::from_utf8_lossy(&script));
}

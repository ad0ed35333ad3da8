//! Thin: hands the command line over.

use std::process::ExitCode;

fn main() -> ExitCode {
    boathouse::cli::main()
}

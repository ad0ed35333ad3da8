//! Thin: hands the command line over.

mod documents;

use std::process::ExitCode;

// An answer makes and frees some thirty pieces of memory, and threads hand them to each other: the system's allocator
// takes a tenth of a request's time for it, and keeps what other threads freed.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    boathouse::cli::main(documents::ALL)
}

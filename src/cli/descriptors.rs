//! Open files: each collection holds two, each connection one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the process's limit of open files to what the system lets it have.
///
/// The usual 1,024 of a shell are there for programs that use `select`; nothing here does.
pub(super) fn allow_all() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(?current, %error, "cannot raise the limit of open files");
    }
}

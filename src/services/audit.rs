//! Whether the evidence is what was written.

use std::path::Path;

use crate::services::ServiceError;
use crate::storage::evidence_log::{self, VerifyReport};

pub use crate::storage::evidence_log::KeptHead;

/// Walks the whole journal of a data folder, also one that a server has open. `kept` is a head that was kept elsewhere;
/// `progress` is told the bytes of each file before it is read, after those of all.
///
/// Errors: there is no journal; the disk failed.
pub fn audit(
    data_dir: &Path,
    kept: Option<KeptHead>,
    progress: impl FnMut(u64, u64),
) -> Result<VerifyReport, ServiceError> {
    let dir = data_dir.join("evidence");
    if !dir.is_dir() {
        return Err(ServiceError::bad_request(format!(
            "{} is no folder: a server makes it at its first start",
            dir.display()
        )));
    }
    Ok(evidence_log::verify_beside(&dir, kept, progress)?)
}

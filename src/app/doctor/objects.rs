//! The object storage of the settings: whether it is there, and lets itself be listed. Nothing is written for it.

use std::time::{Duration, Instant};

use super::Finding;
use crate::config::Settings;
use crate::transport::objects::{Bucket, ObjectError, within};

const CHECK: &str = "object storage";
/// Longest wait for a listing.
const WAIT: Duration = Duration::from_secs(15);

/// Lists the replicas in the bucket, where there is one.
pub async fn objects(settings: &Settings) -> Vec<Finding> {
    let url = &settings.object_storage.url;
    if url.is_empty() {
        return Vec::new();
    }
    let started = Instant::now();
    let listing = async { Bucket::open(url)?.folders("journal").await };
    let listed = within(WAIT, listing).await;
    let ms = started.elapsed().as_millis();
    let credentials = "set AWS_*, GOOGLE_* or AZURE_* in the server's environment: docs/OBJECT_STORAGE.md says which rights it needs";
    vec![match listed {
        Some(Ok(replicas)) => {
            let count = replicas.len();
            let what = format!("{url} can be listed, in {ms} ms; replicas there: {count}");
            Finding::ok(CHECK, what)
        }
        Some(Err(error @ ObjectError::Denied { .. })) => {
            Finding::fail(CHECK, format!("{url}: {error}"), credentials)
        }
        Some(Err(error)) => Finding::fail(
            CHECK,
            format!("{url}: {error}"),
            format!(
                "check object_storage.url, the network and AWS_ENDPOINT_URL; {credentials}; pushes fail until then, nothing else does"
            ),
        ),
        None => Finding::fail(
            CHECK,
            format!("{url} does not answer within {} s", WAIT.as_secs()),
            "check the network, AWS_ENDPOINT_URL and a proxy in between; pushes fail until then, nothing else does",
        ),
    }]
}

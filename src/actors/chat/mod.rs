//! The chat cells, one for each provider, and the dispatcher that asks them in turn.

mod backend;
mod dispatch;
mod messages;
mod open_stream;
mod tried;
mod worker;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use supervisors::{CellRef, ChildPolicy, ChildSpec};

pub use dispatch::{Chat, ChatAnswer, ChatFailure};
pub use messages::{ProviderJob, ProviderReply};
pub use open_stream::ChatStream;
pub use worker::ProviderWorker;

use crate::actors::upstream;
use crate::engines::chat::{ChatConfig, ChatError, EXTRACTIVE, ProviderConfig, build};
use crate::engines::upstream::KeyPlace;
use crate::transport::Transport;

/// Describes the cells to their supervisor, and returns the dispatcher that stands before them.
///
/// `key_of` reads a key from its place; one that is missing fails the requests that need it,
/// not the start.
/// Errors: settings that [`ChatConfig::validate`] would refuse.
pub fn child_specs(
    policy: &ChildPolicy,
    config: &ChatConfig,
    key_of: impl Fn(KeyPlace) -> Option<String>,
) -> Result<(Vec<ChildSpec>, Chat), ChatError> {
    let mut specs = Vec::new();
    let mut cells = BTreeMap::new();
    let embedded = (EXTRACTIVE, None);
    let upstreams = config
        .providers
        .iter()
        .map(|(name, provider)| (name.as_str(), Some(provider)));
    for (name, provider) in std::iter::once(embedded).chain(upstreams) {
        let key = provider
            .and_then(ProviderConfig::key_place)
            .and_then(&key_of);
        let (spec, cell) = child_spec(name, policy.clone(), provider, key)?;
        specs.push(spec);
        cells.insert(name.to_owned(), cell);
    }
    Ok((specs, Chat::new(config, cells)))
}

fn child_spec(
    name: &str,
    policy: ChildPolicy,
    config: Option<&ProviderConfig>,
    key: Option<String>,
) -> Result<(ChildSpec, CellRef<ProviderWorker>), ChatError> {
    let provider = build(name, config, key)?;
    let policy = match config {
        // The rest serves without it.
        Some(config) => ChildPolicy {
            inbox: config.max_concurrency,
            critical: false,
            ..policy
        },
        None => policy,
    };
    let beat = upstream::beat(policy.deadline_ms);
    let connect = Duration::from_millis(config.map_or(1, |config| config.connect_timeout_ms));
    let link_local = config.is_some_and(|config| config.allow_link_local);
    let name: Arc<str> = name.into();
    Ok(ChildSpec::asynchronous(
        Arc::clone(&name),
        policy,
        move |_| {
            // Connections live on the arbiter of the incarnation that opened them.
            let transport = Transport::new(connect).link_local(link_local);
            Ok(ProviderWorker::new(
                Arc::clone(&name),
                Arc::clone(&provider),
                transport,
                beat,
            ))
        },
    ))
}

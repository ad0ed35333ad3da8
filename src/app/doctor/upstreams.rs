//! The services elsewhere that chat and embedding ask: whether they are there, and take the key. Nothing is generated for it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;

use super::super::assembly::key_of;
use super::Finding;
use crate::config::Settings;
use crate::engines::chat::{ChatError, build};
use crate::engines::embedding::Embedders;
use crate::transport::{Transport, TransportError};
use crate::types::http::{HttpCall, Timeouts};

const CHAT: &str = "chat provider";
const EMBEDDER: &str = "embedder";
/// Longest wait for a list of models.
const WAIT: Duration = Duration::from_secs(10);

/// Asks every configured upstream for its models, all at once.
pub async fn upstreams(settings: &Settings) -> Vec<Finding> {
    let mut asked = Vec::new();
    for (name, config) in &settings.chat.providers {
        let key = config.key_place().and_then(key_of);
        let probe = build(name, Some(config), key).and_then(|provider| provider.probe());
        asked.push((CHAT, name.clone(), config.allow_link_local, probe));
    }
    let pulled = settings.storage.models_dir();
    if let Ok(embedders) = Embedders::with_sources(&settings.embedding, Some(&pulled), key_of) {
        for model in embedders.remotes() {
            let link_local = model.config().allow_link_local;
            let probe = model.probe().map(Some);
            asked.push((EMBEDDER, model.name().to_owned(), link_local, probe));
        }
    }
    let findings = asked
        .into_iter()
        .map(|(check, name, link_local, probe)| look(check, name, link_local, probe));
    join_all(findings).await.into_iter().flatten().collect()
}

async fn look(
    check: &'static str,
    name: String,
    link_local: bool,
    probe: Result<Option<HttpCall>, ChatError>,
) -> Option<Finding> {
    let call = match probe {
        Ok(call) => call?,
        Err(ChatError::NoKey { place, .. }) => {
            return Some(Finding::fail(
                check,
                format!("{name}: no key in {place}"),
                format!("put it there; requests for {name} fail until then"),
            ));
        }
        Err(error) => {
            let fix = "correct its settings";
            return Some(Finding::fail(check, format!("{name}: {error}"), fix));
        }
    };
    let wait = u64::try_from(WAIT.as_millis()).unwrap_or(u64::MAX);
    let call = HttpCall {
        timeouts: Timeouts {
            first_byte_ms: wait,
            idle_ms: wait,
            total_ms: wait,
        },
        ..call
    };
    let started = Instant::now();
    let transport = Transport::new(WAIT).link_local(link_local);
    let reply = transport.call(call, started + WAIT).await;
    let ms = started.elapsed().as_millis();
    Some(judge(
        check,
        &name,
        reply.map(|reply| reply.head.status),
        ms,
    ))
}

/// What an answer, or none, means. The body is not shown: some services quote the key in it.
pub(super) fn judge(
    check: &'static str,
    name: &str,
    status: Result<u16, TransportError>,
    ms: u128,
) -> Finding {
    match status {
        Ok(200..=299) => Finding::ok(check, format!("{name} lists its models, in {ms} ms")),
        Ok(404 | 405) => Finding::ok(
            check,
            format!(
                "{name} is there, and has no list of models; whether it takes the key is not known"
            ),
        ),
        Ok(status @ (401 | 403)) => Finding::fail(
            check,
            format!("{name} refuses the key ({status})"),
            "set another one in the variable that api_key_env names",
        ),
        Ok(429) => Finding::warn(
            check,
            format!("{name} wants fewer requests, or its credit is used up (429)"),
            "see its console; requests_per_minute bounds what is sent",
        ),
        Ok(status) => Finding::warn(
            check,
            format!("{name} answers {status}"),
            "see its status page; a route with a second candidate goes on without it",
        ),
        Err(error) => Finding::fail(
            check,
            format!("{name} cannot be reached: {error}"),
            "check base_url, the network and a proxy in between; a route with a second candidate goes on without it",
        ),
    }
}

//! Passages on their way into a collection, some at a time.

use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::Outcome;
use super::sources::{Document, Item};
use crate::cli::client::{Client, escaped, refused};
use crate::cli::error::CliError;
use crate::cli::output;
use crate::types::http::Method;

/// Points sent in one request.
const BATCH: usize = 256;

/// What became of the passages.
#[derive(Debug, Default)]
pub(in crate::cli) struct Sent {
    /// How many are stored.
    pub(in crate::cli) stored: usize,
    /// The ids of those that the server refused.
    pub(in crate::cli) skipped: Vec<String>,
}

/// Sends passages to one collection, which it makes where needed.
pub(super) struct Loader<'a> {
    client: &'a Client,
    path: String,
    queue: Vec<Item>,
    sent: Sent,
    /// `None` before anybody has looked.
    there: Option<bool>,
    /// Made here: nothing can be in it already.
    made: bool,
}

/// Sends everything, with a bar.
pub(in crate::cli) async fn send(
    client: &Client,
    collection: &str,
    items: &[Item],
) -> Result<Sent, CliError> {
    let mut loader = Loader::new(client, collection);
    let bar = output::progress(items.len(), "ingesting");
    for batch in items.chunks(BATCH) {
        let taken = loader.take(batch.to_vec(), &bar).await;
        taken.inspect_err(|_| bar.abandon())?;
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    loader.finish().await
}

impl<'a> Loader<'a> {
    pub(super) fn new(client: &'a Client, collection: &str) -> Self {
        Self {
            client,
            path: format!("/v1/collections/{collection}"),
            queue: Vec::new(),
            sent: Sent::default(),
            there: None,
            made: false,
        }
    }

    /// Takes passages, and sends what is enough for a request.
    pub(super) async fn take(
        &mut self,
        items: Vec<Item>,
        bar: &ProgressBar,
    ) -> Result<(), CliError> {
        self.queue.extend(items);
        while self.queue.len() >= BATCH {
            let rest = self.queue.split_off(BATCH);
            let batch = std::mem::replace(&mut self.queue, rest);
            self.send(&batch, bar).await?;
        }
        Ok(())
    }

    /// Takes a document, unless it is there as it is. What an older version of it had more goes first.
    ///
    /// The first passage carries the document's hash and comes last: while it does not say so, the document is not
    /// whole, and is taken again.
    pub(super) async fn document(
        &mut self,
        document: Document,
        outcome: &mut Outcome,
        bar: &ProgressBar,
    ) -> Result<(), CliError> {
        let Document {
            name,
            hash,
            mut items,
        } = document;
        if self.stored_hash(&name).await?.as_ref() == Some(&hash) {
            outcome.unchanged += 1;
            return Ok(());
        }
        outcome.removed += self.prune(&name, items.len()).await?;
        if let Some(first) = items.first_mut() {
            first.payload.insert("hash".to_owned(), hash.into());
            items.rotate_left(1);
        }
        self.take(items, bar).await
    }

    /// Sends what is left.
    pub(super) async fn finish(mut self) -> Result<Sent, CliError> {
        let batch = std::mem::take(&mut self.queue);
        if !batch.is_empty() {
            self.send(&batch, &ProgressBar::hidden()).await?;
        }
        Ok(self.sent)
    }

    /// Whether the collection is there.
    async fn look(&mut self) -> Result<bool, CliError> {
        if let Some(there) = self.there {
            return Ok(there);
        }
        let known = self.client.settled(Method::Get, &self.path, None).await?;
        match known.status {
            200 if known.body["embedder"].is_null() => {
                // Else every passage would be refused for itself.
                let path = &self.path;
                return Err(CliError::failed(format!(
                    "{path} has no embedder: it takes vectors, which ingest does not make"
                )));
            }
            200 | 404 => {}
            _ => return Err(refused(&self.path, &known)),
        }
        let there = known.status == 200;
        self.there = Some(there);
        Ok(there)
    }

    /// The hash of the version of a document that is stored whole.
    async fn stored_hash(&mut self, name: &str) -> Result<Option<String>, CliError> {
        if self.made || !self.look().await? {
            return Ok(None);
        }
        let path = format!("{}/points/{}", self.path, escaped(&format!("{name}#0")));
        let answer = self.client.settled(Method::Get, &path, None).await?;
        match answer.status {
            200 => Ok(answer.body["payload"]["hash"].as_str().map(str::to_owned)),
            404 => Ok(None),
            _ => Err(refused(&path, &answer)),
        }
    }

    /// Removes a document's passages from number `from` on; returns how many there were.
    async fn prune(&mut self, name: &str, from: usize) -> Result<usize, CliError> {
        if self.made || !self.look().await? {
            return Ok(0);
        }
        let path = format!("{}/points/delete", self.path);
        let filter = json!({"filter": {"source": name, "chunk": {"$gte": from}}});
        let deleted = self.client.must(Method::Post, &path, Some(&filter)).await?;
        Ok(count(&deleted["deleted"]))
    }

    /// Sends a batch. One that the server refuses is halved until the passages at fault stand alone: they are named
    /// and left out.
    async fn send(&mut self, batch: &[Item], bar: &ProgressBar) -> Result<(), CliError> {
        if !self.look().await? {
            let defaults = json!({});
            let made = self.client.must(Method::Put, &self.path, Some(&defaults));
            made.await?;
            (self.there, self.made) = (Some(true), true);
        }
        let path = format!("{}/points", self.path);
        let mut left = vec![batch];
        while let Some(batch) = left.pop() {
            let points: Vec<Value> = batch
                .iter()
                .map(|item| json!({"id": item.id, "text": item.text, "payload": item.payload}))
                .collect();
            let body = json!({"points": points});
            let answer = self
                .client
                .settled(Method::Post, &path, Some(&body))
                .await?;
            match (answer.status, batch) {
                (200..=299, _) => self.sent.stored += count(&answer.body["upserted"]),
                (400 | 413, [alone]) => {
                    let (id, said) = (&alone.id, answer.said());
                    bar.suspend(|| output::note(format_args!("skipped passage {id}: {said}")));
                    self.sent.skipped.push(id.clone());
                }
                (400 | 413, batch) => {
                    let (first, second) = batch.split_at(batch.len() / 2);
                    left.extend([second, first]);
                }
                _ => return Err(refused(&path, &answer)),
            }
        }
        Ok(())
    }
}

fn count(number: &Value) -> usize {
    let number = number.as_u64().unwrap_or(0);
    usize::try_from(number).unwrap_or(usize::MAX)
}

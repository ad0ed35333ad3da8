//! In: the whole file is checked first, then sent, some points at a time.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use serde_json::{Value, json};

use super::{Head, ImportArgs, Row, open};
use crate::cli::client::{Client, refused};
use crate::cli::error::CliError;
use crate::cli::{output, server};
use crate::config::Overrides;
use crate::types::export::ExportHead;
use crate::types::http::Method;
use crate::types::plain::counted;

/// Most points in one request.
const BATCH: usize = 512;
/// Bytes of them, about.
const BATCH_BYTES: usize = 4 << 20;

/// Runs the command.
pub(in crate::cli) fn run(overrides: &Overrides, args: &ImportArgs) -> Result<(), CliError> {
    let checked = check(args)?;
    let imported = server::ask(overrides, &args.server, async |client| {
        let target = Target::prepare(client, args, &checked).await?;
        send(client, args, &target, checked.rows).await
    })?;
    if args.json {
        let file = args.from.display().to_string();
        output::say(json!({"collection": args.name, "points": imported, "file": file}));
        return Ok(());
    }
    output::say(format_args!(
        "{} of {} in collection {}",
        counted(imported, "point"),
        args.from.display(),
        args.name
    ));
    Ok(())
}

/// What the file holds.
struct Checked {
    head: Head,
    rows: usize,
    /// Length of the vectors; `None` where no point has one.
    dim: Option<usize>,
}

/// Reads the whole file, so that what is wrong with it is told before anything is written.
fn check(args: &ImportArgs) -> Result<Checked, CliError> {
    let source = open(&args.from)?;
    let place = |at: usize, reason: String| {
        CliError::failed(format!(
            "{}: point {at}: {reason}; nothing was imported",
            args.from.display()
        ))
    };
    let mut checked = Checked {
        dim: source.head.as_ref().map(|head| head.spec.dim),
        head: source.head,
        rows: 0,
    };
    // 16 bytes a point, however long its id: two hashes of different keys do not both collide.
    let (one, other) = (RandomState::new(), RandomState::new());
    let mut ids = HashSet::new();
    for row in source.rows {
        let row = row?;
        checked.rows += 1;
        let at = checked.rows;
        if !ids.insert((one.hash_one(&row.id), other.hash_one(&row.id))) {
            return Err(place(at, format!("the id {} stands there twice", row.id)));
        }
        let Some(vector) = row.vector else { continue };
        let expected = *checked.dim.get_or_insert(vector.len());
        if vector.len() != expected {
            let reason = format!(
                "{}: wrong dimension: expected {expected}, got {}",
                row.id,
                vector.len()
            );
            return Err(place(at, reason));
        }
        if let Some(bad) = vector.iter().position(|x| !x.is_finite()) {
            let reason = format!("{}: vector[{bad}] is {}", row.id, vector[bad]);
            return Err(place(at, reason));
        }
    }
    if args.skip > checked.rows {
        return Err(CliError::failed(format!(
            "{} has {} points, --skip {} leaves none",
            args.from.display(),
            checked.rows,
            args.skip
        )));
    }
    Ok(checked)
}

/// The collection that takes the points.
struct Target {
    path: String,
    /// Of the models that made the file's vectors.
    fingerprint: Option<String>,
    refiner_fingerprint: Option<String>,
}

impl Target {
    /// Makes the collection where needed, and checks that the file's points fit into it.
    async fn prepare(
        client: &Client,
        args: &ImportArgs,
        checked: &Checked,
    ) -> Result<Self, CliError> {
        let path = format!("/v1/collections/{}", args.name);
        let known = client.settled(Method::Get, &path, None).await?;
        let (made, info) = match known.status {
            200 => (false, known.body),
            404 => {
                let like = like(checked);
                (true, client.must(Method::Put, &path, Some(&like)).await?)
            }
            _ => return Err(refused(&path, &known)),
        };
        if let Err(reason) = fits(&info, checked) {
            if made {
                // Ours, and empty.
                client.must(Method::Delete, &path, None).await?;
            }
            return Err(CliError::failed(format!(
                "{} does not fit into collection {}: {reason}; nothing was imported",
                args.from.display(),
                args.name
            )));
        }
        let spec = checked.head.as_ref().map(|head| &head.spec);
        // Second vectors that the collection has no use for stay behind.
        let refiner = spec.and_then(|spec| spec.refiner.as_ref());
        let refiner = refiner.filter(|own| info["refiner"]["fingerprint"] == *own.fingerprint);
        Ok(Self {
            path: format!("{path}/import"),
            fingerprint: spec.and_then(|spec| spec.fingerprint.clone()),
            refiner_fingerprint: refiner.map(|refiner| refiner.fingerprint.clone()),
        })
    }

    async fn send(&self, client: &Client, rows: &[Row]) -> Result<(), CliError> {
        let points: Vec<Value> = rows
            .iter()
            .map(|row| {
                let refined = row.refined.as_ref();
                json!({
                    "id": row.id, "vector": row.vector, "text": row.text, "payload": row.payload,
                    "refined": refined.filter(|_| self.refiner_fingerprint.is_some()),
                })
            })
            .collect();
        let body = json!({
            "fingerprint": self.fingerprint, "refiner_fingerprint": self.refiner_fingerprint, "points": points,
        });
        client.must(Method::Post, &self.path, Some(&body)).await?;
        Ok(())
    }
}

/// A new collection with the properties of the file's.
fn like(checked: &Checked) -> Value {
    match (&checked.head, checked.dim) {
        (Some(ExportHead { spec, .. }), _) => json!({
            "dim": spec.dim, "metric": spec.metric, "embedder": spec.embedder,
            "refiner": spec.refiner.as_ref().map(|refiner| &refiner.model),
            "fields": spec.schema.fields, "role_field": spec.schema.role_field,
            // Says nothing, and is refused, where there are no roles.
            "role_required": spec.schema.role_field.as_ref().map(|_| spec.schema.role_required),
            "ttl_field": spec.schema.ttl_field,
        }),
        (None, Some(dim)) => json!({"dim": dim}),
        (None, None) => json!({}),
    }
}

/// Says why the file's points do not fit into the collection.
fn fits(info: &Value, checked: &Checked) -> Result<(), String> {
    if let Some(dim) = checked.dim
        && info["dim"] != dim
    {
        return Err(format!(
            "wrong dimension: expected {}, the file has {dim}",
            info["dim"]
        ));
    }
    let Some(ExportHead { spec, .. }) = &checked.head else {
        return Ok(());
    };
    if info["metric"] != json!(spec.metric) {
        let (own, theirs) = (&info["metric"], json!(spec.metric));
        return Err(format!("its metric is {own}, the file's {theirs}"));
    }
    match (&spec.fingerprint, info["fingerprint"].as_str()) {
        (Some(theirs), Some(own)) if theirs != own => Err(format!(
            "its model has fingerprint {own}, the file's vectors were made by one of {theirs}"
        )),
        _ => Ok(()),
    }
}

async fn send(
    client: &Client,
    args: &ImportArgs,
    target: &Target,
    count: usize,
) -> Result<usize, CliError> {
    let bar = output::progress(count, "importing");
    let mut done = args.skip;
    bar.inc(done as u64);
    let mut rows = open(&args.from)?.rows.skip(done).peekable();
    while rows.peek().is_some() {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH && bytes < BATCH_BYTES {
            let Some(row) = rows.next().transpose()? else {
                break;
            };
            // A number of a vector takes about 12 bytes as JSON.
            bytes += row.text.as_ref().map_or(0, String::len) + 256;
            bytes += 12 * row.vector.as_ref().map_or(0, Vec::len);
            batch.push(row);
        }
        target.send(client, &batch).await.map_err(|error| {
            bar.abandon();
            CliError::failed(format!(
                "{error}; imported so far: {}; mend it and go on with --skip {done}",
                counted(done, "point")
            ))
        })?;
        done += batch.len();
        bar.inc(batch.len() as u64);
    }
    bar.finish_and_clear();
    Ok(done - args.skip)
}

//! Tasks to rows: admitted, redacted, each once, each on its side of the split.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::caps::Caps;
use super::columns::Held;
use super::conversation;
use super::counts::{Dropped, ExportCounts, Placed};
use super::exporters::{Context, Exporter, Made};
use super::flavour::Flavour;
use super::mining::Mined;
use super::near::Near;
use super::recipe::Recipe;
use super::redact::{RedactError, Redactions, Redactor};
use super::repairs::Repairs;
use super::rivals::Rivals;
use super::split;
use super::task::{Task, normalised, task_key};

#[cfg(test)]
mod tests;

/// One export in the making.
///
/// The tasks are read [`Export::readings`] times for [`Export::prepare`] and then once for
/// [`Export::add`], each time in the order of the journal. Of rows that are alike the oldest is
/// kept, so growing data takes nothing back.
pub struct Export<'a> {
    exporter: &'static dyn Exporter,
    flavour: Flavour,
    recipe: &'a Recipe,
    test_fraction: f64,
    redactor: Redactor,
    rivals: Rivals,
    repairs: Repairs,
    mined: Option<&'a Mined>,
    /// The number of the kept row of each fingerprint.
    seen: HashMap<[u8; 32], u32>,
    /// The completion of each kept row.
    kept: Vec<Box<str>>,
    near: Option<Near>,
    caps: Caps,
    counts: ExportCounts,
    held: Held,
}

impl<'a> Export<'a> {
    /// Begins an export; `None` when `test_fraction` is not 0 to 0.5.
    ///
    /// Errors: a redaction pattern does not compile.
    pub fn new(
        exporter: &'static dyn Exporter,
        flavour: Flavour,
        recipe: &'a Recipe,
        test_fraction: f64,
    ) -> Result<Option<Self>, RedactError> {
        if !split::fraction_is_valid(test_fraction) {
            return Ok(None);
        }
        let likeness = recipe.export.near_duplicate;
        Ok(Some(Self {
            exporter,
            flavour,
            recipe,
            test_fraction,
            redactor: Redactor::new(&recipe.redact)?,
            rivals: Rivals::default(),
            repairs: Repairs::default(),
            mined: None,
            seen: HashMap::new(),
            kept: Vec::new(),
            near: (likeness > 0.0).then(|| Near::new(likeness)),
            caps: Caps::default(),
            counts: ExportCounts::default(),
            held: Held::default(),
        }))
    }

    /// The same with these negatives in place of what was retrieved and not cited.
    #[must_use]
    pub fn with_negatives(mut self, mined: Option<&'a Mined>) -> Self {
        self.mined = mined;
        self
    }

    /// How often the tasks are read before rows are made of them.
    pub fn readings(&self) -> usize {
        if self.exporter.pairs() { 2 } else { 0 }
    }

    /// Reads a task in one of the readings before, counted from 0.
    pub fn prepare(&mut self, reading: usize, task: &Task) {
        if !self.fits(task) {
            return;
        }
        if self.recipe.preference.repairs {
            match reading {
                0 => self.repairs.survey(task, self.recipe),
                _ => self.repairs.gather(task, self.recipe),
            }
        }
        if !self.exporter.admits(task.outcome, self.recipe) {
            return;
        }
        match reading {
            0 => self.rivals.survey(task, self.recipe),
            _ => self.rivals.gather(task),
        }
    }

    /// Makes the rows of a task; returns at least one thing that became of it.
    pub fn add(&mut self, task: &Task) -> Vec<Placed> {
        let context = Context {
            recipe: self.recipe,
            rivals: &self.rivals,
            repairs: &self.repairs,
            mined: self.mined,
        };
        let pairs = self.exporter.pairs();
        let admitted =
            self.exporter.admits(task.outcome, self.recipe) || (pairs && self.repairs.wants(task));
        let made = if !admitted {
            Err(task.outcome.name())
        } else if !self.fits(task) {
            Err("answer_too_long")
        } else {
            self.exporter.rows(task, &context)
        };
        let placed = match made {
            Ok(rows) => rows
                .into_iter()
                .map(|made| self.place(task, made).unwrap_or_else(Placed::Skipped))
                .collect(),
            Err(_) if pairs && (self.rivals.stands(task) || self.repairs.stands(task)) => {
                vec![Placed::Paired]
            }
            Err(reason) => vec![Placed::Skipped(reason)],
        };
        self.counts.count(&placed);
        placed
    }

    fn fits(&self, task: &Task) -> bool {
        task.answer.len() <= self.recipe.export.max_answer_bytes
    }

    /// Errors: the reason why there is no row.
    fn place(&mut self, task: &Task, made: Made) -> Result<Placed, &'static str> {
        let Made { mut row, about } = made;
        self.redactor.row(&mut row);
        self.exporter.check(&row)?;
        let mut hasher = blake3::Hasher::new();
        fingerprint(&mut hasher, &row);
        let fingerprint = *hasher.finalize().as_bytes();
        let texts = self.near.is_some().then(|| self.exporter.texts(&row));
        let held = held(&row);
        let row = self.exporter.shape(row, self.flavour)?;

        let mut origin = origin(task, about);
        if let Some(kept) = self.seen.get(&fingerprint) {
            let kept = self.kept.get(*kept as usize);
            origin.insert("why".to_owned(), "duplicate".into());
            origin.insert("kept".to_owned(), json!(kept));
            return Ok(dropped(Dropped::Duplicate, origin));
        }
        let near = self.near.as_ref().zip(texts);
        let sketch = near.and_then(|(near, texts)| near.sketch(&texts));
        let like = self.near.as_ref().zip(sketch.as_ref());
        if let Some(like) = like.and_then(|(near, sketch)| near.find(sketch)) {
            let kept = self.kept.get(like.row as usize);
            origin.insert("why".to_owned(), "near_duplicate".into());
            origin.insert("kept".to_owned(), json!(kept));
            origin.insert("likeness".to_owned(), json!(like.likeness));
            return Ok(dropped(Dropped::NearDuplicate, origin));
        }
        let question = conversation::last_user_text(&task.messages).unwrap_or_default();
        // Redacted, or the same question with two addresses would be two tasks.
        let key = task_key(&self.redactor.uncounted(&question).0);
        if let Err(source) = self.caps.admit(task, &key, &self.recipe.caps) {
            origin.insert("why".to_owned(), format!("capped_{source}").into());
            return Ok(dropped(Dropped::Capped(source), origin));
        }
        // Only now: what is left out for another reason must not keep its like out too.
        let number = u32::try_from(self.kept.len()).map_err(|_| "too_many_rows")?;
        self.kept.push(task.id.as_str().into());
        self.seen.insert(fingerprint, number);
        if let Some((near, sketch)) = self.near.as_mut().zip(sketch) {
            near.keep(sketch, number);
        }
        self.held.calls |= held.calls;
        self.held.tools |= held.tools;
        Ok(Placed::Row {
            side: split::side(&key, self.test_fraction),
            line: row.to_string(),
            about: Value::Object(origin).to_string(),
        })
    }

    /// How many tasks went where.
    pub fn counts(&self) -> &ExportCounts {
        &self.counts
    }

    /// What was replaced, also in rows that were dropped afterwards.
    pub fn redactions(&self) -> &Redactions {
        self.redactor.counts()
    }

    /// What the rows hold beside texts.
    pub fn held(&self) -> Held {
        self.held
    }
}

/// Where a row comes from.
fn origin(task: &Task, about: Map<String, Value>) -> Map<String, Value> {
    let mut origin = Map::new();
    origin.insert("id".to_owned(), task.id.clone().into());
    origin.insert("seq".to_owned(), task.seq.into());
    if let Some(replica) = &task.replica {
        origin.insert("replica".to_owned(), replica.clone().into());
    }
    origin.insert("ts".to_owned(), task.ts.into());
    origin.insert("outcome".to_owned(), task.outcome.name().into());
    origin.insert("answered_by".to_owned(), json!(task.answered_by));
    if let Some(client) = &task.client {
        origin.insert("client".to_owned(), client.clone().into());
    }
    origin.extend(about);
    origin
}

fn dropped(why: Dropped, about: Map<String, Value>) -> Placed {
    let about = Value::Object(about).to_string();
    Placed::Dropped { why, about }
}

/// What a row holds beside texts.
fn held(row: &Value) -> Held {
    let more = |message: &Value| {
        message
            .as_object()
            .is_none_or(|members| members.len() != 2 || !members["content"].is_string())
    };
    let lists = ["messages", "prompt", "completion", "chosen", "rejected"];
    let messages = lists
        .into_iter()
        .filter_map(|name| row.get(name).and_then(Value::as_array));
    Held {
        calls: messages.flatten().any(more),
        tools: row.get("tools").is_some(),
    }
}

/// Hashes what makes a row the same: its texts without case and white space, and its labels, not
/// its numbers.
fn fingerprint(hasher: &mut blake3::Hasher, value: &Value) {
    match value {
        Value::String(text) => {
            let text = normalised(text);
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
        Value::Array(items) => {
            hasher.update(b"[");
            items.iter().for_each(|item| fingerprint(hasher, item));
            hasher.update(b"]");
        }
        Value::Object(members) => {
            for (key, member) in members {
                hasher.update(key.as_bytes());
                hasher.update(b":");
                fingerprint(hasher, member);
            }
        }
        Value::Bool(true) => {
            hasher.update(b"+");
        }
        Value::Null | Value::Bool(false) | Value::Number(_) => {
            hasher.update(b"-");
        }
    }
}

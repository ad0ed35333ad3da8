//! Questions with a passage that answered them and one that did not, to train embedders on.

use serde_json::{Value, json};

use super::{Context, Exporter, Made, Texts};
use crate::engines::dataset::columns::{Column, Feature};
use crate::engines::dataset::conversation;
use crate::engines::dataset::flavour::Flavour;
use crate::engines::dataset::mining::{Mined, shortest};
use crate::engines::dataset::near::{Shingles, jaccard};
use crate::engines::dataset::recipe::Recipe;
use crate::engines::dataset::task::{Outcome, Task, normalised};
use crate::types::evidence::PassageEvidence;

pub(super) struct Triplets;

const COLUMNS: [Column; 3] = [
    Column {
        name: "anchor",
        kind: "string: the question",
        feature: Feature::Text,
    },
    Column {
        name: "positive",
        kind: "string: a passage that the accepted answer cites",
        feature: Feature::Text,
    },
    Column {
        name: "negative",
        kind: "string: a passage that was retrieved for the question, or found for it later, and that \
               the answer does not cite",
        feature: Feature::Text,
    },
];

impl Exporter for Triplets {
    fn kind(&self) -> &'static str {
        "triplets"
    }

    fn summary(&self) -> &'static str {
        "Each row is a question, a passage that its accepted answer cites, and a passage that was \
         retrieved for the same question and not cited. The hardest negative, which stood highest \
         in the retrieval, comes first; where `manifest.json` has `negatives`, it was found by a \
         search for the question in the collection named there instead. That a passage was not cited is no proof that it does not \
         answer the question."
    }

    fn columns(&self, _flavour: Flavour) -> &'static [Column] {
        &COLUMNS
    }

    fn admits(&self, outcome: Outcome, recipe: &Recipe) -> bool {
        match outcome {
            Outcome::Accepted => true,
            Outcome::PartiallyAccepted => recipe.triplets.include_partially_accepted,
            Outcome::NeedsReview | Outcome::Rejected => false,
        }
    }

    fn rows(&self, task: &Task, context: &Context<'_>) -> Result<Vec<Made>, &'static str> {
        // What was cited is known of the answer before the edit.
        if task.original_answer.is_some() {
            return Err("edited_answer");
        }
        if task.passages.is_empty() {
            return Err("no_passages");
        }
        let anchor = conversation::last_user_text(&task.messages)
            .filter(|anchor| !anchor.trim().is_empty())
            .ok_or("no_user_message")?;
        let positives = distinct(task.passages.iter().filter(|one| one.cited), |_| true);
        if positives.is_empty() {
            return Err("no_citation");
        }
        if let Some(mined) = context.mined {
            return against_mined(task, &anchor, &positives, mined);
        }
        let likeness = context.recipe.export.near_duplicate;
        let unlike = |one: &Passage<'_>| positives.iter().all(|other| !other.says(one, likeness));
        let mut negatives = distinct(task.passages.iter().filter(|one| !one.cited), unlike);
        negatives.truncate(context.recipe.triplets.negatives_per_positive);
        if negatives.is_empty() {
            return Err("no_negatives");
        }
        let pairs = positives
            .iter()
            .flat_map(|positive| negatives.iter().map(move |negative| (positive, negative)));
        let rows = pairs.map(
            |(Passage { it: positive, .. }, Passage { it: negative, .. })| {
                let row = json!({
                    "anchor": anchor,
                    "positive": positive.text,
                    "negative": negative.text,
                });
                let place = task.passages.iter().position(|one| one == *negative);
                Made::of(row)
                    .about("collection", negative.collection.clone())
                    .about("positive_id", positive.id.clone())
                    .about("negative_id", negative.id.clone())
                    .about("negative_rank", place.unwrap_or_default() + 1)
            },
        );
        Ok(rows.collect())
    }

    fn check(&self, row: &Value) -> Result<(), &'static str> {
        let text = |name: &str| normalised(row[name].as_str().unwrap_or_default());
        if text("positive") == text("negative") {
            return Err("same_passages");
        }
        Ok(())
    }

    fn texts(&self, row: &Value) -> Texts {
        let text = |name: &str| row[name].as_str().unwrap_or_default();
        Texts {
            asked: format!("{}\n{}", text("anchor"), text("positive")),
            answered: text("negative").to_owned(),
            class: 0,
        }
    }
}

/// Sets each cited passage against what was mined for it. Errors: why there is nothing for any.
fn against_mined(
    task: &Task,
    anchor: &str,
    positives: &[Passage<'_>],
    mined: &Mined,
) -> Result<Vec<Made>, &'static str> {
    let mut rows = Vec::new();
    let mut reason = "no_negatives";
    for Passage { it: positive, .. } in positives {
        let chosen = match mined.against(task, positive) {
            Ok(chosen) => chosen,
            Err(why) => {
                reason = why;
                continue;
            }
        };
        for negative in &chosen.negatives {
            let row = json!({
                "anchor": anchor,
                "positive": positive.text,
                "negative": negative.text,
            });
            let made = Made::of(row)
                .about("collection", positive.collection.clone())
                .about("positive_id", positive.id.clone())
                .about("positive_score", chosen.score.map_or(Value::Null, shortest))
                .about("negatives", "mined")
                .about("negative_collection", mined.collection())
                .about("negative_id", negative.id.clone())
                .about("negative_rank", negative.rank)
                .about("negative_score", shortest(negative.score));
            rows.push(made);
        }
    }
    if rows.is_empty() {
        Err(reason)
    } else {
        Ok(rows)
    }
}

/// A passage with what tells whether another says the same.
struct Passage<'a> {
    it: &'a PassageEvidence,
    normalised: String,
    shingles: Shingles,
}

impl Passage<'_> {
    /// Whether this is the other, or nearly its words: chunks of one document overlap.
    fn says(&self, other: &Passage<'_>, likeness: f64) -> bool {
        let same = self.it.collection == other.it.collection && self.it.id == other.it.id;
        same || self.normalised == other.normalised
            || (likeness > 0.0 && jaccard(&self.shingles, &other.shingles) >= likeness)
    }
}

/// The passages with words, each once, in the order of the retrieval.
fn distinct<'a>(
    passages: impl Iterator<Item = &'a PassageEvidence>,
    wanted: impl Fn(&Passage<'_>) -> bool,
) -> Vec<Passage<'a>> {
    let mut found: Vec<Passage<'a>> = Vec::new();
    for it in passages.filter(|passage| !passage.text.trim().is_empty()) {
        let passage = Passage {
            it,
            normalised: normalised(&it.text),
            shingles: Shingles::of(&[&it.text]),
        };
        if wanted(&passage) && !found.iter().any(|known| known.says(&passage, 0.0)) {
            found.push(passage);
        }
    }
    found
}

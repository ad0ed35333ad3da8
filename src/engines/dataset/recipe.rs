//! The rules by which evidence becomes training data; a TOML file that users edit.

use serde::Deserialize;

use super::task::Outcome;
use crate::types::error_kind::ErrorKind;

/// The compiled-in recipe.
pub const DEFAULT_RECIPE: &str = include_str!("../../../config/recipes/default.toml");

/// Largest recipe, bytes: far above any real one.
const MAX_RECIPE_BYTES: usize = 1024 * 1024;

/// A recipe that cannot be used. Change it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// It is not TOML of the right shape.
    #[error("recipe line {line}: {reason}")]
    Syntax {
        /// From 1; 0 when it is about no line.
        line: usize,
        /// What the parser said.
        reason: String,
    },
    /// A value is out of range.
    #[error("recipe: {0}")]
    Value(String),
}

impl RecipeError {
    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        // It comes from the settings, not from a request.
        ErrorKind::Internal
    }
}

/// A checked recipe; `config/recipes/default.toml` documents every field.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Version of the format.
    pub version: u32,
    /// How an answer is judged.
    pub score: ScoreRules,
    /// What all exports share.
    pub export: ExportRules,
    /// Bounds on the rows of one source.
    pub caps: CapRules,
    /// The `rag` export.
    pub rag: AdmitRules,
    /// The `triplets` export.
    pub triplets: TripletRules,
    /// The `sft` export.
    pub sft: AdmitRules,
    /// The `preference` export.
    pub preference: PreferenceRules,
    /// The `kto` export.
    pub kto: AdmitRules,
    /// What is replaced in texts.
    pub redact: RedactRules,
}

/// How an answer is judged.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScoreRules {
    /// Whether passing validations are enough without feedback.
    pub accept_without_feedback: bool,
    /// Below it an accepted rating counts as partially accepted.
    pub accept_score: f64,
    /// Reasons of ending that reject.
    pub rejected_finish_reasons: Vec<String>,
    /// Outcome of a failed validation.
    pub failed_validation: Outcome,
    /// Outcome of a repairable one.
    pub repairable_validation: Outcome,
    /// Whether passages without a citation need review.
    pub require_citation: bool,
}

/// What all exports share.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExportRules {
    /// Share of tasks held out.
    pub test_fraction: f64,
    /// Longest answer.
    pub max_answer_bytes: usize,
    /// Jaccard likeness from which on two rows are near-duplicates; 0 keeps them.
    pub near_duplicate: f64,
}

/// Most rows of one source; 0 is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CapRules {
    /// Of a model that answered, as `provider/model`.
    pub per_model: u64,
    /// Of its provider.
    pub per_provider: u64,
    /// Of a client's token.
    pub per_client: u64,
    /// Of a last user message.
    pub per_question: u64,
}

/// What the triplets are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TripletRules {
    /// Whether partially accepted answers are good enough.
    pub include_partially_accepted: bool,
    /// Hardest passages that each cited one is set against.
    pub negatives_per_positive: usize,
}

/// What the pairs are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreferenceRules {
    /// Whether partially accepted answers are good enough to be the better one.
    pub include_partially_accepted: bool,
    /// Whether a validator's verdicts alone make pairs.
    pub repairs: bool,
}

/// Which outcomes an export takes besides accepted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdmitRules {
    /// Whether partially accepted answers are good enough.
    pub include_partially_accepted: bool,
}

/// What is replaced in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RedactRules {
    /// Mail addresses.
    pub email: bool,
    /// Telephone numbers.
    pub phone: bool,
    /// Payment cards.
    pub card: bool,
    /// US social security numbers.
    pub ssn: bool,
    /// Keys, tokens and passwords.
    pub secret: bool,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            version: 1,
            score: ScoreRules::default(),
            export: ExportRules::default(),
            rag: AdmitRules {
                include_partially_accepted: true,
            },
            caps: CapRules::default(),
            triplets: TripletRules::default(),
            sft: AdmitRules::default(),
            preference: PreferenceRules::default(),
            kto: AdmitRules::default(),
            redact: RedactRules::default(),
        }
    }
}

impl Default for ScoreRules {
    fn default() -> Self {
        Self {
            accept_without_feedback: false,
            accept_score: 0.5,
            rejected_finish_reasons: vec!["length".to_owned(), "content_filter".to_owned()],
            failed_validation: Outcome::Rejected,
            repairable_validation: Outcome::NeedsReview,
            require_citation: false,
        }
    }
}

impl Default for ExportRules {
    fn default() -> Self {
        Self {
            test_fraction: 0.1,
            max_answer_bytes: 256 * 1024,
            near_duplicate: 0.85,
        }
    }
}

impl Default for TripletRules {
    fn default() -> Self {
        Self {
            include_partially_accepted: false,
            negatives_per_positive: 4,
        }
    }
}

impl Default for PreferenceRules {
    fn default() -> Self {
        Self {
            include_partially_accepted: false,
            repairs: true,
        }
    }
}

impl Default for RedactRules {
    fn default() -> Self {
        Self {
            email: true,
            phone: true,
            card: true,
            ssn: true,
            secret: true,
        }
    }
}

impl Recipe {
    /// Reads and checks a recipe.
    ///
    /// Errors: names the line, or the field with its range and value.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        if text.len() > MAX_RECIPE_BYTES {
            let reason = format!("{} bytes are more than {MAX_RECIPE_BYTES}", text.len());
            return Err(RecipeError::Value(reason));
        }
        let recipe: Self = toml::from_str(text).map_err(|error| RecipeError::Syntax {
            line: error.span().map_or(0, |span| {
                text.bytes()
                    .take(span.start)
                    .filter(|byte| *byte == b'\n')
                    .count()
                    + 1
            }),
            reason: error.message().to_owned(),
        })?;
        recipe.check().map_err(RecipeError::Value)?;
        Ok(recipe)
    }

    fn check(&self) -> Result<(), String> {
        if self.version != 1 {
            return Err(format!("version must be 1, got {}", self.version));
        }
        let score = &self.score;
        if !(0.0..=1.0).contains(&score.accept_score) {
            return Err(format!(
                "score.accept_score must be 0 to 1, got {}",
                score.accept_score
            ));
        }
        for (name, outcome) in [
            ("failed_validation", score.failed_validation),
            ("repairable_validation", score.repairable_validation),
        ] {
            if !matches!(outcome, Outcome::Rejected | Outcome::NeedsReview) {
                return Err(format!(
                    "score.{name} must be rejected or needs_review, got {}",
                    outcome.name()
                ));
            }
        }
        if !super::split::fraction_is_valid(self.export.test_fraction) {
            return Err(format!(
                "export.test_fraction must be 0 to 0.5, got {}",
                self.export.test_fraction
            ));
        }
        if !(1..=16 * 1024 * 1024).contains(&self.export.max_answer_bytes) {
            return Err(format!(
                "export.max_answer_bytes must be 1 to 16777216, got {}",
                self.export.max_answer_bytes
            ));
        }
        let likeness = self.export.near_duplicate;
        if likeness != 0.0 && !(0.5..=1.0).contains(&likeness) {
            return Err(format!(
                "export.near_duplicate must be 0 (off), or 0.5 to 1, got {likeness}"
            ));
        }
        let negatives = self.triplets.negatives_per_positive;
        if !(1..=64).contains(&negatives) {
            return Err(format!(
                "triplets.negatives_per_positive must be 1 to 64, got {negatives}"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compiled_in_recipe_is_complete_and_the_default() {
        assert_eq!(Recipe::parse(DEFAULT_RECIPE).unwrap(), Recipe::default());
        assert_eq!(Recipe::parse("").unwrap(), Recipe::default());
        // Every field is named in the file.
        let named: toml::Table = DEFAULT_RECIPE.parse().unwrap();
        let count: usize = named
            .values()
            .map(|value| value.as_table().map_or(1, toml::Table::len))
            .sum();
        assert_eq!(count, 26);
    }

    #[test]
    fn wrong_recipes_are_refused_with_the_place() {
        let table = [
            ("version = 2", "version must be 1, got 2"),
            (
                "\n[score]\naccept_scores = 1",
                "recipe line 3: unknown field `accept_scores`",
            ),
            ("[score]\naccept_score = nan", "got NaN"),
            (
                "[score]\nfailed_validation = \"accepted\"",
                "failed_validation must be rejected",
            ),
            ("[export]\ntest_fraction = 0.6", "got 0.6"),
            ("[export]\nmax_answer_bytes = 0", "got 0"),
            ("[export]\nnear_duplicate = 0.4", "got 0.4"),
            ("[export]\nnear_duplicate = nan", "got NaN"),
            (
                "[triplets]\nnegatives_per_positive = 65",
                "must be 1 to 64, got 65",
            ),
            ("[caps]\nper_model = -1", "recipe line 2"),
            ("[redact]\nemail = \"yes\"", "recipe line 2: invalid type"),
            ("= 1", "recipe line 1"),
        ];
        for (text, expected) in table {
            let error = Recipe::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text:?}: {error}");
        }
    }
}

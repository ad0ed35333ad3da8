//! From evidence to training data: materialize, score, export.
//!
//! Pure: journal lines come in, tasks and rows go out; files are the caller's. Nothing here reads a
//! clock, so the same journal and [`Recipe`] give the same bytes.
//!
//! 1. [`Join`] takes a [`Fact`] of each line and keeps what people and validators said of each answer.
//! 2. [`Join::task`] makes a [`Task`] of each chat completion on a second reading, and scores it.
//! 3. [`Export`] turns tasks into rows with an [`exporters::Exporter`], redacts them, drops
//!    duplicates and what is nearly one, holds sources to their caps, writes each in a
//!    [`Flavour`], and splits them by task.

mod caps;
mod card;
mod columns;
mod config;
mod conversation;
mod counts;
mod day;
mod dialect;
mod export;
pub mod exporters;
#[cfg(test)]
mod fixture;
mod flavour;
pub mod import;
mod join;
mod judged;
mod mining;
mod near;
mod receipt;
mod recipe;
mod redact;
mod repairs;
pub mod replay;
mod rivals;
mod schemas;
mod score;
mod split;
mod task;

pub use card::card;
pub use columns::{Column, Feature, Held, Shape};
pub use config::DatasetConfig;
pub use counts::{Dropped, ExportCounts, Placed};
pub use day::Day;
pub use export::Export;
pub use flavour::Flavour;
pub use join::{ChatIndex, Clock, Counts, Fact, Join, Quarantined, Source};
pub use judged::Judged;
pub use mining::{Chosen, Mined, MiningRules, Question, Questions};
pub use receipt::Receipt;
pub use recipe::{DEFAULT_RECIPE, Recipe, RecipeError};
pub use redact::{RedactError, Redactions, Redactor};
pub use schemas::SCHEMAS;
pub use split::Side;
pub use task::{Outcome, Task, TaskFeedback, TaskValidation};

/// Version of the shapes of tasks, receipts and exports, and of the rules that make them; raising
/// it makes an unchanged journal worth materializing again.
pub const FORMAT_VERSION: u32 = 5;

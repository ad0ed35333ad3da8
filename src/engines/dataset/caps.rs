//! Bounds on how much one source may fill: its oldest rows are in, however many come later.

use std::collections::HashMap;

use super::recipe::CapRules;
use super::task::Task;

/// Counts rows by source.
#[derive(Debug, Default)]
pub(super) struct Caps {
    rows: HashMap<(&'static str, String), u64>,
}

impl Caps {
    /// Counts a row of a task, unless a source has had its share. Errors: which kind of source.
    pub(super) fn admit(
        &mut self,
        task: &Task,
        question: &str,
        rules: &CapRules,
    ) -> Result<(), &'static str> {
        let model = task.answered_by.as_deref().unwrap_or_default();
        let provider = model
            .split_once('/')
            .map_or(model, |(provider, _)| provider);
        let client = task.client.as_deref().unwrap_or_default();
        let sources = [
            ("model", model, rules.per_model),
            ("provider", provider, rules.per_provider),
            ("client", client, rules.per_client),
            ("question", question, rules.per_question),
        ];
        let bounded = || sources.iter().filter(|source| source.2 > 0);
        for (kind, name, most) in bounded() {
            let rows = self.rows.get(&(*kind, (*name).to_owned()));
            if rows.is_some_and(|rows| rows >= most) {
                return Err(kind);
            }
        }
        for (kind, name, _) in bounded() {
            *self.rows.entry((kind, (*name).to_owned())).or_default() += 1;
        }
        Ok(())
    }
}

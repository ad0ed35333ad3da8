//! The sample: this project's own documentation, which the binary brings, and TrecQA's answer sentences.

use crate::cli::ingest::sources::{self, Item};

const TRECQA: &str = include_str!("../../../config/demo/trecqa/corpus.jsonl");

/// Every passage of the sample; of each document its name and text.
///
/// Errors: a line of the bundled file that cannot be read.
pub(super) fn items(documents: &[(&str, &str)]) -> Result<Vec<Item>, String> {
    let mut items: Vec<Item> = documents
        .iter()
        .flat_map(|(name, text)| sources::from_document(name, text))
        .collect();
    items.extend(sources::from_jsonl("trecqa", TRECQA)?);
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_documents_and_sentences() {
        let sentences = items(&[]).unwrap().len();
        assert_eq!(sentences, TRECQA.lines().count());
        let both = items(&[("README.md", "# A boat\n\nIt floats.")]).unwrap();
        assert_eq!(both.len(), sentences + 1);
        assert!(both[0].id.starts_with("README.md"), "{}", both[0].id);
    }
}

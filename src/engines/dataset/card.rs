//! The dataset card: what `datasets.load_dataset` needs to read the folder, and what people do.

use super::exporters::Exporter;
use super::split::Side;

/// What every card ends with.
const FOOTER: &str = "
Personal data and secrets are replaced by `[EMAIL]`, `[PHONE]`, `[CARD]`, `[SSN]` and `[SECRET]`,
as far as patterns find them. The same question is never in two splits. `receipt.json` says which
evidence and recipe it was made of.

```python
from datasets import load_dataset

dataset = load_dataset(\"path/to/this/folder\")
```";

/// Writes `README.md` of an export.
///
/// `rows` are those of each side's file that exists. With `uniform` rows their types are declared,
/// so that they do not depend on what the first rows happen to hold.
pub fn card(exporter: &dyn Exporter, name: &str, rows: &[(Side, u64)], uniform: bool) -> String {
    let mut lines = vec!["---".to_owned(), "configs:".to_owned()];
    lines.push("- config_name: default".to_owned());
    lines.push("  data_files:".to_owned());
    for (side, _) in rows {
        lines.push(format!(
            "  - split: {0}\n    path: data/{0}.jsonl",
            side.name()
        ));
    }
    if uniform {
        lines.push("dataset_info:\n  features:".to_owned());
        for column in exporter
            .columns()
            .iter()
            .filter(|column| !column.feature.is_empty())
        {
            lines.push(format!("  - name: {}\n    {}", column.name, column.feature));
        }
    }
    lines.push(format!("---\n\n# {name}\n\n{}\n", exporter.summary()));
    lines.push("| split | rows |\n|---|---|".to_owned());
    for (side, count) in rows {
        lines.push(format!("| {} | {count} |", side.name()));
    }
    lines.push("\n| column | type |\n|---|---|".to_owned());
    for column in exporter.columns() {
        lines.push(format!("| `{}` | {} |", column.name, column.kind));
    }
    lines.push(FOOTER.to_owned());
    let mut text = lines.join("\n");
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::super::exporters::exporter;
    use super::*;

    #[test]
    fn the_front_matter_names_files_and_types() {
        let text = card(
            exporter("sft").unwrap(),
            "mine",
            &[(Side::Train, 3), (Side::Test, 1)],
            true,
        );
        let front = text.split("---\n").nth(1).unwrap();
        let expected = "configs:\n\
            - config_name: default\n  data_files:\n\
            \x20 - split: train\n    path: data/train.jsonl\n\
            \x20 - split: test\n    path: data/test.jsonl\n\
            dataset_info:\n  features:\n\
            \x20 - name: messages\n    list:\n\
            \x20   - name: role\n      dtype: string\n\
            \x20   - name: content\n      dtype: string\n";
        assert_eq!(front, expected);
        assert!(text.contains("# mine") && text.contains("| train | 3 |"));
        let mixed = card(exporter("sft").unwrap(), "mine", &[(Side::Train, 3)], false);
        assert!(!mixed.contains("dataset_info") && !mixed.contains("test.jsonl"));
    }
}

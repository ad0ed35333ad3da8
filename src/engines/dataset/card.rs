//! The dataset card: what `datasets.load_dataset` needs to read the folder, and what people do.

use super::columns::Held;
use super::exporters::Exporter;
use super::flavour::Flavour;
use super::split::Side;

/// What every card ends with.
const FOOTER: &str = "
Personal data and secrets are replaced by `[EMAIL]`, `[PHONE]`, `[CARD]`, `[SSN]` and `[SECRET]`,
as far as patterns find them. The same question is never in two splits. Line by line, `origin/` says
where the rows of `data/` come from, `parquet/` holds the same rows once more, and `origin/dropped.jsonl` which rows are not in it because they
were there before, or because their source had its share. `receipt.json` says which evidence and recipe
it was made of.

```python
from datasets import load_dataset

dataset = load_dataset(\"path/to/this/folder\")
```";

/// Writes `README.md` of an export.
///
/// `rows` are those of each side's file that exists; `held` is what they hold.
pub fn card(
    (exporter, flavour): (&dyn Exporter, Flavour),
    name: &str,
    rows: &[(Side, u64)],
    held: Held,
) -> String {
    let mut lines = vec!["---".to_owned(), "configs:".to_owned()];
    lines.push("- config_name: default".to_owned());
    lines.push("  data_files:".to_owned());
    for (side, _) in rows {
        lines.push(format!(
            "  - split: {0}\n    path: data/{0}.jsonl",
            side.name()
        ));
    }
    lines.push("dataset_info:\n  features:".to_owned());
    for column in exporter.columns(flavour) {
        if let Some(shape) = column.feature.shape(held) {
            let yaml = shape.yaml("    ");
            lines.push(format!("  - name: {}\n    {yaml}", column.name));
        }
    }
    lines.push(format!("---\n\n# {name}\n\n{}\n", exporter.summary()));
    lines.push("| split | rows |\n|---|---|".to_owned());
    for (side, count) in rows {
        lines.push(format!("| {} | {count} |", side.name()));
    }
    lines.push("\n| column | type |\n|---|---|".to_owned());
    for column in exporter.columns(flavour) {
        lines.push(format!("| `{}` | {} |", column.name, column.kind));
    }
    if held.calls || held.tools {
        lines.push(
            "\nTools and their calls are of the type `json`: `datasets` 4.7 or newer.".to_owned(),
        );
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

    fn front(text: &str) -> &str {
        text.split("---\n").nth(1).unwrap()
    }

    #[test]
    fn the_front_matter_names_files_and_types() {
        let sft = (exporter("sft").unwrap(), Flavour::Trl);
        let rows = [(Side::Train, 3), (Side::Test, 1)];
        let text = card(sft, "mine", &rows, Held::default());
        let expected = "configs:\n\
            - config_name: default\n  data_files:\n\
            \x20 - split: train\n    path: data/train.jsonl\n\
            \x20 - split: test\n    path: data/test.jsonl\n\
            dataset_info:\n  features:\n\
            \x20 - name: messages\n    list:\n\
            \x20   - name: role\n      dtype: string\n\
            \x20   - name: content\n      dtype: string\n";
        assert_eq!(front(&text), expected);
        assert!(text.contains("# mine") && text.contains("| train | 3 |"));
        let tools = Held {
            calls: true,
            tools: true,
        };
        let text = card(sft, "mine", &rows[..1], tools);
        let expected = "configs:\n\
            - config_name: default\n  data_files:\n\
            \x20 - split: train\n    path: data/train.jsonl\n\
            dataset_info:\n  features:\n\
            \x20 - name: messages\n    list: json\n\
            \x20 - name: tools\n    list: json\n";
        assert_eq!(front(&text), expected);
        assert!(text.contains("4.7 or newer"));
    }

    #[test]
    fn openais_input_is_a_struct() {
        let preference = (exporter("preference").unwrap(), Flavour::OpenAi);
        let text = card(preference, "p", &[(Side::Train, 1)], Held::default());
        let expected = "  - name: input\n    struct:\n\
            \x20   - name: messages\n      list:\n\
            \x20     - name: role\n        dtype: string\n\
            \x20     - name: content\n        dtype: string\n\
            \x20   - name: tools\n      list: json\n\
            \x20   - name: parallel_tool_calls\n      dtype: bool\n\
            \x20 - name: preferred_output\n    list:\n";
        assert!(text.contains(expected), "{text}");
    }
}

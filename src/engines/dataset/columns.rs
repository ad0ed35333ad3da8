//! The members of rows, for people and for the card's front matter.

/// A member of every row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type, for people.
    pub kind: &'static str,
    /// Its type in the card's YAML.
    pub feature: Feature,
}

/// A type that the card declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Written as it is.
    Fixed(&'static str),
    /// Messages: `role` and `content`, or anything.
    Messages,
    /// Tools, which differ from row to row, where a row has any.
    Tools,
    /// The `input` of OpenAI's preferences: messages, tools, a flag.
    OpenAiInput,
}

/// A text.
pub(super) const TEXT: Feature = Feature::Fixed("dtype: string");

/// What the rows of one export hold beside texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Whether a message has more than `role` and `content`.
    pub calls: bool,
    /// Whether a row has tools.
    pub tools: bool,
}

/// `datasets` has the type `json` since 4.7. Any other would fill the gaps of one row with the keys
/// of another.
const ANYTHING: &str = "list: json";

impl Feature {
    /// What follows the column's name; `None` when no row has the column.
    ///
    /// The types are declared, so that they do not depend on what the first rows happen to hold.
    pub(super) fn yaml(self, held: Held) -> Option<String> {
        match self {
            Self::Fixed(yaml) => Some(yaml.to_owned()),
            Self::Messages => Some(messages(held, "    ")),
            Self::Tools => held.tools.then(|| ANYTHING.to_owned()),
            Self::OpenAiInput => Some(format!(
                "struct:\n    - name: messages\n      {}\n    - name: tools\n      {ANYTHING}\n    \
                 - name: parallel_tool_calls\n      dtype: bool",
                messages(held, "      ")
            )),
        }
    }
}

fn messages(held: Held, indent: &str) -> String {
    if held.calls {
        return ANYTHING.to_owned();
    }
    let member = |name| format!("\n{indent}- name: {name}\n{indent}  dtype: string");
    format!("list:{}{}", member("role"), member("content"))
}

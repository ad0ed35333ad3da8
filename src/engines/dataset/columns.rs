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

/// A type that the card declares, and that the Parquet files have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// A text.
    Text,
    /// Many of them.
    Texts,
    /// True or false.
    Label,
    /// What was retrieved.
    Passages,
    /// Messages: `role` and `content`, or anything.
    Messages,
    /// ShareGPT's turns.
    Turns,
    /// Tools, which differ from row to row, where a row has any.
    Tools,
    /// The `input` of OpenAI's preferences: messages, tools, a flag.
    OpenAiInput,
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// A string.
    Text,
    /// Any JSON.
    Json,
    /// A number, binary64.
    Float,
    /// True or false.
    Bool,
    /// Many of one shape.
    List(Box<Shape>),
    /// An object with these members and no others.
    Struct(Vec<(&'static str, Shape)>),
}

/// What the rows of one export hold beside texts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// Whether a message has more than `role` and `content`.
    pub calls: bool,
    /// Whether a row has tools.
    pub tools: bool,
}

impl Feature {
    /// Its shape, as the rows are; `None` when no row has the column.
    ///
    /// It is declared, so that it does not depend on what the first rows happen to hold. `datasets` has the type `json`
    /// since 4.7: any other would fill the gaps of one row with the keys of another.
    pub fn shape(self, held: Held) -> Option<Shape> {
        let texts = |names: &[&'static str]| {
            let members = names.iter().map(|name| (*name, Shape::Text));
            Shape::Struct(members.collect())
        };
        let anything = || Shape::Json.list();
        let messages = || match held.calls {
            true => anything(),
            false => texts(&["role", "content"]).list(),
        };
        Some(match self {
            Self::Text => Shape::Text,
            Self::Texts => Shape::Text.list(),
            Self::Label => Shape::Bool,
            Self::Passages => Shape::Struct(vec![
                ("id", Shape::Text),
                ("collection", Shape::Text),
                ("text", Shape::Text),
                ("score", Shape::Float),
            ])
            .list(),
            Self::Messages => messages(),
            Self::Turns => texts(&["from", "value"]).list(),
            Self::Tools if !held.tools => return None,
            Self::Tools => anything(),
            Self::OpenAiInput => Shape::Struct(vec![
                ("messages", messages()),
                ("tools", anything()),
                ("parallel_tool_calls", Shape::Bool),
            ]),
        })
    }
}

impl Shape {
    fn list(self) -> Self {
        Self::List(Box::new(self))
    }

    /// What follows a column's name in the card's YAML; `indent` is that of the lines below it.
    pub(super) fn yaml(&self, indent: &str) -> String {
        match (self.word(), self) {
            (Some(word), _) => format!("dtype: {word}"),
            (None, Self::List(of)) => match (of.word(), &**of) {
                // The older word, which every version reads.
                (Some("string"), _) => "sequence: string".to_owned(),
                (Some(word), _) => format!("list: {word}"),
                (None, of) => format!("list:{}", of.members(indent)),
            },
            (None, of) => format!("struct:{}", of.members(indent)),
        }
    }

    fn members(&self, indent: &str) -> String {
        let Self::Struct(members) = self else {
            return String::new();
        };
        let deeper = format!("{indent}  ");
        members
            .iter()
            .map(|(name, shape)| {
                let shape = shape.yaml(&deeper);
                format!("\n{indent}- name: {name}\n{deeper}{shape}")
            })
            .collect()
    }

    fn word(&self) -> Option<&'static str> {
        match self {
            Self::Text => Some("string"),
            Self::Json => Some("json"),
            Self::Float => Some("float64"),
            Self::Bool => Some("bool"),
            Self::List(_) | Self::Struct(_) => None,
        }
    }
}

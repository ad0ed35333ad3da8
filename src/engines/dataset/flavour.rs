//! Whose shape the rows have: trainers want the same conversations written differently.

use std::fmt::{self, Display};

/// A way to write rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// What Hugging Face's TRL reads: arguments of tool calls are objects.
    Trl,
    /// What OpenAI's fine-tuning reads: arguments of tool calls are strings.
    OpenAi,
    /// `conversations` of `from` and `value`.
    ShareGpt,
}

impl Flavour {
    /// All of them, the default first.
    pub const ALL: [Self; 3] = [Self::Trl, Self::OpenAi, Self::ShareGpt];

    /// Its name in requests and manifests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trl => "trl",
            Self::OpenAi => "openai",
            Self::ShareGpt => "sharegpt",
        }
    }

    /// Finds a flavour by its name.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.name() == name)
    }

    /// Names flavours for a message.
    pub fn list(flavours: &[Self]) -> String {
        flavours
            .iter()
            .map(|one| one.name())
            .collect::<Vec<_>>()
            .join(", ")
    }
}

impl Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        for flavour in Flavour::ALL {
            assert_eq!(Flavour::find(flavour.name()), Some(flavour));
        }
        assert_eq!(Flavour::find("TRL"), None);
        assert_eq!(Flavour::list(&Flavour::ALL), "trl, openai, sharegpt");
    }
}

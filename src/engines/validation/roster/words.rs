//! Texts that many rows share, kept once.

use std::collections::HashMap;

/// Numbers texts as they are written, and the forms in which they are compared.
#[derive(Debug)]
pub(super) struct Words {
    /// The form in which two texts are the same.
    form: fn(&str) -> String,
    // Invariant: `keys` has the number of the form of the text at the same place.
    texts: Vec<Box<str>>,
    keys: Vec<u32>,
    by_text: HashMap<Box<str>, u32>,
    by_form: HashMap<Box<str>, u32>,
}

impl Words {
    pub(super) fn new(form: fn(&str) -> String) -> Self {
        Self {
            form,
            texts: Vec::new(),
            keys: Vec::new(),
            by_text: HashMap::new(),
            by_form: HashMap::new(),
        }
    }

    /// Numbers a text; the same text has the same number.
    pub(super) fn add(&mut self, text: &str) -> u32 {
        if let Some(known) = self.by_text.get(text) {
            return *known;
        }
        let form = (self.form)(text).into_boxed_str();
        let next = u32::try_from(self.by_form.len()).unwrap_or(u32::MAX);
        let key = *self.by_form.entry(form).or_insert(next);
        let number = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(Box::from(text));
        self.keys.push(key);
        self.by_text.insert(Box::from(text), number);
        number
    }

    /// The text of a number.
    pub(super) fn text(&self, number: u32) -> &str {
        self.texts.get(number as usize).map_or("", AsRef::as_ref)
    }

    /// What texts of one form have in common.
    pub(super) fn key(&self, number: u32) -> Option<u32> {
        self.keys.get(number as usize).copied()
    }

    /// The same for any text; none if nothing of that form is here.
    pub(super) fn key_of(&self, text: &str) -> Option<u32> {
        self.by_form.get((self.form)(text).as_str()).copied()
    }
}

//! The files of a model, read whole; `engines/embedding/embedders` knows what is in them.

use std::path::Path;

use super::disk::{StorageError, read_bounded};

/// Largest description or vocabulary, bytes.
const MAX_TEXT_BYTES: u64 = 64 << 20;

/// Largest weights, bytes: what a model that answers from memory may weigh.
const MAX_WEIGHTS_BYTES: u64 = 4 << 30;

/// The files of a folder as the Hugging Face hub lays them out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFolder {
    /// `config.json`: the shape of the model.
    pub config: Vec<u8>,
    /// `tokenizer.json`.
    pub tokenizer: Vec<u8>,
    /// `model.safetensors`.
    pub weights: Vec<u8>,
    /// `sentence_bert_config.json`: how much of a text is read; may be absent.
    pub sentence: Option<Vec<u8>>,
    /// `1_Pooling/config.json`: how tokens become one vector; may be absent.
    pub pooling: Option<Vec<u8>>,
}

impl ModelFolder {
    /// Reads `folder`.
    ///
    /// Errors: a file that must be there and is not, or is larger than any model of ours.
    pub fn read(folder: &Path) -> Result<Self, StorageError> {
        let optional = |name: &str| {
            let path = folder.join(name);
            let there = path.exists();
            there
                .then(|| read_bounded(&path, MAX_TEXT_BYTES))
                .transpose()
        };
        Ok(Self {
            config: read_bounded(&folder.join("config.json"), MAX_TEXT_BYTES)?,
            tokenizer: read_bounded(&folder.join("tokenizer.json"), MAX_TEXT_BYTES)?,
            weights: read_bounded(&folder.join("model.safetensors"), MAX_WEIGHTS_BYTES)?,
            sentence: optional("sentence_bert_config.json")?,
            pooling: optional("1_Pooling/config.json")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_missing_is_named_and_the_optional_ones_may_be() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["config.json", "tokenizer.json", "model.safetensors"] {
            let error = ModelFolder::read(folder.path()).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        let read = ModelFolder::read(folder.path()).unwrap();
        assert_eq!(read.weights, b"model.safetensors");
        assert_eq!((read.sentence, read.pooling), (None, None));
        std::fs::create_dir(folder.path().join("1_Pooling")).unwrap();
        std::fs::write(folder.path().join("1_Pooling/config.json"), "{}").unwrap();
        let read = ModelFolder::read(folder.path()).unwrap();
        assert_eq!(read.pooling.as_deref(), Some(&b"{}"[..]));
    }
}

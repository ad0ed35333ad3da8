//! What a model's folder says of itself: its shape, and how a text becomes one vector.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::storage::model_folder::ModelFolder;

/// Tokens of a text with its markers where the folder does not say: what all-MiniLM-L6-v2 reads.
const MAX_SEQUENCE: usize = 256;

/// `config.json` of a BERT model, as far as the encoder must know it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Settings {
    pub(super) vocab_size: usize,
    pub(super) hidden_size: usize,
    pub(super) num_hidden_layers: usize,
    pub(super) num_attention_heads: usize,
    pub(super) intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    pub(super) type_vocab_size: usize,
    pub(super) layer_norm_eps: f64,
    hidden_act: String,
    model_type: Option<String>,
    position_embedding_type: Option<String>,
    /// From `sentence_bert_config.json`.
    #[serde(skip)]
    pub(super) max_sequence: usize,
}

#[derive(Deserialize)]
struct Sentence {
    max_seq_length: Option<usize>,
}

#[derive(Deserialize)]
struct Pooling {
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
}

impl Settings {
    /// Reads and checks them.
    ///
    /// Errors: says which file has what that this encoder cannot do.
    pub(super) fn read(folder: &ModelFolder) -> Result<Self, String> {
        let mut settings: Self = parse("config.json", &folder.config)?;
        settings.check()?;
        let sentence = folder.sentence.as_deref();
        let sentence: Option<Sentence> = sentence
            .map(|bytes| parse("sentence_bert_config.json", bytes))
            .transpose()?;
        let stated = sentence.and_then(|sentence| sentence.max_seq_length);
        let most = settings.max_position_embeddings;
        settings.max_sequence = stated.unwrap_or(MAX_SEQUENCE).min(most);
        if settings.max_sequence < 3 {
            return Err("it reads no text: fewer than 3 tokens with markers".to_owned());
        }
        if let Some(bytes) = folder.pooling.as_deref() {
            let pooling: Pooling = parse("1_Pooling/config.json", bytes)?;
            if !pooling.pooling_mode_mean_tokens {
                return Err("1_Pooling/config.json: only the mean of tokens is known".to_owned());
            }
        }
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        for (key, value, most) in [
            ("vocab_size", self.vocab_size, 10_000_000),
            ("hidden_size", self.hidden_size, 16_384),
            ("num_hidden_layers", self.num_hidden_layers, 1_024),
            ("num_attention_heads", self.num_attention_heads, 1_024),
            ("intermediate_size", self.intermediate_size, 131_072),
            (
                "max_position_embeddings",
                self.max_position_embeddings,
                1_048_576,
            ),
            ("type_vocab_size", self.type_vocab_size, 1_024),
        ] {
            if !(1..=most).contains(&value) {
                return Err(format!(
                    "config.json: {key} must be 1 to {most}, got {value}"
                ));
            }
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "config.json: hidden_size {} is no multiple of num_attention_heads {}",
                self.hidden_size, self.num_attention_heads
            ));
        }
        let positions = self.position_embedding_type.as_deref();
        for (key, value, known) in [
            ("model_type", self.model_type.as_deref(), "bert"),
            ("hidden_act", Some(self.hidden_act.as_str()), "gelu"),
            ("position_embedding_type", positions, "absolute"),
        ] {
            if let Some(value) = value.filter(|&value| value != known) {
                return Err(format!(
                    "config.json: {key} must be {known:?}, got {value:?}"
                ));
            }
        }
        Ok(())
    }
}

fn parse<T: DeserializeOwned>(file: &str, bytes: &[u8]) -> Result<T, String> {
    serde_json::from_slice(bytes).map_err(|error| format!("{file}: {error}"))
}

//! The models by name, and the limits of a request.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::catalog::CATALOG;
use super::config::EmbeddingConfig;
use super::error::EmbedError;
use super::{Embedder, ModelInfo, RemoteModel, embedders};
use crate::engines::nearest::listed;
use crate::engines::upstream::KeyPlace;

/// Characters of an unknown name that an error repeats.
const NAME_SHOWN: usize = 64;

/// A model, wherever it computes. Cheap to clone.
#[derive(Clone)]
pub enum Model {
    /// Here.
    Local(Arc<dyn Embedder>),
    /// Behind an upstream.
    Remote(Arc<RemoteModel>),
}

impl Model {
    /// The name that requests ask for.
    pub fn name(&self) -> &str {
        &self.card().name
    }

    /// Describes the model; `None` while only its upstream knows the dimension.
    pub fn info(&self) -> Option<&ModelInfo> {
        match self {
            Self::Local(model) => Some(model.info()),
            Self::Remote(model) => model.info(),
        }
    }

    /// The same with dimension 0 and no fingerprint while they are not known.
    pub fn card(&self) -> &ModelInfo {
        match self {
            Self::Local(model) => model.info(),
            Self::Remote(model) => model.card(),
        }
    }

    /// See [`Embedder::decode`].
    ///
    /// Errors: [`EmbedError::UnknownToken`]; [`EmbedError::NoTokenizer`].
    pub fn decode(&self, ids: &[u32]) -> Result<String, EmbedError> {
        match self {
            Self::Local(model) => model.decode(ids),
            Self::Remote(model) => Err(EmbedError::NoTokenizer {
                name: model.name().to_owned(),
            }),
        }
    }
}

/// The embedding models that this process serves.
pub struct Embedders {
    // Invariant: `default` is a key of `names`, and every value is an index into `models`.
    default: String,
    names: BTreeMap<String, usize>,
    models: Vec<Model>,
    max_texts: usize,
    max_text_bytes: usize,
}

impl Embedders {
    /// The models of `config`, without pulled ones and with upstreams that need no key.
    ///
    /// Errors: see [`Self::with_sources`].
    pub fn new(config: &EmbeddingConfig) -> Result<Self, EmbedError> {
        Self::with_sources(config, None, |_| None)
    }

    /// Loads every model of the table, once for each process, those of folders, and knows those of
    /// upstreams.
    ///
    /// `pulled` is the folder that `boathouse models pull` fills; a model of the catalog that is
    /// there is served without further settings. `key_of` reads a key from its place; one that
    /// is missing fails the requests that need it, not the start.
    /// Errors: [`EmbedError::Config`]; [`EmbedError::BrokenModel`], [`EmbedError::BrokenFolder`].
    pub fn with_sources(
        config: &EmbeddingConfig,
        pulled: Option<&Path>,
        key_of: impl Fn(KeyPlace) -> Option<String>,
    ) -> Result<Self, EmbedError> {
        config.validate().map_err(EmbedError::Config)?;
        let mut names = BTreeMap::new();
        let mut models = Vec::with_capacity(embedders::TABLE.len());
        for (name, load) in embedders::TABLE {
            names.insert((*name).to_owned(), models.len());
            models.push(Model::Local(load()?));
        }
        let folder_of = |kind: &str| {
            let known = CATALOG.iter().find(|model| model.name == kind)?;
            Some(pulled?.join(known.folder))
        };
        for (name, embedder) in &config.embedders {
            names.insert(name.clone(), models.len());
            models.push(match embedders::folder_kind(&embedder.kind) {
                Some(open) => {
                    let folder = embedder.path.clone().or_else(|| folder_of(&embedder.kind));
                    Model::Local(open(name, &folder.unwrap_or_default())?)
                }
                None => {
                    let key = embedder.key_place().and_then(&key_of);
                    Model::Remote(Arc::new(embedders::remote(name, embedder, key)?))
                }
            });
        }
        for (name, open) in embedders::FOLDER_KINDS {
            let folder = folder_of(name).filter(|folder| folder.exists());
            if let Some(folder) = folder.filter(|_| !names.contains_key(*name)) {
                names.insert((*name).to_owned(), models.len());
                models.push(Model::Local(open(name, &folder)?));
            }
        }
        for (alias, model) in &config.aliases {
            let model = names.get(model).ok_or_else(|| unknown(model, &names))?;
            names.insert(alias.clone(), *model);
        }
        if !names.contains_key(&config.default) {
            return Err(unknown(&config.default, &names));
        }
        Ok(Self {
            default: config.default.clone(),
            names,
            models,
            max_texts: config.max_texts,
            max_text_bytes: config.max_text_bytes,
        })
    }

    /// Finds a model by name or alias; an empty name is the default model.
    ///
    /// Errors: [`EmbedError::UnknownModel`] with the list of names; [`EmbedError::NotPulled`].
    pub fn resolve(&self, model: &str) -> Result<Model, EmbedError> {
        let name = if model.is_empty() {
            self.default.as_str()
        } else {
            model
        };
        let found = self
            .names
            .get(name)
            .and_then(|&place| self.models.get(place));
        found.cloned().ok_or_else(|| unknown(name, &self.names))
    }

    /// Finds a model that computes here.
    ///
    /// Errors: [`EmbedError::UnknownModel`], [`EmbedError::NotLocal`].
    pub fn local(&self, model: &str) -> Result<Arc<dyn Embedder>, EmbedError> {
        match self.resolve(model)? {
            Model::Local(model) => Ok(model),
            Model::Remote(model) => Err(EmbedError::NotLocal {
                name: model.name().to_owned(),
            }),
        }
    }

    /// The models behind upstreams.
    pub fn remotes(&self) -> impl Iterator<Item = &Arc<RemoteModel>> {
        self.models.iter().filter_map(|model| match model {
            Model::Remote(model) => Some(model),
            Model::Local(_) => None,
        })
    }

    /// Those that compute here.
    pub fn locals(&self) -> impl Iterator<Item = &Arc<dyn Embedder>> {
        self.models.iter().filter_map(|model| match model {
            Model::Local(model) => Some(model),
            Model::Remote(_) => None,
        })
    }

    /// Whether one of the models gives vectors of this fingerprint.
    pub fn knows(&self, fingerprint: &str, dim: usize) -> bool {
        self.models.iter().any(|model| match model {
            Model::Local(model) => model.info().fingerprint == fingerprint,
            Model::Remote(model) => model.gives(fingerprint, dim),
        })
    }

    /// Describes the models, one entry for each name and alias, in order of name.
    pub fn list(&self) -> Vec<ModelInfo> {
        let named = |(name, &place): (&String, &usize)| {
            let model = self.models.get(place)?;
            Some(ModelInfo {
                name: name.clone(),
                ..model.card().clone()
            })
        };
        self.names.iter().filter_map(named).collect()
    }

    /// Bytes of the longest text that a model is asked for.
    pub fn longest_text(&self) -> usize {
        self.max_text_bytes
    }

    /// Refuses what no model should be asked for, before anything is computed.
    ///
    /// Errors: [`EmbedError::TooManyTexts`], [`EmbedError::TextTooLong`],
    /// [`EmbedError::EmptyText`], with the place of the first text at fault.
    pub fn check(&self, texts: &[String]) -> Result<(), EmbedError> {
        if texts.len() > self.max_texts {
            return Err(EmbedError::TooManyTexts {
                got: texts.len(),
                max: self.max_texts,
            });
        }
        for (index, text) in texts.iter().enumerate() {
            if text.len() > self.max_text_bytes {
                let (got, max) = (text.len(), self.max_text_bytes);
                return Err(EmbedError::TextTooLong { index, got, max });
            }
            if text.chars().all(|c| c.is_whitespace() || c.is_control()) {
                return Err(EmbedError::EmptyText { index });
            }
        }
        Ok(())
    }
}

/// Tells why there is no model of this name.
fn unknown(name: &str, names: &BTreeMap<String, usize>) -> EmbedError {
    let mut kinds = embedders::FOLDER_KINDS.iter().map(|(kind, _)| *kind);
    if let Some(name) = kinds.find(|kind| *kind == name) {
        return EmbedError::NotPulled { name };
    }
    EmbedError::UnknownModel {
        name: name.chars().take(NAME_SHOWN).collect(),
        known: listed(name, names.keys().map(String::as_str), usize::MAX - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::error_kind::ErrorKind;

    fn embedders() -> Embedders {
        let alias = (
            "text-embedding-3-small".to_owned(),
            "static-minilm".to_owned(),
        );
        let config = EmbeddingConfig {
            max_texts: 3,
            max_text_bytes: 8,
            aliases: BTreeMap::from([alias]),
            ..EmbeddingConfig::default()
        };
        Embedders::new(&config).unwrap()
    }

    #[test]
    fn names_aliases_and_the_default_resolve() {
        let embedders = embedders();
        for name in ["", "static-minilm", "text-embedding-3-small"] {
            assert_eq!(embedders.resolve(name).unwrap().name(), "static-minilm");
        }
        let listed = embedders.list();
        let names: Vec<&str> = listed.iter().map(|model| model.name.as_str()).collect();
        assert_eq!(names, ["static-minilm", "text-embedding-3-small"]);
        assert_eq!(listed[0].fingerprint, listed[1].fingerprint);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_known_ones() {
        let error = embedders().resolve(&"x".repeat(100_000)).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let text = error.to_string();
        assert!(
            text.contains("known: static-minilm, text-embedding-3-small"),
            "{text}"
        );
        assert!(text.len() < 200, "{text}");
    }

    #[test]
    fn limits_name_the_text_at_fault() {
        let check = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            embedders().check(&texts)
        };
        assert_eq!(check(&["boat", "12345678"]), Ok(()));
        let cases = [
            (
                check(&["a"; 4]),
                ErrorKind::TooLarge,
                "4 in one request, at most 3",
            ),
            (
                check(&["a", "123456789"]),
                ErrorKind::TooLarge,
                "text 1 is too long: 9 bytes",
            ),
            (
                check(&["a", "b", ""]),
                ErrorKind::BadRequest,
                "text 2 has no words",
            ),
            (
                check(&[" \n\u{7}"]),
                ErrorKind::BadRequest,
                "text 0 has no words",
            ),
        ];
        for (result, kind, expected) in cases {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    #[test]
    fn a_bad_configuration_does_not_start() {
        let config = EmbeddingConfig {
            max_texts: 0,
            ..EmbeddingConfig::default()
        };
        let error = Embedders::new(&config).err().unwrap();
        assert!(error.to_string().contains("max_texts"), "{error}");
    }
}

//! The models whose files can be fetched: what is there, whether it is right, and putting it there.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::ServiceError;
use super::error::EngineError;
pub use crate::engines::embedding::CatalogModel;
use crate::engines::embedding::{CATALOG, Embedders, EmbeddingConfig};
use crate::engines::nearest::listed;
pub use crate::storage::model_store::ExpectedFile;
use crate::storage::model_store::{self, Install, ModelStoreError};
use crate::types::error_kind::ErrorKind;

/// A known model and its folder.
pub struct ModelStatus {
    /// The model.
    pub model: &'static CatalogModel,
    /// Where it is, or would be.
    pub folder: PathBuf,
    /// Whether all files are there, going by their lengths.
    pub whole: bool,
    /// Whether there is anything.
    pub exists: bool,
}

/// Lists the known models; `pulled` is the folder of models.
pub fn list(pulled: &Path) -> Vec<ModelStatus> {
    CATALOG.iter().map(|model| status(pulled, model)).collect()
}

/// Finds a known model by its name.
///
/// Errors: lists the names.
pub fn find(pulled: &Path, name: &str) -> Result<ModelStatus, ServiceError> {
    let found = CATALOG.iter().find(|model| model.name == name);
    found.map(|model| status(pulled, model)).ok_or_else(|| {
        let known = listed(name, CATALOG.iter().map(|model| model.name), CATALOG.len());
        ServiceError::new(
            ErrorKind::NotFound,
            format!("no model named {name} to fetch; known: {known}"),
        )
    })
}

fn status(pulled: &Path, model: &'static CatalogModel) -> ModelStatus {
    let folder = pulled.join(model.folder);
    ModelStatus {
        whole: model_store::looks_whole(&folder, model.files),
        exists: folder.exists(),
        folder,
        model,
    }
}

/// Reads every byte of a model's files, then embeds a text with it; `progress` hears of bytes done.
///
/// Errors: the file at fault.
pub fn check(
    pulled: &Path,
    model: &ModelStatus,
    progress: &mut dyn FnMut(u64),
) -> Result<(), ServiceError> {
    model_store::verify(&model.folder, model.model.files, progress)?;
    let embedders = Embedders::with_sources(&EmbeddingConfig::default(), Some(pulled), |_| None)?;
    if cfg!(feature = "minilm") {
        embedders
            .local(model.model.name)?
            .embed(&["a boat on the river"])?;
    }
    Ok(())
}

/// A model that is being put in place.
pub struct Pull {
    install: Install,
    model: &'static CatalogModel,
}

impl Pull {
    /// Begins, or goes on where an earlier one was interrupted.
    ///
    /// Errors: another process is at it; a folder that cannot be written.
    pub fn begin(pulled: &Path, model: &'static CatalogModel) -> Result<Self, ServiceError> {
        let install = Install::begin(pulled, model.folder, model.files)?;
        Ok(Self { install, model })
    }

    /// The files to bring.
    pub fn files(&self) -> &'static [ExpectedFile] {
        self.model.files
    }

    /// Brings one file; `progress` hears of bytes done.
    ///
    /// Errors: not the file that it should be.
    pub fn copy(
        &self,
        file: &'static ExpectedFile,
        input: &mut dyn Read,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), ServiceError> {
        let mut part = self.install.restart(file)?;
        part.copy(input, progress)?;
        Ok(part.finish()?)
    }

    /// Opens a file to go on behind what an earlier attempt brought.
    pub fn part(&self, file: &'static ExpectedFile) -> Result<Part, ServiceError> {
        Ok(Part(self.install.resume(file)?))
    }

    /// Opens a file anew.
    pub fn new_part(&self, file: &'static ExpectedFile) -> Result<Part, ServiceError> {
        Ok(Part(self.install.restart(file)?))
    }

    /// Checks everything once more and puts it in place.
    pub fn finish(self) -> Result<PathBuf, ServiceError> {
        Ok(self.install.commit()?)
    }
}

/// A file that comes in pieces.
pub struct Part(model_store::PartFile);

impl Part {
    /// Bytes that are there.
    pub fn held(&self) -> u64 {
        self.0.held()
    }

    /// Appends.
    ///
    /// Errors: more than the file has.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), ServiceError> {
        Ok(self.0.push(bytes)?)
    }

    /// Checks the whole file.
    ///
    /// Errors: not the file that it should be; the next attempt begins anew.
    pub fn finish(self) -> Result<(), ServiceError> {
        Ok(self.0.finish()?)
    }
}

impl EngineError for ModelStoreError {
    fn error_kind(&self) -> ErrorKind {
        self.kind()
    }
}

//! The models that `boathouse models pull` knows: where they are, and what every byte must be.

use crate::storage::model_store::ExpectedFile;

/// A model whose files can be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogModel {
    /// The name that requests ask for.
    pub name: &'static str,
    /// Its folder within the folder of models.
    pub folder: &'static str,
    /// Owner and name on the Hugging Face hub.
    pub repository: &'static str,
    /// The commit there.
    pub revision: &'static str,
    /// SPDX.
    pub licence: &'static str,
    /// Everything that its folder holds.
    pub files: &'static [ExpectedFile],
}

impl CatalogModel {
    /// Bytes of all its files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}

/// Every model that can be fetched.
pub const CATALOG: &[CatalogModel] = &[CatalogModel {
    name: "minilm",
    folder: "all-MiniLM-L6-v2",
    repository: "sentence-transformers/all-MiniLM-L6-v2",
    revision: "1110a243fdf4706b3f48f1d95db1a4f5529b4d41",
    licence: "Apache-2.0",
    files: &[
        ExpectedFile {
            name: "config.json",
            bytes: 612,
            sha256: "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        },
        ExpectedFile {
            name: "tokenizer.json",
            bytes: 466_247,
            sha256: "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
        ExpectedFile {
            name: "model.safetensors",
            bytes: 90_868_376,
            sha256: "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        },
    ],
}];

//! Fields that are indexed later, or no more.

use std::sync::PoisonError;

use super::{DurableCollection, PoisonOnDrop};
use crate::engines::index::{self, IndexError};
use crate::storage::snapshot::Manifest;
use crate::types::collection::{FieldKind, Schema};

impl DurableCollection {
    /// Indexes a field from here on; durable when it returns. Writes wait until the points that are there are
    /// indexed, searches do not. `false`: it was so already.
    ///
    /// Errors: [`IndexError::BadSpec`] for the field of roles or expiry as another kind, or too many fields.
    pub fn index_field(&self, path: &str, kind: FieldKind) -> Result<bool, IndexError> {
        self.declare(|schema| {
            schema.fields.insert(path.to_owned(), kind);
        })
    }

    /// Indexes a field no more; durable when it returns. `false`: it was not.
    ///
    /// Errors: [`IndexError::BadSpec`] for the field of roles or expiry.
    pub fn drop_index(&self, path: &str) -> Result<bool, IndexError> {
        self.declare(|schema| {
            schema.fields.remove(path);
        })
    }

    fn declare(&self, change: impl FnOnce(&mut Schema)) -> Result<bool, IndexError> {
        // The manifest is ours while no snapshot writes its own.
        let _only = self
            .snapshotting
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let _writer = self.writer()?;
        let mut manifest = Manifest::load(&self.dir)?;
        let before = manifest.spec.schema.clone();
        change(&mut manifest.spec.schema);
        if manifest.spec.schema == before {
            return Ok(false);
        }
        index::check_schema(&manifest.spec.schema)?;
        let undeclared = self.contents()?.undeclared(&manifest.spec.schema);
        // Nobody waits for it but writers: the contents are free.
        let declared = undeclared.indexed();
        manifest.store(&self.dir)?;
        let unless_panic = PoisonOnDrop(&self.poisoned);
        self.contents
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .declare(declared);
        unless_panic.disarm();
        Ok(true)
    }
}

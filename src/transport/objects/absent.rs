//! What stands for a bucket in a build without object storage.

use std::convert::Infallible;
use std::io::Write;
use std::path::Path;

use super::{Object, ObjectError};

/// No bucket: it cannot be opened.
#[derive(Debug, Clone)]
pub struct Bucket(Infallible);

#[expect(clippy::unused_async, reason = "the same calls as with object storage")]
impl Bucket {
    /// Fails.
    ///
    /// Errors: always.
    pub fn open(_: &str) -> Result<Self, ObjectError> {
        Err(ObjectError::Absent)
    }

    /// Never called.
    pub async fn list(&self, _: &str) -> Result<Vec<Object>, ObjectError> {
        match self.0 {}
    }

    /// Never called.
    pub async fn folders(&self, _: &str) -> Result<Vec<String>, ObjectError> {
        match self.0 {}
    }

    /// Never called.
    pub async fn read(&self, _: &str, _: usize) -> Result<Option<Vec<u8>>, ObjectError> {
        match self.0 {}
    }

    /// Never called.
    pub async fn fetch<W: Write + Send + 'static>(
        &self,
        _: &str,
        _: W,
        _: &dyn Fn(u64) -> Result<(), ObjectError>,
    ) -> Result<W, ObjectError> {
        match self.0 {}
    }

    /// Never called.
    pub async fn put(&self, _: &str, _: Vec<u8>) -> Result<(), ObjectError> {
        match self.0 {}
    }

    /// Never called.
    pub async fn put_file(
        &self,
        _: &str,
        _: &Path,
        _: (u64, &str),
        _: &dyn Fn(u64) -> Result<(), ObjectError>,
    ) -> Result<(), ObjectError> {
        match self.0 {}
    }

    /// Never called.
    pub async fn delete(&self, _: &str) -> Result<(), ObjectError> {
        match self.0 {}
    }
}

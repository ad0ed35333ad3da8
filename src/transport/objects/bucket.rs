//! A bucket by `object_store`.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    BackoffConfig, Error, MultipartUpload, ObjectStore, ObjectStoreExt as _, RetryConfig,
};
use sha2::{Digest as _, Sha256};

use super::{Object, ObjectError};

/// What is sent in one call; a longer file goes in several.
#[cfg(not(test))]
const PART_BYTES: u64 = 8 << 20;
#[cfg(test)]
const PART_BYTES: u64 = 64;
/// Retries of a call.
const RETRIES: usize = 6;
/// Longest time of a call with its retries.
const LONGEST: Duration = Duration::from_secs(60);
/// How much of what the other side says is told.
const REASON_CHARS: usize = 300;

/// A bucket with a prefix.
#[derive(Debug, Clone)]
pub struct Bucket {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

impl Bucket {
    /// Opens what an address names; nothing is asked yet.
    ///
    /// Errors: the address, or the environment's settings; a folder cannot be made.
    pub fn open(url: &str) -> Result<Self, ObjectError> {
        let config = |error: &Error| ObjectError::Config(told(error));
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| ObjectError::Config("the address has no scheme".to_owned()))?;
        let (host, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let retry = RetryConfig {
            backoff: BackoffConfig::default(),
            max_retries: RETRIES,
            retry_timeout: LONGEST,
        };
        let address = format!("{scheme}://{host}");
        let store: Arc<dyn ObjectStore> = match scheme {
            "file" => return Self::folder(FilePath::new(&format!("/{prefix}"))),
            "s3" | "s3a" => {
                let builder = AmazonS3Builder::from_env().with_url(address);
                let built = builder.with_retry(retry).build();
                Arc::new(built.map_err(|error| config(&error))?)
            }
            "gs" => {
                let builder = GoogleCloudStorageBuilder::from_env().with_url(address);
                let built = builder.with_retry(retry).build();
                Arc::new(built.map_err(|error| config(&error))?)
            }
            _ => {
                let builder = MicrosoftAzureBuilder::from_env().with_url(address);
                let built = builder.with_retry(retry).build();
                Arc::new(built.map_err(|error| config(&error))?)
            }
        };
        Ok(Self::of(store, prefix))
    }

    fn folder(folder: &FilePath) -> Result<Self, ObjectError> {
        std::fs::create_dir_all(folder)
            .map_err(|error| ObjectError::disk("create", folder, &error))?;
        let store = LocalFileSystem::new_with_prefix(folder)
            .map_err(|error| ObjectError::Config(told(&error)))?;
        Ok(Self::of(Arc::new(store.with_automatic_cleanup(true)), ""))
    }

    /// Of any store.
    pub(super) fn of(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self {
            store,
            prefix: prefix.trim_matches('/').to_owned(),
        }
    }

    fn at(&self, path: &str) -> Result<Path, ObjectError> {
        let whole = match self.prefix.is_empty() {
            true => path.to_owned(),
            false => format!("{}/{path}", self.prefix),
        };
        Path::parse(whole).map_err(|error| ObjectError::Config(error.to_string()))
    }

    /// A path below the prefix again.
    fn below(&self, location: &Path) -> String {
        let path = location.as_ref();
        let below = path.strip_prefix(&self.prefix).unwrap_or(path);
        below.trim_start_matches('/').to_owned()
    }

    /// Lists the objects under a folder.
    pub async fn list(&self, under: &str) -> Result<Vec<Object>, ObjectError> {
        let prefix = self.at(under)?;
        let found = self.store.list(Some(&prefix)).map_ok(|meta| Object {
            path: self.below(&meta.location),
            bytes: meta.size,
        });
        let found: Result<Vec<_>, _> = found.try_collect().await;
        found.map_err(|error| failed("list", under, &error))
    }

    /// Lists the names of the folders in a folder.
    pub async fn folders(&self, under: &str) -> Result<Vec<String>, ObjectError> {
        let prefix = self.at(under)?;
        let found = self.store.list_with_delimiter(Some(&prefix)).await;
        let found = found.map_err(|error| failed("list", under, &error))?;
        let names = found.common_prefixes.iter();
        let mut names: Vec<String> = names
            .filter_map(|path| path.filename().map(str::to_owned))
            .collect();
        names.sort_unstable();
        Ok(names)
    }

    /// Reads a small object; `None` when it is not there.
    pub async fn read(&self, path: &str, max: usize) -> Result<Option<Vec<u8>>, ObjectError> {
        let got = match self.store.get(&self.at(path)?).await {
            Ok(got) => got,
            Err(Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(failed("read", path, &error)),
        };
        let mut stream = got.into_stream();
        let mut all = Vec::new();
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|error| failed("read", path, &error))?;
            if all.len() + bytes.len() > max {
                let path = path.to_owned();
                return Err(ObjectError::TooLarge { path, max });
            }
            all.extend_from_slice(&bytes);
        }
        Ok(Some(all))
    }

    /// Reads an object into a writer, and gives it back; `tick` is told of each piece's bytes.
    ///
    /// Errors: also what `tick` returns.
    pub async fn fetch<W: Write + Send + 'static>(
        &self,
        path: &str,
        to: W,
        tick: &dyn Fn(u64) -> Result<(), ObjectError>,
    ) -> Result<W, ObjectError> {
        let got = self.store.get(&self.at(path)?).await;
        let mut stream = got
            .map_err(|error| failed("read", path, &error))?
            .into_stream();
        let mut to = to;
        while let Some(bytes) = stream.next().await {
            let bytes = bytes.map_err(|error| failed("read", path, &error))?;
            tick(bytes.len() as u64)?;
            to = blocking(move || {
                to.write_all(&bytes)
                    .map(|()| to)
                    .map_err(|error| ObjectError::Disk {
                        action: "write",
                        path: "what was read".to_owned(),
                        reason: error.to_string(),
                    })
            })
            .await?;
        }
        Ok(to)
    }

    /// Writes an object whole; one that was there is replaced.
    pub async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), ObjectError> {
        let put = self.store.put(&self.at(path)?, bytes.into()).await;
        put.map(|_| ())
            .map_err(|error| failed("write", path, &error))
    }

    /// Writes the first bytes of a file as an object. `is` says how many and their sha256 in hex: nothing is written when they
    /// are others. `tick` is told of each part's bytes.
    ///
    /// Errors: also what `tick` returns.
    pub async fn put_file(
        &self,
        path: &str,
        file: &FilePath,
        is: (u64, &str),
        tick: &dyn Fn(u64) -> Result<(), ObjectError>,
    ) -> Result<(), ObjectError> {
        let (bytes, sha256) = is;
        if bytes <= PART_BYTES {
            let all = part(file.to_owned(), 0, bytes).await?;
            if all.len() as u64 != bytes || hex(Sha256::digest(&all).as_slice()) != sha256 {
                return Err(ObjectError::Changed(file.display().to_string()));
            }
            self.put(path, all).await?;
            return tick(bytes);
        }
        let begun = self.store.put_multipart(&self.at(path)?).await;
        let mut upload = begun.map_err(|error| failed("write", path, &error))?;
        let sent = self.parts(upload.as_mut(), path, (file, is), tick).await;
        let ended = match sent {
            Ok(()) => {
                let completed = upload.complete().await;
                completed
                    .map(|_| ())
                    .map_err(|error| failed("write", path, &error))
            }
            Err(error) => Err(error),
        };
        if ended.is_err() {
            // Parts that stay would be paid for; who keeps a bucket lets it forget them after days.
            if let Err(error) = upload.abort().await {
                tracing::debug!(%error, path, "parts of an object stay behind");
            }
        }
        ended
    }

    async fn parts(
        &self,
        upload: &mut dyn MultipartUpload,
        path: &str,
        (file, (bytes, sha256)): (&FilePath, (u64, &str)),
        tick: &dyn Fn(u64) -> Result<(), ObjectError>,
    ) -> Result<(), ObjectError> {
        let mut hasher = Sha256::new();
        let mut at = 0;
        while at < bytes {
            let some = part(file.to_owned(), at, PART_BYTES.min(bytes - at)).await?;
            if some.is_empty() {
                break;
            }
            hasher.update(&some);
            at += some.len() as u64;
            let sent = some.len() as u64;
            let put = upload.put_part(some.into()).await;
            put.map_err(|error| failed("write", path, &error))?;
            tick(sent)?;
        }
        match at == bytes && hex(&hasher.finalize()) == sha256 {
            true => Ok(()),
            false => Err(ObjectError::Changed(file.display().to_string())),
        }
    }

    /// Removes an object; one that is not there is removed already.
    pub async fn delete(&self, path: &str) -> Result<(), ObjectError> {
        match self.store.delete(&self.at(path)?).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("delete", path, &error)),
        }
    }
}

/// Reads a part of a file.
async fn part(file: PathBuf, offset: u64, bytes: u64) -> Result<Vec<u8>, ObjectError> {
    blocking(move || {
        let read = || {
            let mut open = File::open(&file)?;
            open.seek(SeekFrom::Start(offset))?;
            let mut part = Vec::new();
            open.take(bytes).read_to_end(&mut part)?;
            Ok(part)
        };
        read().map_err(|error: std::io::Error| match error.kind() {
            std::io::ErrorKind::NotFound => ObjectError::Changed(file.display().to_string()),
            _ => ObjectError::disk("read", &file, &error),
        })
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ObjectError> + Send + 'static,
) -> Result<T, ObjectError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| ObjectError::Config(error.to_string()))?
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn failed(action: &'static str, path: &str, error: &Error) -> ObjectError {
    let (path, reason) = (path.to_owned(), told(error));
    match error {
        Error::NotFound { .. } => ObjectError::NotFound { path, reason },
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => ObjectError::Denied {
            action,
            path,
            reason,
        },
        _ => ObjectError::Failed {
            action,
            path,
            reason,
        },
    }
}

/// The innermost cause says what happened.
fn told(error: &Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    let inner = cause.to_string();
    let said = match inner.is_empty() {
        true => error.to_string(),
        false => inner,
    };
    let words: Vec<&str> = said.split_whitespace().collect();
    words.join(" ").chars().take(REASON_CHARS).collect()
}

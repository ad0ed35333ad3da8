//! The files that a statement reads: opened once, before it runs. What replaces them meanwhile is not seen, and DataFusion
//! reaches no other file.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::object_store::path::Path as Location;
use datafusion::object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use futures_util::stream::{self, BoxStream, StreamExt as _};

/// Where DataFusion finds them; no other place is known to it.
pub(super) const URL: &str = "data://folder";
const NAME: &str = "data folder";
/// Bytes that are read together.
const CHUNK: u64 = 1 << 20;

/// Files by their path in the data folder.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    open: Mutex<BTreeMap<Location, Arc<OpenFile>>>,
}

/// A file that is read from.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: Mutex<File>,
    bytes: u64,
    modified: SystemTime,
}

impl OpenFile {
    /// Opens a file below `data`.
    ///
    /// Errors: it is no file, leads out of the folder of datasets, or cannot be read.
    pub(super) fn open(data: &Path, path: &str) -> io::Result<Self> {
        let full = data.join(path).canonicalize()?;
        if !full.starts_with(data.join("datasets").canonicalize()?) {
            return Err(io::Error::other("it leads out of the folder of datasets"));
        }
        // Before it is opened, which waits for whoever writes where it is a pipe.
        if !full.metadata()?.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let file = File::open(full)?;
        let found = file.metadata()?;
        Ok(Self {
            file: Mutex::new(file),
            bytes: found.len(),
            modified: found.modified()?,
        })
    }

    fn meta(&self, location: &Location) -> ObjectMeta {
        ObjectMeta {
            location: location.clone(),
            last_modified: self.modified.into(),
            size: self.bytes,
            e_tag: None,
            version: None,
        }
    }

    fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        let mut file = held(&self.file);
        file.seek(SeekFrom::Start(range.start))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes.into())
    }
}

fn held<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl OpenFiles {
    /// Lets DataFusion read a file by its path. The one that was there first stays.
    pub(super) fn admit(&self, path: &str, file: OpenFile) {
        held(&self.open)
            .entry(path.into())
            .or_insert_with(|| Arc::new(file));
    }

    /// Whether it was admitted.
    pub(super) fn has(&self, path: &str) -> bool {
        held(&self.open).contains_key(&Location::from(path))
    }
}

impl Display for OpenFiles {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_str(NAME)
    }
}

fn refused<T>() -> Result<T> {
    let source = "the data folder is only read".into();
    Err(Error::NotSupported { source })
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    let source = Box::new(error);
    Error::Generic {
        store: NAME,
        source,
    }
}

#[async_trait]
impl ObjectStore for OpenFiles {
    async fn get_opts(&self, location: &Location, options: GetOptions) -> Result<GetResult> {
        let file = held(&self.open).get(location).cloned();
        let file = file.ok_or_else(|| Error::NotFound {
            path: location.to_string(),
            source: "it was not opened".into(),
        })?;
        let meta = file.meta(location);
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(wanted) => wanted.as_range(file.bytes).map_err(failed)?,
            None => 0..file.bytes,
        };
        let wanted = match options.head {
            true => 0..0,
            false => range.clone(),
        };
        // The threads are the statement's own: they may wait for the disk.
        let chunks = stream::iter(wanted.clone().step_by(1 << 20)).map(move |from| {
            let until = wanted.end.min(from + CHUNK);
            file.read(from..until).map_err(failed)
        });
        Ok(GetResult {
            payload: GetResultPayload::Stream(chunks.boxed()),
            meta,
            range,
            attributes: Default::default(),
        })
    }

    fn list(&self, prefix: Option<&Location>) -> BoxStream<'static, Result<ObjectMeta>> {
        let prefix = prefix.cloned().unwrap_or_default();
        let open = held(&self.open);
        let found = open.iter().filter(|(path, _)| path.prefix_matches(&prefix));
        let found: Vec<_> = found.map(|(path, file)| Ok(file.meta(path))).collect();
        stream::iter(found).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Location>) -> Result<ListResult> {
        refused()
    }

    async fn put_opts(&self, _: &Location, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        refused()
    }

    async fn put_multipart_opts(
        &self,
        _: &Location,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        refused()
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Location>>,
    ) -> BoxStream<'static, Result<Location>> {
        locations.map(|_| refused()).boxed()
    }

    async fn copy_opts(&self, _: &Location, _: &Location, _: CopyOptions) -> Result<()> {
        refused()
    }
}

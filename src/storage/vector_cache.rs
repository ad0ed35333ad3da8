//! The file that keeps a cache of vectors between two runs. Nothing in it is truth: a file that
//! does not pass is ignored, and written anew.
//!
//! ```text
//! file  = "BHVC" | format u8 | 0 [3] | model* | crc32c u32 over all before
//! model = len u16 | fingerprint [len] | dim u32 | rows u64 | row*
//! row   = key [16] | tokens u32 | f32 [dim]
//! ```
//!
//! All numbers are little-endian.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;
use std::sync::Arc;

use super::disk::{StorageError, short, write_atomic_with};

const MAGIC: [u8; 4] = *b"BHVC";
/// The only format that this version reads, and the one that it writes.
const FORMAT: u8 = 1;
const HEADER_LEN: u64 = 8;
const CRC_LEN: u64 = 4;
/// Bytes of a row before its floats.
const ROW_LEN: u64 = 20;

/// The vectors of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptModel {
    /// Changes whenever the same text would give another vector.
    pub fingerprint: String,
    /// Length of its vectors.
    pub dim: usize,
    /// What is kept of it.
    pub rows: Vec<KeptVector>,
}

/// One vector.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptVector {
    /// Names the text.
    pub key: [u8; 16],
    /// Tokens read of the text.
    pub tokens: u32,
    /// As long as its model says.
    pub vector: Arc<[f32]>,
}

/// Replaces the file. A row of another length than its model's is left out.
pub fn write(path: &Path, models: &[KeptModel]) -> Result<(), StorageError> {
    write_atomic_with(path, |file| {
        let mut out = Summed {
            inner: file,
            crc: 0,
        };
        out.write_all(&MAGIC)?;
        out.write_all(&[FORMAT, 0, 0, 0])?;
        for model in models {
            let rows = || {
                model
                    .rows
                    .iter()
                    .filter(|row| row.vector.len() == model.dim)
            };
            let name = model.fingerprint.as_bytes();
            let len = u16::try_from(name.len()).map_err(io::Error::other)?;
            let dim = u32::try_from(model.dim).map_err(io::Error::other)?;
            out.write_all(&len.to_le_bytes())?;
            out.write_all(name)?;
            out.write_all(&dim.to_le_bytes())?;
            out.write_all(&(rows().count() as u64).to_le_bytes())?;
            let mut bytes = Vec::new();
            for row in rows() {
                bytes.clear();
                bytes.extend_from_slice(&row.key);
                bytes.extend_from_slice(&row.tokens.to_le_bytes());
                for value in &*row.vector {
                    bytes.extend_from_slice(&value.to_le_bytes());
                }
                out.write_all(&bytes)?;
            }
        }
        let crc = out.crc;
        out.inner.write_all(&crc.to_le_bytes())
    })
}

/// Reads the file; `row` hears of each vector with its model's fingerprint, and says whether to go
/// on. Nothing is told before the whole file has passed its checksum.
///
/// Errors: [`StorageError::Io`] where there is no file; [`StorageError::Damaged`];
/// [`StorageError::Format`] for that of another version.
pub fn read(
    path: &Path,
    mut row: impl FnMut(&str, KeptVector) -> bool,
) -> Result<(), StorageError> {
    let failed = |error| StorageError::io("read", path)(error);
    let open = || File::open(path).map_err(StorageError::io("open", path));
    let len = open()?.metadata().map_err(failed)?.len();
    let damaged = |reason: &str| StorageError::damaged(path, 0, reason);
    let Some(body) = len.checked_sub(HEADER_LEN + CRC_LEN) else {
        return Err(damaged("the file is cut short"));
    };
    let mut summed = Summed {
        inner: io::sink(),
        crc: 0,
    };
    let mut file = BufReader::new(open()?);
    io::copy(&mut (&mut file).take(len - CRC_LEN), &mut summed).map_err(failed)?;
    if u32::from_le_bytes(array(&mut file).map_err(failed)?) != summed.crc {
        return Err(damaged("the checksum is wrong"));
    }

    let mut file = BufReader::new(open()?);
    let [m0, m1, m2, m3, format, _, _, _] = array(&mut file).map_err(failed)?;
    if [m0, m1, m2, m3] != MAGIC {
        return Err(damaged("not a cache of vectors"));
    }
    if format != FORMAT {
        return Err(StorageError::Format {
            file: short(path),
            found: format,
            supported: FORMAT,
        });
    }
    let mut rest = Bounded {
        inner: file,
        left: body,
    };
    while rest.left > 0 {
        let len = u16::from_le_bytes(rest.array().map_err(failed)?);
        let name = rest.bytes(usize::from(len)).map_err(failed)?;
        let name = String::from_utf8(name).map_err(|_| damaged("a fingerprint is no text"))?;
        let dim = u32::from_le_bytes(rest.array().map_err(failed)?);
        let rows = u64::from_le_bytes(rest.array().map_err(failed)?);
        let bytes = ROW_LEN + 4 * u64::from(dim);
        if rows.checked_mul(bytes).is_none_or(|all| all > rest.left) {
            return Err(damaged("a model has more rows than the file"));
        }
        for _ in 0..rows {
            let key = rest.array().map_err(failed)?;
            let tokens = u32::from_le_bytes(rest.array().map_err(failed)?);
            let floats = rest.bytes(4 * dim as usize).map_err(failed)?;
            let (floats, _) = floats.as_chunks::<4>();
            let vector = floats.iter().map(|raw| f32::from_le_bytes(*raw)).collect();
            let kept = KeptVector {
                key,
                tokens,
                vector,
            };
            if !row(&name, kept) {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Computes the checksum of what is written through it.
struct Summed<W> {
    inner: W,
    crc: u32,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        let done = bytes.get(..written).unwrap_or(bytes);
        self.crc = crc32c::crc32c_append(self.crc, done);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads no more than is left, and allocates no more either.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Bounded<R> {
    fn take(&mut self, count: u64) -> io::Result<()> {
        let left = self.left.checked_sub(count);
        self.left = left.ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        self.take(N as u64)?;
        array(&mut self.inner)
    }

    fn bytes(&mut self, count: usize) -> io::Result<Vec<u8>> {
        self.take(count as u64)?;
        let mut bytes = vec![0; count];
        self.inner.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

fn array<const N: usize>(from: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn model(fingerprint: &str, dim: u16, rows: u8) -> KeptModel {
        let row = |at: u8| KeptVector {
            key: [at; 16],
            tokens: u32::from(at),
            vector: (0..dim).map(|x| f32::from(x) + f32::from(at)).collect(),
        };
        KeptModel {
            fingerprint: fingerprint.to_owned(),
            dim: usize::from(dim),
            rows: (0..rows).map(row).collect(),
        }
    }

    fn all(path: &Path) -> Result<Vec<(String, KeptVector)>, StorageError> {
        let mut found = Vec::new();
        read(path, |name, row| {
            found.push((name.to_owned(), row));
            true
        })?;
        Ok(found)
    }

    #[test]
    fn what_is_written_is_read_and_an_odd_row_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.bin");
        let mut odd = model("b", 2, 2);
        odd.rows[0].vector = vec![1.0].into();
        write(&path, &[model("a", 3, 4), odd, model("c", 1, 0)]).unwrap();
        let found = all(&path).unwrap();
        let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["a", "a", "a", "a", "b"]);
        assert_eq!(found[3].1, model("a", 3, 4).rows[3]);
        let mut told = 0;
        read(&path, |_, _| {
            told += 1;
            told < 2
        })
        .unwrap();
        assert_eq!(told, 2);
    }

    #[test]
    fn no_flipped_cut_or_added_byte_passes_and_nothing_is_told_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.bin");
        write(&path, &[model("a", 2, 2)]).unwrap();
        let good = fs::read(&path).unwrap();
        let check = |bytes: &[u8], what: &str| {
            fs::write(&path, bytes).unwrap();
            let told = read(&path, |_, _| panic!("{what}"));
            assert!(matches!(told, Err(StorageError::Damaged { .. })), "{what}");
        };
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x40;
            check(&bad, &format!("flipped at {at}"));
            check(&good[..at], &format!("cut at {at}"));
        }
        check(&[good.as_slice(), &[0]].concat(), "one more");
        assert!(matches!(
            all(&dir.path().join("no")),
            Err(StorageError::Io { .. })
        ));
    }

    #[test]
    fn lengths_beyond_the_file_allocate_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("cache.bin");
        let sealed = |format: u8, body: &[u8]| {
            let mut bytes = [&MAGIC[..], &[format, 0, 0, 0], body].concat();
            bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
            fs::write(&path, bytes).unwrap();
            all(&path).unwrap_err()
        };
        let huge = [&[1, 0, b'a'][..], &[0xff; 4], &[0xff; 8]].concat();
        assert!(matches!(sealed(1, &huge), StorageError::Damaged { .. }));
        let one = [&[1, 0, b'a'][..], &[0xff; 4], &1_u64.to_le_bytes()].concat();
        assert!(matches!(sealed(1, &one), StorageError::Damaged { .. }));
        assert!(matches!(sealed(1, &[9, 0, b'a']), StorageError::Io { .. }));
        assert!(matches!(
            sealed(2, &[]),
            StorageError::Format { found: 2, .. }
        ));
    }
}

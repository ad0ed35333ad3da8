//! The bytes that logs and snapshots are made of: a header, then checksummed records.
//!
//! ```text
//! file   = header record*
//! header = "BHSE" | format u8 | kind u8 | 0 u16 | seed u64 | first_lsn u64 | crc32c u32   28 bytes
//! record = len u32 | crc32c u32 | lsn u64 | type u8 | body [len]               17 + len
//! ```
//!
//! All numbers are little-endian. A record's checksum covers the file's seed, `len`, `lsn`, `type`
//! and `body`: a record left over from another file does not pass.

use super::codec::MAX_BODY_BYTES;

const MAGIC: [u8; 4] = *b"BHSE";
/// The newest format that this version reads, and the one that it writes.
pub(super) const FORMAT: u8 = 1;
/// Length of a file's header.
pub(super) const HEADER_LEN: usize = 28;
/// No file gets near this many records: a higher number is made up, and counting on from it could overflow.
pub(super) const MAX_LSN: u64 = 1 << 62;
/// Length of a record before its body.
pub(super) const RECORD_LEN: usize = 17;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum FileKind {
    Wal = 1,
    Snapshot = 2,
    Manifest = 3,
    Graph = 4,
}

/// The start of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: FileKind,
    pub(super) seed: u64,
    pub(super) first_lsn: u64,
}

/// Why a header is refused.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderFault {
    Damaged(&'static str),
    Format(u8),
}

/// One record, borrowed from its file's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'a> {
    pub(super) lsn: u64,
    pub(super) kind: u8,
    pub(super) body: &'a [u8],
}

impl Frame<'_> {
    /// Bytes that the record takes in its file.
    pub(super) fn len(&self) -> usize {
        RECORD_LEN + self.body.len()
    }
}

impl Header {
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4] = FORMAT;
        bytes[5] = self.kind as u8;
        bytes[8..16].copy_from_slice(&self.seed.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.first_lsn.to_le_bytes());
        let crc = crc32c::crc32c(&bytes[..24]);
        bytes[24..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    pub(super) fn decode(kind: FileKind, bytes: &[u8]) -> Result<Self, HeaderFault> {
        let head: &[u8; HEADER_LEN] = bytes
            .first_chunk()
            .ok_or(HeaderFault::Damaged("the header is cut short"))?;
        if head[..4] != MAGIC {
            return Err(HeaderFault::Damaged("not a file of this program"));
        }
        if crc32c::crc32c(&head[..24]) != u32_at(head, 24) {
            return Err(HeaderFault::Damaged("the header's checksum is wrong"));
        }
        if head[4] != FORMAT {
            return Err(HeaderFault::Format(head[4]));
        }
        if head[5] != kind as u8 {
            return Err(HeaderFault::Damaged("a file of another kind"));
        }
        let first_lsn = u64_at(head, 16);
        if first_lsn > MAX_LSN {
            return Err(HeaderFault::Damaged("the first record's number is made up"));
        }
        Ok(Self {
            kind,
            seed: u64_at(head, 8),
            first_lsn,
        })
    }
}

/// Appends a record to `out`. The body is at most [`MAX_BODY_BYTES`], which the callers check.
pub(super) fn encode(seed: u64, lsn: u64, kind: u8, body: &[u8], out: &mut Vec<u8>) {
    let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let crc = checksum(seed, len, lsn, kind, body);
    out.reserve(RECORD_LEN + body.len());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(&crc.to_le_bytes());
    out.extend_from_slice(&lsn.to_le_bytes());
    out.push(kind);
    out.extend_from_slice(body);
}

/// Reads the record at the start of `bytes`; `Err` says why there is none.
pub(super) fn decode(seed: u64, bytes: &[u8]) -> Result<Frame<'_>, &'static str> {
    let Some((head, rest)) = bytes.split_first_chunk::<RECORD_LEN>() else {
        return Err("the record's head is cut short");
    };
    let len = u32_at(head, 0);
    if u64::from(len) > MAX_BODY_BYTES {
        return Err("the record's length is over the limit");
    }
    let Some(body) = rest.get(..len as usize) else {
        return Err("the record's body is cut short");
    };
    let (lsn, kind) = (u64_at(head, 8), head[16]);
    if checksum(seed, len, lsn, kind, body) != u32_at(head, 4) {
        return Err("the record's checksum is wrong");
    }
    if lsn > MAX_LSN {
        return Err("the record's number is made up");
    }
    Ok(Frame { lsn, kind, body })
}

/// Looks past a bad record for a good one whose number is `next_lsn` or soon after.
///
/// A write that a crash cut short is the last thing in its file; if good records follow, it is not
/// that but damage. Returns the offset of the first good one.
pub(super) fn find_later(seed: u64, bytes: &[u8], next_lsn: u64) -> Option<usize> {
    let room = (bytes.len() / RECORD_LEN) as u64;
    (1..bytes.len().saturating_sub(RECORD_LEN - 1)).find(|&at| {
        // The number rules out nearly every offset before a checksum is computed.
        let lsn = u64_at(bytes, at + 8);
        lsn >= next_lsn && lsn - next_lsn <= room && decode(seed, &bytes[at..]).is_ok()
    })
}

/// Makes all checksums of a file's bytes right, as far as it reads as one: so that tests and fuzzers get behind them.
#[cfg(any(test, fuzzing))]
pub fn reseal(bytes: &mut [u8]) {
    let Some((head, mut rest)) = bytes.split_first_chunk_mut::<HEADER_LEN>() else {
        return;
    };
    let crc = crc32c::crc32c(&head[..24]);
    head[24..].copy_from_slice(&crc.to_le_bytes());
    let seed = u64_at(head, 8);
    while let Some((head, tail)) = rest.split_first_chunk_mut::<RECORD_LEN>() {
        let len = u32_at(head, 0);
        let Some((body, tail)) = tail.split_at_mut_checked(len as usize) else {
            return;
        };
        let crc = checksum(seed, len, u64_at(head, 8), head[16], body);
        head[4..8].copy_from_slice(&crc.to_le_bytes());
        rest = tail;
    }
}

fn checksum(seed: u64, len: u32, lsn: u64, kind: u8, body: &[u8]) -> u32 {
    let crc = crc32c::crc32c(&seed.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &len.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &lsn.to_le_bytes());
    let crc = crc32c::crc32c_append(crc, &[kind]);
    crc32c::crc32c_append(crc, body)
}

/// Callers make sure that `at + 4` is within `bytes`.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

/// Callers make sure that `at + 8` is within `bytes`.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_survives_and_no_flipped_byte_does() {
        let header = Header {
            kind: FileKind::Wal,
            seed: 77,
            first_lsn: 5,
        };
        let bytes = header.encode();
        assert_eq!(Header::decode(FileKind::Wal, &bytes), Ok(header));
        assert!(Header::decode(FileKind::Snapshot, &bytes).is_err());
        for at in 0..HEADER_LEN {
            let mut bad = bytes;
            bad[at] ^= 0x20;
            assert!(Header::decode(FileKind::Wal, &bad).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_newer_format_is_told_from_damage() {
        let mut bytes = Header {
            kind: FileKind::Wal,
            seed: 1,
            first_lsn: 1,
        }
        .encode();
        bytes[4] = 9;
        let crc = crc32c::crc32c(&bytes[..24]);
        bytes[24..].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(
            Header::decode(FileKind::Wal, &bytes),
            Err(HeaderFault::Format(9))
        );
    }

    #[test]
    fn a_record_passes_only_whole_unchanged_and_in_its_own_file() {
        let mut bytes = Vec::new();
        encode(3, 8, 1, b"body", &mut bytes);
        assert_eq!(
            decode(3, &bytes),
            Ok(Frame {
                lsn: 8,
                kind: 1,
                body: b"body"
            })
        );
        assert_eq!(decode(4, &bytes), Err("the record's checksum is wrong"));
        for at in 0..bytes.len() {
            assert!(decode(3, &bytes[..at]).is_err(), "cut at {at}");
            let mut bad = bytes.clone();
            bad[at] ^= 1;
            assert!(decode(3, &bad).is_err(), "flipped at {at}");
        }
    }

    #[test]
    fn a_good_record_after_a_bad_one_is_found() {
        let mut bytes = Vec::new();
        encode(3, 8, 1, b"first", &mut bytes);
        let second = bytes.len();
        encode(3, 9, 1, b"second", &mut bytes);
        bytes[0] = 0xff;
        assert_eq!(find_later(3, &bytes, 8), Some(second));
        assert_eq!(find_later(3, &bytes[..bytes.len() - 1], 8), None);
    }

    proptest! {
        #[test]
        fn hostile_bytes_never_panic(bytes: Vec<u8>, seed: u64, lsn: u64) {
            prop_assert!(decode(seed, &bytes).is_err());
            prop_assert_eq!(find_later(seed, &bytes, lsn), None);
            prop_assert!(Header::decode(FileKind::Wal, &bytes).is_err());
        }
    }
}

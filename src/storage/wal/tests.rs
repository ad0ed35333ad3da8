use std::fs;

use super::*;
use crate::storage::os::faults;

type Bodies = Vec<Vec<u8>>;

fn reopen(dir: &Path) -> Result<(Bodies, Recovered), StorageError> {
    let mut bodies = Vec::new();
    let recovered = recover(dir, 1, 1, |record| {
        bodies.push(record.body.to_vec());
        Ok::<_, StorageError>(())
    })?;
    Ok((bodies, recovered))
}

/// Three records in one file; returns the offsets where each ends.
fn three(dir: &Path) -> [usize; 3] {
    let mut wal = Wal::create(dir, 1, 42, 1).unwrap();
    ["one", "second", "the third"].map(|body| {
        wal.append(1, body.as_bytes()).unwrap();
        usize::try_from(wal.bytes()).unwrap()
    })
}

#[test]
fn what_was_appended_is_read_back_across_files() {
    let dir = tempfile::tempdir().unwrap();
    three(dir.path());
    let (_, mut recovered) = reopen(dir.path()).unwrap();
    recovered.wal.rotate(dir.path(), 43).unwrap();
    assert_eq!(recovered.wal.append(2, b"4").unwrap(), 4);
    let (bodies, recovered) = reopen(dir.path()).unwrap();
    assert_eq!(bodies, [&b"one"[..], b"second", b"the third", b"4"]);
    assert_eq!((recovered.wal.number(), recovered.wal.next_lsn()), (2, 5));
    assert!(recovered.older_bytes > 0 && recovered.cut.is_none());
}

#[test]
fn a_last_record_cut_at_any_byte_is_removed_and_writing_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let ends = three(dir.path());
    let path = path_of(dir.path(), 1);
    let whole = fs::read(&path).unwrap();
    for len in ends[1]..ends[2] {
        fs::write(&path, &whole[..len]).unwrap();
        let (bodies, mut recovered) = reopen(dir.path()).unwrap();
        assert_eq!(bodies.len(), 2, "cut at {len}");
        let lost = recovered.cut.map_or(0, |cut| cut.bytes);
        assert_eq!(usize::try_from(lost).unwrap(), len - ends[1]);
        assert_eq!(recovered.wal.append(1, b"again").unwrap(), 3);
        assert_eq!(reopen(dir.path()).unwrap().0[2], b"again");
    }
}

#[test]
fn a_flipped_byte_before_the_last_record_refuses_and_says_where() {
    let dir = tempfile::tempdir().unwrap();
    let ends = three(dir.path());
    let path = path_of(dir.path(), 1);
    let whole = fs::read(&path).unwrap();
    for at in 0..ends[1] {
        for bit in [0x01, 0x80] {
            let mut bad = whole.clone();
            bad[at] ^= bit;
            fs::write(&path, &bad).unwrap();
            let error = reopen(dir.path()).unwrap_err();
            let start = [0, HEADER_LEN, ends[0]]
                .into_iter()
                .rfind(|s| *s <= at)
                .unwrap();
            match &error {
                StorageError::Damaged { file, offset, .. } => {
                    assert!(file.ends_with("wal-000000000001.log"));
                    assert_eq!(*offset, start as u64, "byte {at}: {error}");
                }
                other => panic!("byte {at}: {other}"),
            }
            assert_eq!(
                fs::read(&path).unwrap(),
                bad,
                "a refused file is left as it is"
            );
        }
    }
}

#[test]
fn a_tail_torn_before_the_last_file_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let ends = three(dir.path());
    Wal::create(dir.path(), 2, 43, 4).unwrap();
    let path = path_of(dir.path(), 1);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    let error = reopen(dir.path()).unwrap_err();
    assert!(
        error.to_string().contains(&format!("at byte {}", ends[1])),
        "{error}"
    );
    // A whole record missing shows in the next file's first number.
    fs::write(&path, &whole[..ends[1]]).unwrap();
    let error = reopen(dir.path()).unwrap_err();
    assert!(
        error.to_string().contains("starts at record 4, expected 3"),
        "{error}"
    );
}

#[test]
fn a_missing_file_refuses_and_records_of_another_file_do_not_count() {
    let dir = tempfile::tempdir().unwrap();
    assert!(
        reopen(dir.path())
            .unwrap_err()
            .to_string()
            .contains("missing")
    );
    three(dir.path());
    // The same bytes under another seed: a file whose blocks belonged to another one.
    let path = path_of(dir.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    let header = Header {
        kind: FileKind::Wal,
        seed: 1,
        first_lsn: 1,
    }
    .encode();
    bytes[..HEADER_LEN].copy_from_slice(&header);
    fs::write(&path, &bytes).unwrap();
    let (bodies, recovered) = reopen(dir.path()).unwrap();
    assert!(bodies.is_empty() && recovered.cut.is_some());
}

#[test]
fn a_record_over_the_limit_is_refused_and_the_log_stays_usable() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = Wal::create(dir.path(), 1, 42, 1).unwrap();
    let big = vec![0; usize::try_from(MAX_BODY_BYTES).unwrap() + 1];
    assert!(matches!(
        wal.append(1, &big),
        Err(StorageError::TooLarge { .. })
    ));
    assert!(!wal.has_failed());
    assert_eq!(wal.append(1, b"small").unwrap(), 1);
}

#[test]
fn a_failed_write_is_never_tried_again_on_the_same_log() {
    let dir = tempfile::tempdir().unwrap();
    let mut wal = Wal::create(dir.path(), 1, 42, 1).unwrap();
    // Neither the record nor its removal works.
    faults::fail(faults::Fault::Dead(0));
    assert!(wal.append(1, b"x").is_err());
    assert!(wal.has_failed());
    assert!(faults::heal());
    let error = wal.append(1, b"y").unwrap_err();
    assert!(
        error.to_string().ends_with("an earlier write failed"),
        "{error}"
    );
}

#[test]
fn old_files_are_removed_by_number() {
    let dir = tempfile::tempdir().unwrap();
    for number in 1..=3 {
        Wal::create(dir.path(), number, number, 1).unwrap();
    }
    fs::write(dir.path().join("wal-x.log"), b"not ours").unwrap();
    remove_before(dir.path(), 3).unwrap();
    assert_eq!(
        disk::names_in(dir.path()).unwrap(),
        ["wal-000000000003.log", "wal-x.log"]
    );
}

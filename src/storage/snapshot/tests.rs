use std::fs;

use super::*;
use crate::types::collection::Schema;
use crate::types::point::Metric;

fn manifest(generation: u64, lsn: u64) -> Manifest {
    let spec = CollectionSpec {
        name: "docs".to_owned(),
        dim: 2,
        metric: Metric::Cosine,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema: Schema::default(),
        backend: Default::default(),
        created_ms: 7,
    };
    Manifest {
        spec,
        generation,
        lsn,
    }
}

fn write(dir: &Path, bodies: &[&[u8]]) -> Manifest {
    let mut writer = SnapshotWriter::create(dir, 3, 99, 12).unwrap();
    for body in bodies {
        writer.append(1, body).unwrap();
    }
    writer.finish().unwrap();
    manifest(3, 12)
}

fn bodies(dir: &Path, manifest: &Manifest) -> Result<Vec<Vec<u8>>, StorageError> {
    let mut bodies = Vec::new();
    read(dir, manifest, |record| {
        bodies.push(record.body.to_vec());
        Ok::<_, StorageError>(())
    })?;
    Ok(bodies)
}

#[test]
fn what_was_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    for content in [&[][..], &[&b"a"[..], b"", b"ccc"]] {
        let manifest = write(dir.path(), content);
        assert_eq!(bodies(dir.path(), &manifest).unwrap(), content);
    }
}

#[test]
fn no_flipped_or_missing_byte_passes() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = write(dir.path(), &[b"first", b"second"]);
    let path = path_of(dir.path(), 3);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 0x40;
        fs::write(&path, &bad).unwrap();
        assert!(bodies(dir.path(), &manifest).is_err(), "flipped at {at}");
        fs::write(&path, &whole[..at]).unwrap();
        assert!(bodies(dir.path(), &manifest).is_err(), "cut at {at}");
    }
    fs::write(&path, [&whole[..], b"x"].concat()).unwrap();
    assert!(
        bodies(dir.path(), &manifest).is_err(),
        "more than was written"
    );
}

#[test]
fn a_manifest_survives_and_no_flipped_or_missing_byte_does() {
    let dir = tempfile::tempdir().unwrap();
    manifest(4, 100).store(dir.path()).unwrap();
    assert_eq!(Manifest::load(dir.path()).unwrap(), manifest(4, 100));
    let path = dir.path().join(MANIFEST);
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut bad = whole.clone();
        bad[at] ^= 0x04;
        fs::write(&path, &bad).unwrap();
        assert!(Manifest::load(dir.path()).is_err(), "flipped at {at}");
        fs::write(&path, &whole[..at]).unwrap();
        assert!(Manifest::load(dir.path()).is_err(), "cut at {at}");
    }
}

#[test]
fn a_snapshot_of_another_moment_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), &[b"a"]);
    let error = bodies(dir.path(), &manifest(3, 13)).unwrap_err();
    assert!(error.to_string().contains("not the snapshot"), "{error}");
}

#[test]
fn a_sweep_keeps_only_what_counts() {
    let dir = tempfile::tempdir().unwrap();
    let manifest = write(dir.path(), &[]);
    manifest.store(dir.path()).unwrap();
    for name in [
        "snapshot-000000000002.bin",
        "snapshot-000000000004.bin",
        "wal-000000000002.log",
        "wal-000000000003.log",
        "wal-000000000004.log",
        "MANIFEST.tmp",
        "LOCK",
    ] {
        fs::write(dir.path().join(name), b"").unwrap();
    }
    sweep(dir.path(), &manifest).unwrap();
    assert_eq!(
        disk::names_in(dir.path()).unwrap(),
        [
            "LOCK",
            "MANIFEST",
            "snapshot-000000000003.bin",
            "wal-000000000003.log",
            "wal-000000000004.log"
        ]
    );
}

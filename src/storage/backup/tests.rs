use std::fs;
use std::io::Cursor;

use super::*;
use crate::storage::disk::names_in;
use crate::storage::os::faults::{self, Fault};

/// A backup of files with these contents.
fn backup_of(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut packer = Packer::new(1_000);
    let files = files.iter();
    let pinned = files.map(|(path, bytes)| Pinned::memory((*path).to_owned(), bytes.to_vec()));
    packer.add(pinned.collect()).unwrap();
    packer.manifest().collections.push("docs".to_owned());
    let mut tar = Vec::new();
    while let Some(piece) = packer.piece().unwrap() {
        tar.extend(piece);
    }
    tar.extend(packer.finish(2_000).unwrap());
    tar
}

fn sample() -> Vec<u8> {
    let long: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    backup_of(&[
        ("collections/docs/MANIFEST", b"manifest"),
        ("collections/docs/wal-000000000001.log", &long),
        ("evidence/heads.log", b""),
        ("keys.toml", b"hashes"),
    ])
}

fn verified(tar: &[u8]) -> Result<BackupManifest, BackupError> {
    verify(Cursor::new(tar), &mut |_| true)
}

#[test]
fn what_was_packed_is_restored_and_said() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    let manifest = restore(Cursor::new(sample()), &dir, &mut |_| true).unwrap();
    assert_eq!(manifest, verified(&sample()).unwrap());
    assert_eq!((manifest.began_ms, manifest.ended_ms), (1_000, 2_000));
    assert_eq!(manifest.bytes(), 700_014);
    let log = fs::read(dir.join("collections/docs/wal-000000000001.log")).unwrap();
    assert_eq!((log.len(), log[699_999]), (700_000, (699_999 % 251) as u8));
    assert_eq!(fs::read(dir.join("evidence/heads.log")).unwrap(), b"");
    assert_eq!(
        names_in(&dir).unwrap(),
        ["LOCK", "collections", "evidence", "keys.toml"]
    );
}

#[test]
fn any_tool_reads_it() {
    let tar = sample();
    let mut archive = tar::Archive::new(Cursor::new(tar));
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names.len(), 6);
    assert_eq!(names[4..], [MANIFEST, SEAL]);
}

#[test]
fn a_flipped_bit_anywhere_is_refused() {
    let good = backup_of(&[("a/b", b"some content"), ("c", b"more")]);
    for at in 0..good.len() - 1_024 {
        let mut bad = good.clone();
        bad[at] ^= 1;
        // Bytes that fill the last block of a file belong to nobody.
        assert!(verified(&bad).is_err() || good[at] == 0, "byte {at}");
    }
    let at = good.windows(4).position(|four| four == b"some").unwrap();
    let mut bad = good.clone();
    bad[at] ^= 1;
    let error = verified(&bad).unwrap_err().to_string();
    assert!(error.contains("a/b: its sha256 is another"), "{error}");
}

#[test]
fn a_backup_that_is_cut_short_is_refused() {
    let good = sample();
    for len in (0..good.len() - 1_024).step_by(509) {
        let error = verified(&good[..len]).unwrap_err();
        assert!(
            matches!(error, BackupError::Damaged { .. }),
            "{len}: {error}"
        );
    }
    let error = verified(&good[..400_000]).unwrap_err().to_string();
    assert!(error.contains("wal-000000000001.log"), "{error}");
}

#[test]
fn a_backup_that_ends_early_says_why() {
    let mut packer = Packer::new(0);
    packer
        .add(vec![Pinned::memory("a".to_owned(), b"x".to_vec())])
        .unwrap();
    let mut tar = packer.piece().unwrap().unwrap();
    tar.extend(packer.fail("the disk is gone"));
    let error = verified(&tar).unwrap_err().to_string();
    assert!(error.contains("the disk is gone"), "{error}");
}

#[test]
fn a_newer_backup_and_a_made_up_one_are_refused() {
    let mut packer = Packer::new(0);
    packer.manifest().format = FORMAT + 1;
    let error = verified(&packer.finish(0).unwrap()).unwrap_err();
    assert!(
        matches!(error, BackupError::Format { found: 2, .. }),
        "{error}"
    );
    for path in ["../x", "/etc/x", "a/../../x", "a\\x", "", "a/"] {
        assert!(check_path(path).is_err(), "{path}");
        let mut header = tar::Header::new_ustar();
        // Past the checks of the crate, as whoever makes one up would.
        header.as_ustar_mut().unwrap().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(0);
        header.set_cksum();
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("deep/data");
        let tar = [header.as_bytes().as_slice(), &[0; 1_024]].concat();
        restore(Cursor::new(tar), &dir, &mut |_| true).unwrap_err();
        assert!(!dir.exists());
    }
    let mut link = tar::Header::new_ustar();
    link.set_path("link").unwrap();
    link.set_entry_type(tar::EntryType::Symlink);
    link.set_size(0);
    link.set_cksum();
    let error = verified(&[link.as_bytes().as_slice(), &[0; 1_024]].concat()).unwrap_err();
    assert!(error.to_string().contains("no plain file"), "{error}");
}

#[test]
fn a_folder_in_use_is_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine"), "kept").unwrap();
    let error = restore(Cursor::new(sample()), folder.path(), &mut |_| true).unwrap_err();
    assert!(error.to_string().contains("mine"), "{error}");
    assert_eq!(names_in(folder.path()).unwrap(), ["mine"]);
}

#[test]
fn a_failure_or_a_stop_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("data");
    let mut damaged = sample();
    damaged[2_000] ^= 1;
    restore(Cursor::new(damaged), &dir, &mut |_| true).unwrap_err();
    assert!(!dir.exists());
    // An empty folder, such as a mounted one, stays.
    fs::create_dir(&dir).unwrap();
    let stopped = restore(Cursor::new(sample()), &dir, &mut |_| false).unwrap_err();
    assert_eq!(stopped, BackupError::Stopped);
    assert_eq!(names_in(&dir).unwrap(), [""; 0]);
    let mut at = 0;
    loop {
        faults::fail(Fault::Full(at));
        let restored = restore(Cursor::new(sample()), &dir, &mut |_| true);
        let met = faults::heal();
        match restored {
            Ok(_) if !met => break,
            Ok(_) => {}
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                assert_eq!(names_in(&dir).unwrap(), [""; 0], "call {at}");
            }
        }
        fs::remove_dir_all(&dir).unwrap();
        fs::create_dir(&dir).unwrap();
        at += 1;
    }
    assert!(at > 5);
    assert!(dir.join("keys.toml").exists());
}

#[test]
fn a_backup_that_finds_no_room_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("house.tar");
    let mut target = Target::create(&path).unwrap();
    faults::fail(Fault::Full(0));
    let error = target.write(&sample()).unwrap_err().to_string();
    assert!(faults::heal());
    assert!(error.contains("house.tar.part"), "{error}");
    drop(target);
    assert_eq!(names_in(folder.path()).unwrap(), [""; 0]);
    let mut target = Target::create(&path).unwrap();
    target.write(b"x").unwrap();
    target.written().unwrap();
    target.commit().unwrap();
    let error = Target::create(&path).unwrap_err().to_string();
    assert!(error.contains("is there already"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"x");
}

#[test]
fn a_file_that_is_cut_while_it_is_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("f");
    fs::write(&path, [7; 1_000]).unwrap();
    let mut packer = Packer::new(0);
    let pinned = Pinned::open(&path, "f".to_owned(), Some(900)).unwrap();
    assert!(Pinned::open(&path, "f".to_owned(), Some(1_001)).is_err());
    packer.add(vec![pinned]).unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .and_then(|file| file.set_len(10))
        .unwrap();
    let error = packer.piece().unwrap_err();
    assert_eq!(
        error,
        BackupError::Changed {
            file: "f".to_owned()
        }
    );
}

#[test]
fn names_of_any_length_are_packed_and_read_again() {
    let names = [
        "x".repeat(101),
        format!("later/{}", "y".repeat(255)),
        format!("{}/{}", "a".repeat(150), "b".repeat(90)),
        format!("datasets/{}", "ü".repeat(120)),
    ];
    let files: Vec<(&str, &[u8])> = names
        .iter()
        .map(|name| (name.as_str(), name.as_bytes()))
        .collect();
    let tar = backup_of(&files);
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("data");
    restore(Cursor::new(&tar), &dir, &mut |_| true).unwrap();
    for name in &names {
        assert_eq!(fs::read(dir.join(name)).unwrap(), name.as_bytes(), "{name}");
    }
    assert_eq!(verified(&tar).unwrap().files.len(), names.len());
}

#[test]
fn earlier_backups_are_left_out_and_told() {
    let tar = backup_of(&[
        ("house.tar", b"all that was"),
        ("keys.json", b"hashes"),
        ("later/boathouse-20261129T060000Z.tar.part", b"half of it"),
        ("later/tar", b"kept"),
    ]);
    let manifest = verified(&tar).unwrap();
    let paths: Vec<&str> = manifest.files.iter().map(|file| &*file.path).collect();
    assert_eq!(paths, ["keys.json", "later/tar"]);
    assert_eq!(manifest.warnings.len(), 2, "{:?}", manifest.warnings);
    assert!(manifest.warnings[0].contains("house.tar"));
}

#[test]
fn a_backup_in_the_making_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("house.tar");
    let mut first = Target::create(&path).unwrap();
    first.write(b"all of it").unwrap();
    let error = Target::create(&path).unwrap_err();
    assert!(matches!(error, BackupError::Taken { .. }), "{error}");
    assert!(error.to_string().contains("house.tar.part"), "{error}");
    first.written().unwrap();
    first.commit().unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"all of it");
}

#[test]
fn a_dataset_is_there_also_while_it_is_being_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    // Between the two renames.
    for path in [
        "datasets/.tasks.old/receipt.json",
        "datasets/.tasks.new/receipt.json",
        "datasets/exports/.sft.old/receipt.json",
        "datasets/exports/.kto.old/receipt.json",
        "datasets/exports/kto/receipt.json",
    ] {
        let path = data.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    let folders = dataset_folders(data).unwrap();
    assert_eq!(
        folders,
        [
            "datasets/exports/kto",
            "datasets/exports/sft",
            "datasets/tasks"
        ]
    );
    for folder in folders {
        let pinned = whole_folder(data, &folder).unwrap();
        let paths: Vec<&str> = pinned.iter().map(Pinned::path).collect();
        assert_eq!(paths, [format!("{folder}/receipt.json")]);
    }
}

#[test]
fn what_is_derived_is_left_out_and_what_is_unknown_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path();
    for path in [
        "LOCK",
        "black-box",
        "embedding-cache.bin",
        "imported.ids",
        "some.toml.tmp",
        "keys.toml",
        ".restoring/x",
        "damaged/docs-1/MANIFEST",
        "models/minilm/config.json",
        "later/file",
        "datasets/tasks/.facts",
        "datasets/tasks/receipt.json",
        "datasets/exports/sft/receipt.json",
        "datasets/exports/.rag.new/receipt.json",
        "datasets/replays/small/report.md",
        "datasets/baselines/november.json",
    ] {
        let path = data.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    assert_eq!(others(data, false).unwrap(), ["keys.toml", "later"]);
    assert_eq!(
        others(data, true).unwrap(),
        ["keys.toml", "later", "models"]
    );
    let folders = dataset_folders(data).unwrap();
    assert_eq!(
        folders,
        [
            "datasets/baselines",
            "datasets/exports/sft",
            "datasets/replays/small",
            "datasets/tasks"
        ]
    );
    let pinned = whole_folder(data, "datasets/tasks").unwrap();
    let paths: Vec<&str> = pinned.iter().map(Pinned::path).collect();
    assert_eq!(
        paths,
        ["datasets/tasks/.facts", "datasets/tasks/receipt.json"]
    );
    assert!(whole_folder(data, "datasets/gone").unwrap().is_empty());
}

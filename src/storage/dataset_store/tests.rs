use tempfile::TempDir;

use super::*;

fn put(store: &DatasetStore, target: &Path, text: &str) -> FileReceipt {
    let staging = store.stage(target).unwrap();
    let receipt = staging.write("data/a.jsonl", text).unwrap();
    assert_eq!(staging.commit().unwrap(), target);
    receipt
}

#[test]
fn a_folder_is_replaced_whole() {
    let root = TempDir::new().unwrap();
    let store = DatasetStore::new(root.path());
    let target = store.export("one").unwrap();
    let receipt = put(&store, &target, "a\nb\n");
    assert_eq!((receipt.rows, receipt.bytes), (2, 4));
    assert_eq!(receipt.sha256, sha256("a\nb\n"));
    fs::write(target.join("stray"), "").unwrap();
    put(&store, &target, "c\n");
    assert_eq!(entries(&target).unwrap(), ["data"]);
    assert_eq!(entries(&root.path().join("exports")).unwrap(), ["one"]);
    assert_eq!(store.exports().unwrap(), ["one"]);
}

#[test]
fn readers_hash_what_the_writer_hashed() {
    let root = TempDir::new().unwrap();
    let store = DatasetStore::new(root.path());
    let written = put(&store, &store.tasks(), "a\nbc\n");
    let mut ticks = 0;
    let hashed = hash_file(&store.tasks(), "data/a.jsonl", 5, &mut || ticks += 1).unwrap();
    assert_eq!((&hashed, ticks), (&written, 1));
    let mut lines = HashedLines::open(&store.tasks(), "data/a.jsonl").unwrap();
    let mut line = Vec::new();
    while lines.next(&mut line).unwrap() {}
    assert_eq!(lines.finish(), written);
    // Only the part that was asked for.
    let part = hash_file(&store.tasks(), "data/a.jsonl", 2, &mut || ()).unwrap();
    assert_eq!((part.bytes, part.sha256), (2, sha256("a\n")));
}

#[test]
fn a_crash_between_any_two_steps_leaves_a_whole_folder() {
    let root = TempDir::new().unwrap();
    let store = DatasetStore::new(root.path());
    let target = store.export("one").unwrap();
    let text = || fs::read_to_string(target.join("data/a.jsonl")).unwrap();

    // While it was built.
    put(&store, &target, "old\n");
    std::mem::forget(store.stage(&target).unwrap());
    store.recover().unwrap();
    assert_eq!(text(), "old\n");

    // After the old one was moved away.
    fs::rename(&target, sibling(&target, "old")).unwrap();
    std::mem::forget(store.stage(&target).unwrap());
    store.recover().unwrap();
    assert_eq!(text(), "old\n");

    // After the new one was moved in.
    fs::rename(&target, sibling(&target, "old")).unwrap();
    fs::create_dir_all(target.join("data")).unwrap();
    fs::write(target.join("data/a.jsonl"), "new\n").unwrap();
    store.recover().unwrap();
    assert_eq!(text(), "new\n");
    assert_eq!(entries(&root.path().join("exports")).unwrap(), ["one"]);
}

#[test]
fn an_abandoned_staging_leaves_nothing() {
    let root = TempDir::new().unwrap();
    let store = DatasetStore::new(root.path());
    let staging = store.stage(&store.tasks()).unwrap();
    staging.write("a", "x").unwrap();
    drop(staging);
    assert_eq!(entries(root.path()).unwrap(), Vec::<String>::new());
}

#[test]
fn names_that_leave_the_folder_are_refused() {
    let store = DatasetStore::new(Path::new("datasets"));
    for name in ["a", "A-b_9", &"x".repeat(64)] {
        assert!(store.export(name).is_ok(), "{name}");
    }
    for name in [
        "",
        ".",
        "..",
        "a/b",
        "a b",
        "é",
        ".a.new",
        "a\0",
        &"x".repeat(65),
    ] {
        let error = store.export(name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BadRequest, "{name}");
    }
}

#[test]
fn tasks_are_read_by_date_and_those_of_older_folders_from_their_one_file() {
    let root = TempDir::new().unwrap();
    let store = DatasetStore::new(root.path());
    assert_eq!(task_files(&store.tasks()).unwrap(), Vec::<String>::new());
    let read = || {
        let mut lines = TaskLines::open(&store.tasks()).unwrap();
        let (mut all, mut line) = (Vec::new(), Vec::new());
        while lines.next(&mut line).unwrap() {
            all.push(String::from_utf8(line.clone()).unwrap());
        }
        (all.concat(), lines.finish())
    };
    let older = store.stage(&store.tasks()).unwrap();
    let whole = older.write("tasks.jsonl", "a\n").unwrap();
    older.commit().unwrap();
    assert_eq!(read(), ("a\n".to_owned(), vec![whole]));

    let staging = store.stage(&store.tasks()).unwrap();
    let second = staging.write("date=2026-11-02/tasks.jsonl", "c\n").unwrap();
    let first = staging
        .write("date=2026-11-01/tasks.jsonl", "a\nb\n")
        .unwrap();
    staging.write("date=2026-11-01/tasks.parquet", "x").unwrap();
    staging.write("quarantine.jsonl", "q\n").unwrap();
    staging.commit().unwrap();
    assert_eq!(read(), ("a\nb\nc\n".to_owned(), vec![first, second]));
    for (path, date) in [
        ("date=2026-11-01/tasks.jsonl", Some("2026-11-01")),
        ("tasks.jsonl", Some("")),
        ("date=2026-11-01/tasks.parquet", None),
        ("2026-11-01/tasks.jsonl", None),
        ("quarantine.jsonl", None),
    ] {
        assert_eq!(task_file_date(path), date, "{path}");
    }

    // What did not change is taken over by name, and outlives the folder it was in.
    let staging = store.stage(&store.tasks()).unwrap();
    staging.reuse("date=2026-11-02/tasks.jsonl").unwrap();
    assert!(staging.reuse("date=2026-11-03/tasks.jsonl").is_err());
    staging.commit().unwrap();
    assert_eq!(read().0, "c\n");
}

#[test]
fn a_part_and_the_whole_are_hashed_in_one_reading() {
    let root = TempDir::new().unwrap();
    let store = DatasetStore::new(root.path());
    put(&store, &store.tasks(), "a\nbc\nd\n");
    let hashed = |cut, bytes| {
        let (part, whole) =
            hash_parts(&store.tasks(), "data/a.jsonl", cut, bytes, &mut || ()).unwrap();
        [
            (part.rows, part.bytes, part.sha256),
            (whole.rows, whole.bytes, whole.sha256),
        ]
    };
    let (a, all) = ((1, 2, sha256("a\n")), (3, 7, sha256("a\nbc\nd\n")));
    assert_eq!(hashed(2, 7), [a.clone(), all.clone()]);
    assert_eq!(hashed(2, u64::MAX), [a.clone(), all.clone()]);
    assert_eq!(hashed(9, u64::MAX), [all.clone(), all]);
    assert_eq!(hashed(9, 2), [a.clone(), a]);
}

use std::io::{Seek, SeekFrom, Write};

use proptest::prelude::*;

use super::*;

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// As a process that dies while these run.
fn die(path: &Path, running: &[(&str, &str)]) {
    let (black_box, _) = BlackBox::open(path).unwrap();
    for (cell, request) in running {
        std::mem::forget(black_box.begin(cell, digest(request)).unwrap());
    }
}

#[test]
fn what_ran_at_a_death_is_suspect_and_what_had_ended_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("box");
    let (black_box, suspects) = BlackBox::open(&path).unwrap();
    assert_eq!(suspects, []);
    drop(black_box.begin("a", digest("fine")).unwrap());
    std::mem::forget(black_box.begin("a", digest("poison")).unwrap());
    // The forgotten mark keeps this one open, as a running process would.
    assert!(matches!(BlackBox::open(&path), Err(BlackBoxError::InUse)));
    let copy = folder.path().join("copy");
    std::fs::copy(&path, &copy).unwrap();
    let (black_box, suspects) = BlackBox::open(&copy).unwrap();
    let named: Vec<_> = suspects
        .iter()
        .map(|suspect| (&*suspect.cell, suspect.digest, suspect.times))
        .collect();
    assert_eq!(named, [("a", digest("poison"), 1)]);
    assert!(suspects[0].started_ms > 1_600_000_000_000);
    assert_eq!(black_box.condemned("a"), []);
}

#[test]
fn only_repetition_condemns_and_a_normal_end_in_between_absolves() {
    let folder = tempfile::tempdir().unwrap();
    let step = |from: &str, to: &str, running: &[(&str, &str)]| {
        die(&folder.path().join(from), running);
        std::fs::copy(folder.path().join(from), folder.path().join(to)).unwrap();
    };
    step("1", "2", &[("a", "poison"), ("a", "bystander")]);
    {
        let (black_box, suspects) = BlackBox::open(folder.path().join("2")).unwrap();
        assert_eq!(suspects.len(), 2);
        drop(black_box.begin("a", digest("bystander")).unwrap());
        assert_eq!(black_box.suspects().len(), 1);
    }
    step("2", "3", &[("a", "poison"), ("a", "bystander")]);
    let (black_box, suspects) = BlackBox::open(folder.path().join("3")).unwrap();
    assert_eq!(suspects.len(), 2);
    let condemned = black_box.condemned("a");
    assert_eq!(condemned.len(), 1);
    assert_eq!(
        (condemned[0].digest, condemned[0].times),
        (digest("poison"), 2)
    );
    assert_eq!(black_box.condemned("b"), []);
    assert_eq!(black_box.clone().refuse_after(3).condemned("a"), []);
    black_box.forget("a", &digest("poison").to_string());
    assert_eq!(black_box.condemned("a"), []);
}

#[test]
fn a_full_box_notes_no_more_and_a_settled_one_suspects_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("box");
    let (black_box, _) = BlackBox::open(&path).unwrap();
    let mut marks: Vec<_> = (0..Table::FLIGHTS)
        .map(|_| black_box.begin("a", digest("x")).unwrap())
        .collect();
    assert!(black_box.begin("a", digest("x")).is_none());
    marks.pop();
    marks.push(black_box.begin("a", digest("x")).unwrap());
    black_box.settle();
    drop((marks, black_box));
    assert_eq!(BlackBox::open(&path).unwrap().1, []);
}

#[test]
fn long_ids_are_cut_at_a_character() {
    let id = "ä".repeat(60) + "x";
    assert_eq!(name_of(&id), "ä".repeat(40));
    let odd = format!("x{id}");
    assert_eq!(name_of(&odd).len(), 79);
}

#[test]
fn foreign_and_cut_files_are_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("foreign", &b"something else"[..]), ("cut", b"BOATBOX1")] {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        let (black_box, suspects) = BlackBox::open(&path).unwrap();
        assert_eq!((black_box.was_damaged(), suspects), (true, Vec::new()));
        drop(black_box);
        assert!(!BlackBox::open(&path).unwrap().0.was_damaged());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn damage_never_stops_an_open(at in 0_usize..65_552, junk in proptest::collection::vec(any::<u8>(), 1..64)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("box");
        let suspect = Suspect { cell: "a".to_owned(), digest: digest("x"), started_ms: 1, times: 1 };
        std::fs::write(&path, Table::encode(&[suspect])).unwrap();
        let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(at as u64)).unwrap();
        file.write_all(&junk).unwrap();
        drop(file);
        BlackBox::open(&path).unwrap();
        // What was written anew is whole.
        prop_assert!(!BlackBox::open(&path).unwrap().0.was_damaged());
    }
}

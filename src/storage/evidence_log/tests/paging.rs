//! Pages of the journal.

use super::erasing::erase;
use super::*;
use crate::types::evidence::EvidenceRecord;

const ALL: PageQuery = PageQuery {
    after: None,
    newest_first: false,
    limit: 1_000,
    bytes: usize::MAX,
    scanned: usize::MAX,
};

fn seqs(page: &Page) -> Vec<u64> {
    page.records.iter().map(|record| record.seq).collect()
}

/// Every page after the other.
fn whole(dir: &Path, query: PageQuery, suits: impl Fn(&EvidenceRecord) -> bool) -> Vec<u64> {
    let (mut found, mut query) = (Vec::new(), query);
    loop {
        let page = page(dir, &query, &suits).unwrap();
        found.extend(seqs(&page));
        match page.next {
            None => return found,
            next => query.after = next,
        }
    }
}

#[test]
fn pages_of_any_size_are_the_journal_in_either_order() {
    let dir = filled(25, &small());
    erase(dir.path(), &small(), &[(7, 9)]);
    // A segment that was begun and holds nothing yet.
    open(dir.path(), &small()).0.complete_segment().unwrap();
    let oldest: Vec<u64> = (1..=26).collect();
    let newest: Vec<u64> = (1..=26).rev().collect();
    for (newest_first, expected) in [(false, oldest), (true, newest)] {
        for limit in [1, 2, 7, 25, 26, 27] {
            for (bytes, scanned) in [(usize::MAX, usize::MAX), (1, usize::MAX), (900, 500)] {
                let query = PageQuery {
                    after: None,
                    newest_first,
                    limit,
                    bytes,
                    scanned,
                };
                let found = whole(dir.path(), query, |_| true);
                assert_eq!(found, expected, "{query:?}");
                let even = whole(dir.path(), query, |record| record.seq % 2 == 0);
                let wanted: Vec<u64> = expected
                    .iter()
                    .copied()
                    .filter(|seq| seq % 2 == 0)
                    .collect();
                assert_eq!(even, wanted, "{query:?}");
            }
        }
    }
}

#[test]
fn a_page_is_bounded_in_records_bytes_and_work() {
    let dir = filled(25, &small());
    let line = line(GENESIS, 9).len();
    let two = PageQuery { limit: 2, ..ALL };
    let first = page(dir.path(), &two, |_| true).unwrap();
    assert_eq!((seqs(&first), first.next), (vec![1, 2], Some(2)));
    let small = PageQuery {
        bytes: 3 * line,
        ..ALL
    };
    assert_eq!(seqs(&page(dir.path(), &small, |_| true).unwrap()).len(), 3);
    let short = PageQuery {
        scanned: 3 * line,
        ..ALL
    };
    let nothing = page(dir.path(), &short, |_| false).unwrap();
    assert!(nothing.records.is_empty());
    assert!(nothing.next.is_some_and(|next| next < 6), "{nothing:?}");
    for after in [25, 26, u64::MAX] {
        let query = PageQuery {
            after: Some(after),
            ..ALL
        };
        let end = page(dir.path(), &query, |_| true).unwrap();
        assert_eq!((seqs(&end), end.next), (vec![], None));
    }
    let none = PageQuery {
        after: Some(1),
        newest_first: true,
        ..ALL
    };
    assert!(seqs(&page(dir.path(), &none, |_| true).unwrap()).is_empty());
    let absent = page(&dir.path().join("absent"), &ALL, |_| true).unwrap();
    assert_eq!(absent.next, None);
}

#[test]
fn what_is_no_record_is_counted_and_what_is_being_written_is_not() {
    let dir = filled(3, &EvidenceConfig::default());
    let path = dir.path().join(FIRST);
    let mut text = lines(&path);
    text[1] = text[1].replace("question", "Question");
    write_lines(&path, &text);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend(b"{\"body\":");
    fs::write(&path, bytes).unwrap();
    for newest_first in [false, true] {
        let query = PageQuery {
            newest_first,
            ..ALL
        };
        let page = page(dir.path(), &query, |_| true).unwrap();
        assert_eq!((page.records.len(), page.unreadable), (2, 1));
    }
}

#[test]
fn a_file_that_retention_removes_meanwhile_is_passed_over() {
    let dir = filled(25, &small());
    let listed = segments(dir.path()).unwrap();
    fs::remove_file(dir.path().join(FIRST)).unwrap();
    let read: Vec<_> = records(dir.path(), listed).collect();
    assert!(read.len() > 10 && read.iter().all(Result::is_ok));
    let newest = segments(dir.path()).unwrap().pop().unwrap();
    fs::remove_file(dir.path().join(&newest.name)).unwrap();
    let mut read = records(dir.path(), vec![newest]);
    assert!(read.next().unwrap().is_err(), "nobody removes that one");
}

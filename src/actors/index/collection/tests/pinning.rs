//! A backup's view of a collection is that of one moment, whatever happens while it is read.

use std::io::Cursor;

use super::*;
use crate::storage::backup::{Packer, Pinned, restore};

/// Packs what was pinned, restores it elsewhere, and reads it there.
fn restored(pinned: Vec<Pinned>) -> Vec<Point> {
    let mut packer = Packer::new(1);
    packer.add(pinned).unwrap();
    let mut tar = Vec::new();
    while let Some(piece) = packer.piece().unwrap() {
        tar.extend(piece);
    }
    tar.extend(packer.finish(2).unwrap());
    let root = tempfile::tempdir().unwrap();
    let data = root.path().join("data");
    restore(Cursor::new(tar), &data, &mut |_| true).unwrap();
    let copy = DurableCollection::open(&data.join("collections/docs"), config()).unwrap();
    assert!(copy.cut.is_none());
    all(&copy)
}

#[test]
fn what_is_pinned_is_the_moment_whatever_is_written_later() {
    let place = Place::new();
    let collection = place.create();
    collection
        .upsert((0..30).map(|n| point(&format!("a{n:02}"), n)).collect())
        .unwrap();
    collection.snapshot().unwrap();
    collection.delete_ids(&["a03".to_owned()]).unwrap();
    let then = all(&collection);
    let pinned = collection.pin().unwrap();
    // Appended to the same log; then a new generation, which removes the files that are held.
    collection.upsert(vec![point("b", 1)]).unwrap();
    collection.snapshot().unwrap();
    collection
        .delete_where(&filter(json!({"tag": "odd"})), NOW)
        .unwrap();
    collection.snapshot().unwrap();
    assert_ne!(all(&collection), then);
    assert_eq!(restored(pinned), then);
    assert_eq!(restored(collection.pin().unwrap()), all(&collection));
}

#[test]
fn a_pin_between_the_steps_of_a_snapshot_is_whole() {
    let place = Place::new();
    let collection = place.create();
    let points = |from: u8| {
        (from..from + 10)
            .map(|n| point(&format!("{n:03}"), n))
            .collect()
    };
    collection.upsert(points(0)).unwrap();
    let (view, manifest) = collection.begin_snapshot().unwrap();
    collection.upsert(points(10)).unwrap();
    let begun = collection.pin().unwrap();
    collection.write_snapshot(&view, &manifest).unwrap();
    let written = collection.pin().unwrap();
    manifest.store(&place.dir()).unwrap();
    let named = collection.pin().unwrap();
    collection.end_snapshot(&manifest).unwrap();
    let swept = collection.pin().unwrap();
    for pinned in [begun, written, named, swept] {
        assert_eq!(restored(pinned), all(&collection));
    }
}

#[test]
fn pins_taken_while_others_write_hold_whole_batches() {
    let place = Place::new();
    let collection = place.create();
    let ids: Vec<String> = (0..20).map(|id| format!("{id:02}")).collect();
    let batch = |n| ids.iter().map(|id| point(id, n)).collect::<Vec<_>>();
    collection.upsert(batch(0)).unwrap();
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for n in 1..=60 {
                collection.upsert(batch(n)).unwrap();
                if n % 5 == 0 {
                    collection.maintain(NOW.now_ms).unwrap();
                }
            }
        });
        let mut last = 0;
        while !writing.is_finished() {
            let known = all(&collection)[0].payload["n"].as_u64().unwrap();
            let points = restored(collection.pin().unwrap());
            let n = points[0].payload["n"].as_u64().unwrap();
            assert!(points.iter().all(|point| point.payload["n"] == n));
            assert!(n >= last && n >= known, "{n} after {last}, {known}");
            last = n;
        }
    });
    assert_eq!(restored(collection.pin().unwrap()), batch(60));
}

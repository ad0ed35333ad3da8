//! Files that somebody made up or mangled, checksums and all: told or read, but no panic and no room for what is not there.

use proptest::sample::Index;

use super::faulty_disk::quick_dir;
use super::*;
use crate::storage::reseal;

/// A way to mangle a file.
#[derive(Debug, Clone)]
enum Mangle {
    Flip(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    /// A number, of which lengths and counts are made.
    Number(Index, u64),
    /// A piece of the file, somewhere else.
    Repeat(Index, Index, u8),
}

impl Mangle {
    fn any() -> impl Strategy<Value = Self> {
        let number = prop_oneof![
            Just(0_u64),
            Just(u64::MAX),
            Just(u64::from(u32::MAX)),
            Just(256 << 20),
            Just(1 << 62),
            0_u64..300,
            any::<u64>(),
        ];
        prop_oneof![
            (any::<Index>(), any::<u8>()).prop_map(|(at, bits)| Self::Flip(at, bits)),
            any::<Index>().prop_map(Self::Cut),
            (
                any::<Index>(),
                proptest::collection::vec(any::<u8>(), 1..40)
            )
                .prop_map(|(at, bytes)| Self::Insert(at, bytes)),
            (any::<Index>(), number).prop_map(|(at, number)| Self::Number(at, number)),
            (any::<Index>(), any::<Index>(), any::<u8>())
                .prop_map(|(from, to, len)| Self::Repeat(from, to, len)),
        ]
    }

    fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Self::Flip(at, bits) => {
                let at = at.index(bytes.len());
                bytes[at] ^= bits;
            }
            Self::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Self::Insert(at, new) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Number(at, number) => {
                let at = at.index(bytes.len());
                let new = number.to_le_bytes();
                let end = bytes.len().min(at + new.len());
                bytes[at..end].copy_from_slice(&new[..end - at]);
            }
            Self::Repeat(from, to, len) => {
                let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
                let piece = bytes[from..bytes.len().min(from + usize::from(*len))].to_vec();
                bytes.splice(to..to, piece);
            }
        }
    }
}

/// A folder with everything in it: a snapshot with second vectors, a graph, a log of every kind of record.
fn template() -> Vec<(String, Vec<u8>)> {
    let place = Place::new();
    let refiner = Refiner {
        model: "better".to_owned(),
        fingerprint: "1".to_owned(),
        dim: 2,
    };
    let spec = CollectionSpec {
        refiner: Some(refiner),
        ..spec()
    };
    let collection = DurableCollection::create(&place.dir(), spec, config()).unwrap();
    let refine = |limit: usize| {
        let waiting = collection.unrefined(limit).unwrap();
        let refined = waiting.iter().map(|(id, text)| Refinement {
            id: id.clone(),
            text: index::text_hash(text),
            code: index::Code::of(&[0.6, 0.8]),
        });
        collection.refine(refined.collect()).unwrap();
    };
    let points = (0..102).map(|n| point(&format!("p{n}"), n)).collect();
    collection.upsert(points).unwrap();
    refine(20);
    collection.maintain(0).unwrap();
    collection.upsert(vec![point("x", 1)]).unwrap();
    collection.delete_ids(&["p7".to_owned()]).unwrap();
    refine(3);
    drop(collection);
    place.file("graph-");
    let names = disk::names_in(&place.dir()).unwrap().into_iter();
    let names = names.filter(|name| name != "LOCK");
    names
        .map(|name| (name.clone(), fs::read(place.dir().join(name)).unwrap()))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_mangled_collection_is_refused_or_works(
        file in any::<Index>(),
        mangles in proptest::collection::vec(Mangle::any(), 1..4),
        sealed in proptest::bool::weighted(0.8),
    ) {
        // Made once for each thread: it takes longer than a case.
        thread_local! {
            static TEMPLATE: Vec<(String, Vec<u8>)> = template();
        }
        let place = Place { root: quick_dir() };
        fs::create_dir(place.dir()).unwrap();
        let name = TEMPLATE.with(|files| {
            for (name, bytes) in files {
                fs::write(place.dir().join(name), bytes).unwrap();
            }
            let (name, bytes) = &files[file.index(files.len())];
            let mut bytes = bytes.clone();
            mangles.iter().for_each(|mangle| mangle.apply(&mut bytes));
            if sealed {
                reseal(&mut bytes);
            }
            fs::write(place.dir().join(name), bytes).unwrap();
            name.clone()
        });
        // Whatever the folder holds, it can be looked at.
        drop(repair::check(&place.dir()));
        match place.open() {
            Err(error) => prop_assert!(!name.starts_with("graph-"), "{error}"),
            Ok(collection) => {
                let dim = collection.info(0).unwrap().spec.dim;
                let mut ask = request([0.0; DIM], 5);
                ask.query_vector = Some((1_u8..).map(f32::from).take(dim).collect());
                let found = collection.search(&ask, 0).unwrap();
                prop_assert!(found.hits.len() <= 5);
                collection.maintain(0).unwrap();
                collection.snapshot().unwrap();
                let points = all(&collection);
                drop(collection);
                // What was taken for good once stays so.
                prop_assert_eq!(format!("{:?}", all(&place.open().unwrap())), format!("{points:?}"));
            }
        }
    }

    #[test]
    fn bytes_that_are_no_file_are_refused(bytes: Vec<u8>, file in 0_usize..4) {
        let place = Place { root: quick_dir() };
        drop(place.create());
        let (name, bytes) = match file {
            0 => ("MANIFEST", bytes),
            1 => ("snapshot-000000000001.bin", bytes),
            2 => ("wal-000000000001.log", bytes),
            _ => ("wal-000000000002.log", bytes),
        };
        fs::write(place.dir().join(name), bytes).unwrap();
        let error = place.open().unwrap_err();
        prop_assert!(error.to_string().contains(name), "{}", error);
    }
}

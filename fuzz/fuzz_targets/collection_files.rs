#![no_main]

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use boathouse::engines::index::{Contents, IndexConfig, IndexError, Op, Sections};
use boathouse::storage::salvage::salvage;
use boathouse::storage::snapshot::{self, Manifest, SnapshotWriter};
use boathouse::storage::wal::{self, Record, Wal};
use boathouse::types::collection::{CollectionSpec, Schema};
use boathouse::types::point::{Metric, Point};
use libfuzzer_sys::fuzz_target;

const DIM: usize = 2;
const FILES: [&str; 4] = [
    "MANIFEST",
    "snapshot-000000000001.bin",
    "graph-000000000001.bin",
    "wal-000000000001.log",
];

/// A sound folder's files.
static TEMPLATE: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let manifest = Manifest {
        spec: CollectionSpec {
            name: "docs".to_owned(),
            dim: DIM,
            metric: Metric::Dot,
            embedder: None,
            fingerprint: None,
            refiner: None,
            schema: Schema::default(),
            created_ms: 0,
        },
        generation: 1,
        lsn: 3,
    };
    let points = |range: std::ops::Range<u8>| {
        let points = range.map(|n| Point {
            id: n.to_string(),
            vector: vec![f32::from(n), 1.0],
            text: Some("words".to_owned()),
            payload: serde_json::from_str(r#"{"a": [1, 2.5, null], "b": {"c": true}}"#).unwrap(),
        });
        Op::Upsert(points.collect())
    };
    let mut contents = Contents::new(manifest.spec.clone());
    let mut file = SnapshotWriter::create(folder.path(), 1, 5, 3).unwrap();
    for op in [points(0..60), points(60..120)] {
        file.append(op.kind(), &op.encode().unwrap()).unwrap();
        contents.apply(op.into()).unwrap();
    }
    file.finish().unwrap();
    let built = Contents::graph_of(
        &contents.view(),
        Metric::Dot,
        &IndexConfig::default(),
        &Default::default(),
    );
    let mut file = SnapshotWriter::create_graph(folder.path(), &manifest).unwrap();
    for (section, numbers) in built.unwrap().sections() {
        let bytes: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
        file.append(section, &bytes).unwrap();
    }
    file.finish().unwrap();
    let mut log = Wal::create(folder.path(), 1, 6, 4).unwrap();
    for op in [points(5..9), Op::Delete(vec!["7".to_owned()])] {
        log.append(op.kind(), &op.encode().unwrap()).unwrap();
    }
    manifest.store(folder.path()).unwrap();
    FILES
        .map(|name| fs::read(folder.path().join(name)).unwrap())
        .to_vec()
});

/// A file, and pieces to lay over it, each at a place; then its length, and whether its checksums are made right.
type Input = (u8, Vec<(u16, Vec<u8>)>, Option<u16>, bool);

fuzz_target!(|input: Input| {
    let (file, pieces, len, sealed) = input;
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    for (at, (name, bytes)) in FILES.iter().zip(&*TEMPLATE).enumerate() {
        let mut bytes = bytes.clone();
        if at == usize::from(file) % FILES.len() {
            for (at, piece) in &pieces {
                let at = usize::from(*at) % (bytes.len() + 1);
                let end = bytes.len().min(at + piece.len());
                bytes.splice(at..end, piece.iter().copied());
            }
            bytes.truncate(len.map_or(usize::MAX, usize::from));
            if sealed {
                boathouse::storage::reseal(&mut bytes);
            }
        }
        fs::write(folder.path().join(name), bytes).unwrap();
    }
    // The steps of an opening.
    drop(open(folder.path()));
    drop(salvage(folder.path(), |record| {
        Op::decode(record.kind, record.body)
            .map(drop)
            .map_err(|error| error.to_string())
    }));
});

fn open(folder: &Path) -> Result<(), IndexError> {
    let manifest = Manifest::load(folder)?;
    boathouse::engines::index::check_spec(&manifest.spec)?;
    let mut contents = Contents::new(manifest.spec.clone());
    let apply = |contents: &mut Contents, record: Record<'_>| {
        let op = Op::decode(record.kind, record.body)?;
        contents.apply(op.into()).map(drop)
    };
    snapshot::read(folder, &manifest, |record| apply(&mut contents, record))?;
    let mut sections = Sections::new();
    let graph = snapshot::read_graph::<IndexError>(folder, &manifest, |record| {
        let (numbers, _) = record.body.as_chunks::<4>();
        let section = sections.entry(record.kind).or_default();
        section.extend(numbers.iter().map(|raw| u32::from_le_bytes(*raw)));
        Ok(())
    });
    if graph.is_ok_and(|found| found) {
        contents.restore_graph(sections, &IndexConfig::default());
    }
    let (generation, lsn) = (manifest.generation, manifest.lsn + 1);
    wal::recover(folder, generation, lsn, |record| apply(&mut contents, record))?;
    Ok(())
}

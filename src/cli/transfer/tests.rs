use std::fs::File;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::types::collection::{CollectionSpec, Schema};
use crate::types::point::Metric;

fn head(points: usize) -> ExportHead {
    ExportHead {
        format: 1,
        points,
        spec: CollectionSpec {
            name: "docs".to_owned(),
            dim: 3,
            metric: Metric::L2,
            embedder: Some("static-minilm".to_owned()),
            fingerprint: Some("f".to_owned()),
            refiner: None,
            schema: Schema::default(),
            backend: Default::default(),
            created_ms: 7,
        },
    }
}

fn row(at: usize) -> Row {
    let payload = json!({"at": at, "deep": {"list": [1.5, null, "ü"]}});
    Row {
        id: format!("id {at}"),
        vector: (at % 5 != 4).then(|| vec![f32::MIN_POSITIVE, -0.0, 1.0 / (at as f32 + 3.0)]),
        text: (at % 3 != 2 || at % 5 == 4).then(|| format!("text {at}")),
        payload: payload.as_object().unwrap().clone(),
        refined: at.is_multiple_of(2).then(|| SecondVector {
            scale: 0.007,
            codes: "gAB/".to_owned(),
        }),
    }
}

fn read(path: &Path) -> Result<Vec<Row>, String> {
    let source = open(path).map_err(|error| error.to_string())?;
    let rows: Result<Vec<Row>, CliError> = source.rows.collect();
    rows.map_err(|error| error.to_string())
}

fn parquet(path: &Path, rows: usize) {
    let mut file = parquet::ParquetWriter::new(File::create(path).unwrap());
    file.head(&head(rows)).unwrap();
    (0..rows).for_each(|at| file.push(row(at)).unwrap());
    file.finish().unwrap();
}

#[test]
fn parquet_keeps_every_bit_across_groups_of_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docs.parquet");
    for count in [0, 1, 10] {
        parquet(&path, count);
        let rows = read(&path).unwrap();
        assert_eq!(rows, (0..count).map(row).collect::<Vec<_>>());
        let bits = |row: &Row| row.vector.as_ref().map(|v| v[1].to_bits());
        assert!(
            rows.iter()
                .all(|row| bits(row).is_none_or(|bits| bits == 0x8000_0000))
        );
        assert_eq!(open(&path).unwrap().head, Some(head(count)));
    }
    // Three groups.
    let mut file = parquet::ParquetWriter::new(File::create(&path).unwrap());
    let long = |at: usize| Row {
        text: Some("long ".repeat(1 << 20)),
        ..row(at)
    };
    (0..9).for_each(|at| file.push(long(at)).unwrap());
    file.finish().unwrap();
    assert_eq!(read(&path).unwrap(), (0..9).map(long).collect::<Vec<_>>());
    assert_eq!(open(&path).unwrap().head, None);
}

#[test]
fn json_lines_that_are_cut_short_or_wrong_are_told_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("docs.jsonl");
    let head = json!({"export": head(1)});
    let (point, end) = (
        json!({"id": 7, "vector": [1.0]}),
        json!({"end": {"points": 1}}),
    );
    let newer = json!({"export": {"format": 2, "points": 1, "spec": head["export"]["spec"]}});
    let check = |lines: &[&Value], expected: &str| {
        let text: Vec<String> = lines.iter().map(|line| line.to_string()).collect();
        std::fs::write(&path, text.join("\n")).unwrap();
        match read(&path) {
            Ok(rows) => assert_eq!(expected, format!("{} rows", rows.len()), "{lines:?}"),
            Err(error) => assert!(error.contains(expected), "{lines:?}: {error}"),
        }
    };
    check(&[&head, &point, &end], "1 rows");
    check(&[&point, &point], "2 rows");
    check(&[], "0 rows");
    check(&[&head, &point], "the end is missing");
    check(
        &[&head, &end],
        "line 2: the end counts 1, before it: 0 points",
    );
    check(&[&head, &point, &end, &point], "line 4: more after the end");
    check(
        &[&newer],
        "line 1: the export has format 2, this version reads 1",
    );
    check(
        &[&json!({"id": "a"})],
        "line 1: point a has neither vector nor text",
    );
    check(&[&json!({"vector": [1.0]})], "id must be a string");
    check(
        &[&json!({"id": "a", "vektor": [1.0]})],
        "unknown field `vektor`",
    );
    check(
        &[&json!({"id": "a", "vector": ["x"]})],
        "line 1: invalid type",
    );
    std::fs::write(&path, b"\xff\n").unwrap();
    assert!(read(&path).unwrap_err().contains("line 1"));
}

#[test]
fn a_file_of_another_kind_is_told_by_its_name() {
    let error = open(Path::new("docs.csv")).err().unwrap().to_string();
    assert!(error.contains("must end in .jsonl or .parquet"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn a_mangled_parquet_file_is_an_error_or_other_rows(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), 1..=255_u8), 1..6),
        len in any::<proptest::sample::Index>(),
        cut: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("docs.parquet");
        parquet(&path, 5);
        let mut bytes = std::fs::read(&path).unwrap();
        for (at, bits) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= bits;
        }
        if cut {
            bytes.truncate(len.index(bytes.len()));
        }
        std::fs::write(&path, bytes).unwrap();
        if let Err(error) = read(&path) {
            prop_assert!(error.contains("docs.parquet"), "{error}");
        }
    }
}

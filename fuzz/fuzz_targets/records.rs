#![no_main]

use boathouse::engines::index::{Contents, Op};
use boathouse::types::collection::{CollectionSpec, Schema};
use boathouse::types::point::Metric;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, Vec<u8>)| {
    let (kind, body) = input;
    let Ok(op) = Op::decode(kind, &body) else {
        return;
    };
    let again = op.encode().expect("what decodes encodes");
    assert_eq!(again, body);
    let spec = CollectionSpec {
        name: "docs".to_owned(),
        dim: 2,
        metric: Metric::Dot,
        embedder: None,
        fingerprint: None,
        refiner: None,
        schema: Schema::default(),
        created_ms: 0,
    };
    // Refused, or applied.
    drop(Contents::new(spec).apply(op.into()));
});

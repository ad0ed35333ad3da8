#![no_main]

use boathouse::engines::index::Filter;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|input: (&[u8], &[u8])| {
    let (Ok(filter), payload) = (
        serde_json::from_slice::<Value>(input.0),
        serde_json::from_slice::<Map<String, Value>>(input.1).unwrap_or_default(),
    ) else {
        return;
    };
    if let Ok(filter) = Filter::parse(&filter) {
        let once = filter.matches(&payload);
        assert_eq!(filter.matches(&payload), once);
    }
});

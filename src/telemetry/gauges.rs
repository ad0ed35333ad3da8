//! Figures that are read when metrics are exported.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

/// One figure with its values now.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// Such as `boathouse.cell.queue`.
    pub name: &'static str,
    /// By UCUM, such as `By` or `{request}`.
    pub unit: &'static str,
    /// What it says.
    pub help: &'static str,
    /// Whether it only grows.
    pub grows: bool,
    /// Each with the label and word that tell it from the others, if any.
    pub values: Vec<(Option<(&'static str, String)>, u64)>,
}

/// Reads all figures. The names are the same each time.
pub type Readings = Arc<dyn Fn() -> Vec<Reading> + Send + Sync>;

/// Has them read before each export.
pub(super) fn register(meter: &Meter, readings: Readings) {
    for reading in readings() {
        let readings = Arc::clone(&readings);
        let now = move || {
            let all = readings().into_iter();
            let own = all.filter(move |other| other.name == reading.name);
            own.flat_map(|own| own.values).map(|(label, value)| {
                let label = label.map(|(key, word)| KeyValue::new(key, word));
                (value, label)
            })
        };
        // An instrument lives on in its meter.
        if reading.grows {
            let _ = meter
                .u64_observable_counter(reading.name)
                .with_unit(reading.unit)
                .with_description(reading.help)
                .with_callback(move |observer| {
                    for (value, label) in now() {
                        observer.observe(value, label.as_slice());
                    }
                })
                .build();
        } else {
            let _ = meter
                .u64_observable_gauge(reading.name)
                .with_unit(reading.unit)
                .with_description(reading.help)
                .with_callback(move |observer| {
                    for (value, label) in now() {
                        observer.observe(value, label.as_slice());
                    }
                })
                .build();
        }
    }
}

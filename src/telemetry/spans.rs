//! Our spans in the SDK's form.

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind as Kind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::SCOPE;
use crate::types::trace::{Attribute, Span, SpanKind};

/// The span as the exporter takes it.
pub(super) fn exported(span: Span) -> SpanData {
    let flags = TraceFlags::default().with_sampled(span.place.sampled);
    let (trace_id, span_id) = (span.place.trace_id, span.place.span_id);
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(trace_id),
            SpanId::from(span_id),
            flags,
            false,
            TraceState::default(),
        ),
        parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from),
        // Only a server's parent is in another process.
        parent_span_is_remote: span.story.kind == SpanKind::Server && span.parent.is_some(),
        span_kind: match span.story.kind {
            SpanKind::Server => Kind::Server,
            SpanKind::Client => Kind::Client,
        },
        name: span.story.name.into(),
        start_time: span.start,
        end_time: span.end,
        attributes: span.story.attributes.into_iter().map(key_value).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: span.story.error.map_or(Status::Unset, Status::error),
        instrumentation_scope: InstrumentationScope::builder(SCOPE)
            .with_version(env!("CARGO_PKG_VERSION"))
            .build(),
    }
}

pub(super) fn key_value((key, value): (&'static str, Attribute)) -> KeyValue {
    let value: Value = match value {
        Attribute::Text(text) => text.into(),
        Attribute::Integer(count) => count.into(),
        Attribute::Float(measure) => measure.into(),
        Attribute::List(words) => {
            let words = words.into_iter().map(opentelemetry::StringValue::from);
            Value::Array(opentelemetry::Array::String(words.collect()))
        }
    };
    KeyValue::new(key, value)
}

//! Sends traces and metrics to an OpenTelemetry collector, by OTLP over HTTP.
//!
//! Requests hand over what ended and go on: everything else happens on threads of the SDK. What a collector does not take in time is
//! dropped.

mod collector;
mod gauges;
mod instruments;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, MetricExporter, RetryPolicy, SpanExporter, WithExportConfig as _,
    WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, IdGenerator as _, RandomIdGenerator, SpanProcessor as _,
};
use tokio::sync::oneshot;

use crate::transport::Transport;
use crate::types::trace::{Span, SpanSink};
use collector::Collector;
pub use gauges::{Reading, Readings};
use instruments::Instruments;

/// The name that our spans and metrics come under.
const SCOPE: &str = "boathouse";

/// Spans that wait for the collector where they hold questions and answers, 64 KiB each; one more is dropped.
const CONTENT_SPANS: usize = 256;

/// Where to, and how much.
#[derive(Debug, Clone)]
pub struct Options {
    /// The collector, such as `http://127.0.0.1:4318`; `/v1/traces` and `/v1/metrics` are put behind it.
    pub endpoint: String,
    /// `service.name`.
    pub service_name: String,
    /// Share of the traces that begin here, 0 to 1.
    pub sampling_ratio: f64,
    /// Time between two exports of spans.
    pub span_interval: Duration,
    /// Time between two exports of metrics.
    pub metrics_interval: Duration,
    /// Longest wait for the collector.
    pub timeout: Duration,
    /// Whether questions and answers are told.
    pub capture_content: bool,
}

/// The way to the collector.
pub struct Telemetry {
    spans: BatchSpanProcessor,
    meters: SdkMeterProvider,
    instruments: Instruments,
    ids: RandomIdGenerator,
    /// Traces whose id, in part, is below this are exported.
    sampled_below: u64,
    capture_content: bool,
}

impl Telemetry {
    /// Starts it, inside a tokio runtime. `readings` are asked before each export of metrics.
    ///
    /// Errors: an endpoint that is none.
    pub fn start(options: &Options, readings: Readings) -> Result<Arc<Self>, String> {
        let collector = Arc::new(Collector::new(options.timeout));
        let resource = Resource::builder()
            .with_service_name(options.service_name.clone())
            .with_attributes([
                opentelemetry::KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
                opentelemetry::KeyValue::new("service.instance.id", instance()),
            ])
            .build();
        let base = options.endpoint.trim_end_matches('/');
        let failed = |error: ExporterBuildError| error.to_string();
        let spans = SpanExporter::builder()
            .with_http()
            .with_shared_http_client(collector.clone())
            .with_endpoint(format!("{base}/v1/traces"))
            .with_timeout(options.timeout)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(failed)?;
        let metrics = MetricExporter::builder()
            .with_http()
            .with_shared_http_client(collector)
            .with_endpoint(format!("{base}/v1/metrics"))
            .with_timeout(options.timeout)
            .with_retry_policy(RetryPolicy::disabled())
            .build()
            .map_err(failed)?;
        let mut config = BatchConfigBuilder::default().with_scheduled_delay(options.span_interval);
        if options.capture_content {
            // Each may hold a question and an answer.
            config = config
                .with_max_queue_size(CONTENT_SPANS)
                .with_max_export_batch_size(CONTENT_SPANS / 4);
        }
        let mut spans = BatchSpanProcessor::new(spans, config.build());
        spans.set_resource(&resource);
        let reader = PeriodicReader::builder(metrics).with_interval(options.metrics_interval);
        let meters = SdkMeterProvider::builder()
            .with_resource(resource)
            .with_reader(reader.build())
            .build();
        let meter = meters.meter(SCOPE);
        gauges::register(&meter, readings);
        Ok(Arc::new(Self {
            spans,
            instruments: Instruments::new(&meter),
            meters,
            ids: RandomIdGenerator::default(),
            sampled_below: threshold(options.sampling_ratio),
            capture_content: options.capture_content,
        }))
    }

    /// Sends what is left, within `budget`.
    pub async fn stop(self: Arc<Self>, budget: Duration) {
        let (done, ended) = oneshot::channel();
        // The SDK blocks while the runtime sends for it, so it needs another thread. One that does not end in time is left behind.
        let stopping = std::thread::Builder::new().name("telemetry-stop".to_owned());
        let spawned = stopping.spawn(move || {
            let spans = self.spans.shutdown_with_timeout(budget);
            let metrics = self.meters.shutdown_with_timeout(budget);
            let _ = done.send(spans.and(metrics));
        });
        if let Err(error) = spawned {
            return tracing::warn!(%error, "telemetry could not be stopped");
        }
        match tokio::time::timeout(budget, ended).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::debug!(%error, "the last telemetry was not taken"),
            _ => tracing::warn!("the last telemetry was not taken in time"),
        }
    }
}

impl SpanSink for Telemetry {
    fn ended(&self, span: Span) {
        self.instruments.count(&span);
        if span.place.sampled {
            self.spans.on_end(spans::exported(span));
        }
    }

    fn chance(&self) -> u64 {
        u64::from_be_bytes(self.ids.new_span_id().to_bytes())
    }

    fn samples(&self, trace_id: u128) -> bool {
        // The lower half, as every SDK does, so that services of one ratio choose the same traces.
        let part = (trace_id & u128::from(u64::MAX)) as u64 >> 1;
        part < self.sampled_below
    }

    fn wants_content(&self) -> bool {
        self.capture_content
    }
}

/// The share of 63 bits.
fn threshold(ratio: f64) -> u64 {
    // Saturates, which is what is wanted of 1.
    (ratio * (1_u64 << 63) as f64) as u64
}

/// Tells this process from one before or beside it.
fn instance() -> String {
    RandomIdGenerator::default().new_trace_id().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_is_a_share_of_the_ids() {
        assert_eq!(threshold(0.0), 0);
        assert_eq!(threshold(0.5), 1 << 62);
        assert!(threshold(1.0) > u64::MAX >> 1);
    }
}

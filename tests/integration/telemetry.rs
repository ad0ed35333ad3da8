//! What an OpenTelemetry collector is sent, decoded.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

use boathouse::config::Settings;
use boathouse::engines::embedding::EmbedderConfig;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::metrics::v1::{Metric, metric::Data};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use serde_json::{Value, json};

use crate::harness::{Process, command, serve_with, settings};
use crate::upstream::{Reply, Upstream};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Path and body of each request that came.
type Taken = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Takes OTLP over HTTP. Its threads end with the process.
struct Collector {
    address: SocketAddr,
    taken: Taken,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&taken);
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let kept = Arc::clone(&kept);
                std::thread::spawn(move || take(socket.unwrap(), &kept));
            }
        });
        Self { address, taken }
    }

    fn of<T: prost::Message + Default>(&self, path: &str) -> Vec<T> {
        let taken = self.taken.lock().unwrap();
        let own = taken.iter().filter(|(head, _)| head.contains(path));
        own.map(|(_, body)| T::decode(body.as_slice()).unwrap())
            .collect()
    }

    fn spans(&self) -> Vec<Span> {
        let sent: Vec<ExportTraceServiceRequest> = self.of("POST /v1/traces ");
        let resources = sent.into_iter().flat_map(|sent| sent.resource_spans);
        let scopes = resources.flat_map(|resource| {
            let named = resource.resource.unwrap().attributes;
            assert_eq!(text(&named, "service.name").as_deref(), Some("house"));
            resource.scope_spans
        });
        scopes.flat_map(|scope| scope.spans).collect()
    }

    fn metrics(&self) -> Vec<Metric> {
        let sent: Vec<ExportMetricsServiceRequest> = self.of("POST /v1/metrics ");
        let resources = sent.into_iter().flat_map(|sent| sent.resource_metrics);
        let scopes = resources.flat_map(|resource| resource.scope_metrics);
        scopes.flat_map(|scope| scope.metrics).collect()
    }
}

/// Answers the requests of one connection until it is closed.
fn take(mut socket: TcpStream, kept: &Mutex<Vec<(String, Vec<u8>)>>) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8(bytes[..end].to_vec())
                .unwrap()
                .to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            let whole = end + 4 + length.unwrap().parse::<usize>().unwrap();
            if bytes.len() >= whole {
                assert!(
                    head.contains("content-type: application/x-protobuf"),
                    "{head}"
                );
                let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
                kept.lock()
                    .unwrap()
                    .push((head, bytes[end + 4..whole].to_vec()));
                bytes.drain(..whole);
                let _ = socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                continue;
            }
        }
        match socket.read(&mut buffer) {
            Ok(read @ 1..) => bytes.extend_from_slice(&buffer[..read]),
            _ => return,
        }
    }
}

fn any(attributes: &[KeyValue], name: &str) -> Option<Any> {
    let found = attributes.iter().find(|attribute| attribute.key == name)?;
    found.value.clone()?.value
}

fn text(attributes: &[KeyValue], name: &str) -> Option<String> {
    match any(attributes, name)? {
        Any::StringValue(text) => Some(text),
        Any::IntValue(count) => Some(count.to_string()),
        Any::ArrayValue(list) => match list.values.first()?.value.clone()? {
            Any::StringValue(text) => Some(text),
            other => panic!("{name}: {other:?}"),
        },
        other => panic!("{name}: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn with_collector(folder: &Path, endpoint: String, upstream: &Upstream) -> Settings {
    let mut settings = settings(folder);
    settings.telemetry.endpoint = endpoint;
    settings.telemetry.service_name = "house".to_owned();
    settings.telemetry.span_interval_ms = 50;
    settings.telemetry.metrics_interval_ms = 50;
    let chat = json!({
        "retry": {"max_attempts": 1},
        "providers": {"up": {"kind": "openai", "base_url": upstream.base_url()}},
        "routes": {"main": {"candidates": ["up/bad", "up/good"]}},
    });
    settings.chat = serde_json::from_value(chat).unwrap();
    settings
}

fn upstream() -> Upstream {
    let good = json!({"id": "x", "object": "chat.completion", "model": "good", "choices": [{"index": 0,
        "finish_reason": "stop", "message": {"role": "assistant", "content": "a secret answer"}}],
        "usage": {"prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29}});
    let bad = json!({"error": {"message": "down"}});
    Upstream::start_each(vec![Reply::json(500, &bad), Reply::json(200, &good)])
}

fn question() -> Value {
    json!({"model": "main", "temperature": 0.5, "messages": [{"role": "user", "content": "a secret question"}]})
}

#[test]
fn a_request_is_one_trace_from_the_client_to_the_upstreams() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, upstream) = (Collector::start(), upstream());
    let endpoint = format!("http://{}", collector.address);
    serve_with(
        with_collector(folder.path(), endpoint, &upstream),
        async |api| {
            let sent = format!("00-{TRACE}-{PARENT}-01");
            let headers = [("traceparent", sent.as_str()), ("x-request-id", "house-1")];
            let answer = api
                .post_with(&headers, "/v1/chat/completions", question())
                .await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let texts = json!({"model": "static-minilm", "input": "three small words"});
            api.ok("/v1/embeddings", texts).await;
            assert_eq!(api.get("/nowhere").await.status, 404);
        },
    );

    let spans = collector.spans();
    let named = |name: &str| -> &Span {
        let mut found = spans.iter().filter(|span| span.name == name);
        found.next().unwrap_or_else(|| panic!("{name}: {spans:?}"))
    };
    let server = named("POST /v1/chat/completions");
    assert_eq!(server.kind, SpanKind::Server as i32);
    assert_eq!(
        (hex(&server.trace_id), hex(&server.parent_span_id)),
        (TRACE.into(), PARENT.into())
    );
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.route", "/v1/chat/completions"),
        ("http.response.status_code", "200"),
        ("boathouse.request_id", "house-1"),
    ] {
        assert_eq!(
            text(&server.attributes, name).as_deref(),
            Some(value),
            "{name}"
        );
    }
    let chat = named("chat main");
    assert_eq!(chat.trace_id, server.trace_id);
    assert_eq!(chat.parent_span_id, server.span_id);
    assert_eq!(chat.kind, SpanKind::Client as i32);
    for (name, value) in [
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.provider.name", "up"),
        ("gen_ai.request.model", "main"),
        ("gen_ai.response.model", "good"),
        ("gen_ai.response.finish_reasons", "stop"),
        ("gen_ai.usage.input_tokens", "19"),
        ("gen_ai.usage.output_tokens", "10"),
        ("boathouse.attempts", "2"),
    ] {
        assert_eq!(
            text(&chat.attributes, name).as_deref(),
            Some(value),
            "{name}"
        );
    }
    assert_eq!(
        any(&chat.attributes, "gen_ai.request.temperature"),
        Some(Any::DoubleValue(0.5))
    );
    assert!(chat.end_time_unix_nano >= chat.start_time_unix_nano);

    // Each try, in its order, with what the upstream was told.
    let tries: Vec<&Span> = spans
        .iter()
        .filter(|span| span.name == "upstream up")
        .collect();
    let told = upstream.requests();
    assert_eq!((tries.len(), told.len()), (2, 2));
    for (span, request) in tries.iter().zip(&told) {
        assert_eq!(span.parent_span_id, chat.span_id);
        let place = format!("traceparent: 00-{TRACE}-{}-01", hex(&span.span_id));
        assert!(request.contains(&place), "{place}: {request}");
        assert!(
            request.contains("\nx-client-request-id: house-1"),
            "{request}"
        );
        assert!(!request.contains("\nx-request-id:"), "{request}");
    }
    assert!(text(&tries[0].attributes, "error.type").is_some());
    assert_eq!(
        text(&tries[1].attributes, "boathouse.outcome").as_deref(),
        Some("ok")
    );

    let embeddings = named("embeddings static-minilm");
    assert_ne!(embeddings.trace_id, server.trace_id);
    assert!(text(&embeddings.attributes, "gen_ai.usage.input_tokens").is_some());
    assert_eq!(named("GET").parent_span_id.len(), 0);
    assert!(!format!("{spans:?}").contains("secret"));
}

#[test]
fn upstreams_of_embedding_continue_the_trace_of_the_request_that_asks() {
    let folder = tempfile::tempdir().unwrap();
    let collector = Collector::start();
    let one = json!({"model": "m", "embeddings": [[3, 4]], "prompt_eval_count": 5});
    let upstream = Upstream::start(Reply::json(200, &one));
    let endpoint = format!("http://{}", collector.address);
    let mut settings = with_collector(folder.path(), endpoint, &upstream);
    let far = EmbedderConfig {
        kind: "ollama".into(),
        base_url: upstream.base_url(),
        model: "m".into(),
        ..EmbedderConfig::default()
    };
    settings.embedding.embedders.insert("far".into(), far);
    let chat = json!({"model": "extractive", "retrieval": {"collection": "docs"},
        "messages": [{"role": "user", "content": "where does it sail?"}]});
    let asked = [
        (
            "/v1/embeddings",
            json!({"model": "far", "input": "a boat"}),
            "embeddings far",
        ),
        (
            "/api/embed",
            json!({"model": "far", "input": "a raft"}),
            "POST /api/embed",
        ),
        (
            "/v1/collections/docs/points",
            json!({"points": [{"id": 1, "text": "a ship"}]}),
            "POST /v1/collections/{name}/points",
        ),
        (
            "/v1/collections/docs/search",
            json!({"query": "a yacht"}),
            "POST /v1/collections/{name}/search",
        ),
        ("/v1/chat/completions", chat, "chat extractive"),
    ];
    serve_with(settings, async |api| {
        let sent = format!("00-{TRACE}-{PARENT}-01");
        for (path, body, _) in &asked {
            let answer = api
                .post_with(&[("traceparent", &sent)], path, body.clone())
                .await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            if *path == "/api/embed" {
                let made = api
                    .put("/v1/collections/docs", json!({"embedder": "far"}))
                    .await;
                assert_eq!(made.status, 201, "{}", made.text());
            }
        }
    });
    let spans = collector.spans();
    let told = upstream.requests();
    // The dimension is asked for on behalf of the first.
    let parents =
        std::iter::once("embeddings far").chain(asked.iter().map(|(_, _, parent)| *parent));
    assert_eq!(told.len(), asked.len() + 1, "{told:?}");
    for (request, parent) in told.iter().zip(parents) {
        let place = format!("traceparent: 00-{TRACE}-");
        let at = request
            .find(&place)
            .unwrap_or_else(|| panic!("{parent}: {request}"));
        let id = &request[at + place.len()..][..16];
        let span = spans.iter().find(|span| hex(&span.span_id) == id);
        let span = span.unwrap_or_else(|| panic!("{id}: {spans:?}"));
        assert_eq!(span.name, "upstream far");
        for (name, value) in [
            ("gen_ai.provider.name", "far"),
            ("gen_ai.request.model", "m"),
            ("boathouse.outcome", "ok"),
        ] {
            assert_eq!(
                text(&span.attributes, name).as_deref(),
                Some(value),
                "{name}"
            );
        }
        let above = spans.iter().find(|one| one.span_id == span.parent_span_id);
        assert_eq!(above.map(|one| one.name.as_str()), Some(parent));
    }
}

#[test]
fn metrics_count_every_request_also_those_of_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, upstream) = (Collector::start(), upstream());
    let endpoint = format!("http://{}/", collector.address);
    let mut settings = with_collector(folder.path(), endpoint, &upstream);
    settings.telemetry.sampling_ratio = 0.0;
    serve_with(settings, async |api| {
        api.ok("/v1/chat/completions", question()).await;
        api.collection("docs", &["x"]).await;
    });
    assert_eq!(collector.spans(), []);
    let metrics = collector.metrics();
    let last = |name: &str| -> &Metric {
        let found = metrics.iter().rev().find(|metric| metric.name == name);
        found.unwrap_or_else(|| panic!("no {name}"))
    };
    let histogram = |name: &str| match last(name).data.clone().unwrap() {
        Data::Histogram(histogram) => histogram.data_points,
        other => panic!("{name}: {other:?}"),
    };
    let tokens = histogram("gen_ai.client.token.usage");
    for (kind, sum) in [("input", 19.0), ("output", 10.0)] {
        let of_kind = |point: &&opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint| {
            text(&point.attributes, "gen_ai.token.type").as_deref() == Some(kind)
        };
        let point = tokens.iter().find(of_kind).unwrap();
        assert_eq!(point.sum, Some(sum));
        assert_eq!(
            text(&point.attributes, "gen_ai.response.model").as_deref(),
            Some("good")
        );
    }
    assert_eq!(histogram("gen_ai.client.operation.duration")[0].count, 1);
    let http = histogram("http.server.request.duration");
    let routes: Vec<String> = http
        .iter()
        .filter_map(|point| text(&point.attributes, "http.route"))
        .collect();
    assert!(
        routes.contains(&"/v1/collections/{name}".to_owned()),
        "{routes:?}"
    );
    match last("boathouse.collections").data.clone().unwrap() {
        Data::Gauge(gauge) => assert_eq!(gauge.data_points.len(), 1),
        other => panic!("{other:?}"),
    }
    match last("boathouse.cell.restarts").data.clone().unwrap() {
        Data::Sum(sum) => {
            let cells = sum
                .data_points
                .iter()
                .map(|point| text(&point.attributes, "cell").unwrap());
            assert!(
                sum.is_monotonic
                    && cells
                        .into_iter()
                        .any(|cell| cell == "root/engines/embedding")
            );
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn contents_are_sent_only_where_the_settings_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let (collector, upstream) = (Collector::start(), upstream());
    let endpoint = format!("http://{}", collector.address);
    let mut settings = with_collector(folder.path(), endpoint, &upstream);
    settings.telemetry.capture_content = true;
    serve_with(settings, async |api| {
        api.ok("/v1/chat/completions", question()).await;
    });
    let spans = collector.spans();
    let chat = spans.iter().find(|span| span.name == "chat main").unwrap();
    let asked = text(&chat.attributes, "gen_ai.input.messages").unwrap();
    let asked: Value = serde_json::from_str(&asked).unwrap();
    assert_eq!(asked[0]["parts"][0]["content"], "a secret question");
    let answered = text(&chat.attributes, "gen_ai.output.messages").unwrap();
    assert!(answered.contains("a secret answer"), "{answered}");
}

#[test]
fn a_dead_collector_costs_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = free.local_addr().unwrap();
    drop(free);
    let upstream = upstream();
    serve_with(
        with_collector(folder.path(), format!("http://{dead}"), &upstream),
        async |api| {
            for count in 0..50 {
                let texts = json!({"model": "static-minilm", "input": format!("text {count}")});
                api.ok("/v1/embeddings", texts).await;
            }
            api.ok("/v1/chat/completions", question()).await;
            assert_eq!(api.get("/readyz").await.status, 200);
        },
    );
}

#[test]
fn lines_of_the_log_carry_the_requests_id() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = free.local_addr().unwrap();
    drop(free);
    let config = folder.path().join("boathouse.toml");
    let settings = format!(
        "[log]\nformat = \"json\"\nfilter = \"info,boathouse=debug\"\n[chat.retry]\nmax_attempts = 1\n\
         [chat.providers.up]\nkind = \"openai\"\nbase_url = \"http://{nobody}\"\n"
    );
    std::fs::write(&config, settings).unwrap();
    let mut server = command();
    server
        .arg("--config")
        .arg(&config)
        .args(["serve", "--port", "0", "--data"]);
    server.arg(folder.path().join("data"));
    let server = Process::logging(&mut server, std::fs::File::create(&log).unwrap());
    actix_web::rt::System::new().block_on(async {
        let api = crate::harness::Api::new(server.address);
        let asked = json!({"model": "up/m", "messages": [{"role": "user", "content": "a secret question"}]});
        let headers = [("x-request-id", "house-7")];
        let answer = api.post_with(&headers, "/v1/chat/completions", asked).await;
        assert!(answer.status >= 500, "{}", answer.text());
        assert_eq!(answer.json()["error"]["request_id"], "house-7");
        let kept = api.get("/v1/evidence?kind=chat&limit=1").await.json();
        assert_eq!(kept["records"][0]["body"]["request_id"], "house-7", "{kept}");
    });
    let text = std::fs::read_to_string(&log).unwrap();
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let own: Vec<Value> = lines
        .filter(|line| line["fields"]["request_id"] == "house-7")
        .collect();
    for message in ["chat call failed", "request answered"] {
        assert!(
            own.iter().any(|line| line["fields"]["message"] == message),
            "{message}: {text}"
        );
    }
    assert!(!text.contains("secret"), "{text}");
}

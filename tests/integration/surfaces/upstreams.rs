//! Scripted upstreams of every kind, with the golden files of the providers' own tests.

use std::collections::BTreeMap;

use boathouse::engines::chat::ProviderConfig;
use serde_json::{Value, json};

use crate::harness::{Api, serve_with, settings};
use crate::upstream::{Reply, Upstream};

macro_rules! golden {
    ($path:literal) => {
        include_str!(concat!(
            "../../../src/engines/chat/providers/fixtures/",
            $path
        ))
    };
}

/// What an upstream does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Script {
    Plain,
    Tools,
    /// Refuses for its rate.
    Busy,
    /// Breaks off after "Hel".
    Cut,
}

/// A kind of provider: whole and streamed answers, and how results of tools are sent to it.
pub(super) struct Kind {
    pub(super) name: &'static str,
    stream_type: &'static str,
    plain: (&'static str, &'static str),
    tools: (&'static str, &'static str),
    /// From where on "Hel" is cut.
    broken_midway: &'static str,
    /// Checks the last request, with calls and their results.
    pub(super) check_results: fn(&Value, &str),
}

pub(super) const KINDS: [Kind; 4] = [
    Kind {
        name: "openai",
        stream_type: "text/event-stream",
        plain: (golden!("openai/plain.json"), golden!("openai/plain.sse")),
        tools: (golden!("openai/tools.json"), golden!("openai/tools.sse")),
        broken_midway: golden!("openai/broken_midway.sse"),
        check_results: |sent, of| {
            let [.., asked, one, two] = sent["messages"].as_array().unwrap().as_slice() else {
                panic!("{of}: {sent}");
            };
            let calls = &asked["tool_calls"];
            assert_eq!(
                calls[0]["function"]["arguments"], "{\"city\":\"Paris\"}",
                "{of}"
            );
            assert_eq!(one["tool_call_id"], calls[0]["id"], "{of}");
            assert_eq!(one["content"], "7 degrees", "{of}");
            assert_eq!(two["tool_call_id"], calls[1]["id"], "{of}");
        },
    },
    Kind {
        name: "ollama",
        stream_type: "application/x-ndjson",
        plain: (golden!("ollama/plain.json"), golden!("ollama/plain.ndjson")),
        tools: (golden!("ollama/tools.json"), golden!("ollama/tools.ndjson")),
        broken_midway: golden!("ollama/broken_midway.ndjson"),
        check_results: |sent, of| {
            let [.., asked, one, two] = sent["messages"].as_array().unwrap().as_slice() else {
                panic!("{of}: {sent}");
            };
            let arguments = &asked["tool_calls"][0]["function"]["arguments"];
            assert_eq!(arguments, &json!({"city": "Paris"}), "{of}");
            assert_eq!(one["tool_name"], "get_weather", "{of}");
            assert_eq!(one["content"], "7 degrees", "{of}");
            assert_eq!(two["tool_name"], "get_time", "{of}");
        },
    },
    Kind {
        name: "anthropic",
        stream_type: "text/event-stream",
        plain: (
            golden!("anthropic/plain.json"),
            golden!("anthropic/plain.sse"),
        ),
        tools: (
            golden!("anthropic/tools.json"),
            golden!("anthropic/tools.sse"),
        ),
        broken_midway: golden!("anthropic/broken_midway.sse"),
        check_results: |sent, of| {
            let [.., asked, answered] = sent["messages"].as_array().unwrap().as_slice() else {
                panic!("{of}: {sent}");
            };
            let (asked, answered) = (&asked["content"], &answered["content"]);
            assert_eq!(asked[0]["input"], json!({"city": "Paris"}), "{of}");
            for (place, text) in ["7 degrees", "noon"].into_iter().enumerate() {
                assert_eq!(answered[place]["type"], "tool_result", "{of}");
                assert_eq!(answered[place]["tool_use_id"], asked[place]["id"], "{of}");
                assert_eq!(answered[place]["content"][0]["text"], text, "{of}");
            }
        },
    },
    Kind {
        name: "gemini",
        stream_type: "text/event-stream",
        plain: (golden!("gemini/plain.json"), golden!("gemini/plain.sse")),
        tools: (golden!("gemini/tools.json"), golden!("gemini/tools.sse")),
        broken_midway: golden!("gemini/broken_midway.sse"),
        check_results: |sent, of| {
            let [.., asked, answered] = sent["contents"].as_array().unwrap().as_slice() else {
                panic!("{of}: {sent}");
            };
            let call = &asked["parts"][0];
            assert_eq!(
                call["functionCall"]["args"],
                json!({"city": "Paris"}),
                "{of}"
            );
            assert!(call["thoughtSignature"].is_string(), "{of}: {call}");
            let result = &answered["parts"][0]["functionResponse"];
            assert_eq!(result["name"], "get_weather", "{of}");
            assert_eq!(result["response"]["result"], "7 degrees", "{of}");
            let second = &answered["parts"][1]["functionResponse"];
            assert_eq!(second["name"], "get_time", "{of}");
        },
    },
];

impl Kind {
    /// The model that does so.
    pub(super) fn model(&self, script: Script, stream: bool) -> String {
        format!("{}/m", self.provider(script, stream))
    }

    fn provider(&self, script: Script, stream: bool) -> String {
        format!("{}-{script:?}-{stream}", self.name)
    }

    fn reply(&self, script: Script, stream: bool) -> Reply {
        let busy = json!({"error": {"message": "slow down", "type": "rate_limit_error"}});
        let (whole, streamed) = match script {
            Script::Plain => self.plain,
            Script::Tools => self.tools,
            Script::Busy => return Reply::json(429, &busy),
            Script::Cut => {
                let end = self.broken_midway.find("Hel").unwrap();
                let end = end + self.broken_midway[end..].find('\n').unwrap();
                return Reply::cut(&format!("{}\n\n", &self.broken_midway[..end]));
            }
        };
        if stream {
            Reply::stream(self.stream_type, streamed)
        } else {
            Reply::json(200, &serde_json::from_str(whole).unwrap())
        }
    }
}

/// The upstreams that run.
pub(super) struct Upstreams(BTreeMap<String, Upstream>);

impl Upstreams {
    /// The body of the last request.
    pub(super) fn last(&self, kind: &Kind, script: Script, stream: bool) -> Value {
        let requests = self.0[&kind.provider(script, stream)].requests();
        let last = requests.last().unwrap();
        let (_, body) = last.split_once("\r\n\r\n").unwrap();
        serde_json::from_str(body).unwrap()
    }
}

/// Runs `test` against a server with a provider for every kind and script.
pub(super) fn serve_kinds(test: impl AsyncFnOnce(Api, Upstreams)) {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.chat.retry.max_attempts = 1;
    settings.chat.breaker.failures = 1_000;
    let mut running = BTreeMap::new();
    for kind in &KINDS {
        for script in [Script::Plain, Script::Tools, Script::Busy, Script::Cut] {
            for stream in [false, true] {
                let upstream = Upstream::start(kind.reply(script, stream));
                let provider = ProviderConfig {
                    kind: Some(kind.name.to_owned()),
                    base_url: Some(upstream.base_url()),
                    ..ProviderConfig::default()
                };
                let name = kind.provider(script, stream);
                settings.chat.providers.insert(name.clone(), provider);
                running.insert(name, upstream);
            }
        }
    }
    serve_with(settings, async move |api| {
        test(api, Upstreams(running)).await
    });
}

//! The dispatcher and its cells in a real tree, against a scripted server.

use std::time::Duration;

use supervisors::{ChildPolicy, Deadline, Fault, Policy, SupervisorSpec, Tree};

use super::{Chat, ChatFailure, child_specs};
use crate::engines::chat::{ChatConfig, ChatError, Collector};
use crate::transport::loopback::{Server, Step};
use crate::types::chat::{ChatEvent, ChatMessage, ChatRequest, FinishReason, Passage, Role};
use crate::types::error_kind::ErrorKind;

const PLAIN: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\
    connection: close\r\ncontent-length: 127\r\n\r\n\
    {\"id\":\"x\",\"choices\":[{\"message\":{\"content\":\"hello\"},\"finish_reason\":\"stop\"}],\
    \"usage\":{\"prompt_tokens\":3,\"completion_tokens\":1}}";
const SSE: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
const ROLE: &str =
    "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const HEL: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hel\"}}]}\n\n";
const LO: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"lo\"},\
    \"finish_reason\":\"stop\"}]}\n\n\
    data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n\
    data: [DONE]\n\n";
const FAILS: &str = "HTTP/1.1 500 Oops\r\nconnection: close\r\ncontent-length: 28\r\n\r\n\
    {\"error\":{\"message\":\"oops\"}}";
const REFUSES: &str = "HTTP/1.1 400 No\r\nconnection: close\r\ncontent-length: 27\r\n\r\n\
    {\"error\":{\"message\":\"bad\"}}";

/// Runs `work` with a dispatcher whose provider `up` is the server and whose model `main` falls
/// back.
fn with_chat(server: &Server, settings: &str, work: impl AsyncFnOnce(Chat, Tree)) {
    let config: ChatConfig = toml::from_str(&format!(
        "retry = {{ max_attempts = 1, base_ms = 1, max_ms = 2 }}\n{settings}\n\
         [routes.main]\ncandidates = [\"up/m\", \"extractive\"]\n\
         [providers.up]\nkind = \"openai\"\nbase_url = \"{}\"\n\
         first_token_timeout_ms = 300\nidle_timeout_ms = 300\n",
        server.url()
    ))
    .unwrap();
    config.validate().unwrap();
    actix::System::new().block_on(async {
        let (specs, chat) = child_specs(&ChildPolicy::default(), &config, |_| None).unwrap();
        let root = SupervisorSpec::new("chat", Policy::default());
        let root = specs.into_iter().fold(root, SupervisorSpec::child);
        let tree = Tree::start(root, 7).await.unwrap();
        work(chat, tree).await;
    });
}

fn request(model: &str) -> ChatRequest {
    let passage = Passage {
        collection: "docs".into(),
        id: "1".into(),
        score: 1.0,
        text: "The boat is blue.".into(),
        title: None,
        role: None,
    };
    ChatRequest {
        model: model.into(),
        messages: vec![ChatMessage::new(Role::User, "which boat is blue?")],
        passages: Some(vec![passage]),
        ..ChatRequest::default()
    }
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(10))
}

fn outcomes(attempts: &[crate::types::evidence::AttemptEvidence]) -> Vec<String> {
    let word = |outcome: &str| outcome.split(':').next().unwrap_or_default().to_owned();
    attempts
        .iter()
        .map(|tried| format!("{} {}", tried.candidate, word(&tried.outcome)))
        .collect()
}

/// Reads a stream to its end.
async fn read(
    chat: &Chat,
    model: &str,
) -> Result<(Collector, Vec<String>), (String, Fault<ChatError>)> {
    let mut stream = match chat.stream(&request(model), soon()).await {
        Ok(stream) => stream,
        Err(ChatFailure { fault, .. }) => return Err((String::new(), fault)),
    };
    let mut collector = Collector::default();
    loop {
        match stream.next().await {
            Some(Ok(event)) => collector.push(&event),
            Some(Err(fault)) => {
                assert!(stream.next().await.is_none(), "an error ends the stream");
                return Err((collector.text().to_owned(), fault));
            }
            None => return Ok((collector, outcomes(stream.attempts()))),
        }
    }
}

#[test]
fn a_plain_answer_comes_from_the_upstream() {
    let server = Server::start(vec![vec![Step::Send(PLAIN)]]);
    with_chat(&server, "", async |chat, _tree| {
        let answer = chat.complete(&request("up/m"), soon()).await.unwrap();
        assert_eq!(answer.reply.text, "hello");
        assert_eq!(answer.reply.usage.unwrap().prompt_tokens, 3);
        assert_eq!(outcomes(&answer.attempts), ["up/m ok"]);
        let sent = server.requests().concat();
        assert!(sent.starts_with("POST /chat/completions") && sent.contains("\"model\":\"m\""));
    });
}

#[test]
fn a_stream_comes_in_pieces() {
    let script = [SSE, ROLE, HEL, LO].map(Step::Send).to_vec();
    let server = Server::start(vec![script]);
    with_chat(&server, "", async |chat, _tree| {
        let (collector, tried) = read(&chat, "up/m").await.unwrap();
        assert_eq!(collector.finish(), Some(FinishReason::Stop));
        let reply = collector.into_reply();
        assert_eq!(
            (reply.text.as_str(), reply.usage.unwrap().completion_tokens),
            ("hello", 2)
        );
        assert_eq!(tried, ["up/m ok"]);
    });
}

#[test]
fn a_stream_of_the_embedded_provider_is_cut_into_sentences() {
    let server = Server::start(Vec::new());
    with_chat(&server, "", async |chat, _tree| {
        let (collector, tried) = read(&chat, "extractive").await.unwrap();
        assert_eq!(collector.text(), "“The boat is blue.” [1]");
        assert_eq!(tried, ["extractive ok"]);
    });
}

#[test]
fn an_answer_that_is_cut_after_content_is_an_error_and_never_spliced() {
    for last in [Vec::new(), vec![Step::Hold]] {
        let mut script = [SSE, ROLE, HEL].map(Step::Send).to_vec();
        let holds = !last.is_empty();
        script.extend(last);
        let server = Server::start(vec![script]);
        with_chat(&server, "", async |chat, _tree| {
            let (text, fault) = read(&chat, "main").await.unwrap_err();
            assert_eq!(text, "hel");
            match fault {
                Fault::App(ChatError::Cut { .. }) => assert!(!holds),
                Fault::App(ChatError::Timeout {
                    phase,
                    after_ms: 300,
                    ..
                }) => {
                    assert!(holds && phase.contains("next bytes"), "{phase}");
                }
                other => panic!("{other:?}"),
            }
        });
    }
}

#[test]
fn before_any_content_the_next_candidate_takes_over() {
    for (script, word) in [
        (vec![Step::Send(FAILS)], "upstream_error"),
        (vec![Step::Send(SSE), Step::Send(ROLE)], "cut"),
        (
            vec![Step::Send(SSE), Step::Send(ROLE), Step::Hold],
            "timeout",
        ),
        (vec![Step::Hold], "timeout"),
    ] {
        let server = Server::start(vec![script]);
        with_chat(&server, "", async |chat, _tree| {
            let (collector, tried) = read(&chat, "main").await.unwrap();
            assert!(collector.text().contains("blue"), "{word}");
            assert_eq!(tried, [format!("up/m {word}"), "extractive ok".to_owned()]);
        });
    }
}

#[test]
fn a_refusal_of_the_request_is_final() {
    let server = Server::start(vec![vec![Step::Send(REFUSES)]]);
    with_chat(&server, "", async |chat, _tree| {
        let failed = chat.complete(&request("main"), soon()).await.unwrap_err();
        assert!(matches!(
            failed.fault,
            Fault::App(ChatError::Rejected { status: 400, .. })
        ));
        assert_eq!(outcomes(&failed.attempts), ["up/m rejected"]);
    });
}

#[test]
fn what_can_be_retried_is_retried_and_a_broken_provider_is_left_alone() {
    let fails = || vec![Step::Send(FAILS)];
    let server = Server::start(vec![fails(), vec![Step::Send(PLAIN)], fails(), fails()]);
    let settings = "breaker = { failures = 2, open_ms = 60000 }";
    with_chat(&server, &format!("{settings}\n"), async |chat, _tree| {
        // One try each: failure, success (which resets), failure, failure (which opens).
        for (ok, word) in [(false, "up/m upstream_error"), (true, "up/m ok")] {
            let answer = chat.complete(&request("up/m"), soon()).await;
            let tried = match &answer {
                Ok(answer) => &answer.attempts,
                Err(failed) => &failed.attempts,
            };
            assert_eq!(outcomes(tried), [word]);
            assert_eq!(answer.is_ok(), ok);
        }
        for _ in 0..2 {
            chat.complete(&request("up/m"), soon()).await.unwrap_err();
        }
        let failed = chat.complete(&request("up/m"), soon()).await.unwrap_err();
        assert!(
            matches!(failed.fault, Fault::App(ChatError::Open { .. })),
            "{failed:?}"
        );
        let answer = chat.complete(&request("main"), soon()).await.unwrap();
        assert_eq!(outcomes(&answer.attempts), ["up/m open", "extractive ok"]);
        assert_eq!(server.requests().len(), 4);
    });
}

#[test]
fn a_client_that_goes_away_takes_the_upstreams_call_with_it() {
    let hold = |start: &[&'static str]| {
        let mut script: Vec<Step> = start.iter().copied().map(Step::Send).collect();
        script.push(Step::Hold);
        script
    };
    let mut server = Server::start(vec![hold(&[SSE, HEL]), hold(&[])]);
    let url = server.url();
    let idle = Server::start(Vec::new());
    let settings = format!("[providers.slow]\nkind = \"openai\"\nbase_url = \"{url}\"\n");
    with_chat(&idle, &settings, async |chat, _tree| {
        let mut stream = chat.stream(&request("slow/m"), soon()).await.unwrap();
        assert!(matches!(stream.next().await, Some(Ok(ChatEvent::Delta(_)))));
        drop(stream);
        server.closed_by_client().await;
        let request = request("slow/m");
        let asking = chat.complete(&request, soon());
        let gave_up = tokio::time::timeout(Duration::from_millis(100), asking).await;
        assert!(gave_up.is_err());
        server.closed_by_client().await;
    });
}

#[test]
fn a_crash_in_one_provider_costs_its_request_and_the_next_candidate_answers() {
    let server = Server::start(vec![vec![Step::Send(PLAIN)]]);
    with_chat(&server, "", async |chat, tree| {
        tree.crash_next("up").unwrap();
        let (collector, tried) = read(&chat, "main").await.unwrap();
        assert!(collector.text().contains("blue"));
        assert_eq!(tried.len(), 2);
        assert!(tried[0].starts_with("up/m crashed"), "{tried:?}");
        let answer = chat.complete(&request("up/m"), soon()).await.unwrap();
        assert_eq!(answer.reply.text, "hello", "a fresh worker");
    });
}

#[test]
fn a_name_that_nobody_has_is_told_what_there_is() {
    let server = Server::start(Vec::new());
    with_chat(&server, "", async |chat, _tree| {
        let failed = chat.complete(&request("nobody"), soon()).await.unwrap_err();
        let text = failed.fault.to_string();
        assert!(
            text.contains("nobody") && text.contains("main, extractive"),
            "{text}"
        );
        assert!(failed.attempts.is_empty());
    });
}

#[test]
fn a_bound_on_requests_is_kept_and_the_next_candidate_is_asked() {
    let server = Server::start(vec![vec![Step::Send(PLAIN)]]);
    let idle = Server::start(Vec::new());
    let settings = format!(
        "[providers.paced]\nkind = \"openai\"\nbase_url = \"{}\"\nrequests_per_minute = 1\n\
         [routes.both]\ncandidates = [\"paced/m\", \"extractive\"]\n",
        server.url()
    );
    with_chat(&idle, &settings, async |chat, _tree| {
        chat.complete(&request("paced/m"), soon()).await.unwrap();
        let failed = chat.complete(&request("paced/m"), soon()).await;
        let Fault::App(error) = failed.unwrap_err().fault else {
            panic!("no error of the dispatcher");
        };
        assert_eq!(error.kind(), ErrorKind::TooManyRequests);
        assert!(
            error.retry_after_ms().is_some_and(|wait| wait > 0),
            "{error}"
        );
        assert!(
            error.to_string().contains("no more than 1 requests"),
            "{error}"
        );
        let answer = chat.complete(&request("both"), soon()).await.unwrap();
        assert_eq!(
            outcomes(&answer.attempts),
            ["paced/m paced", "extractive ok"]
        );
        assert_eq!(server.requests().len(), 1);
    });
}

#[test]
fn a_bound_on_tokens_counts_what_a_stream_really_took() {
    // 4 tokens are guessed and 5 are told: 4 + 4 would fit into 8, 5 + 4 do not.
    let script = [SSE, HEL, LO].map(Step::Send).to_vec();
    let server = Server::start(vec![script]);
    let idle = Server::start(Vec::new());
    let settings = format!(
        "[providers.paced]\nkind = \"openai\"\nbase_url = \"{}\"\ntokens_per_minute = 8\n",
        server.url()
    );
    with_chat(&idle, &settings, async |chat, _tree| {
        read(&chat, "paced/m").await.unwrap();
        let (_, fault) = read(&chat, "paced/m").await.unwrap_err();
        assert!(
            matches!(fault, Fault::App(ChatError::Paced { of: "tokens", .. })),
            "{fault:?}"
        );
    });
}

#[test]
fn a_silent_candidate_is_raced_by_the_next_and_cancelled() {
    let mut server = Server::start(vec![vec![Step::Hold], vec![Step::Hold]]);
    let idle = Server::start(Vec::new());
    let settings = format!(
        "[providers.slow]\nkind = \"openai\"\nbase_url = \"{}\"\n[routes.raced]\n\
         candidates = [\"slow/m\", \"extractive\"]\nhedge_after_ms = 150\n",
        server.url()
    );
    with_chat(&idle, &settings, async |chat, _tree| {
        let tried = ["slow/m cancelled", "extractive ok"];
        let answer = chat.complete(&request("raced"), soon()).await.unwrap();
        assert_eq!(answer.candidate.provider, "extractive");
        assert_eq!(outcomes(&answer.attempts), tried);
        server.closed_by_client().await;
        let (collector, streamed) = read(&chat, "raced").await.unwrap();
        assert!(collector.text().contains("blue"));
        assert_eq!(streamed, tried);
        server.closed_by_client().await;
    });
}

#[test]
fn a_candidate_that_fails_is_not_waited_for_and_one_in_time_is_not_raced() {
    let scripts = vec![vec![Step::Send(FAILS)], vec![Step::Send(PLAIN)]];
    let server = Server::start(scripts);
    let idle = Server::start(Vec::new());
    let settings = format!(
        "[providers.quick]\nkind = \"openai\"\nbase_url = \"{}\"\n[routes.raced]\n\
         candidates = [\"quick/m\", \"extractive\"]\nhedge_after_ms = 600000\n",
        server.url()
    );
    with_chat(&idle, &settings, async |chat, _tree| {
        let answer = chat.complete(&request("raced"), soon()).await.unwrap();
        let tried = ["quick/m upstream_error", "extractive ok"];
        assert_eq!(outcomes(&answer.attempts), tried);
        let answer = chat.complete(&request("raced"), soon()).await.unwrap();
        assert_eq!(outcomes(&answer.attempts), ["quick/m ok"]);
    });
}

#[test]
fn a_route_asks_first_whom_it_prefers() {
    let idle = Server::start(Vec::new());
    let settings = "[prices.\"up/m\"]\ninput = 1\noutput = 2\n[prices.extractive]\ninput = 0\noutput = 0\n\
         [routes.cheap]\ncandidates = [\"up/m\", \"extractive\"]\nprefer = \"cost\"\n\
         [routes.heavy]\ncandidates = [\"up/m\", \"extractive\"]\nprefer = \"weight\"\n\
         weights = [0, 1]\n";
    with_chat(&idle, settings, async |chat, _tree| {
        for model in ["cheap", "heavy"] {
            let answer = chat.complete(&request(model), soon()).await.unwrap();
            assert_eq!(outcomes(&answer.attempts), ["extractive ok"], "{model}");
        }
    });
}

#[test]
fn a_route_that_prefers_the_quick_asks_the_slow_last() {
    let server = Server::start(vec![vec![Step::Send(PLAIN)]]);
    let settings =
        "[routes.quick]\ncandidates = [\"up/m\", \"extractive\"]\nprefer = \"latency\"\n";
    with_chat(&server, settings, async |chat, _tree| {
        // Nobody was asked yet, so the order of the settings counts.
        let answer = chat.complete(&request("quick"), soon()).await.unwrap();
        assert_eq!(outcomes(&answer.attempts), ["up/m ok"]);
        chat.latencies().push(&answer.candidate, 60_000);
        let answer = chat.complete(&request("quick"), soon()).await.unwrap();
        assert_eq!(outcomes(&answer.attempts), ["extractive ok"]);
    });
}

/// A kind, its pings, and a piece of its streams.
const DRIPS: [(&str, &str, &str); 4] = [
    ("openai", ": OPENROUTER PROCESSING\n\n", HEL),
    (
        "anthropic",
        "event: ping\ndata: {\"type\": \"ping\"}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,\
         \"delta\":{\"type\":\"text_delta\",\"text\":\"hel\"}}\n\n",
    ),
    (
        "gemini",
        ": wait\n\n",
        "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hel\"}]}}]}\n\n",
    ),
    (
        "ollama",
        "\n",
        "{\"message\":{\"role\":\"assistant\",\"content\":\"hel\"},\"done\":false}\n",
    ),
];

#[test]
fn pings_silence_and_a_slow_drip_each_meet_their_bound_whatever_the_kind() {
    for (which, phase) in ["the first piece", "the next bytes", "the answer"]
        .into_iter()
        .enumerate()
    {
        let script = |(_, ping, piece): (&str, &'static str, &'static str)| {
            let mut script = vec![Step::Send(SSE)];
            script.extend(match which {
                0 => vec![Step::Drip(ping)],
                1 => vec![Step::Send(piece), Step::Hold],
                _ => vec![Step::Send(piece), Step::Drip(piece)],
            });
            script
        };
        let servers = DRIPS.map(|drip| Server::start(vec![script(drip)]));
        let mut settings = String::new();
        for ((kind, ..), server) in DRIPS.iter().zip(&servers) {
            settings += &format!(
                "[providers.{kind}]\nkind = \"{kind}\"\nbase_url = \"{}\"\n\
                 first_token_timeout_ms = 300\nidle_timeout_ms = 400\ntotal_timeout_ms = 900\n",
                server.url()
            );
        }
        let idle = Server::start(Vec::new());
        with_chat(&idle, &settings, async |chat, _tree| {
            let names = DRIPS.map(|(kind, ..)| format!("{kind}/m"));
            let all = futures_util::future::join_all(names.iter().map(|name| read(&chat, name)));
            for ((kind, ..), ended) in DRIPS.iter().zip(all.await) {
                let (text, fault) = ended.unwrap_err();
                assert_eq!(text.is_empty(), which == 0, "{kind} {phase}: {text}");
                let Fault::App(ChatError::Timeout { phase: found, .. }) = &fault else {
                    panic!("{kind} {phase}: {fault:?}");
                };
                assert!(found.contains(phase), "{kind}: {found}, expected {phase}");
            }
        });
    }
}

//! The Model Context Protocol, message by message; the official client is in `tests/clients/`.

use std::io::Write as _;
use std::process::Stdio;

use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Process, command, serve};

const ACCEPT: &str = "application/json, text/event-stream";
const VERSION: &str = "2025-06-18";
const HEADERS: [(&str, &str); 3] = [
    ("content-type", "application/json"),
    ("accept", ACCEPT),
    ("mcp-protocol-version", VERSION),
];

fn request(method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
}

fn initialize(version: &str) -> Value {
    let client = json!({"name": "test", "version": "1"});
    let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
    request("initialize", params)
}

async fn ask(api: &Api, message: Value) -> Answer {
    api.post_with(&HEADERS, "/mcp", message).await
}

/// Asks, expects an answer, and returns its result.
async fn result(api: &Api, method: &str, params: Value) -> Value {
    let answer = ask(api, request(method, params)).await;
    assert_eq!(answer.status, 200, "{method}: {}", answer.text());
    let body = answer.json();
    assert_eq!((&body["jsonrpc"], &body["id"]), (&json!("2.0"), &json!(7)));
    assert!(body.get("error").is_none(), "{method}: {body}");
    body["result"].clone()
}

async fn call(api: &Api, tool: &str, arguments: Value) -> Value {
    result(
        api,
        "tools/call",
        json!({"name": tool, "arguments": arguments}),
    )
    .await
}

/// Calls a tool that works, and returns what it gave; its text is the same as JSON.
async fn done(api: &Api, tool: &str, arguments: Value) -> Value {
    let called = call(api, tool, arguments).await;
    assert_eq!(called["isError"], false, "{tool}: {called}");
    let text = called["content"][0]["text"].as_str().unwrap();
    let given: Value = serde_json::from_str(text).unwrap();
    assert_eq!(given, called["structuredContent"]);
    given
}

#[test]
fn a_client_is_welcomed_in_its_version_and_needs_no_session() {
    serve(async |api| {
        for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
            let headers = [("content-type", "application/json"), ("accept", ACCEPT)];
            let answer = api.post_with(&headers, "/mcp", initialize(version)).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.header("content-type"), "application/json");
            assert_eq!(answer.header("mcp-session-id"), "");
            let welcome = &answer.json()["result"];
            assert_eq!(welcome["protocolVersion"], version);
            assert_eq!(welcome["serverInfo"]["name"], "boathouse");
            assert!(welcome["capabilities"]["tools"].is_object());
            assert!(
                welcome["instructions"]
                    .as_str()
                    .unwrap()
                    .contains("`search`")
            );
        }
        let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let taken = ask(&api, note).await;
        assert_eq!((taken.status, taken.bytes.len()), (202, 0));
        assert_eq!(result(&api, "ping", json!({})).await, json!({}));
        for method in [Method::Get, Method::Delete] {
            assert_eq!(api.send(method, "/mcp", "").await.status, 405);
        }
    });
}

#[test]
fn five_tools_are_listed_with_their_schemas() {
    serve(async |api| {
        let listed = result(&api, "tools/list", json!({})).await;
        let tools = listed["tools"].as_array().unwrap();
        let names: Vec<&str> = tools
            .iter()
            .map(|tool| tool["name"].as_str().unwrap())
            .collect();
        assert_eq!(
            names,
            ["search", "answer", "validate", "ingest", "feedback"]
        );
        let search = &tools[0]["inputSchema"];
        assert_eq!(search["required"], json!(["collection", "query"]));
        assert!(search["properties"]["k"]["description"].is_string());
        for (tool, reads) in tools.iter().zip([true, true, true, false, false]) {
            assert_eq!(tool["annotations"]["readOnlyHint"], reads, "{tool}");
        }
    });
}

#[test]
fn texts_are_stored_found_answered_from_and_judged() {
    serve(async |api| {
        let texts = json!([
            {"id": "ferry/1", "text": "The ferry to the island leaves at nine.", "payload": {"year": 2024}},
            {"text": "The baker opens at seven."},
        ]);
        let stored = done(
            &api,
            "ingest",
            json!({"collection": "docs", "texts": texts, "create": true}),
        )
        .await;
        assert_eq!(
            (&stored["created"], &stored["stored"]),
            (&json!(true), &json!(2))
        );
        assert_eq!(stored["ids"][0], "ferry/1");
        // The same text is the same point.
        let again = json!({"collection": "docs", "texts": [{"text": "The baker opens at seven."}]});
        let again = done(&api, "ingest", again).await;
        assert_eq!(
            (&again["created"], &again["ids"][0]),
            (&json!(false), &stored["ids"][1])
        );
        let count = api.ok("/v1/collections/docs/points/count", json!({})).await;
        assert_eq!(count["count"], 2);

        let asked = json!({"collection": "docs", "query": "when does the ferry leave?",
            "filter": {"year": {"$gte": 2000}}, "mode": "hybrid"});
        let found = done(&api, "search", asked).await;
        assert_eq!(found["hits"].as_array().unwrap().len(), 1, "{found}");
        let hit = &found["hits"][0];
        assert_eq!(
            (&hit["id"], &hit["payload"]["year"]),
            (&json!("ferry/1"), &json!(2024))
        );
        let uri = "boathouse://collections/docs/points/ferry%2F1";
        assert_eq!(hit["uri"], uri);
        let read = result(&api, "resources/read", json!({"uri": uri})).await;
        assert!(
            read["contents"][0]["text"]
                .as_str()
                .unwrap()
                .contains("leaves at nine")
        );

        let asked = json!({"question": "When does the ferry leave?", "collection": "docs", "model": "extractive"});
        let answer = done(&api, "answer", asked).await;
        assert!(
            answer["answer"].as_str().unwrap().contains("at nine"),
            "{answer}"
        );
        assert_eq!(answer["citations"][0]["uri"], uri);
        assert_eq!(answer["finish_reason"], "stop");

        let rated = json!({"target": answer["id"], "rating": "accepted", "comment": "right"});
        assert!(done(&api, "feedback", rated).await["seq"].is_u64());

        let payload = json!({"to": "a@example.com", "subject": "Hello", "body": "Dear {{name}}"});
        let judged = done(
            &api,
            "validate",
            json!({"kind": "email", "payload": payload}),
        )
        .await;
        assert_eq!(judged["verdict"], "repairable");
        let rules = judged["findings"].as_array().unwrap();
        assert!(
            rules
                .iter()
                .any(|found| found["rule"] == "email.placeholder"),
            "{judged}"
        );
    });
}

#[test]
fn calls_leave_evidence_under_the_id_of_their_request() {
    serve(async |api| {
        api.collection("docs", &["The ferry leaves at nine."]).await;
        let mut headers = HEADERS.to_vec();
        headers.push(("x-request-id", "agent-1"));
        let asked =
            json!({"name": "search", "arguments": {"collection": "docs", "query": "ferry"}});
        let answer = api
            .post_with(&headers, "/mcp", request("tools/call", asked))
            .await;
        assert_eq!(answer.header("x-request-id"), "agent-1");
        assert_eq!(
            answer.json()["result"]["structuredContent"]["id"],
            "agent-1"
        );
        let kept = api.get("/v1/evidence?kind=search&limit=1").await.json();
        assert_eq!(
            kept["records"][0]["body"]["request_id"], "agent-1",
            "{kept}"
        );
    });
}

#[test]
fn what_a_tool_cannot_do_is_told_to_the_model() {
    serve(async |api| {
        api.collection("docs", &["The ferry leaves at nine."]).await;
        for (tool, arguments, expected) in [
            (
                "search",
                json!({"collection": "dogs", "query": "x"}),
                "no collection named dogs; there are: docs",
            ),
            (
                "search",
                json!({"collection": "docs"}),
                "missing field `query`",
            ),
            (
                "search",
                json!({"collection": "docs", "query": "x", "limit": 3}),
                "unknown field `limit`",
            ),
            (
                "search",
                json!({"collection": "docs", "query": "x", "k": "many"}),
                "invalid type",
            ),
            (
                "search",
                json!({"collection": "docs", "query": "x", "filter": {"a": {"$near": 1}}}),
                "$near",
            ),
            (
                "answer",
                json!({"question": "x", "model": "nobody"}),
                "nobody",
            ),
            (
                "answer",
                json!({"question": "x", "k": 3}),
                "k says nothing without collection",
            ),
            ("validate", json!({"kind": "smell", "payload": 1}), "smell"),
            (
                "ingest",
                json!({"collection": "new", "texts": [{"text": "x"}]}),
                "no collection named new",
            ),
            (
                "ingest",
                json!({"collection": "docs", "texts": []}),
                "at least one",
            ),
            (
                "feedback",
                json!({"target": "x", "rating": "fine"}),
                "unknown variant `fine`",
            ),
        ] {
            let called = call(&api, tool, arguments.clone()).await;
            assert_eq!(called["isError"], true, "{tool} {arguments}: {called}");
            let said = called["content"][0]["text"].as_str().unwrap();
            assert!(said.contains(expected), "{tool} {arguments}: {said}");
            assert!(said.contains("request id: req-"), "{said}");
            assert!(called.get("structuredContent").is_none());
        }
        // Nothing was made on the way.
        let listed = api.get("/v1/collections").await.json();
        assert_eq!(listed["collections"].as_array().unwrap().len(), 1);
    });
}

#[test]
fn malformed_messages_get_an_error_and_the_next_is_served() {
    serve(async |api| {
        for (message, code, expected) in [
            (
                request("tools/call", json!({"name": "swim"})),
                -32602,
                "no tool named swim; there are: search",
            ),
            (request("tools/fly", json!({})), -32601, "tools/fly"),
            (
                request("resources/read", json!({"uri": "boathouse://boats"})),
                -32002,
                "boathouse://boats",
            ),
            (
                request(
                    "resources/read",
                    json!({"uri": "boathouse://collections/x"}),
                ),
                -32002,
                "no collection named x",
            ),
            (
                request(
                    "resources/read",
                    json!({"uri": "boathouse://collections/%zz"}),
                ),
                -32002,
                "%zz",
            ),
        ] {
            let answer = ask(&api, message.clone()).await;
            let body = answer.json();
            assert_eq!(body["error"]["code"], code, "{message}: {body}");
            assert!(
                body["error"]["message"]
                    .as_str()
                    .unwrap()
                    .contains(expected),
                "{body}"
            );
        }
        for (bytes, status, code) in [
            ("{\"jsonrpc\": ", 400, -32700),
            ("\u{fffd}", 400, -32700),
            ("[]", 400, -32700),
            ("{}", 400, -32600),
            (
                "{\"jsonrpc\": \"1.0\", \"id\": 1, \"method\": \"ping\"}",
                400,
                -32600,
            ),
            (
                "{\"jsonrpc\": \"2.0\", \"id\": 1, \"result\": {}}",
                400,
                -32600,
            ),
        ] {
            let answer = api.form(&HEADERS, "/mcp", bytes).await;
            assert_eq!(answer.status, status, "{bytes}: {}", answer.text());
            let body = answer.json();
            assert_eq!(body["error"]["code"], code, "{bytes}: {body}");
            assert_eq!(body["jsonrpc"], "2.0");
        }
        let ping = request("ping", json!({}));
        let with = |changed: (&'static str, &'static str)| {
            HEADERS.map(|(name, value)| {
                if name == changed.0 {
                    changed
                } else {
                    (name, value)
                }
            })
        };
        for (changed, status) in [
            (("mcp-protocol-version", "1999-01-01"), 400),
            (("accept", "application/json"), 406),
            (("content-type", "text/plain"), 415),
        ] {
            let answer = api.post_with(&with(changed), "/mcp", ping.clone()).await;
            assert_eq!(answer.status, status, "{changed:?}: {}", answer.text());
            assert_eq!(answer.json()["error"]["code"], -32600, "{changed:?}");
        }
        let mut foreign = HEADERS.to_vec();
        foreign.push(("origin", "http://evil.example"));
        assert_eq!(
            api.post_with(&foreign, "/mcp", ping.clone()).await.status,
            403
        );
        assert_eq!(ask(&api, ping).await.status, 200);
    });
}

#[test]
fn resources_are_listed_and_read() {
    serve(async |api| {
        api.collection("docs", &["x"]).await;
        let listed = result(&api, "resources/list", json!({})).await;
        for resource in listed["resources"].as_array().unwrap() {
            let read = result(&api, "resources/read", json!({"uri": resource["uri"]})).await;
            let text = read["contents"][0]["text"].as_str().unwrap();
            assert!(
                serde_json::from_str::<Value>(text).unwrap().is_object(),
                "{resource}"
            );
        }
        let uris = json!(listed["resources"]).to_string();
        assert!(uris.contains("boathouse://collections/docs"), "{uris}");
        let templates = result(&api, "resources/templates/list", json!({})).await;
        let form = &templates["resourceTemplates"][0]["uriTemplate"];
        assert_eq!(form, "boathouse://collections/{collection}/points/{id}");
    });
}

/// Runs `boathouse mcp` with these lines on stdin; returns its lines on stdout.
fn spoken(url: &str, lines: &[String]) -> Vec<Value> {
    let mut child = command()
        .args(["mcp", "--url", url])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(lines.join("\n").as_bytes()).unwrap();
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let lines = said.lines().map(|line| serde_json::from_str(line).unwrap());
    lines.collect()
}

#[test]
fn the_command_passes_lines_on_and_ends_with_its_input() {
    let folder = tempfile::tempdir().unwrap();
    let server = Process::start(folder.path());
    let mut list = request("tools/list", json!({}));
    list["id"] = json!("list");
    let lines = [
        initialize("2025-06-18").to_string(),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string(),
        String::new(),
        "not json".to_owned(),
        list.to_string(),
        "[]".to_owned(),
    ];
    let answers = spoken(&format!("http://{}", server.address), &lines);
    let of = |id: Value| answers.iter().find(|answer| answer["id"] == id).unwrap();
    assert_eq!(answers.len(), 4, "{answers:?}");
    assert_eq!(of(json!(7))["result"]["protocolVersion"], "2025-06-18");
    let tools = of(json!("list"))["result"]["tools"].as_array().unwrap();
    assert_eq!(tools.len(), 5);
    let refused = answers.iter().filter(|answer| answer["id"].is_null());
    assert!(
        refused.clone().count() == 2 && refused.clone().all(|no| no["error"]["code"] == -32700)
    );
}

#[test]
fn without_a_server_the_command_answers_that() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let answers = spoken(
        &format!("http://{address}"),
        &[initialize(VERSION).to_string()],
    );
    assert_eq!(answers.len(), 1);
    assert_eq!(
        (&answers[0]["id"], &answers[0]["error"]["code"]),
        (&json!(7), &json!(-32603))
    );
    let said = answers[0]["error"]["message"].as_str().unwrap();
    assert!(said.contains("is the server running?"), "{said}");
}

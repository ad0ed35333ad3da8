//! API keys: what they open, what they do not, and from when on.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::Path;

use boathouse::services::keys::{NewKey, NewKeyOutput, make, revoke};
use boathouse::types::api_key::Scope;
use boathouse::types::http::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Api, Process, command, finish, serve_with, settings};

fn key(data: &Path, name: &str, scopes: &[Scope]) -> NewKeyOutput {
    bounded_key(data, name, scopes, None, None)
}

fn bounded_key(
    data: &Path,
    name: &str,
    scopes: &[Scope],
    requests_per_minute: Option<u64>,
    tokens_per_day: Option<u64>,
) -> NewKeyOutput {
    let wanted = NewKey {
        name: name.to_owned(),
        scopes: scopes.to_vec(),
        expires_in_ms: None,
        requests_per_minute,
        tokens_per_day,
    };
    make(data, wanted).unwrap()
}

/// Asks with a key.
async fn ask(api: &Api, key: &str, method: Method, path: &str, body: Value) -> Answer {
    let bearer = format!("Bearer {key}");
    api.send_with(
        &[("authorization", &bearer)],
        method,
        path,
        body.to_string(),
    )
    .await
}

fn embedding() -> Value {
    json!({"model": "static-minilm", "input": "ferry"})
}

fn question() -> Value {
    json!({
        "model": "extractive",
        "messages": [{"role": "user", "content": "when does the ferry leave?"}],
        "retrieval": {"collection": "docs"},
    })
}

#[test]
fn what_rests_is_told_to_who_may_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let data = settings.storage.data_dir.clone();
    serve_with(settings.clone(), async |api| {
        for path in ["/healthz", "/readyz"] {
            assert!(api.get(path).await.json()["degraded"].is_array(), "{path}");
        }
    });
    let reader = key(&data, "reader", &[Scope::Read]);
    let talker = key(&data, "talker", &[Scope::Chat]);
    serve_with(settings, async |api| {
        for path in ["/healthz", "/readyz"] {
            let told = api.get(path).await;
            assert_eq!(told.json(), json!({"live": true, "ready": true}), "{path}");
            for (key, seen) in [(&*reader.key, true), (&talker.key, false), ("bh_no", false)] {
                let told = ask(&api, key, Method::Get, path, json!({})).await;
                assert_eq!(told.status, 200);
                assert_eq!(told.json()["degraded"].is_array(), seen, "{path} {key}");
            }
        }
    });
}

#[test]
fn without_a_key_everything_but_health_is_refused_in_the_clients_own_form() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let made = key(&settings.storage.data_dir, "app", &[Scope::Chat]);
    serve_with(settings, async |api| {
        for path in [
            "/healthz",
            "/readyz",
            "/console/login",
            "/console/assets/any/console.css",
        ] {
            assert_eq!(api.get(path).await.status, 200, "{path}");
        }
        for (path, pointer) in [
            ("/v1/embeddings", "/error/message"),
            ("/v1/chat/completions", "/error/message"),
            ("/v1/messages", "/error/message"),
            ("/api/chat", "/error"),
            ("/v1/validate", "/detail"),
            ("/v1/nowhere", "/detail"),
        ] {
            for token in [
                None,
                Some("sk-test"),
                Some("bh_"),
                Some(&*made.key.replace('a', "b")),
            ] {
                let bearer = token.map(|token| format!("Bearer {token}"));
                let headers: Vec<(&str, &str)> = bearer
                    .iter()
                    .map(|bearer| ("authorization", bearer.as_str()))
                    .collect();
                let answer = api.post_with(&headers, path, json!({})).await;
                assert_eq!(answer.status, 401, "{path}: {}", answer.text());
                assert!(
                    answer.header("www-authenticate").starts_with("Bearer"),
                    "{path}"
                );
                let said = answer.json();
                let said = said.pointer(pointer).and_then(Value::as_str).unwrap();
                assert!(said.contains("API key"), "{path}: {said}");
                assert!(!answer.header("x-request-id").is_empty());
            }
        }
        let openai = api.post("/v1/embeddings", embedding()).await.json();
        assert_eq!(openai["error"]["code"], "missing_api_key");
        assert_eq!(openai["error"]["type"], "authentication_error");
        assert_eq!(api.get("/metrics").await.status, 401);
        // Each client's way of sending it.
        let bearer = format!("Bearer {}", made.key);
        for header in [
            ("authorization", bearer.as_str()),
            ("x-api-key", made.key.as_str()),
        ] {
            let answer = api
                .post_with(&[header], "/v1/embeddings", embedding())
                .await;
            assert_eq!(answer.status, 200, "{}", answer.text());
        }
    });
}

#[test]
fn a_key_opens_what_its_scopes_say_and_the_refusal_names_the_one_that_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let data = settings.storage.data_dir.clone();
    let all: Vec<(Scope, NewKeyOutput)> = Scope::ALL
        .into_iter()
        .map(|scope| (scope, key(&data, scope.name(), &[scope])))
        .collect();
    serve_with(settings, async |api| {
        let cases = [
            (
                Method::Put,
                "/v1/collections/docs",
                json!({}),
                Scope::Write,
                201,
            ),
            (
                Method::Post,
                "/v1/collections/docs/points",
                json!({"points": [{"id": "1", "text": "The ferry leaves at nine."}]}),
                Scope::Write,
                200,
            ),
            (
                Method::Post,
                "/v1/collections/docs/search",
                json!({"query": "ferry"}),
                Scope::Read,
                200,
            ),
            (Method::Get, "/v1/collections", json!({}), Scope::Read, 200),
            (Method::Get, "/metrics", json!({}), Scope::Read, 200),
            (Method::Get, "/openapi.json", json!({}), Scope::Read, 200),
            (
                Method::Post,
                "/v1/embeddings",
                embedding(),
                Scope::Chat,
                200,
            ),
            (
                Method::Post,
                "/v1/chat/completions",
                question(),
                Scope::Chat,
                200,
            ),
            (
                Method::Get,
                "/v1/models/static-minilm",
                json!({}),
                Scope::Chat,
                200,
            ),
            (Method::Get, "/v1/evidence", json!({}), Scope::Admin, 200),
            (
                Method::Get,
                "/v1/dead-letters",
                json!({}),
                Scope::Admin,
                200,
            ),
            (
                Method::Post,
                "/v1/supervisors/reload",
                json!({}),
                Scope::Admin,
                200,
            ),
        ];
        for (method, path, body, needed, status) in cases {
            for (scope, key) in &all {
                let answer = ask(&api, &key.key, method, path, body.clone()).await;
                if *scope == needed {
                    assert_eq!(answer.status, status, "{path}: {}", answer.text());
                } else if *scope != Scope::Admin {
                    assert_eq!(answer.status, 403, "{path} with {scope}: {}", answer.text());
                    let said = format!("the scope {needed}");
                    assert!(answer.text().contains(&said), "{path}: {}", answer.text());
                }
            }
        }
        // The path may be written in other ways; the router reads them as the same.
        let sly = ask(
            &api,
            &all[0].1.key,
            Method::Get,
            "/v1/%65vidence",
            json!({}),
        )
        .await;
        assert_eq!(sly.status, 403, "{}", sly.text());
        let admin = ask(
            &api,
            &all[3].1.key,
            Method::Get,
            "/v1/%65vidence",
            json!({}),
        )
        .await;
        assert_eq!(admin.status, 200, "{}", admin.text());
    });
}

#[test]
fn use_counts_under_the_keys_name_and_its_tokens_end() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let data = settings.storage.data_dir.clone();
    let app = bounded_key(&data, "app", &[Scope::Read, Scope::Chat], None, Some(1));
    let admin = key(&data, "chief", &[Scope::Admin]);
    serve_with(settings, async |api| {
        let made = ask(
            &api,
            &admin.key,
            Method::Put,
            "/v1/collections/docs",
            json!({}),
        )
        .await;
        assert_eq!(made.status, 201);
        let points = json!({"points": [{"id": "1", "text": "The ferry leaves at nine."}]});
        let put = ask(
            &api,
            &admin.key,
            Method::Post,
            "/v1/collections/docs/points",
            points,
        )
        .await;
        assert_eq!(put.status, 200);
        let chat = async || {
            ask(
                &api,
                &app.key,
                Method::Post,
                "/v1/chat/completions",
                question(),
            )
            .await
        };
        let answered = chat().await;
        assert_eq!(answered.status, 200, "{}", answered.text());
        let usage = ask(
            &api,
            &admin.key,
            Method::Get,
            "/v1/usage?key=app",
            json!({}),
        )
        .await;
        assert_eq!(usage.json()["total"]["requests"], 1, "{}", usage.text());
        let evidence = "/v1/evidence?kind=chat&key=app";
        let evidence = ask(&api, &admin.key, Method::Get, evidence, json!({}))
            .await
            .json();
        assert_eq!(evidence["records"][0]["body"]["key"], "app", "{evidence}");
        let over = chat().await;
        assert_eq!(over.status, 429, "{}", over.text());
        assert_eq!(over.json()["error"]["code"], "insufficient_quota");
        assert!(over.text().contains("1 token a day"), "{}", over.text());
        // Another key goes on.
        let other = ask(
            &api,
            &admin.key,
            Method::Post,
            "/v1/chat/completions",
            question(),
        )
        .await;
        assert_eq!(other.status, 200);
    });
}

/// How many records of each kind came with a key.
async fn kinds_of(api: &Api, admin: &str, key: &str) -> BTreeMap<String, usize> {
    let path = format!("/v1/evidence?key={key}&limit=1000");
    let listed = ask(api, admin, Method::Get, &path, json!({})).await.json();
    let mut kinds = BTreeMap::new();
    for record in listed["records"].as_array().unwrap() {
        assert_eq!(record["body"]["key"], key, "{record}");
        let kind = record["kind"].as_str().unwrap().to_owned();
        *kinds.entry(kind).or_default() += 1;
    }
    kinds
}

#[test]
fn whatever_leaves_evidence_names_the_key_that_it_came_with() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let data = settings.storage.data_dir.clone();
    let scopes = [Scope::Read, Scope::Write, Scope::Chat, Scope::Admin];
    let (app, desk) = (key(&data, "app", &scopes), key(&data, "desk", &scopes));
    serve_with(settings, async |api| {
        let made = ask(
            &api,
            &desk.key,
            Method::Put,
            "/v1/collections/docs",
            json!({}),
        )
        .await;
        assert_eq!(made.status, 201);
        let points = json!({"points": [{"id": "1", "text": "The ferry leaves at nine."}]});
        let email = json!({"kind": "email", "payload": {"to": "a@example.com", "subject": "Hello", "body": "The boat is ready."}});
        let mut judged = question();
        judged["validation"] = json!({"kinds": ["email"]});
        let said = json!({"target": "some-request", "rating": "accepted"});
        for (path, body) in [
            ("/v1/collections/docs/points", points),
            ("/v1/collections/docs/search", json!({"query": "ferry"})),
            (
                "/v1/collections/docs/search/batch",
                json!({"searches": [{"query": "boat"}, {"query": "nine"}]}),
            ),
            ("/v1/collections/docs/recommend", json!({"positive": ["1"]})),
            ("/v1/validate", email.clone()),
            ("/v1/validate", json!({"items": [email.clone()]})),
            ("/v1/chat/completions", judged),
            ("/v1/feedback", said.clone()),
        ] {
            let answer = ask(&api, &app.key, Method::Post, path, body).await;
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        }
        let bearer = format!("Bearer {}", app.key);
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("authorization", &bearer),
        ];
        for (tool, arguments) in [
            ("search", json!({"collection": "docs", "query": "leaves"})),
            ("validate", email),
            ("feedback", said),
        ] {
            let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": tool, "arguments": arguments}});
            let called = api.post_with(&headers, "/mcp", call).await.json();
            assert_eq!(called["result"]["isError"], false, "{called}");
        }
        let expected = [
            ("chat", 1),
            ("feedback", 2),
            ("search", 5),
            ("validation", 4),
        ];
        let expected: BTreeMap<String, usize> = expected
            .map(|(kind, count)| (kind.to_owned(), count))
            .into();
        assert_eq!(kinds_of(&api, &desk.key, "app").await, expected);
        assert_eq!(kinds_of(&api, &desk.key, "desk").await, BTreeMap::new());

        // A person in the console comes with the key of his session, and so does what he decides.
        let own = format!("http://{}", api.address);
        let form = ("content-type", "application/x-www-form-urlencoded");
        let headers = [form, ("origin", own.as_str())];
        let inside = api
            .form(&headers, "/console/login", &format!("key={}", desk.key))
            .await;
        let cookie = inside
            .header("set-cookie")
            .split(';')
            .next()
            .unwrap()
            .to_owned();
        let headers = [form, ("origin", own.as_str()), ("cookie", cookie.as_str())];
        let page = "/console/search?collection=docs&q=ferry";
        assert_eq!(
            api.send_with(&headers[1..], Method::Get, page, "")
                .await
                .status,
            200
        );
        let judged = "kind=email&payload=%7B%7D&context=&target=";
        assert_eq!(
            api.form(&headers, "/console/validators", judged)
                .await
                .status,
            200
        );
        let tasks = ask(&api, &desk.key, Method::Post, "/v1/materialize", json!({})).await;
        assert_eq!(tasks.status, 200, "{}", tasks.text());
        let waits = ask(&api, &desk.key, Method::Get, "/v1/review", json!({}))
            .await
            .json();
        let task = waits["tasks"][0]["id"]
            .as_str()
            .unwrap_or_else(|| panic!("{waits}"));
        let decided = api
            .form(
                &headers,
                &format!("/console/review/{task}"),
                "decision=accept&answer=&note=&reviewer=",
            )
            .await;
        assert_eq!(decided.status, 303, "{}", decided.text());
        let expected = [("feedback", 1), ("search", 1), ("validation", 1)];
        let expected: BTreeMap<String, usize> = expected
            .map(|(kind, count)| (kind.to_owned(), count))
            .into();
        assert_eq!(kinds_of(&api, &desk.key, "desk").await, expected);

        let journal = ask(
            &api,
            &desk.key,
            Method::Get,
            "/v1/evidence?limit=1000",
            json!({}),
        )
        .await
        .text();
        for made in [&app, &desk] {
            assert!(!journal.contains(&made.key[12..76]), "no key is told");
        }
        // What was decided of an answer of the key goes with it.
        let erase = json!({"key": "app", "reason": "request 17"});
        let erased = ask(&api, &desk.key, Method::Post, "/v1/evidence/erase", erase)
            .await
            .json();
        let kinds = json!({"chat": 1, "feedback": 3, "search": 5, "validation": 4});
        assert_eq!(erased["kinds"], kinds, "{erased}");
    });
}

#[test]
fn a_key_that_asks_too_often_waits() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let data = settings.storage.data_dir.clone();
    let slow = bounded_key(&data, "slow", &[Scope::Chat], Some(2), None);
    let other = key(&data, "other-app", &[Scope::Chat]);
    serve_with(settings, async |api| {
        for expected in [200, 200, 429] {
            let answer = ask(&api, &slow.key, Method::Post, "/v1/embeddings", embedding()).await;
            assert_eq!(answer.status, expected, "{}", answer.text());
            if expected == 429 {
                assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
                let wait: u64 = answer.header("retry-after").parse().unwrap();
                assert!((1..=60).contains(&wait), "{wait}");
            }
        }
        let answer = ask(
            &api,
            &other.key,
            Method::Post,
            "/v1/embeddings",
            embedding(),
        )
        .await;
        assert_eq!(answer.status, 200);
    });
}

/// Asks until the status is another one than `from`.
async fn until_not(api: &Api, token: &str, from: u16) -> u16 {
    for _ in 0..100_000 {
        let status = ask(api, token, Method::Get, "/v1/models", json!({}))
            .await
            .status;
        if status != from {
            return status;
        }
    }
    panic!("still {from}");
}

#[test]
fn a_running_server_notices_a_new_key_and_a_revoked_one() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let data = settings.storage.data_dir.clone();
    serve_with(settings, async |api| {
        // Nobody needs one yet.
        assert_eq!(api.get("/v1/models").await.status, 200);
        let first = key(&data, "first", &[Scope::Chat]);
        assert_eq!(until_not(&api, "", 200).await, 401);
        assert_eq!(until_not(&api, &first.key, 0).await, 200);
        let second = key(&data, "second", &[Scope::Chat]);
        assert_eq!(until_not(&api, &second.key, 401).await, 200);
        revoke(&data, "first").unwrap();
        assert_eq!(until_not(&api, &first.key, 200).await, 401);
        assert_eq!(until_not(&api, &second.key, 0).await, 200);
    });
}

#[test]
fn the_command_makes_lists_and_revokes_and_other_addresses_need_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let run = |arguments: &[&str]| finish(command().args(arguments).arg("--data").arg(&data));
    let (status, _, said) = run(&["serve", "--bind", "0.0.0.0", "--port", "0"]);
    assert_eq!(status, Some(64), "{said}");
    assert!(said.contains("boathouse keys new"), "{said}");
    let (status, _, said) = run(&["config", "check", "--bind", "0.0.0.0"]);
    assert_eq!(status, Some(64), "{said}");

    let (status, token, said) = run(&[
        "keys",
        "new",
        "app",
        "--scope",
        "read,admin",
        "--expires",
        "90d",
    ]);
    assert_eq!(status, Some(0), "{said}");
    let token = token.trim();
    assert!(token.starts_with("bh_") && !said.contains(token), "{said}");
    let (_, listed, _) = run(&["keys", "list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed[0]["name"], "app");
    assert_eq!(listed[0]["scopes"], json!(["read", "admin"]));
    assert_eq!(listed[0]["state"], "good");
    assert!(listed[0].get("hash").is_none() && listed[0].get("salt").is_none());
    let id = listed[0]["id"].as_str().unwrap();
    let (_, plain, _) = run(&["keys", "list"]);
    assert!(
        plain.contains(id) && plain.contains("read,admin"),
        "{plain}"
    );

    // With the key another address is served, and a command finds its way with it.
    let server = Process::start_with(&data, &[OsStr::new("--bind"), OsStr::new("0.0.0.0")]);
    let url = format!("http://127.0.0.1:{}", server.address.port());
    let tree = |key: Option<&str>| {
        let mut tree = command();
        tree.args(["tree", "--once", "--url", &url]);
        finish(tree.envs(key.map(|key| ("BOATHOUSE_API_KEY", key))))
    };
    let (status, _, said) = tree(None);
    assert_eq!(status, Some(1));
    assert!(said.contains("401") && said.contains("API key"), "{said}");
    let (status, out, said) = tree(Some(token));
    assert_eq!(status, Some(0), "{said}");
    assert!(out.contains("embedding"), "{out}");
    let file = folder.path().join("key");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let mut by_file = command();
    by_file
        .args(["tree", "--once", "--url", &url, "--api-key-file"])
        .arg(&file);
    let (status, _, said) = finish(&mut by_file);
    assert_eq!(status, Some(0), "{said}");
    drop(server);

    let (status, out, _) = run(&["keys", "revoke", id]);
    assert_eq!((status, out.contains(id)), (Some(0), true));
    let (status, _, said) = run(&["keys", "revoke", "nobody"]);
    assert_eq!(status, Some(1), "{said}");
    let (status, _, said) = run(&["serve", "--bind", "0.0.0.0", "--port", "0"]);
    assert_eq!(status, Some(64), "revoked keys open nothing: {said}");
}

#[test]
fn a_browser_logs_in_works_and_logs_out() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let made = key(
        &settings.storage.data_dir,
        "person",
        &[Scope::Read, Scope::Write],
    );
    serve_with(settings, async |api| {
        let page = [("accept", "text/html,*/*")];
        let away = api
            .send_with(&page, Method::Get, "/console?collection=docs&q=a%20b", "")
            .await;
        assert_eq!(away.status, 303);
        let next = "/console/login?next=/console%3Fcollection%3Ddocs%26q%3Da%2520b";
        assert_eq!(away.header("location"), next);
        let form = api.get(next).await.text();
        assert!(
            form.contains("value=\"/console?collection=docs&amp;q=a%20b\""),
            "{form}"
        );
        // What a script asks for is refused as for any other client.
        assert_eq!(api.get("/console/tree").await.status, 401);

        let own = format!("http://{}", api.address);
        let form_kind = ("content-type", "application/x-www-form-urlencoded");
        let headers = [form_kind, ("origin", own.as_str())];
        let wrong = api
            .form(&headers, "/console/login", "key=bh_x&next=/console")
            .await;
        assert_eq!(wrong.header("set-cookie"), "");
        assert!(
            wrong.text().contains("no API key of this server"),
            "{}",
            wrong.text()
        );
        let sent = format!("key={}&next=/console/review", made.key);
        let foreign = [form_kind, ("origin", "http://evil.example")];
        assert_eq!(
            api.form(&foreign, "/console/login", &sent).await.status,
            403
        );
        let inside = api.form(&headers, "/console/login", &sent).await;
        assert_eq!(
            (inside.status, inside.header("location")),
            (303, "/console/review")
        );
        let cookie = inside.header("set-cookie");
        for word in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
            assert!(cookie.contains(word), "{cookie}");
        }
        assert!(
            !cookie.contains("Secure") && !cookie.contains(&made.key[12..76]),
            "{cookie}"
        );
        let cookie = cookie.split(';').next().unwrap().to_owned();

        let get = async |path: &str| {
            api.send_with(&[("cookie", &cookie), page[0]], Method::Get, path, "")
                .await
        };
        assert_eq!(get("/console").await.status, 200);
        assert_eq!(get("/docs/").await.status, 200);
        assert_eq!(get("/v1/collections").await.status, 200);
        let refused = get("/console/review").await;
        assert_eq!(refused.status, 403);
        assert!(refused.text().contains("admin"), "{}", refused.text());

        // What changes something must come from a page of this server, also when it is this machine's.
        for (origin, status) in [
            (own.as_str(), 201),
            ("http://localhost:3000", 403),
            ("http://127.0.0.1:1", 403),
            ("null", 403),
        ] {
            let headers = [("cookie", cookie.as_str()), ("origin", origin)];
            let answer = api
                .send_with(&headers, Method::Put, "/v1/collections/docs", "{}")
                .await;
            assert_eq!(answer.status, status, "{origin}: {}", answer.text());
        }
        let bare = [("cookie", cookie.as_str())];
        let bare = api
            .send_with(&bare, Method::Put, "/v1/collections/other", "{}")
            .await;
        assert_eq!(bare.status, 403, "no word of where it comes from");

        let headers = [
            form_kind,
            ("origin", own.as_str()),
            ("cookie", cookie.as_str()),
        ];
        let out = api.form(&headers, "/console/logout", "").await;
        assert_eq!(out.status, 303);
        assert!(out.header("set-cookie").contains("Max-Age=0"));
        assert_eq!(get("/console").await.status, 303);
        assert_eq!(get("/v1/collections").await.status, 401);

        // What htmx sends at the end of a session, reading and writing: the whole page goes to the form.
        let url = format!("{own}/console/search?collection=docs&q=a%20b");
        let script = [
            ("accept", "*/*"),
            ("hx-request", "true"),
            ("hx-current-url", url.as_str()),
            ("origin", own.as_str()),
        ];
        let form = "/console/login?next=/console/search%3Fcollection%3Ddocs%26q%3Da%2520b";
        for (method, path) in [
            (Method::Get, "/console/tree"),
            (Method::Post, "/console/datasets/cancel"),
        ] {
            let answer = api.send_with(&script, method, path, "").await;
            assert_eq!(
                (answer.status, answer.header("hx-redirect")),
                (401, form),
                "{path}"
            );
        }
        for url in [
            "",
            "https://evil.example",
            "//evil.example/a",
            "javascript:1",
        ] {
            let script = [("hx-request", "true"), ("hx-current-url", url)];
            let answer = api
                .send_with(&script, Method::Get, "/console/tree", "")
                .await;
            let to = answer.header("hx-redirect");
            assert!(to.starts_with("/console/login?next=/"), "{url}: {to}");
            assert!(!to.contains("evil"), "{url}: {to}");
        }
        let api_call = api
            .send_with(&script, Method::Get, "/v1/collections", "")
            .await;
        assert_eq!((api_call.status, api_call.header("hx-redirect")), (401, ""));
    });
}

#[test]
fn a_tool_needs_the_scope_of_what_it_does() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path());
    let made = key(&settings.storage.data_dir, "agent", &[Scope::Chat]);
    serve_with(settings, async |api| {
        let bearer = format!("Bearer {}", made.key);
        let headers = [
            ("content-type", "application/json"),
            ("accept", "application/json, text/event-stream"),
            ("authorization", &bearer),
        ];
        let ask = async |method: &str, params: Value| {
            let message = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
            api.post_with(&headers, "/mcp", message).await.json()
        };
        let email =
            json!({"to": "a@example.com", "subject": "Hello", "body": "The boat is ready."});
        let judged = json!({"name": "validate", "arguments": {"kind": "email", "payload": email}});
        let judged = ask("tools/call", judged).await;
        assert_eq!(judged["result"]["isError"], false, "{judged}");
        let point = json!({"collection": "docs", "texts": [{"id": "a", "text": "A ferry."}]});
        for (tool, arguments, scope) in [
            ("ingest", point, "write"),
            (
                "search",
                json!({"collection": "docs", "query": "ferry"}),
                "read",
            ),
        ] {
            let refused = ask("tools/call", json!({"name": tool, "arguments": arguments})).await;
            assert_eq!(refused["result"]["isError"], true, "{refused}");
            let said = refused["result"]["content"][0]["text"].as_str().unwrap();
            assert!(said.contains(&format!("scope {scope}")), "{said}");
        }
        let read = ask("resources/read", json!({"uri": "boathouse://collections"})).await;
        let said = read["error"]["message"].as_str().unwrap_or_default();
        assert!(said.contains("scope read"), "{read}");
        let none = api
            .post_with(
                &headers[..2],
                "/mcp",
                json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"}),
            )
            .await;
        assert_eq!(none.status, 401);
    });
}

//! The console's pages, as a browser without scripts sees them. `tests/console/` has one with them.

use serde_json::json;

use crate::harness::{Answer, Api, Process, command, finish, serve, serve_with, settings};

const PAGES: [&str; 10] = [
    "/console",
    "/console/tree",
    "/console/collections",
    "/console/search",
    "/console/chat",
    "/console/validators",
    "/console/evidence",
    "/console/review",
    "/console/datasets",
    "/console/replays",
];
const HOSTILE: &str = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'";

/// Reads a page, and checks what holds for all of them.
async fn page(api: &Api, path: &str) -> String {
    checked(path, &api.get(path).await)
}

fn checked(path: &str, answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let policy = answer.header("content-security-policy");
    for part in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "frame-ancestors 'none'",
        "form-action 'self'",
        "base-uri 'none'",
    ] {
        assert!(policy.contains(part), "{path}: {policy}");
    }
    assert!(!policy.contains("unsafe"), "{path}: {policy}");
    assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
    // Without an origin of its own a browser's form would be refused.
    assert_eq!(answer.header("referrer-policy"), "same-origin", "{path}");
    let text = answer.text();
    assert!(
        text.contains("<title>") && text.contains("<h1>"),
        "{path}: {text}"
    );
    assert_eq!(text.matches("aria-current=\"page\"").count(), 1, "{path}");
    assert!(text.contains("href=\"#main\""), "{path}");
    for attribute in ["src=\"", "href=\"", "action=\"", "hx-get=\"", "hx-post=\""] {
        for (at, _) in text.match_indices(attribute) {
            let address = &text[at + attribute.len()..];
            assert!(
                (address.starts_with('/') && !address.starts_with("//"))
                    || address.starts_with('#'),
                "{path}: {}",
                &text[at..text.len().min(at + 80)]
            );
        }
    }
    for (at, _) in text.match_indices("<script") {
        assert!(
            text[at..].starts_with("<script src=\"/console/assets/"),
            "{path}: {text}"
        );
    }
    for inline in [
        "<style",
        " style=",
        " onclick=",
        "javascript:",
        "<img src=x",
    ] {
        assert!(!text.contains(inline), "{path}: {inline}: {text}");
    }
    text
}

async fn form(api: &Api, path: &str, fields: &[(&str, &str)]) -> Answer {
    let encoded: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    api.form(&headers, path, &encoded.join("&")).await
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Brings what a hostile client can put anywhere.
async fn fill(api: &Api) {
    let made = json!({"fields": {HOSTILE.replace('.', ""): "keyword"}});
    let made = api.put("/v1/collections/docs", made).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let points = json!({"points": [
        {"id": HOSTILE, "text": format!("The ferry leaves at nine {HOSTILE}."), "payload": {HOSTILE: HOSTILE}},
    ]});
    api.ok("/v1/collections/docs/points", points).await;
    let asked = json!({
        "model": "extractive", "user": HOSTILE,
        "messages": [{"role": "system", "content": HOSTILE}, {"role": "user", "content": "When does the ferry leave?"}],
        "retrieval": {"collection": "docs"},
    });
    let answer = api.ok("/v1/chat/completions", asked).await;
    let said = answer["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(said.contains("<script>"), "the model quotes: {said}");
    let judged =
        json!({"target": answer["id"], "rating": "rejected", "comment": HOSTILE, "user": HOSTILE});
    api.ok("/v1/feedback", judged).await;
    api.ok("/v1/collections/docs/search", json!({"query": HOSTILE}))
        .await;
    let mail =
        json!({"kind": "email", "payload": {"to": HOSTILE, "subject": HOSTILE, "body": HOSTILE}});
    api.ok("/v1/validate", mail).await;
    let conversations = json!([{
        "id": HOSTILE, "messages": [{"role": "user", "content": HOSTILE}], "answer": HOSTILE,
        "answered_by": HOSTILE, "finish_reason": "stop",
    }]);
    let body = json!({"source": "s", "conversations": conversations});
    api.ok("/v1/evidence/import", body).await;
    api.ok("/v1/materialize", json!({})).await;
}

#[test]
fn every_page_is_strict_and_names_itself() {
    serve(async |api| {
        for path in PAGES {
            let text = page(&api, path).await;
            assert!(
                text.contains(&format!("<a href=\"{path}\" aria-current=\"page\">")),
                "{path}: {text}"
            );
        }
        let root = api.get("/").await;
        assert_eq!((root.status, root.header("location")), (303, "/console"));
    });
}

#[test]
fn what_pages_load_is_compiled_in_and_kept_by_its_hash() {
    serve(async |api| {
        let text = page(&api, "/console/chat").await;
        let mut names = Vec::new();
        for (at, _) in text.match_indices("\"/console/assets/") {
            let address = text[at + 1..].split('"').next().unwrap();
            let asset = api.get(address).await;
            assert_eq!(asset.status, 200, "{address}");
            assert!(
                asset.header("cache-control").contains("immutable"),
                "{address}"
            );
            let (_, name) = address.rsplit_once('/').unwrap();
            names.push(name.to_owned());
            // One from before an update is served too, and not to be kept.
            let old = api.get(&format!("/console/assets/0/{name}")).await;
            assert_eq!((old.status, old.header("cache-control")), (200, "no-cache"));
        }
        for name in [
            "console.css",
            "console.js",
            "chat.js",
            "htmx.min.js",
            "icon.svg",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}: {names:?}");
        }
        assert_eq!(api.get("/console/assets/0/other.js").await.status, 404);
    });
}

#[test]
fn what_others_wrote_is_only_ever_text() {
    serve(async |api| {
        fill(&api).await;
        let mut paths: Vec<String> = PAGES.iter().map(|path| (*path).to_owned()).collect();
        let hostile = encoded(HOSTILE);
        paths.extend([
            "/console/collections/docs".to_owned(),
            format!("/console/collections/{hostile}"),
            format!("/console/collections/docs/points/{hostile}"),
            format!("/console/search?collection=docs&q=ferry+{hostile}&explain=1"),
            format!("/console/search?collection=docs&q=x&k={hostile}"),
            format!("/console/search?collection=docs&q=x&filter={hostile}"),
            format!("/console/search?collection={hostile}&q=x&mode={hostile}&role={hostile}"),
            format!("/console/evidence?kind={hostile}&id={hostile}&from={hostile}"),
            format!("/console/evidence/{hostile}"),
            format!("/console/tree?restarted={hostile}"),
            format!("/console/datasets?done={hostile}"),
            format!("/console/validators?kind={hostile}"),
            format!("/console/replays/{hostile}"),
            format!("/console/review/{hostile}"),
        ]);
        let records = api.get("/v1/evidence?limit=100").await.json();
        for record in records["records"].as_array().unwrap() {
            paths.push(format!("/console/evidence/{}", record["seq"]));
        }
        let tasks = api.get("/v1/review").await.json();
        for task in tasks["tasks"].as_array().unwrap() {
            paths.push(format!("/console/review/{}", task["id"].as_str().unwrap()));
        }
        let mut seen = 0;
        for path in &paths {
            let text = page(&api, path).await;
            seen += usize::from(text.contains("&lt;script&gt;"));
        }
        // It is shown, not swallowed.
        assert!(seen > 15, "{seen} of {}", paths.len());
        let given = [
            ("kind", "email"),
            ("payload", HOSTILE),
            ("context", HOSTILE),
            ("target", HOSTILE),
        ];
        let told = form(&api, "/console/validators", &given).await;
        let text = checked("/console/validators", &told);
        assert!(text.contains("no JSON"), "{text}");
    });
}

#[test]
fn what_a_page_asks_is_in_the_evidence_under_the_name_of_its_answer() {
    serve(async |api| {
        let kind = ("content-type", "application/x-www-form-urlencoded");
        let long = "x".repeat(500);
        for sent in ["house-7", &long] {
            let headers = [kind, ("x-request-id", sent)];
            let given = "kind=email&payload=%7B%7D&context=&target=";
            let told = api.form(&headers, "/console/validators", given).await;
            let id = told.header("x-request-id");
            assert_eq!(id == "house-7", sent == "house-7", "{id}");
            let newest = api.get("/v1/evidence?limit=1").await;
            let text = newest.text();
            assert!(text.contains(id) && !text.contains(&long), "{id}: {text}");
        }
    });
}

#[test]
fn the_tree_restarts_a_cell_and_says_so() {
    serve(async |api| {
        let text = page(&api, "/console/tree").await;
        for part in [
            "embedding",
            "root/engines/embedding",
            "all ready",
            "s-ready",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let done = form(
            &api,
            "/console/tree/restart",
            &[("id", "root/engines/embedding")],
        )
        .await;
        assert_eq!(done.status, 303, "{}", done.text());
        let text = page(&api, done.header("location")).await;
        assert!(text.contains("Restarted root/engines/embedding"), "{text}");
        let told = form(&api, "/console/tree/restart", &[("id", "nobody")]).await;
        let text = checked("restart", &told);
        assert!(
            text.contains("no cell or supervisor named nobody"),
            "{text}"
        );
    });
}

#[test]
fn crashes_and_dead_letters_are_told_released_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    settings.supervisors.defaults.intensity = 100;
    serve_with(settings, async |api| {
        let poison = |text: &str| json!({"model": "static-minilm", "input": text});
        let kill = async |text: &str| {
            for _ in 0..3 {
                api.ok("/v1/supervisors/embedding/crash", json!({})).await;
                let crashed = api.post("/v1/embeddings", poison(text)).await;
                assert_eq!(crashed.status, 500, "{}", crashed.text());
            }
            let letters = api.get("/v1/dead-letters").await.json();
            let digest = letters["dead_letters"][0]["digest"].as_str().unwrap();
            digest.to_owned()
        };
        let digest = kill("the one poison").await;
        let text = page(&api, "/console/tree").await;
        for part in [
            &*digest,
            "crashed on purpose",
            "Dead letters",
            "crash-",
            "UTC",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let done = form(
            &api,
            "/console/dead-letters/release",
            &[("digest", &digest)],
        )
        .await;
        assert_eq!(done.status, 303, "{}", done.text());
        api.ok("/v1/embeddings", poison("the one poison")).await;
        let digest = kill("the other poison").await;
        let done = form(&api, "/console/dead-letters/forget", &[("digest", &digest)]).await;
        let text = page(&api, done.header("location")).await;
        assert!(text.contains("Forgot") && text.contains("None."), "{text}");
        let told = form(
            &api,
            "/console/dead-letters/release",
            &[("digest", &digest)],
        )
        .await;
        assert!(checked("release", &told).contains("no dead letter"));
    });
}

#[test]
fn the_overview_sums_up_what_chats_took() {
    serve(async |api| {
        api.collection("docs", &["The ferry leaves at nine."]).await;
        let asked = json!({
            "model": "extractive", "messages": [{"role": "user", "content": "When does the ferry leave?"}],
            "retrieval": {"collection": "docs"},
        });
        api.ok("/v1/chat/completions", asked).await;
        let text = page(&api, "/console").await;
        for part in [
            "Chat requests a day",
            "Known cost a day",
            "extractive",
            "<svg",
            "role=\"img\"",
            "In all 1,",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    });
}

#[test]
fn a_search_shows_hits_scores_and_its_plan() {
    serve(async |api| {
        api.put("/v1/collections/docs", json!({})).await;
        let points = json!({"points": [
            {"id": "a b/1#2", "text": "The ferry leaves at nine.", "payload": {"lang": "en"}},
            {"id": "c", "text": "The museum opens at ten.", "payload": {"lang": "fr"}},
        ]});
        api.ok("/v1/collections/docs/points", points).await;
        let text = page(
            &api,
            "/console/search?collection=docs&q=ferry&k=1&explain=1",
        )
        .await;
        for part in [
            "/console/collections/docs/points/a%20b%2F1%232",
            "The ferry leaves at nine.",
            "exact scan",
            "<meter",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(!text.contains("museum"), "{text}");
        let point = page(&api, "/console/collections/docs/points/a%20b%2F1%232").await;
        assert!(
            point.contains("The ferry leaves at nine.")
                && point.contains("&quot;lang&quot;: &quot;en&quot;"),
            "{point}"
        );
        let filter = encoded(r#"{"lang": "fr"}"#);
        let text = page(
            &api,
            &format!("/console/search?collection=docs&q=ferry&filter={filter}"),
        )
        .await;
        assert!(
            text.contains("museum") && !text.contains("leaves at nine"),
            "{text}"
        );
        for (query, told) in [
            ("collection=docs&q=x&filter=%7B", "filter: no JSON"),
            ("collection=docs&q=x&k=many", "is no whole number"),
            ("collection=docs&q=x&k=0", "role=\"alert\""),
            ("collection=docs&q=x&mode=loud", "role=\"alert\""),
            ("collection=nobody&q=x", "nobody"),
        ] {
            let text = page(&api, &format!("/console/search?{query}")).await;
            assert!(text.contains(told), "{query}: {text}");
        }
    });
}

#[test]
fn collections_are_read_point_by_point() {
    serve(async |api| {
        let texts: Vec<String> = (0..30).map(|number| format!("text {number}")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        api.collection("docs", &texts).await;
        let text = page(&api, "/console/collections").await;
        assert!(
            text.contains("href=\"/console/collections/docs\"") && text.contains("static-minilm"),
            "{text}"
        );
        let text = page(&api, "/console/collections/docs").await;
        let (_, next) = text.split_once("/console/collections/docs?after=").unwrap();
        let after = next.split('"').next().unwrap();
        let rest = page(&api, &format!("/console/collections/docs?after={after}")).await;
        let count = |text: &str| text.matches("/console/collections/docs/points/").count();
        assert_eq!((count(&text), count(&rest)), (25, 5));
        assert!(
            page(&api, "/console/collections/nobody")
                .await
                .contains("role=\"alert\"")
        );
        assert!(
            page(&api, "/console/collections/docs/points/nobody")
                .await
                .contains("role=\"alert\"")
        );
    });
}

#[test]
fn every_validator_of_ours_has_an_example_that_it_can_judge() {
    serve(async |api| {
        let known = api.get("/v1/validators").await.json();
        let mut judged = 0;
        for validator in known["validators"].as_array().unwrap() {
            let name = validator["name"].as_str().unwrap();
            if name == "pipeline" {
                continue;
            }
            let shown = page(&api, &format!("/console/validators?kind={name}")).await;
            let area = |field: &str| {
                let (_, rest) = shown.split_once(&format!("name=\"{field}\"")).unwrap();
                let (_, rest) = rest.split_once('>').unwrap();
                let (text, _) = rest.split_once("</textarea>").unwrap();
                text.replace("&quot;", "\"")
                    .replace("&lt;", "<")
                    .replace("&gt;", ">")
                    .replace("&amp;", "&")
            };
            let (payload, context) = (area("payload"), area("context"));
            assert_ne!(payload, "null", "{name} has no example");
            let given = [
                ("kind", name),
                ("payload", &payload),
                ("context", &context),
                ("target", ""),
            ];
            let told = form(&api, "/console/validators", &given).await;
            let text = checked(name, &told);
            assert!(text.contains("Verdict: "), "{name}: {text}");
            let (_, findings) = text.split_once("id=\"judged\"").unwrap();
            let (findings, _) = findings.split_once("<h2>Rules").unwrap();
            assert!(
                findings.contains(&format!("<code>{name}.")),
                "{name} finds something: {findings}"
            );
            assert!(
                !findings.contains(".shape") && !findings.contains("_context"),
                "{name}: {findings}"
            );
            judged += 1;
        }
        assert!(judged >= 7, "{judged}");
    });
}

#[test]
fn evidence_is_filtered_paged_and_read_whole() {
    serve(async |api| {
        for number in 0..60 {
            let said = json!({"target": format!("answer-{number}"), "rating": "accepted"});
            api.ok("/v1/feedback", said).await;
        }
        api.collection("docs", &["The ferry leaves at nine."]).await;
        api.ok("/v1/collections/docs/search", json!({"query": "ferry"}))
            .await;
        let text = page(&api, "/console/evidence?kind=feedback&id=").await;
        let count = |text: &str| text.matches("href=\"/console/evidence/").count();
        assert_eq!(count(&text), 50, "{text}");
        let (_, next) = text.split_once("href=\"/console/evidence?after=").unwrap();
        let next = next.split('"').next().unwrap().replace("&amp;", "&");
        assert!(next.contains("kind=feedback"), "{next}");
        let text = page(&api, &format!("/console/evidence?after={next}")).await;
        assert_eq!(count(&text), 10, "{text}");
        let text = page(&api, "/console/evidence?kind=search").await;
        assert!(
            count(&text) == 1 && text.contains("ferry in docs: 1 hit<"),
            "{text}"
        );
        let text = page(&api, "/console/evidence/7").await;
        assert!(
            text.contains("Record 7") && text.contains("answer-6"),
            "{text}"
        );
        for absent in ["0", "999", "x"] {
            let text = page(&api, &format!("/console/evidence/{absent}")).await;
            assert!(text.contains("no record"), "{absent}: {text}");
        }
        let text = page(&api, "/console/evidence?from=yesterday").await;
        assert!(text.contains("is not a time"), "{text}");
    });
}

#[test]
fn datasets_are_made_and_shown_with_their_receipts() {
    serve(async |api| {
        let early = form(
            &api,
            "/console/datasets/export",
            &[("kind", "sft"), ("flavour", "trl")],
        )
        .await;
        assert!(checked("export", &early).contains("role=\"alert\""));
        api.collection("docs", &["The ferry leaves at nine."]).await;
        let asked = json!({
            "model": "extractive", "messages": [{"role": "user", "content": "When does the ferry leave?"}],
            "retrieval": {"collection": "docs"},
        });
        let answer = api.ok("/v1/chat/completions", asked).await;
        let said = json!({"target": answer["id"], "rating": "accepted"});
        api.ok("/v1/feedback", said).await;
        let done = form(&api, "/console/datasets/materialize", &[]).await;
        assert_eq!(done.status, 303, "{}", done.text());
        let text = page(&api, done.header("location")).await;
        assert!(
            text.contains("up to date") && text.contains("/tasks.jsonl"),
            "{text}"
        );
        let done = form(
            &api,
            "/console/datasets/export",
            &[("kind", "sft"), ("flavour", "trl"), ("name", "first")],
        )
        .await;
        assert_eq!(done.status, 303, "{}", done.text());
        let text = page(&api, done.header("location")).await;
        let receipts = api.get("/v1/exports").await.json();
        assert_eq!(receipts["exports"][0]["name"], "first");
        for part in [
            "The export first is written.",
            "data/train.jsonl",
            "sha256",
            "Receipt",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let told = form(&api, "/console/datasets/cancel", &[]).await;
        assert!(checked("cancel", &told).contains("under way"));
        let ended = api.get("/console/datasets/job?running=1").await;
        assert_eq!(ended.header("hx-trigger"), "job-ended");
        assert_eq!(
            api.get("/console/datasets/job").await.header("hx-trigger"),
            ""
        );
    });
}

#[test]
fn a_replay_is_shown_word_by_word() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let process = Process::start(&data);
    let api = Api::new(process.address);
    let system = actix_web::rt::System::new();
    system.block_on(async {
        api.collection("docs", &["The ferry leaves at nine."]).await;
        let asked = json!({
            "model": "extractive", "messages": [{"role": "user", "content": "When does the <b>ferry</b> leave?"}],
            "retrieval": {"collection": "docs"},
        });
        let answer = api.ok("/v1/chat/completions", asked).await;
        let said = json!({"target": answer["id"], "rating": "accepted", "edited_answer": "It <i>leaves</i> at nine."});
        api.ok("/v1/feedback", said).await;
        api.ok("/v1/materialize", json!({})).await;
    });
    let url = format!("http://{}", process.address);
    let mut replay = command();
    replay
        .args(["replay", "again", "--url", &url, "--data"])
        .arg(&data);
    let (status, _, told) = finish(&mut replay);
    assert_eq!(status, Some(0), "{told}");
    system.block_on(async {
        let text = page(&api, "/console/replays").await;
        assert!(
            text.contains("href=\"/console/replays/again\"") && text.contains("whole"),
            "{text}"
        );
        let text = page(&api, "/console/replays/again").await;
        for part in [
            "When does the &lt;b&gt;ferry&lt;/b&gt; leave?",
            "<del>",
            "<ins>",
            "&lt;i&gt;",
            "similarity",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(
            page(&api, "/console/replays/nobody")
                .await
                .contains("no replay named nobody")
        );
    });
    // One that was stopped has lines and no report.
    let own = data.join("datasets/replays/again");
    std::fs::remove_file(own.join("report.json")).unwrap();
    system.block_on(async {
        assert!(
            page(&api, "/console/replays")
                .await
                .contains("under way or stopped")
        );
        assert!(page(&api, "/console/replays/again").await.contains("<del>"));
    });
}

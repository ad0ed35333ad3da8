use std::path::Path;

use serde_json::{Value, json};

use crate::harness::{Api, Process, command, finish, serve, serve_with, settings};

#[test]
fn validators_judge_and_describe_themselves() {
    serve(async |api| {
        let email = |to: &str| json!({"kind": "email", "payload": {"to": to, "subject": "Your shift", "body": "See you on Friday at eight."}});
        let good = api.ok("/v1/validate", email("dana@example.com")).await;
        assert_eq!(
            (
                good["verdict"].as_str(),
                good["findings"].as_array().unwrap().len()
            ),
            (Some("pass"), 0)
        );
        let bad = api.ok("/v1/validate", email("nobody")).await;
        assert_ne!(bad["verdict"], "pass");
        assert_eq!(bad["findings"][0]["path"], "/to");
        let fill = json!({"kind": "fill", "payload": {"fills": [{"worker_id": "W-1001", "name": "Maria Alvarez"}]}});
        assert_eq!(api.ok("/v1/validate", fill).await["verdict"], "pass");
        let fill = json!({"kind": "fill", "payload": {"fills": [{"worker_id": "W-0000", "name": "Maria Alvarez"}]}});
        let unknown = api.ok("/v1/validate", fill).await;
        assert_eq!(unknown["verdict"], "fail");
        assert!(
            unknown["findings"][0]["suggestion"]
                .as_str()
                .unwrap()
                .contains("W-1001"),
            "{unknown}"
        );
        let all = api.get("/v1/validators").await.text();
        assert!(
            all.contains("\"email\"") && all.contains("\"fill\""),
            "{all}"
        );
    });
}

#[test]
fn any_payload_gets_a_verdict() {
    serve(async |api| {
        for payload in [
            json!(null),
            json!(1),
            json!("x"),
            json!([]),
            json!({"fills": 3}),
            json!({"to": {"a": []}}),
        ] {
            for kind in ["fill", "email"] {
                let report = api
                    .ok("/v1/validate", json!({"kind": kind, "payload": payload}))
                    .await;
                assert_ne!(report["verdict"], "pass", "{kind} {payload}");
            }
        }
    });
}

fn mail(body: &str) -> Value {
    json!({"to": "dana@example.com", "subject": "Your shift", "body": body})
}

#[test]
fn a_batch_is_answered_in_order_and_each_item_fails_by_itself() {
    serve(async |api| {
        let items = json!([
            {"kind": "email", "payload": mail("See you on Friday.")},
            {"kind": "poem", "payload": {}},
            {"kind": "email", "payload": mail("Hello {{name}}"), "target": "answer-1"},
            {"kind": "email", "payload": {}, "contxt": {}},
            7,
            {"kind": "secrets", "payload": null},
        ]);
        let answer = api.ok("/v1/validate", json!({"items": items})).await;
        let results = answer["results"].as_array().unwrap();
        let told: Vec<(&str, &str)> = results
            .iter()
            .map(|one| {
                let verdict = one["verdict"].as_str().unwrap_or_default();
                (verdict, one["error"]["detail"].as_str().unwrap_or_default())
            })
            .collect();
        assert_eq!(told[0], ("pass", ""));
        assert!(told[1].1.contains("unknown validator \"poem\""), "{told:?}");
        assert_eq!(results[1]["error"]["status"], 404);
        assert_eq!(told[2], ("repairable", ""));
        assert!(told[3].1.contains("unknown field `contxt`"), "{told:?}");
        assert!(told[4].1.contains("JSON object"), "{told:?}");
        assert_eq!(told[5], ("pass", ""));
        let id = answer["id"].as_str().unwrap();
        for (at, result) in results.iter().enumerate() {
            assert_eq!(result["id"], format!("{id}-{at}"));
        }
        // What was judged is evidence, as a single one is.
        let records = api.get("/v1/evidence?kind=validation").await.json();
        let records = records["records"].as_array().unwrap();
        assert_eq!(records.len(), 3, "{records:?}");
        let of = |at: usize| {
            let wanted = format!("{id}-{at}");
            let mut all = records.iter();
            all.find(|record| record["id"] == wanted).unwrap()["body"].clone()
        };
        assert_eq!(of(2)["target"], "answer-1");
        assert_eq!(of(2)["findings"], results[2]["findings"]);
        for (body, says) in [
            (json!({"items": []}), "1 to 1000, got 0"),
            (json!({"items": vec![0; 1001]}), "got 1001"),
            (
                json!({"items": [], "kind": "email"}),
                "unknown field `kind`",
            ),
            (json!({"items": 3}), "invalid type"),
        ] {
            let refused = api.post("/v1/validate", body).await;
            assert_eq!(refused.status, 400);
            assert!(refused.text().contains(says), "{}", refused.text());
        }
    });
}

#[test]
fn a_crash_costs_one_item_of_a_batch() {
    serve(async |api| {
        api.ok("/v1/supervisors/validation/crash", json!({})).await;
        let items: Vec<Value> = (0..100)
            .map(|at| json!({"kind": "email", "payload": mail(&format!("Shift {at}."))}))
            .collect();
        let answer = api.ok("/v1/validate", json!({"items": items})).await;
        let results = answer["results"].as_array().unwrap();
        let crashed = results
            .iter()
            .filter(|one| one["error"]["code"] == "crashed");
        assert_eq!(crashed.count(), 1);
        let passed = results.iter().filter(|one| one["verdict"] == "pass");
        assert_eq!(passed.count(), 99);
    });
}

#[test]
fn the_settings_and_the_request_say_what_rules_count_as() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path());
    let validation = "request_may_tune = ['email.*']\n[rules]\nemail.pii = 'off'\n'email.placeholder' = 'critical'";
    settings.validation = toml::from_str(validation).unwrap();
    serve_with(settings, async |api| {
        let body = "Hello {{name}}, card 4111 1111 1111 1111";
        let ask = async |rules: Value| {
            let body = json!({"kind": "email", "payload": mail(body), "rules": rules});
            api.post("/v1/validate", body).await
        };
        let plain = ask(json!({})).await.json();
        assert_eq!(plain["verdict"], "fail");
        assert_eq!(plain["findings"].as_array().unwrap().len(), 1, "{plain}");
        let tuned = ask(json!({"email.placeholder": "off"})).await.json();
        assert_eq!(tuned["verdict"], "pass", "{tuned}");
        for (rules, status, says) in [
            (json!({"fill.count": "off"}), 403, "request_may_tune"),
            (json!({"email.pij": "off"}), 400, "did you mean email.pii?"),
            (json!({"email.pii": "of"}), 400, "use off, warning"),
        ] {
            let refused = ask(rules).await;
            assert_eq!(refused.status, status, "{}", refused.text());
            assert!(refused.text().contains(says), "{}", refused.text());
        }
        let listed = api.get("/v1/validators").await.json();
        let rule = |id: &str| {
            let mut rules = listed["validators"]
                .as_array()
                .unwrap()
                .iter()
                .flat_map(|entry| entry["rules"].as_array().unwrap());
            rules.find(|rule| rule["id"] == id).unwrap().clone()
        };
        assert_eq!(rule("email.pii")["effective"], "off");
        assert_eq!(rule("email.pii")["request_may_tune"], true);
        assert_eq!(rule("fill.count")["request_may_tune"], false);
    });
}

#[test]
fn the_command_line_ends_with_the_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let process = Process::start(&folder.path().join("data"));
    let url = format!("http://{}", process.address);
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let good = mail("See you on Friday.").to_string();
    let bad = mail("Hello {{name}}").to_string();
    let worst = mail("card 4111 1111 1111 1111").to_string();
    let (good_file, bad_file) = (file("good", good.clone()), file("bad", bad.clone()));
    let worst_file = file("worst", worst.clone());
    let lines = file("lines", format!("{good}\n\n{bad}\n"));
    let run = |arguments: &[&str]| {
        let mut command = command();
        command
            .arg("validate")
            .args(arguments)
            .args(["--url", &url]);
        finish(&mut command)
    };
    let (status, told, said) = run(&["email", &good_file]);
    assert_eq!((status, told.as_str()), (Some(0), "pass\n"), "{said}");
    let (status, told, said) = run(&["email", &bad_file]);
    assert_eq!((status, said.as_str()), (Some(3), ""), "{told}");
    assert!(
        told.contains("error    email.placeholder /body: "),
        "{told}"
    );
    assert_eq!(run(&["email", &worst_file]).0, Some(4));
    let (status, told, _) = run(&["email", &lines, "--each"]);
    assert_eq!(status, Some(3));
    assert!(
        told.starts_with("line 1: pass\nline 3: repairable\n"),
        "{told}"
    );
    // A line that is no JSON costs nothing but itself.
    let broken = file("broken", format!("{good}\n{{\n{bad}\n"));
    let (status, told, said) = run(&["email", &broken, "--each"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("1 of 3 not judged"), "{said}");
    let not_judged = "line 1: pass\nline 2: not judged: the payload is no JSON: ";
    assert!(told.starts_with(not_judged), "{told}");
    assert!(told.contains("\nline 3: repairable\n"), "{told}");
    let (_, told, _) = run(&["email", &broken, "--each", "--json"]);
    let told: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told.len(), 3);
    assert!(told[1]["error"]["detail"].is_string(), "{told:?}");
    // What is known of each counts, too: all of it at once would be more than a request may have.
    let known = json!({"sent": "x".repeat(40_000)}).to_string();
    let many = file("many", format!("{good}\n").repeat(1_000));
    let known = file("known", known);
    let context = format!("@{known}");
    let (_, told, said) = run(&["email", &many, "--each", "--context", &context]);
    assert_eq!(
        told.lines()
            .filter(|line| line.starts_with("line "))
            .count(),
        1_000,
        "{said}"
    );
    let (status, told, _) = run(&["email", &bad_file, "--json"]);
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (status, &report["verdict"]),
        (Some(3), &json!("repairable"))
    );
    let (status, _, said) = run(&["poem", &good_file]);
    assert_eq!(status, Some(1));
    assert!(said.contains("unknown validator"), "{said}");
    let (status, _, said) = run(&["email", &good_file, "--rule", "email.pii=off"]);
    assert_eq!(status, Some(1));
    assert!(said.contains("request_may_tune"), "{said}");
    let (status, told, _) = run(&["--list"]);
    assert_eq!(status, Some(0));
    assert!(told.contains("critical email.pii"), "{told}");
    let (status, help, _) = finish(command().args(["validate", "--help"]));
    assert!(
        status == Some(0) && help.contains("Exit status: 0 pass, 3 repairable"),
        "{help}"
    );
}

/// A server of its own, with these settings and files beside them.
fn served(folder: &Path, settings: &str, files: &[(&str, &str)]) -> Process {
    for (name, text) in files {
        std::fs::write(folder.join(name), text).unwrap();
    }
    let config = folder.join("own.toml");
    std::fs::write(&config, settings).unwrap();
    let data = folder.join("data");
    let mut server = command();
    server
        .current_dir(folder)
        .args(["serve", "--port", "0", "--data"]);
    Process::of(server.arg(&data).arg("--config").arg(&config))
}

/// Three loops, each over all items.
const ENDLESS: &str = "name = 'endless'\ndescription = 'd'\n[[rules]]\nid = 'cubic'\ndescription = 'd'\n\
    expr = 'payload.all(a, payload.all(b, payload.all(c, a + b + c >= 0)))'\n";

#[test]
fn a_rule_that_takes_for_ever_costs_its_request_only() {
    let folder = tempfile::tempdir().unwrap();
    // Bounds of the rule that do not hold it, so that the cell has to.
    let settings = "[validation.custom]\nfiles = ['rules.toml']\nmax_steps = 1000000000\n\
        [supervisors.children.validation]\nworkers = 1\ndeadline_ms = 1000\n";
    let process = served(folder.path(), settings, &[("rules.toml", ENDLESS)]);
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(process.address);
        let ask = async |count: usize| {
            let payload: Vec<usize> = (0..count).collect();
            let body = json!({"kind": "endless", "payload": payload});
            api.post("/v1/validate", body).await
        };
        assert_eq!(ask(3).await.json()["verdict"], "pass");
        let hung = ask(280).await;
        assert_eq!(hung.status, 504, "{}", hung.text());
        assert_eq!(hung.json()["code"], "hung");
        assert_eq!(ask(4).await.json()["verdict"], "pass");
        // Told beforehand, where the settings bound it.
        let told = ask(2_000).await.json();
        let message = told["findings"][0]["message"].as_str().unwrap();
        assert!(
            message.contains("cannot be checked: the expression may take"),
            "{told}"
        );
    });
}

#[test]
fn custom_validators_are_read_from_files_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let example = include_str!("../../examples/rules/invoice.toml");
    let settings = "[validation.custom]\nfiles = ['*.rules.toml']\n\
        [validation.rules]\ninvoice.note = 'critical'\n\
        [validation.pipelines.bill]\nsteps = [{ kind = 'invoice', payload = '/invoice' }]\n";
    let process = served(folder.path(), settings, &[("a.rules.toml", example)]);
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(process.address);
        let listed = api.get("/v1/validators").await.json();
        let mut listed = listed["validators"].as_array().unwrap().iter();
        let entry = listed.find(|entry| entry["name"] == "invoice").unwrap();
        assert!(entry["schema"]["properties"]["payload"].is_object());
        let mut rules = entry["rules"].as_array().unwrap().iter();
        let note = rules.find(|rule| rule["id"] == "invoice.note").unwrap();
        assert_eq!(
            (&note["severity"], &note["effective"]),
            (&json!("error"), &json!("critical"))
        );
        let payload = json!({"invoice": {"note": "INTERNAL"}});
        let body = json!({"kind": "bill", "payload": payload});
        let report = api.ok("/v1/validate", body).await;
        let findings = report["findings"].as_array().unwrap();
        let mut notes = findings.iter().filter(|one| one["rule"] == "invoice.note");
        assert_eq!(notes.next().unwrap()["path"], "/invoice/note", "{report}");
    });
}

#[test]
fn bad_rules_end_the_start_with_file_rule_and_reason() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file("rules.toml", &ENDLESS.replace("c >= 0", "d >= 0"));
    for (settings, says) in [
        (
            "custom = { files = ['rules.toml'] }",
            "rules.toml: rule \"cubic\": expr: unknown variable d",
        ),
        ("custom = { files = ['absent*.toml'] }", "names no file"),
        (
            "rules = { email = { pij = 'off' } }",
            "did you mean email.pii?",
        ),
        (
            "pipelines = { a = { steps = [{ kind = 'emial' }] } }",
            "did you mean email?",
        ),
    ] {
        file("own.toml", &format!("[validation]\n{settings}\n"));
        let mut server = command();
        server.current_dir(folder.path());
        server.args([
            "serve", "--port", "0", "--data", "data", "--config", "own.toml",
        ]);
        let (status, _, said) = finish(&mut server);
        assert_eq!(status, Some(64), "{said}");
        assert!(said.contains(says), "{said}");
    }
}

/// The blocks of a language in one section of the manual.
fn blocks(section: &str, language: &str) -> Vec<&'static str> {
    let manual = include_str!("../../docs/VALIDATION.md");
    let (_, rest) = manual.split_once(&format!("\n## {section}\n")).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let begin = format!("```{language}\n");
    let blocks = section.split(&begin).skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

#[test]
fn the_examples_of_the_manual_work() {
    let folder = tempfile::tempdir().unwrap();
    let settings = blocks("Policy", "toml")[0].to_owned() + blocks("Pipelines", "toml")[0];
    let process = served(folder.path(), &settings, &[]);
    actix_web::rt::System::new().block_on(async {
        let api = Api::new(process.address);
        let ask = async |example: &str| {
            let body: Value = serde_json::from_str(example).unwrap();
            api.ok("/v1/validate", body).await
        };
        let secrets = ask(blocks("pii and secrets", "json")[0]).await;
        assert_eq!(secrets["findings"][0]["path"], "/text/1", "{secrets}");
        let steps = ask(blocks("Pipelines", "json")[0]).await;
        assert_eq!(steps["findings"], json!([]), "{steps}");
        let context = json!({"email": {"worker_id": "W-1001"}});
        let body = json!({"kind": "outgoing", "payload": {"mail": mail("Dear Maria")}, "context": context});
        let named = api.ok("/v1/validate", body).await;
        assert_eq!(named["verdict"], "pass", "{named}");
    });
}

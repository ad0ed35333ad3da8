use serde_json::{Value, json};

use crate::harness::{Process, command, finish, serve, serve_with, settings};

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

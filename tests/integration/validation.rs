use serde_json::json;

use crate::harness::serve;

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

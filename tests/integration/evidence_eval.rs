//! `boathouse eval evidence`, on what a server was asked.

use serde_json::{Value, json};

use crate::harness::{Api, Process, command, finish};

#[test]
fn what_helped_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let process = Process::start(&data);
    let url = format!("http://{}", process.address);
    let evaluate = |more: &[&str]| {
        let mut command = command();
        command.args(["eval", "evidence", "docs", "--url", &url, "--data"]);
        finish(command.arg(&data).args(more))
    };
    let ask = |rate: Option<&str>, question: &str| {
        let (rate, question) = (rate.map(str::to_owned), question.to_owned());
        let address = process.address;
        actix_web::rt::System::new().block_on(async move {
            let api = Api::new(address);
            let asked = json!({
                "model": "extractive",
                "messages": [{"role": "user", "content": question}],
                "retrieval": {"collection": "docs", "k": 2},
            });
            let answer = api.ok("/v1/chat/completions", asked).await;
            if let Some(rating) = rate {
                let said = json!({"target": answer["id"], "rating": rating});
                api.ok("/v1/feedback", said).await;
            }
            api.ok("/v1/materialize", json!({})).await;
        });
    };
    actix_web::rt::System::new().block_on(async {
        let texts = ["The ferry leaves at nine.", "The museum opens at ten."];
        Api::new(process.address).collection("docs", &texts).await;
    });
    let (status, _, said) = evaluate(&[]);
    assert_eq!(status, Some(1));
    assert!(said.contains("materialize first"), "{said}");

    ask(Some("rejected"), "When does the museum open?");
    let (status, _, said) = evaluate(&[]);
    assert_eq!(status, Some(1));
    assert!(said.contains("no question to ask"), "{said}");

    ask(Some("accepted"), "When does the ferry leave?");
    let (status, told, said) = evaluate(&["--json"]);
    assert_eq!(status, Some(0), "{said}");
    let reports: Value = serde_json::from_str(&told).unwrap();
    let found = &reports[0]["retrieval"];
    assert_eq!(
        (&found["documents"], &found["queries"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(found["scores"][0]["recall_at_10"], 1.0, "{told}");

    let set = folder.path().join("set");
    let (status, told, said) = evaluate(&["--to", set.to_str().unwrap()]);
    assert_eq!(status, Some(0), "{said}");
    assert!(told.starts_with("2 documents and 1 question in "), "{told}");
    let (status, told, said) = finish(command().args(["eval", "embed"]).arg(&set));
    assert_eq!(status, Some(0), "{said}");
    assert!(told.contains("2 documents, 1 query"), "{told}");
}

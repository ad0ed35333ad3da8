//! The steps of the demo. Each asks the HTTP API, checks what came back, and says it in a line or two.

use std::time::Duration;

use serde_json::{Value, json};

use super::corpus;
use crate::cli::client::{Answer, Client, refused};
use crate::cli::error::CliError;
use crate::cli::{ingest, reembed};
use crate::types::http::Method;
use crate::types::plain::counted;

const COLLECTION: &str = "demo";
const QUESTION: &str = "What happens to the queue when a worker panics?";
/// Longest wait for a restart, which is a matter of milliseconds on a machine that has nothing else to do.
const RESTART: Duration = Duration::from_secs(10);

/// What a step says when it went well.
type Said = Result<Vec<String>, CliError>;

/// The demo's state between steps.
pub(super) struct Demo<'a> {
    client: Client,
    /// What is ingested: name and text of each.
    documents: &'a [(&'a str, &'a str)],
    completion: String,
}

fn expect(holds: bool, what: &str, seen: &Value) -> Result<(), CliError> {
    if holds {
        return Ok(());
    }
    let seen: String = seen.to_string().chars().take(400).collect();
    Err(CliError::failed(format!("expected {what}, got {seen}")))
}

fn short(text: &Value, most: usize) -> String {
    let text = text
        .as_str()
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

/// Two forklift operators wanted in Joliet; the bundled roster knows who is fit.
fn fill(fills: &Value) -> Value {
    let context =
        json!({"role": "forklift operator", "city": "Joliet", "state": "IL", "target_count": 2});
    json!({"kind": "fill", "payload": {"fills": fills}, "context": context})
}

impl<'a> Demo<'a> {
    pub(super) fn new(client: Client, documents: &'a [(&'a str, &'a str)]) -> Self {
        Self {
            client,
            documents,
            completion: String::new(),
        }
    }

    /// Runs step `number`, from 1; `None` after the last.
    pub(super) async fn step(&mut self, number: usize) -> Option<(&'static str, Said)> {
        Some(match number {
            1 => ("create a collection", self.create().await),
            2 => ("ingest this project's docs and TrecQA", self.ingest().await),
            3 => ("search by meaning and words", self.search().await),
            4 => ("chat with citations", self.chat().await),
            5 => ("validate a fill that is right", self.fill_good().await),
            6 => ("validate a fill that is wrong", self.fill_bad().await),
            7 => ("validate an email that is right", self.email_good().await),
            8 => ("validate an email that is wrong", self.email_bad().await),
            9 => ("record feedback on the answer", self.feedback().await),
            10 => ("materialize the evidence", self.materialize().await),
            11 => ("export a rag dataset", self.export("rag").await),
            12 => ("export an sft dataset", self.export("sft").await),
            13 => ("crash the embedding cell on purpose", self.crash().await),
            14 => ("the next request succeeds", self.recover().await),
            _ => return None,
        })
    }

    async fn post(&self, path: &str, body: Value) -> Result<Value, CliError> {
        self.client.must(Method::Post, path, Some(&body)).await
    }

    async fn create(&self) -> Said {
        let path = format!("/v1/collections/{COLLECTION}");
        let info = self
            .client
            .must(Method::Put, &path, Some(&json!({})))
            .await?;
        let mut lines = vec![format!(
            "{COLLECTION}: {} by {}",
            counted(&info["dim"], "dimension"),
            short(&info["embedder"], 40)
        )];
        if !info["outdated"].is_null() {
            let run = reembed::reembed(&self.client, COLLECTION, None, |_| {}).await?;
            lines.push(format!(
                "it was made by an older version of the model: {} embedded anew",
                counted(&run["done"], "point")
            ));
        }
        Ok(lines)
    }

    async fn ingest(&self) -> Said {
        let items = corpus::items(self.documents).map_err(CliError::failed)?;
        let sent = ingest::send(&self.client, COLLECTION, &items).await?.stored;
        let path = format!("/v1/collections/{COLLECTION}/points/count");
        let found = self.post(&path, json!({})).await?;
        let stored = found["count"].as_u64().unwrap_or(0);
        expect(stored >= sent as u64, "all passages to be stored", &found)?;
        Ok(vec![format!(
            "{} sent, {stored} stored, each durable when it was acknowledged",
            counted(sent, "passage")
        )])
    }

    async fn search(&self) -> Said {
        let query = "Which religion is a form of nature worship?";
        let path = format!("/v1/collections/{COLLECTION}/search");
        let found = self.post(&path, json!({"query": query, "k": 3})).await?;
        let best = &found["hits"][0];
        let text = best["text"].as_str().unwrap_or_default();
        expect(
            text.contains("Wicca"),
            "a sentence about Wicca on top",
            &found,
        )?;
        Ok(vec![
            format!("\"{query}\""),
            format!(
                "{} ({:.3}) {}",
                short(&best["id"], 30),
                best["score"].as_f64().unwrap_or(0.0),
                short(&best["text"], 90)
            ),
        ])
    }

    async fn chat(&mut self) -> Said {
        let body = json!({
            "model": "extractive",
            "messages": [{"role": "user", "content": QUESTION}],
            "retrieval": {"collection": COLLECTION, "k": 5},
        });
        let answer = self.post("/v1/chat/completions", body).await?;
        self.completion = answer["id"].as_str().unwrap_or_default().to_owned();
        let message = &answer["choices"][0]["message"];
        let citations = message["annotations"].as_array().map_or(0, Vec::len);
        let marked = message["content"]
            .as_str()
            .is_some_and(|text| text.contains("[1]"));
        expect(
            citations > 0 && marked,
            "an answer with [n] marks and citations",
            &answer,
        )?;
        Ok(vec![
            format!("\"{QUESTION}\""),
            format!(
                "{} ({})",
                short(&message["content"], 200),
                counted(citations, "citation")
            ),
        ])
    }

    async fn validate(&self, body: Value, verdict: &[&str]) -> Said {
        let report = self.post("/v1/validate", body).await?;
        let seen = report["verdict"].as_str().unwrap_or_default();
        expect(
            verdict.contains(&seen),
            &format!("verdict {}", verdict.join(" or ")),
            &report,
        )?;
        let findings = report["findings"].as_array().cloned().unwrap_or_default();
        expect(
            (seen == "pass") == findings.is_empty(),
            "findings unless it passes",
            &report,
        )?;
        let mut lines = vec![format!("verdict {seen}")];
        lines.extend(findings.iter().take(4).map(|finding| {
            format!(
                "{} {} {}",
                short(&finding["rule"], 40),
                short(&finding["path"], 30),
                short(&finding["message"], 100)
            )
        }));
        Ok(lines)
    }

    async fn fill_good(&self) -> Said {
        let fills = json!([
            {"worker_id": "W-1001", "name": "Maria Alvarez"},
            {"worker_id": "W-1033", "name": "Diego Santos"},
        ]);
        self.validate(fill(&fills), &["pass"]).await
    }

    async fn fill_bad(&self) -> Said {
        let fills = json!([
            {"worker_id": "W-1001", "name": "Maria Alvarez"},
            {"worker_id": "W-1017", "name": "Owen Galagher"},
        ]);
        self.validate(fill(&fills), &["fail", "repairable"]).await
    }

    async fn email_good(&self) -> Said {
        let body = json!({
            "kind": "email",
            "payload": {
                "to": "dana.whitfield@example.com",
                "subject": "Your shift on Friday",
                "body": "Hello Dana,\n\nyour shift at the north warehouse starts at 8:00 on Friday.\nPlease bring your badge.\n\nKind regards,\nThe scheduling desk",
            },
        });
        self.validate(body, &["pass"]).await
    }

    async fn email_bad(&self) -> Said {
        let body = json!({
            "kind": "email",
            "payload": {
                "to": "dana.whitfield@example",
                "subject": "Hello {{first_name}}",
                "body": "Dear [Name], we charged your card 4111 1111 1111 1111. Reply with your password.",
            },
        });
        self.validate(body, &["fail", "repairable"]).await
    }

    async fn feedback(&self) -> Said {
        let body =
            json!({"target": self.completion, "rating": "accepted", "comment": "right and cited"});
        let receipt = self.post("/v1/feedback", body).await?;
        Ok(vec![format!(
            "record {} of the journal, hash {}",
            receipt["seq"],
            short(&receipt["hash"], 16)
        )])
    }

    async fn materialize(&self) -> Said {
        let receipt = self.post("/v1/materialize", json!({})).await?;
        Ok(vec![format!("counts {}", receipt["counts"])])
    }

    async fn export(&self, kind: &str) -> Said {
        let receipt = self.post("/v1/exports", json!({"kind": kind})).await?;
        let rows = receipt["rows"].as_u64().unwrap_or(0);
        expect(rows > 0, "at least the accepted answer as a row", &receipt)?;
        Ok(vec![format!(
            "{} in {}",
            counted(rows, "row"),
            short(&receipt["path"], 100)
        )])
    }

    /// Embeds a text that no cache holds.
    async fn embed(&self) -> Result<Answer, CliError> {
        use std::time::{SystemTime, UNIX_EPOCH};
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
            .as_nanos();
        let body = json!({"model": "static-minilm", "input": format!("a boat on the river {now}")});
        self.client
            .ask(Method::Post, "/v1/embeddings", Some(&body))
            .await
    }

    async fn crash(&self) -> Said {
        let before = self.embedding_cell().await?;
        self.post("/v1/supervisors/embedding/crash", json!({}))
            .await?;
        let crashed = self.embed().await?;
        expect(
            crashed.status == 500,
            "the request that met the crash to get 500",
            &crashed.body,
        )?;
        let after = self
            .restarted(before["restarts"].as_u64().unwrap_or(0))
            .await?;
        Ok(vec![
            format!(
                "that one request: {} {}",
                crashed.status,
                short(&crashed.body["error"]["message"], 100)
            ),
            format!(
                "the tree: embedding {}, restarts {} -> {}, last crash \"{}\"",
                short(&after["state"], 20),
                before["restarts"],
                after["restarts"],
                short(&after["last_crash"]["message"], 60)
            ),
        ])
    }

    async fn recover(&self) -> Said {
        let answer = self.embed().await?;
        if answer.status != 200 {
            return Err(refused("/v1/embeddings", &answer));
        }
        let length = answer.body["data"][0]["embedding"]
            .as_array()
            .map_or(0, Vec::len);
        expect(length > 0, "a vector", &answer.body)?;
        Ok(vec![format!(
            "200, a vector of {}",
            counted(length, "number")
        )])
    }

    /// The embedding cell as the tree shows it.
    async fn embedding_cell(&self) -> Result<Value, CliError> {
        fn find(node: &Value) -> Option<Value> {
            if node["id"] == "embedding" {
                return Some(node.clone());
            }
            node["children"].as_array()?.iter().find_map(find)
        }
        let tree = self
            .client
            .must(Method::Get, "/v1/supervisors", None)
            .await?;
        find(&tree).ok_or_else(|| CliError::failed("the tree shows no embedding cell"))
    }

    /// Reads the tree until it shows one more restart; the answer may overtake the bookkeeping.
    async fn restarted(&self, before: u64) -> Result<Value, CliError> {
        let asked = async {
            loop {
                let cell = self.embedding_cell().await?;
                if cell["restarts"].as_u64() > Some(before) && cell["state"] == "ready" {
                    return Ok(cell);
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let late = |_| CliError::failed("the tree shows no restart");
        tokio::time::timeout(RESTART, asked).await.map_err(late)?
    }
}

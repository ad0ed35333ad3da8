//! The scripted upstream, and the bare pass-through that stands for the least that a gateway can do.

use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::StreamExt as _;

/// Pieces of a streamed answer.
pub(crate) const UPSTREAM_CHUNKS: usize = 40;
/// Between two pieces of the model `drip`.
const DRIP: Duration = Duration::from_millis(50);
/// Between two of the few pieces of the model `trickle`.
const TRICKLE: Duration = Duration::from_millis(2);
const TRICKLE_CHUNKS: usize = 6;
const ANSWER: &str = "There are winter moorings at the basin above the mill; ask the harbour master before November, \
    and tell the navigation authority where the boat lies, since the licence has to name a home mooring. Boats may stay \
    there until the lock is open again, and water and electricity are laid on.";

fn whole() -> String {
    serde_json::json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "plain",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": ANSWER, "refusal": null}, "logprobs": null,
            "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 52, "completion_tokens": 58, "total_tokens": 110},
        "system_fingerprint": "fp_1"
    })
    .to_string()
}

fn pieces() -> Vec<web::Bytes> {
    let event = |delta: serde_json::Value, reason: Option<&str>| {
        let chunk = serde_json::json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "plain",
            "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]
        });
        web::Bytes::from(format!("data: {chunk}\n\n"))
    };
    let words = ANSWER.split_inclusive(' ').take(UPSTREAM_CHUNKS);
    let mut pieces: Vec<web::Bytes> = words
        .map(|word| event(serde_json::json!({"content": word}), None))
        .collect();
    pieces.push(event(serde_json::json!({}), Some("stop")));
    pieces.push(web::Bytes::from_static(b"data: [DONE]\n\n"));
    pieces
}

#[derive(serde::Deserialize)]
struct Asked {
    model: String,
    #[serde(default)]
    stream: bool,
}

struct Script {
    whole: web::Bytes,
    pieces: Vec<web::Bytes>,
}

/// Answers by the model's name: `plain`, `drip` and `trickle` (slowly), `busy` (429), `cut` (a stream that breaks off).
async fn answer(asked: web::Bytes, script: web::Data<Script>) -> HttpResponse {
    let Ok(asked) = serde_json::from_slice::<Asked>(&asked) else {
        return HttpResponse::BadRequest().finish();
    };
    let model = asked.model.rsplit('/').next().unwrap_or_default();
    if model == "busy" {
        return HttpResponse::TooManyRequests()
            .content_type("application/json")
            .body(r#"{"error":{"message":"slow down","type":"rate_limit_error"}}"#);
    }
    if !asked.stream {
        return HttpResponse::Ok()
            .content_type("application/json")
            .body(script.whole.clone());
    }
    let all = script.pieces.len();
    let (wait, left_out) = match model {
        "drip" => (Some(DRIP), 0..0),
        "trickle" => (Some(TRICKLE), TRICKLE_CHUNKS..UPSTREAM_CHUNKS),
        _ => (None, 0..0),
    };
    let cut = model == "cut";
    let pieces = (0..all).filter(move |at| !left_out.contains(at));
    let stream = futures_util::stream::iter(pieces).then(move |at| {
        let piece = match at == UPSTREAM_CHUNKS / 2 && cut {
            true => Err(std::io::Error::other("cut")),
            false => Ok(script.pieces[at].clone()),
        };
        // What was written before a cut must have left.
        let wait = if piece.is_err() { Some(TRICKLE) } else { wait };
        async move {
            if let Some(wait) = wait.filter(|_| at > 0) {
                tokio::time::sleep(wait).await;
            }
            piece
        }
    });
    HttpResponse::Ok()
        .content_type("text/event-stream")
        .streaming(Box::pin(stream))
}

/// Never returns.
pub(crate) fn upstream(workers: usize) {
    let script = web::Data::new(Script {
        whole: whole().into(),
        pieces: pieces(),
    });
    serve("upstream", workers, move |app: &mut web::ServiceConfig| {
        app.app_data(script.clone())
            .route("/v1/chat/completions", web::post().to(answer))
            // What the router of sglang asks before it trusts a worker.
            .default_service(web::to(|| async {
                HttpResponse::Ok().json(serde_json::json!({"model_path": "plain"}))
            }));
    });
}

struct Bare {
    client: reqwest::Client,
    url: String,
}

async fn pass(body: web::Bytes, bare: web::Data<Bare>) -> HttpResponse {
    let streams = body.windows(13).any(|window| window == b"\"stream\":true");
    let call = bare
        .client
        .post(&bare.url)
        .header("content-type", "application/json")
        .body(body);
    let Ok(answer) = call.send().await else {
        return HttpResponse::BadGateway().finish();
    };
    let mut response = HttpResponse::Ok();
    if streams {
        return response
            .content_type("text/event-stream")
            .streaming(answer.bytes_stream());
    }
    match answer.bytes().await {
        Ok(bytes) => response.content_type("application/json").body(bytes),
        Err(_) => HttpResponse::BadGateway().finish(),
    }
}

/// Never returns. Passes bodies on to the upstream at `base`, and its answers back, without a look at either.
pub(crate) fn bare(base: &str, workers: usize) {
    let url = format!("{base}/v1/chat/completions");
    rustls::crypto::ring::default_provider()
        .install_default()
        .unwrap();
    serve("bare", workers, move |app: &mut web::ServiceConfig| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = url.clone();
        app.app_data(web::Data::new(Bare { client, url }))
            .route("/v1/chat/completions", web::post().to(pass));
    });
}

fn serve(
    name: &str,
    workers: usize,
    configure: impl Fn(&mut web::ServiceConfig) + Clone + Send + 'static,
) {
    actix_web::rt::System::new().block_on(async {
        let server = HttpServer::new(move || App::new().configure(configure.clone()));
        let server = server.workers(workers).bind(("127.0.0.1", 0)).unwrap();
        println!("{name} http://{}", server.addrs()[0]);
        server.run().await.unwrap();
    });
}

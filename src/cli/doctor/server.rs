//! A server at the address of the settings: ours, somebody else's, or none.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::Value;

use crate::app::doctor::Finding;
use crate::cli::client::Client;
use crate::cli::server::url_of;
use crate::config::Settings;
use crate::types::http::Method;

const PORT: &str = "port";
const SERVER: &str = "server";
/// Longest wait for an answer of a server on this machine.
const WAIT: Duration = Duration::from_secs(5);

/// Looks at the address: whether it is free, and how the server is that has it.
pub(super) async fn server(settings: &Settings) -> Vec<Finding> {
    let http = &settings.http;
    let Ok(address) = http.address() else {
        // The settings' check has told it.
        return Vec::new();
    };
    if http.port == 0 {
        return vec![Finding::ok(PORT, "any free one (http.port = 0)")];
    }
    let address = SocketAddr::new(address, http.port);
    match TcpListener::bind(address) {
        Ok(_) => {
            return vec![Finding::ok(
                PORT,
                format!("{address} is free; no server runs there"),
            )];
        }
        Err(error) if error.kind() != std::io::ErrorKind::AddrInUse => {
            return vec![Finding::fail(
                PORT,
                format!("{address} cannot be listened on: {error}"),
                "choose another http.port or http.bind",
            )];
        }
        Err(_) => {}
    }
    let base = url_of(address);
    let client = Client::new(base.as_str());
    let ask = async |path: &str| {
        let asked = client.ask(Method::Get, path, None);
        let answer = tokio::time::timeout(WAIT, asked).await.ok()?.ok()?;
        Some((answer.status, answer.body))
    };
    match ask("/readyz").await {
        Some((200 | 503, health)) if health.get("ready").is_some() => {
            let version = ask("/api/version").await;
            vec![judge(
                &base,
                &health,
                version.as_ref().map(|(_, body)| body),
            )]
        }
        Some((status, _)) => vec![Finding::fail(
            PORT,
            format!("{base} is another server's: it answers /readyz with {status}"),
            "choose another http.port, or stop that server",
        )],
        None => vec![Finding::fail(
            PORT,
            format!("{base} is taken by a process that does not answer"),
            "find it with `ss -ltnp`; if it is boathouse, its log says more",
        )],
    }
}

fn judge(base: &str, health: &Value, version: Option<&Value>) -> Finding {
    let own = env!("CARGO_PKG_VERSION");
    let version = version
        .and_then(|body| body.get("boathouse"))
        .and_then(Value::as_str);
    let degraded: Vec<&str> = health["degraded"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    // Without a key that may ask for it, it is not told.
    let shown = version.map_or_else(String::new, |version| format!(", boathouse {version}"));
    let what = format!("{base} serves{shown}");
    if health["ready"] != true {
        Finding::fail(
            SERVER,
            match degraded.is_empty() {
                // Without a key that may read it is not told which.
                true => format!("{base} does not serve"),
                false => format!("{base} does not serve: {}", degraded.join(", ")),
            },
            "see `boathouse tree` and the log",
        )
    } else if !degraded.is_empty() {
        Finding::warn(
            SERVER,
            format!("{what}, without {}", degraded.join(", ")),
            "see `boathouse tree` for the reason",
        )
    } else if version.is_some_and(|version| version != own) {
        Finding::warn(
            SERVER,
            format!("{what}; this is {own}"),
            "restart it to run the version that is installed",
        )
    } else {
        Finding::ok(SERVER, what)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::app::doctor::Level;

    #[test]
    fn a_server_is_judged_by_what_it_says() {
        let own = json!({"boathouse": env!("CARGO_PKG_VERSION")});
        let old = json!({"boathouse": "0.0.1"});
        for (ready, degraded, version, level) in [
            (true, json!([]), &own, Level::Ok),
            (true, json!([]), &old, Level::Warn),
            (true, json!(["docs"]), &own, Level::Warn),
            (false, json!(["evidence"]), &own, Level::Fail),
        ] {
            let health = json!({"ready": ready, "degraded": degraded});
            assert_eq!(judge("http://x", &health, Some(version)).level, level);
        }
    }
}

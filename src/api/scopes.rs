//! What each route asks of a key: the one table. A route that does not stand here needs `admin`.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::http::Method;

use crate::types::api_key::Scope;

/// What a request needs, where the server has keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: it tells nobody anything.
    Nothing,
    /// Nothing either, but a key is told more.
    Welcome,
    /// A good key: what it may do is asked where it is done.
    AnyKey,
    /// A key with this scope.
    Key(Scope),
}

const OPEN: Need = Need::Nothing;
const READ: Need = Need::Key(Scope::Read);
const WRITE: Need = Need::Key(Scope::Write);
const CHAT: Need = Need::Key(Scope::Chat);
const ADMIN: Need = Need::Key(Scope::Admin);

/// Method, path and need.
type Row = (&'static str, &'static str, Need);

/// Method, path as in the API's description (`{…}` is one part, `{…+}` all that follow), and what it needs.
const TABLE: &[Row] = &[
    // Chat: asks models, has answers judged, says what became of them.
    ("POST", "/v1/embeddings", CHAT),
    ("POST", "/v1/chat/completions", CHAT),
    ("POST", "/v1/responses", CHAT),
    ("POST", "/v1/messages", CHAT),
    ("GET", "/v1/models", CHAT),
    ("GET", "/v1/models/{model+}", CHAT),
    ("POST", "/api/chat", CHAT),
    ("POST", "/api/generate", CHAT),
    ("POST", "/api/embed", CHAT),
    ("POST", "/api/embeddings", CHAT),
    ("GET", "/api/tags", CHAT),
    ("GET", "/api/version", CHAT),
    ("POST", "/v1/iterate", CHAT),
    ("POST", "/v1/validate", CHAT),
    ("GET", "/v1/validators", CHAT),
    ("POST", "/v1/feedback", CHAT),
    ("GET", "/console/chat", CHAT),
    ("GET", "/console/validators", CHAT),
    ("POST", "/console/validators", CHAT),
    // Read: collections, and how the server is.
    ("GET", "/v1/collections", READ),
    ("GET", "/v1/collections/{name}", READ),
    ("POST", "/v1/collections/{name}/search", READ),
    ("POST", "/v1/collections/{name}/search/batch", READ),
    ("POST", "/v1/collections/{name}/recommend", READ),
    ("GET", "/v1/collections/{name}/export", READ),
    ("GET", "/v1/collections/{name}/move", READ),
    ("GET", "/v1/collections/{name}/reembed", READ),
    ("POST", "/v1/collections/{name}/points/scroll", READ),
    ("POST", "/v1/collections/{name}/points/count", READ),
    ("GET", "/v1/collections/{name}/points/{id+}", READ),
    ("GET", "/v1/evidence/head", READ),
    ("GET", "/v1/datasets/job", READ),
    ("GET", "/v1/exports", READ),
    ("GET", "/v1/usage", READ),
    ("GET", "/v1/supervisors", READ),
    ("GET", "/metrics", READ),
    ("GET", "/openapi.json", READ),
    ("GET", "/docs", READ),
    ("GET", "/docs/{file+}", READ),
    ("GET", "/", READ),
    ("GET", "/console", READ),
    ("GET", "/console/tree", READ),
    ("GET", "/console/collections", READ),
    ("GET", "/console/collections/{name}", READ),
    ("GET", "/console/collections/{name}/points/{id+}", READ),
    ("GET", "/console/search", READ),
    ("GET", "/console/datasets", READ),
    ("GET", "/console/datasets/job", READ),
    // Write: collections and points, evidence brought from elsewhere, datasets.
    ("PUT", "/v1/collections/{name}", WRITE),
    ("DELETE", "/v1/collections/{name}", WRITE),
    ("POST", "/v1/collections/{name}/points", WRITE),
    ("POST", "/v1/collections/{name}/points/delete", WRITE),
    ("PUT", "/v1/collections/{name}/index", WRITE),
    ("DELETE", "/v1/collections/{name}/index/{field+}", WRITE),
    ("POST", "/v1/collections/{name}/move", WRITE),
    ("DELETE", "/v1/collections/{name}/move", WRITE),
    ("POST", "/v1/collections/{name}/reembed", WRITE),
    ("DELETE", "/v1/collections/{name}/reembed", WRITE),
    ("POST", "/v1/collections/{name}/import", WRITE),
    ("POST", "/v1/evidence/import", WRITE),
    ("POST", "/v1/materialize", WRITE),
    ("POST", "/v1/exports", WRITE),
    ("DELETE", "/v1/datasets/job", WRITE),
    ("POST", "/console/datasets/materialize", WRITE),
    ("POST", "/console/datasets/export", WRITE),
    ("POST", "/console/datasets/cancel", WRITE),
    // Admin: what all callers asked and were answered, erasing it, judging it; the cells.
    ("GET", "/v1/evidence", ADMIN),
    ("POST", "/v1/evidence/erase", ADMIN),
    ("GET", "/v1/review", ADMIN),
    ("GET", "/v1/review/{task}", ADMIN),
    ("POST", "/v1/review/{task}", ADMIN),
    ("GET", "/console/evidence", ADMIN),
    ("GET", "/console/evidence/{seq}", ADMIN),
    ("GET", "/console/replays", ADMIN),
    ("GET", "/console/replays/{name}", ADMIN),
    ("POST", "/console/tree/restart", ADMIN),
    ("POST", "/console/dead-letters/release", ADMIN),
    ("POST", "/console/dead-letters/forget", ADMIN),
    ("GET", "/console/review", ADMIN),
    ("GET", "/console/review/{task}", ADMIN),
    ("POST", "/console/review/{task}", ADMIN),
    ("POST", "/v1/validators/reload", ADMIN),
    ("POST", "/v1/reload", ADMIN),
    ("GET", "/v1/backup", ADMIN),
    ("GET", "/v1/push", ADMIN),
    ("POST", "/v1/push", ADMIN),
    ("DELETE", "/v1/push", ADMIN),
    ("POST", "/v1/pull", ADMIN),
    ("POST", "/v1/supervisors/reload", ADMIN),
    ("POST", "/v1/supervisors/{id+}", ADMIN),
    ("GET", "/v1/dead-letters", ADMIN),
    ("DELETE", "/v1/dead-letters/{digest}", ADMIN),
    ("POST", "/v1/dead-letters/{digest}/release", ADMIN),
    // Each tool and resource has a scope of its own.
    ("POST", "/mcp", Need::AnyKey),
    // Nothing: whether it lives, and the way in.
    ("GET", "/healthz", Need::Welcome),
    ("GET", "/readyz", Need::Welcome),
    ("GET", "/console/login", OPEN),
    ("POST", "/console/login", OPEN),
    ("POST", "/console/logout", OPEN),
];

/// What the files of pages end in; they are compiled in and hold no data.
const ASSETS: [&str; 4] = [".css", ".js", ".svg", ".ico"];

/// What a request needs. `path` is the one that the router sees.
pub(super) fn need(method: &Method, path: &str) -> Need {
    listed(method, path).unwrap_or(ADMIN)
}

fn listed(method: &Method, path: &str) -> Option<Need> {
    static BY_START: LazyLock<HashMap<&str, Vec<&Row>>> = LazyLock::new(|| {
        let mut rows: HashMap<&str, Vec<_>> = HashMap::new();
        for row in TABLE {
            rows.entry(start(row.1)).or_default().push(row);
        }
        rows
    });
    let method = match method.as_str() {
        "HEAD" => "GET",
        other => other,
    };
    let mut rows = BY_START.get(start(path)).into_iter().flatten();
    let row = rows.find(|(known, pattern, _)| *known == method && suits(pattern, path));
    row.map(|(.., need)| *need)
        .or_else(|| (method == "GET" && is_asset(path)).then_some(OPEN))
}

/// The first two parts of a path, which no pattern leaves open but for what is below `/docs`.
fn start(path: &str) -> &str {
    let mut slashes = path.match_indices('/').skip(1);
    let first = slashes.next().map_or(path.len(), |(at, _)| at);
    if &path[..first] == "/docs" {
        return &path[..first];
    }
    slashes.next().map_or(path, |(at, _)| &path[..at])
}

fn suits(pattern: &str, path: &str) -> bool {
    let mut parts = path.split('/');
    for wanted in pattern.split('/') {
        let Some(part) = parts.next() else {
            return false;
        };
        if wanted.starts_with('{') {
            if wanted.ends_with("+}") {
                return true;
            }
            if part.is_empty() {
                return false;
            }
        } else if wanted != part {
            return false;
        }
    }
    parts.next().is_none()
}

fn is_asset(path: &str) -> bool {
    // /console/assets/VERSION/NAME
    path.strip_prefix("/console/assets/").is_some_and(|file| {
        file.split('/').count() == 2 && ASSETS.iter().any(|end| file.ends_with(end))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_documented_route_stands_in_the_table() {
        let document = serde_json::to_value(crate::api::document()).unwrap();
        let mut count = 0;
        for (path, methods) in document["paths"].as_object().unwrap() {
            for method in methods.as_object().unwrap().keys() {
                let method = method.to_uppercase();
                let known = listed(&method.parse().unwrap(), path).is_some();
                assert!(known, "{method} {path} needs a row in the table of scopes");
                count += 1;
            }
        }
        assert!(count > 50, "{count}");
    }

    #[test]
    fn a_route_needs_what_its_row_says_and_admin_without_one() {
        for (method, path, expected) in [
            ("POST", "/v1/embeddings", CHAT),
            ("HEAD", "/v1/models", CHAT),
            ("GET", "/v1/models/up/some/model", CHAT),
            ("GET", "/v1/collections/docs", READ),
            ("PUT", "/v1/collections/docs", WRITE),
            ("DELETE", "/v1/collections/docs", WRITE),
            ("POST", "/v1/collections/docs/points", WRITE),
            ("POST", "/v1/collections/docs/points/count", READ),
            ("GET", "/v1/collections/docs/points/a/b", READ),
            ("GET", "/v1/evidence", ADMIN),
            ("GET", "/v1/evidence/head", READ),
            (
                "POST",
                "/v1/supervisors/root/engines/embedding/crash",
                ADMIN,
            ),
            ("GET", "/docs/swagger-ui.css", READ),
            ("GET", "/docs/", READ),
            ("GET", "/console/assets/0a1b/console.css", OPEN),
            ("GET", "/console/collections/docs/points/a.css", READ),
            ("GET", "/console/assets/x/y/console.css", ADMIN),
            ("GET", "/healthz", Need::Welcome),
            // Not in the table.
            ("GET", "/", READ),
            ("DELETE", "/v1/models/x", ADMIN),
            ("GET", "/v1/collections//points/a", ADMIN),
            ("GET", "/v1/collections/docs/", ADMIN),
            ("GET", "//v1/models", ADMIN),
            ("GET", "/v1", ADMIN),
            ("GET", "/healthz/x", ADMIN),
            ("GET", "/console/review/x.css", ADMIN),
            ("POST", "/console/x.css", ADMIN),
            ("GET", "", ADMIN),
            ("OPTIONS", "*", ADMIN),
        ] {
            assert_eq!(
                need(&method.parse().unwrap(), path),
                expected,
                "{method} {path}"
            );
        }
    }
}

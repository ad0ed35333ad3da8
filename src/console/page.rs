//! The console's HTML.

use std::fmt::Write as _;

use serde_json::Value;

use super::html::{Escaped, frame};
use crate::services::ServiceError;
use crate::services::collections::CollectionState;
use crate::services::search::SearchOutput;

type Listed = (String, Result<CollectionState, ServiceError>);

/// Renders the whole page.
pub(super) fn page(
    tree_json: &Value,
    collections: &[Listed],
    chosen: &str,
    query: &str,
    found: Option<&Result<SearchOutput, ServiceError>>,
) -> String {
    let mut options = String::new();
    let mut rows = String::new();
    for (name, state) in collections {
        let selected = if name == chosen { " selected" } else { "" };
        let name = Escaped(name);
        // Writing to a String cannot fail, here and below.
        let _ = write!(options, "<option{selected}>{name}</option>");
        let _ = match state {
            Ok(CollectionState { info, outdated }) => write!(
                rows,
                "<tr><td>{name}</td><td class=n>{}</td><td class=n>{}</td><td>{}{}</td></tr>",
                info.points,
                info.spec.dim,
                Escaped(info.spec.embedder.as_deref().unwrap_or("given vectors")),
                outdated.as_ref().map_or_else(String::new, |why| format!(
                    " <span class=bad title=\"{}\">outdated</span>",
                    Escaped(why)
                ))
            ),
            Err(error) => write!(
                rows,
                "<tr><td>{name}</td><td colspan=3 class=bad>{}</td></tr>",
                Escaped(&error.message)
            ),
        };
    }
    if rows.is_empty() {
        rows.push_str(
            "<tr><td colspan=4>none yet: <code>PUT /v1/collections/docs</code></td></tr>",
        );
    }
    frame(&format!(
        "<section><h2>Supervision tree</h2><div id=live aria-live=off>{tree}</div></section>\
         <section><h2>Collections</h2><table><thead><tr><th>name<th class=n>points<th class=n>dim<th>embedder</thead>\
         <tbody>{rows}</tbody></table></section>\
         <section><h2>Search</h2><form method=get action=\"/console\">\
         <label>Collection <select name=collection>{options}</select></label> \
         <label>Query <input name=q type=search value=\"{query}\" required></label> <button>Search</button></form>\
         {hits}</section>",
        tree = tree(tree_json),
        query = Escaped(query),
        hits = found.map_or_else(String::new, hits),
    ))
}

fn hits(found: &Result<SearchOutput, ServiceError>) -> String {
    match found {
        Err(error) => format!("<p class=bad role=alert>{}</p>", Escaped(&error.message)),
        Ok(found) if found.hits.is_empty() => "<p>Nothing found.</p>".to_owned(),
        Ok(found) => {
            let mut list = String::from("<ol>");
            for hit in &found.hits {
                let _ = write!(
                    list,
                    "<li><b>{}</b> <span class=score>{:.4}</span><br>{}</li>",
                    Escaped(&hit.id),
                    hit.score,
                    Escaped(hit.text.as_deref().unwrap_or(""))
                );
            }
            list + "</ol>"
        }
    }
}

/// Renders the tree as a table, one row for each node.
pub(super) fn tree(root: &Value) -> String {
    let mut rows = String::new();
    node(root, 0, &mut rows);
    format!(
        "<table class=tree><thead><tr><th>cell<th>state<th class=n>restarts<th class=n>queue\
         <th class=n>in flight<th class=n>zombies<th>last crash</thead><tbody>{rows}</tbody></table>"
    )
}

fn node(value: &Value, depth: usize, rows: &mut String) {
    let text = |field: &str| value.get(field).and_then(Value::as_str).unwrap_or("");
    let number = |field: &str| {
        value
            .get(field)
            .and_then(Value::as_u64)
            .map_or_else(String::new, |n| n.to_string())
    };
    let crash = value
        .get("last_crash")
        .and_then(|crash| crash.get("message"))
        .or_else(|| value.get("start_failure"))
        .and_then(Value::as_str)
        .unwrap_or("");
    let state = text("state");
    let _ = write!(
        rows,
        "<tr><td class=d{}>{}</td><td class=\"s-{state}\">{state}</td><td class=n>{}</td>\
         <td class=n>{}</td><td class=n>{}</td><td class=n>{}</td><td>{}</td></tr>",
        depth.min(4),
        Escaped(text("id")),
        number("restarts"),
        number("queue"),
        number("in_flight"),
        number("zombies"),
        Escaped(crash),
    );
    for child in value
        .get("children")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        node(child, depth + 1, rows);
    }
}

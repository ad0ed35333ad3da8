//! What the pages load besides themselves, compiled in. An address holds the hash of what is there, so that it may be kept for
//! ever.

use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::web::{self, Path, ServiceConfig};

/// One file.
struct Asset {
    name: &'static str,
    kind: &'static str,
    bytes: &'static [u8],
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// Every file. `htmx.LICENSE` is that of `htmx.min.js`, 2.0.11, taken as it is from the package htmx.org.
static ALL: [Asset; 5] = [
    Asset {
        name: "console.css",
        kind: "text/css; charset=utf-8",
        bytes: include_bytes!("assets/console.css"),
    },
    Asset {
        name: "console.js",
        kind: SCRIPT,
        bytes: include_bytes!("assets/console.js"),
    },
    Asset {
        name: "chat.js",
        kind: SCRIPT,
        bytes: include_bytes!("assets/chat.js"),
    },
    Asset {
        name: "htmx.min.js",
        kind: SCRIPT,
        bytes: include_bytes!("assets/htmx.min.js"),
    },
    Asset {
        name: "icon.svg",
        kind: "image/svg+xml",
        bytes: include_bytes!("assets/icon.svg"),
    },
];

static VERSIONS: LazyLock<Vec<String>> = LazyLock::new(|| {
    ALL.iter()
        .map(|asset| {
            let hash = blake3::hash(asset.bytes).to_hex();
            hash.chars().take(16).collect()
        })
        .collect()
});

/// The address of a file of the table.
pub(super) fn address(name: &str) -> String {
    let at = ALL.iter().position(|asset| asset.name == name);
    let version = at.and_then(|at| VERSIONS.get(at));
    let version = version.map_or("none", String::as_str);
    format!("/console/assets/{version}/{name}")
}

/// Mounts them, each under any version: a page from before an update gets what there is now, and is not to keep it.
pub(super) fn mount(app: &mut ServiceConfig) {
    for (asset, version) in ALL.iter().zip(VERSIONS.iter()) {
        let path = format!("/console/assets/{{version}}/{}", asset.name);
        let serve = move |asked: Path<String>| async move {
            let caching = match *asked == *version {
                true => "public, max-age=31536000, immutable",
                false => "no-cache",
            };
            HttpResponse::Ok()
                .insert_header(("content-type", asset.kind))
                .insert_header(("x-content-type-options", "nosniff"))
                .insert_header(("cache-control", caching))
                .body(asset.bytes)
        };
        app.route(&path, web::get().to(serve));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_pages_name_is_there() {
        for asset in &ALL {
            let address = address(asset.name);
            assert!(!address.contains("/none/"), "{address}");
        }
    }
}

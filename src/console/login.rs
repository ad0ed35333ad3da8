//! The way into the console where the server has keys: a browser shows one once, and gets a cookie that is not the key.

use actix_web::http::Uri;
use actix_web::http::header::{COOKIE as COOKIE_HEADER, HeaderMap, ORIGIN};
use actix_web::http::uri::PathAndQuery;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use maud::{Markup, html};
use serde::Deserialize;

use super::form::TimedForm;
use super::page::{page, see};
use crate::services::Services;
use crate::services::keys::{HOW_TO_MAKE, SESSION_MS};

/// The cookie of a session.
pub const COOKIE: &str = "boathouse_session";

/// Where somebody wanted to go.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wish {
    #[serde(default)]
    next: String,
}

/// What the form sends. No `Debug`: it holds a key.
#[derive(Deserialize)]
pub(super) struct Shown {
    key: String,
    #[serde(default)]
    next: String,
}

/// Sends a browser that asked for `uri` to the form, and back to it afterwards.
pub fn way_in(uri: &str) -> HttpResponse {
    HttpResponse::SeeOther()
        .insert_header(("location", address(uri)))
        .insert_header(("cache-control", "no-store"))
        .finish()
}

/// The header that the script of our pages sends with each request.
pub const BY_SCRIPT: &str = "hx-request";

/// Has the script that asked send its whole page to the form, and back to it afterwards. A redirect it would follow by
/// itself, and show the form within the page.
pub fn way_back_in(headers: &HeaderMap) -> HttpResponse {
    let page = headers.get("hx-current-url");
    let page = page.and_then(|url| url.to_str().ok()?.parse::<Uri>().ok());
    let page = page.as_ref().and_then(Uri::path_and_query);
    let page = page.map_or("/console", PathAndQuery::as_str);
    HttpResponse::Unauthorized()
        .insert_header(("hx-redirect", address(place(page))))
        .insert_header(("cache-control", "no-store"))
        .finish()
}

/// Where the form is that leads to `uri`.
fn address(uri: &str) -> String {
    let next: String = uri
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'/' => {
                char::from(byte).to_string()
            }
            _ => format!("%{byte:02X}"),
        })
        .collect();
    format!("/console/login?next={next}")
}

pub(super) async fn form(
    request: HttpRequest,
    services: Data<Services>,
    wish: Query<Wish>,
) -> HttpResponse {
    let page = if services.keys.version() == 0 {
        open_page()
    } else if session(request.headers()).is_some_and(|one| services.keys.of_session(one).is_some())
    {
        inside_page()
    } else {
        form_page(&wish.next, None)
    };
    respond(&page)
}

pub(super) async fn log_in(
    request: HttpRequest,
    services: Data<Services>,
    shown: TimedForm<Shown>,
) -> HttpResponse {
    let TimedForm(Shown { key, next }) = shown;
    let secret = match services.keys.log_in(&key) {
        Ok(secret) => secret,
        Err(error) => {
            tracing::warn!(%error, "nobody was let into the console");
            return respond(&form_page(&next, Some(&error.message)));
        }
    };
    // A browser that reached us by https, over a proxy, must never send the cookie without.
    let origin = request.headers().get(ORIGIN);
    let secure = origin.is_some_and(|origin| origin.as_bytes().starts_with(b"https://"));
    let secure = if secure { "; Secure" } else { "" };
    let seconds = SESSION_MS / 1_000;
    let cookie =
        format!("{COOKIE}={secret}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}");
    HttpResponse::SeeOther()
        .insert_header(("location", place(&next)))
        .insert_header(("set-cookie", cookie))
        .insert_header(("cache-control", "no-store"))
        .finish()
}

pub(super) async fn log_out(request: HttpRequest, services: Data<Services>) -> HttpResponse {
    if let Some(secret) = session(request.headers()) {
        services.keys.log_out(secret);
    }
    let mut response = see("/console");
    let gone = format!("{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict");
    if let Ok(gone) = gone.parse() {
        let headers = response.headers_mut();
        headers.insert(actix_web::http::header::SET_COOKIE, gone);
    }
    response
}

/// The secret of the session that a request belongs to.
pub fn session(headers: &HeaderMap) -> Option<&str> {
    headers
        .get_all(COOKIE_HEADER)
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))
}

/// Where to go on: a page of ours, whatever the form said.
fn place(next: &str) -> &str {
    let ours = ["/console", "/docs"]
        .iter()
        .any(|start| match next.strip_prefix(start) {
            Some(rest) => rest.is_empty() || rest.starts_with(['/', '?']),
            None => false,
        });
    let plain = next
        .bytes()
        .all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\');
    if ours && plain { next } else { "/console" }
}

fn respond(main: &Markup) -> HttpResponse {
    page("/console/login", "Log in", main)
}

fn form_page(next: &str, problem: Option<&str>) -> Markup {
    html! {
        @if let Some(problem) = problem { p.alert role="alert" { (problem) } }
        form method="post" action="/console/login" {
            input type="hidden" name="next" value=(next);
            label {
                "API key "
                input name="key" type="password" autocomplete="off" required autofocus size="60";
            }
            " "
            button { "Log in" }
        }
        p {
            "Most pages need a key with the scope " code { "read" }
            ", evidence and the review queue " code { "admin" } ": " code { (HOW_TO_MAKE) }
        }
    }
}

fn inside_page() -> Markup {
    html! {
        p { "You are logged in." }
        form method="post" action="/console/logout" { button { "Log out" } }
    }
}

fn open_page() -> Markup {
    html! {
        p {
            "This server has no API keys and serves this machine without. " code { (HOW_TO_MAKE) }
            " makes one; from then on they are needed."
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn one_goes_on_to_pages_of_ours_only() {
        for (next, expected) in [
            ("/console/review?after=3", "/console/review?after=3"),
            ("/docs/", "/docs/"),
            ("/console", "/console"),
            ("", "/console"),
            ("//evil.example", "/console"),
            ("https://evil.example", "/console"),
            ("/console.evil.example", "/console"),
            ("/console/\\evil", "/console"),
            ("/console/x\r\nset-cookie: a", "/console"),
        ] {
            assert_eq!(place(next), expected, "{next:?}");
        }
    }

    #[test]
    fn a_session_is_found_among_other_cookies() {
        for (given, expected) in [
            (vec!["boathouse_session=s"], Some("s")),
            (vec!["a=b; boathouse_session=s; c=d"], Some("s")),
            (vec!["a=b", "boathouse_session=s"], Some("s")),
            (vec!["boathouse_sessions=s"], None),
            (vec!["x_boathouse_session=s"], None),
            (vec![], None),
        ] {
            let mut headers = HeaderMap::new();
            for value in &given {
                let name = HeaderName::from_static("cookie");
                headers.append(name, HeaderValue::from_static(value));
            }
            assert_eq!(session(&headers), expected, "{given:?}");
        }
    }
}

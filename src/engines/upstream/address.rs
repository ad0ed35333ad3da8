//! What upstreams over HTTP share: addressing a call, and reading the errors that come back.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::UpstreamError;
use crate::types::http::{HttpCall, HttpHead, HttpReply, Method, Timeouts, is_link_local};

/// Where the settings say that an upstream's key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace<'a> {
    /// An environment variable.
    Variable(&'a str),
    /// A file that holds nothing else, such as one that an orchestrator mounts.
    File(&'a Path),
}

impl fmt::Display for KeyPlace<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => {
                write!(
                    formatter,
                    "the environment variable {name}, which is not set"
                )
            }
            Self::File(path) => {
                let path = path.display();
                write!(
                    formatter,
                    "the file {path}, which is empty or could not be read at the start"
                )
            }
        }
    }
}

/// Where an upstream is, and how it wants to be asked.
pub(in crate::engines) struct Address<'a> {
    /// Without a slash at its end.
    pub(in crate::engines) base_url: &'a str,
    /// Where the key should be.
    pub(in crate::engines) key_place: Option<KeyPlace<'a>>,
    /// Sent with every request.
    pub(in crate::engines) headers: &'a BTreeMap<String, String>,
    /// Merged into every body.
    pub(in crate::engines) extra_body: &'a Map<String, Value>,
    /// See [`Timeouts`]; the first byte is waited for so long in a stream only.
    pub(in crate::engines) first_byte_ms: u64,
    pub(in crate::engines) idle_ms: u64,
    pub(in crate::engines) total_ms: u64,
}

/// One upstream's address, key and habits. No `Debug`: it holds the key.
#[derive(Clone)]
pub(in crate::engines) struct Upstream {
    pub(in crate::engines) name: String,
    base_url: String,
    key: Option<String>,
    /// The header that carries the key, and what stands before it there.
    key_header: (&'static str, &'static str),
    /// Where the key should have been.
    missing_key: Option<String>,
    headers: Vec<(String, String)>,
    extra_body: Map<String, Value>,
    first_byte_ms: u64,
    idle_ms: u64,
    total_ms: u64,
}

impl Upstream {
    pub(in crate::engines) fn new(name: &str, address: &Address, key: Option<String>) -> Self {
        let key = key
            .map(|key| key.trim().to_owned())
            .filter(|key| !key.is_empty());
        let missing_key = match key {
            Some(_) => None,
            None => address.key_place.map(|place| place.to_string()),
        };
        Self {
            name: name.to_owned(),
            base_url: address.base_url.to_owned(),
            key,
            key_header: ("authorization", "Bearer "),
            missing_key,
            headers: address
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect(),
            extra_body: address.extra_body.clone(),
            first_byte_ms: address.first_byte_ms,
            idle_ms: address.idle_ms,
            total_ms: address.total_ms,
        }
    }

    /// Whether it is the service at this host, and not a server that only speaks like it.
    pub(in crate::engines) fn is_at(&self, host: &str) -> bool {
        let rest = self.base_url.split_once("://").map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split('/').next()) == Some(host)
    }

    /// Sends the key bare in a header of this name.
    pub(in crate::engines) fn with_key_in(mut self, header: &'static str) -> Self {
        self.key_header = (header, "");
        self
    }

    /// Sends a header that the settings do not give.
    pub(in crate::engines) fn with_default_header(mut self, name: &str, value: &str) -> Self {
        if !self.headers.iter().any(|(known, _)| known == name) {
            self.headers.push((name.to_owned(), value.to_owned()));
        }
        self
    }

    /// Addresses a call with this JSON body, into which the configured fields are merged.
    pub(in crate::engines) fn call(
        &self,
        path: &str,
        body: &impl Serialize,
        stream: bool,
        accept: &str,
    ) -> Result<HttpCall, UpstreamError> {
        if let Some(place) = &self.missing_key {
            return Err(UpstreamError::NoKey {
                provider: self.name.clone(),
                place: place.clone(),
            });
        }
        let body = self
            .written(body)
            .map_err(|error| UpstreamError::Unsupported {
                provider: self.name.clone(),
                message: error.to_string(),
            })?;
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("accept".to_owned(), accept.to_owned()),
        ];
        if let Some(key) = &self.key {
            let (header, before) = self.key_header;
            headers.push((header.to_owned(), format!("{before}{key}")));
        }
        headers.extend(self.headers.iter().cloned());
        Ok(HttpCall {
            method: Method::Post,
            url: format!("{}{path}", self.base_url),
            headers,
            body,
            timeouts: Timeouts {
                // Without a stream, the head comes only when the whole answer is there.
                first_byte_ms: if stream {
                    self.first_byte_ms
                } else {
                    self.total_ms
                },
                idle_ms: self.idle_ms,
                total_ms: self.total_ms,
            },
        })
    }

    /// Addresses a question without a body.
    pub(in crate::engines) fn get(&self, path: &str) -> Result<HttpCall, UpstreamError> {
        let call = self.call(path, &Value::Null, false, "application/json")?;
        Ok(HttpCall {
            method: Method::Get,
            body: Vec::new(),
            ..call
        })
    }

    /// Writes a body and the configured fields as one.
    fn written(&self, body: &impl Serialize) -> serde_json::Result<Vec<u8>> {
        if self.extra_body.is_empty() {
            return serde_json::to_vec(body);
        }
        let mut body = serde_json::to_value(body)?;
        merge(&mut body, &self.extra_body);
        // Kimi answers 400 to both at once.
        if body.get("thinking").is_some()
            && let Some(fields) = body.as_object_mut()
        {
            fields.remove("reasoning_effort");
        }
        serde_json::to_vec(&body)
    }

    /// Reads a whole answer as JSON, or the error that its status or body tells.
    pub(in crate::engines) fn json(&self, reply: &HttpReply) -> Result<Value, UpstreamError> {
        let parsed: Result<Value, _> = serde_json::from_slice(&reply.body);
        if !reply.head.is_success() {
            let told = match &parsed {
                // JSON of another form may hold what was sent.
                Ok(body) => error_of(body).unwrap_or_default(),
                Err(_) => Told {
                    message: String::from_utf8_lossy(&reply.body).into_owned(),
                    ..Told::default()
                },
            };
            return Err(self.error(reply.head.status, &told, retry_after_ms(&reply.head)));
        }
        let body = parsed.map_err(|error| self.malformed(format!("it is not JSON: {error}")))?;
        match self.error_in(&body) {
            Some(error) => Err(error),
            None => Ok(body),
        }
    }

    /// Reads a whole answer as what is expected; `failed` tells one that holds an error. The
    /// upstream's own words go before what is missing.
    pub(in crate::engines) fn typed<T: DeserializeOwned>(
        &self,
        reply: &HttpReply,
        failed: impl FnOnce(&T) -> bool,
    ) -> Result<T, UpstreamError> {
        match serde_json::from_slice::<T>(&reply.body) {
            Ok(read) if reply.head.is_success() && !failed(&read) => Ok(read),
            read => {
                self.json(reply)?;
                let reason = read.err().map(|error| error.to_string());
                Err(self.malformed(reason.unwrap_or_default()))
            }
        }
    }

    /// Finds an error inside the body of an answer or an event.
    pub(in crate::engines) fn error_in(&self, body: &Value) -> Option<UpstreamError> {
        body.get("error").filter(|error| !error.is_null())?;
        let told = error_of(body)?;
        Some(self.error(told.status.unwrap_or(200), &told, None))
    }

    /// Finds an error in the middle of a stream, where only its word tells what a status would
    /// have told.
    pub(in crate::engines) fn error_by_word(
        &self,
        body: &Value,
        status_of: impl FnOnce(&str) -> Option<u16>,
    ) -> Option<UpstreamError> {
        body.get("error").filter(|error| !error.is_null())?;
        let told = error_of(body)?;
        let status = told.status.or_else(|| status_of(&told.code));
        Some(self.error(status.unwrap_or(200), &told, None))
    }

    /// An answer that tells of a failure in its own way.
    pub(in crate::engines) fn failed(&self, message: &str) -> UpstreamError {
        let told = Told {
            message: message.to_owned(),
            ..Told::default()
        };
        self.error(200, &told, None)
    }

    /// An answer that cannot be read.
    pub(in crate::engines) fn malformed(&self, message: impl Into<String>) -> UpstreamError {
        UpstreamError::Malformed {
            provider: self.name.clone(),
            message: message.into(),
        }
    }

    /// An answer that broke off.
    pub(in crate::engines) fn cut(&self) -> UpstreamError {
        UpstreamError::Cut {
            provider: self.name.clone(),
        }
    }

    /// A request that this kind of upstream cannot be asked.
    pub(in crate::engines) fn unsupported(&self, message: impl Into<String>) -> UpstreamError {
        UpstreamError::Unsupported {
            provider: self.name.clone(),
            message: message.into(),
        }
    }

    fn error(&self, status: u16, told: &Told, retry_after_ms: Option<u64>) -> UpstreamError {
        // Some services quote the key that they refuse.
        let message = match &self.key {
            Some(key) => told.message.replace(key.as_str(), "***"),
            None => told.message.clone(),
        };
        UpstreamError::of_status(&self.name, status, &told.code, &message, retry_after_ms)
    }
}

/// What an error's body tells.
#[derive(Debug, Default, PartialEq)]
struct Told {
    message: String,
    code: String,
    status: Option<u16>,
}

/// Reads the forms of error that are in the wild: an object, a bare string, a list, `message`,
/// `detail`.
fn error_of(body: &Value) -> Option<Told> {
    let body = body
        .as_array()
        .and_then(|list| list.first())
        .unwrap_or(body);
    let error = body
        .get("error")
        .filter(|error| !error.is_null())
        .unwrap_or(body);
    if let Some(message) = error.as_str() {
        return Some(Told {
            message: message.to_owned(),
            ..Told::default()
        });
    }
    let message = words_of(error);
    let code = error
        .get("code")
        .filter(|code| !code.is_null())
        .or(error.get("type"));
    // OpenRouter wraps what the service behind it said.
    let raw = error.pointer("/metadata/raw").and_then(Value::as_str);
    let message = message.or_else(|| code.map(ToString::to_string))?;
    Some(Told {
        message: raw.map_or(message.clone(), |raw| format!("{message}: {raw}")),
        status: code
            .and_then(Value::as_u64)
            .and_then(|code| u16::try_from(code).ok())
            .filter(|code| (400..600).contains(code)),
        code: code.and_then(Value::as_str).unwrap_or_default().to_owned(),
    })
}

/// The words of an object, and of what stands in their places: objects and lists also hold what was sent, such as `input`.
fn words_of(error: &Value) -> Option<String> {
    fn words(value: &Value) -> Option<String> {
        match value {
            Value::String(text) => Some(text.clone()),
            Value::Array(list) => {
                let all: Vec<String> = list.iter().filter_map(words).collect();
                (!all.is_empty()).then(|| all.join("; "))
            }
            Value::Object(_) => words_of(value),
            _ => None,
        }
    }
    ["message", "detail", "msg", "error"]
        .iter()
        .filter_map(|field| error.get(field))
        .find_map(words)
}

/// Reads `retry-after-ms`, or `retry-after` in seconds; a date is not read.
fn retry_after_ms(head: &HttpHead) -> Option<u64> {
    let number = |name: &str| head.header(name)?.trim().parse::<f64>().ok();
    let wait = number("retry-after-ms").or(number("retry-after").map(|wait| wait * 1_000.0))?;
    // A day at most; NaN and negative numbers become 0.
    wait.is_finite()
        .then_some(wait.clamp(0.0, 86_400_000.0) as u64)
}

/// Merges `extra` into an object, objects into objects.
fn merge(body: &mut Value, extra: &Map<String, Value>) {
    let Some(fields) = body.as_object_mut() else {
        return;
    };
    for (name, value) in extra {
        match (fields.get_mut(name), value) {
            (Some(own @ Value::Object(_)), Value::Object(more)) => merge(own, more),
            _ => {
                fields.insert(name.clone(), value.clone());
            }
        }
    }
}

/// Refuses what is no address of an upstream, and addresses at which clouds give away the credentials of a machine, unless
/// they are allowed.
///
/// Errors: what it must be.
pub(in crate::engines) fn check_url(url: &str, allow_link_local: bool) -> Result<(), String> {
    let rest = url
        .strip_prefix("http://")
        .or(url.strip_prefix("https://"))
        .unwrap_or_default();
    if rest.is_empty() || url.contains(char::is_whitespace) || url.contains(['?', '#', '@', '\\']) {
        return Err(format!(
            "must be http:// or https://, a host and a path, got {:?}",
            without_credentials(url)
        ));
    }
    let authority = rest.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next(),
        None => authority.split(':').next(),
    };
    let address = host.and_then(|host| host.parse::<IpAddr>().ok());
    if !allow_link_local && address.is_some_and(is_link_local) {
        return Err(format!(
            "{url:?} is a link-local address, where clouds keep the credentials of a machine; \
             allow_link_local = true asks it nevertheless"
        ));
    }
    Ok(())
}

/// What may be told of a malformed URL: somebody may have written a password into it.
fn without_credentials(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((_, rest)) => format!("…@{rest}"),
        None => url.to_owned(),
    }
}

/// Refuses a key that should be in two places.
///
/// Errors: which.
pub(in crate::engines) fn check_key_place(
    variable: Option<&str>,
    file: Option<&Path>,
) -> Result<(), String> {
    match (variable, file) {
        (Some(_), Some(_)) => Err("api_key_env and api_key_file: set one of them".to_owned()),
        _ => Ok(()),
    }
}

/// Refuses what cannot be sent as headers.
///
/// Errors: the header at fault.
pub(in crate::engines) fn check_headers(headers: &BTreeMap<String, String>) -> Result<(), String> {
    let sane = |header: &str, value: &str| {
        !header.is_empty()
            && header
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
            && value.bytes().all(|byte| (0x20..0x7f).contains(&byte))
    };
    match headers.iter().find(|(header, value)| !sane(header, value)) {
        Some((header, _)) => Err(format!("{header:?} is no header")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn upstream(key: Option<&str>) -> Upstream {
        let extra = json!({"options": {"num_ctx": 9}});
        let address = Address {
            base_url: "http://h/v1",
            key_place: Some(KeyPlace::Variable("K_VAR")),
            headers: &[("X-Title".to_owned(), "b".to_owned())].into(),
            extra_body: extra.as_object().unwrap(),
            first_byte_ms: 1,
            idle_ms: 2,
            total_ms: 3,
        };
        Upstream::new("up", &address, key.map(ToOwned::to_owned))
    }

    #[test]
    fn every_form_of_error_is_read() {
        for (body, message, code, status) in [
            (
                json!({"error": {"message": "m", "type": "t", "code": "c"}}),
                "m",
                "c",
                None,
            ),
            (
                json!({"error": {"message": "m", "type": "t", "code": null}}),
                "m",
                "t",
                None,
            ),
            (
                json!({"error": {"message": "m", "code": 429, "metadata": {"raw": "r"}}}),
                "m: r",
                "",
                Some(429),
            ),
            (json!({"error": "bare"}), "bare", "", None),
            (
                json!([{"error": {"message": "m", "code": 400}}]),
                "m",
                "",
                Some(400),
            ),
            (
                json!({"detail": [{"msg": "x", "input": "a prompt"}, {"msg": "y"}]}),
                "x; y",
                "",
                None,
            ),
            (
                json!({"message": {"detail": [{"msg": "x", "ctx": {"input": "a prompt"}}]}, "type": "t"}),
                "x",
                "t",
                None,
            ),
            (
                json!({"detail": [{"input": "a prompt"}], "code": "c"}),
                "\"c\"",
                "c",
                None,
            ),
            (json!({"message": "top", "type": "t"}), "top", "t", None),
        ] {
            let expected = Told {
                message: message.into(),
                code: code.into(),
                status,
            };
            assert_eq!(error_of(&body), Some(expected), "{body}");
        }
        assert_eq!(error_of(&json!({"choices": []})), None);
        assert_eq!(error_of(&json!(7)), None);
    }

    #[test]
    fn retry_after_is_read_in_its_forms() {
        for (name, value, expected) in [
            ("retry-after", "2", Some(2_000)),
            ("retry-after", "0.5", Some(500)),
            ("retry-after-ms", "30", Some(30)),
            ("retry-after", "-1", Some(0)),
            ("retry-after", "NaN", None),
            ("retry-after", "1e300", Some(86_400_000)),
            ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT", None),
        ] {
            let head = HttpHead {
                status: 429,
                headers: vec![(name.into(), value.into())],
            };
            assert_eq!(retry_after_ms(&head), expected, "{name}: {value}");
        }
    }

    #[test]
    fn the_key_goes_into_the_call_and_nowhere_else() {
        let upstream = upstream(Some(" sk-secret\n"));
        let call = upstream
            .call("/x", &json!({"options": {"seed": 1}}), true, "*/*")
            .unwrap();
        assert_eq!(call.url, "http://h/v1/x");
        assert!(
            call.headers
                .contains(&("authorization".into(), "Bearer sk-secret".into()))
        );
        assert!(call.headers.contains(&("x-title".into(), "b".into())));
        let body: Value = serde_json::from_slice(&call.body).unwrap();
        assert_eq!(body, json!({"options": {"seed": 1, "num_ctx": 9}}));
        assert!(!format!("{call:?}").contains("sk-secret"));
        let reply = HttpReply {
            head: HttpHead {
                status: 401,
                headers: Vec::new(),
            },
            body: br#"{"error": {"message": "bad key sk-secret"}}"#.to_vec(),
        };
        let error = upstream.json(&reply).unwrap_err();
        assert!(error.to_string().contains("bad key ***"), "{error}");
    }

    #[test]
    fn what_an_upstream_repeats_is_not_told() {
        for body in [
            json!({"detail": [{"loc": ["body"], "msg": "too long", "input": "a prompt"}]}),
            json!({"request": {"prompt": "a prompt"}}),
            json!([{"input": "a prompt"}]),
        ] {
            let reply = HttpReply {
                head: HttpHead {
                    status: 422,
                    headers: Vec::new(),
                },
                body: body.to_string().into_bytes(),
            };
            let error = upstream(Some("k")).json(&reply).unwrap_err().to_string();
            assert!(!error.contains("a prompt"), "{error}");
        }
    }

    #[test]
    fn a_missing_key_names_its_variable() {
        for key in [None, Some("")] {
            let error = upstream(key)
                .call("/x", &json!({}), false, "*/*")
                .unwrap_err();
            assert!(error.to_string().contains("K_VAR"), "{error}");
        }
    }

    #[test]
    fn addresses_are_checked() {
        for (url, good) in [
            ("https://api.example/v1", true),
            ("http://127.0.0.1:11434", true),
            ("http://[::1]:11434/v1", true),
            ("http://10.0.0.1", true),
            ("ftp://api.example", false),
            ("file:///etc/passwd", false),
            ("api.example", false),
            ("https://user:pass@api.example", false),
            ("https://api.example\\@evil.example", false),
            ("https://api.example/v1?key=x", false),
            ("http://169.254.169.254/latest", false),
            ("http://[fe80::1]/", false),
            ("http://[fd00:ec2::254]:80", false),
            ("http://[::ffff:169.254.169.254]/", false),
        ] {
            assert_eq!(check_url(url, false).is_ok(), good, "{url}");
        }
        assert!(check_url("http://169.254.169.254", true).is_ok());
        let told = check_url("https://user:hunter2@api.example", false).unwrap_err();
        assert!(!told.contains("hunter2"), "{told}");
    }
}

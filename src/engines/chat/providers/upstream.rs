//! What providers over HTTP share: addressing a call, and reading the errors that come back.

use serde_json::{Map, Value};

use crate::engines::chat::config::ProviderConfig;
use crate::engines::chat::error::ChatError;
use crate::types::http::{HttpCall, HttpHead, HttpReply, Method, Timeouts};

/// One upstream's address, key and habits. No `Debug`: it holds the key.
#[derive(Clone)]
pub(super) struct Upstream {
    pub(super) name: String,
    base_url: String,
    key: Option<String>,
    /// The variable that should have held the key.
    missing_key: Option<String>,
    headers: Vec<(String, String)>,
    extra_body: Map<String, Value>,
    pub(super) stream_usage: bool,
    first_token_ms: u64,
    idle_ms: u64,
    total_ms: u64,
}

impl Upstream {
    pub(super) fn new(name: &str, url: &str, config: &ProviderConfig, key: Option<String>) -> Self {
        let key = key
            .map(|key| key.trim().to_owned())
            .filter(|key| !key.is_empty());
        let missing_key = match key {
            Some(_) => None,
            None => config.key_variable().map(ToOwned::to_owned),
        };
        Self {
            name: name.to_owned(),
            base_url: url.to_owned(),
            key,
            missing_key,
            headers: config
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), value.clone()))
                .collect(),
            extra_body: config.extra_body.clone(),
            stream_usage: config.stream_usage,
            first_token_ms: config.first_token_timeout_ms,
            idle_ms: config.idle_timeout_ms,
            total_ms: config.total_timeout_ms,
        }
    }

    /// Addresses a call with this JSON body, into which the configured fields are merged.
    pub(super) fn call(
        &self,
        path: &str,
        mut body: Value,
        stream: bool,
        accept: &str,
    ) -> Result<HttpCall, ChatError> {
        if let Some(variable) = &self.missing_key {
            return Err(ChatError::NoKey {
                provider: self.name.clone(),
                variable: variable.clone(),
            });
        }
        merge(&mut body, &self.extra_body);
        // Kimi answers 400 to both at once.
        if body.get("thinking").is_some()
            && let Some(fields) = body.as_object_mut()
        {
            fields.remove("reasoning_effort");
        }
        let mut headers = vec![
            ("content-type".to_owned(), "application/json".to_owned()),
            ("accept".to_owned(), accept.to_owned()),
        ];
        if let Some(key) = &self.key {
            headers.push(("authorization".to_owned(), format!("Bearer {key}")));
        }
        headers.extend(self.headers.iter().cloned());
        Ok(HttpCall {
            method: Method::Post,
            url: format!("{}{path}", self.base_url),
            headers,
            body: body.to_string().into_bytes(),
            timeouts: Timeouts {
                // Without a stream, the head comes only when the whole answer is there.
                first_byte_ms: if stream {
                    self.first_token_ms
                } else {
                    self.total_ms
                },
                idle_ms: self.idle_ms,
                total_ms: self.total_ms,
            },
        })
    }

    /// Reads a whole answer as JSON, or the error that its status or body tells.
    pub(super) fn json(&self, reply: &HttpReply) -> Result<Value, ChatError> {
        let parsed: Result<Value, _> = serde_json::from_slice(&reply.body);
        if !reply.head.is_success() {
            let told = parsed
                .as_ref()
                .ok()
                .and_then(error_of)
                .unwrap_or_else(|| Told {
                    message: String::from_utf8_lossy(&reply.body).into_owned(),
                    ..Told::default()
                });
            return Err(self.error(reply.head.status, &told, retry_after_ms(&reply.head)));
        }
        let body = parsed.map_err(|error| self.malformed(format!("it is not JSON: {error}")))?;
        match self.error_in(&body) {
            Some(error) => Err(error),
            None => Ok(body),
        }
    }

    /// Finds an error inside the body of an answer or an event.
    pub(super) fn error_in(&self, body: &Value) -> Option<ChatError> {
        body.get("error").filter(|error| !error.is_null())?;
        let told = error_of(body)?;
        Some(self.error(told.status.unwrap_or(200), &told, None))
    }

    /// An answer that cannot be read.
    pub(super) fn malformed(&self, message: impl Into<String>) -> ChatError {
        ChatError::Malformed {
            provider: self.name.clone(),
            message: message.into(),
        }
    }

    /// An answer that broke off.
    pub(super) fn cut(&self) -> ChatError {
        ChatError::Cut {
            provider: self.name.clone(),
        }
    }

    /// A request that this kind of upstream cannot be asked.
    pub(super) fn unsupported(&self, message: impl Into<String>) -> ChatError {
        ChatError::Unsupported {
            provider: self.name.clone(),
            message: message.into(),
        }
    }

    fn error(&self, status: u16, told: &Told, retry_after_ms: Option<u64>) -> ChatError {
        // Some services quote the key that they refuse.
        let message = match &self.key {
            Some(key) => told.message.replace(key.as_str(), "***"),
            None => told.message.clone(),
        };
        ChatError::of_status(&self.name, status, &told.code, &message, retry_after_ms)
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
    let message = ["message", "detail", "msg", "error"]
        .iter()
        .filter_map(|field| error.get(field))
        .map(|value| {
            value
                .as_str()
                .map_or_else(|| value.to_string(), ToOwned::to_owned)
        })
        .next();
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

/// Reads a text that may be a string or a list of parts.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .filter_map(|part| part.get("text")?.as_str())
            .collect(),
        _ => String::new(),
    }
}

/// Reads tool arguments, which are JSON in a string or an object, as JSON in a string.
pub(super) fn arguments_of(arguments: Option<&Value>) -> String {
    match arguments {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

/// Makes an id for a tool call out of what surrounds it: the same bytes give the same id.
pub(super) fn call_id(parts: &[&str], index: usize) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher
            .update(&(part.len() as u64).to_le_bytes())
            .update(part.as_bytes());
    }
    hasher.update(&(index as u64).to_le_bytes());
    format!("call_{}", &hasher.finalize().to_hex()[..24])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn upstream() -> Upstream {
        let config: ProviderConfig = toml::from_str(
            "api_key_env = \"K\"\nheaders = { X-Title = \"b\" }\n\
             extra_body = { options = { num_ctx = 9 } }",
        )
        .unwrap();
        Upstream::new(
            "up",
            "http://h/v1",
            &config,
            Some(" sk-secret\n".to_owned()),
        )
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
                json!({"detail": [{"msg": "x"}]}),
                "[{\"msg\":\"x\"}]",
                "",
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
        let call = upstream()
            .call("/x", json!({"options": {"seed": 1}}), true, "*/*")
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
        let error = upstream().json(&reply).unwrap_err();
        assert!(error.to_string().contains("bad key ***"), "{error}");
    }

    #[test]
    fn a_missing_key_names_its_variable() {
        let config = ProviderConfig {
            api_key_env: Some("K_VAR".into()),
            ..Default::default()
        };
        for key in [None, Some(String::new())] {
            let upstream = Upstream::new("up", "http://h", &config, key);
            let error = upstream.call("/x", json!({}), false, "*/*").unwrap_err();
            assert!(error.to_string().contains("K_VAR"), "{error}");
        }
    }
}

//! Sending calls.

use std::net::IpAddr;
use std::sync::{Mutex, Once, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Url};

use super::error::TransportError;
use super::guard::{self, Names};
use super::stream::HttpStream;
use crate::types::http::{HttpCall, HttpHead, HttpReply, Method};

/// How long an unused connection is kept. Shorter than most servers keep theirs.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// Connections to upstreams. They live on the runtime of whoever calls first, so each cell has its
/// own.
pub struct Transport {
    connect_ms: u64,
    /// Whether link-local addresses are asked.
    link_local: bool,
    outside: OnceLock<Client>,
    /// Never through a proxy.
    inside: OnceLock<Client>,
    /// Where the last call went, parsed: mostly the next one goes there too.
    last: Mutex<Option<(String, Url)>>,
}

impl Transport {
    /// No connection is made before the first call.
    pub fn new(connect_timeout: Duration) -> Self {
        Self {
            connect_ms: u64::try_from(connect_timeout.as_millis()).unwrap_or(u64::MAX),
            link_local: false,
            outside: OnceLock::new(),
            inside: OnceLock::new(),
            last: Mutex::new(None),
        }
    }

    /// The same, which also asks link-local addresses when told so.
    #[must_use]
    pub fn link_local(mut self, allowed: bool) -> Self {
        self.link_local = allowed;
        self
    }

    /// Sends `call` and reads the whole answer, whatever its status.
    ///
    /// Errors: no answer within the call's timeouts or before `deadline`, or one that is too large.
    /// Cancel safety: dropping the future closes the connection.
    pub async fn call(
        &self,
        call: HttpCall,
        deadline: Instant,
    ) -> Result<HttpReply, TransportError> {
        self.stream(call, deadline).await?.into_reply().await
    }

    /// Sends `call` and returns once the head of the answer is there, whatever its status.
    ///
    /// Cancel safety: dropping the future or the stream closes the connection.
    pub async fn stream(
        &self,
        call: HttpCall,
        deadline: Instant,
    ) -> Result<HttpStream, TransportError> {
        let started = Instant::now();
        let timeouts = call.timeouts;
        let end = later(started, timeouts.total_ms).min(deadline);
        let first = later(started, timeouts.first_byte_ms);
        let request = self.request(call)?;
        let sent = tokio::time::timeout_at(end.min(first).into(), request.send()).await;
        let response = match sent {
            Ok(sent) => sent.map_err(|error| TransportError::of(error, self.connect_ms))?,
            Err(_) => return Err(over(first, end, started, "waiting for the first byte")),
        };
        let headers = response.headers().iter().filter_map(|(name, value)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        });
        let head = HttpHead {
            status: response.status().as_u16(),
            headers: headers.collect(),
        };
        Ok(HttpStream::new(
            head,
            response,
            timeouts.idle_ms,
            started,
            first,
            end,
        ))
    }

    fn request(&self, call: HttpCall) -> Result<reqwest::RequestBuilder, TransportError> {
        let bad = |what: &str| TransportError::BadCall(what.to_owned());
        let url = self.url(call.url)?;
        guard::check(&url, self.link_local)?;
        let client = self.client(is_inside(&url))?;
        let mut headers = HeaderMap::with_capacity(call.headers.len());
        for (name, value) in &call.headers {
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| bad("the name of a header is malformed"))?;
            // The value may be a secret: it is not told.
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| bad("the value of a header holds a control character"))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        let request = match call.method {
            Method::Get => client.get(url),
            Method::Post => client.post(url).body(call.body),
            Method::Put => client.put(url).body(call.body),
            Method::Delete => client.delete(url),
        };
        Ok(request.headers(headers))
    }

    fn url(&self, text: String) -> Result<Url, TransportError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, url)) = &*last
            && *known == text
        {
            return Ok(url.clone());
        }
        let url = Url::parse(&text)
            .map_err(|_| TransportError::BadCall("the URL is malformed".to_owned()))?;
        *last = Some((text, url.clone()));
        Ok(url)
    }

    fn client(&self, inside: bool) -> Result<&Client, TransportError> {
        let place = if inside { &self.inside } else { &self.outside };
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let client = self.build(inside)?;
        Ok(place.get_or_init(|| client))
    }

    fn build(&self, inside: bool) -> Result<Client, TransportError> {
        install_tls();
        let builder = || {
            let builder = Client::builder()
                .connect_timeout(Duration::from_millis(self.connect_ms))
                .pool_idle_timeout(POOL_IDLE)
                .redirect(Policy::none())
                .dns_resolver(Names::new(self.link_local))
                .user_agent(concat!("boathouse/", env!("CARGO_PKG_VERSION")));
            if inside { builder.no_proxy() } else { builder }
        };
        builder()
            .build()
            .or_else(|error| {
                tracing::warn!(%error, "no certificates on this system, only http:// works");
                builder().tls_certs_only([]).build()
            })
            .map_err(|error| TransportError::BadCall(error.to_string()))
    }
}

/// Installs the process's cryptography, once.
fn install_tls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if rustls::crypto::ring::default_provider()
            .install_default()
            .is_err()
        {
            tracing::debug!("another part of the process has installed its cryptography");
        }
    });
}

fn is_inside(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Adds to a point in time; what the clock cannot hold is far away.
pub(super) fn later(start: Instant, wait_ms: u64) -> Instant {
    let day = Duration::from_secs(24 * 3600);
    start + Duration::from_millis(wait_ms).min(day)
}

/// Tells which of two bounds was reached: that of a phase, or that of the whole.
pub(super) fn over(
    phase_end: Instant,
    end: Instant,
    started: Instant,
    phase: &'static str,
) -> TransportError {
    let (phase, at) = if phase_end < end {
        (phase, phase_end)
    } else {
        ("the answer", end)
    };
    let after = at.saturating_duration_since(started).as_millis();
    TransportError::Timeout {
        phase,
        after_ms: u64::try_from(after).unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_this_machine_need_no_proxy() {
        for (url, inside) in [
            ("http://localhost:1/x", true),
            ("http://127.0.0.9/x", true),
            ("http://[::1]:1/x", true),
            ("https://localhost.example.com", false),
            ("https://10.0.0.1", false),
        ] {
            assert_eq!(is_inside(&Url::parse(url).unwrap()), inside, "{url}");
        }
    }
}

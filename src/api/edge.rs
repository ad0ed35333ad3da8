//! What every request passes first: it is named, refused if a foreign page sent it, its key does not open or there is too much to do, counted
//! and timed.
//!
//! One service written by hand instead of two `from_fn`s: each of those puts a request into two boxed futures.

use std::cell::RefCell;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::{Instant, SystemTime};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::ConnectionType;
use actix_web::http::header::{
    CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN, USER_AGENT,
};
use actix_web::{Error, HttpMessage, HttpResponse};
use futures_util::Stream as _;

use super::EdgeState;
use super::access::{Access, Refusal};
use super::admission::{
    Connection, InFlight, Rounds, Slot, embeds_many, is_always_served, overloaded, searched,
};
use super::context::Context;
use super::metrics::{Watched, known_method};
use super::origin::{self, FETCH_SITE, Origins};
use super::request_id::{HEADER, RequestId};
use crate::console::login;
use crate::services::{ServiceError, Services, room};
use crate::types::error_kind::ErrorKind;
use crate::types::trace::{Attribute, OpenSpan, SpanKind, SpanSink, Story, Trace};

/// Where W3C's trace context comes from.
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The middleware around all routes.
pub struct Edge {
    state: EdgeState,
    origins: Arc<Origins>,
    spans: Option<Arc<dyn SpanSink>>,
}

impl Edge {
    /// `origins` say whom requests may be addressed to, and which pages may send them.
    pub fn new(state: EdgeState, origins: Arc<Origins>) -> Self {
        Self {
            state,
            origins,
            spans: None,
        }
    }

    /// Has every request tell `spans` what it was.
    #[must_use]
    pub fn telling(mut self, spans: Option<Arc<dyn SpanSink>>) -> Self {
        self.spans = spans;
        self
    }
}

impl<S, B> Transform<S, ServiceRequest> for Edge
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: Unpin,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Transform = EdgeService<S>;
    type InitError = ();
    type Future = Ready<Result<EdgeService<S>, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        let metrics = Arc::clone(&self.state.metrics);
        let rounds = Rc::new(Rounds::new(self.state.limits.max_lag, Instant::now()));
        actix_web::rt::spawn(Rounds::watch(Rc::downgrade(&rounds)));
        ready(Ok(EdgeService {
            service,
            access: Access::new(Arc::clone(&self.state.services)),
            services: Arc::clone(&self.state.services),
            origins: Arc::clone(&self.origins),
            max_uri_bytes: self.state.limits.max_uri_bytes,
            known_host: RefCell::new(None),
            spans: self.spans.clone(),
            requests: InFlight::new(self.state.limits.max_in_flight),
            rounds,
            watched: Rc::new(RefCell::new(Watched::new(metrics))),
        }))
    }
}

/// The middleware of one worker.
pub struct EdgeService<S> {
    service: S,
    access: Access,
    services: Arc<Services>,
    origins: Arc<Origins>,
    max_uri_bytes: usize,
    /// The last host that was not refused.
    known_host: RefCell<Option<HeaderValue>>,
    spans: Option<Arc<dyn SpanSink>>,
    requests: InFlight,
    rounds: Rc<Rounds>,
    watched: Rc<RefCell<Watched>>,
}

impl<S, B> Service<ServiceRequest> for EdgeService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    S::Future: Unpin,
    B: MessageBody + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = Error;
    type Future = EdgeFuture<S::Future>;

    fn poll_ready(&self, task: &mut Task<'_>) -> Poll<Result<(), Error>> {
        self.service.poll_ready(task)
    }

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let started = Instant::now();
        let sent = request.headers().get(HEADER);
        let id = sent.and_then(RequestId::from_client);
        let id = id.unwrap_or_else(RequestId::mint);
        request.extensions_mut().insert(id.clone());
        let span = self.spans.as_ref().map(|spans| {
            let sent = request.headers().get(TRACEPARENT);
            let sent = sent.and_then(|sent| sent.to_str().ok());
            let span = Trace::begin(spans, sent, SystemTime::now());
            request.extensions_mut().insert(span.trace().clone());
            span
        });
        let cors = self.origins.cors_of(request.headers());
        let admitted = match self.refused(&request, cors.is_some()) {
            Some(refused) => Err(refused),
            None => self
                .admit(&request, started)
                .map_err(|error| Refused::Error(Box::new(error))),
        };
        let answer = match admitted {
            // The request must not be cloned: actix-web's router panics on a second handle.
            Ok(slot) => Answer::Coming(self.service.call(request), slot),
            Err(refused) => {
                let rest = Rest::of(&mut request);
                let response = match refused {
                    Refused::Told(response) => request.into_response(response),
                    Refused::Error(error) => refuse(request, *error),
                };
                Answer::Refused(Some(Box::new(response)), rest)
            }
        };
        EdgeFuture {
            answer,
            id: Some(id),
            cors,
            span,
            started,
            watched: Rc::clone(&self.watched),
        }
    }
}

/// A request that reaches no route.
enum Refused {
    Error(Box<ServiceError>),
    Told(HttpResponse),
}

impl<S> EdgeService<S> {
    /// What a request is answered that may not pass. `of_named_page`: its origin stands in the settings.
    fn refused(&self, request: &ServiceRequest, of_named_page: bool) -> Option<Refused> {
        let headers = request.headers();
        if !self.is_known(headers) {
            if let Some(reason) = self.origins.refusal(headers) {
                let error = ServiceError::new(ErrorKind::Forbidden, reason);
                return Some(Refused::Error(Box::new(error.code("foreign_origin"))));
            }
            *self.known_host.borrow_mut() = headers.get(HOST).cloned();
        }
        let uri = request
            .uri()
            .path_and_query()
            .map_or("", |uri| uri.as_str());
        if uri.len() > self.max_uri_bytes {
            let limit = self.max_uri_bytes;
            let message = format!("path and query are longer than http.max_uri_bytes, {limit}");
            let error = ServiceError::new(ErrorKind::UriTooLong, message);
            return Some(Refused::Error(Box::new(error.code("uri_too_long"))));
        }
        if of_named_page && origin::is_preflight(request.method(), headers) {
            let mut response = HttpResponse::NoContent().finish();
            origin::allow_preflight(headers, response.headers_mut());
            return Some(Refused::Told(response));
        }
        match self.access.check(request) {
            Ok(None) => None,
            Ok(Some(grant)) => {
                request.extensions_mut().insert(grant);
                None
            }
            Err(Refusal::Error(error)) => Some(Refused::Error(error)),
            Err(Refusal::LogIn) => Some(Refused::Told(login::way_in(uri))),
            Err(Refusal::LogInAgain) => Some(Refused::Told(login::way_back_in(headers))),
        }
    }

    /// Takes a slot.
    ///
    /// Errors: there is too much to do.
    fn admit(&self, request: &ServiceRequest, now: Instant) -> Result<Slot, ServiceError> {
        let path = request.path();
        if is_above(request) && !is_always_served(path) {
            return Err(overloaded("http.max_connections"));
        }
        if !self.rounds.takes(now) && !is_always_served(path) {
            return Err(overloaded("http.max_lag_ms"));
        }
        if let Some(collection) = searched(path) {
            room::for_search(&self.services, collection)?;
        } else if embeds_many(path, request.headers()) {
            room::for_vectors(&self.services)?;
        }
        let slot = self.requests.take(path);
        slot.ok_or_else(|| overloaded("http.max_in_flight"))
    }

    /// Whether a request is addressed as one that was just served, by what is no browser.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST);
        host.is_some()
            && host == self.known_host.borrow().as_ref()
            && !headers.contains_key(ORIGIN)
            && !headers.contains_key(FETCH_SITE)
    }
}

/// Whether a request came over a connection above the bound.
fn is_above(request: &ServiceRequest) -> bool {
    let connection = request.conn_data::<Connection>();
    connection.is_some_and(Connection::is_above)
}

fn refuse(request: ServiceRequest, error: ServiceError) -> ServiceResponse {
    let leave = is_above(&request);
    let context = Context::of(request.request());
    let mut refused = request.error_response(context.fail(error));
    if leave {
        // The next one may find room.
        let head = refused.response_mut().head_mut();
        head.set_connection_type(ConnectionType::Close);
    }
    refused
}

/// One request under way.
pub struct EdgeFuture<F> {
    answer: Answer<F>,
    id: Option<RequestId>,
    /// The origin of a page that is told that it may read the answer.
    cors: Option<HeaderValue>,
    /// Where somebody wants to know.
    span: Option<OpenSpan>,
    started: Instant,
    watched: Rc<RefCell<Watched>>,
}

enum Answer<F> {
    Coming(F, #[expect(dead_code, reason = "held, not read")] Slot),
    Refused(Option<Box<ServiceResponse>>, Option<Rest>),
}

/// The body of a request that is refused, where it is small: actix-web closes a connection on which something is left to
/// read, and connecting again costs both sides more than the body does.
struct Rest {
    payload: Payload,
    looked: bool,
}

impl Rest {
    /// Larger ones are not waited for, nor are those whose length is not told.
    const SMALL: u64 = 64 << 10;

    fn of(request: &mut ServiceRequest) -> Option<Self> {
        let length = request.headers().get(CONTENT_LENGTH)?.to_str().ok()?;
        let length = length.parse::<u64>().ok()?;
        let is_small = (1..=Self::SMALL).contains(&length);
        (is_small && !is_above(request)).then(|| Self {
            payload: request.take_payload(),
            looked: false,
        })
    }

    /// Reads what is there. What came with the head is there at the second look; what did not is not waited for.
    fn read(&mut self, task: &mut Task<'_>) -> Poll<()> {
        loop {
            match Pin::new(&mut self.payload).poll_next(task) {
                Poll::Ready(Some(Ok(_))) => {}
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending if std::mem::replace(&mut self.looked, true) => {
                    return Poll::Ready(());
                }
                Poll::Pending => {
                    task.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }
}

impl<F, B> Future for EdgeFuture<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>> + Unpin,
    B: MessageBody + 'static,
{
    type Output = Result<ServiceResponse<BoxBody>, Error>;

    fn poll(self: Pin<&mut Self>, task: &mut Task<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut response = match &mut this.answer {
            Answer::Coming(answer, _) => ready!(Pin::new(answer).poll(task))?.map_into_boxed_body(),
            Answer::Refused(refused, rest) => {
                if let Some(rest) = rest {
                    ready!(rest.read(task));
                }
                match refused.take() {
                    Some(refused) => *refused,
                    // Polled after it was ready.
                    None => return Poll::Pending,
                }
            }
        };
        let id = this.id.take().unwrap_or_else(RequestId::mint);
        let seconds = this.started.elapsed().as_secs_f64();
        this.watched.borrow_mut().observe(&response, seconds);
        tracing::debug!(
            request_id = id.as_str(),
            method = %response.request().method(),
            path = response.request().path(),
            status = response.status().as_u16(),
            seconds,
            "request answered"
        );
        if let Some(span) = this.span.take() {
            span.end(SystemTime::now(), story(&response, &id));
        }
        response.headers_mut().insert(HEADER, id.into_value());
        if let Some(origin) = this.cors.take() {
            origin::allow(origin, response.headers_mut());
        }
        Poll::Ready(Ok(response))
    }
}

/// What the span of an answered request tells, by OpenTelemetry's conventions.
fn story(response: &ServiceResponse<BoxBody>, id: &RequestId) -> Story {
    let (request, status) = (response.request(), response.status());
    let method = known_method(request.method().as_str());
    let route = request.match_pattern();
    let mut attributes: Vec<(&'static str, Attribute)> = vec![
        ("http.request.method", method.into()),
        ("http.response.status_code", status.as_u16().into()),
        ("url.path", request.path().into()),
        ("url.scheme", "http".into()),
        ("boathouse.request_id", id.as_str().into()),
    ];
    let name = match &route {
        Some(route) => format!("{method} {route}"),
        None => method.to_owned(),
    };
    attributes.extend(route.map(|route| ("http.route", route.into())));
    let agent = request.headers().get(USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    attributes.extend(agent.map(|agent| ("user_agent.original", agent.into())));
    let failed = status.is_server_error();
    if failed {
        attributes.push(("error.type", status.as_str().into()));
    }
    Story {
        name,
        kind: SpanKind::Server,
        attributes,
        error: failed.then(|| status.to_string()),
    }
}

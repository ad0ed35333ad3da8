//! What every request passes first: it is named, refused if a foreign page sent it, counted and timed.
//!
//! One service written by hand instead of two `from_fn`s: each of those puts a request into two boxed futures.

use std::cell::RefCell;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Instant;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::header::{HOST, HeaderMap, HeaderValue, ORIGIN};
use actix_web::{Error, HttpMessage};

use super::context::Context;
use super::metrics::{Metrics, Watched};
use super::origin::{FETCH_SITE, refusal};
use super::request_id::{HEADER, RequestId};
use crate::services::ServiceError;
use crate::types::error_kind::ErrorKind;

/// The middleware around all routes.
pub struct Edge {
    metrics: Arc<Metrics>,
    allowed_hosts: Arc<[String]>,
}

impl Edge {
    /// `allowed_hosts` are names, besides loopback's, that the server may be called by.
    pub fn new(metrics: Arc<Metrics>, allowed_hosts: &[String]) -> Self {
        Self {
            metrics,
            allowed_hosts: allowed_hosts.into(),
        }
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
        ready(Ok(EdgeService {
            service,
            allowed_hosts: Arc::clone(&self.allowed_hosts),
            known_host: RefCell::new(None),
            watched: Rc::new(RefCell::new(Watched::new(Arc::clone(&self.metrics)))),
        }))
    }
}

/// The middleware of one worker.
pub struct EdgeService<S> {
    service: S,
    allowed_hosts: Arc<[String]>,
    /// The last host that was not refused.
    known_host: RefCell<Option<HeaderValue>>,
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

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let started = Instant::now();
        let sent = request.headers().get(HEADER);
        let id = sent.and_then(RequestId::from_client);
        let id = id.unwrap_or_else(RequestId::mint);
        request.extensions_mut().insert(id.clone());
        let refused = if self.is_known(request.headers()) {
            None
        } else {
            let refused = refusal(request.headers(), &self.allowed_hosts);
            if refused.is_none() {
                let host = request.headers().get(HOST).cloned();
                *self.known_host.borrow_mut() = host;
            }
            refused
        };
        let answer = match refused {
            // The request must not be cloned: actix-web's router panics on a second handle.
            None => Answer::Coming(self.service.call(request)),
            Some(reason) => {
                let error = ServiceError::new(ErrorKind::Forbidden, reason).code("foreign_origin");
                let context = Context::of(request.request());
                let refused = request.error_response(context.fail(error));
                Answer::Refused(Some(Box::new(refused)))
            }
        };
        EdgeFuture {
            answer,
            id: Some(id),
            started,
            watched: Rc::clone(&self.watched),
        }
    }
}

impl<S> EdgeService<S> {
    /// Whether a request is addressed as one that was just served, by what is no browser.
    fn is_known(&self, headers: &HeaderMap) -> bool {
        let host = headers.get(HOST);
        host.is_some()
            && host == self.known_host.borrow().as_ref()
            && !headers.contains_key(ORIGIN)
            && !headers.contains_key(FETCH_SITE)
    }
}

/// One request under way.
pub struct EdgeFuture<F> {
    answer: Answer<F>,
    id: Option<RequestId>,
    started: Instant,
    watched: Rc<RefCell<Watched>>,
}

enum Answer<F> {
    Coming(F),
    Refused(Option<Box<ServiceResponse>>),
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
            Answer::Coming(answer) => ready!(Pin::new(answer).poll(task))?.map_into_boxed_body(),
            Answer::Refused(refused) => match refused.take() {
                Some(refused) => *refused,
                // Polled after it was ready.
                None => return Poll::Pending,
            },
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
        response.headers_mut().insert(HEADER, id.into_value());
        Poll::Ready(Ok(response))
    }
}

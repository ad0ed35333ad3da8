//! What pages send: forms, which must arrive in time like every other body, under the names that their answers have.

use std::future::{Ready, ready};
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::error::ErrorInternalServerError;
use actix_web::rt::time::timeout;
use actix_web::web::Form;
use actix_web::{Error, FromRequest, HttpMessage as _, HttpRequest};
use serde::de::DeserializeOwned;

use crate::services::keys::Grant;
use crate::services::{Asker, ServiceError};
use crate::types::error_kind::ErrorKind;

/// What the edge knows about the requests of the console, and the console must not ask it for.
#[derive(Debug, Clone, Copy)]
pub struct Surroundings {
    /// Longest wait for a whole form.
    pub form_timeout: Duration,
    /// The name of a request, as its answer has it.
    pub request_id: fn(&HttpRequest) -> String,
    /// Gives an error its form.
    pub fail: fn(&HttpRequest, ServiceError) -> Error,
}

/// A form that came in time.
pub(super) struct TimedForm<T>(pub(super) T);

impl<T> Deref for TimedForm<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned + 'static> FromRequest for TimedForm<T> {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Error>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let form = Form::<T>::from_request(request, payload);
        let told = surroundings(request);
        let request = request.clone();
        Box::pin(async move {
            let told = told?;
            let Ok(form) = timeout(told.form_timeout, form).await else {
                let waited = told.form_timeout.as_millis();
                let message = format!("the form did not arrive within http.deadline_ms, {waited}");
                let late = ServiceError::new(ErrorKind::Timeout, message).code("body_timeout");
                return Err((told.fail)(&request, late));
            };
            form.map(|Form(form)| Self(form))
        })
    }
}

/// What the edge told.
fn surroundings(request: &HttpRequest) -> Result<Surroundings, Error> {
    let told = request.app_data::<Surroundings>();
    told.copied()
        .ok_or_else(|| ErrorInternalServerError("the console is mounted without its surroundings"))
}

/// Who asks by a page: the key of the session, where the server has keys, under the name that the answer has.
pub(super) struct Asking(pub(super) Asker);

impl FromRequest for Asking {
    type Error = Error;
    type Future = Ready<Result<Self, Error>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(surroundings(request).map(|told| {
            let id = (told.request_id)(request);
            let extensions = request.extensions();
            Self(match extensions.get::<Arc<Grant>>() {
                Some(grant) => Asker::with_key(id, grant),
                None => Asker::new(id, None),
            })
        }))
    }
}

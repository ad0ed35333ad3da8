//! Which points a reader may see: the one place where roles and expiry are told.

use std::borrow::Cow;

use super::contents::Contents;
use super::{Bits, Filter, IndexError};
use crate::types::collection::CollectionSpec;

/// Who reads, and when. Every way to points goes through one.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// Whose points; `None`: everybody's.
    pub role: Option<&'a str>,
    /// Unix time, milliseconds: what has expired by then is not there.
    pub now_ms: u64,
}

impl Scope<'_> {
    /// Everybody's points.
    pub fn at(now_ms: u64) -> Self {
        Self { role: None, now_ms }
    }

    /// Refuses a role where the collection has no role field.
    pub fn check(self, spec: &CollectionSpec) -> Result<(), IndexError> {
        match (self.role, &spec.schema.role_field) {
            (Some(_), None) => Err(IndexError::BadQuery(format!(
                "collection {} has no role_field, so role says nothing; leave it out",
                spec.name
            ))),
            _ => Ok(()),
        }
    }
}

impl Contents {
    /// The rows that `scope` may see: not deleted, not expired, and of its role or of none.
    ///
    /// Errors: a role where the collection has no role field.
    pub(super) fn visible(&self, scope: Scope<'_>) -> Result<Cow<'_, Bits>, IndexError> {
        let mut rows = Cow::Borrowed(self.rows.alive());
        if let Some(expired) = self.expired_rows(scope.now_ms) {
            rows.to_mut().remove_all(&expired);
        }
        scope.check(&self.spec)?;
        let (Some(role), Some(path)) = (scope.role, &self.spec.schema.role_field) else {
            return Ok(rows);
        };
        let own = Filter::word_or_absent(path, role);
        let (own, _) = own.select(&self.rows, &self.fields, &rows);
        Ok(Cow::Owned(own))
    }

    /// Checks that a search says for whom it is, where it must.
    pub(super) fn check_role(&self, role: Option<&str>) -> Result<(), IndexError> {
        match &self.spec.schema {
            schema if schema.role_required && role.is_none() => Err(IndexError::BadQuery(format!(
                "a search of collection {} needs a role: give role, as in the payload's field {}",
                self.spec.name,
                schema.role_field.as_deref().unwrap_or_default()
            ))),
            _ => Ok(()),
        }
    }

    /// The live rows that have expired; `None` when there are none.
    fn expired_rows(&self, now_ms: u64) -> Option<Bits> {
        let path = self.spec.schema.ttl_field.as_ref()?;
        let until = Filter::until(path, now_ms);
        let (expired, _) = until.select(&self.rows, &self.fields, self.rows.alive());
        (!expired.is_empty()).then_some(expired)
    }

    /// Lists up to `limit` ids of points that have expired.
    pub fn expired(&self, now_ms: u64, limit: usize) -> Vec<String> {
        let expired = self.expired_rows(now_ms).unwrap_or_default();
        let ids = expired.iter().map(|row| self.rows.doc(row).id.to_string());
        ids.take(limit).collect()
    }
}

#[cfg(test)]
mod tests;

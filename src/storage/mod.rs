//! Bytes on disk: synchronous, checked, durable when a call says so.

pub mod data_lock;
pub mod eval_set;

//! The pure core: no actix, no HTTP client, no clock, no ambient state; time and seed are arguments.

pub mod access;
pub mod chat;
pub mod dataset;
pub mod embedding;
pub mod evidence;
pub mod index;
pub(crate) mod nearest;
pub mod upstream;
pub mod usage;
pub mod validation;

//! The only user of reqwest: an HttpCall in, an HttpReply or a byte stream out. `load` is for measuring, and plain HTTP only;
//! `objects` speaks with buckets.
//!
//! It follows no redirect but those of a download, decompresses nothing, retries nothing and keeps no cookie. A proxy of
//! the environment (`HTTPS_PROXY`, `NO_PROXY`, …) is used, but never for an address of this
//! machine. Link-local addresses, where clouds keep the credentials of a machine, are not asked unless that is
//! allowed, by whatever name.

mod client;
mod download;
mod error;
mod guard;
mod load;
#[cfg(test)]
pub(crate) mod loopback;
pub mod objects;
mod stream;

pub use client::Transport;
pub use download::Download;
pub use error::TransportError;
pub use load::{LoadCall, LoadConnection, LoadReply};
pub use stream::HttpStream;

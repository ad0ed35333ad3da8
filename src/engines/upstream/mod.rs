//! What every upstream over HTTP has in common, whatever it is asked for: its address and key, the
//! classes of its errors, when it is asked again, and when it is left alone.

mod address;
mod breaker;
mod error;
mod retry;

pub use address::KeyPlace;
pub(in crate::engines) use address::{
    Address, Upstream, check_headers, check_key_place, check_url,
};
pub use breaker::{Breaker, BreakerConfig};
pub use error::{Reaction, UpstreamError};
pub use retry::{RetryConfig, backoff_ms, mix};

//! Which records are asked for: by a reader, and by somebody who wants to be forgotten.

mod filter;
mod selection;

pub use filter::EvidenceFilter;
pub use selection::{Found, Selection, Subject};

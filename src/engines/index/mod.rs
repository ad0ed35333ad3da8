//! Collections in memory: what they hold, how they are filtered and searched.
//!
//! [`Contents`] is one collection's points with everything derived from them. It knows nothing of
//! disks, threads or clocks: whoever owns it logs an [`Op`] first, then applies it here as a
//! [`Change`]. Dense search scans exactly or walks a frozen graph, lexical search is BM25, hybrid
//! fuses both.

mod admission;
mod backend_config;
mod backends;
mod bits;
mod config;
mod contents;
mod distance;
mod error;
mod fields;
mod filter;
mod fusion;
mod gathered;
mod groups;
mod instant;
mod lexical;
mod mmr;
mod op;
mod pages;
mod planner;
mod recommend;
mod refined;
mod request;
mod rows;
mod scope;
mod search;
mod simd;
#[cfg(any(test, feature = "qdrant"))]
pub mod sparse;
mod top;

pub use admission::{admit, check_schema, check_spec, is_collection_name, size_of};
pub use backend_config::{BackendsConfig, LanceConfig, QdrantConfig};
pub use backends::{Graph, Sections};
pub use bits::Bits;
pub use config::{Builder, IndexConfig};
pub use contents::{Change, Contents, Declared, Reembedding, Undeclared};
pub use error::IndexError;
#[cfg(all(test, feature = "qdrant"))]
pub(crate) use filter::arbitrary;
pub use filter::{Filter, FilterUse, Micros, Node, Order, Test, moment, reached};
#[cfg(any(test, feature = "qdrant"))]
pub use filter::{Key, Marked, Marks, PathKey, Word, path_key};
pub use gathered::{Found, Lookup, Shaped};
pub use lexical::words_of;
pub use op::Op;
pub use refined::{Code, Refinement, text_hash};
pub use request::{
    Fusion, GroupBy, HitGroup, Like, Mmr, Mode, Plan, Refine, SearchPath, SearchRequest,
    SearchResult, Strategy, With,
};
pub use rows::{Progress, Rows};
pub use scope::Scope;

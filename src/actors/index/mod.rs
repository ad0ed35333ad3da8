//! One index cell for each collection: its writer and its readers.

mod cell;
pub mod collection;
mod collections;
mod reembed;

pub use cell::{IndexCell, IndexReply, IndexRequest, IndexWorker};
pub use collections::{Collections, CollectionsError, found_on_disk};
pub use reembed::{ReembedReply, ReembedRequest};

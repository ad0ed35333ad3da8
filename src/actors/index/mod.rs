//! One index cell for each collection: its writer and its readers here, or its way to the engine that keeps it.

mod cell;
pub mod collection;
mod collections;
mod gate;
mod index_cell;
mod moves;
pub mod moving;
mod reembed;
mod remote;
pub mod store;
#[cfg(test)]
mod tests;

pub use cell::{IndexReply, IndexRequest, IndexWorker};
pub use collections::{Collections, CollectionsError, found_on_disk};
pub use index_cell::IndexCell;
pub use reembed::{ReembedReply, ReembedRequest};
pub use remote::RemoteWorker;

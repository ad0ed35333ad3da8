//! One index cell for each collection: its writer and its readers here, or its way to the engine that keeps it.

mod cell;
pub mod collection;
mod collections;
mod gate;
mod moves;
pub mod moving;
mod reembed;
mod remote;
pub mod store;
#[cfg(test)]
mod tests;

pub use cell::{IndexCell, IndexReply, IndexRequest, IndexWorker};
pub use collections::{Collections, CollectionsError, found_on_disk};
pub use reembed::{ReembedReply, ReembedRequest};
pub use remote::RemoteWorker;

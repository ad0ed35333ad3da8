//! Bytes on disk: synchronous, checked, durable when a call says so.

#[cfg(feature = "server")]
pub mod backup;
pub mod codec;
pub mod data_lock;
pub mod dataset_store;
pub mod disk;
pub mod eval_set;
pub mod evidence_log;
pub(crate) mod file_lock;
mod frame;
pub mod id_table;
pub mod key_file;
pub mod model_folder;
pub mod model_store;
pub(crate) mod os;
#[cfg(feature = "server")]
pub mod parquet_file;
pub mod replicas;
pub mod salvage;
pub mod snapshot;
pub mod usage_file;
pub mod vector_cache;
pub mod wal;

#[cfg(any(test, fuzzing))]
pub use frame::reseal;

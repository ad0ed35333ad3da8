//! The running server, asked over HTTP on a free port.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test"
)]

mod audit;
mod backups;
mod bad_input;
mod benching;
mod chat;
mod collections;
mod command_line;
mod command_line_api;
mod command_line_asking;
mod command_line_folder;
mod command_line_shell;
mod console;
mod datasets;
mod durability;
mod edge;
mod embeddings;
mod evidence;
mod evidence_eval;
mod harness;
mod imports;
mod ingest;
#[cfg(unix)]
mod interrupting;
mod iterating;
mod kept_answers;
mod keys;
mod kills;
mod many_collections;
mod mcp;
#[cfg(feature = "minilm")]
mod models;
#[cfg(feature = "object-storage")]
mod object_storage;
mod observability;
mod openapi;
mod operations;
mod overload;
mod reembedding;
mod reloading;
mod remote_embedders;
mod replaying;
mod reviewing;
mod rosters;
mod searching;
mod secrets;
mod serving;
#[cfg(feature = "sql")]
mod sql;
mod supervision;
mod surfaces;
mod telemetry;
mod transfer;
mod upstream;
mod usage;
mod validation;

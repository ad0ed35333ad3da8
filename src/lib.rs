//! Boathouse: everything around the model, in one supervised process.
//!
//! Layers, each importing only what stands above it in this list (`tests/architecture.rs` checks it):
//! [`types`], [`storage`], [`engines`], then, with the `server` feature, `transport`, `telemetry`, `actors`,
//! `services`, `api`, `console`, `cli`, and `app` on top.

pub mod engines;
pub mod storage;
pub mod types;

#[cfg(feature = "server")]
pub mod actors;
#[cfg(feature = "server")]
pub mod api;
#[cfg(feature = "server")]
pub mod app;
#[cfg(feature = "server")]
pub mod cli;
#[cfg(feature = "server")]
pub mod config;
#[cfg(feature = "server")]
pub mod console;
#[cfg(feature = "server")]
pub mod services;
#[cfg(feature = "server")]
pub mod telemetry;
#[cfg(feature = "server")]
pub mod transport;

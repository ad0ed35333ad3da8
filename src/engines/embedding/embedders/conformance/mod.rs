//! What every embedder must do: those that compute here, and those behind an upstream.

mod local;
mod remote;

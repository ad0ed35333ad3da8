//! Killed at any moment, under load, again and again: what was acknowledged is there, whole, and nothing else is.

mod collection;
mod server;
mod work;

//! The primitives under [`crate::inbox`] and [`crate::slot`]. `tests/loom.rs` compiles both files with those of
//! loom instead, which tries every order of their steps.

pub(crate) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, Condvar, Mutex, MutexGuard};

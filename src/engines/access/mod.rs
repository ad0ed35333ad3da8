//! Who may ask for what: API keys, checked.
//!
//! A key is 256 random bits, so nobody guesses it, and a fast hash keeps it as well as a slow one would: that is for
//! words that people choose. Each key has a salt of its own; hashes are compared in constant time.

mod ring;
mod token;

pub use ring::{Denied, Grant, KeyRing};
pub use token::{MintedKey, Random, mint};

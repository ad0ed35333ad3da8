//! The cases of OTP's `supervisor_SUITE`, by their names there. README.md says what each became here.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed expectation is a failed test, and a worker crashes on demand"
)]

mod admin;
mod exits;
mod puppet;
mod restarts;
mod significant;
mod sim;
mod start;
mod stop;
mod table;

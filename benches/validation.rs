//! Speed and quality of the validators: `cargo bench --bench validation -- email pii`, without
//! arguments all of them. See `benches/README.md`.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

#[path = "validation/email.rs"]
mod email;
#[path = "validation/pii.rs"]
mod pii;

/// Each by the name that the command line asks for.
const SUBJECTS: &[(&str, fn())] = &[("email", email::run), ("pii", pii::run)];

fn main() {
    // Cargo passes `--bench`.
    let asked: Vec<String> = std::env::args()
        .skip(1)
        .filter(|name| !name.starts_with("--"))
        .collect();
    for (name, run) in SUBJECTS {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            run();
        }
    }
}

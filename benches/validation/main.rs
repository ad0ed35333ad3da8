//! Validators, each beside what the machine can do at best. See `benches/README.md`.
//!
//! `cargo bench --bench validation`, or `cargo bench --bench validation -- fill 50000` for one subject and a size

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

mod fill;
#[path = "../support/statistics.rs"]
mod statistics;

/// Subjects, with what runs them: the words that follow on the command line.
const SUBJECTS: &[(&str, fn(&[String]))] = &[("fill", fill::run)];

fn main() {
    // Cargo itself adds --bench.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let asked = words.first().map(String::as_str);
    let known = SUBJECTS.iter().find(|(name, _)| asked == Some(*name));
    match known {
        Some((_, run)) => run(&words[1..]),
        None => {
            for (_, run) in SUBJECTS {
                run(&words);
            }
        }
    }
}

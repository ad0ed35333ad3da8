//! Validators, each beside what the machine can do at best. See `benches/README.md`.
//!
//! `cargo bench --bench validation`; `-- fill 50000` for one subject and a size, `-- email pii` for two subjects. With
//! `--no-default-features` the pure core alone is built, and no files are loaded.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and ends when something is wrong"
)]

mod email;
#[path = "../support/figures.rs"]
mod figures;
mod fill;
#[cfg(feature = "server")]
mod load;
mod pii;
mod real;
#[path = "../support/statistics.rs"]
mod statistics;

type Run = fn(&[String]);

/// Subjects, with what runs them: the words of the command line that name no subject.
const SUBJECTS: &[(&str, Run)] = &[
    ("fill", fill::run),
    ("email", |_| email::run()),
    ("pii", |_| pii::run()),
    ("real", real::run),
];

fn main() {
    // Cargo itself adds --bench.
    let words = std::env::args().skip(1).filter(|word| word != "--bench");
    let is_subject = |word: &String| SUBJECTS.iter().any(|(name, _)| name == word);
    let (asked, words): (Vec<String>, Vec<String>) = words.partition(is_subject);
    for (name, run) in SUBJECTS {
        if asked.is_empty() || asked.iter().any(|asked| asked == name) {
            run(&words);
        }
    }
}

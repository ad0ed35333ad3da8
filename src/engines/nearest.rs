//! "Did you mean": the known name that a wrong one most resembles.

use strsim::osa_distance;

/// Longer names resemble nothing; comparing them would only cost time.
const MAX_BYTES: usize = 64;

/// Returns the known name nearest to `given`, or none that a slip of the pen would explain.
pub(crate) fn nearest<'n>(
    given: &str,
    known: impl IntoIterator<Item = &'n str>,
) -> Option<&'n str> {
    if given.len() > MAX_BYTES {
        return None;
    }
    let wanted = plain(given);
    let allowed = (wanted.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (osa_distance(&wanted, &plain(name)), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// The known names in a row, and behind them the one that was meant, if a slip of the pen explains it.
pub(crate) fn listed<'n>(
    given: &str,
    known: impl IntoIterator<Item = &'n str> + Clone,
    most: usize,
) -> String {
    let mut names: Vec<&str> = known.clone().into_iter().take(most + 1).collect();
    if names.len() > most {
        names.truncate(most);
        names.push("…");
    }
    let names = names.join(", ");
    match nearest(given, known) {
        Some(meant) => format!("{names}; did you mean {meant}?"),
        None => names,
    }
}

/// `workerId`, `worker-id` and `worker_id` are one name.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_strangers_are_not() {
        let known = ["worker_id", "name", "role", "start", "end"];
        let cases = [
            ("workerId", Some("worker_id")),
            ("strat", Some("start")),
            ("nmae", Some("name")),
            ("score", None),
            ("", None),
            ("confidence", None),
        ];
        for (given, expected) in cases {
            assert_eq!(nearest(given, known), expected, "{given}");
        }
        assert_eq!(nearest(&"n".repeat(1_000_000), known), None);
        assert_eq!(
            listed("nmae", known, 2),
            "worker_id, name, …; did you mean name?"
        );
        assert_eq!(
            listed("score", known, 9),
            "worker_id, name, role, start, end"
        );
    }
}

//! What a replay found, for the terminal and for `--fail-under`.

use crate::cli::error::CliError;
use crate::cli::output;
use crate::services::replay::{Cost, Mean, Summary, digits, is_better_low};
use crate::types::plain::counted;

/// Says what came out.
pub(super) fn print(summary: &Summary) {
    output::say(format_args!(
        "{}, {} without an answer; means with the interval of 95 in 100",
        counted(summary.tasks, "task"),
        summary.failed
    ));
    output::say(format_args!(
        "  {:<18} {:>28} {:>28} {:>28}",
        "", "candidate", "recorded", "difference"
    ));
    for (name, mean) in &summary.candidate {
        let other = |of: Option<&Mean>| of.map(shown).unwrap_or_default();
        output::say(format_args!(
            "  {name:<18} {:>28} {:>28} {:>28}",
            shown(mean),
            other(summary.recorded.get(name)),
            other(summary.difference.get(name))
        ));
    }
    output::say(format_args!("  {}", money(summary)));
}

/// The sums of money, in a line of their own.
fn money(summary: &Summary) -> String {
    let said = |cost: &Cost| match (&cost.sum, cost.unknown) {
        (None, _) => "not known".to_owned(),
        (Some(sum), 0) => shown(sum),
        (Some(sum), unknown) => {
            format!("{}, {} not known", shown(sum), counted(unknown, "task"))
        }
    };
    let cost = &summary.cost;
    format!(
        "US dollars in sum: candidate {}; recorded {}; difference {}",
        said(&cost.candidate),
        said(&cost.recorded),
        said(&cost.difference)
    )
}

fn shown(mean: &Mean) -> String {
    let digits = digits(mean.high.abs().max(mean.low.abs()));
    format!(
        "{:.digits$} ({:.digits$} to {:.digits$})",
        mean.mean, mean.low, mean.high
    )
}

/// Holds the summary against bounds.
///
/// Errors: which it does not hold.
pub(super) fn judge(summary: &Summary, bounds: &[(String, f64)]) -> Result<(), CliError> {
    let failed: Vec<String> = bounds
        .iter()
        .filter_map(|(name, bound)| wrong(summary, name, *bound))
        .collect();
    if !failed.is_empty() {
        Err(CliError::failed(failed.join("; ")))
    } else if summary.tasks > 0 && summary.failed == summary.tasks {
        Err(CliError::failed(
            "no question was answered: results.jsonl of the replay says why",
        ))
    } else {
        Ok(())
    }
}

/// Says why a measure does not hold its bound.
fn wrong(summary: &Summary, name: &str, bound: f64) -> Option<String> {
    let cost = &summary.cost.candidate;
    if name.ends_with("cost_usd") && cost.unknown > 0 {
        return Some(format!(
            "{name}: what {} of {} answers cost is not known; give the model a price in [chat.prices]",
            cost.unknown, summary.tasks
        ));
    }
    let found = match name {
        "total_cost_usd" => cost.sum.as_ref(),
        _ => summary.candidate.get(name),
    };
    let Some(found) = found else {
        let known = known(summary);
        return Some(format!("{name} was not measured: known are {known}"));
    };
    let value = found.mean;
    let digits = digits(value);
    match is_better_low(name) {
        true if value > bound => Some(format!("{name} is {value:.digits$}, more than {bound}")),
        false if value < bound => Some(format!("{name} is {value:.digits$}, less than {bound}")),
        _ => None,
    }
}

fn known(summary: &Summary) -> String {
    let names: Vec<&str> = summary.candidate.keys().map(String::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::services::replay::Costs;

    #[test]
    fn bounds_are_from_below_or_from_above_and_what_is_not_known_holds_none() {
        let of = |mean| Mean {
            mean,
            low: mean,
            high: mean,
            tasks: 2,
        };
        let mut summary = Summary {
            tasks: 2,
            failed: 0,
            candidate: [
                ("similarity".to_owned(), of(0.8)),
                ("cost_usd".to_owned(), of(0.000_2)),
            ]
            .into(),
            recorded: [].into(),
            difference: [].into(),
            cost: Costs::default(),
        };
        summary.cost.candidate.sum = Some(of(0.000_4));
        for (name, bound, said) in [
            ("similarity", 0.8, None),
            (
                "similarity",
                0.9,
                Some("similarity is 0.800, less than 0.9"),
            ),
            ("cost_usd", 0.000_2, None),
            (
                "cost_usd",
                0.000_1,
                Some("cost_usd is 0.000200, more than 0.0001"),
            ),
            ("total_cost_usd", 0.000_4, None),
            (
                "total_cost_usd",
                0.0,
                Some("total_cost_usd is 0.000400, more than 0"),
            ),
            (
                "valid",
                0.0,
                Some("valid was not measured: known are cost_usd, similarity"),
            ),
        ] {
            let expected = said.map(str::to_owned);
            assert_eq!(wrong(&summary, name, bound), expected, "{name} {bound}");
        }
        summary.cost.candidate.unknown = 1;
        let said = wrong(&summary, "cost_usd", 9.0).unwrap();
        assert!(
            said.contains("what 1 of 2 answers cost is not known"),
            "{said}"
        );
    }
}

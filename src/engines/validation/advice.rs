//! What a model is told of its answer, so that it writes a better one.

use std::fmt::Write as _;

use crate::types::validation::Finding;

/// Findings that are told; more than these a model does not mend at once.
const MAX_FINDINGS: usize = 20;
/// Bytes of an answer that is shown again.
const MAX_ANSWER: usize = 16 * 1024;

/// Writes what follows the user's own words in the next attempt.
///
/// The answer stands in the user's message and not in one of the assistant's, so that nobody trains a model to give it.
pub fn advice(answer: &str, findings: &[Finding]) -> String {
    let shown = &answer[..answer.floor_char_boundary(MAX_ANSWER)];
    let cut = if shown.len() < answer.len() {
        " …"
    } else {
        ""
    };
    let mut text = format!(
        "\n\nAn earlier answer to this was checked and refused. It was:\n<earlier_answer>\n{shown}{cut}\n\
         </earlier_answer>\nWhat is wrong with it:"
    );
    for finding in findings.iter().take(MAX_FINDINGS) {
        let place = match finding.path.as_str() {
            "" => String::new(),
            path => format!(" at {path}"),
        };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n- {}{place}: {}", finding.rule, finding.message);
        if let Some(suggestion) = &finding.suggestion {
            let _ = write!(text, " (suggested: {suggestion})");
        }
    }
    if findings.len() > MAX_FINDINGS {
        let _ = write!(text, "\n- and {} more", findings.len() - MAX_FINDINGS);
    }
    text.push_str(
        "\nWrite the whole answer again with all of this put right. Keep what was not objected to, and say nothing \
         about the earlier answer or this check.",
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::validation::Severity;

    fn finding(path: &str, suggestion: Option<&str>) -> Finding {
        Finding {
            rule: "email.greeting".into(),
            severity: Severity::Error,
            path: path.into(),
            message: "names Bob".into(),
            suggestion: suggestion.map(Into::into),
        }
    }

    #[test]
    fn every_finding_is_told_with_its_place_and_suggestion() {
        let text = advice(
            "Dear Bob",
            &[finding("/body", Some("Maria")), finding("", None)],
        );
        assert!(
            text.contains("<earlier_answer>\nDear Bob\n</earlier_answer>"),
            "{text}"
        );
        assert!(
            text.contains("- email.greeting at /body: names Bob (suggested: Maria)\n- email.greeting: names Bob\n"),
            "{text}"
        );
    }

    #[test]
    fn it_stays_short() {
        let text = advice(&"é".repeat(100_000), &vec![finding("", None); 50]);
        assert!(text.len() < 20_000, "{}", text.len());
        assert!(text.contains("and 30 more"), "{text}");
    }
}

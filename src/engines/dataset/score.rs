//! What became of an answer, and why.

use super::recipe::ScoreRules;
use super::task::{Outcome, TaskFeedback, TaskValidation};
use crate::types::evidence::{ChatEvidence, Rating};
use crate::types::validation::Verdict;

/// Scores an answer: the worst rule that applies counts, all that apply are reasons.
///
/// An edited answer is accepted as edited, for every other rule judges the answer before the edit. What a reviewer
/// decided stands: he saw what the other rules say.
pub(super) fn score(
    chat: &ChatEvidence,
    feedback: Option<&TaskFeedback>,
    validations: &[TaskValidation],
    rules: &ScoreRules,
) -> (Outcome, Vec<String>) {
    if feedback.is_some_and(|feedback| feedback.edit().is_some()) {
        return (Outcome::Accepted, vec!["feedback_edited".to_owned()]);
    }
    if let Some(decided) = feedback.filter(|feedback| feedback.review) {
        let (outcome, reason) = match decided.rating {
            Rating::Accepted => (Outcome::Accepted, "review_accepted"),
            Rating::PartiallyAccepted => (Outcome::PartiallyAccepted, "review_partially_accepted"),
            Rating::Rejected => (Outcome::Rejected, "review_rejected"),
        };
        return (outcome, vec![reason.to_owned()]);
    }
    let mut found: Vec<(Outcome, String)> = Vec::new();
    if chat.error.is_some() {
        found.push((Outcome::Rejected, "error".to_owned()));
    }
    match &chat.finish_reason {
        Some(reason) if rules.rejected_finish_reasons.contains(reason) => {
            found.push((Outcome::Rejected, format!("finish_reason:{reason}")));
        }
        Some(_) => {}
        None => found.push((Outcome::Rejected, "unfinished".to_owned())),
    }
    if chat.answer.trim().is_empty() && chat.tool_calls.is_empty() {
        found.push((Outcome::Rejected, "empty_answer".to_owned()));
    }
    for validation in validations {
        let (outcome, word) = match validation.verdict {
            Verdict::Fail => (rules.failed_validation, "failed"),
            Verdict::Repairable => (rules.repairable_validation, "repairable"),
            Verdict::Pass => (Outcome::Accepted, "passed"),
        };
        found.push((
            outcome,
            format!("validation_{word}:{}", validation.validator),
        ));
    }
    let passages = &chat.passages;
    if rules.require_citation
        && !passages.is_empty()
        && !passages.iter().any(|passage| passage.cited)
    {
        found.push((Outcome::NeedsReview, "no_citation".to_owned()));
    }
    found.push(match feedback {
        Some(feedback) => judged(feedback, rules),
        None if rules.accept_without_feedback => {
            (Outcome::Accepted, "no_feedback_needed".to_owned())
        }
        None => (Outcome::NeedsReview, "no_feedback".to_owned()),
    });
    let outcome = found
        .iter()
        .map(|(outcome, _)| *outcome)
        .max()
        .unwrap_or(Outcome::NeedsReview);
    (
        outcome,
        found.into_iter().map(|(_, reason)| reason).collect(),
    )
}

fn judged(feedback: &TaskFeedback, rules: &ScoreRules) -> (Outcome, String) {
    let (outcome, reason) = match feedback.rating {
        Rating::Accepted
            if feedback
                .score
                .is_some_and(|score| score < rules.accept_score) =>
        {
            (Outcome::PartiallyAccepted, "feedback_low_score")
        }
        Rating::Accepted => (Outcome::Accepted, "feedback_accepted"),
        Rating::PartiallyAccepted => (Outcome::PartiallyAccepted, "feedback_partially_accepted"),
        Rating::Rejected => (Outcome::Rejected, "feedback_rejected"),
    };
    (outcome, reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;

    fn said(rating: Rating) -> TaskFeedback {
        TaskFeedback {
            seq: 2,
            replica: None,
            rating,
            score: None,
            comment: None,
            edited_answer: None,
            user: None,
            review: false,
        }
    }

    fn verdict(verdict: Verdict) -> TaskValidation {
        TaskValidation {
            seq: 3,
            replica: None,
            validator: "email".to_owned(),
            verdict,
            rules: Vec::new(),
        }
    }

    #[test]
    fn every_rule() {
        let good = fixture::chat("q", "a");
        let ended = |reason: &str| ChatEvidence {
            finish_reason: Some(reason.to_owned()),
            ..fixture::chat("q", "a")
        };
        let broken = ChatEvidence {
            error: Some("cut".to_owned()),
            ..good.clone()
        };
        let empty = ChatEvidence {
            answer: " ".to_owned(),
            ..good.clone()
        };
        let unfinished = ChatEvidence {
            finish_reason: None,
            ..good.clone()
        };
        let low = TaskFeedback {
            score: Some(0.4),
            ..said(Rating::Accepted)
        };
        let edited = TaskFeedback {
            edited_answer: Some("b".to_owned()),
            ..said(Rating::Rejected)
        };
        let blank = TaskFeedback {
            edited_answer: Some(" ".to_owned()),
            ..said(Rating::Rejected)
        };
        let accepted = said(Rating::Accepted);
        let partly = said(Rating::PartiallyAccepted);
        let rejected = said(Rating::Rejected);
        let (pass, fail) = (verdict(Verdict::Pass), verdict(Verdict::Fail));
        let repairable = verdict(Verdict::Repairable);
        type Row<'a> = (
            &'a ChatEvidence,
            Option<&'a TaskFeedback>,
            Vec<&'a TaskValidation>,
            Outcome,
            &'a str,
        );
        let (stopped, filtered) = (ended("length"), ended("content_filter"));
        let table: Vec<Row<'_>> = vec![
            (&good, None, vec![], Outcome::NeedsReview, "no_feedback"),
            (
                &good,
                None,
                vec![&pass],
                Outcome::NeedsReview,
                "no_feedback",
            ),
            (
                &good,
                Some(&accepted),
                vec![],
                Outcome::Accepted,
                "feedback_accepted",
            ),
            (
                &good,
                Some(&low),
                vec![],
                Outcome::PartiallyAccepted,
                "feedback_low_score",
            ),
            (
                &good,
                Some(&partly),
                vec![],
                Outcome::PartiallyAccepted,
                "feedback_partially_accepted",
            ),
            (
                &good,
                Some(&rejected),
                vec![&pass],
                Outcome::Rejected,
                "feedback_rejected",
            ),
            (
                &good,
                Some(&accepted),
                vec![&pass],
                Outcome::Accepted,
                "validation_passed:email",
            ),
            (
                &good,
                Some(&accepted),
                vec![&fail],
                Outcome::Rejected,
                "validation_failed:email",
            ),
            (
                &good,
                Some(&accepted),
                vec![&repairable],
                Outcome::NeedsReview,
                "validation_repairable:email",
            ),
            (
                &good,
                None,
                vec![&pass, &fail],
                Outcome::Rejected,
                "validation_failed:email",
            ),
            (
                &stopped,
                Some(&accepted),
                vec![],
                Outcome::Rejected,
                "finish_reason:length",
            ),
            (
                &filtered,
                Some(&accepted),
                vec![],
                Outcome::Rejected,
                "finish_reason:content_filter",
            ),
            (&broken, Some(&accepted), vec![], Outcome::Rejected, "error"),
            (
                &unfinished,
                Some(&accepted),
                vec![],
                Outcome::Rejected,
                "unfinished",
            ),
            (
                &empty,
                Some(&accepted),
                vec![],
                Outcome::Rejected,
                "empty_answer",
            ),
            (
                &stopped,
                Some(&edited),
                vec![&fail],
                Outcome::Accepted,
                "feedback_edited",
            ),
            (
                &good,
                Some(&blank),
                vec![],
                Outcome::Rejected,
                "feedback_rejected",
            ),
        ];
        for (chat, feedback, validations, outcome, reason) in table {
            let validations: Vec<_> = validations.into_iter().cloned().collect();
            let scored = score(chat, feedback, &validations, &ScoreRules::default());
            assert_eq!(scored.0, outcome, "{reason}");
            assert!(
                scored.1.iter().any(|one| one == reason),
                "{reason}: {:?}",
                scored.1
            );
        }
    }

    #[test]
    fn what_a_reviewer_decided_stands() {
        let good = fixture::chat("q", "a");
        let doubts = [verdict(Verdict::Repairable), verdict(Verdict::Fail)];
        for (rating, outcome, reason) in [
            (Rating::Accepted, Outcome::Accepted, "review_accepted"),
            (
                Rating::PartiallyAccepted,
                Outcome::PartiallyAccepted,
                "review_partially_accepted",
            ),
            (Rating::Rejected, Outcome::Rejected, "review_rejected"),
        ] {
            let decided = TaskFeedback {
                review: true,
                ..said(rating)
            };
            let scored = score(&good, Some(&decided), &doubts, &ScoreRules::default());
            assert_eq!(scored, (outcome, vec![reason.to_owned()]));
        }
    }

    #[test]
    fn recipes_change_the_rules() {
        let trusting = ScoreRules {
            accept_without_feedback: true,
            ..ScoreRules::default()
        };
        let chat = fixture::chat("q", "a");
        assert_eq!(score(&chat, None, &[], &trusting).0, Outcome::Accepted);
        let bad = [verdict(Verdict::Fail)];
        assert_eq!(score(&chat, None, &bad, &trusting).0, Outcome::Rejected);
        let mild = ScoreRules {
            failed_validation: Outcome::NeedsReview,
            ..ScoreRules::default()
        };
        assert_eq!(score(&chat, None, &bad, &mild).0, Outcome::NeedsReview);

        let strict = ScoreRules {
            require_citation: true,
            ..trusting
        };
        let mut chat = chat;
        chat.passages.push(fixture::passage("p", false));
        assert_eq!(score(&chat, None, &[], &strict).0, Outcome::NeedsReview);
        chat.passages.push(fixture::passage("p", true));
        assert_eq!(score(&chat, None, &[], &strict).0, Outcome::Accepted);
    }
}

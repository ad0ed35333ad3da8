//! Which records a reader wants to see.

use serde_json::Value;

use crate::types::evidence::{EvidenceRecord, Kind};

/// What a record must be; what is left out holds for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvidenceFilter {
    /// What it tells of.
    pub kind: Option<Kind>,
    /// Its own id, its request's, or that of the answer it is about.
    pub id: Option<String>,
    /// Whose use it counted as: the label of the client's token.
    pub key: Option<String>,
    /// The `user` of a chat call or a feedback.
    pub user: Option<String>,
    /// The model that a chat call asked for, or the `provider/model` that answered.
    pub model: Option<String>,
    /// The first moment, Unix milliseconds.
    pub from_ms: Option<u64>,
    /// The moment after the last one.
    pub before_ms: Option<u64>,
}

impl EvidenceFilter {
    /// Whether a record is one of those. Of an erased one only kind, time and its own id are known.
    pub fn suits(&self, record: &EvidenceRecord) -> bool {
        let says = |wanted: &Option<String>, names: &[&str]| {
            wanted
                .as_deref()
                .is_none_or(|wanted| names.iter().any(|name| word(record, name) == Some(wanted)))
        };
        self.kind.is_none_or(|kind| kind == record.kind)
            && self.from_ms.is_none_or(|from| record.ts >= from)
            && self.before_ms.is_none_or(|before| record.ts < before)
            && (self.id.as_ref() == Some(&record.id) || says(&self.id, &["request_id", "target"]))
            && says(&self.key, &["key"])
            && says(&self.user, &["user"])
            && says(&self.model, &["model", "answered_by"])
    }
}

/// A text of a record's body.
pub(super) fn word<'a>(record: &'a EvidenceRecord, name: &str) -> Option<&'a str> {
    record.body.get(name).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::selection::tests::record;
    use super::*;

    #[test]
    fn every_part_of_a_filter_must_hold() {
        let body =
            json!({"request_id": "r", "key": "k", "user": "u", "model": "m", "answered_by": "p/m"});
        let chat = record(5, Kind::Chat, "c", body);
        let some = |text: &str| Some(text.to_owned());
        let whole = EvidenceFilter {
            kind: Some(Kind::Chat),
            id: some("c"),
            key: some("k"),
            user: some("u"),
            model: some("m"),
            from_ms: Some(1_005),
            before_ms: Some(1_006),
        };
        assert!(EvidenceFilter::default().suits(&chat) && whole.suits(&chat));
        let also = [
            EvidenceFilter {
                id: some("r"),
                ..whole.clone()
            },
            EvidenceFilter {
                model: some("p/m"),
                ..whole.clone()
            },
        ];
        assert!(also.iter().all(|filter| filter.suits(&chat)));
        let others = [
            EvidenceFilter {
                kind: Some(Kind::Search),
                ..whole.clone()
            },
            EvidenceFilter {
                id: some("x"),
                ..whole.clone()
            },
            EvidenceFilter {
                key: some("x"),
                ..whole.clone()
            },
            EvidenceFilter {
                user: some("x"),
                ..whole.clone()
            },
            EvidenceFilter {
                model: some("x"),
                ..whole.clone()
            },
            EvidenceFilter {
                from_ms: Some(1_006),
                ..whole.clone()
            },
            EvidenceFilter {
                before_ms: Some(1_005),
                ..whole.clone()
            },
        ];
        assert!(others.iter().all(|filter| !filter.suits(&chat)));
        let said = record(
            6,
            Kind::Feedback,
            "f",
            json!({"target": "c", "rating": "accepted"}),
        );
        let about = EvidenceFilter {
            id: some("c"),
            ..EvidenceFilter::default()
        };
        assert!(about.suits(&said));
        assert!(
            !EvidenceFilter {
                user: some("u"),
                ..about
            }
            .suits(&said)
        );
    }
}

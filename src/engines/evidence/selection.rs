//! Whose content is to be erased: chosen in one reading of the journal.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::filter::word;
use crate::storage::evidence_log::{JournalLine, canonical, frame_digest};
use crate::types::evidence::{EvidenceRecord, FrameEvidence, Kind, SCHEMA_VERSION};

/// What records are chosen by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The ids of records, of their requests, or of what they are about.
    Ids(HashSet<String>),
    /// Their sequence numbers.
    Seqs(HashSet<u64>),
    /// Whose use it counted as.
    Key(String),
    /// The `user` of a chat call or a feedback.
    User(String),
}

impl Subject {
    /// Its word in the erasure's record, which does not say who.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ids(_) => "id",
            Self::Seqs(_) => "seq",
            Self::Key(_) => "key",
            Self::User(_) => "user",
        }
    }

    fn names(&self, record: &EvidenceRecord) -> bool {
        match self {
            Self::Ids(ids) => {
                let more = ["request_id", "target"].map(|name| word(record, name));
                let mut all = [Some(record.id.as_str())].into_iter().chain(more).flatten();
                all.any(|id| ids.contains(id))
            }
            Self::Seqs(seqs) => seqs.contains(&record.seq),
            Self::Key(key) => word(record, "key") == Some(key),
            Self::User(user) => word(record, "user") == Some(user),
        }
    }
}

/// The records that were chosen.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// First and last sequence number of each run of them.
    pub ranges: Vec<(u64, u64)>,
    /// What will be left of those of version 1.
    pub frames: Vec<FrameEvidence>,
    /// How many they are, by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Records that were named by id or number and are erased already.
    pub already: u64,
    /// Lines that are no records as they were written: nobody can tell whose they are, and they stay.
    pub unreadable: u64,
}

impl Found {
    /// How many records they are.
    pub fn count(&self) -> u64 {
        self.kinds.values().sum()
    }

    /// The last of them; 0 when there are none.
    pub fn last(&self) -> u64 {
        self.ranges.last().map_or(0, |(_, last)| *last)
    }
}

/// Chooses the records of a subject, and what was said of its answers: a feedback or a validation whose target is an answer
/// that is chosen goes with it.
///
/// As in the [join](crate::engines::dataset::Join), a target means the newest answer before that has the id, or that
/// answered the request; the requests of others may have the same id. A replay says nobody's name, so what it asked goes by
/// its last question, when that is one of an answer that is chosen.
#[derive(Debug)]
pub struct Selection {
    subject: Subject,
    /// Ids of answers that are chosen, and of their requests.
    bound: HashSet<String>,
    /// Hashes of their last questions.
    asked: HashSet<[u8; 32]>,
    found: Found,
}

impl Selection {
    /// Has seen nothing yet.
    pub fn new(subject: Subject) -> Self {
        Self {
            subject,
            bound: HashSet::new(),
            asked: HashSet::new(),
            found: Found::default(),
        }
    }

    /// Takes the next line of the journal.
    pub fn take(&mut self, line: &JournalLine) {
        let Ok(record) = &line.record else {
            self.found.unreadable += 1;
            return;
        };
        if record.kind.is_of_the_journal() {
            return;
        }
        let mut named = self.subject.names(record);
        if record.erased.is_some() {
            self.found.already += u64::from(named);
            return;
        }
        if record.kind == Kind::Chat {
            named = self.ask(record, named);
            self.bind(record, named);
        }
        let about = word(record, "target").is_some_and(|target| self.bound.contains(target));
        if named || about {
            self.choose(record);
        }
    }

    /// Ends it.
    pub fn found(self) -> Found {
        self.found
    }

    /// Whether an answer is chosen, also for its question.
    fn ask(&mut self, chat: &EvidenceRecord, chosen: bool) -> bool {
        let of_replay = word(chat, "replay").is_some();
        if !chosen && !of_replay {
            return false;
        }
        let messages = chat.body.get("messages").and_then(Value::as_array);
        let mut asked = messages.into_iter().flatten().rev();
        let last = asked.find(|message| message["role"] == "user");
        let Some(last) = last.map(|message| &message["content"]) else {
            return chosen;
        };
        let digest = *blake3::hash(canonical(last).as_bytes()).as_bytes();
        if chosen {
            self.asked.insert(digest);
        }
        chosen || self.asked.contains(&digest)
    }

    fn bind(&mut self, chat: &EvidenceRecord, chosen: bool) {
        let ids = [Some(chat.id.as_str()), word(chat, "request_id")];
        for id in ids.into_iter().flatten().filter(|id| !id.is_empty()) {
            if chosen {
                self.bound.insert(id.to_owned());
            } else if word(chat, "finish_reason").is_some() {
                // From here on the id means this answer.
                self.bound.remove(id);
            }
        }
    }

    fn choose(&mut self, record: &EvidenceRecord) {
        let seq = record.seq;
        match self.found.ranges.last_mut() {
            Some((_, last)) if *last + 1 == seq => *last = seq,
            // A copy of an earlier line has no place of its own.
            Some((_, last)) if *last >= seq => return,
            _ => self.found.ranges.push((seq, seq)),
        }
        *self.found.kinds.entry(record.kind.name()).or_default() += 1;
        if record.schema < SCHEMA_VERSION {
            self.found.frames.push(FrameEvidence {
                seq,
                digest: frame_digest(record),
            });
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::types::evidence::Erased;

    pub(in crate::engines::evidence) fn record(
        seq: u64,
        kind: Kind,
        id: &str,
        body: Value,
    ) -> EvidenceRecord {
        EvidenceRecord {
            seq,
            ts: 1_000 + seq,
            schema: SCHEMA_VERSION,
            kind,
            id: id.to_owned(),
            body,
            content: None,
            salt: None,
            erased: None,
            prev: String::new(),
            hash: format!("hash {seq}"),
        }
    }

    fn chat(seq: u64, id: &str, request: &str, user: &str) -> EvidenceRecord {
        let body = json!({"request_id": request, "user": user, "key": format!("key of {user}"), "finish_reason": "stop"});
        record(seq, Kind::Chat, id, body)
    }

    fn about(seq: u64, target: &str) -> EvidenceRecord {
        record(
            seq,
            Kind::Feedback,
            &format!("f{seq}"),
            json!({"target": target}),
        )
    }

    /// Ann and Bob, who both call their requests "r".
    fn journal() -> Vec<EvidenceRecord> {
        let mut failed = chat(5, "c5", "r", "bob");
        failed.body["finish_reason"] = Value::Null;
        let mut said = about(9, "elsewhere");
        said.body["user"] = "ann".into();
        vec![
            chat(1, "c1", "r", "ann"),
            about(2, "c1"),
            about(3, "r"),
            record(4, Kind::Search, "s", json!({"request_id": "q"})),
            failed,
            // A try that failed hides no answer.
            about(6, "r"),
            chat(7, "c7", "r", "bob"),
            about(8, "r"),
            said,
            about(10, "c1"),
            record(11, Kind::Erasure, "e", json!({"user": "ann"})),
        ]
    }

    fn choose(subject: Subject, records: Vec<EvidenceRecord>) -> Found {
        let mut selection = Selection::new(subject);
        for record in records {
            selection.take(&JournalLine {
                segment: "s".to_owned(),
                line: record.seq,
                record: Ok(record),
            });
        }
        selection.found()
    }

    fn ids(ids: &[&str]) -> Subject {
        Subject::Ids(ids.iter().map(|id| (*id).to_owned()).collect())
    }

    #[test]
    fn what_was_said_of_an_answer_goes_with_it_and_nothing_of_others() {
        let ann = choose(Subject::User("ann".to_owned()), journal());
        assert_eq!(ann.ranges, [(1, 3), (6, 6), (9, 10)]);
        assert_eq!((ann.count(), ann.last()), (6, 10));
        assert_eq!(ann.kinds, BTreeMap::from([("chat", 1), ("feedback", 5)]));
        let key = choose(Subject::Key("key of ann".to_owned()), journal());
        assert_eq!(key.ranges, [(1, 3), (6, 6), (10, 10)]);
        let mut keyed = journal();
        keyed[3].body["key"] = "key of ann".into();
        keyed[8].body["key"] = "key of ann".into();
        let key = choose(Subject::Key("key of ann".to_owned()), keyed);
        let searched_and_said = [(1, 4), (6, 6), (9, 10)];
        assert_eq!(key.ranges, searched_and_said, "of each kind");
        let bob = choose(Subject::User("bob".to_owned()), journal());
        assert_eq!(bob.ranges, [(5, 8)], "his failed try is the newest of his");
    }

    #[test]
    fn what_a_replay_asked_goes_with_the_question() {
        let asked = |seq, question: &str, replay: bool| {
            let mut chat = chat(seq, &format!("c{seq}"), "r", "ann");
            chat.body["messages"] = json!([
                {"role": "system", "content": format!("be number {seq}")},
                {"role": "user", "content": question},
            ]);
            if replay {
                chat.body["replay"] = json!("small");
                chat.body["user"] = Value::Null;
            }
            chat
        };
        let records = vec![
            asked(1, "mine", false),
            asked(2, "mine", true),
            asked(3, "another", true),
            about(4, "c2"),
        ];
        let ann = choose(Subject::User("ann".to_owned()), records.clone());
        assert_eq!(ann.ranges, [(1, 2), (4, 4)]);
        assert_eq!(choose(ids(&["c3"]), records).ranges, [(3, 3)]);
    }

    #[test]
    fn an_id_is_a_records_a_requests_or_a_targets() {
        assert_eq!(choose(ids(&["c7"]), journal()).ranges, [(7, 8)]);
        assert_eq!(
            choose(ids(&["q", "f2"]), journal()).ranges,
            [(2, 2), (4, 4)]
        );
        assert_eq!(
            choose(ids(&["r"]), journal()).ranges,
            [(1, 3), (5, 8), (10, 10)]
        );
        let seqs = Subject::Seqs(HashSet::from([4, 11]));
        assert_eq!(
            choose(seqs, journal()).ranges,
            [(4, 4)],
            "no erasure is erased"
        );
        assert_eq!(choose(ids(&["nobody"]), journal()), Found::default());
    }

    #[test]
    fn what_is_gone_or_damaged_is_counted_and_old_records_leave_a_digest() {
        let mut records = journal();
        records[1].schema = 1;
        let digest = frame_digest(&records[1]);
        let old = choose(ids(&["c1"]), records.clone());
        assert_eq!(old.frames, [FrameEvidence { seq: 2, digest }]);
        records[3].erased = Some(Erased {
            at: 1,
            by: 11,
            reason: String::new(),
        });
        let found = choose(ids(&["s", "c1"]), records);
        assert_eq!(
            (found.already, found.ranges),
            (1, vec![(1, 3), (6, 6), (10, 10)])
        );
    }
}

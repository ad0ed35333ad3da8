//! Workers whose id or name is a slip away from what was written.
//!
//! Slips are made and looked up, instead of comparing with every row: the cost does not grow with the roster.

use strsim::osa_distance;

use super::folded::{folded, plain_words};
use super::postings::hash;
use super::row::name_hash;
use super::{Roster, Worker, id_key, same_id};

/// Longer ids have no slips looked up, letters.
const MAX_ID: usize = 24;
/// Names of more words have no slips looked up.
const MAX_WORDS: usize = 5;
/// Known words tried for each word that was written.
const MAX_SPELLINGS: usize = 5;
/// Ways of spelling a name that are looked up.
const MAX_TRIED: usize = 64;
/// Workers of one name looked at.
const MAX_NAMESAKES: usize = 1_000;
/// Workers compared letter by letter.
const MAX_COMPARED: usize = 24;
/// Ids a slip away, beyond which an id alone says nothing: ids that follow one another all resemble each other.
const MAX_ALIKE: usize = 3;
/// Workers returned.
const MAX_NEAR: usize = 3;

impl Roster {
    /// Workers who may be meant: of this very name, else of a similar name or one slip from the id.
    ///
    /// At most three, the likeliest first.
    pub(in crate::engines::validation) fn near(
        &self,
        worker_id: &str,
        name: &str,
    ) -> Vec<Worker<'_>> {
        let words = plain_words(name);
        let plain = words.join(" ");
        let by_id = self.one_slip_from(worker_id);
        let by_name = self.spelt_like(&words);
        let is_by_id = |worker: &Worker<'_>| by_id.contains(worker);
        let mut found: Vec<Worker<'_>> = by_name.iter().copied().filter(is_by_id).collect();
        let others = by_name.iter().copied().filter(|worker| !is_by_id(worker));
        found.extend(others.take(MAX_COMPARED));
        // A name that is somebody's says enough.
        if !found.iter().any(|worker| same_name(worker, name)) {
            let alone = by_id.len() <= MAX_ALIKE;
            let ids = by_id.iter().filter(|worker| !found.contains(worker));
            let ids: Vec<Worker<'_>> = ids
                .filter(|worker| alone || alike(&plain, worker))
                .copied()
                .take(MAX_COMPARED)
                .collect();
            found.extend(ids);
        }
        found.sort_by_cached_key(|worker| {
            // An id alone resembles many others: it weighs as much as three slips in the name.
            let other_id = if is_by_id(worker) { 0 } else { 3 };
            (osa(&plain, worker).saturating_add(other_id), worker.id())
        });
        found.truncate(MAX_NEAR);
        found
    }

    /// Workers whose names have these words, each up to a slip, in any order; middle names may be left out.
    fn spelt_like(&self, words: &[String]) -> Vec<Worker<'_>> {
        if words.is_empty() || words.len() > MAX_WORDS {
            return Vec::new();
        }
        let mut spellings: Vec<Vec<&str>> = Vec::new();
        for word in words {
            spellings.push(self.vocabulary.near(word, MAX_SPELLINGS));
        }
        let mut rows: Vec<u32> = Vec::new();
        self.look_up(&spellings, &mut rows);
        if let [first, _, .., last] = spellings.as_slice() {
            self.look_up(&[first.clone(), last.clone()], &mut rows);
        }
        rows.sort_unstable();
        rows.dedup();
        rows.into_iter().filter_map(|at| self.at(at)).collect()
    }

    /// Tries every choice of one spelling for each word, the nearest first.
    fn look_up(&self, spellings: &[Vec<&str>], rows: &mut Vec<u32>) {
        let ways: usize = spellings.iter().map(Vec::len).product();
        for way in 0..ways.min(MAX_TRIED) {
            let mut rest = way;
            let mut words: Vec<&str> = Vec::with_capacity(spellings.len());
            for spelling in spellings {
                words.extend(spelling.get(rest % spelling.len()));
                rest /= spelling.len();
            }
            let room = MAX_NAMESAKES.saturating_sub(rows.len());
            rows.extend(self.by_name.of(name_hash(&mut words)).take(room));
        }
    }

    /// Workers whose id is one deletion, swap, replacement or insertion away.
    fn one_slip_from(&self, worker_id: &str) -> Vec<Worker<'_>> {
        let key = id_key(worker_id);
        let mut found = Vec::new();
        slips(&key, |slip| {
            let worker = self.with_id(hash(slip), |id| same_id(id, slip));
            found.extend(worker.filter(|worker| !found.contains(worker)));
        });
        found
    }
}

fn same_name(worker: &Worker<'_>, name: &str) -> bool {
    folded(worker.name()) == folded(name)
}

/// Whether two names may be one with a few slips, at a glance and then in earnest.
fn alike(plain: &str, worker: &Worker<'_>) -> bool {
    let name = worker.name();
    let (written, known) = (plain.chars().count(), name.chars().count());
    let allowed = (written / 5).max(2);
    let glance = |one: Option<char>, other: Option<char>| {
        one.is_some() && one == other.and_then(|c| c.to_lowercase().next())
    };
    let (starts, ends) = (
        glance(plain.chars().next(), name.chars().next()),
        glance(plain.chars().last(), name.chars().last()),
    );
    (starts || ends) && written.abs_diff(known) <= allowed + 4 && osa(plain, worker) <= allowed
}

fn osa(plain: &str, worker: &Worker<'_>) -> usize {
    match plain.len().max(worker.name().len()) {
        0..=256 => osa_distance(plain, &plain_words(worker.name()).join(" ")),
        _ => usize::MAX,
    }
}

/// Calls `take` with every text one slip away from an id.
fn slips(id: &str, mut take: impl FnMut(&str)) {
    const ALPHABET: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-";
    let chars: Vec<char> = id.chars().collect();
    if chars.is_empty() || chars.len() > MAX_ID {
        return;
    }
    let mut slip = String::with_capacity(id.len() + 4);
    let mut make = |at: usize, skip: usize, insert: &[char]| {
        slip.clear();
        slip.extend(chars.iter().take(at).chain(insert));
        slip.extend(chars.iter().skip(at + skip));
        if slip != id {
            take(&slip);
        }
    };
    for at in 0..=chars.len() {
        for c in ALPHABET.chars() {
            make(at, 0, &[c]);
            if at < chars.len() {
                make(at, 1, &[c]);
            }
        }
        if at < chars.len() {
            make(at, 1, &[]);
        }
        if let [first, second, ..] = chars.get(at..).unwrap_or_default() {
            make(at, 2, &[*second, *first]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_id_and_name_are_explained() {
        let roster = Roster::parse_csv(
            "worker_id,name,role,city,state,status\n\
             W-1001,Maria Alvarez,welder,Joliet,IL,active\n\
             W-1010,Omar Haddad,welder,Joliet,IL,active\n\
             W-2002,Siobhán O'Neill,welder,Joliet,IL,active\n\
             W-2003,Maria Alvarez,driver,Gary,IN,active\n\
             W-3004,Ann Beth Lee Jr.,driver,Gary,IN,active\n",
        )
        .unwrap();
        let cases: &[(&str, &str, &[&str])] = &[
            ("X-1", "maria  ALVAREZ", &["W-1001", "W-2003"]),
            ("X-1", "Maria Alvares", &["W-1001", "W-2003"]),
            ("X-1", "Mraia Alvarez", &["W-1001", "W-2003"]),
            ("X-1", "Alvarez, Maria", &["W-1001", "W-2003"]),
            ("X-1", "Siobhan O’Neill", &["W-2002"]),
            ("X-1", "Ann Lee", &["W-3004"]),
            ("X-1", "Anna B. Lee", &["W-3004"]),
            ("W-1O10", "Nobody", &["W-1010"]),
            ("W1001", "", &["W-1001"]),
            ("W-203", "Maria Alvarez", &["W-2003", "W-1001"]),
            ("W-203", "Mario Alvarez", &["W-2003", "W-1001"]),
            ("W-1011", "Omar H.", &["W-1010", "W-1001"]),
            ("", "", &[]),
            ("Z-77", "Unrelated Person", &[]),
        ];
        for (id, name, expected) in cases {
            let near = roster.near(id, name);
            let near: Vec<&str> = near.iter().map(Worker::id).collect();
            assert_eq!(&near, expected, "{id} {name}");
        }
        let long = roster.near(&"W".repeat(99_999), &"é ".repeat(99_999));
        assert_eq!(long, []);
    }

    #[test]
    fn neighbouring_ids_alone_are_no_hint() {
        let mut text = "worker_id,name,role,city,state,status\n".to_owned();
        for at in 1_000..2_000 {
            text.push_str(&format!(
                "W-{at},Person{at} Name{at},welder,Joliet,IL,active\n"
            ));
        }
        text.push_str("W-2500,Ann Lee,welder,Joliet,IL,active\n");
        let roster = Roster::parse_csv(&text).unwrap();
        assert_eq!(roster.near("W-150X", "Unrelated Person"), []);
        let meant = roster.near("W-150X", "Person1500 Name1600");
        assert_eq!(meant.first().map(Worker::id), Some("W-1500"));
    }
}

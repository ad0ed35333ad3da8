//! Workers whose id or name is a slip away from what was written.
//!
//! Slips are made and looked up, instead of comparing with every row: the cost does not grow with
//! the roster.

use std::collections::HashSet;

use strsim::osa_distance;

use super::{Roster, Worker, folded, id_key};

/// Longer ids and name words have no slips looked up.
const MAX_CHARS: usize = 32;
/// Workers compared by name, once a word of the name is shared.
const MAX_COMPARED: usize = 5_000;
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
    ) -> impl Iterator<Item = &Worker> {
        let slips = slips(&id_key(worker_id), "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ-");
        let mut found: Vec<&Worker> = self.named(name).take(MAX_COMPARED).collect();
        if found.is_empty() {
            found.extend(self.similarly_named(name));
            let near_id = slips
                .iter()
                .filter_map(|slip| self.by_id.get(slip.as_str()));
            found.extend(near_id.filter_map(|at| self.at(*at)));
        }
        let name = folded(name);
        found.sort_by_cached_key(|worker| {
            // An id alone resembles many others: it weighs as much as three slips in the name.
            let other_id = if slips.contains(&id_key(worker.id())) {
                0
            } else {
                3
            };
            (osa(&name, worker).saturating_add(other_id), worker.id())
        });
        found.dedup_by_key(|worker| worker.id());
        found.into_iter().take(MAX_NEAR)
    }

    fn similarly_named(&self, name: &str) -> Vec<&Worker> {
        let name = folded(name);
        let length = name.chars().count();
        if length > 4 * MAX_CHARS {
            return Vec::new();
        }
        let mut sharing: Vec<&[u32]> = Vec::new();
        for word in name.split(' ') {
            match self.by_name_word.get(word) {
                Some(found) => sharing.push(found),
                None => sharing.extend(
                    slips(word, "abcdefghijklmnopqrstuvwxyz'-")
                        .iter()
                        .filter_map(|slip| self.by_name_word.get(slip.as_str()))
                        .map(Vec::as_slice),
                ),
            }
        }
        // Rare words first: they say more about who was meant.
        sharing.sort_by_key(|found| found.len());
        let compared: HashSet<u32> = sharing
            .into_iter()
            .flatten()
            .copied()
            .take(MAX_COMPARED)
            .collect();
        let allowed = (length / 5).max(2);
        let mut near: Vec<(usize, &Worker)> = compared
            .into_iter()
            .filter_map(|at| self.at(at))
            .map(|worker| (osa(&name, worker), worker))
            .filter(|(distance, _)| *distance <= allowed)
            .collect();
        near.sort_by_key(|(distance, worker)| (*distance, worker.id()));
        near.into_iter()
            .take(MAX_NEAR)
            .map(|(_, worker)| worker)
            .collect()
    }
}

fn osa(name: &str, worker: &Worker) -> usize {
    match name.len().max(worker.name().len()) {
        0..=512 => osa_distance(name, &folded(worker.name())),
        _ => usize::MAX,
    }
}

/// Every text one deletion, swap, replacement or insertion away from `text`.
fn slips(text: &str, alphabet: &str) -> HashSet<String> {
    let chars: Vec<char> = text.chars().collect();
    let mut slips = HashSet::new();
    if chars.is_empty() || chars.len() > MAX_CHARS {
        return slips;
    }
    let mut add = |at: usize, skip: usize, insert: &[char]| {
        let head = chars.iter().take(at);
        slips.insert(
            head.chain(insert)
                .chain(chars.iter().skip(at + skip))
                .collect(),
        );
    };
    for at in 0..=chars.len() {
        for c in alphabet.chars() {
            add(at, 0, &[c]);
            add(at, 1, &[c]);
        }
        add(at, 1, &[]);
        if let [first, second, ..] = chars.get(at..).unwrap_or_default() {
            add(at, 2, &[*second, *first]);
        }
    }
    slips
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
             W-2003,Maria Alvarez,driver,Gary,IN,active\n",
        )
        .unwrap();
        let cases: &[(&str, &str, &[&str])] = &[
            ("X-1", "maria  ALVAREZ", &["W-1001", "W-2003"]),
            ("X-1", "Maria Alvares", &["W-1001", "W-2003"]),
            ("X-1", "Mraia Alvarez", &["W-1001", "W-2003"]),
            ("X-1", "Siobhan O’Neill", &["W-2002"]),
            ("W-1O10", "Nobody", &["W-1010"]),
            ("W1001", "", &["W-1001"]),
            ("W-203", "Maria Alvarez", &["W-2003", "W-1001"]),
            ("W-203", "Mario Alvarez", &["W-2003", "W-1001"]),
            ("W-1011", "Omar H.", &["W-1010", "W-1001"]),
            ("", "", &[]),
            ("Z-77", "Unrelated Person", &[]),
        ];
        for (id, name, expected) in cases {
            let near: Vec<&str> = roster.near(id, name).map(Worker::id).collect();
            assert_eq!(&near, expected, "{id} {name}");
        }
        assert_eq!(
            roster
                .near(&"W".repeat(99_999), &"é ".repeat(99_999))
                .count(),
            0
        );
    }
}

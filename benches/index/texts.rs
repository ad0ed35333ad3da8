//! Real texts, cut into more of them: windows of 8 to 20 words that overlap.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

/// Documents whose windows become queries and are not in the base: one in this many.
const HELD_OUT: u64 = 40;
const QUERIES: usize = 1_000;
const WORDS: (u64, u64) = (8, 20);
/// What looks like a word may be a page of data; no text has more tokens than bytes.
const LONGEST: usize = 500;

/// A number that looks random (splitmix64).
pub(super) fn mixed(at: u64) -> u64 {
    let mut z = at
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Cuts `corpus.jsonl` of all `folders` into `count` different texts, and others to ask with. Both
/// are in an order that looks random.
pub(super) fn cut(folders: &[&str], count: usize) -> (Vec<String>, Vec<String>) {
    let mut documents = Vec::new();
    for folder in folders {
        let lines = std::fs::read_to_string(Path::new(folder).join("corpus.jsonl")).unwrap();
        for line in lines.lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            documents.push(line["text"].as_str().unwrap().to_owned());
        }
    }
    documents.sort();
    documents.dedup();
    let held = |at: &usize| mixed(*at as u64).is_multiple_of(HELD_OUT);
    let (asked, kept): (Vec<_>, Vec<_>) = (0..documents.len()).partition(held);
    let all: usize = documents
        .iter()
        .map(|text| text.split_whitespace().count())
        .sum();
    // The widest step that gives enough of them.
    let base = (1..=all.div_ceil(count))
        .rev()
        .map(|step| windows(kept.iter().map(|at| &documents[*at]), step))
        .find(|base| base.len() >= count)
        .unwrap_or_else(|| windows(kept.iter().map(|at| &documents[*at]), 1));
    let mut queries = windows(asked.iter().map(|at| &documents[*at]), 4);
    queries.retain(|query| !base.contains(query));
    (mix(base, count), mix(queries, QUERIES))
}

fn windows<'a>(documents: impl Iterator<Item = &'a String>, step: usize) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    let mut drawn = 0;
    for document in documents {
        let words: Vec<&str> = document.split_whitespace().collect();
        for start in (0..words.len()).step_by(step) {
            drawn += 1;
            let long = WORDS.0 + mixed(drawn) % (WORDS.1 - WORDS.0 + 1);
            let end = words.len().min(start + long as usize);
            // What is left of a document at its end is a text too, unless nearly nothing is left.
            let text = words[start..end].join(" ");
            if (start == 0 || end - start >= 4) && text.len() <= LONGEST {
                texts.insert(text);
            }
        }
    }
    texts
}

fn mix(texts: BTreeSet<String>, count: usize) -> Vec<String> {
    let mut texts: Vec<_> = texts.into_iter().enumerate().collect();
    texts.sort_by_key(|(at, _)| mixed(*at as u64));
    texts
        .into_iter()
        .take(count)
        .map(|(_, text)| text)
        .collect()
}

//! Pages in order of id, of an engine that orders by one number at a time.
//!
//! Each point has the parts of its id as numbers. Points that share the first parts are ordered by the next; where more of
//! them share that, too, than fit on the page, they are ordered by the one after it.

use crate::engines::index::Word;

/// Parts of an id that the engine orders by.
pub(super) const PARTS: usize = 5;
/// Bytes of an id in one of them.
const BYTES: usize = 6;

/// The parts of an id.
pub(super) fn parts(id: &str) -> [f64; PARTS] {
    let word = Word::of(id, false);
    std::array::from_fn(|at| word.parts.get(at).copied().unwrap_or(0.0))
}

/// Some points, by the parts of their ids.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    /// The first parts are these.
    pub(super) same: Vec<f64>,
    /// The next is greater, where there is a next: it orders the points.
    pub(super) beyond: f64,
}

impl Span {
    /// The place of the part that orders the points; `None`: all parts are the same.
    pub(super) fn by(&self) -> Option<usize> {
        Some(self.same.len()).filter(|at| *at < PARTS)
    }

    fn below(&self, part: f64) -> Self {
        let mut same = self.same.clone();
        same.push(part);
        Self { same, beyond: -1.0 }
    }
}

/// Returns the first `wanted` of what `scan` finds whose ids are after `after`, in their order.
///
/// `scan` returns the first of a span, at most so many, in the order of its part; all of them, in any order, of a span
/// that has none.
pub(super) async fn first<P, E, F>(
    after: Option<&str>,
    wanted: usize,
    id: impl Fn(&P) -> &str,
    scan: impl Fn(Span, usize) -> F,
) -> Result<Vec<P>, E>
where
    F: Future<Output = Result<Vec<P>, E>>,
{
    let mut found: Vec<P> = Vec::new();
    // The last is the next in order.
    let mut spans = begin(after);
    while let Some(span) = spans.pop()
        && found.len() < wanted
    {
        let most = wanted - found.len();
        let mut some = scan(span.clone(), most).await?;
        let last = some.last().map(|last| (id(last).len(), parts(id(last))));
        let mut open = None;
        if let (Some(at), Some((length, last))) = (span.by(), last)
            && some.len() >= most
        {
            // Two ids with the same part are one where the id ends in it.
            let may_be_cut = length >= BYTES * (at + 1);
            if may_be_cut {
                some.retain(|point| parts(id(point))[at] < last[at]);
            }
            open = Some((at, last[at], may_be_cut));
        }
        some.sort_unstable_by(|a, b| id(a).cmp(id(b)));
        found.extend(
            some.into_iter()
                .filter(|point| after.is_none_or(|after| id(point) > after)),
        );
        if let Some((_, part, may_be_cut)) = open {
            let below = span.below(part);
            spans.push(Span {
                beyond: part,
                ..span
            });
            if may_be_cut {
                spans.push(below);
            }
        }
    }
    found.truncate(wanted);
    Ok(found)
}

/// What is after an id: that which shares all its parts but one, and is beyond it there.
fn begin(after: Option<&str>) -> Vec<Span> {
    let Some(after) = after else {
        return vec![Span {
            same: Vec::new(),
            beyond: -1.0,
        }];
    };
    let parts = parts(after);
    let deepest = (after.len() / BYTES).min(PARTS);
    (0..=deepest)
        .map(|depth| Span {
            same: parts.iter().take(depth).copied().collect(),
            beyond: parts.get(depth).copied().unwrap_or(-1.0),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::BTreeSet;
    use std::convert::Infallible;

    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    /// An engine with these ids; how often it was asked.
    fn page(ids: &BTreeSet<String>, after: Option<&str>, wanted: usize) -> (Vec<String>, usize) {
        let asked = Cell::new(0);
        let scan = |span: Span, most: usize| {
            asked.set(asked.get() + 1);
            let within = |id: &&String| {
                let own = parts(id);
                let same = span.same.iter().zip(own).all(|(a, b)| *a == b);
                same && span.by().is_none_or(|at| own[at] > span.beyond)
            };
            // In an order of its own where the part is the same.
            let mut found: Vec<String> = ids.iter().rev().filter(within).cloned().collect();
            if let Some(at) = span.by() {
                found.sort_by(|a, b| parts(a)[at].total_cmp(&parts(b)[at]));
                found.truncate(most);
            }
            std::future::ready(Ok::<_, Infallible>(found))
        };
        let found = first(after, wanted, String::as_str, scan).now_or_never();
        (found.unwrap().unwrap(), asked.get())
    }

    fn check(ids: &BTreeSet<String>, after: Option<&str>, wanted: usize) {
        let expected = ids
            .iter()
            .filter(|id| after.is_none_or(|after| id.as_str() > after));
        let expected: Vec<String> = expected.take(wanted).cloned().collect();
        let (found, asked) = page(ids, after, wanted);
        assert_eq!(found, expected, "after {after:?}");
        assert!(asked <= 8 + 2 * wanted, "asked {asked} times for {wanted}");
    }

    proptest! {
        #[test]
        fn any_page_is_what_comes_next(
            ids in proptest::collection::btree_set("(a{0,7}|[ab]{1,3}|(aaaaaa){0,6}b?|é{0,18})", 0..60),
            after in proptest::option::of("(a{0,8}|[ab]{1,4}|(aaaaaa){0,6}b?)"),
            wanted in 1_usize..12,
        ) {
            check(&ids, after.as_deref(), wanted);
            for id in &ids {
                check(&ids, Some(id), wanted);
            }
        }
    }

    #[test]
    fn ids_of_one_beginning_are_found_in_few_questions() {
        let ids: BTreeSet<String> = (0..2_000).map(|n| format!("document-{n:06}")).collect();
        let mut after: Option<String> = None;
        let mut seen = Vec::new();
        loop {
            let (found, asked) = page(&ids, after.as_deref(), 100);
            assert!(asked <= 7, "{asked}");
            let Some(last) = found.last() else { break };
            after = Some(last.clone());
            seen.extend(found);
        }
        assert!(seen.iter().eq(&ids));
    }
}

//! Conditions on marks in Qdrant's words.

use qdrant_client::qdrant::{Condition, Filter, Range};

use super::point::{EXACT, KEYS, MOMENTS, NUMBERS, WORDS, key_text, sortable};
use crate::engines::index::{Marked, Order};

/// Says a condition as a filter.
pub(super) fn filter(marked: &Marked) -> Filter {
    match marked {
        Marked::All(all) => Filter::must(all.iter().map(condition)),
        Marked::Any(any) if any.is_empty() => never(),
        Marked::Any(any) => Filter::should(any.iter().map(condition)),
        Marked::Not(one) => Filter::must_not([condition(one)]),
        other => Filter::must([condition(other)]),
    }
}

/// A filter that no point passes: one without conditions is passed by all.
fn never() -> Filter {
    Filter::must_not([Condition::from(Filter::default())])
}

fn condition(marked: &Marked) -> Condition {
    match marked {
        Marked::All(_) | Marked::Any(_) | Marked::Not(_) => filter(marked).into(),
        Marked::Keys(keys) if keys.is_empty() => never().into(),
        Marked::Keys(keys) => {
            let keys: Vec<String> = keys.iter().map(key_text).collect();
            Condition::matches(KEYS, keys)
        }
        Marked::Number(path, order, bound) => {
            let plain = Condition::range(format!("{NUMBERS}.{path}"), range(*order, *bound));
            let exact = ordered(*order, &sortable(*bound));
            let exact = Condition::nested(format!("{EXACT}.{path}"), exact);
            Filter::should([plain, exact]).into()
        }
        Marked::Moment(path, order, bound) => {
            Condition::range(format!("{MOMENTS}.{path}"), range(*order, *bound))
        }
        Marked::At(path, at) => Condition::range(format!("{MOMENTS}.{path}"), only(*at)),
        Marked::Word {
            path,
            order,
            bound,
            but_moments,
        } => {
            let mut filter = ordered(*order, bound);
            if *but_moments {
                let moment = Condition::range(super::point::IS_MOMENT, only(1.0));
                filter.must_not.push(moment);
            }
            Condition::nested(format!("{WORDS}.{path}"), filter)
        }
    }
}

fn range(order: Order, bound: f64) -> Range {
    let (bound, none) = (Some(bound), Range::default());
    match order {
        Order::Greater => Range { gt: bound, ..none },
        Order::GreaterOrEqual => Range { gte: bound, ..none },
        Order::Less => Range { lt: bound, ..none },
        Order::LessOrEqual => Range { lte: bound, ..none },
    }
}

fn only(number: f64) -> Range {
    Range {
        gte: Some(number),
        lte: Some(number),
        ..Range::default()
    }
}

/// Orders the parts `0`, `1`… of an item against those of a bound, the first that differs counting. A part that is not there
/// is 0.
fn ordered(order: Order, bound: &[f64]) -> Filter {
    let mut ways = Vec::new();
    let mut before: Vec<Condition> = Vec::new();
    for (at, number) in bound.iter().enumerate() {
        let beyond = match order {
            Order::Greater | Order::GreaterOrEqual => part(at, range(Order::Greater, *number)),
            // Not one that is as great: so that one which is not there is less.
            Order::Less | Order::LessOrEqual => {
                Filter::must_not([part(at, range(Order::GreaterOrEqual, *number))]).into()
            }
        };
        ways.push(Filter::must(before.iter().cloned().chain([beyond])).into());
        before.push(equal(at, *number));
    }
    if matches!(order, Order::GreaterOrEqual | Order::LessOrEqual) {
        ways.push(Filter::must(before).into());
    }
    Filter::must([Condition::from(Filter::should(ways))])
}

fn part(at: usize, range: Range) -> Condition {
    Condition::range(at.to_string(), range)
}

fn equal(at: usize, number: f64) -> Condition {
    match number > 0.0 {
        true => part(at, only(number)),
        false => Filter::must_not([part(at, range(Order::Greater, 0.0))]).into(),
    }
}

//! A filter over marks.

use serde_json::Value;

use super::super::{Filter, Node, Order, Test};
use super::{EXACT, Key, Marks, PathKey, canonical, path_key, words};

/// A number beyond these is no moment, in a field of moments.
const NO_MOMENT: f64 = 1e11;

/// A condition on marks.
#[derive(Debug, Clone, PartialEq)]
pub enum Marked {
    /// All hold; of none: always.
    All(Vec<Marked>),
    /// One holds; of none: never.
    Any(Vec<Marked>),
    /// It does not hold.
    Not(Box<Marked>),
    /// One of these is among the keys.
    Keys(Vec<Key>),
    /// One of the numbers of a path is so ordered against this one.
    Number(PathKey, Order, f64),
    /// One of the moments of a path is so ordered against this one.
    Moment(PathKey, Order, f64),
    /// One of the moments of a path is this one.
    At(PathKey, f64),
    /// One of the strings of a path is so ordered against that of these numbers.
    Word {
        /// Where it is.
        path: PathKey,
        /// How it is ordered.
        order: Order,
        /// Against what; never empty.
        bound: Vec<f64>,
        /// Whether moments do not count.
        but_moments: bool,
    },
}

impl Filter {
    /// The condition on marks that is the same.
    ///
    /// Errors: what marks cannot tell.
    pub fn on_marks(&self) -> Result<Marked, String> {
        node(&self.root)
    }
}

fn node(of: &Node) -> Result<Marked, String> {
    let all = |nodes: &[Node]| -> Result<Vec<Marked>, String> { nodes.iter().map(node).collect() };
    Ok(match of {
        Node::All(nodes) => Marked::All(all(nodes)?),
        Node::Any(nodes) => Marked::Any(all(nodes)?),
        Node::Not(inner) => Marked::Not(Box::new(node(inner)?)),
        Node::Field { path, test } => field(path, test)?,
    })
}

fn field(path: &str, test: &Test) -> Result<Marked, String> {
    Ok(match test {
        Test::Exists => Marked::Keys(vec![canonical::present(path)]),
        Test::Eq(wanted) => Marked::Keys(sought(path, wanted)?),
        Test::In { strings, others } => {
            let mut keys = Vec::with_capacity(strings.len() + others.len());
            for text in strings {
                keys.extend(sought(path, &Value::from(text.as_str()))?);
            }
            for other in others {
                keys.extend(sought(path, other)?);
            }
            // The strings are in no order of their own.
            keys.sort_unstable();
            Marked::Keys(keys)
        }
        Test::Order(order, bound) => ordered(path, *order, bound)?,
        Test::At(plain, moments) => dated(path, plain, moments)?,
    })
}

fn sought(path: &str, wanted: &Value) -> Result<Vec<Key>, String> {
    canonical::sought(path, wanted).ok_or_else(|| {
        no(
            path,
            "a list or an object with a number of 2^53 or more cannot be compared",
        )
    })
}

fn ordered(path: &str, order: Order, bound: &Value) -> Result<Marked, String> {
    match bound {
        Value::Number(number) => {
            let float = number.as_f64().unwrap_or_default();
            if super::super::whole(bound).is_some() && float.abs() >= EXACT {
                return Err(no(
                    path,
                    "whole numbers of 2^53 or more cannot be ordered against, only found by $eq and $in",
                ));
            }
            Ok(Marked::Number(path_key(path), order, float + 0.0))
        }
        Value::String(text) => word(path, order, text, false),
        _ => Ok(Marked::Any(Vec::new())),
    }
}

fn word(path: &str, order: Order, text: &str, but_moments: bool) -> Result<Marked, String> {
    let Some(bound) = words::bound(text) else {
        let most = words::LONGEST;
        return Err(no(
            path,
            &format!("strings of more than {most} bytes cannot be ordered against"),
        ));
    };
    Ok(Marked::Word {
        path: path_key(path),
        order,
        bound,
        but_moments,
    })
}

/// The test of a field of moments, against these moments.
fn dated(path: &str, plain: &Test, moments: &[i64]) -> Result<Marked, String> {
    let exact = |moment: i64| Some(moment as f64).filter(|float| float.abs() < EXACT);
    let Some(first) = moments.first() else {
        return field(path, plain);
    };
    let Test::Order(order, bound) = plain else {
        let mut any = vec![field(path, plain)?];
        any.extend(moments.iter().map(|moment| match exact(*moment) {
            Some(at) => Marked::At(path_key(path), at),
            None => Marked::Keys(vec![canonical::moment(path, *moment)]),
        }));
        return Ok(Marked::Any(any));
    };
    let Some(at) = exact(*first) else {
        return Err(no(
            path,
            "moments before 1684-07 and after 2255-06 cannot be ordered against",
        ));
    };
    let mut any = vec![Marked::Moment(path_key(path), *order, at)];
    match bound {
        // What is a number and no moment is far beyond the bound, which is one.
        Value::Number(_) => {
            let beyond = match order {
                Order::Greater | Order::GreaterOrEqual => (Order::Greater, NO_MOMENT),
                Order::Less | Order::LessOrEqual => (Order::Less, -NO_MOMENT),
            };
            any.push(Marked::Number(path_key(path), beyond.0, beyond.1));
        }
        Value::String(text) => any.push(word(path, *order, text, true)?),
        _ => {}
    }
    Ok(Marked::Any(any))
}

fn no(path: &str, reason: &str) -> String {
    let path: String = path.chars().take(64).collect();
    format!("filter at /{path}: {reason}")
}

impl Marked {
    /// Whether it holds for the marks of a payload, as an engine must tell it.
    pub fn holds(&self, marks: &Marks) -> bool {
        let any = |all: Option<&Vec<f64>>, order: &Order, bound: &f64| {
            let holds = |found: &f64| {
                let found = found.partial_cmp(bound);
                found.is_some_and(|found| order.holds(found))
            };
            all.is_some_and(|all| all.iter().any(holds))
        };
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(marks)),
            Self::Any(any) => any.iter().any(|one| one.holds(marks)),
            Self::Not(one) => !one.holds(marks),
            Self::Keys(keys) => keys.iter().any(|key| marks.keys.contains(key)),
            Self::Number(path, order, bound) => any(marks.numbers.get(path), order, bound),
            Self::Moment(path, order, bound) => any(marks.moments.get(path), order, bound),
            Self::At(path, at) => marks.moments.get(path).is_some_and(|all| all.contains(at)),
            Self::Word {
                path,
                order,
                bound,
                but_moments,
            } => marks.words.get(path).is_some_and(|words| {
                let holds = |word: &words::Word| {
                    !(word.is_moment && *but_moments) && word.is(*order, bound)
                };
                words.iter().any(holds)
            }),
        }
    }
}

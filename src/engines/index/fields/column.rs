//! One indexed field: the rows of each of its values.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Bound;

use serde_json::{Map, Value};

use super::super::filter::{Order, Test, compare, visit, whole};
use super::super::{Bits, instant};
use super::posting::Posting;
use super::sorted::Sorted;
use crate::types::collection::FieldKind;

/// The values of one field. Deleted rows stay in it until the contents are built anew.
///
/// Invariant: a row whose values are not all of the field's kind is in `odd`, and none of them is in
/// `values`. Such a row is stored and found like any other; only it is read where the others are looked up.
#[derive(Debug)]
pub(in crate::engines::index) struct Column {
    values: Values,
    /// `null` is of every kind: it says that there is no value.
    nulls: Posting,
    present: Bits,
    odd: Bits,
}

#[derive(Debug)]
enum Values {
    Keyword(BTreeMap<String, Posting>),
    Integer(Sorted<i64>),
    Float(Sorted<f64>),
    Bool([Posting; 2]),
    Datetime(Sorted<instant::Micros>),
}

impl Column {
    pub(super) fn new(kind: FieldKind) -> Self {
        let values = match kind {
            FieldKind::Keyword => Values::Keyword(BTreeMap::new()),
            FieldKind::Integer => Values::Integer(Sorted::default()),
            FieldKind::Float => Values::Float(Sorted::default()),
            FieldKind::Bool => Values::Bool(Default::default()),
            FieldKind::Datetime => Values::Datetime(Sorted::default()),
        };
        Self {
            values,
            nulls: Posting::default(),
            present: Bits::default(),
            odd: Bits::default(),
        }
    }

    pub(super) fn kind(&self) -> FieldKind {
        match &self.values {
            Values::Keyword(_) => FieldKind::Keyword,
            Values::Integer(_) => FieldKind::Integer,
            Values::Float(_) => FieldKind::Float,
            Values::Bool(_) => FieldKind::Bool,
            Values::Datetime(_) => FieldKind::Datetime,
        }
    }

    /// Adds a row, which must be greater than any before.
    pub(super) fn add(&mut self, row: u32, path: &str, payload: &Map<String, Value>) {
        let (mut seen, mut odd) = (false, false);
        let kind = self.kind();
        each_value(payload, path, &mut |value, whole| {
            seen |= whole;
            // A list is there, but it is its items that have a kind.
            let list = whole && value.is_array();
            odd |= !list && !fits(kind, value);
        });
        if seen {
            self.present.insert(row);
        }
        if odd {
            self.odd.insert(row);
        } else if seen {
            each_value(payload, path, &mut |value, _| self.insert(row, value));
        }
    }

    fn insert(&mut self, row: u32, value: &Value) {
        match (&mut self.values, value) {
            (_, Value::Null) => self.nulls.push(row),
            (Values::Keyword(words), Value::String(word)) => match words.get_mut(word) {
                Some(rows) => rows.push(row),
                None => words.entry(word.clone()).or_default().push(row),
            },
            (Values::Bool(rows), Value::Bool(bit)) => rows[usize::from(*bit)].push(row),
            (Values::Integer(column), _) => {
                if let Some(number) = value.as_i64() {
                    column.push(number, row, i64::cmp);
                }
            }
            (Values::Float(column), _) => {
                if let Some(number) = value.as_f64() {
                    column.push(number, row, f64::total_cmp);
                }
            }
            (Values::Datetime(column), _) => {
                if let Some(moment) = instant::read(value) {
                    column.push(moment, row, i64::cmp);
                }
            }
            _ => {}
        }
    }

    /// Rows whose values are not all of the field's kind.
    pub(in crate::engines::index) fn odd(&self) -> &Bits {
        &self.odd
    }

    /// Adds the rows to `found` that pass `test` and are not [odd](Self::odd). `false`: the column cannot
    /// tell, and nothing was added.
    pub(in crate::engines::index) fn answer(&self, test: &Test, found: &mut Bits) -> bool {
        match test {
            Test::Exists => {
                found.add_all(&self.present);
                found.remove_all(&self.odd);
                true
            }
            Test::Eq(wanted) => self.equal(&[wanted], found),
            Test::In { strings, others } => {
                if !self.equal(&others.iter().collect::<Vec<_>>(), found) {
                    return false;
                }
                if let Values::Keyword(words) = &self.values {
                    for rows in strings.iter().filter_map(|wanted| words.get(wanted)) {
                        rows.add_to(found);
                    }
                }
                true
            }
            Test::Order(order, bound) => self.in_order(*order, bound, found),
            Test::At(plain, moments) => match (&self.values, plain.as_ref()) {
                (Values::Datetime(column), Test::Order(order, _)) => match moments.first() {
                    Some(bound) => {
                        column.add_where(|at| at.cmp(bound), |o| order.holds(o), found);
                        true
                    }
                    None => false,
                },
                (Values::Datetime(column), plain) => {
                    let others = match plain {
                        Test::Eq(wanted) => std::slice::from_ref(wanted),
                        Test::In { others, .. } => others.as_slice(),
                        _ => return false,
                    };
                    if !self.can_equal(others) {
                        return false;
                    }
                    for wanted in moments {
                        column.add_where(|at| at.cmp(wanted), Ordering::is_eq, found);
                    }
                    if others.iter().any(Value::is_null) {
                        self.nulls.add_to(found);
                    }
                    true
                }
                _ => false,
            },
        }
    }

    /// Whether the column can tell which rows are equal to any of these: a list may be equal to a whole
    /// list, which is not in it.
    fn can_equal<'a>(&self, wanted: impl IntoIterator<Item = &'a Value>) -> bool {
        let exact = |value: &Value| match self.values {
            Values::Float(_) => is_exact(value),
            _ => true,
        };
        let mut wanted = wanted.into_iter();
        wanted.all(|value| !value.is_array() && exact(value))
    }

    fn equal(&self, wanted: &[&Value], found: &mut Bits) -> bool {
        if !self.can_equal(wanted.iter().copied()) {
            return false;
        }
        // Told by `Test::At`.
        if matches!(self.values, Values::Datetime(_)) {
            return false;
        }
        for value in wanted {
            match (&self.values, value) {
                (_, Value::Null) => self.nulls.add_to(found),
                (Values::Keyword(words), Value::String(word)) => {
                    if let Some(rows) = words.get(word) {
                        rows.add_to(found);
                    }
                }
                (Values::Bool(rows), Value::Bool(bit)) => rows[usize::from(*bit)].add_to(found),
                (Values::Integer(_) | Values::Float(_), Value::Number(_)) => {
                    self.number(value, Ordering::is_eq, found);
                }
                // Of another kind: no row.
                _ => {}
            }
        }
        true
    }

    fn in_order(&self, order: Order, bound: &Value, found: &mut Bits) -> bool {
        match (&self.values, bound) {
            (Values::Datetime(_), _) => false,
            (Values::Float(_), Value::Number(_)) if !is_exact(bound) => false,
            (Values::Integer(_) | Values::Float(_), Value::Number(_)) => {
                self.number(bound, |o| order.holds(o), found);
                true
            }
            (Values::Keyword(words), Value::String(bound)) => {
                let bound = bound.as_str();
                let range = match order {
                    Order::Greater => (Bound::Excluded(bound), Bound::Unbounded),
                    Order::GreaterOrEqual => (Bound::Included(bound), Bound::Unbounded),
                    Order::Less => (Bound::Unbounded, Bound::Excluded(bound)),
                    Order::LessOrEqual => (Bound::Unbounded, Bound::Included(bound)),
                };
                for (_, rows) in words.range::<str, _>(range) {
                    rows.add_to(found);
                }
                true
            }
            // Of another kind: no order, so no row.
            _ => true,
        }
    }

    fn number(&self, bound: &Value, holds: impl Fn(Ordering) -> bool, found: &mut Bits) {
        // Not comparable is impossible: both are numbers, and none is NaN.
        let against = |stored: Value| compare(&stored, bound).unwrap_or(Ordering::Less);
        match &self.values {
            Values::Integer(column) => {
                column.add_where(|number| against((*number).into()), holds, found);
            }
            Values::Float(column) => {
                column.add_where(|number| against((*number).into()), holds, found);
            }
            _ => {}
        }
    }
}

/// Calls `each` for every value that the path leads to, `true`, and then for each item of it that is a
/// list, `false`.
fn each_value(payload: &Map<String, Value>, path: &str, each: &mut dyn FnMut(&Value, bool)) {
    visit(payload, path, &mut |value| {
        each(value, true);
        if let Value::Array(items) = value {
            items.iter().for_each(|item| each(item, false));
        }
        false
    });
}

fn fits(kind: FieldKind, value: &Value) -> bool {
    if value.is_null() {
        return true;
    }
    match kind {
        FieldKind::Keyword => value.is_string(),
        FieldKind::Bool => value.is_boolean(),
        FieldKind::Integer => value.as_i64().is_some(),
        FieldKind::Float => value.is_number() && is_exact(value),
        FieldKind::Datetime => instant::read(value).is_some(),
    }
}

/// Whether a number is the same as an `f64`, so that it compares the same with every number as that.
fn is_exact(value: &Value) -> bool {
    match (whole(value), value.as_f64()) {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a whole number of 64 bits as f64 is within an i128"
        )]
        (Some(whole), Some(float)) => float as i128 == whole,
        _ => true,
    }
}

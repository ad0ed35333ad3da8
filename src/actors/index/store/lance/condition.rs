//! Filters as the engine is asked them, over the columns of [`layout`].

use std::sync::Arc;

use lancedb::arrow::arrow_array::BooleanArray;
use lancedb::arrow::arrow_array::builder::{Int64Builder, ListBuilder, StringBuilder};
use lancedb::arrow::arrow_array::cast::AsArray;
use lancedb::arrow::arrow_schema::{DataType, Schema};
use lancedb::datafusion::common::{Column, DataFusionError, ScalarValue};
use lancedb::datafusion::functions_nested::expr_fn::array_has_any;
use lancedb::datafusion::logical_expr::{
    ColumnarValue, Expr, Operator, Volatility, binary_expr, create_udf, lit,
};
use serde_json::Value;

use super::extremes::{Extreme, Side};
use super::{layout, terms};
use crate::engines::index::{Filter, Micros, Node, Order, Test};

/// Numbers farther from 0 are no moments.
const FARTHEST_MOMENT: i64 = 100_000_000_000;
/// From here on whole numbers are beyond an `i64`.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

/// The same condition over a table with these columns. What they do not tell is read in each payload.
pub(super) fn of(filter: &Filter, table: &Schema) -> Expr {
    Asked { table }.node(filter.root())
}

/// A column of ours.
pub(super) fn col(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

struct Asked<'a> {
    table: &'a Schema,
}

impl Asked<'_> {
    fn node(&self, node: &Node) -> Expr {
        let each = |nodes: &[Node]| nodes.iter().map(|node| self.node(node)).collect();
        match node {
            Node::All(nodes) => join(each(nodes), Operator::And),
            Node::Any(nodes) => join(each(nodes), Operator::Or),
            Node::Not(node) => Expr::Not(Box::new(self.node(node))),
            Node::Field { path, test } => self.test(path, test).unwrap_or_else(|| read(node)),
        }
    }

    /// `None`: the columns do not tell.
    fn test(&self, path: &str, test: &Test) -> Option<Expr> {
        match test {
            Test::Exists => Some(has_any(vec![terms::present(path)])),
            Test::Eq(wanted) => Some(has_any(terms::sought(path, wanted)?)),
            Test::In { strings, others } => {
                let mut all = Vec::with_capacity(strings.len() + others.len());
                for text in strings {
                    all.extend(terms::sought(path, &Value::from(text.as_str()))?);
                }
                for other in others {
                    all.extend(terms::sought(path, other)?);
                }
                all.sort_unstable();
                all.dedup();
                Some(has_any(all))
            }
            Test::Order(order, bound) => self.order(path, *order, bound),
            Test::At(plain, moments) => self.at(path, plain, moments),
        }
    }

    /// A field of moments: those by their time, the others as in any field.
    fn at(&self, path: &str, plain: &Test, moments: &[Micros]) -> Option<Expr> {
        let Some(first) = moments.first() else {
            return self.test(path, plain);
        };
        let Test::Order(order, bound) = plain else {
            let name = layout::moments(path);
            self.table.field_with_name(&name).ok()?;
            let mut wanted = ListBuilder::new(Int64Builder::new());
            wanted.values().append_slice(moments);
            wanted.append(true);
            let wanted = lit(ScalarValue::List(Arc::new(wanted.finish())));
            let at = array_has_any(col(&name), wanted);
            return Some(join(vec![self.test(path, plain)?, at], Operator::Or));
        };
        let mut any = vec![self.beyond(path, *order, Extreme::Moment, lit(*first))?];
        match bound {
            // The bound is a moment, so that a number that is none is far beyond it.
            Value::Number(_) => {
                let (order, bound) = match order {
                    Order::Greater | Order::GreaterOrEqual => (Order::Greater, FARTHEST_MOMENT),
                    Order::Less | Order::LessOrEqual => (Order::Less, -FARTHEST_MOMENT),
                };
                any.push(self.order(path, order, &Value::from(bound))?);
            }
            Value::String(text) => {
                any.push(self.beyond(path, *order, Extreme::Other, lit(text.as_str()))?);
            }
            _ => {}
        }
        Some(join(any, Operator::Or))
    }

    fn order(&self, path: &str, order: Order, bound: &Value) -> Option<Expr> {
        let number = match bound {
            Value::String(text) => {
                return self.beyond(path, order, Extreme::Text, lit(text.as_str()));
            }
            Value::Number(number) => number,
            _ => return Some(lit(false)),
        };
        let float = number.as_f64()?;
        let wholes = match number.as_i64() {
            // Beside what is no `i64` it is compared as a whole number too.
            _ if !number.is_f64() && float >= BEYOND => return None,
            Some(whole) => self.beyond(path, order, Extreme::Whole, lit(whole))?,
            None => self.wholes(path, order, float)?,
        };
        // Adding zero turns -0 into 0: the engine tells them apart.
        let others = self.beyond(path, order, Extreme::Number, lit(float + 0.0))?;
        Some(join(vec![wholes, others], Operator::Or))
    }

    /// Whole numbers against one that is not: as `f64`, which keeps their order, so that from some whole number on all
    /// are beyond it.
    fn wholes(&self, path: &str, order: Order, bound: f64) -> Option<Expr> {
        let (from, order) = match order {
            Order::GreaterOrEqual => (first(|at| at >= bound), Order::GreaterOrEqual),
            Order::Greater => (first(|at| at > bound), Order::GreaterOrEqual),
            Order::Less => (first(|at| at >= bound), Order::Less),
            Order::LessOrEqual => (first(|at| at > bound), Order::Less),
        };
        match (from, order) {
            (Some(from), order) => self.beyond(path, order, Extreme::Whole, lit(from)),
            // Every whole number is less.
            (None, Order::Less) => {
                self.beyond(path, Order::LessOrEqual, Extreme::Whole, lit(i64::MAX))
            }
            (None, _) => Some(lit(false)),
        }
    }

    /// One of a field's values is so ordered against `bound`: its extreme on that side is.
    fn beyond(
        &self,
        path: &str,
        order: Order,
        which: fn(Side) -> Extreme,
        bound: Expr,
    ) -> Option<Expr> {
        let (side, operator) = match order {
            Order::Greater => (Side::Most, Operator::Gt),
            Order::GreaterOrEqual => (Side::Most, Operator::GtEq),
            Order::Less => (Side::Least, Operator::Lt),
            Order::LessOrEqual => (Side::Least, Operator::LtEq),
        };
        let name = layout::column(path, which(side));
        self.table.field_with_name(&name).ok()?;
        // Nothing is in no order, and its opposite holds: not unknown, as SQL has it.
        let there = col(&name).is_not_null();
        let beyond = binary_expr(col(&name), operator, bound);
        Some(binary_expr(there, Operator::And, beyond))
    }
}

/// The condition read in each payload.
fn read(node: &Node) -> Expr {
    let node = node.clone();
    let matches = move |arguments: &[ColumnarValue]| {
        let payloads = ColumnarValue::values_to_arrays(arguments)?;
        let payloads = payloads
            .first()
            .and_then(|payloads| payloads.as_string_opt::<i32>());
        let Some(payloads) = payloads else {
            return Err(DataFusionError::Internal(
                "payloads are no strings".to_owned(),
            ));
        };
        let matching = payloads.iter().map(|payload| {
            let payload = serde_json::from_str(payload.unwrap_or("{}"));
            let payload = payload.map_err(|error| DataFusionError::External(Box::new(error)))?;
            Ok(Some(node.matches(&payload)))
        });
        let matching: BooleanArray = matching.collect::<Result<_, DataFusionError>>()?;
        Ok(ColumnarValue::Array(Arc::new(matching)))
    };
    let matches = create_udf(
        "payload_matches",
        vec![DataType::Utf8],
        DataType::Boolean,
        Volatility::Immutable,
        Arc::new(matches),
    );
    matches.call(vec![col(layout::PAYLOAD)])
}

/// One of these words is among the payload's.
fn has_any(wanted: Vec<String>) -> Expr {
    if wanted.is_empty() {
        return lit(false);
    }
    let mut list = ListBuilder::new(StringBuilder::new());
    for term in wanted {
        list.values().append_value(term);
    }
    list.append(true);
    let list = ScalarValue::List(Arc::new(list.finish()));
    array_has_any(col(layout::TERMS), lit(list))
}

/// Joins conditions in a tree that is no deeper than it must be: plans are walked by recursion.
pub(super) fn join(mut all: Vec<Expr>, by: Operator) -> Expr {
    while all.len() > 1 {
        let mut rest = all.into_iter();
        let mut paired = Vec::with_capacity(rest.len().div_ceil(2));
        while let Some(left) = rest.next() {
            paired.push(match rest.next() {
                Some(right) => binary_expr(left, by, right),
                None => left,
            });
        }
        all = paired;
    }
    all.pop().unwrap_or_else(|| lit(by == Operator::And))
}

/// The least whole number whose `f64` passes a test that all greater ones pass too.
#[expect(
    clippy::cast_possible_truncation,
    reason = "between two that are `i64`"
)]
fn first(passes: impl Fn(f64) -> bool) -> Option<i64> {
    if !passes(i64::MAX as f64) {
        return None;
    }
    let (mut fails, mut passing) = (i128::from(i64::MIN) - 1, i128::from(i64::MAX));
    while passing - fails > 1 {
        let middle = (passing + fails).div_euclid(2);
        match passes(middle as i64 as f64) {
            true => passing = middle,
            false => fails = middle,
        }
    }
    Some(passing as i64)
}

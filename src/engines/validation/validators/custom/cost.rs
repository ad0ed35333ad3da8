//! How much an expression can do at most, told before it runs.
//!
//! Only macros repeat anything in CEL (`all`, `exists`, `map`, `filter`), over lists whose lengths are known before, so
//! that a bound can be computed from the expression and the longest list and text of the payload. A loop over a part of
//! another loop's variable (`lines.all(line, line.tags.all(…))`) sees no more than there is in all lines together. Sizes
//! are bounds as well: `+` and `map` make larger values than they are given. Comparing two lists is counted as one step.

use std::collections::HashMap;

use cel::IdedExpr;
use cel::common::ast::{EntryExpr, Expr, operators};
use serde_json::Value;

/// Steps of one call that compiles a regular expression.
const REGEX_STEPS: f64 = 200.0;
/// Bytes that are copied in the time of a step.
const BYTES_A_STEP: f64 = 64.0;

/// How large a value, with all that is in it, can be.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Size {
    /// The longest list or object.
    items: f64,
    /// Bytes of the longest text, items of the longest list.
    weight: f64,
    /// Items of all lists and objects together; of JSON only.
    total: f64,
}

impl Size {
    /// The size of JSON.
    pub(super) fn of(value: &Value) -> Self {
        let mut size = Self::default();
        size.take(value);
        size
    }

    fn take(&mut self, value: &Value) {
        let (items, weight) = match value {
            Value::String(text) => (0, text.len()),
            Value::Array(list) => {
                list.iter().for_each(|item| self.take(item));
                (list.len(), list.len())
            }
            Value::Object(members) => {
                members.values().for_each(|member| self.take(member));
                (members.len(), members.len())
            }
            _ => (0, 0),
        };
        self.items = self.items.max(items as f64);
        self.weight = self.weight.max(weight as f64);
        self.total += items as f64;
    }

    fn or(self, other: Self) -> Self {
        Self {
            items: self.items.max(other.items),
            weight: self.weight.max(other.weight),
            total: 0.0,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            items: self.items + other.items,
            weight: self.weight + other.weight,
            total: 0.0,
        }
    }
}

/// How large the variables of an expression are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Given {
    pub(super) payload: Size,
    pub(super) context: Size,
    pub(super) value: Size,
}

/// The variable of a macro.
#[derive(Debug, Clone, Copy, Default)]
struct Bound {
    size: Size,
    /// Where it is a part of one of the given values.
    part: Option<Part>,
}

/// Which parts of a given value a variable stands for, one after the other.
#[derive(Debug, Clone, Copy)]
struct Part {
    /// How often all of the value can be gone through.
    passes: f64,
    /// How often the variable's loop goes round, all in all.
    rounds: f64,
    /// Items in all of the value.
    total: f64,
}

/// The most steps that `expression` takes when its variables are of these sizes.
pub(super) fn steps(expression: &IdedExpr, given: Given) -> f64 {
    let mut counter = Counter {
        given,
        bound: HashMap::new(),
        steps: 0.0,
    };
    counter.size(expression, 1.0);
    counter.steps
}

struct Counter {
    given: Given,
    /// The variables of macros.
    bound: HashMap<String, Bound>,
    steps: f64,
}

impl Counter {
    fn given(&self, name: &str) -> Size {
        match name {
            "payload" => self.given.payload,
            "context" => self.given.context,
            _ => self.given.value,
        }
    }

    /// Which parts a loop over `range` sees that is begun so many times, if it is a path from a variable.
    fn part(&self, range: &IdedExpr, times: f64) -> Option<Part> {
        let mut root = &range.expr;
        while let Expr::Select(select) = root {
            root = &select.operand.expr;
        }
        let Expr::Ident(name) = root else {
            return None;
        };
        let (passes, total) = match self.bound.get(name) {
            None => (times, self.given(name).total),
            Some(bound) => {
                let part = bound.part?;
                // Begun once in each round of the outer loop, and again for loops between.
                let again = if part.rounds > 0.0 {
                    times / part.rounds
                } else {
                    0.0
                };
                (again * part.passes, part.total)
            }
        };
        Some(Part {
            passes,
            rounds: 0.0,
            total,
        })
    }

    /// Counts the steps of an expression that runs so many times, and bounds what it gives.
    fn size(&mut self, expression: &IdedExpr, times: f64) -> Size {
        self.steps += times;
        match &expression.expr {
            Expr::Unspecified => Size::default(),
            Expr::Ident(name) => match self.bound.get(name) {
                Some(bound) => bound.size,
                None => self.given(name),
            },
            Expr::Literal(literal) => Size {
                weight: text_of(literal),
                ..Size::default()
            },
            Expr::Select(select) => self.size(&select.operand, times),
            Expr::List(list) => {
                let sizes = list.elements.iter().map(|one| self.size(one, times));
                together(sizes.collect())
            }
            Expr::Map(map) => {
                let mut sizes = Vec::new();
                for entry in &map.entries {
                    sizes.push(self.entry(&entry.expr, times));
                }
                together(sizes)
            }
            Expr::Struct(made) => {
                let mut sizes = Vec::new();
                for entry in &made.entries {
                    sizes.push(self.entry(&entry.expr, times));
                }
                together(sizes)
            }
            Expr::Call(call) => {
                let mut sizes: Vec<Size> = Vec::new();
                sizes.extend(call.target.as_ref().map(|target| self.size(target, times)));
                for argument in &call.args {
                    let size = self.size(argument, times);
                    sizes.push(size);
                }
                let sum = sizes.iter().copied().fold(Size::default(), Size::and);
                let name = call.func_name.as_str();
                if name == operators::ADD {
                    self.steps += times * sum.weight / BYTES_A_STEP;
                    return sum;
                }
                if name == "matches" {
                    self.steps += times * (REGEX_STEPS + sum.weight);
                } else if !name.starts_with(['_', '!', '-', '@']) {
                    // Functions look at all of what they are given.
                    self.steps += times * sum.weight / BYTES_A_STEP;
                }
                sizes.into_iter().fold(Size::default(), Size::or)
            }
            Expr::Comprehension(macro_of) => {
                let range = self.size(&macro_of.iter_range, times);
                let start = self.size(&macro_of.accu_init, times);
                let mut rounds = times * range.items;
                let mut part = self.part(&macro_of.iter_range, times);
                if let Some(part) = &mut part {
                    rounds = rounds.min(part.passes * part.total);
                    part.rounds = rounds;
                }
                let item = Bound { size: range, part };
                let mut names = vec![(macro_of.iter_var.clone(), item)];
                names.extend(macro_of.iter_var2.clone().map(|name| (name, item)));
                // Each round adds to what there is: what is there already is left out of its size.
                names.push((macro_of.accu_var.clone(), Bound::default()));
                let mut hidden = Vec::new();
                for (name, bound) in names {
                    let before = self.bound.insert(name.clone(), bound);
                    hidden.push((name, before));
                }
                self.size(&macro_of.loop_cond, rounds);
                let step = self.size(&macro_of.loop_step, rounds);
                let all = Size {
                    items: start.items.max(step.items).max(range.items),
                    weight: start.weight + range.items * step.weight.max(1.0),
                    total: 0.0,
                };
                let all = Bound {
                    size: all,
                    part: None,
                };
                self.bound.insert(macro_of.accu_var.clone(), all);
                let given = self.size(&macro_of.result, times);
                for (name, before) in hidden.into_iter().rev() {
                    match before {
                        Some(bound) => self.bound.insert(name, bound),
                        None => self.bound.remove(&name),
                    };
                }
                given
            }
        }
    }

    fn entry(&mut self, entry: &EntryExpr, times: f64) -> Size {
        match entry {
            EntryExpr::StructField(field) => self.size(&field.value, times),
            EntryExpr::MapEntry(entry) => {
                let key = self.size(&entry.key, times);
                key.and(self.size(&entry.value, times))
            }
        }
    }
}

/// A list or object of values of these sizes.
fn together(sizes: Vec<Size>) -> Size {
    let count = sizes.len() as f64;
    Size {
        items: sizes.iter().map(|size| size.items).fold(count, f64::max),
        weight: sizes.iter().map(|size| size.weight).sum::<f64>() + count,
        total: 0.0,
    }
}

fn text_of(literal: &cel::common::ast::LiteralValue) -> f64 {
    match literal {
        cel::common::ast::LiteralValue::String(text) => text.inner().len() as f64,
        cel::common::ast::LiteralValue::Bytes(bytes) => bytes.inner().len() as f64,
        _ => 0.0,
    }
}

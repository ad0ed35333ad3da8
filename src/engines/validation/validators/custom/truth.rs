//! Whether an expression can be true or false at all, told before it runs.

use cel::IdedExpr;
use cel::common::ast::{Expr, LiteralValue, operators};

use super::expression::parts;

/// Refuses an expression that gives something else than true or false whatever the payload is, and one whose `&&`, `||`,
/// `!` or condition is about something else.
pub(super) fn check(expression: &IdedExpr) -> Result<(), String> {
    if let Some(kind) = other_than_truth(expression) {
        return Err(format!("it gives {kind}, and must give true or false"));
    }
    conditions(expression)
}

fn conditions(expression: &IdedExpr) -> Result<(), String> {
    if let Expr::Call(call) = &expression.expr {
        let asked = match call.func_name.as_str() {
            operators::LOGICAL_AND | operators::LOGICAL_OR | operators::LOGICAL_NOT => {
                call.args.as_slice()
            }
            operators::CONDITIONAL => call.args.get(..1).unwrap_or_default(),
            _ => &[],
        };
        if let Some(kind) = asked.iter().find_map(other_than_truth) {
            let sign = call.func_name.trim_matches('_').replace("_:", "");
            return Err(format!(
                "{sign} is asked of {kind}, and takes true or false"
            ));
        }
    }
    parts(expression).into_iter().try_for_each(conditions)
}

/// What an expression gives, where that is certainly neither true nor false.
fn other_than_truth(expression: &IdedExpr) -> Option<&'static str> {
    match &expression.expr {
        Expr::Literal(literal) => match literal {
            LiteralValue::Boolean(_) => None,
            LiteralValue::String(_) => Some("a text"),
            LiteralValue::Bytes(_) => Some("bytes"),
            LiteralValue::Null => Some("null"),
            LiteralValue::Double(_) | LiteralValue::Int(_) | LiteralValue::UInt(_) => {
                Some("a number")
            }
        },
        Expr::List(_) => Some("a list"),
        Expr::Map(_) | Expr::Struct(_) => Some("a map"),
        Expr::Call(call) => match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::ADD, _) => Some("a sum"),
            (
                operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO
                | operators::NEGATE,
                _,
            ) => Some("a number"),
            ("size" | "int" | "uint" | "double" | "sum", _) => Some("a number"),
            ("string", _) => Some("a text"),
            ("bytes", _) => Some("bytes"),
            ("type", _) => Some("a type"),
            ("dyn", [inner]) => other_than_truth(inner),
            (operators::CONDITIONAL, [_, one, other]) => {
                other_than_truth(other).and_then(|_| other_than_truth(one))
            }
            _ => None,
        },
        // `map` and `filter` gather a list, `all` and `exists` a truth value.
        Expr::Comprehension(inner) => match &inner.result.expr {
            Expr::Ident(name) if *name == inner.accu_var => other_than_truth(&inner.accu_init),
            _ => other_than_truth(&inner.result),
        },
        Expr::Unspecified | Expr::Ident(_) | Expr::Select(_) => None,
    }
}

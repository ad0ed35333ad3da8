//! Predicates written in CEL, the Common Expression Language.

use std::sync::{Arc, LazyLock, OnceLock};

use cel::common::ast::{EntryExpr, Expr};
use cel::{Context, Env, ExecutionError, IdedExpr, Program};
use serde_json::Value;

use super::cost::{self, Given, Size};
use super::truth;
use crate::engines::nearest::nearest;
use crate::engines::validation::shown::quoted;

/// Longest expression, bytes.
const MAX_LENGTH: usize = 2_000;
/// Deepest brackets: the parser takes its stack by them.
const MAX_BRACKETS: usize = 12;
/// Deepest expression: so does the interpreter, a few tens of kilobytes a level where nothing is optimised.
const MAX_DEPTH: usize = 24;
/// Stack of the thread that parses, bytes.
const STACK: usize = 32 * 1024 * 1024;

const VARIABLES: [&str; 3] = ["payload", "context", "value"];
/// Those of CEL, without its times and durations, and ours.
const FUNCTIONS: [&str; 15] = [
    "size",
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "int",
    "uint",
    "double",
    "string",
    "bytes",
    "bool",
    "type",
    "dyn",
    "sum",
    "close",
];

/// The standard functions and macros; costly to build.
static ENV: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

/// A compiled expression.
pub(super) struct Expression(Program);

impl Expression {
    /// Compiles an expression over `payload`, `context` and `value`.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        if text.len() > MAX_LENGTH {
            let length = text.len();
            return Err(format!("{length} bytes: use at most {MAX_LENGTH}"));
        }
        if brackets(text) > MAX_BRACKETS {
            return Err(format!(
                "brackets are nested more than {MAX_BRACKETS} times: split the rule"
            ));
        }
        let program = parse(text)?;
        let depth = depth(program.expression());
        if depth > MAX_DEPTH {
            return Err(format!(
                "{depth} levels of operators: use at most {MAX_DEPTH}, or split the rule"
            ));
        }
        check_names(program.expression(), &mut Vec::new())?;
        truth::check(program.expression())?;
        Ok(Self(program))
    }

    /// What is wrong when it does not hold for `value`. `spent` are the steps of the values before.
    pub(super) fn wrong(
        &self,
        inputs: &Inputs<'_>,
        value: &Value,
        spent: &mut f64,
    ) -> Option<String> {
        *spent += cost::steps(self.0.expression(), inputs.given(value));
        if *spent > inputs.max_steps as f64 {
            return Some(format!(
                "cannot be checked: the expression may take {spent:.0} steps with a payload of this size, the limit is {}",
                inputs.max_steps
            ));
        }
        let mut context = inputs.context().new_inner_scope();
        context.add_variable_from_value("value", cel_of(value));
        match self.0.execute(&context) {
            Ok(cel::Value::Bool(true)) => None,
            Ok(cel::Value::Bool(false)) => Some("does not hold".to_owned()),
            Ok(other) => {
                let kind = kind_of(&other);
                Some(format!(
                    "cannot be checked: the expression gives {kind}, must give true or false"
                ))
            }
            Err(error) => Some(format!("cannot be checked: {}", said(&error))),
        }
    }
}

/// What expressions see, made when the first one asks.
pub(super) struct Inputs<'v> {
    payload: &'v Value,
    known: &'v Value,
    pub(super) max_steps: u64,
    sizes: OnceLock<(Size, Size)>,
    context: OnceLock<Context<'static, 'static>>,
}

impl<'v> Inputs<'v> {
    pub(super) fn new(payload: &'v Value, known: &'v Value, max_steps: u64) -> Self {
        Self {
            payload,
            known,
            max_steps,
            sizes: OnceLock::new(),
            context: OnceLock::new(),
        }
    }

    fn given(&self, value: &Value) -> Given {
        let sizes = || (Size::of(self.payload), Size::of(self.known));
        let (payload, context) = *self.sizes.get_or_init(sizes);
        let value = match std::ptr::eq(value, self.payload) {
            true => payload,
            false => Size::of(value),
        };
        Given {
            payload,
            context,
            value,
        }
    }

    fn context(&self) -> &Context<'static, 'static> {
        self.context.get_or_init(|| {
            let mut context = Context::with_env(Arc::clone(&ENV));
            context.add_variable_from_value("payload", cel_of(self.payload));
            context.add_variable_from_value("context", cel_of(self.known));
            // Names that the standard has not.
            let _ = context.add_function("sum", sum);
            let _ = context.add_function("close", close);
            context
        })
    }
}

/// `sum(list)`: the numbers of a list, as a double.
fn sum(list: cel::Value) -> Result<f64, ExecutionError> {
    let cel::Value::List(list) = list else {
        return Err(ExecutionError::function_error("sum", "takes a list"));
    };
    list.iter()
        .try_fold(0.0, |sum, one| Ok(sum + number("sum", one)?))
}

/// `close(a, b, tolerance)`: whether two numbers differ by no more than the tolerance.
fn close(one: cel::Value, other: cel::Value, most: cel::Value) -> Result<bool, ExecutionError> {
    let number = |value: &cel::Value| number("close", value);
    // A hair more, since 0.3 - 0.2 is over 0.1 in doubles.
    Ok((number(&one)? - number(&other)?).abs() <= number(&most)? + 1e-9)
}

fn number(function: &str, value: &cel::Value) -> Result<f64, ExecutionError> {
    match value {
        cel::Value::Int(number) => Ok(*number as f64),
        cel::Value::UInt(number) => Ok(*number as f64),
        cel::Value::Float(number) => Ok(*number),
        _ => Err(ExecutionError::function_error(function, "takes numbers")),
    }
}

/// JSON as CEL has it: whole numbers are int, others double.
fn cel_of(value: &Value) -> cel::Value {
    match value {
        Value::Null => cel::Value::Null,
        Value::Bool(whether) => cel::Value::Bool(*whether),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => cel::Value::Int(number),
            (None, Some(number)) => cel::Value::UInt(number),
            _ => cel::Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => cel::Value::from(text.as_str()),
        Value::Array(items) => cel::Value::List(Arc::new(items.iter().map(cel_of).collect())),
        Value::Object(members) => {
            let members = members.iter();
            let members = members.map(|(name, member)| (name.clone(), cel_of(member)));
            members.collect::<std::collections::HashMap<_, _>>().into()
        }
    }
}

/// The type of a value, in the words of CEL.
fn kind_of(value: &cel::Value) -> String {
    match value {
        cel::Value::Float(_) => "double".to_owned(),
        other => other.type_of().to_string(),
    }
}

/// An error in words that repeat no value: that may be somebody's, or very large.
fn said(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(name) => {
            let name = quoted(name);
            format!("there is no {name}; ask has(…) first, or in")
        }
        ExecutionError::UndeclaredReference(name) => format!("unknown function {name}"),
        ExecutionError::NoSuchOverload(overload) => {
            format!("{overload}; int(), double() and string() convert")
        }
        ExecutionError::FunctionError { function, message } => {
            // It may repeat a value.
            format!("{function}: {}", quoted(message))
        }
        ExecutionError::UnsupportedBinaryOperator(operator, one, other) => {
            let (one, other) = (kind_of(one), kind_of(other));
            format!("{operator} of {one} and {other}; int(), double() and string() convert")
        }
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => {
            "a division by zero".to_owned()
        }
        ExecutionError::Overflow(..) => "a number too large".to_owned(),
        ExecutionError::IndexOutOfBounds(_) => "an index beyond the end of a list".to_owned(),
        _ => "values of these types cannot be used so".to_owned(),
    }
}

/// Parses on a thread of its own: the parser takes more stack than the threads of a server have, and may panic.
fn parse(text: &str) -> Result<Program, String> {
    std::thread::scope(|scope| {
        let parser = std::thread::Builder::new().stack_size(STACK);
        let parsing = parser.spawn_scoped(scope, || Program::compile(text));
        let parsed = parsing.map_err(|error| format!("no thread to parse with: {error}"))?;
        match parsed.join() {
            Ok(Ok(program)) => Ok(program),
            Ok(Err(errors)) => {
                let said = errors.to_string();
                Err(said.chars().take(500).collect())
            }
            Err(_) => Err("the parser gave up on it".to_owned()),
        }
    })
}

/// How deep brackets are nested, those in texts included.
fn brackets(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest
}

fn depth(expression: &IdedExpr) -> usize {
    1 + parts(expression).into_iter().map(depth).max().unwrap_or(0)
}

/// Refuses names that nothing here has.
fn check_names(expression: &IdedExpr, bound: &mut Vec<String>) -> Result<(), String> {
    match &expression.expr {
        Expr::Ident(name) if !VARIABLES.contains(&name.as_str()) && !bound.contains(name) => Err(
            format!("unknown variable {name}: there are payload, context and value"),
        ),
        Expr::Call(call) if call.func_name.starts_with(char::is_alphabetic) => {
            let name = call.func_name.as_str();
            if FUNCTIONS.contains(&name) {
                return Ok(());
            }
            Err(match nearest(name, FUNCTIONS.iter().copied()) {
                Some(meant) => format!("unknown function {name}; did you mean {meant}?"),
                None => format!(
                    "unknown function {name}: there are {}",
                    FUNCTIONS.join(", ")
                ),
            })
        }
        _ => Ok(()),
    }?;
    let before = bound.len();
    if let Expr::Comprehension(inner) = &expression.expr {
        bound.extend([inner.iter_var.clone(), inner.accu_var.clone()]);
        bound.extend(inner.iter_var2.clone());
    }
    let checked = parts(expression)
        .into_iter()
        .try_for_each(|part| check_names(part, bound));
    bound.truncate(before);
    checked
}

/// The expressions that one is made of.
pub(super) fn parts(expression: &IdedExpr) -> Vec<&IdedExpr> {
    match &expression.expr {
        Expr::Unspecified | Expr::Ident(_) | Expr::Literal(_) => Vec::new(),
        Expr::Select(select) => vec![&select.operand],
        Expr::List(list) => list.elements.iter().collect(),
        Expr::Call(call) => call
            .target
            .as_deref()
            .into_iter()
            .chain(&call.args)
            .collect(),
        Expr::Comprehension(inner) => vec![
            &inner.iter_range,
            &inner.accu_init,
            &inner.loop_cond,
            &inner.loop_step,
            &inner.result,
        ],
        Expr::Map(map) => map
            .entries
            .iter()
            .flat_map(|one| entry_parts(&one.expr))
            .collect(),
        Expr::Struct(made) => made
            .entries
            .iter()
            .flat_map(|one| entry_parts(&one.expr))
            .collect(),
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&IdedExpr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value],
        EntryExpr::MapEntry(entry) => vec![&entry.key, &entry.value],
    }
}

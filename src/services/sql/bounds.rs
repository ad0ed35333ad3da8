//! What a statement may be, found before it is planned: it reads, and it is not so deep that walking it takes minutes or the
//! whole stack. DataFusion's own limit is about parentheses; chains of operators are as deep as they are long.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Select, TableFactor, Visit as _, Visitor};

/// Operators in each other at most.
const DEEPEST: usize = 500;
/// SELECTs of a statement at most, and tables, each named once or more.
const WIDEST: usize = 250;
/// Steps into lists and structs at most: `a[1]['b']` has two.
const STEPS: usize = 50;

/// Whether a statement may be planned.
///
/// Errors: what it is more than that, in words.
pub(super) fn check(statement: &Statement) -> Result<(), String> {
    let inner = match statement {
        Statement::Statement(statement) => statement,
        Statement::Explain(explained) => return check(&explained.statement),
        Statement::CreateExternalTable(_) => return Err(only_reads("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => return Err(only_reads("COPY")),
        Statement::Reset(_) => return Err(only_reads("RESET")),
    };
    match inner.visit(&mut Walk::default()) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(message) => Err(message),
    }
}

/// What is said of a statement that does more than to read.
pub(super) fn only_reads(what: &str) -> String {
    format!(
        "only statements that read are run, such as SELECT, SHOW TABLES, DESCRIBE and EXPLAIN; {what} is none"
    )
}

#[derive(Default)]
struct Walk {
    depth: usize,
    selects: usize,
    tables: usize,
}

impl Walk {
    fn wide(count: &mut usize, what: &str) -> ControlFlow<String> {
        *count += 1;
        match *count > WIDEST {
            true => ControlFlow::Break(format!("a statement has at most {WIDEST} {what}")),
            false => ControlFlow::Continue(()),
        }
    }
}

impl Visitor for Walk {
    type Break = String;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return ControlFlow::Break(format!(
                "a statement has at most {DEEPEST} operators in each other; a chain of OR may be an IN"
            ));
        }
        let steps = match expr {
            Expr::CompoundFieldAccess { access_chain, .. } => access_chain.len(),
            Expr::CompoundIdentifier(names) => names.len(),
            _ => 0,
        };
        match steps > STEPS {
            true => {
                ControlFlow::Break(format!("at most {STEPS} steps lead into lists and structs"))
            }
            false => ControlFlow::Continue(()),
        }
    }

    fn post_visit_expr(&mut self, _: &Expr) -> ControlFlow<String> {
        self.depth -= 1;
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, _: &Select) -> ControlFlow<String> {
        Self::wide(&mut self.selects, "SELECTs")
    }

    fn pre_visit_table_factor(&mut self, _: &TableFactor) -> ControlFlow<String> {
        Self::wide(&mut self.tables, "tables")
    }
}

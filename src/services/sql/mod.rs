//! Statements of SQL over what was materialized and exported, by DataFusion. They read, and nothing else.
//!
//! No cell and no lock: tasks and exports are whole folders that are replaced, never changed. A statement works on threads
//! of its own, so that whoever waits for it can stop waiting, and sees each file as it was when it was opened.

mod bounds;
mod files;
mod paths;
mod rows;
mod tables;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::catalog::{CatalogProvider as _, MemoryCatalogProvider};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::prelude::{DataFrame, SQLOptions, SessionConfig, SessionContext};
use datafusion::sql::sqlparser::parser::ParserError;
use futures_util::StreamExt as _;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::ServiceError;
use crate::types::error_kind::ErrorKind;
use files::OpenFiles;
use tables::Tables;

/// Bytes of a statement at most: what is nested in it is walked on the stack.
const LONGEST: usize = 32 << 10;
/// Bytes of stack of each thread. They are only taken when they are used.
const STACK: usize = 64 << 20;
/// Rows that are worked on together: texts are long, and each thread has such a batch in hand.
const BATCH: usize = 1024;
const CATALOG: &str = "boathouse";
const SCHEMA: &str = "public";

/// A statement, and what it may take.
#[derive(Debug, Clone)]
pub struct SqlInput {
    /// One statement of SQL.
    pub statement: String,
    /// Bytes of memory that sorting, joining and grouping may take together.
    pub memory_bytes: usize,
}

/// A column of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SqlColumn {
    /// Its name; no two have the same.
    pub name: String,
    /// Whether it holds numbers.
    pub number: bool,
}

/// The answer, as it comes.
#[derive(Debug)]
pub struct SqlRows {
    /// Its columns.
    pub columns: Vec<SqlColumn>,
    parts: mpsc::Receiver<Part>,
}

type Row = Vec<Value>;

#[derive(Debug)]
enum Part {
    Rows(Vec<Row>),
    Failed(ServiceError),
    End,
}

impl SqlRows {
    /// The next rows, a value for each column; `None` at the end. Dropped before, it ends the statement.
    ///
    /// Errors: a file cannot be read; the statement takes more memory than it may, or fails on a value.
    pub async fn next(&mut self) -> Result<Option<Vec<Row>>, ServiceError> {
        match self.parts.recv().await {
            Some(Part::Rows(rows)) => Ok(Some(rows)),
            Some(Part::Failed(error)) => Err(error),
            Some(Part::End) => Ok(None),
            None => Err(broken()),
        }
    }
}

/// The tables, one a row, with their columns.
pub const LIST: &str = "SELECT table_name AS \"table\", string_agg(column_name, ', ' ORDER BY ordinal_position) AS \"columns\" \
                        FROM information_schema.columns WHERE table_schema = 'public' GROUP BY table_name ORDER BY table_name";

/// Runs a statement over the data folder `data`.
///
/// Errors: it is none, does more than to read, or names what there is not.
pub async fn query(data: &Path, input: SqlInput) -> Result<SqlRows, ServiceError> {
    if input.statement.len() > LONGEST {
        return Err(ServiceError::bad_request(format!(
            "a statement has at most {LONGEST} bytes, this one has {}",
            input.statement.len()
        )));
    }
    let data = data.to_owned();
    let (begun, begin) = oneshot::channel();
    let (send, parts) = mpsc::channel(1);
    std::thread::Builder::new()
        .name("sql".to_owned())
        .stack_size(STACK)
        .spawn(move || run(data, &input, begun, &send))
        .map_err(|error| ServiceError::new(ErrorKind::Unavailable, error.to_string()))?;
    let columns = begin.await.map_err(|_| broken())??;
    Ok(SqlRows { columns, parts })
}

fn broken() -> ServiceError {
    let message = "the statement broke off; stderr says where";
    ServiceError::new(ErrorKind::Internal, message)
}

/// The statement's first thread, from its beginning to its end.
fn run(
    data: PathBuf,
    input: &SqlInput,
    begun: oneshot::Sender<Result<Vec<SqlColumn>, ServiceError>>,
    send: &mpsc::Sender<Part>,
) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .thread_name("sql")
        .thread_stack_size(STACK)
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = ServiceError::new(ErrorKind::Unavailable, error.to_string());
            drop(begun.send(Err(error)));
            return;
        }
    };
    runtime.block_on(async {
        match start(data, input).await {
            Err(error) => drop(begun.send(Err(error))),
            // Nobody waits any more where it cannot be sent.
            Ok(stream) => {
                if begun.send(Ok(rows::columns(&stream.schema()))).is_ok() {
                    pass_on(stream, input, send).await;
                }
            }
        }
    });
    // Not waiting for threads that read a file: they end when they want to hand on what they read.
    runtime.shutdown_background();
}

async fn start(data: PathBuf, input: &SqlInput) -> Result<SendableRecordBatchStream, ServiceError> {
    let failed = |error: DataFusionError| told(&error, input);
    let files = Arc::new(OpenFiles::default());
    let tables = Tables::new(
        data,
        Arc::clone(&files),
        state(&files, input).map_err(failed)?,
    );
    let tables = Arc::new(tables);
    let context = SessionContext::new_with_state(state(&files, input).map_err(failed)?);
    let catalog = Arc::new(MemoryCatalogProvider::new());
    let schema = Arc::clone(&tables);
    catalog.register_schema(SCHEMA, schema).map_err(failed)?;
    context.register_catalog(CATALOG, catalog);
    let asked = plan(&context, &input.statement).await;
    let asked = asked.map_err(|error| match tables.unknown(error.message().as_ref()) {
        Some(message) => ServiceError::not_found(message),
        None => failed(error),
    })?;
    asked.execute_stream().await.map_err(failed)
}

async fn plan(context: &SessionContext, statement: &str) -> Result<DataFrame, DataFusionError> {
    let state = context.state();
    let dialect = state.config_options().sql_parser.dialect;
    let parsed = state.sql_to_statement(statement, &dialect)?;
    bounds::check(&parsed).map_err(DataFusionError::Plan)?;
    let plan = state.statement_to_plan(parsed).await?;
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(&plan)?;
    context.execute_logical_plan(plan).await
}

/// What statements are planned and run with: no file but those of `files`, no temporary ones, and bounded memory.
fn state(files: &Arc<OpenFiles>, input: &SqlInput) -> Result<SessionState, DataFusionError> {
    let disk = DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled);
    let runtime = RuntimeEnvBuilder::new()
        .with_disk_manager_builder(disk)
        .with_memory_pool(Arc::new(GreedyMemoryPool::new(input.memory_bytes)))
        .build_arc()?;
    // DataFusion's own way to any file of this machine.
    runtime.deregister_object_store(ObjectStoreUrl::local_filesystem().as_ref())?;
    let own = ObjectStoreUrl::parse(files::URL)?;
    let store = Arc::clone(files);
    runtime.register_object_store(own.as_ref(), store);
    let mut config = SessionConfig::new()
        .with_batch_size(BATCH)
        .with_information_schema(true)
        .with_create_default_catalog_and_schema(false)
        .with_default_catalog_and_schema(CATALOG, SCHEMA);
    config
        .options_mut()
        .execution
        .parquet
        .schema_force_view_types = false;
    Ok(SessionStateBuilder::new()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_default_features()
        .build())
}

async fn pass_on(
    mut stream: SendableRecordBatchStream,
    input: &SqlInput,
    send: &mpsc::Sender<Part>,
) {
    while let Some(batch) = stream.next().await {
        let part = match batch.and_then(|batch| rows::of(&batch)) {
            Ok(rows) if rows.is_empty() => continue,
            Ok(rows) => Part::Rows(rows),
            Err(error) => Part::Failed(told(&error, input)),
        };
        let last = matches!(part, Part::Failed(_));
        if send.send(part).await.is_err() || last {
            return;
        }
    }
    // Whoever has gone away needs no end.
    drop(send.send(Part::End).await);
}

/// The error in words of the statement, not of DataFusion's insides.
fn told(error: &DataFusionError, input: &SqlInput) -> ServiceError {
    let root = error.find_root();
    if let DataFusionError::ResourcesExhausted(_) = root {
        let mebibytes = input.memory_bytes >> 20;
        return ServiceError::new(
            ErrorKind::TooLarge,
            format!("the statement takes more than the {mebibytes} MiB of memory that it may"),
        );
    }
    let message = match root {
        DataFusionError::SQL(error, _) => match &**error {
            ParserError::ParserError(message) | ParserError::TokenizerError(message) => {
                message.clone()
            }
            ParserError::RecursionLimitExceeded => "it is nested too deeply".to_owned(),
        },
        root => root.message().into_owned(),
    };
    for refused in [
        "DDL not supported: ",
        "DML not supported: ",
        "Statement not supported: ",
    ] {
        if let Some(what) = message.strip_prefix(refused) {
            return ServiceError::bad_request(bounds::only_reads(what));
        }
    }
    ServiceError::bad_request(message)
}

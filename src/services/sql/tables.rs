//! What statements can name: `tasks`, each export by its name, and files by their paths. A table is opened when it is named.

use std::fs;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::common::Column;
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::json::JsonFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::{
    ListingOptions, ListingTable, ListingTableConfig, ListingTableUrl,
};
use datafusion::datasource::{TableType, ViewTable, provider_as_source};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, lit};
use futures_util::FutureExt as _;
use serde_json::Value;

use super::files::{self, OpenFile, OpenFiles};
use super::paths;
use crate::engines::dataset::FORMAT_VERSION;
use crate::storage::dataset_store::{DatasetStore, task_files};

/// The table of the materialized tasks; an export of this name is reached by its path.
const TASKS: &str = "tasks";
/// The column that says which side of an export a row is on.
const SIDE: &str = "split";
const RECEIPT: &str = "receipt.json";
/// The column of a task's day, by which tasks are in folders.
const DATE: &str = "date";
/// How often a folder is opened that is replaced at the same time.
const TRIES: usize = 10;

/// The tables of a data folder.
#[derive(Debug)]
pub(super) struct Tables {
    data: PathBuf,
    store: DatasetStore,
    files: Arc<OpenFiles>,
    state: SessionState,
    /// Names that were asked for, and are none.
    unknown: Mutex<Vec<String>>,
}

impl Tables {
    /// The tables of `data`, whose files are read through `files`.
    pub(super) fn new(data: PathBuf, files: Arc<OpenFiles>, state: SessionState) -> Self {
        Self {
            store: DatasetStore::new(&data.join("datasets")),
            data,
            files,
            state,
            unknown: Mutex::new(Vec::new()),
        }
    }

    /// What to say where a table was named that there is not; `None` when `error` is about something else.
    pub(super) fn unknown(&self, error: &str) -> Option<String> {
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        let named = |name: &&String| error.contains(&format!(".{name}' not found"));
        let name = unknown.iter().find(named)?;
        let tables = self.table_names();
        if tables.is_empty() {
            let folder = self.data.display();
            return Some(format!(
                "there is no table {name}, and no other: nothing was materialized or exported in {folder} yet; run `boathouse materialize`, then `boathouse \
                 export sft`"
            ));
        }
        let likeness = |table: &&String| strsim::jaro_winkler(table, name);
        let meant = tables
            .iter()
            .max_by(|one, other| likeness(one).total_cmp(&likeness(other)))
            .filter(|table| likeness(table) > 0.8)
            .map(|table| format!("; did you mean {table}?"));
        let known: Vec<&str> = tables.iter().map(|name| name.as_str()).collect();
        Some(format!(
            "there is no table {name}: there are {}{}",
            known.join(", "),
            meant.unwrap_or_default()
        ))
    }

    /// The export that is meant by a name: its own, or with `_` for `-` and any case.
    fn export(&self, name: &str) -> Option<PathBuf> {
        let exports = self.store.exports().unwrap_or_default();
        let bare = |name: &str| name.replace('-', "_").to_lowercase();
        let mut alike = exports.iter().filter(|export| bare(export) == bare(name));
        let found = match exports.iter().find(|export| *export == name) {
            Some(export) => Some(export),
            // Where two are meant, none is.
            None => alike.next().filter(|_| alike.next().is_none()),
        };
        self.store.export(found?).ok()
    }

    /// The tasks of all days.
    async fn tasks(&self) -> Result<Arc<dyn TableProvider>> {
        let tasks = self.store.tasks();
        let told = fs::read(tasks.join(RECEIPT)).ok();
        let told = told.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
        if told.is_none_or(|told| told["format"] != FORMAT_VERSION) {
            let message = "the tasks were made by another version: run `boathouse materialize`";
            return Err(DataFusionError::Plan(message.to_owned()));
        }
        let days = || {
            let days = task_files(&tasks).unwrap_or_default();
            let days = days.iter().filter_map(|day| day.strip_suffix(".jsonl"));
            days.map(|day| format!("{day}.parquet")).collect::<Vec<_>>()
        };
        if days().first().is_some_and(|day| !tasks.join(day).exists()) {
            let message = "the tasks were materialized without Parquet: set dataset.parquet = true and run `boathouse materialize`";
            return Err(DataFusionError::Plan(message.to_owned()));
        }
        let days = self.open("tasks", days)?;
        let Some(day) = days.first() else {
            let message = "there are no tasks: nothing in the journal was an answered chat completion when `boathouse materialize` ran";
            return Err(DataFusionError::Plan(message.to_owned()));
        };
        // All days have the columns of the first: materialize writes all of them anew where another version made them.
        let options = self.options(Arc::new(self.parquet()));
        let schema = self.columns(&options, day).await?;
        let options = options
            .with_table_partition_cols(vec![(DATE.to_owned(), DataType::Date32)])
            // Other files of the folder may be open too, by their paths.
            .with_file_extension("/tasks.parquet");
        let folder = ListingTableUrl::parse(format!("{}/datasets/tasks/", files::URL))?;
        let config = ListingTableConfig::new(folder)
            .with_listing_options(options)
            .with_schema(schema);
        Ok(Arc::new(ListingTable::try_new(config)?))
    }

    /// Both sides of an export; `None` where it has no rows of Parquet.
    async fn sides(&self, folder: &Path) -> Result<Option<Arc<dyn TableProvider>>> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let paths = self.open(&format!("exports/{name}"), || {
            let sides = ["train", "test"].map(|side| format!("parquet/{side}.parquet"));
            let sides = sides.into_iter();
            sides.filter(|path| folder.join(path).exists()).collect()
        })?;
        let mut whole: Option<LogicalPlanBuilder> = None;
        for path in paths {
            let side = Path::new(&path).file_stem().unwrap_or_default();
            let side = [lit(side.to_string_lossy().into_owned()).alias(SIDE)];
            let table = self.of_files(std::slice::from_ref(&path)).await?;
            let columns = table.schema();
            let columns = columns.fields().iter();
            let columns = columns.map(|field| Expr::Column(Column::from_name(field.name())));
            let columns = columns.collect::<Vec<_>>();
            let rows = LogicalPlanBuilder::scan("rows", provider_as_source(table), None)?
                .project(side.into_iter().chain(columns))?;
            whole = Some(match whole {
                Some(before) => before.union(rows.build()?)?,
                None => rows,
            });
        }
        let Some(whole) = whole else { return Ok(None) };
        let view = ViewTable::new(whole.build()?, None);
        Ok(Some(Arc::new(view)))
    }

    /// Opens files of a folder of datasets, all of one and the same making; returns their paths.
    fn open(&self, folder: &str, list: impl Fn() -> Vec<String>) -> Result<Vec<String>> {
        let folder = format!("datasets/{folder}");
        let receipt = || fs::read(self.data.join(&folder).join(RECEIPT)).ok();
        let mut failed = None;
        for _ in 0..TRIES {
            let before = receipt();
            let paths: Vec<String> = list()
                .iter()
                .map(|path| format!("{folder}/{path}"))
                .collect();
            let open = |path: &String| {
                OpenFile::open(&self.data, path).map_err(|error| unread(path, &error))
            };
            let opened: Result<Vec<OpenFile>> = paths.iter().map(open).collect();
            match opened {
                Ok(opened) if receipt() == before => {
                    for (path, file) in paths.iter().zip(opened) {
                        self.files.admit(path, file);
                    }
                    return Ok(paths);
                }
                opened => failed = opened.err(),
            }
        }
        let busy = || DataFusionError::Plan(format!("{folder} is being replaced: run it again"));
        Err(failed.unwrap_or_else(busy))
    }

    /// A table of the files that a path means.
    async fn of_path(&self, pattern: &str) -> Result<Arc<dyn TableProvider>> {
        let paths = paths::find(&self.data, pattern).map_err(DataFusionError::Plan)?;
        for path in &paths {
            if !self.files.has(path) {
                let file = OpenFile::open(&self.data, path);
                let file = file.map_err(|error| unread(path, &error))?;
                self.files.admit(path, file);
            }
        }
        self.of_files(&paths).await
    }

    /// A table of open files: all of Parquet, or all of lines.
    async fn of_files(&self, paths: &[String]) -> Result<Arc<dyn TableProvider>> {
        let every = |ending: &str| paths.iter().all(|path| path.ends_with(ending));
        let format: Arc<dyn FileFormat> = if every(".parquet") {
            Arc::new(self.parquet())
        } else if every(".jsonl") {
            Arc::new(JsonFormat::default())
        } else {
            let message = "a path names files of .parquet, or files of .jsonl";
            return Err(DataFusionError::Plan(message.to_owned()));
        };
        let options = self.options(format);
        let mut urls = Vec::new();
        let mut schemas = Vec::new();
        for path in paths {
            schemas.push(Schema::clone(&*self.columns(&options, path).await?));
            urls.push(url(path)?);
        }
        let schema = Schema::try_merge(schemas)?;
        let config = ListingTableConfig::new_with_multi_paths(urls)
            .with_listing_options(options)
            .with_schema(Arc::new(schema));
        Ok(Arc::new(ListingTable::try_new(config)?))
    }

    fn parquet(&self) -> ParquetFormat {
        ParquetFormat::new().with_options(self.state.default_table_options().parquet)
    }

    fn options(&self, format: Arc<dyn FileFormat>) -> ListingOptions {
        ListingOptions::new(format)
            .with_session_config_options(self.state.config())
            .with_file_extension("")
    }

    async fn columns(&self, options: &ListingOptions, path: &str) -> Result<SchemaRef> {
        let url = url(path)?;
        // The reader of Parquet panics on some files that are none.
        let schema = AssertUnwindSafe(options.infer_schema(&self.state, &url));
        match schema.catch_unwind().await {
            Ok(schema) => schema.map_err(|error| unread(path, &error.find_root().message())),
            Err(_) => Err(unread(path, &"it is damaged")),
        }
    }
}

fn url(path: &str) -> Result<ListingTableUrl> {
    ListingTableUrl::parse(format!("{}/{path}", files::URL))
}

fn unread(path: &str, error: &impl std::fmt::Display) -> DataFusionError {
    DataFusionError::Plan(format!("{path} cannot be read: {error}"))
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        let mut names = self.store.exports().unwrap_or_default();
        names.retain(|name| name != TASKS);
        if self.store.tasks().join(RECEIPT).is_file() {
            names.insert(0, TASKS.to_owned());
        }
        names
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        if paths::is_path(name) {
            return self.of_path(name).await.map(Some);
        }
        let table: Option<Arc<dyn TableProvider>> = match name {
            TASKS if self.table_exist(name) => Some(self.tasks().await?),
            TASKS => None,
            name => match self.export(name) {
                Some(folder) => self.sides(&folder).await?,
                None => None,
            },
        };
        if table.is_none() {
            let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
            unknown.push(name.to_owned());
        }
        Ok(table)
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>> {
        Ok(self.table_exist(name).then_some(TableType::Base))
    }

    fn table_exist(&self, name: &str) -> bool {
        match name {
            TASKS => self.store.tasks().join(RECEIPT).is_file(),
            name => self.export(name).is_some(),
        }
    }
}

//! Asking production's questions again of a candidate: the folder of a replay, from which it goes on after a stop.

use std::fs::{self, File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::dataset::blocking;
use super::{ServiceError, Services};
pub use crate::engines::dataset::Outcome;
use crate::engines::dataset::replay;
pub use crate::engines::dataset::replay::{
    Answered, Asked, Candidate, Compared, Cost, Costs, Mean, Replayed, Retrieval, Selection,
    Summary, compare, digits, is_better_low,
};
use crate::storage::dataset_store::{DatasetStore, task_files};

/// What a replay asks of whom.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The configuration that is tried.
    pub candidate: Candidate,
    /// Which tasks.
    pub selection: Selection,
    /// At most so many tasks, the first ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
}

/// A plan with the file that it was made for.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Written {
    plan: Plan,
    /// Hex.
    tasks_sha256: String,
}

/// A replay under way.
#[derive(Debug)]
pub struct Replay {
    folder: PathBuf,
    written: Written,
    results: File,
    done: Vec<Replayed>,
    pending: Vec<Asked>,
}

impl Replay {
    /// Begins the replay `name` in the data folder, or goes on with it. The tasks are those of `from`: `tasks.jsonl` or
    /// rows of an export; left out, what was materialized last.
    ///
    /// Errors: nothing to ask; a line that cannot be read; another plan under this name, unless `anew`.
    pub fn open(
        data: &Path,
        name: &str,
        plan: Plan,
        from: Option<&Path>,
        anew: bool,
    ) -> Result<Self, ServiceError> {
        let store = DatasetStore::new(&data.join("datasets"));
        let folder = store.replay(name).map_err(|error| wrong(&error))?;
        let files = match from {
            Some(file) => vec![file.to_path_buf()],
            None => materialized(&store)?,
        };
        let (mut pending, tasks_sha256) = read(&files, &plan)?;
        let written = Written { plan, tasks_sha256 };
        if anew && folder.exists() {
            fs::remove_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
        }
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, &error))?;
        keep(&folder.join("plan.json"), &written)?;
        let path = folder.join("results.jsonl");
        let done = results(&path)?;
        let known: std::collections::HashSet<&str> =
            done.iter().map(|line| line.id.as_str()).collect();
        pending.retain(|asked| !known.contains(asked.id.as_str()));
        let results = OpenOptions::new().create(true).append(true).open(&path);
        Ok(Self {
            results: results.map_err(|error| failed(&path, &error))?,
            folder,
            written,
            done,
            pending,
        })
    }

    /// Takes out what is still to be asked.
    pub fn pending(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.pending)
    }

    /// Counts the tasks that have their line.
    pub fn done(&self) -> usize {
        self.done.len()
    }

    /// Writes a line.
    ///
    /// Errors: the disk.
    pub fn take(&mut self, line: Replayed) -> Result<(), ServiceError> {
        let mut text = serde_json::to_string(&line).map_err(|error| wrong(&error))?;
        text.push('\n');
        let written = self.results.write_all(text.as_bytes());
        written.map_err(|error| failed(&self.folder, &error))?;
        self.done.push(line);
        Ok(())
    }

    /// Writes `report.json` and `report.html` of all lines; returns what they say, and the page's place.
    ///
    /// Errors: the disk.
    pub fn report(&mut self) -> Result<(Summary, PathBuf), ServiceError> {
        // Answers come in any order; the report is the same whatever it was.
        self.done.sort_by(|a, b| a.id.cmp(&b.id));
        let summary = replay::summary(&self.done);
        let name = self.folder.file_name().unwrap_or_default();
        let title = format!("Replay {}", name.to_string_lossy());
        let page = self.folder.join("report.html");
        let written = fs::write(&page, replay::html(&title, &summary, &self.done));
        written.map_err(|error| failed(&page, &error))?;
        let path = self.folder.join("report.json");
        let report = json!({"plan": self.written, "summary": summary});
        let written = fs::write(&path, format!("{report:#}\n"));
        written.map_err(|error| failed(&path, &error))?;
        Ok((summary, page))
    }
}

/// A replay in the data folder.
#[derive(Debug)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// Tasks that have their line.
    pub done: usize,
    /// What its report says; `None` when it has none yet, or one of another version.
    pub report: Option<Report>,
}

/// A report, as it was written.
#[derive(Debug, Deserialize)]
pub struct Report {
    plan: Written,
    /// The means.
    pub summary: Summary,
}

impl Report {
    /// What was asked of whom.
    pub fn plan(&self) -> &Plan {
        &self.plan.plan
    }
}

/// Lists the replays by name.
///
/// Errors: the disk.
pub async fn list(services: &Services) -> Result<Vec<Listed>, ServiceError> {
    let store = services.datasets.clone();
    blocking(move || {
        let mut found = Vec::new();
        for name in store.replays()? {
            let folder = store.replay(&name)?;
            let done = lines(&folder.join("results.jsonl"))?;
            let report = report(&folder);
            found.push(Listed { name, done, report });
        }
        Ok(found)
    })
    .await
}

/// Reads a replay's report, and its tasks, those that fell back most first.
///
/// Errors: there is none of this name; a line that cannot be read.
pub async fn read_one(
    services: &Services,
    name: &str,
) -> Result<(Option<Report>, Vec<Replayed>), ServiceError> {
    let folder = services.datasets.replay(name)?;
    let name = name.to_owned();
    blocking(move || {
        if !folder.is_dir() {
            return Err(ServiceError::not_found(format!("no replay named {name}")));
        }
        let path = folder.join("results.jsonl");
        let done = parsed(&path, &whole_lines(&path)?)?;
        let worst = replay::worst_first(&done).into_iter().cloned().collect();
        Ok((report(&folder), worst))
    })
    .await
}

fn report(folder: &Path) -> Option<Report> {
    serde_json::from_slice(&fs::read(folder.join("report.json")).ok()?).ok()
}

/// Counts the lines of a file; none when there is no file.
fn lines(path: &Path) -> Result<usize, ServiceError> {
    Ok(whole_lines(path)?.lines().count())
}

/// The files of what was materialized last, by date.
fn materialized(store: &DatasetStore) -> Result<Vec<PathBuf>, ServiceError> {
    let dir = store.tasks();
    let files = task_files(&dir).map_err(|error| wrong(&error))?;
    if files.is_empty() {
        return Err(wrong(&format_args!(
            "{}: there are no tasks; materialize first (POST /v1/materialize), or name a file",
            dir.display()
        )));
    }
    Ok(files.iter().map(|file| dir.join(file)).collect())
}

/// Reads the tasks that the plan selects, and the hash of the files.
fn read(files: &[PathBuf], plan: &Plan) -> Result<(Vec<Asked>, String), ServiceError> {
    let mut hash = Sha256::new();
    let mut asked = Vec::new();
    let most = plan.limit.unwrap_or(usize::MAX);
    for path in files {
        let file = File::open(path).map_err(|error| {
            wrong(&format_args!(
                "{}: {error}; materialize first (POST /v1/materialize), or name a file",
                path.display()
            ))
        })?;
        for (at, line) in (1_u64..).zip(BufReader::new(file).lines()) {
            let line = line.map_err(|error| failed(path, &error))?;
            hash.update(line.as_bytes());
            hash.update(b"\n");
            if asked.len() >= most || line.trim().is_empty() {
                continue;
            }
            let task = replay::task_of(&line)
                .map_err(|error| wrong(&format_args!("{} line {at}: {error}", path.display())))?;
            if plan.selection.has(&task) {
                asked.extend(plan.candidate.ask(&task));
            }
        }
    }
    if asked.is_empty() {
        let from = files
            .first()
            .map_or("", |file| file.to_str().unwrap_or_default());
        return Err(wrong(&format_args!(
            "{from}: no task of this selection has an answer to compare with"
        )));
    }
    let hash = hash.finalize();
    let hash = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((asked, hash))
}

/// Writes down what the folder is for, or checks that it is for the same.
fn keep(path: &Path, own: &Written) -> Result<(), ServiceError> {
    match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            fs::write(path, format!("{:#}\n", json!(own))).map_err(|error| failed(path, &error))
        }
        Err(error) => Err(failed(path, &error)),
        Ok(text) => match serde_json::from_slice::<Written>(&text) {
            Ok(known) if known == *own => Ok(()),
            _ => Err(wrong(&format_args!(
                "{} is of another candidate, selection or tasks: give this replay another name, or begin it anew",
                path.display()
            ))),
        },
    }
}

/// Reads the lines so far, and cuts off one that was not finished.
fn results(path: &Path) -> Result<Vec<Replayed>, ServiceError> {
    let text = whole_lines(path)?;
    if path.exists() {
        let file = OpenOptions::new().write(true).open(path);
        let cut = file.and_then(|file| file.set_len(text.len() as u64));
        cut.map_err(|error| failed(path, &error))?;
    }
    parsed(path, &text)
}

/// Reads what is finished of a file; nothing when there is no file.
fn whole_lines(path: &Path) -> Result<String, ServiceError> {
    let mut text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(String::new()),
        Err(error) => return Err(failed(path, &error)),
    };
    text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
    Ok(text)
}

fn parsed(path: &Path, text: &str) -> Result<Vec<Replayed>, ServiceError> {
    let read = (1_u64..).zip(text.lines()).map(|(at, line)| {
        serde_json::from_str(line)
            .map_err(|error| wrong(&format_args!("{} line {at}: {error}", path.display())))
    });
    read.collect()
}

fn failed(path: &Path, error: &std::io::Error) -> ServiceError {
    wrong(&format_args!("{}: {error}", path.display()))
}

fn wrong(error: &dyn std::fmt::Display) -> ServiceError {
    ServiceError::bad_request(error.to_string())
}

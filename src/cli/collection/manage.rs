//! Collections made, shown and removed.

use clap::Args;
use serde_json::{Map, Value, json};

use crate::cli::client::{Client, escaped, refused};
use crate::cli::error::CliError;
use crate::cli::ingest::collection_name;
use crate::cli::server::{self, ServerArgs};
use crate::cli::{input, output};
use crate::config::Overrides;
use crate::types::http::Method;
use crate::types::plain::counted;

const KINDS: [&str; 5] = ["keyword", "integer", "float", "bool", "datetime"];

#[derive(Debug, Args)]
pub(in crate::cli) struct ListArgs {
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct ShowArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    name: String,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct CreateArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    name: String,
    /// The model that embeds its texts and queries; default embedding.default of the settings
    #[arg(long, value_name = "MODEL")]
    embedder: Option<String>,
    /// Only vectors that are given, of --dim numbers
    #[arg(long, conflicts_with = "embedder", requires = "dim")]
    no_embedder: bool,
    /// Length of the vectors; the embedder's when left out
    #[arg(long, value_name = "COUNT")]
    dim: Option<usize>,
    /// How vectors are compared; default cosine
    #[arg(long, value_parser = ["cosine", "dot", "l2"])]
    metric: Option<String>,
    /// A better model, which ranks the first hits of hybrid searches
    #[arg(long, value_name = "MODEL")]
    refiner: Option<String>,
    /// Index this field of the payload: keyword, integer, float, bool or datetime; may be given again
    #[arg(long, value_name = "PATH=KIND", value_parser = field)]
    field: Vec<(String, String)>,
    /// What keeps its points: hnsw, the server itself, or an engine of its settings; default backends.default
    #[arg(long, value_parser = ["hnsw", "qdrant", "lance"])]
    backend: Option<String>,
    /// The field that says whose a point is
    #[arg(long, value_name = "PATH")]
    role_field: Option<String>,
    /// Let searches see every role when they do not say for which they are
    #[arg(long, requires = "role_field")]
    role_optional: bool,
    /// The field that says when a point expires
    #[arg(long, value_name = "PATH")]
    ttl_field: Option<String>,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

fn field(text: &str) -> Result<(String, String), String> {
    let (path, kind) = text
        .split_once('=')
        .ok_or("write PATH=KIND, such as year=integer")?;
    if !KINDS.contains(&kind) {
        return Err(format!("{kind} is no kind; known are {}", KINDS.join(", ")));
    }
    Ok((path.to_owned(), kind.to_owned()))
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DeleteArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    name: String,
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct IndexFieldArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    name: String,
    /// The field's path in the payload, such as year or meta.seen
    path: String,
    /// What it holds
    #[arg(value_parser = KINDS)]
    kind: String,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct DropIndexArgs {
    /// The collection
    #[arg(value_parser = collection_name)]
    name: String,
    /// The field's path in the payload
    path: String,
    /// Print the server's answer as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
}

fn path(name: &str) -> String {
    format!("/v1/collections/{name}")
}

/// Runs `boathouse collection list`.
pub(super) fn list(overrides: &Overrides, args: &ListArgs) -> Result<(), CliError> {
    let answer = server::ask(overrides, &args.server, async |client| {
        client.must(Method::Get, "/v1/collections", None).await
    })?;
    if args.json {
        output::say(&answer);
        return Ok(());
    }
    let all = answer["collections"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if all.is_empty() {
        output::say("no collections; `boathouse collection create NAME` makes one");
        return Ok(());
    }
    let rows: Vec<_> = all.iter().map(row).collect();
    let headings = [
        "name",
        ">points",
        ">dim",
        "metric",
        "embedder",
        ">snapshot",
        ">log",
        "state",
    ];
    output::table(headings, &rows);
    Ok(())
}

fn row(collection: &Value) -> [String; 8] {
    let cell = |name: &str| output::cell(&collection[name]);
    let state = match (&collection["error"], &collection["outdated"]) {
        (Value::String(error), _) => error.as_str(),
        (_, Value::String(_)) => "outdated: embed it anew",
        _ => "",
    };
    let bytes = |name: &str| match &collection[name] {
        Value::Null => String::new(),
        bytes => output::bytes(bytes),
    };
    [
        cell("name"),
        cell("points"),
        cell("dim"),
        cell("metric"),
        cell("embedder"),
        bytes("snapshot_bytes"),
        bytes("wal_bytes"),
        output::line(state, 100),
    ]
}

/// Runs `boathouse collection show`.
pub(super) fn show(overrides: &Overrides, args: &ShowArgs) -> Result<(), CliError> {
    let answer = server::ask(overrides, &args.server, async |client| {
        client.must(Method::Get, &path(&args.name), None).await
    })?;
    tell(args.json, &answer);
    Ok(())
}

fn tell(json: bool, collection: &Value) {
    match json {
        true => output::say(collection),
        false => output::fields(collection),
    }
}

/// Runs `boathouse collection create`.
pub(super) fn create(overrides: &Overrides, args: &CreateArgs) -> Result<(), CliError> {
    let fields: Map<String, Value> = args
        .field
        .iter()
        .map(|(path, kind)| (path.clone(), json!(kind)))
        .collect();
    let embedder = args.embedder.as_ref().map(|model| json!(model));
    let body = Value::Object(input::object([
        (
            "embedder",
            embedder.or(args.no_embedder.then_some(Value::Null)),
        ),
        ("dim", args.dim.map(Value::from)),
        ("metric", args.metric.clone().map(Value::from)),
        ("backend", args.backend.clone().map(Value::from)),
        ("refiner", args.refiner.clone().map(Value::from)),
        ("fields", Some(Value::Object(fields))),
        ("role_field", args.role_field.clone().map(Value::from)),
        (
            "role_required",
            args.role_optional.then_some(Value::Bool(false)),
        ),
        ("ttl_field", args.ttl_field.clone().map(Value::from)),
    ]));
    let path = path(&args.name);
    let answer = server::ask(overrides, &args.server, async |client| {
        let answer = client.settled(Method::Put, &path, Some(&body)).await?;
        match answer.status {
            200 | 201 => Ok(answer),
            _ => Err(refused(&path, &answer)),
        }
    })?;
    if args.json {
        output::say(&answer.body);
        return Ok(());
    }
    let made = match answer.status {
        201 => "made",
        _ => "it is there already",
    };
    let info = &answer.body;
    let by = match info["embedder"].as_str() {
        Some(model) => format!(" by {model}"),
        None => ", given vectors only".to_owned(),
    };
    output::say(format_args!(
        "{}: {made}; {}{by}, {}, {}",
        args.name,
        counted(&info["dim"], "dimension"),
        output::cell(&info["metric"]),
        counted(&info["points"], "point")
    ));
    Ok(())
}

/// Runs `boathouse collection delete`.
pub(super) fn delete(overrides: &Overrides, args: &DeleteArgs) -> Result<(), CliError> {
    let answer = server::ask(overrides, &args.server, async |client| {
        if !args.yes {
            sure(client, &args.name).await?;
        }
        client.must(Method::Delete, &path(&args.name), None).await
    })?;
    match args.json {
        true => output::say(answer),
        false => output::say(format_args!("{}: removed", args.name)),
    }
    Ok(())
}

/// Asks with the number of points that would be lost.
async fn sure(client: &Client, name: &str) -> Result<(), CliError> {
    let found = client.must(Method::Get, &path(name), None).await?;
    let question = format!(
        "Remove {name} with its {} for good?",
        counted(&found["points"], "point")
    );
    match input::confirmed_meanwhile(question).await? {
        true => Ok(()),
        false => Err(CliError::failed("nothing was removed")),
    }
}

/// Runs `boathouse collection index-field`.
pub(super) fn index_field(overrides: &Overrides, args: &IndexFieldArgs) -> Result<(), CliError> {
    let body = json!({"field_name": args.path, "field_schema": args.kind});
    let path = format!("{}/index", path(&args.name));
    let answer = server::ask(overrides, &args.server, async |client| {
        client.must(Method::Put, &path, Some(&body)).await
    })?;
    let (name, field, kind) = (&args.name, &args.path, &args.kind);
    match args.json {
        true => output::say(answer),
        false => output::say(format_args!("{name}: {field} is indexed as {kind}")),
    }
    Ok(())
}

/// Runs `boathouse collection drop-index`.
pub(super) fn drop_index(overrides: &Overrides, args: &DropIndexArgs) -> Result<(), CliError> {
    let path = format!("{}/index/{}", path(&args.name), escaped(&args.path));
    let answer = server::ask(overrides, &args.server, async |client| {
        client.must(Method::Delete, &path, None).await
    })?;
    match args.json {
        true => output::say(answer),
        false => output::say(format_args!(
            "{}: {} is indexed no more",
            args.name, args.path
        )),
    }
    Ok(())
}

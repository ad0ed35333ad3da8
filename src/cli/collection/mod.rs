//! `boathouse collection`: whole collections: made, shown and removed, as files, embedded anew, and checked on disk.

mod disk;
mod manage;

use clap::Subcommand;

use self::disk::{CheckArgs, RepairArgs};
use self::manage::{CreateArgs, DeleteArgs, DropIndexArgs, IndexFieldArgs, ListArgs, ShowArgs};
use super::error::CliError;
use super::moving::{self, MoveArgs};
use super::reembed::{self, ReembedArgs};
use super::transfer::{self, ExportArgs, ImportArgs};
use crate::config::Overrides;

const EXAMPLES: &str = "Examples:
  boathouse collection list
  boathouse collection create docs                       of the default embedder
  boathouse collection create mine --no-embedder --dim 3 --metric l2
  boathouse collection create news --field lang=keyword --field year=integer --role-field who --ttl-field until
  boathouse collection show docs --json
  boathouse collection index-field docs year integer
  boathouse collection drop-index docs year
  boathouse collection delete docs                       says what would be lost, and asks
  boathouse collection export docs --to docs.jsonl       or .parquet
  boathouse collection import copy --from docs.parquet
  boathouse collection reembed docs                      after its model has changed
  boathouse collection reembed docs --embedder minilm    to give it another model
  boathouse collection move docs --to qdrant             to an engine of the settings, while it serves
  boathouse collection move docs                         how far that is
  boathouse collection check                             read every collection of ./data, say what is damaged
  boathouse collection repair docs --data /srv/house     say what would be lost, ask, then repair

For check and repair the server must be stopped. Exit status of these: 0 all sound or repaired, 1 something is damaged.";

#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum CollectionCommand {
    /// List the collections
    #[command(visible_alias = "ls")]
    List(ListArgs),
    /// Show one collection: properties, sizes, state
    Show(ShowArgs),
    /// Make a collection; the same again changes nothing
    // Boxed: it is far larger than the others.
    Create(Box<CreateArgs>),
    /// Remove a collection with all its points
    #[command(visible_alias = "rm")]
    Delete(DeleteArgs),
    /// Index a field of the payload, so that filters look it up
    IndexField(IndexFieldArgs),
    /// Index a field no more; filters read it from then on
    DropIndex(DropIndexArgs),
    /// Write a whole collection to a file, exactly as it is at this moment
    Export(ExportArgs),
    /// Read a file into a collection; the file is checked whole before anything is written
    Import(ImportArgs),
    /// Embed all points of a collection anew, with its model as it is now or with another
    Reembed(ReembedArgs),
    /// Bring a collection over to another backend while it serves, and compare both sides before it counts
    Move(MoveArgs),
    /// Read collections whole and say what is damaged; changes nothing
    Check(CheckArgs),
    /// Make a damaged collection whole again from what can be read; its damaged files are kept
    Repair(RepairArgs),
}

/// Runs the command.
pub(super) fn run(overrides: &Overrides, command: &CollectionCommand) -> Result<(), CliError> {
    match command {
        CollectionCommand::List(args) => manage::list(overrides, args),
        CollectionCommand::Show(args) => manage::show(overrides, args),
        CollectionCommand::Create(args) => manage::create(overrides, args),
        CollectionCommand::Delete(args) => manage::delete(overrides, args),
        CollectionCommand::IndexField(args) => manage::index_field(overrides, args),
        CollectionCommand::DropIndex(args) => manage::drop_index(overrides, args),
        CollectionCommand::Export(args) => transfer::export(overrides, args),
        CollectionCommand::Import(args) => transfer::import(overrides, args),
        CollectionCommand::Reembed(args) => reembed::run(overrides, args),
        CollectionCommand::Move(args) => moving::run(overrides, args),
        CollectionCommand::Check(args) => disk::check(overrides, args),
        CollectionCommand::Repair(args) => disk::repair(overrides, args),
    }
}

//! Distils a table of token vectors, as `static-minilm` is, from a MiniLM in a folder. docs/MODELS.md says how.
//!
//! `cargo run --release --example distill -- --teacher FOLDER --texts texts.txt --out table.safetensors`

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool that says how far it is"
)]

mod bags;
mod features;
mod matrix;
mod table;
mod train;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use boathouse::engines::embedding::evaluation::{Way, evaluate};
use boathouse::engines::embedding::{Embedder, Minilm};
use boathouse::storage::eval_set::EvalFolder;
use clap::Parser;
use indicatif::ProgressBar;

use bags::Bags;
use matrix::Matrix;
use table::Table;

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Distils a table of token vectors from a MiniLM
#[derive(Debug, Parser)]
struct Args {
    /// Folder of the teacher: config.json, tokenizer.json, model.safetensors
    #[arg(long)]
    teacher: PathBuf,
    /// Training texts, one a line
    #[arg(long)]
    texts: PathBuf,
    /// Where the table goes; the teacher's vectors are kept beside it for the next run
    #[arg(long)]
    out: PathBuf,
    /// Most texts; the first ones of the file
    #[arg(long, default_value_t = 100_000)]
    most: usize,
    /// Dimensions of the table
    #[arg(long, default_value_t = 256)]
    dim: usize,
    /// Passes over the texts
    #[arg(long, default_value_t = 6)]
    epochs: usize,
    /// Step of Adam at the start; it falls to zero
    #[arg(long, default_value_t = 0.002)]
    rate: f32,
    /// Seeds the order of the texts
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Folders of evaluation sets to measure the result on
    #[arg(long)]
    eval: Vec<PathBuf>,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let teacher = Minilm::open("teacher", &args.teacher)?;
    let all = fs::read_to_string(&args.texts)?;
    let texts: Vec<&str> = all
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(args.most)
        .collect();
    println!("{} texts", texts.len());
    let bags = Bags::read(&args.teacher.join("tokenizer.json"), &texts)?;
    let targets = taught(&teacher, &texts, &args.out.with_extension("teacher"))?;

    println!("features of {} tokens", bags.vocabulary());
    let features = features::of_tokens(&teacher, &bags)?;
    let fitted = features::fit(&features, &bags, &targets)?;
    report("fitted by ridge", &bags, &fitted, &args.eval)?;

    let bar = ProgressBar::new(args.epochs as u64);
    let trained = train::run(
        fitted,
        &bags,
        &targets,
        &train::Plan {
            epochs: args.epochs,
            rate: args.rate,
            seed: args.seed,
        },
        |loss| {
            bar.inc(1);
            bar.suspend(|| println!("  loss {loss:.4}"));
        },
    )?;
    bar.finish_and_clear();
    report("trained", &bags, &trained, &args.eval)?;

    let rotated = table::rotated(&trained, &bags, args.dim)?;
    let table = Table::rounded(&rotated);
    report(
        "rotated, cut and rounded",
        &bags,
        &table.numbers(),
        &args.eval,
    )?;
    table.save(&args.out)?;
    println!("{}", args.out.display());
    Ok(())
}

/// The teacher's vectors of all texts; read from `kept` where they are of these texts.
fn taught(teacher: &Minilm, texts: &[&str], kept: &Path) -> Result<Matrix> {
    const BATCH: usize = 256;
    let dim = teacher.info().dim;
    let name =
        blake3::hash(format!("{}\n{}", teacher.info().fingerprint, texts.join("\n")).as_bytes());
    if let Ok(bytes) = fs::read(kept)
        && let Some(rest) = bytes.strip_prefix(name.as_bytes().as_slice())
    {
        return Ok(Matrix::of_bytes(rest, dim));
    }
    let bar = ProgressBar::new(texts.len() as u64);
    let mut numbers = Vec::with_capacity(texts.len() * dim);
    for batch in texts.chunks(BATCH) {
        numbers.extend(teacher.embed(batch)?.vectors.into_iter().flatten());
        bar.inc(batch.len() as u64);
        if bar.is_hidden() && (numbers.len() / dim).is_multiple_of(BATCH * 40) {
            eprintln!(
                "  {} of {} embedded by the teacher",
                numbers.len() / dim,
                texts.len()
            );
        }
    }
    bar.finish_and_clear();
    let matrix = Matrix::new(numbers, dim);
    fs::write(
        kept,
        [name.as_bytes().as_slice(), &matrix.to_bytes()].concat(),
    )?;
    Ok(matrix)
}

/// Measures a table of token vectors on evaluation sets.
fn report(what: &str, bags: &Bags, table: &Matrix, folders: &[PathBuf]) -> Result<()> {
    println!("{what}");
    let embedder = bags.embedder(table);
    for folder in folders {
        let report = evaluate(
            &EvalFolder::read(folder)?,
            &embedder,
            None,
            2,
            &mut |_, _| {},
        )?;
        if let Some(score) = report
            .retrieval
            .as_ref()
            .and_then(|found| found.score(Way::Dense))
        {
            println!(
                "  {} nDCG@10 {:.1}",
                folder.display(),
                100.0 * score.ndcg_at_10
            );
        }
        if let Some(found) = report.sts {
            println!(
                "  {} Spearman {:.1}",
                folder.display(),
                100.0 * found.spearman
            );
        }
    }
    Ok(())
}

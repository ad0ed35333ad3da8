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
mod taught;
mod train;
mod words;

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use boathouse::engines::embedding::Minilm;
use boathouse::engines::embedding::evaluation::{Way, evaluate};
use boathouse::storage::eval_set::EvalFolder;
use clap::Parser;
use indicatif::ProgressBar;

use bags::{Bags, Reader};
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
    /// Where the table goes
    #[arg(long)]
    out: PathBuf,
    /// Where the teacher's vectors are kept for the next run [default: beside the table]
    #[arg(long)]
    kept: Option<PathBuf>,
    /// Most texts; the first ones of the file
    #[arg(long, default_value_t = 1_000_000)]
    most: usize,
    /// Most words that get a row of their own though the tokenizer splits them
    #[arg(long, default_value_t = 28_000)]
    most_words: usize,
    /// Texts that have such a word
    #[arg(long, default_value_t = 10)]
    word_texts: usize,
    /// More such words, one a line, the most important first
    #[arg(long)]
    words: Option<PathBuf>,
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
    let mut texts: Vec<&str> = all
        .lines()
        .filter(|line| !line.trim().is_empty())
        .take(args.most)
        .collect();
    println!("{} texts", texts.len());
    let reader = Reader::open(&args.teacher.join("tokenizer.json"))?;
    let read = texts.iter().map(|text| reader.ids(text));
    let read = read.collect::<Result<Vec<_>>>()?;
    let listed = args.words.as_ref().map(fs::read_to_string).transpose()?;
    let listed = listed.unwrap_or_default();
    let words = words::chosen(&reader, &read, &listed, args.word_texts, args.most_words)?;
    println!("{} whole words", words.len());
    let bags = Bags::new(&reader, words, read)?;
    let spelt: Vec<String> = bags.words().iter().map(|word| reader.spelt(word)).collect();
    texts.extend(spelt.iter().map(String::as_str));
    let kept = args.kept.unwrap_or(args.out.with_extension("teacher"));
    let targets = taught::vectors(&teacher, &texts, &kept)?;

    println!("features of {} tokens", bags.vocabulary());
    let features = features::of_rows(&teacher, &bags)?;
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
    table.save(&args.out, bags.words())?;
    println!("{}", args.out.display());
    Ok(())
}

/// Measures a table of token vectors on evaluation sets.
fn report(what: &str, bags: &Bags<'_>, table: &Matrix, folders: &[PathBuf]) -> Result<()> {
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

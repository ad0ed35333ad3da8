//! What the teacher says of each text, kept in a file: an interrupted run, and one with other texts, goes on there.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use boathouse::engines::embedding::{Embedder, Minilm};
use indicatif::ProgressBar;

use crate::Result;
use crate::matrix::Matrix;

/// Texts that go through the teacher, and into the file, together.
const BATCH: usize = 1_024;
/// Bytes of the hash that names a text.
const NAME: usize = 16;

/// The teacher's vectors of all texts; those in `kept` are not made again.
pub(crate) fn vectors(teacher: &Minilm, texts: &[&str], kept: &Path) -> Result<Matrix> {
    let dim = teacher.info().dim;
    let head = format!("{}\n", teacher.info().fingerprint);
    let record = NAME + 4 * dim;
    let mut bytes = fs::read(kept).unwrap_or_default();
    if !bytes.starts_with(head.as_bytes()) {
        bytes = head.clone().into_bytes();
        fs::write(kept, &bytes)?;
    }
    // A run that was ended while it wrote has left a part of a record.
    let whole = bytes.len() - (bytes.len() - head.len()) % record;
    let mut file = OpenOptions::new().append(true).open(kept)?;
    file.set_len(whole as u64)?;
    let mut places: HashMap<[u8; NAME], usize> = bytes[head.len()..whole]
        .chunks_exact(record)
        .enumerate()
        .filter_map(|(at, record)| Some((*record.first_chunk()?, at)))
        .collect();
    let mut known: Vec<f32> = bytes[head.len()..whole]
        .chunks_exact(record)
        .flat_map(|record| Matrix::of_bytes(&record[NAME..], dim).numbers)
        .collect();
    drop(bytes);
    let new: Vec<&str> = texts
        .iter()
        .copied()
        .filter(|text| {
            let next = places.len();
            let is_new = !places.contains_key(&name(text));
            if is_new {
                places.insert(name(text), next);
            }
            is_new
        })
        .collect();
    println!("{} of {} texts for the teacher", new.len(), texts.len());
    let bar = ProgressBar::new(new.len() as u64);
    for (at, batch) in new.chunks(BATCH).enumerate() {
        let vectors = teacher.embed(batch)?.vectors;
        let mut records = Vec::with_capacity(batch.len() * record);
        for (text, vector) in batch.iter().zip(vectors) {
            records.extend(name(text));
            records.extend(vector.iter().flat_map(|x| x.to_le_bytes()));
            known.extend(vector);
        }
        file.write_all(&records)?;
        bar.inc(batch.len() as u64);
        if bar.is_hidden() && at.is_multiple_of(10) {
            eprintln!("  {} of {}", at * BATCH, new.len());
        }
    }
    bar.finish_and_clear();
    let known = Matrix::new(known, dim);
    let mut vectors = Matrix::new(Vec::with_capacity(texts.len() * dim), dim);
    for text in texts {
        vectors
            .numbers
            .extend_from_slice(known.row(places[&name(text)]));
    }
    Ok(vectors)
}

fn name(text: &str) -> [u8; NAME] {
    let mut name = [0; NAME];
    name.copy_from_slice(&blake3::hash(text.as_bytes()).as_bytes()[..NAME]);
    name
}

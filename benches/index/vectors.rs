//! Vectors in files that other programs read too: rows of little-endian f32.

use std::path::Path;

use boathouse::engines::embedding::{Embedder, Embedders, EmbeddingConfig};
use serde_json::{Value, json};

use super::texts;

/// What is searched, and what for.
pub(super) struct Vectors {
    pub(super) dim: usize,
    pub(super) base: Vec<Vec<f32>>,
    pub(super) queries: Vec<Vec<f32>>,
}

/// Cuts and embeds the texts of `folders` and writes them into `dir`.
pub(super) fn make(dir: &Path, count: usize, folders: &[&str]) -> Value {
    let (base, queries) = texts::cut(folders, count);
    let model = Embedders::new(&EmbeddingConfig::default())
        .unwrap()
        .local("static-minilm")
        .unwrap();
    std::fs::create_dir_all(dir).unwrap();
    let written: Vec<usize> = [("base.f32", &base), ("queries.f32", &queries)]
        .map(|(name, texts)| {
            let bytes = embedded(&*model, texts);
            std::fs::write(dir.join(name), &bytes).unwrap();
            bytes.len() / 4 / model.info().dim
        })
        .to_vec();
    std::fs::write(dir.join("dim"), model.info().dim.to_string()).unwrap();
    json!({
        "texts": "windows of 8 to 20 words", "base": written[0], "queries": written[1],
        "dim": model.info().dim, "first": base.first(),
    })
}

fn embedded(model: &dyn Embedder, texts: &[String]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for text in texts {
        // A text without a word that the model knows has no vector.
        if let Ok(embedded) = model.embed(&[text]) {
            bytes.extend(embedded.vectors[0].iter().flat_map(|x| x.to_le_bytes()));
        }
    }
    bytes
}

impl Vectors {
    pub(super) fn load(dir: &Path) -> Self {
        let dim = std::fs::read_to_string(dir.join("dim"))
            .unwrap()
            .parse()
            .unwrap();
        let rows = |name: &str| -> Vec<Vec<f32>> {
            let bytes = std::fs::read(dir.join(name)).unwrap();
            let (numbers, _) = bytes.as_chunks::<4>();
            let numbers: Vec<f32> = numbers.iter().map(|raw| f32::from_le_bytes(*raw)).collect();
            numbers.chunks(dim).map(<[f32]>::to_vec).collect()
        };
        Self {
            dim,
            base: rows("base.f32"),
            queries: rows("queries.f32"),
        }
    }

    /// The place of each vector in the order of likeness to the first one: filters by it keep to one
    /// corner of the space, which is what makes them hard.
    pub(super) fn ranks(&self) -> Vec<usize> {
        let like = |at: usize| -> f32 {
            self.base[at]
                .iter()
                .zip(&self.base[0])
                .map(|(x, y)| x * y)
                .sum()
        };
        let mut order: Vec<usize> = (0..self.base.len()).collect();
        order.sort_by(|a, b| like(*b).total_cmp(&like(*a)));
        let mut ranks = vec![0; order.len()];
        for (rank, at) in order.into_iter().enumerate() {
            ranks[at] = rank;
        }
        ranks
    }
}

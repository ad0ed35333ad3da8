//! The table of points: rows in the order they came, vectors side by side, tombstones for the gone.

use std::ops::Deref;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::lexical::{Stems, Words};
use super::pages::Pages;
use super::refined::{Code, Codes, Refinement, text_hash};
use super::{Bits, size_of};
use crate::types::point::Point;

/// What a row holds beside its vector.
#[derive(Debug)]
pub(super) struct Doc {
    pub(super) id: Arc<str>,
    pub(super) text: Option<String>,
    pub(super) payload: Map<String, Value>,
}

impl Doc {
    /// Counts the words of the text, one of many.
    pub(super) fn words(&self, stems: &mut Stems) -> Words {
        let text = self.text.as_deref();
        text.map(|text| Words::with(text, stems))
            .unwrap_or_default()
    }
}

/// A run of rows. Full ones never change, so a clone of the table shares them.
#[derive(Debug, Clone, Default)]
struct Block {
    vectors: Vectors,
    docs: Vec<Arc<Doc>>,
}

/// The vectors of a block, side by side.
#[derive(Debug)]
enum Vectors {
    Growing(Vec<f32>),
    /// Walks read them all over.
    Full(Pages),
}

impl Vectors {
    fn push(&mut self, vector: &[f32]) {
        if let Self::Growing(numbers) = self {
            numbers.extend_from_slice(vector);
        }
    }

    /// No more will come.
    fn fill(&mut self) {
        if let Self::Growing(numbers) = self
            && let Some(pages) = Pages::of(numbers)
        {
            *self = Self::Full(pages);
        }
    }
}

impl Deref for Vectors {
    type Target = [f32];

    #[inline(always)]
    fn deref(&self) -> &[f32] {
        match self {
            Self::Growing(numbers) => numbers,
            Self::Full(pages) => pages.numbers(),
        }
    }
}

impl Default for Vectors {
    fn default() -> Self {
        Self::Growing(Vec::new())
    }
}

impl Clone for Vectors {
    fn clone(&self) -> Self {
        Self::Growing(self.to_vec())
    }
}

/// Numbered rows, which are added at the end and never change; deleting one only marks it.
///
/// Cheap to clone: a clone is a view of this moment that later writes do not touch.
#[derive(Debug, Clone)]
pub struct Rows {
    dim: usize,
    /// Rows of a full block, as a power of two.
    shift: u32,
    blocks: Vec<Arc<Block>>,
    len: u32,
    alive: Bits,
    live: usize,
    refined: Codes,
    /// Rows that are not deleted and have a text, with and without a second vector.
    refinable: Progress,
}

/// How far a job is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Rows that have a second vector.
    pub done: usize,
    /// Rows that wait for theirs.
    pub pending: usize,
}

/// Numbers of a full block: 2 MiB of vectors, a huge page, and small enough to copy.
const BLOCK_NUMBERS: usize = 1 << 19;

impl Rows {
    /// Makes an empty table of vectors of `dim` numbers, and second ones of `refined_dim`.
    pub fn new(dim: usize, refined_dim: usize) -> Self {
        let shift = (BLOCK_NUMBERS / dim.max(1)).clamp(16, 4_096).ilog2();
        Self {
            dim,
            shift,
            blocks: Vec::new(),
            len: 0,
            alive: Bits::default(),
            live: 0,
            refined: Codes::new(refined_dim),
            refinable: Progress::default(),
        }
    }

    /// Adds a row and returns its number. The vector must have `dim` numbers, which callers check.
    pub(super) fn push(&mut self, vector: &[f32], doc: Arc<Doc>) -> u32 {
        let row = self.len;
        self.refinable.pending += usize::from(doc.text.is_some());
        if self.blocks.len() <= (row >> self.shift) as usize {
            self.blocks.push(Arc::default());
        }
        if let Some(last) = self.blocks.last_mut() {
            let block = Arc::make_mut(last);
            block.vectors.push(vector);
            block.docs.push(doc);
            if block.docs.len() == 1 << self.shift {
                block.vectors.fill();
            }
        }
        self.len += 1;
        self.alive.insert(row);
        self.live += 1;
        row
    }

    /// Marks a row as deleted.
    pub(super) fn bury(&mut self, row: u32) {
        if self.alive.contains(row) {
            self.alive.remove(row);
            self.live -= 1;
            if self.doc(row).text.is_some() {
                match self.refined.get(row) {
                    Some(_) => self.refinable.done -= 1,
                    None => self.refinable.pending -= 1,
                }
            }
        }
    }

    /// Length of the vectors.
    pub(super) fn dim(&self) -> usize {
        self.dim
    }

    /// Counts rows, the deleted ones too.
    pub(super) fn len(&self) -> u32 {
        self.len
    }

    /// Counts rows that are not deleted.
    pub fn live(&self) -> usize {
        self.live
    }

    /// Counts rows that are deleted.
    pub fn tombstones(&self) -> usize {
        self.len as usize - self.live
    }

    /// The rows that are not deleted.
    pub(super) fn alive(&self) -> &Bits {
        &self.alive
    }

    #[inline]
    pub(super) fn vector(&self, row: u32) -> &[f32] {
        let (block, at) = self.place(row);
        &block.vectors[at * self.dim..(at + 1) * self.dim]
    }

    pub(super) fn doc(&self, row: u32) -> &Arc<Doc> {
        let (block, at) = self.place(row);
        &block.docs[at]
    }

    #[inline]
    fn place(&self, row: u32) -> (&Block, usize) {
        let at = row & ((1 << self.shift) - 1);
        (&self.blocks[(row >> self.shift) as usize], at as usize)
    }

    /// The second vectors.
    pub(super) fn refined(&self) -> &Codes {
        &self.refined
    }

    /// Gives a row that is not deleted and has a text its second vector.
    pub(super) fn refine(&mut self, row: u32, code: &Code) {
        if self.refined.get(row).is_none() {
            self.refinable.pending -= 1;
            self.refinable.done += 1;
        }
        self.refined.set(row, code);
    }

    /// Rows that have a second vector, and rows that wait for one.
    pub fn refinable(&self) -> Progress {
        self.refinable
    }

    /// Copies out up to `limit` ids and texts that wait for a second vector, in the order they came.
    pub(super) fn unrefined(&self, limit: usize) -> Vec<(String, String)> {
        if self.refinable.pending == 0 {
            return Vec::new();
        }
        let waiting = self.alive.iter().filter_map(|row| {
            let doc = self.doc(row);
            let text = doc.text.as_ref()?;
            let waits = self.refined.get(row).is_none();
            waits.then(|| (doc.id.to_string(), text.clone()))
        });
        waiting.take(limit).collect()
    }

    /// Copies out all second vectors of rows that are not deleted.
    pub fn refinements(&self) -> impl Iterator<Item = Refinement> {
        self.alive.iter().filter_map(|row| {
            let (scale, codes) = self.refined.get(row)?;
            let doc = self.doc(row);
            Some(Refinement {
                id: doc.id.to_string(),
                text: text_hash(doc.text.as_deref()?),
                code: Code {
                    scale,
                    codes: codes.to_vec(),
                },
            })
        })
    }

    /// Copies a row out.
    pub(super) fn point(&self, row: u32) -> Point {
        let doc = self.doc(row);
        Point {
            id: doc.id.to_string(),
            vector: self.vector(row).to_vec(),
            text: doc.text.clone(),
            payload: doc.payload.clone(),
        }
    }

    /// Copies out rows that are not deleted, from the row `from` on, each with its second vector, until there are
    /// about `bytes` of them; at least one. Also returns the row to go on from.
    pub fn run(&self, from: u32, bytes: usize) -> (Vec<(Point, Option<Code>)>, Option<u32>) {
        let (mut run, mut size) = (Vec::new(), 0);
        for row in self.alive.iter_from(from) {
            if size >= bytes {
                return (run, Some(row));
            }
            let point = self.point(row);
            let code = self.refined.get(row).map(|(scale, codes)| Code {
                scale,
                codes: codes.to_vec(),
            });
            size += size_of(&point) + self.refined.dim();
            run.push((point, code));
        }
        (run, None)
    }

    /// Copies out all rows that are not deleted, in the order they came.
    pub fn points(&self) -> impl Iterator<Item = Point> {
        self.alive.iter().map(|row| self.point(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doc(id: &str) -> Arc<Doc> {
        Arc::new(Doc {
            id: id.into(),
            text: None,
            payload: Map::new(),
        })
    }

    #[test]
    fn rows_keep_their_content_across_blocks() {
        let mut rows = Rows::new(8_192, 0);
        let full = 1_u32 << rows.shift;
        for row in 0..2 * full + 1 {
            assert_eq!(
                rows.push(&vec![row as f32; 8_192], doc(&row.to_string())),
                row
            );
        }
        assert_eq!(rows.blocks.len(), 3);
        for row in [0, full - 1, full, 2 * full] {
            assert_eq!(rows.vector(row), vec![row as f32; 8_192]);
            assert_eq!(rows.point(row).id, row.to_string());
        }
    }

    #[test]
    fn a_clone_is_a_view_that_later_writes_do_not_touch() {
        let mut rows = Rows::new(1, 0);
        rows.push(&[1.0], doc("a"));
        let view = rows.clone();
        rows.push(&[2.0], doc("b"));
        rows.bury(0);
        rows.bury(0);
        assert_eq!((rows.live(), rows.tombstones()), (1, 1));
        assert_eq!((view.live(), view.tombstones()), (1, 0));
        assert_eq!(
            view.points().map(|point| point.id).collect::<Vec<_>>(),
            ["a"]
        );
        assert_eq!(
            rows.points().map(|point| point.id).collect::<Vec<_>>(),
            ["b"]
        );
    }
}

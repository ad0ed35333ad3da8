//! All that one collection holds in memory.

mod reembedding;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

pub use reembedding::Reembedding;

use super::backends::{self, Graph, Sections};
use super::fields::Fields;
use super::lexical::{Lexical, Stems, Words};
use super::rows::{Doc, Progress, Rows};
use super::{Code, Filter, IndexConfig, IndexError, Op, Refinement, Scope, text_hash};
use crate::types::collection::{CollectionSpec, FieldKind, Schema};
use crate::types::point::{Metric, Point};

/// The points of a collection, and what is derived from them.
#[derive(Debug)]
pub struct Contents {
    pub(super) spec: Arc<CollectionSpec>,
    pub(super) rows: Rows,
    /// The live row of each id.
    pub(super) ids: BTreeMap<Arc<str>, u32>,
    pub(super) lexical: Lexical,
    /// Invariant: an index for each field of the schema, over all rows.
    pub(super) fields: Fields,
    pub(super) graph: Option<Arc<Graph>>,
}

impl Contents {
    /// An empty collection.
    pub fn new(spec: impl Into<Arc<CollectionSpec>>) -> Self {
        let spec = spec.into();
        let refined_dim = spec.refiner.as_ref().map_or(0, |refiner| refiner.dim);
        let rows = Rows::new(spec.dim, refined_dim);
        let (ids, lexical) = (BTreeMap::new(), Lexical::default());
        let fields = Fields::new(&spec.schema.fields);
        Self {
            spec,
            rows,
            ids,
            lexical,
            fields,
            graph: None,
        }
    }

    /// The collection's properties.
    pub fn spec(&self) -> &Arc<CollectionSpec> {
        &self.spec
    }

    /// Refuses vectors that were made by another model than the collection has by now.
    pub fn check_model(&self, made_by: Option<&str>) -> Result<(), IndexError> {
        match (made_by, &self.spec.fingerprint) {
            (Some(made_by), Some(own)) if made_by != own => {
                Err(IndexError::OtherModel(self.spec.name.clone()))
            }
            _ => Ok(()),
        }
    }

    /// What must be done before `schema` can be [declared](Self::declare).
    pub fn undeclared(&self, schema: &Schema) -> Undeclared {
        let kinds = schema.fields.iter();
        let new = kinds.filter(|(path, kind)| self.fields.kind(path) != Some(**kind));
        Undeclared {
            schema: schema.clone(),
            new: new.map(|(path, kind)| (path.clone(), *kind)).collect(),
            view: self.view(),
        }
    }

    /// Takes a schema into use. No point may have come since it was found [undeclared](Self::undeclared).
    pub fn declare(&mut self, declared: Declared) {
        let Declared { schema, made } = declared;
        self.fields.adopt(made, &schema.fields);
        Arc::make_mut(&mut self.spec).schema = schema;
    }

    /// Counts for each indexed field the points whose values are not all of its kind.
    pub fn odd(&self) -> BTreeMap<String, usize> {
        self.fields.odd(self.rows.alive())
    }

    /// Applies a change that is in the log. Returns how many points it inserted, replaced or
    /// deleted.
    ///
    /// Errors: only for a change that was not [admitted](super::admit): then nothing is applied.
    pub fn apply(&mut self, change: Change) -> Result<usize, IndexError> {
        match change.0 {
            Steps::Upsert(entries) => {
                let dim = self.spec.dim;
                if let Some(bad) = entries.iter().find(|entry| entry.vector.len() != dim) {
                    let (place, got) = (format!("stored point {}", bad.doc.id), bad.vector.len());
                    return Err(IndexError::WrongDimension {
                        place,
                        expected: dim,
                        got,
                    });
                }
                let count = entries.len();
                for Entry { vector, doc, words } in entries {
                    self.put(&vector, doc, words);
                }
                Ok(count)
            }
            Steps::Delete(ids) => Ok(ids.iter().filter(|id| self.delete(id)).count()),
            Steps::Refine(refined) => {
                self.check_refinements(&refined)?;
                Ok(refined.iter().filter(|one| self.refine(one)).count())
            }
        }
    }

    /// Checks second vectors before they are logged, and again when they come out of a log.
    pub fn check_refinements(&self, refined: &[Refinement]) -> Result<(), IndexError> {
        let expected = self.rows.refined().dim();
        for one in refined {
            let place = || format!("second vector of {}", one.id);
            let Code { scale, codes } = &one.code;
            if codes.len() != expected {
                return Err(IndexError::WrongDimension {
                    place: place(),
                    expected,
                    got: codes.len(),
                });
            }
            if !(scale.is_finite() && *scale >= 0.0) {
                return Err(IndexError::BadPoint {
                    place: place(),
                    reason: format!("its scale is {scale}, it must be finite and not negative"),
                });
            }
        }
        Ok(())
    }

    pub(super) fn put(&mut self, vector: &[f32], doc: Arc<Doc>, words: Words) {
        self.delete(&doc.id);
        let id = Arc::clone(&doc.id);
        let row = self.rows.push(vector, Arc::clone(&doc));
        self.lexical.add(row, words);
        self.fields.add(row, &doc.payload);
        self.ids.insert(id, row);
    }

    fn delete(&mut self, id: &str) -> bool {
        let Some(row) = self.ids.remove(id) else {
            return false;
        };
        self.rows.bury(row);
        self.lexical.remove(row);
        true
    }

    /// Gives a point its second vector; `false` when its text is another by now.
    fn refine(&mut self, refined: &Refinement) -> bool {
        let Some(&row) = self.ids.get(refined.id.as_str()) else {
            return false;
        };
        let text = self.rows.doc(row).text.as_deref();
        let same = text.is_some_and(|text| text_hash(text) == refined.text);
        if same {
            self.rows.refine(row, &refined.code);
        }
        same
    }

    /// Copies out up to `limit` ids and texts that wait for a second vector.
    pub fn unrefined(&self, limit: usize) -> Vec<(String, String)> {
        self.rows.unrefined(limit)
    }

    /// How many points have a second vector, and how many wait for theirs.
    pub fn refinable(&self) -> Progress {
        self.rows.refinable()
    }

    /// Reads one point, if `scope` may see it.
    pub fn get(&self, id: &str, scope: Scope<'_>) -> Result<Option<Point>, IndexError> {
        let Some(&row) = self.ids.get(id) else {
            return Ok(None);
        };
        let seen = self.visible(scope)?.contains(row);
        Ok(seen.then(|| self.rows.point(row)))
    }

    /// Tells whether there is a point of this id, which may have expired.
    pub fn contains(&self, id: &str) -> bool {
        self.ids.contains_key(id)
    }

    /// Counts the points that `scope` may see, or those of them that match.
    pub fn count(&self, filter: Option<&Filter>, scope: Scope<'_>) -> Result<usize, IndexError> {
        let visible = self.visible(scope)?;
        Ok(match filter {
            None => visible.count(),
            Some(filter) => filter.select(&self.rows, &self.fields, &visible).0.count(),
        })
    }

    /// Lists the ids of the points that `scope` may see and that match, in order.
    pub fn ids_where(&self, filter: &Filter, scope: Scope<'_>) -> Result<Vec<String>, IndexError> {
        let (found, _) = filter.select(&self.rows, &self.fields, self.visible(scope)?.as_ref());
        let rows = self.ids.iter().filter(|(_, row)| found.contains(**row));
        Ok(rows.map(|(id, _)| id.to_string()).collect())
    }

    /// Reads up to `limit` points that `scope` may see after the id `after`, in order of id, and the id to
    /// go on after.
    pub fn scroll(
        &self,
        after: Option<&str>,
        limit: usize,
        filter: Option<&Filter>,
        scope: Scope<'_>,
    ) -> Result<(Vec<Point>, Option<String>), IndexError> {
        let mut visible = self.visible(scope)?;
        // A page needs few rows: what must be read in payloads is read only until it is full.
        let mut slow = None;
        match filter {
            Some(filter) if filter.is_indexed(&self.fields) => {
                let (found, _) = filter.select(&self.rows, &self.fields, &visible);
                visible = Cow::Owned(found);
            }
            Some(filter) => slow = Some(filter.bound(&self.fields)),
            None => {}
        }
        let passes = |row: u32| {
            let payload = &self.rows.doc(row).payload;
            visible.contains(row) && slow.as_ref().is_none_or(|slow| slow.matches(payload))
        };
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let mut rows = self
            .ids
            .range::<str, _>((from, Bound::Unbounded))
            .map(|(_, row)| *row)
            .filter(|row| passes(*row));
        let points: Vec<Point> = rows
            .by_ref()
            .take(limit)
            .map(|row| self.rows.point(row))
            .collect();
        let more = rows.next().is_some();
        let next = points.last().filter(|_| more).map(|last| last.id.clone());
        Ok((points, next))
    }

    /// The table as it is now; cheap, and later writes do not touch it.
    pub fn view(&self) -> Rows {
        self.rows.clone()
    }

    /// Counts the live points.
    pub fn live(&self) -> usize {
        self.rows.live()
    }

    /// Counts the deleted rows that still take room.
    pub fn tombstones(&self) -> usize {
        self.rows.tombstones()
    }

    /// Counts the different words of the texts.
    pub fn words(&self) -> usize {
        self.lexical.words()
    }

    /// The graph, when there is one.
    pub fn graph(&self) -> Option<&Arc<Graph>> {
        self.graph.as_ref()
    }

    /// Counts the rows newer than the graph.
    pub fn tail(&self) -> usize {
        let covered = self.graph.as_ref().map_or(0, |graph| graph.rows());
        (self.rows.len() - covered) as usize
    }

    /// Tells whether so many rows are deleted that [`compacted`](Self::compacted) is worth it.
    pub fn compaction_is_due(&self, config: &IndexConfig) -> bool {
        let (gone, all) = (self.rows.tombstones(), self.rows.len());
        gone > 0 && gone as f64 >= config.compact_ratio * f64::from(all)
    }

    /// Tells whether the collection is large enough for a graph, and has none that is fresh enough.
    pub fn graph_is_due(&self, config: &IndexConfig) -> bool {
        if self.rows.live() < config.hnsw_threshold {
            return false;
        }
        match &self.graph {
            None => true,
            Some(graph) => self.tail() as f64 >= config.rebuild_ratio * graph.points() as f64,
        }
    }

    /// Builds the graph of `view`. Takes long; holds nothing of the collection. `done` counts the rows
    /// that are in it.
    pub fn graph_of(
        view: &Rows,
        metric: Metric,
        config: &IndexConfig,
        done: &AtomicUsize,
    ) -> Result<Graph, IndexError> {
        backends::build(view, metric, config, done)
    }

    /// Takes a graph into use that was built from a [view](Self::view) of these contents.
    pub fn set_graph(&mut self, graph: Graph) {
        self.graph = Some(Arc::new(graph));
    }

    /// Takes a graph into use that was kept on disk, over the rows that there are now. `false` when it is
    /// none over them.
    pub fn restore_graph(&mut self, sections: Sections, config: &IndexConfig) -> bool {
        let metric = self.spec.metric;
        self.graph = Graph::restored(sections, &self.rows, metric, config.quantise).map(Arc::new);
        self.graph.is_some()
    }

    /// Builds contents that hold only the live rows of `view`, without a graph.
    pub fn compacted(spec: &Arc<CollectionSpec>, view: &Rows) -> Self {
        let mut fresh = Self::new(Arc::clone(spec));
        let mut stems = Stems::default();
        for row in view.alive().iter() {
            fresh.copy(view, row, &mut stems);
        }
        fresh
    }

    /// Brings contents made of `view` up to `now`: what was written since.
    pub fn catch_up(&mut self, view: &Rows, now: &Self) {
        for row in view
            .alive()
            .iter()
            .filter(|row| !now.rows.alive().contains(*row))
        {
            self.delete(&view.doc(row).id);
        }
        let mut stems = Stems::default();
        for row in now.rows.alive().iter_from(view.len()) {
            self.copy(&now.rows, row, &mut stems);
        }
        for row in view.alive().iter() {
            if now.rows.alive().contains(row) && view.refined().get(row).is_none() {
                self.copy_refinement(&now.rows, row);
            }
        }
        if self.spec != now.spec {
            self.declare(self.undeclared(&now.spec.schema).indexed());
        }
    }

    fn copy(&mut self, from: &Rows, row: u32, stems: &mut Stems) {
        let doc = from.doc(row);
        self.put(from.vector(row), Arc::clone(doc), doc.words(stems));
        self.copy_refinement(from, row);
    }

    fn copy_refinement(&mut self, from: &Rows, row: u32) {
        let to = self.ids.get(&from.doc(row).id);
        if let (Some((scale, codes)), Some(&to)) = (from.refined().get(row), to) {
            let codes = codes.to_vec();
            self.rows.refine(to, &Code { scale, codes });
        }
    }
}

/// A schema whose new fields are not indexed yet.
#[derive(Debug)]
pub struct Undeclared {
    schema: Schema,
    new: BTreeMap<String, FieldKind>,
    view: Rows,
}

impl Undeclared {
    /// Indexes the new fields. Takes long; holds nothing of the collection.
    pub fn indexed(self) -> Declared {
        Declared {
            made: Fields::over(&self.new, &self.view),
            schema: self.schema,
        }
    }
}

/// A schema, and the indexes that it needs.
#[derive(Debug)]
pub struct Declared {
    schema: Schema,
    made: Fields,
}

/// A change ready to be applied: the slow part, counting words, is done.
#[derive(Debug)]
pub struct Change(Steps);

#[derive(Debug)]
enum Steps {
    Upsert(Vec<Entry>),
    Delete(Vec<String>),
    Refine(Vec<Refinement>),
}

/// A point on its way in.
#[derive(Debug)]
struct Entry {
    vector: Vec<f32>,
    doc: Arc<Doc>,
    words: Words,
}

impl From<Op> for Change {
    fn from(op: Op) -> Self {
        Self(match op {
            Op::Upsert(points) => {
                let mut stems = Stems::default();
                let entries = points.into_iter().map(|point| Entry::of(point, &mut stems));
                Steps::Upsert(entries.collect())
            }
            Op::Delete(ids) => Steps::Delete(ids),
            Op::Refine(refined) => Steps::Refine(refined),
        })
    }
}

impl Entry {
    fn of(point: Point, stems: &mut Stems) -> Self {
        let Point {
            id,
            vector,
            text,
            payload,
        } = point;
        let doc = Doc {
            id: id.into(),
            text,
            payload,
        };
        let words = doc.words(stems);
        Self {
            vector,
            doc: Arc::new(doc),
            words,
        }
    }
}

#[cfg(test)]
mod tests;

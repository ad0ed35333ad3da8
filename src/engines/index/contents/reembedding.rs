//! Contents whose texts are embedded anew, made beside those that serve.

use std::sync::Arc;

use super::Contents;
use crate::engines::index::admission::prepare;
use crate::engines::index::lexical::Stems;
use crate::engines::index::{IndexError, Rows};
use crate::types::collection::CollectionSpec;

/// Ids of points without a text that an error names.
const IDS_SHOWN: usize = 5;

/// A collection on its way to another model: the points as they were when it began, and those that have their new
/// vector.
///
/// Invariant: no point is written to the contents meanwhile; points may be deleted, fields declared, second vectors come.
#[derive(Debug)]
pub struct Reembedding {
    view: Rows,
    fresh: Contents,
    /// The first row of the view that has no new vector yet.
    next: u32,
    done: usize,
}

impl Reembedding {
    /// Begins with everything still to be embedded. `spec` has the model and its dimension; the rest stays.
    ///
    /// Errors: [`IndexError::NoText`] with the points that cannot be embedded; a dimension that no collection can have.
    pub fn begin(contents: &Contents, spec: CollectionSpec) -> Result<Self, IndexError> {
        super::super::check_spec(&spec)?;
        let view = contents.view();
        let blank = |text: &str| text.chars().all(|c| c.is_whitespace() || c.is_control());
        let textless = view.alive().iter().map(|row| view.doc(row));
        let textless = textless.filter(|doc| doc.text.as_deref().is_none_or(blank));
        let mut ids: Vec<String> = textless.map(|doc| doc.id.to_string()).collect();
        if !ids.is_empty() {
            let count = ids.len();
            ids.sort_unstable();
            ids.truncate(IDS_SHOWN);
            return Err(IndexError::NoText { count, ids });
        }
        Ok(Self {
            fresh: Contents::new(spec),
            view,
            next: 0,
            done: 0,
        })
    }

    /// The collection's properties with the new model.
    pub fn spec(&self) -> &Arc<CollectionSpec> {
        self.fresh.spec()
    }

    /// Points that have their new vector.
    pub fn done(&self) -> usize {
        self.done
    }

    /// All points.
    pub fn of(&self) -> usize {
        self.view.live()
    }

    /// Ids and texts of the next points, up to `limit`; none when all are done.
    pub fn texts(&self, limit: usize) -> Vec<(String, String)> {
        let rows = self.view.alive().iter_from(self.next).take(limit);
        rows.map(|row| {
            let doc = self.view.doc(row);
            let text = doc.text.clone().unwrap_or_default();
            (doc.id.to_string(), text)
        })
        .collect()
    }

    /// Takes the vectors of the next points, in the order of [`Self::texts`].
    ///
    /// Errors: a vector that no point of the collection can have; then none is taken.
    pub fn take(&mut self, vectors: Vec<Vec<f32>>) -> Result<(), IndexError> {
        let rows = self.view.alive().iter_from(self.next);
        let rows: Vec<u32> = rows.take(vectors.len()).collect();
        let spec = Arc::clone(self.fresh.spec());
        let mut ready = Vec::with_capacity(vectors.len());
        for (row, vector) in rows.into_iter().zip(vectors) {
            let place = format!("point {}", self.view.doc(row).id);
            ready.push((row, prepare(vector, &spec, &place)?));
        }
        let mut stems = Stems::default();
        for (row, vector) in ready {
            let doc = Arc::clone(self.view.doc(row));
            let words = doc.words(&mut stems);
            self.fresh.put(&vector, doc, words);
            self.fresh.copy_refinement(&self.view, row);
            self.next = row + 1;
            self.done += 1;
        }
        Ok(())
    }

    /// Brings the new contents up to `now`. By ids: the rows of `now` may have been numbered anew.
    pub fn catch_up(&mut self, now: &Contents) {
        let gone: Vec<Arc<str>> = self.fresh.ids.keys().cloned().collect();
        for id in gone.iter().filter(|id| !now.ids.contains_key(*id)) {
            self.fresh.delete(id);
        }
        for row in now.rows.alive().iter() {
            let to = self.fresh.ids.get(&now.rows.doc(row).id);
            if to.is_some_and(|to| self.fresh.rows.refined().get(*to).is_none()) {
                self.fresh.copy_refinement(&now.rows, row);
            }
        }
        if self.fresh.spec.schema != now.spec.schema {
            let undeclared = self.fresh.undeclared(&now.spec.schema);
            self.fresh.declare(undeclared.indexed());
        }
    }

    /// The new rows.
    pub fn view(&self) -> Rows {
        self.fresh.view()
    }

    /// The new contents.
    pub fn into_contents(self) -> Contents {
        self.fresh
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::engines::index::{Code, Op, Refinement, Scope, text_hash};
    use crate::types::collection::{FieldKind, Refiner, Schema};
    use crate::types::point::{Metric, Point};

    fn spec(dim: usize) -> CollectionSpec {
        CollectionSpec {
            name: "docs".to_owned(),
            dim,
            metric: Metric::Cosine,
            embedder: Some("m".to_owned()),
            fingerprint: Some(format!("of {dim}")),
            refiner: Some(Refiner {
                model: "r".to_owned(),
                fingerprint: "r".to_owned(),
                dim: 2,
            }),
            schema: Schema::default(),
            backend: Default::default(),
            created_ms: 7,
        }
    }

    fn point(id: &str, text: Option<&str>) -> Point {
        Point {
            id: id.to_owned(),
            vector: vec![1.0, 0.0],
            text: text.map(str::to_owned),
            payload: json!({"id": id}).as_object().unwrap().clone(),
        }
    }

    fn contents(points: Vec<Point>) -> Contents {
        let mut contents = Contents::new(spec(2));
        contents.apply(Op::Upsert(points).into()).unwrap();
        contents
    }

    fn refine(contents: &mut Contents, id: &str, text: &str) {
        let refined = Refinement {
            id: id.to_owned(),
            text: text_hash(text),
            code: Code::of(&[0.0, 1.0]),
        };
        let op = Op::Refine(vec![refined]);
        assert_eq!(contents.apply(op.into()).unwrap(), 1);
    }

    #[test]
    fn points_that_cannot_be_embedded_are_named() {
        let mut points = vec![point("b", Some("boat")), point("z", Some(" \n"))];
        points.extend((0..6).map(|n| point(&n.to_string(), None)));
        let error = Reembedding::begin(&contents(points), spec(3)).unwrap_err();
        let ids = ["0", "1", "2", "3", "4"].map(str::to_owned).to_vec();
        assert_eq!(error, IndexError::NoText { count: 7, ids });
    }

    #[test]
    fn a_vector_that_does_not_fit_is_not_taken() {
        let old = contents(vec![point("a", Some("one")), point("b", Some("two"))]);
        let mut new = Reembedding::begin(&old, spec(3)).unwrap();
        for bad in [vec![1.0, 0.0], vec![f32::NAN, 0.0, 0.0], vec![0.0; 3]] {
            assert!(new.take(vec![vec![1.0, 0.0, 0.0], bad]).is_err());
            assert_eq!((new.done(), new.texts(9).len()), (0, 2));
        }
    }

    #[test]
    fn what_happens_meanwhile_is_carried_over() {
        let texts = ["one", "two", "three", "four"];
        let mut now = contents(texts.map(|text| point(text, Some(text))).to_vec());
        refine(&mut now, "one", "one");
        let mut new = Reembedding::begin(&now, spec(3)).unwrap();
        let asked: Vec<(String, String)> = new.texts(2);
        assert_eq!(asked.len(), 2);
        new.take(vec![vec![2.0, 0.0, 0.0], vec![0.0, 1.0, 0.0]])
            .unwrap();
        assert_eq!((new.done(), new.of(), new.texts(9).len()), (2, 4, 2));
        now.apply(Op::Delete(vec!["two".to_owned(), "three".to_owned()]).into())
            .unwrap();
        refine(&mut now, "four", "four");
        let mut schema = now.spec().schema.clone();
        schema.fields.insert("id".to_owned(), FieldKind::Keyword);
        now.declare(now.undeclared(&schema).indexed());
        // The rows are numbered anew meanwhile.
        let mut now = Contents::compacted(now.spec(), &now.view());
        new.take(vec![vec![0.0, 0.0, 1.0]; 2]).unwrap();
        new.catch_up(&now);
        now.apply(Op::Delete(vec!["one".to_owned()]).into())
            .unwrap();
        let view = new.view();
        assert_eq!((view.live(), view.refinements().count()), (2, 2));
        new.catch_up(&now);
        let fresh = new.into_contents();
        assert_eq!(fresh.spec().fingerprint.as_deref(), Some("of 3"));
        assert_eq!(fresh.spec().schema, schema);
        let scope = Scope::at(0);
        let four = fresh.get("four", scope).unwrap().unwrap();
        assert_eq!(four.vector, [0.0, 0.0, 1.0]);
        assert_eq!(four.payload, point("four", None).payload);
        assert_eq!(fresh.live(), 1);
        assert_eq!(fresh.refinable().done, 1);
    }
}

//! From a filter to the rows that match: looked up where fields are indexed, read where not.

use serde::Serialize;

use super::super::fields::Fields;
use super::super::{Bits, Rows};
use super::{Filter, Node, Test, visit};

/// How a filter was answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "server", derive(utoipa::ToSchema))]
pub struct FilterUse {
    /// Fields that were looked up in their index.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub indexed: Vec<String>,
    /// Fields that were read in payloads.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<String>,
    /// How often a payload was read.
    pub payloads_read: usize,
}

impl Filter {
    /// The rows of `within`, which are not deleted, that match.
    pub(in crate::engines::index) fn select(
        &self,
        rows: &Rows,
        fields: &Fields,
        within: &Bits,
    ) -> (Bits, FilterUse) {
        let mut selector = Selector {
            rows,
            fields,
            used: FilterUse::default(),
        };
        let found = selector.node(&self.bound(fields).root, within);
        (found, selector.used)
    }

    /// Whether all its fields are indexed.
    pub(in crate::engines::index) fn is_indexed(&self, fields: &Fields) -> bool {
        is_indexed(&self.root, fields)
    }
}

struct Selector<'a> {
    rows: &'a Rows,
    fields: &'a Fields,
    used: FilterUse,
}

impl Selector<'_> {
    fn node(&mut self, node: &Node, within: &Bits) -> Bits {
        match node {
            // Each reads only what those before have left open, so the cheap ones come first.
            Node::All(nodes) => {
                let mut left = within.clone();
                for node in self.cheap_first(nodes) {
                    left = self.node(node, &left);
                }
                left
            }
            Node::Any(nodes) => {
                let (mut found, mut open) = (Bits::default(), within.clone());
                for node in self.cheap_first(nodes) {
                    let more = self.node(node, &open);
                    open.remove_all(&more);
                    found.add_all(&more);
                }
                found
            }
            Node::Not(node) => {
                let mut left = within.clone();
                left.remove_all(&self.node(node, within));
                left
            }
            Node::Field { path, test } => self.field(path, test, within),
        }
    }

    fn cheap_first<'n>(&self, nodes: &'n [Node]) -> Vec<&'n Node> {
        let (cheap, dear): (Vec<_>, Vec<_>) =
            nodes.iter().partition(|node| is_indexed(node, self.fields));
        cheap.into_iter().chain(dear).collect()
    }

    fn field(&mut self, path: &str, test: &Test, within: &Bits) -> Bits {
        let mut found = Bits::default();
        if let Some(column) = self.fields.get(path)
            && column.answer(test, &mut found)
        {
            note(&mut self.used.indexed, path);
            found.keep_all(within);
            if !column.odd().is_empty() {
                let mut odd = column.odd().clone();
                odd.keep_all(within);
                self.read(path, test, &odd, &mut found);
            }
            return found;
        }
        note(&mut self.used.read, path);
        self.read(path, test, within, &mut found);
        found
    }

    fn read(&mut self, path: &str, test: &Test, rows: &Bits, found: &mut Bits) {
        for row in rows.iter() {
            self.used.payloads_read += 1;
            let payload = &self.rows.doc(row).payload;
            if visit(payload, path, &mut |value| test.matches(value)) {
                found.insert(row);
            }
        }
    }
}

fn is_indexed(node: &Node, fields: &Fields) -> bool {
    match node {
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().all(|node| is_indexed(node, fields)),
        Node::Not(node) => is_indexed(node, fields),
        Node::Field { path, .. } => fields.get(path).is_some(),
    }
}

fn note(paths: &mut Vec<String>, path: &str) {
    if !paths.iter().any(|known| known == path) {
        paths.push(path.to_owned());
    }
}

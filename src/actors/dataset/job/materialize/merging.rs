//! The facts of several journals in one order, and their tasks in the same.

use std::collections::BTreeMap;
use std::path::Path;

use super::DatasetError;
use super::checkpoint::Frames;
use super::partitions::Written;
use super::reading::{Chunk, Read};
use crate::engines::dataset::{ChatIndex, Clock, Fact, Source};

/// A journal's facts from its first to its last.
struct Lane {
    frames: Frames,
    clock: Clock,
    open: Option<Open>,
}

/// The frame that facts are taken of.
struct Open {
    chunk: Chunk,
    at: usize,
    next: Fact,
    left: std::vec::IntoIter<Fact>,
}

impl Lane {
    /// Opens the next frame that has facts, unless one is open.
    fn look(&mut self, source: Source) -> Result<(), DatasetError> {
        while self.open.is_none() {
            let Some(frame) = self.frames.next().transpose()? else {
                return Ok(());
            };
            let chunk = Chunk::begin(source, frame.span, frame.facts.len());
            let mut left = frame.facts.into_iter();
            self.open = left.next().map(|next| Open {
                chunk,
                at: 0,
                next,
                left,
            });
        }
        Ok(())
    }

    fn place(&self) -> Option<(u64, Source)> {
        let open = self.open.as_ref()?;
        Some(self.clock.next(open.next.ts()))
    }
}

/// Gathers the facts that were kept of several journals; those of `replicas` are in `dir`.
pub(super) fn merge(
    dir: &Path,
    replicas: &[Option<String>],
    read: &mut Read,
    tick: &mut dyn FnMut(),
) -> Result<(), DatasetError> {
    let mut lanes = Vec::new();
    for (source, replica) in (0..).zip(replicas) {
        let mut lane = Lane {
            frames: Frames::open(dir, replica.as_deref())?,
            clock: Clock::of(source),
            open: None,
        };
        lane.look(source)?;
        lanes.push(lane);
    }
    loop {
        let first = lanes.iter_mut().filter(|lane| lane.open.is_some());
        let Some(lane) = first.min_by_key(|lane| lane.place()) else {
            return Ok(());
        };
        let Some((_, source)) = lane.place() else {
            return Ok(());
        };
        let Some(mut open) = lane.open.take() else {
            return Ok(());
        };
        lane.clock.pass(open.next.ts());
        match open.left.next() {
            Some(next) => {
                let fact = std::mem::replace(&mut open.next, next);
                open.chunk.gather(open.at, fact, &mut read.join);
                open.at += 1;
                lane.open = Some(open);
            }
            None => {
                open.chunk.gather(open.at, open.next, &mut read.join);
                read.chunks.push(open.chunk);
                lane.look(source)?;
                tick();
            }
        }
    }
}

/// Tasks that wait for those before them.
#[derive(Default)]
pub(super) struct InOrder(BTreeMap<ChatIndex, Written>);

impl InOrder {
    pub(super) fn add(&mut self, tasks: Vec<(ChatIndex, Written)>) {
        self.0.extend(tasks);
    }

    /// Those before a completion, in order.
    pub(super) fn before(&mut self, next: ChatIndex) -> impl Iterator<Item = Written> + use<> {
        let later = self.0.split_off(&next);
        std::mem::replace(&mut self.0, later).into_values()
    }

    /// All that are left.
    pub(super) fn rest(self) -> impl Iterator<Item = Written> {
        self.0.into_values()
    }
}

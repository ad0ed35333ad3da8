//! Reading the journal's files beside its writer, and changing those that are complete.

use std::path::Path;

use supervisors::{Deadline, Fault};
use tokio::sync::OwnedMutexGuard;

use super::journal::{Answer, no_answer};
use super::{EvidenceReply, EvidenceRequest, Journal};
use crate::engines::evidence::{EvidenceFilter, Found, Selection, Subject};
use crate::storage::backup::Pinned;
use crate::storage::evidence_log::{
    Appended, ChangeDone, EvidenceLogError, Head, NewRecord, Page, PageQuery, Retain,
    finish_change, page, pin_beside, pin_segments, records, retain, segments,
};

/// The right to change the journal's files: one at a time has it.
pub struct ChangeRight(#[expect(dead_code, reason = "held, not read")] OwnedMutexGuard<()>);

impl Journal {
    /// Reads a page of the records that suit, on a thread of its own.
    pub async fn page(
        &self,
        query: PageQuery,
        filter: EvidenceFilter,
        deadline: Deadline,
    ) -> Answer<Page> {
        let read = move |dir: &Path| page(dir, &query, |record| filter.suits(record));
        self.read(deadline, read).await
    }

    /// Reads the whole journal as it is now for the records of a subject.
    pub async fn find(&self, subject: Subject, deadline: Deadline) -> Answer<Found> {
        let read = move |dir: &Path| {
            let mut selection = Selection::new(subject);
            for line in records(dir, segments(dir)?) {
                selection.take(&line?);
            }
            Ok(selection.found())
        };
        self.read(deadline, read).await
    }

    /// What the settings want to be removed at a time, Unix milliseconds.
    pub async fn retention(&self, now_ms: u64, deadline: Deadline) -> Answer<Retain> {
        let config = self.config.clone();
        let read = move |dir: &Path| retain(dir, &config, now_ms);
        self.read(deadline, read).await
    }

    /// Waits for the right to change files, and completes a change that a crash has interrupted.
    pub async fn change_right(&self, deadline: Deadline) -> Answer<ChangeRight> {
        let left = deadline.remaining();
        let locked = tokio::time::timeout(left, self.changing.clone().lock_owned()).await;
        let right = ChangeRight(locked.map_err(|_| Fault::Hung { after: left })?);
        Ok(self.finish_change(right).await?.0)
    }

    /// Pins the journal's files for a backup, up to the head that comes with them. No file is changed meanwhile; appends go on.
    pub async fn pin(&self, deadline: Deadline) -> Answer<(Vec<Pinned>, Head)> {
        let right = self.change_right(deadline).await?;
        // In this order: what stands beside the segments knows of no record after the head.
        let mut files = self.read(deadline, pin_beside).await?;
        let head = self.head(deadline).await?;
        let upto = head.clone();
        let segments = move |dir: &Path| pin_segments(dir, &upto);
        files.extend(self.read(deadline, segments).await?);
        drop(right);
        Ok((files, head))
    }

    /// Completes the file that is written to, so that it can be removed one day.
    pub async fn complete_segment(&self, deadline: Deadline) -> Answer<()> {
        let request = EvidenceRequest::CompleteSegment;
        self.cell.ask(request, deadline).await.map(drop)
    }

    /// Appends the records of a change, which concerns records up to `upto`, then makes it.
    ///
    /// Cancel safety: a change that was begun is completed by whoever next has the right, or at the next start.
    pub async fn change(
        &self,
        right: ChangeRight,
        upto: u64,
        told: Vec<NewRecord>,
        deadline: Deadline,
    ) -> Answer<(Vec<Appended>, ChangeDone)> {
        let request = EvidenceRequest::BeginChange(upto, told);
        let EvidenceReply::Begun(begun) = self.cell.ask(request, deadline).await? else {
            return Err(no_answer());
        };
        let (_, done) = self.finish_change(right).await?;
        Ok((begun, done))
    }

    async fn finish_change(&self, right: ChangeRight) -> Answer<(ChangeRight, ChangeDone)> {
        let dir = self.dir.clone();
        // The right goes along: who waits for this may be gone before it ends.
        let finished =
            tokio::task::spawn_blocking(move || finish_change(&dir).map(|done| (right, done)));
        let finished = finished.await.map_err(|_| no_answer())?;
        finished.map_err(Fault::App)
    }

    async fn read<T: Send + 'static>(
        &self,
        deadline: Deadline,
        work: impl FnOnce(&Path) -> Result<T, EvidenceLogError> + Send + 'static,
    ) -> Answer<T> {
        let (dir, readings) = (self.dir.clone(), self.readings.clone());
        let reading = async {
            let permit = readings.acquire_owned().await.map_err(|_| no_answer())?;
            let read = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                work(&dir)
            });
            read.await.map_err(|_| no_answer())?.map_err(Fault::App)
        };
        let left = deadline.remaining();
        let read = tokio::time::timeout(left, reading).await;
        read.unwrap_or(Err(Fault::Hung { after: left }))
    }
}

//! What workers are booked for already.

use std::io::Cursor;

use super::postings::{Postings, hash};
use super::table::{Table, read_csv};
use super::words::Words;
use super::{folded, id_key, same_id};
use crate::engines::validation::ValidationError;
use crate::engines::validation::period::{Moment, Period};
use jiff::tz::TimeZone;

/// Every known booking, found by the worker. Built once, then only read.
///
/// Columns: `worker_id, start`, and optional `end` and `client_id`. Others are left alone.
#[derive(Debug)]
pub struct Calendar {
    bookings: Vec<Booking>,
    ids: String,
    clients: Words,
    by_worker: Postings,
}

#[derive(Debug)]
struct Booking {
    id: u32,
    id_len: u32,
    start: Moment,
    end: Option<Moment>,
    client: Option<u32>,
}

/// One booking of a worker.
#[derive(Debug, Clone, Copy)]
pub(in crate::engines::validation) struct Booked<'c> {
    /// From when to when.
    pub(in crate::engines::validation) period: Period,
    /// For whom, where that is known.
    pub(in crate::engines::validation) client_id: Option<&'c str>,
}

impl Default for Calendar {
    fn default() -> Self {
        Self {
            bookings: Vec::new(),
            ids: String::new(),
            clients: Words::new(folded),
            by_worker: Postings::default(),
        }
    }
}

impl Calendar {
    /// Reads a calendar from CSV text whose first line names the columns.
    ///
    /// Errors: [`ValidationError::Table`] with line and column.
    pub fn parse_csv(text: &str) -> Result<Self, ValidationError> {
        Ok(read_csv("calendar", Cursor::new(text))?)
    }

    /// Number of bookings.
    pub fn len(&self) -> usize {
        self.bookings.len()
    }

    /// Whether nobody is booked.
    pub fn is_empty(&self) -> bool {
        self.bookings.is_empty()
    }

    /// The bookings of a worker; times without an offset are read in `zone`.
    pub(in crate::engines::validation) fn of<'c>(
        &'c self,
        worker_id: &str,
        zone: Option<&TimeZone>,
    ) -> impl Iterator<Item = Booked<'c>> {
        let key = id_key(worker_id);
        let rows = self.by_worker.of(hash(&key));
        let bookings = rows.filter_map(|at| self.bookings.get(at as usize));
        bookings
            .filter(move |booking| same_id(self.id(booking), &key))
            .filter_map(move |booking| {
                Some(Booked {
                    period: Period::new(booking.start, booking.end, zone)?,
                    client_id: booking.client.map(|client| self.clients.text(client)),
                })
            })
    }

    fn id(&self, booking: &Booking) -> &str {
        let (from, len) = (booking.id as usize, booking.id_len as usize);
        self.ids.get(from..from + len).unwrap_or_default()
    }
}

impl Table for Calendar {
    const NAME: &'static str = "calendar";
    const REQUIRED: &'static [&'static str] = &["worker_id", "start"];
    const OPTIONAL: &'static [&'static str] = &["end", "client_id"];

    fn add(&mut self, row: &[String]) -> Result<(), (&'static str, String)> {
        let [worker_id, start, end, client_id] = row else {
            return Err(("worker_id", "is of another table".to_owned()));
        };
        let moment = |column, text: &str| {
            Moment::parse(text).map_err(|wanted| {
                let shown = crate::engines::validation::shown::quoted(text);
                (column, format!("is {shown}: {wanted}"))
            })
        };
        let start = moment("start", start)?;
        let end = match end.as_str() {
            "" => None,
            end => Some(moment("end", end)?),
        };
        if Period::new(start, end, None).is_none() {
            return Err(("end", "is not after start".to_owned()));
        }
        let too_many = |_| {
            (
                "worker_id",
                "is one too many: the calendar is full".to_owned(),
            )
        };
        let at = u32::try_from(self.bookings.len()).map_err(too_many)?;
        let booking = Booking {
            id: u32::try_from(self.ids.len()).map_err(too_many)?,
            id_len: u32::try_from(worker_id.len()).map_err(too_many)?,
            start,
            end,
            client: (!client_id.is_empty()).then(|| self.clients.add(client_id)),
        };
        self.ids.push_str(worker_id);
        self.by_worker.add(hash(&id_key(worker_id)), at);
        self.bookings.push(booking);
        Ok(())
    }

    fn finish(&mut self) {
        self.bookings.shrink_to_fit();
        self.ids.shrink_to_fit();
        self.by_worker.finish();
    }
}

//! Texts that are being computed: who asks for one of them again waits for it instead.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::engines::embedding::{CacheKey, CachedVector};

/// What waiting for another request's text brings.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Arrival {
    /// Its vector.
    Landed(CachedVector),
    /// The message failed. Which of its texts was at fault is not known: compute on your own.
    Failed,
    /// The request that computed it was cancelled: ask again.
    Gone,
}

#[derive(Debug, Clone)]
enum Course {
    InTheAir,
    Landed(Arc<[CachedVector]>),
    Failed,
}

/// The table of texts that are being computed.
#[derive(Default)]
pub(super) struct Flights {
    seats: Mutex<HashMap<CacheKey, Seat>>,
}

/// A place in a flight.
#[derive(Clone)]
pub(super) struct Seat {
    course: watch::Receiver<Course>,
    place: usize,
}

/// Texts that the holder computes. Dropped before it lands, it tells those who wait.
pub(super) struct Flight {
    flights: Arc<Flights>,
    // Invariant: the place of a key is that of its vector in `Course::Landed`.
    keys: Vec<CacheKey>,
    course: watch::Sender<Course>,
}

impl Flights {
    /// For each key: the seat in the flight that computes it already, or `None` when the returned
    /// flight now does. The flight's keys are those, in their order.
    pub(super) fn board(self: &Arc<Self>, keys: &[CacheKey]) -> (Flight, Vec<Option<Seat>>) {
        let (course, receiver) = watch::channel(Course::InTheAir);
        let mut own = Vec::new();
        let mut table = self.table();
        let seats = keys
            .iter()
            .map(|key| {
                let taken = table.get(key).cloned();
                if taken.is_none() {
                    let seat = Seat {
                        course: receiver.clone(),
                        place: own.len(),
                    };
                    table.insert(*key, seat);
                    own.push(*key);
                }
                taken
            })
            .collect();
        drop(table);
        let flight = Flight {
            flights: Arc::clone(self),
            keys: own,
            course,
        };
        (flight, seats)
    }

    fn table(&self) -> MutexGuard<'_, HashMap<CacheKey, Seat>> {
        // What is done under the lock leaves the table whole even where it panics.
        self.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flight {
    /// Hands the vectors, one for each key, to those who wait.
    pub(super) fn land(self, vectors: Vec<CachedVector>) {
        self.course.send_replace(Course::Landed(vectors.into()));
    }

    /// Tells those who wait that there will be none.
    pub(super) fn fail(self) {
        self.course.send_replace(Course::Failed);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut table = self.flights.table();
        for key in &self.keys {
            table.remove(key);
        }
    }
}

impl Seat {
    /// Waits for the flight.
    pub(super) async fn arrive(mut self) -> Arrival {
        loop {
            match &*self.course.borrow_and_update() {
                Course::Landed(vectors) => {
                    return vectors
                        .get(self.place)
                        .map_or(Arrival::Failed, |vector| Arrival::Landed(vector.clone()));
                }
                Course::Failed => return Arrival::Failed,
                Course::InTheAir => {}
            }
            if self.course.changed().await.is_err() {
                return Arrival::Gone;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(texts: &[&str]) -> Vec<CacheKey> {
        texts.iter().map(|text| CacheKey::of("m", text)).collect()
    }

    fn vector(value: f32) -> CachedVector {
        CachedVector::new(vec![value].into(), 1)
    }

    #[tokio::test]
    async fn a_text_in_the_air_is_waited_for_and_gets_its_own_vector() {
        let flights = Arc::new(Flights::default());
        let (first, seats) = flights.board(&keys(&["a", "b"]));
        assert!(seats.iter().all(Option::is_none));
        let (second, mut seats) = flights.board(&keys(&["c", "b"]));
        assert!(seats[0].is_none());
        let seat = seats[1].take().unwrap();
        first.land(vec![vector(1.0), vector(2.0)]);
        assert_eq!(seat.arrive().await, Arrival::Landed(vector(2.0)));
        drop(second);
        let (_third, seats) = flights.board(&keys(&["a", "b", "c"]));
        assert!(seats.iter().all(Option::is_none), "nothing stays behind");
    }

    #[tokio::test]
    async fn a_failure_and_a_cancelled_request_are_told_apart() {
        let flights = Arc::new(Flights::default());
        for (fails, expected) in [(true, Arrival::Failed), (false, Arrival::Gone)] {
            let (flight, _) = flights.board(&keys(&["a"]));
            let (_other, mut seats) = flights.board(&keys(&["a"]));
            if fails {
                flight.fail();
            } else {
                drop(flight);
            }
            assert_eq!(seats[0].take().unwrap().arrive().await, expected);
        }
    }
}

//! Counts the bytes that are looked at more than once, for the test that the cost is linear.

#[cfg(test)]
use std::cell::Cell;

#[cfg(test)]
thread_local! {
    static STEPS: Cell<usize> = const { Cell::new(0) };
}

/// Notes `count` more bytes; nothing outside of tests.
pub(super) fn tick(count: usize) {
    #[cfg(test)]
    STEPS.with(|steps| steps.set(steps.get() + count));
    let _ = count;
}

/// The bytes noted by `run`.
#[cfg(test)]
pub(super) fn counted(run: impl FnOnce()) -> usize {
    STEPS.with(|steps| steps.set(0));
    run();
    STEPS.with(Cell::get)
}

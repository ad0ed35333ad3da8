//! Panics caught and described: the hook notes where and why, the fence turns it into a report.

use std::any::Any;
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Once;
use std::task::{Context, Poll};

/// A panic as the hook saw it.
#[derive(Debug)]
pub(crate) struct Panic {
    pub(crate) message: String,
    pub(crate) location: String,
    pub(crate) backtrace: Option<Backtrace>,
}

thread_local! {
    static FENCED: Cell<u32> = const { Cell::new(0) };
    static SEEN: RefCell<Option<(String, Backtrace)>> = const { RefCell::new(None) };
}

/// Installs the hook once. A panic outside a fence goes to the hook that was there before.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if FENCED.try_with(Cell::get).unwrap_or(0) == 0 {
                return previous(info);
            }
            let location = info
                .location()
                .map_or_else(String::new, ToString::to_string);
            // Captured here: when the fence sees the panic, the stack is gone. Symbols wait for printing.
            let backtrace = Backtrace::force_capture();
            let _ = SEEN.try_with(|seen| seen.replace(Some((location, backtrace))));
        }));
    });
}

/// Runs `work`; a panic becomes a value.
pub(crate) fn fenced<T>(work: impl FnOnce() -> T) -> Result<T, Panic> {
    FENCED.set(FENCED.get() + 1);
    // Unwind safety: whatever `work` touched is dropped or replaced by the caller after a panic.
    let outcome = catch_unwind(AssertUnwindSafe(work));
    FENCED.set(FENCED.get() - 1);
    outcome.map_err(|payload| {
        let message = message_of(payload.as_ref());
        // The payload's own drop may panic too.
        let dropped = catch_unwind(AssertUnwindSafe(move || drop(payload)));
        if let Err(second) = dropped {
            // A payload that panics on every drop is leaked rather than followed.
            std::mem::forget(second);
        }
        let (location, backtrace) = SEEN.take().unzip();
        Panic {
            message,
            location: location.unwrap_or_default(),
            backtrace,
        }
    })
}

fn message_of(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic with a payload that is not text".to_owned());
    text.chars().take(2_000).collect()
}

/// Polls `work` behind the fence. After a panic it must not be polled again.
pub(crate) fn poll_fenced<F: Future>(
    work: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Poll<Result<F::Output, Panic>> {
    let polled = fenced(|| match work.as_pin_mut() {
        Some(work) => work.poll(cx),
        None => Poll::Pending,
    });
    match polled {
        Ok(polled) => polled.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }

    #[test]
    fn a_panic_becomes_its_message_and_place() {
        install_hook();
        let panic = fenced(|| -> () { panic!("no {}", "way") }).unwrap_err();
        assert_eq!(panic.message, "no way");
        assert!(panic.location.contains("fence.rs"), "{}", panic.location);
        assert!(panic.backtrace.is_some());
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_contained() {
        install_hook();
        let panic = fenced(|| std::panic::panic_any(Bomb))
            .map(|_: ()| ())
            .unwrap_err();
        assert!(panic.message.contains("not text"));
        assert_eq!(fenced(|| 1).unwrap(), 1);
    }
}

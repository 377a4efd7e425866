//! Turns results and panics into statuses and the text of the last error.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::status::{self, kvds_status};
use crate::error::{Error, Kind, Result};

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// The text of the last error on this thread; empty once the thread's locals are gone.
pub fn last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Runs the body of `function`, which returns a status.
#[inline(always)]
pub fn status(function: &'static str, body: impl FnOnce() -> Result<kvds_status>) -> kvds_status {
    run(body, move |error| {
        remember(function, &error);
        status::of(&error)
    })
}

/// Runs the body of `function`, which returns something other than a status: `otherwise` on
/// failure.
#[inline(always)]
pub fn value<R: Copy>(function: &'static str, otherwise: R, body: impl FnOnce() -> Result<R>) -> R {
    run(body, move |error| {
        remember(function, &error);
        otherwise
    })
}

// Errors become statuses inside the unwind guard, so that its result fits into a register.
#[inline(always)]
fn run<R>(body: impl FnOnce() -> Result<R>, failed: impl Fn(Error) -> R + Copy) -> R {
    // Unwind safe: state that a panic can leave inconsistent is behind locks that recover, or local
    // to the call.
    let guarded = AssertUnwindSafe(move || body().unwrap_or_else(failed));
    catch_unwind(guarded).unwrap_or_else(|panic| failed(caught(&*panic)))
}

#[cold]
fn caught(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    Error::new(
        Kind::Internal,
        format!("a bug in kvds: {}", text.unwrap_or("a panic without a message")),
    )
}

#[cold]
fn remember(function: &'static str, error: &Error) {
    let text = format!("{function}: {error}").replace('\0', "\u{FFFD}");
    // The locals of a thread that is ending may be gone already; then the text is dropped.
    let _ = LAST.try_with(|last| *last.borrow_mut() = CString::new(text).unwrap_or_default());
}

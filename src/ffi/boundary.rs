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

/// Returns the text of the last error on this thread; empty if the thread is ending and has no
/// thread-locals.
pub fn last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Runs the body of `function`, and turns an error into its status.
#[inline(always)]
pub fn status(function: &'static str, body: impl FnOnce() -> Result<kvds_status>) -> kvds_status {
    run(body, move |error| {
        remember(function, &error);
        status::of(&error)
    })
}

/// Runs the body of `function`, and returns `otherwise` on an error.
#[inline(always)]
pub fn value<R: Copy>(function: &'static str, otherwise: R, body: impl FnOnce() -> Result<R>) -> R {
    run(body, move |error| {
        remember(function, &error);
        otherwise
    })
}

// Errors become statuses inside the unwind guard, so that its result fits into a register.
#[inline(always)]
fn run<R>(body: impl FnOnce() -> Result<R>, on_error: impl Fn(Error) -> R + Copy) -> R {
    // Unwind safe: state that a panic can leave inconsistent is protected by locks that recover, or
    // local to the call.
    let guarded = AssertUnwindSafe(move || body().unwrap_or_else(on_error));
    catch_unwind(guarded).unwrap_or_else(|panic| on_error(panic_error(&*panic)))
}

#[cold]
fn panic_error(panic: &(dyn Any + Send)) -> Error {
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
    // A thread that is ending may have no thread-locals; then the text is dropped.
    let _ = LAST.try_with(|last| *last.borrow_mut() = CString::new(text).unwrap_or_default());
}

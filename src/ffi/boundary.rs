//! The way out: from results and panics to what C understands.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::{CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::status::{self, kvds_status};
use crate::error::{Error, Kind, Result};

thread_local! {
    static LAST: RefCell<CString> = RefCell::default();
}

/// The text of the last failure on the calling thread, in English: the function, the store, what is wrong, the path and the
/// cause, as far as there are such. Meaningful after a negative status or a NULL that stands for a failure. Valid until the
/// next failing call on the same thread; a call that succeeds, or says a plain "no", leaves it alone. Never NULL; empty
/// before the first failure. Threads: any, each has its own.
#[unsafe(no_mangle)]
pub extern "C" fn kvds_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Runs the body of `function`, which answers with a status.
#[inline(always)]
pub fn status(function: &'static str, body: impl FnOnce() -> Result<kvds_status>) -> kvds_status {
    run(body, move |error| {
        remember(function, &error);
        status::of(&error)
    })
}

/// Runs the body of `function`, which answers with something else, and with `otherwise` when it fails.
#[inline(always)]
pub fn value<R: Copy>(function: &'static str, otherwise: R, body: impl FnOnce() -> Result<R>) -> R {
    run(body, move |error| {
        remember(function, &error);
        otherwise
    })
}

// Failures become answers before the guard against panics is left, so that what comes out of it fits into a register.
#[inline(always)]
fn run<R>(body: impl FnOnce() -> Result<R>, failed: impl Fn(Error) -> R + Copy) -> R {
    // What a panic can leave behind is behind locks that recover, or is this call's own.
    let guarded = AssertUnwindSafe(move || body().unwrap_or_else(failed));
    catch_unwind(guarded).unwrap_or_else(|panic| failed(caught(&*panic)))
}

#[cold]
fn caught(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    Error::new(Kind::Internal, format!("a bug in kvds: {}", text.unwrap_or("a panic without a message")))
}

#[cold]
fn remember(function: &'static str, error: &Error) {
    let text = format!("{function}: {error}").replace('\0', "\u{FFFD}");
    // A thread that is ending has no place for the text any more, and nobody to read it.
    let _ = LAST.try_with(|last| *last.borrow_mut() = CString::new(text).unwrap_or_default());
}

//! Damaged disk stores: what is damaged, and saving the rest.

use std::any::Any;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::panic::{self, AssertUnwindSafe};

use super::{Options, Result, check, ffi, lent, text};

/// What a damage costs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    Nothing,
    Pairs,
    Ttls,
}

/// A damage of one file.
pub struct Damage<'a> {
    pub file: &'a [u8],
    pub problem: &'a [u8],
    pub loss: Loss,
    /// The first and last keys that the loss can affect, where they are known.
    pub first: Option<&'a [u8]>,
    pub last: Option<&'a [u8]>,
}

/// What was saved.
pub use ffi::Salvaged;

/// What a reading of all files found.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Whole,
    Damaged,
    NoStore,
    Stopped,
}

/// Gets each damage, and the bytes that are done, of how many. Returns whether to continue.
pub type Visit<'a> = &'a mut dyn FnMut(Option<Damage<'_>>, u64, u64) -> bool;

/// Reads all files of the store in the directory `path`, and verifies their checksums.
pub fn verify(path: &[u8], options: &Options, visit: Visit<'_>) -> Result<Verdict> {
    let path = text(path)?;
    let status = visited(visit, |call, user_data| {
        // SAFETY: the text ends with a NUL, and the callback gets its own data.
        unsafe { ffi::kvds_verify(path.as_ptr(), options.as_ptr(), call, user_data) }
    });
    Ok(match status {
        ffi::CORRUPTION => Verdict::Damaged,
        status => match check(status)? {
            ffi::NOT_FOUND => Verdict::NoStore,
            ffi::STOPPED => Verdict::Stopped,
            _ => Verdict::Whole,
        },
    })
}

/// Copies what can be read of the store in the directory `path` to a new one in `target`.
///
/// The verdict does not say whether there was damage.
pub fn salvage(
    path: &[u8],
    target: &[u8],
    options: &Options,
    visit: Visit<'_>,
) -> Result<(Verdict, Salvaged)> {
    let (path, target) = (text(path)?, text(target)?);
    let mut salvaged = Salvaged::default();
    let status = visited(visit, |call, user_data| {
        let (path, target) = (path.as_ptr(), target.as_ptr());
        // SAFETY: the texts end with a NUL, and the callback gets its own data.
        unsafe { ffi::kvds_salvage(path, target, options.as_ptr(), call, user_data, &mut salvaged) }
    });
    let verdict = match check(status)? {
        ffi::NOT_FOUND => Verdict::NoStore,
        ffi::STOPPED => Verdict::Stopped,
        _ => Verdict::Whole,
    };
    Ok((verdict, salvaged))
}

/// What the callback gets.
struct Visitor<'a> {
    visit: Visit<'a>,
    panic: Option<Box<dyn Any + Send>>,
}

/// Calls a function with a callback that calls `visit`.
fn visited(
    visit: Visit<'_>,
    function: impl FnOnce(ffi::DamageVisit, *mut c_void) -> ffi::Status,
) -> ffi::Status {
    let mut visitor = Visitor { visit, panic: None };
    let status = function(Some(call), (&raw mut visitor).cast());
    match visitor.panic {
        Some(panic) => panic::resume_unwind(panic),
        None => status,
    }
}

unsafe extern "C" fn call(
    user_data: *mut c_void,
    damage: *const ffi::Damage,
    done: u64,
    total: u64,
) -> c_int {
    // SAFETY: this is the pointer of `visited`, and the library calls back from its thread.
    let visitor = unsafe { &mut *user_data.cast::<Visitor<'_>>() };
    // SAFETY: the damage is NULL or valid during the call.
    let damage = unsafe { damage.as_ref() }.map(|damage| Damage {
        file: c_bytes(damage.file),
        problem: c_bytes(damage.problem),
        loss: match damage.loss {
            ffi::LOSS_NONE => Loss::Nothing,
            ffi::LOSS_TTLS => Loss::Ttls,
            _ => Loss::Pairs,
        },
        first: key(damage.first, damage.first_len),
        last: key(damage.last, damage.last_len),
    });
    // A panic must not unwind through C.
    let visit = AssertUnwindSafe(|| (visitor.visit)(damage, done, total));
    match panic::catch_unwind(visit) {
        Ok(go_on) => go_on.into(),
        Err(panic) => {
            visitor.panic = Some(panic);
            0
        }
    }
}

fn c_bytes<'a>(text: *const c_char) -> &'a [u8] {
    // SAFETY: the library passes texts that end with a NUL.
    unsafe { CStr::from_ptr(text) }.to_bytes()
}

fn key<'a>(data: *const c_void, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the bytes are valid during the call.
    (!data.is_null()).then(|| unsafe { lent(data, len) })
}

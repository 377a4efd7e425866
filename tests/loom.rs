//! Models of code that depends on the memory model. loom tries every execution that the memory
//! model allows. `make models` runs them; other builds are empty.
#![cfg(loom)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use kvds::testing::{Counted, Gate, Ref, Target};
use loom::cell::UnsafeCell;
use loom::thread;

/// A cell that loom checks: readers may overlap, and a writer must come after all readers.
#[derive(Default)]
struct Watched(UnsafeCell<()>);

impl Watched {
    fn see(&self) {
        self.0.with(|_| ());
    }

    fn change(&self) {
        self.0.with_mut(|_| ());
    }
}

/// The value in a gate. Dropping it writes to the cell. The counter of values is an atomic that
/// loom does not see, so that counting adds no ordering.
struct Value {
    watched: Watched,
    living: Arc<AtomicUsize>,
}

impl Value {
    fn new(living: &Arc<AtomicUsize>) -> Value {
        living.fetch_add(1, SeqCst);
        Value { watched: Watched::default(), living: living.clone() }
    }
}

impl Clone for Value {
    fn clone(&self) -> Value {
        Value::new(&self.living)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.watched.change();
        self.living.fetch_sub(1, SeqCst);
    }
}

fn gate() -> (Arc<Gate<Value>>, Arc<AtomicUsize>) {
    let living = Arc::default();
    let value = Value::new(&living);
    (Arc::new(Gate::new(value)), living)
}

fn call(gate: &Arc<Gate<Value>>) -> thread::JoinHandle<()> {
    let gate = gate.clone();
    thread::spawn(move || {
        if let Some(value) = gate.enter() {
            value.watched.see();
            // Another thread may run while this one is inside: loom switches threads only at
            // atomics.
            gate.is_open();
            value.watched.see();
        }
    })
}

fn join(thread: thread::JoinHandle<()>) {
    thread.join().expect("the thread did not panic");
}

#[test]
fn close_waits_for_running_calls() {
    loom::model(|| {
        let (gate, living) = gate();
        let calls = [call(&gate), call(&gate)];
        assert!(gate.close(true));
        assert_eq!(living.load(SeqCst), 0, "no call is inside, and the value is dropped");
        assert!(gate.enter().is_none());
        calls.into_iter().for_each(join);
    });
}

/// Either close finds no call inside, or the last call to leave finds the gate closed.
#[test]
fn without_waiting_the_last_call_drops_the_value() {
    loom::model(|| {
        let (gate, living) = gate();
        let calls = [call(&gate), call(&gate)];
        assert!(gate.close(false));
        calls.into_iter().for_each(join);
        assert_eq!(living.load(SeqCst), 0, "the value is dropped");
    });
}

#[test]
fn only_one_close_succeeds() {
    loom::model(|| {
        let (gate, living) = gate();
        let closed = Arc::new(AtomicUsize::new(0));
        let close = |wait| {
            let (gate, closed) = (gate.clone(), closed.clone());
            thread::spawn(move || _ = closed.fetch_add(gate.close(wait).into(), SeqCst))
        };
        let closings = [close(true), close(false)];
        if let Some(value) = gate.enter() {
            value.watched.see();
        }
        closings.into_iter().for_each(join);
        assert_eq!((closed.load(SeqCst), living.load(SeqCst)), (1, 0));
    });
}

/// A target that two owners change, each in its own part. Its end reads both parts.
struct Shared {
    parts: [Watched; 2],
    ends: Arc<AtomicUsize>,
}

impl Target for Shared {
    const KIND: u32 = 1;

    fn released(&self) {
        self.parts.iter().for_each(Watched::change);
        self.ends.fetch_add(1, SeqCst);
    }
}

fn shared() -> (Ref<Shared>, Arc<AtomicUsize>) {
    let ends = Arc::<AtomicUsize>::default();
    (Ref::new(Shared { parts: Default::default(), ends: ends.clone() }), ends)
}

/// The end runs once, after all changes by the owners.
#[test]
fn the_target_ends_once_after_all_uses() {
    loom::model(|| {
        let (first, ends) = shared();
        let second = first.clone();
        let other = thread::spawn(move || {
            second.parts[1].change();
            drop(second);
        });
        first.parts[0].change();
        let left = first.release();
        assert!(left == 1 || ends.load(SeqCst) == 1, "at none, the end has been");
        join(other);
        assert_eq!(ends.load(SeqCst), 1);
    });
}

/// A thread that asks for a store while its last reference is released gets a living store or none.
#[test]
fn an_ended_target_is_not_revived() {
    loom::model(|| {
        let (last, ends) = shared();
        let kept: Arc<Counted<Shared>> = last.as_arc().clone();
        let counted = ends.clone();
        let other = thread::spawn(move || {
            let Some(revived) = Ref::upgrade(&kept) else { return };
            assert_eq!(counted.load(SeqCst), 0, "it lives");
            revived.parts[1].change();
            drop(revived);
        });
        last.parts[0].change();
        drop(last);
        join(other);
        assert_eq!(ends.load(SeqCst), 1);
    });
}

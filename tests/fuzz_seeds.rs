//! What fuzzers found, once more: every file in `fuzz/seeds` goes to the body of its target. `make fuzz` looks for more.

use std::fs;
use std::path::Path;

#[path = "../fuzz/bodies/boundary.rs"]
mod boundary;
#[allow(dead_code)]
mod common;
#[path = "../fuzz/bodies/identifiers.rs"]
mod identifiers;
mod model {
    pub mod program;
}
#[path = "../fuzz/bodies/operations.rs"]
mod operations;

fn replay(target: &str, body: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&directory).expect("the seeds can be listed") {
        let path = entry.expect("the seeds can be listed").path();
        let data = fs::read(&path).expect("a seed can be read");
        if std::panic::catch_unwind(|| body(&data)).is_err() {
            panic!("over {}", path.display());
        }
        count += 1;
    }
    assert!(count > 0, "there are seeds in {}", directory.display());
}

#[test]
fn operations() {
    replay("operations", operations::operations);
}

#[test]
fn boundary() {
    replay("boundary", boundary::boundary);
}

#[test]
fn identifiers() {
    replay("identifiers", identifiers::identifiers);
}

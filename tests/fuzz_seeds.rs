//! Runs every file in `fuzz/seeds` through its fuzz target. `make fuzz` searches for more inputs.

use std::fs;
use std::path::Path;

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
    replay("operations", testkit::fuzz::operations);
}

#[test]
fn boundary() {
    replay("boundary", testkit::fuzz::boundary);
}

#[test]
fn identifiers() {
    replay("identifiers", testkit::fuzz::identifiers);
}

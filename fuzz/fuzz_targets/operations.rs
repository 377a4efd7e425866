#![no_main]

#[allow(dead_code)]
#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../../tests/model"]
mod model {
    pub mod program;
}
#[path = "../bodies/operations.rs"]
mod operations;

libfuzzer_sys::fuzz_target!(|data: &[u8]| operations::operations(data));

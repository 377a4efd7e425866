#![no_main]

#[path = "../bodies/boundary.rs"]
mod boundary;

libfuzzer_sys::fuzz_target!(|data: &[u8]| boundary::boundary(data));

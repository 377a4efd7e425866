#![no_main]

#[path = "../bodies/identifiers.rs"]
mod identifiers;

libfuzzer_sys::fuzz_target!(|data: &[u8]| identifiers::identifiers(data));

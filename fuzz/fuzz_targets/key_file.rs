#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dxgate_fuzz::key_file(data));

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dxgate_fuzz::connect_answer(data));

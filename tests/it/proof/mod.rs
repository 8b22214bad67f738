//! The proof harness. [`account`] is kept by those outside the gateway and judged by a program that shares no code with
//! it; `checker` tests the judge itself.

pub mod account;

//! The integration tests: one binary, one module per behaviour.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::disallowed_methods, clippy::disallowed_types)]

mod interop_pyas2;
mod layers;
mod support;

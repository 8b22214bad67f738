//! Layer of `store`.
pub mod record;

//! Layer of `mime`.

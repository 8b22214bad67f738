//! Layer of `cli`.

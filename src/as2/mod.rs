//! Layer of `as2`.

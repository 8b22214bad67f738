//! Layer of `cms`.

//! Layer of `partner`.

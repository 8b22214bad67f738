//! Layer of `http`.

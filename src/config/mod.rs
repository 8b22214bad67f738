//! Layer of `config`.

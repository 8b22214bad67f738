//! Layer of `console`.

//! Layer of `keys`.

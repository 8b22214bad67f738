//! Layer of `declaration`.

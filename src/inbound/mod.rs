//! Layer of `inbound`.

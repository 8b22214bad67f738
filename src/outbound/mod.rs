//! Layer of `outbound`.

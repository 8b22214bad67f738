//! The customs side.

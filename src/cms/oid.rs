//! oid

//! der

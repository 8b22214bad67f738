//! `drain`.

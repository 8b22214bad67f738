//! `durable`.

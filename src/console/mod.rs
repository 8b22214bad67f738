//! Layer 9: the API for people and programs, on a listener of its own.
//!
//! `docs/api.md` is for its users. Here: [`routes`] is the table of all routes; [`router`] lets in whom [`access`] knows
//! and the table allows, and gives every answer its protecting headers; the handlers stand by subject in [`api`],
//! [`people`], [`partners`], [`declarations`], [`traffic`], [`download`], [`keeping`],
//! [`alerting`] and [`events`]; [`pages`] serves the console, [`metrics`] Prometheus. Errors are problem details (RFC
//! 9457) with a stable `code` and both languages. What goes over the wire is defined in [`wire`] and nowhere else:
//! domain types may change, these may only grow; [`openapi`] describes them.
//!
//! The console reaches the gateway through [`Backend`] alone, and no AS2 header leads here.

pub mod access;
mod alerting;
mod api;
pub mod backend;
pub mod declarations;
mod download;
pub mod events;
pub mod exchanges;
mod keeping;
mod metrics;
mod openapi;
mod pages;
mod partners;
mod people;
pub mod problem;
mod router;
mod routes;
pub mod runs;
mod schema;
mod stream;
pub mod token;
mod traffic;
pub mod wire;

#[cfg(test)]
mod hostile_tests;
#[cfg(test)]
mod rig;
#[cfg(test)]
mod role_tests;

pub use crate::outbound::Action;
pub use access::{Access, AccessError, AccessSettings, Cost};
pub use backend::{AlertQuery, Backend, BackupStatus, Download, Part, Query, Refusal, StateCount, Unready};
pub use events::Events;
pub use router::router;
pub use runs::Runs;
pub use token::{Token, TokenError};

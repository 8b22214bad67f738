//! dxgate: the gateway an enterprise runs between its own systems and the customs data exchange platform (DXP),
//! and a complete AS2 (RFC 4130) endpoint for any other partner.
//!
//! Two flows tell the whole story: [`outbound`] (a file in an outbox becomes a verified MDN) and [`inbound`]
//! (an HTTP request becomes a file in an inbox and an MDN). Both stand on the pure core: [`mime`], [`cms`], [`as2`]
//! and [`declaration`].
//!
//! Layers, top to bottom; a module imports only from layers below its own (`tests/it/layers.rs` checks it):
//!
//! | layer | modules |
//! |---|---|
//! | 11 | `cli` |
//! | 10 | `app` |
//! | 9 | `console`, `testbed`, `onboarding` |
//! | 8 | `outbound`, `inbound`, `evidence`, `alerting`, `telemetry`, `connectivity` |
//! | 7 | `store`, `http`, `report` |
//! | 6 | `config` |
//! | 5 | `partner` |
//! | 4 | `keys` |
//! | 3 | `as2`, `declaration` |
//! | 2 | `cms` |
//! | 1 | `mime` |
//! | 0 | `ground` |
//!
//! `--no-default-features` compiles layers 0 to 3 alone: no I/O, no async, no clock; with `--features config` up to 6.

#[cfg(feature = "server")]
pub mod cli;

#[cfg(feature = "server")]
pub mod app;

#[cfg(feature = "server")]
pub mod console;
#[cfg(feature = "server")]
pub mod onboarding;
#[cfg(feature = "server")]
pub mod testbed;

#[cfg(feature = "server")]
pub mod alerting;
#[cfg(feature = "server")]
pub mod connectivity;
#[cfg(feature = "server")]
pub mod evidence;
#[cfg(feature = "server")]
pub mod inbound;
#[cfg(feature = "server")]
pub mod outbound;
#[cfg(feature = "server")]
pub mod telemetry;

#[cfg(feature = "server")]
pub mod http;
#[cfg(feature = "server")]
pub mod report;
#[cfg(feature = "server")]
pub mod store;

#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "config")]
pub mod keys;
#[cfg(feature = "config")]
pub mod partner;

pub mod as2;
pub mod declaration;

pub mod cms;

pub mod mime;

pub mod ground;

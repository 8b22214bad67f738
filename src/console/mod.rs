//! Layer 9: the API for operators and programs, on a listener of its own.
//!
//! | route | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process serves |
//! | `GET /readyz` | 200, or 503 with the codes of what is missing |
//! | `GET /metrics` | for Prometheus, see [`metrics`]; with the token, or open to this machine when configured so |
//! | `GET /api/v1/summary` | counts by state |
//! | `GET /api/v1/partners` | the partners as configured |
//! | `GET /api/v1/messages` | newest first; `state direction partner name message_id restored limit before` narrow it |
//! | `GET /api/v1/messages/{id}` | one message with its timeline |
//! | `POST /api/v1/messages/{id}/{action}` | `retry`, `hold`, `release`, `cancel`, `resend`, `legal-hold` or `legal-release`; body `{"reason": "…"}`; `resend` answers with the new message |
//! | `GET /api/v1/declarations` | documents that were sent, newest message first; `status key partner limit before` narrow it |
//! | `GET /api/v1/declarations/{key}` | those with this value of any of their keys |
//! | `GET /api/v1/alerts` | what is open: conditions of the gateway, then messages, newest first; `partner limit before` narrow it |
//! | `POST /api/v1/alerts/{alert}/acknowledge` | a person has seen it; body `{"reason": "…"}` |
//! | `GET /api/v1/alerts/silences` | silences that last |
//! | `POST /api/v1/alerts/silences` | body `{"code": "…", "partner": "…", "until": "…", "reason": "…"}`: 201, such alerts are told to nobody until then |
//! | `POST /api/v1/alerts/silences/{id}/end` | body `{"reason": "…"}` |
//! | `POST /api/v1/alerts/test` | body `{"channel": "…"}` or `{}`: what a test by each channel came to |
//! | `POST /api/v1/messages/{id}/export` | body `{"dir": "…"}`: its evidence, written on the gateway's machine |
//! | `POST /api/v1/messages/{id}/verify` | what is kept of it, checked; 409 names what is damaged |
//! | `POST /api/v1/restored/release` | everything that a restore has held goes on; body `{"reason": "…"}` |
//! | `POST /api/v1/journal/verify` | the whole journal, checked; 409 names place and damage |
//! | `POST /api/v1/backup` | body `{"dir": "…", "keys": false}`: 202, and the backup runs |
//! | `GET /api/v1/backup` | the backup that runs, or the last one |
//! | `POST /api/v1/partners/{id}/messages?name=F` | the raw body is queued as file `F`; durable before 202 |
//!
//! Everything below `/api/` wants `Authorization: Bearer <token>` (RFC 6750 2.1); see [`token`]. Errors are problem
//! details (RFC 9457) with a stable `code` and both languages. What goes over the wire is defined in [`wire`] and
//! [`declarations`] and nowhere else: domain types may change, these may only grow.
//!
//! The console reaches the gateway through [`Backend`] alone, and no AS2 header leads here.

mod alerting;
pub mod api;
pub mod backend;
pub mod declarations;
mod keeping;
pub mod metrics;
mod pages;
pub mod problem;
pub mod token;
pub mod wire;

pub use crate::outbound::Action;
pub use api::router;
pub use backend::{AlertQuery, Backend, BackupStatus, PartnerStatus, Query, Refusal, StateCount, Unready};
pub use token::{Token, TokenError};

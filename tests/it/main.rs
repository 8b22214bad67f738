//! The integration tests: one binary, one module per behaviour.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod alerts;
mod attachments;
mod backup;
mod bad_input;
mod bit_flips;
mod checker;
mod crash;
mod delivery;
mod demo;
mod disk_faults;
mod duplicates;
mod evidence;
mod failed_sync;
mod full_disk;
mod interop_openssl;
mod interop_pyas2;
mod kill9;
mod later_receipts;
mod layers;
mod metrics;
mod network_faults;
mod orderly_end;
mod outbox;
mod outcomes;
mod power_cut;
mod precheck_schema;
mod proof;
mod rebuild;
mod replays;
mod signing;
mod support;
mod two_gateways;

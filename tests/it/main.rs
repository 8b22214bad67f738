//! The integration tests: one binary, one module per behaviour.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

/// The program's own, since some tests measure what the library does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod agreed_terms;
mod alerting;
mod alerts;
mod attachments;
mod backup;
mod bad_input;
mod bit_flips;
mod checker;
mod connectivity;
mod connectivity_api;
mod console_api;
mod console_browser;
mod crash;
mod declarations;
mod delivery;
mod demo;
mod disk_faults;
mod dispositions;
mod duplicates;
mod earlier;
mod environment;
mod evidence;
mod failed_sync;
mod failures;
mod full_disk;
mod grid;
mod hostile_console;
mod hostile_http;
mod hostile_list;
mod hostile_names;
mod hostile_urls;
mod interop_asx;
mod interop_grid;
mod interop_openssl;
mod interop_pyas2;
mod kill9;
mod later_receipts;
mod layers;
mod line_ends;
mod memory;
mod metrics;
mod network_faults;
mod onboarding;
mod oracle;
mod oracle_clients;
mod oracle_timing;
mod orderly_end;
mod outbox;
mod outcomes;
mod packaging;
mod power_cut;
mod precheck_api;
mod precheck_schema;
mod proof;
mod quirks_http;
mod reaching;
mod rebuild;
mod replays;
mod restart;
mod restored_receiver;
mod retention;
mod revocation;
mod signing;
mod support;
mod telemetry;
mod testbed_control;
mod tls;
mod two_gateways;
mod unreached;
mod wycheproof;

//! The integration tests: one binary, one module per behaviour.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::print_stdout)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

/// The program's own, since some tests measure what the library does.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// The same where the size of pages is not known before.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

mod agreed_terms;
mod alerting;
mod alerts;
mod attachments;
mod backup;
mod bad_input;
mod bit_flips;
mod broken_configuration;
mod certificate_exchange;
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
mod evidence_forged;
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
mod interop_asx_faults;
mod interop_elliptic;
mod interop_faults;
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
mod quirks_certificates;
mod quirks_http;
mod reaching;
mod rebuild;
mod refusals;
mod replays;
mod restart;
mod restored_receiver;
mod retention;
mod revocation;
mod signing;
mod sm;
mod support;
mod telemetry;
mod testbed_control;
mod tls;
mod two_gateways;
mod unproven;
mod unreached;
mod wrong_signers;
mod wycheproof;

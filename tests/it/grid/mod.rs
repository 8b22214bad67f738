//! The interop grid: every way to protect a message and to ask for its receipt, in both directions, with peers that we
//! share no code with. `tests/it/interop_grid.rs` says what is expected of each.

pub mod cells;
pub mod faults;
pub mod peer;
pub mod run;
pub mod table;

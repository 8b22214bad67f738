//! The interop grid: every way to protect a message and to ask for its receipt, in both directions, with peers that we
//! share no code with. `known` says what they cannot do.

pub mod cells;
pub mod faults;
pub mod known;
pub mod peer;
pub mod run;
pub mod table;

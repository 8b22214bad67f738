//! The connectivity test (联通测试): what an enterprise proves to the data centre before it gets its production DXPID.
//!
//! 1. [`plan`]: a TOML file says which cases there are, what each sends, what it expects, and how long it waits.
//! 2. [`run`]: one execution of a plan, as a record that adds up from its facts and whose conclusion is never better than
//!    its cases.
//!
//! Neither does any I/O nor reads a clock.

pub mod plan;
pub mod run;

pub use plan::{Case, Check, Kind, Plan, PlanError, Work};
pub use run::{CaseRecord, Conclusion, Layer, Run, RunFact};

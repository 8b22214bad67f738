//! The connectivity test (联通测试): what an enterprise proves to the data centre before it gets its production DXPID.
//!
//! 1. [`plan`]: a TOML file says which cases there are, what each sends, what it expects, and how long it waits.
//! 2. [`runner`] runs them one after the other through the gateway's own outbound flow, reached by the trait
//!    [`Gateway`], so that journal, evidence and receipts are the real ones.
//! 3. [`run`]: one execution of a plan, as a record that adds up from its facts and whose conclusion is never better than
//!    its cases. [`ledger`] keeps the facts in the audit trail.
//! 4. [`explain`]: a case that failed says at which layer, why probably, and what to ask the data centre.
//! 5. [`shelf`]: the plans that a home has at hand.
//!
//! `plan`, `run` and `explain` do no I/O and read no clock.

pub mod explain;
pub mod gateway;
pub mod ledger;
pub mod plan;
pub mod run;
pub mod runner;
pub mod shelf;

pub use gateway::{Gateway, Repeat};
pub use plan::{Case, Check, Kind, Plan, PlanError, Work};
pub use run::{CaseRecord, Conclusion, Layer, Run, RunFact};
pub use runner::{Briefing, Parts, RunError, Runner};
pub use shelf::Shelf;

//! What a file in `partners/` may say.

use jiff::Timestamp;

use super::{Config, Environment, Reload};
use crate::partner::Directory;

pub(super) fn reload(_config: &Config, _old: &Directory, _environment: Environment<'_>, _now: Timestamp) -> Reload {
    unimplemented!()
}

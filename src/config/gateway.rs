//! What `gateway.toml` may say.

use std::path::Path;

use jiff::Timestamp;

use super::{Config, Environment, Problems};

pub(super) fn load(_file: &Path, _environment: Environment<'_>, _now: Timestamp) -> Result<Config, Problems> {
    unimplemented!()
}

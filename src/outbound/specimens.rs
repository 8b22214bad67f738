//! A home with one partner, `customs`, for the tests of this module.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::{Outbound, Parts, Settings};
use crate::config::{self, Config};
use crate::declaration::precheck::codes::CodeTables;
use crate::ground::clock::ManualClock;
use crate::ground::durable;
use crate::keys::save;
use crate::partner::{Directory, Partner};
use crate::store::{Store, StoreConfig};

const GATEWAY: &str = "\
[station]
as2_name = \"STATION\"
[[station.keys]]
certificate = \"keys/station.crt\"
private_key = \"keys/station.key\"
";

/// Tests append to it.
pub(super) const PARTNER: &str = "\
as2_name = \"CUSTOMS\"
url = \"https://127.0.0.1:4090/as2\"
[[certificates]]
file = \"keys/customs.crt\"
";
/// The URL in it.
pub(super) const URL: &str = "https://127.0.0.1:4090/as2";

/// When its files are read.
pub(super) fn now() -> Timestamp {
    "2026-06-01T00:00:00Z".parse().unwrap()
}

pub(super) fn customs(directory: &Directory) -> Arc<Partner> {
    directory.by_id("customs").unwrap().clone()
}

pub(super) struct Home(tempfile::TempDir);

impl Home {
    pub(super) fn new() -> Home {
        let home = Home(tempfile::tempdir().unwrap());
        for folder in ["keys", "partners"] {
            durable::create_dir_all(&home.path(folder)).unwrap();
        }
        for (name, content) in [
            ("keys/station.crt", &include_bytes!("../../certs-example/station.crt")[..]),
            ("keys/station.key", include_bytes!("../../certs-example/station.key")),
            ("keys/customs.crt", include_bytes!("../../certs-example/customs.crt")),
            ("gateway.toml", GATEWAY.as_bytes()),
            ("partners/customs.toml", PARTNER.as_bytes()),
        ] {
            home.write(name, content);
        }
        home
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file over what was there, closed to others.
    pub(super) fn write(&self, name: &str, content: &[u8]) {
        let file = self.path(name);
        let _ = std::fs::remove_file(&file);
        save::private(&file, content).unwrap();
    }

    pub(super) fn load(&self) -> Config {
        config::load(&self.path("gateway.toml"), &unset, now()).unwrap_or_else(|problems| panic!("{problems}"))
    }

    /// The partners after the files were read again.
    pub(super) fn reload(&self, config: &Config, old: &Directory) -> Directory {
        config::reload(config, (old, None), &unset, now()).partners
    }

    pub(super) fn flow(&self) -> Outbound {
        let (config, clock) = (self.load(), Arc::new(ManualClock::new(now())));
        let data = self.path("data");
        let stored = StoreConfig { allow_untrusted_filesystem: true, ..StoreConfig::new(&data, clock.clone()) };
        let (store, _) = Store::open(stored).unwrap();
        let parts = Parts {
            store,
            station: config.station.clone(),
            directory: Arc::new(ArcSwap::from_pointee(config.partners.clone())),
            tables: Arc::new(ArcSwap::from_pointee(CodeTables::default())),
            clock,
            limits: config.limits,
        };
        let settings = Settings {
            exchange: self.path("exchange"),
            sweep: Duration::from_secs(1),
            settle: Duration::from_secs(1),
            ignore: Vec::new(),
            workers: 1,
            data,
            free_space_floor: 0,
            message_id_host: "station".to_owned(),
        };
        Outbound::new(parts, settings)
    }
}

/// No variable of the process environment.
fn unset(_: &str) -> Option<String> {
    None
}

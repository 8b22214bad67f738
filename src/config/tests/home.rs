//! New homes.

use super::*;
use crate::config::home::{self, HomeError, HomePlan, PartnerPlan};
use crate::partner::Profile;

fn plan() -> HomePlan {
    HomePlan {
        dxpid: Some("DXPENT0000012345".to_owned()),
        as2_name: "Quoted \"name\"".to_owned(),
        name: Some("示例\\公司".to_owned()),
        as2_listen: ([127, 0, 0, 1], 4080).into(),
        console_listen: ([127, 0, 0, 1], 4081).into(),
        key_bits: 2048,
    }
}

#[test]
fn a_new_home_loads_and_takes_partners() {
    let folder = tempfile::tempdir().expect("a folder");
    let now = at("2026-06-01T00:00:00Z");
    let home = home::create(&folder.path().join("new"), &plan(), now).expect("made");
    let config = load(&home.file, &environment, now).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.warnings.iter().map(|one| one.code).collect::<Vec<_>>(), ["no-partner"]);
    assert_eq!(config.station.as2_name.as_str(), "Quoted \"name\"");
    assert_eq!(config.station.name.as_deref(), Some("示例\\公司"));
    assert!(config.station.keys.signing_key(now, None).is_some());

    let partner = PartnerPlan {
        id: "customs".to_owned(),
        as2_name: "CUSTOMS".to_owned(),
        url: "https://as2.example.com/as2".to_owned(),
        profile: Profile::Dxp,
        certificate_pem: REAL[1].certificate_pem.clone(),
    };
    home::add_partner(&home.folder, &partner).expect("added");
    let config = load(&home.file, &environment, now).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.warnings, Vec::new());
    assert!(home::add_partner(&home.folder, &partner).is_err(), "nothing is overwritten");
}

#[cfg(unix)]
#[test]
fn secrets_of_a_new_home_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().expect("a folder");
    let home = home::create(folder.path(), &plan(), at("2026-06-01T00:00:00Z")).expect("an empty folder will do");
    for name in ["keys/station.key", "keys/station.pass", "keys/console.token"] {
        let mode = std::fs::metadata(home.folder.join(name)).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let key = std::fs::read_to_string(home.folder.join("keys/station.key")).expect("there");
    assert!(key.contains("ENCRYPTED PRIVATE KEY"));
    let token = std::fs::read_to_string(&home.token_file).expect("there");
    assert!(token.starts_with("dxg_") && token.trim_end().len() == 68, "256 bits with a prefix");
}

#[test]
fn a_folder_that_is_not_empty_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    durable::write_new(&folder.path().join("mine"), b"x").expect("written");
    let refused = home::create(folder.path(), &plan(), at("2026-06-01T00:00:00Z")).expect_err("refused");
    assert!(matches!(refused, HomeError::NotEmpty(_)));
    assert_eq!(std::fs::read_dir(folder.path()).expect("there").count(), 1);
}

#[cfg(unix)]
#[test]
fn what_changes_for_a_certificate_that_comes_in_stays_whose_it_was() {
    use std::os::unix::fs::{MetadataExt as _, chown};

    use crate::cms::Certificate;
    use crate::config::arrival::Arrival;

    let sandbox = Sandbox::new();
    let (file, keys, key) = (sandbox.path("partners/customs.toml"), sandbox.path("keys"), sandbox.path("keys/new.key"));
    set_mode(&file, 0o644);
    // Root calls, and the gateway is somebody else. Others can give nothing away.
    let given = [&file, &keys].into_iter().all(|path| chown(path, Some(4711), Some(4711)).is_ok());
    let pem = REAL[1].certificate_pem.to_vec();
    let certificate = Certificate::read(&pem).expect("a certificate");
    let of = ("customs", file.as_path());
    let mut arrival = Arrival::of_partner(sandbox.folder.path(), of, (&certificate, pem), &[], (None, None));
    arrival.key_file = Some((key.clone(), b"a key".to_vec()));
    arrival.put(&sandbox.path("gateway.toml"), &environment, sandbox.now).expect("it comes in");
    let metadata = |path: &Path| std::fs::metadata(path).expect("there");
    assert_eq!((metadata(&file).mode() & 0o777, metadata(&key).mode() & 0o777), (0o644, 0o600));
    for path in [&file, &key, &arrival.certificate_file.0].into_iter().filter(|_| given) {
        assert_eq!((metadata(path).uid(), metadata(path).gid()), (4711, 4711), "{}", path.display());
    }
}

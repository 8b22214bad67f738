//! What is refused or warned about in `gateway.toml`, with its line.

use super::*;
use crate::cms::KeyTransport;
use crate::config::Severity;
use crate::partner::Station;

#[test]
fn values_that_cannot_be_are_reported_with_line_and_key() {
    for (more, code, line, key) in [
        ("[outbox]\nsweep = \"2 fortnights\"\n", "value-invalid", 8, "outbox.sweep"),
        ("[outbox]\nsweep = \"1ms\"\n", "value-out-of-range", 8, "outbox.sweep"),
        ("[outbox]\nsweep = 2\n", "value-wrong-type", 8, "outbox.sweep"),
        ("[outbox]\nignore = \"*.tmp\"\n", "value-wrong-type", 8, "outbox.ignore"),
        ("[limits]\nbody = \"lots\"\n", "value-invalid", 8, "limits.body"),
        ("[limits]\nbody = 10\n", "value-out-of-range", 8, "limits.body"),
        ("[limits]\nconnections = 0\n", "value-out-of-range", 8, "limits.connections"),
        ("[limits]\nconnections = \"10\"\n", "value-wrong-type", 8, "limits.connections"),
        ("[limits]\nconnections = -1\n", "value-wrong-type", 8, "limits.connections"),
        ("[limits]\nbody_timeout = \"59s\"\n", "value-out-of-range", 8, "limits.body_timeout"),
        ("[as2]\nlisten = \"localhost\"\n", "value-invalid", 8, "as2.listen"),
        ("[as2]\npath = \"as2\"\n", "value-invalid", 8, "as2.path"),
        ("[as2]\npublic_url = \"as2.example.com\"\n", "value-invalid", 8, "as2.public_url"),
        ("[as2]\nmessage_id_host = \"a b\"\n", "value-invalid", 8, "as2.message_id_host"),
        ("[as2]\nmessage_id_host = \"\"\n", "value-empty", 8, "as2.message_id_host"),
        ("[as2]\nlisten = \"127.0.0.1:4081\"\n", "listen-conflict", 0, "console.listen"),
        ("[as2.tls]\ncertificate = \"keys/station.crt\"\n", "key-missing", 7, "as2.tls.private_key"),
        ("[folders]\ndata = \"exchange/data\"\n", "folders-overlap", 8, "folders.data"),
        ("[folders]\nallow_any_filesystem = \"yes\"\n", "value-wrong-type", 8, "folders.allow_any_filesystem"),
        ("[log]\nlevel = \"loud\"\n", "value-invalid", 8, "log.level"),
        ("log = 1\n", "key-unknown", 7, "station.keys[0].log"),
        ("[logs]\n", "key-unknown", 7, "logs"),
        ("transports = []\n", "value-empty", 7, "station.keys[0].transports"),
        ("[[station.keys]]\nuse = [\"sing\"]\n", "value-invalid", 8, "station.keys[1].use"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.gateway(more);
        let problems = sandbox.places();
        let line = (line > 0).then_some(line);
        let wanted = (code, "gateway.toml".to_owned(), line, key.to_owned());
        assert!(problems.contains(&wanted), "{more}: expected {wanted:?}, found {problems:#?}");
        let alone = code == "value-invalid" && key.contains("use") || problems.len() == 1;
        assert!(alone, "{more}: {problems:#?}");
        assert!(sandbox.load().is_err(), "{more}");
    }
}

#[test]
fn all_problems_of_all_files_are_reported_together() {
    let sandbox = Sandbox::new();
    sandbox.gateway("[as2]\nlisten = \"nowhere\"\nlisten_on = 1\n[limits]\nbody = \"much\"\n");
    sandbox.partner("[agreement]\nsign = \"dsa\"\n[delivery]\njitter = 3.0\n");
    sandbox.write("partners/other.toml", b"url = \"https://other.example/as2\"\n");
    let found: Vec<(&str, Option<usize>)> = sandbox.problems().iter().map(|one| (one.code, one.line)).collect();
    let wanted = [
        ("value-invalid", Some(8)),
        ("key-unknown", Some(9)),
        ("value-invalid", Some(11)),
        ("value-invalid", Some(6)),
        ("value-out-of-range", Some(8)),
        ("key-missing", None),
        ("certificate-missing", None),
    ];
    for one in wanted {
        assert!(found.contains(&one), "{one:?} in {found:?}");
    }
    let shown = sandbox.load().expect_err("refused").to_string();
    assert!(shown.contains("gateway.toml:8: as2.listen: "), "{shown}");
}

#[test]
fn a_misspelt_key_gets_a_suggestion() {
    let sandbox = Sandbox::new();
    sandbox.gateway("[as2]\nlistn = \"127.0.0.1:1\"\n");
    sandbox.expect("key-unknown", "gateway.toml", Some(8), "as2.listn");
    assert!(sandbox.problems().iter().all(|one| one.text.en.contains("Did you mean listen?")));
}

#[test]
fn broken_toml_is_reported_with_its_line() {
    let sandbox = Sandbox::new();
    sandbox.gateway("[as2\nlisten = \n");
    let problems = sandbox.places();
    assert!(problems.iter().all(|one| one.0 == "toml-syntax"), "{problems:?}");
    assert!(problems.iter().any(|one| one.2 == Some(7)), "{problems:?}");
}

#[test]
fn a_missing_or_oversized_file_is_one_problem() {
    let sandbox = Sandbox::new();
    sandbox.write("gateway.toml", &vec![b'#'; 1024 * 1024 + 1]);
    sandbox.expect("file-too-large", "gateway.toml", None, "");
    sandbox.write("gateway.toml", b"# \xff\n");
    sandbox.expect("file-not-utf8", "gateway.toml", None, "");
    std::fs::remove_file(sandbox.path("gateway.toml")).expect("removed");
    sandbox.expect("file-unreadable", "gateway.toml", None, "");
}

#[test]
fn a_station_needs_an_identity_and_a_key() {
    let sandbox = Sandbox::new();
    sandbox.write("gateway.toml", b"[station]\nname = \"nobody\"\n");
    let codes: Vec<_> = sandbox.places().into_iter().map(|one| (one.0, one.2, one.3)).collect();
    assert!(codes.contains(&("key-missing", Some(1), "station.as2_name".to_owned())), "{codes:?}");
    assert!(codes.contains(&("station-without-key", Some(1), "station.keys".to_owned())), "{codes:?}");
    sandbox.write("gateway.toml", b"[station]\nas2_name = \"nobody\"\nkeys = []\n");
    let codes: Vec<_> = sandbox.places().into_iter().map(|one| (one.0, one.2, one.3)).collect();
    assert!(codes.contains(&("station-without-key", Some(3), "station.keys".to_owned())), "{codes:?}");
}

#[test]
fn a_dxpid_has_at_most_sixteen_letters_and_digits() {
    for bad in ["DXPENT00000123456", "DXP-1", "单一窗口"] {
        let sandbox = Sandbox::new();
        let text = GATEWAY.replace("DXPENT0000012345", bad);
        sandbox.write("gateway.toml", text.as_bytes());
        sandbox.expect("value-invalid", "gateway.toml", Some(3), "station.dxpid");
    }
}

#[cfg(unix)]
#[test]
fn a_private_key_that_others_may_read_is_refused() {
    for mode in [0o640, 0o604, 0o644, 0o660] {
        let sandbox = Sandbox::new();
        set_mode(&sandbox.path("keys/station.key"), mode);
        sandbox.expect("private-file-exposed", "gateway.toml", Some(6), "station.keys[0].private_key");
        assert!(sandbox.problems().iter().all(|one| one.text.en.contains("chmod 600")));
    }
}

#[cfg(unix)]
#[test]
fn what_systemd_hands_over_as_a_credential_is_taken_and_the_like_of_others_is_not() {
    use std::os::unix::fs::MetadataExt as _;
    let sandbox = Sandbox::new();
    let key = sandbox.path("keys/station.key");
    set_mode(&key, 0o440);
    let metadata = std::fs::metadata(&key).expect("there");
    if (metadata.uid(), metadata.gid()) == (0, 0) {
        assert_eq!(sandbox.problems(), Vec::new());
    } else {
        sandbox.expect("private-file-exposed", "gateway.toml", Some(6), "station.keys[0].private_key");
    }
}

#[test]
fn key_files_that_do_not_fit_are_refused() {
    let sandbox = Sandbox::new();
    let spoil = |certificate: &str, key: &str| {
        let text = GATEWAY.replace("keys/station.crt", certificate).replace("keys/station.key", key);
        sandbox.write("gateway.toml", text.as_bytes());
    };
    let key = "station.keys[0].private_key";
    let certificate = "station.keys[0].certificate";
    spoil("keys/station.crt", "keys/customs.key");
    sandbox.expect("key-certificate-mismatch", "gateway.toml", Some(6), key);
    spoil("keys/station.crt", "keys/none.key");
    sandbox.expect("file-unreadable", "gateway.toml", Some(6), key);
    spoil("keys/none.crt", "keys/station.key");
    sandbox.expect("file-unreadable", "gateway.toml", Some(5), certificate);
    spoil("keys/station.key", "keys/station.key");
    sandbox.expect("certificate-unreadable", "gateway.toml", Some(5), certificate);
    spoil("keys/station.crt", "keys/station.crt");
    sandbox.expect("private-key-unreadable", "gateway.toml", Some(6), key);
    spoil("keys/weak.crt", "keys/weak.key");
    sandbox.expect("private-key-weak", "gateway.toml", Some(6), key);
}

#[test]
fn passphrases_come_from_files_or_the_environment_and_never_inline() {
    let sandbox = Sandbox::new().with_real_keys();
    let key = openssl::pkey::PKey::private_key_from_pem(REAL[0].key_pem.expose()).expect("a key");
    let cipher = openssl::symm::Cipher::aes_256_cbc();
    let encrypted = key.private_key_to_pem_pkcs8_passphrase(cipher, b"open sesame").expect("encrypted");
    sandbox.write("keys/secret.key", &encrypted);
    sandbox.write("keys/pass", b"open sesame\n");
    let base = GATEWAY.replace("keys/station.crt", "keys/own.crt").replace("keys/station.key", "keys/secret.key");
    let with = |line: &str| sandbox.write("gateway.toml", format!("{base}{line}\n").as_bytes());

    with("passphrase_file = \"keys/pass\"");
    assert_eq!(sandbox.problems(), Vec::new());
    with("passphrase_env = \"DXGATE_TEST_PASSPHRASE\"");
    assert_eq!(sandbox.problems(), Vec::new());

    with("passphrase_env = \"DXGATE_TEST_EMPTY\"");
    let codes: Vec<_> = sandbox.places().iter().map(|one| (one.0, one.2)).collect();
    assert_eq!(codes, [("passphrase-wrong", Some(6)), ("variable-missing", Some(7))]);
    with("");
    sandbox.expect("passphrase-wrong", "gateway.toml", Some(6), "station.keys[0].private_key");
    with("passphrase_file = \"keys/pass\"\npassphrase_env = \"DXGATE_TEST_PASSPHRASE\"");
    let codes: Vec<_> = sandbox.places().iter().map(|one| (one.0, one.2)).collect();
    assert_eq!(codes, [("passphrase-wrong", Some(6)), ("keys-exclusive", Some(8))]);

    with("passphrase = \"open sesame\"");
    let problems = sandbox.problems();
    assert!(problems.iter().any(|one| one.code == "secret-inline" && one.line == Some(7)), "{problems:?}");
    assert!(!format!("{problems:?}").contains("open sesame"), "a secret must not be repeated");
}

#[test]
fn a_pkcs12_file_stands_for_certificate_and_key() {
    let sandbox = Sandbox::new();
    let [own, _] = &*REAL;
    let key = openssl::pkey::PKey::private_key_from_pem(own.key_pem.expose()).expect("a key");
    let certificate = openssl::x509::X509::from_pem(&own.certificate_pem).expect("a certificate");
    let mut builder = openssl::pkcs12::Pkcs12::builder();
    let bundle = builder.pkey(&key).cert(&certificate).build2("open sesame").expect("built");
    sandbox.write("keys/own.p12", &bundle.to_der().expect("written"));
    sandbox.write("keys/pass", b"open sesame");
    let base = "[station]\nas2_name = \"STATION\"\n[[station.keys]]\npkcs12 = \"keys/own.p12\"\n";
    sandbox.write("gateway.toml", format!("{base}passphrase_file = \"keys/pass\"\n").as_bytes());
    assert_eq!(sandbox.problems(), Vec::new());
    sandbox.write("gateway.toml", base.as_bytes());
    sandbox.expect("passphrase-wrong", "gateway.toml", Some(4), "station.keys[0].pkcs12");
    sandbox.write("gateway.toml", format!("{base}certificate = \"keys/station.crt\"\n").as_bytes());
    sandbox.expect("keys-exclusive", "gateway.toml", Some(4), "station.keys[0].pkcs12");
}

#[test]
fn example_keys_are_refused_beyond_loopback() {
    for more in [
        "[as2]\nlisten = \"0.0.0.0:4080\"\n",
        "[as2]\npublic_url = \"https://as2.example.com/as2\"\n",
        "[console]\nlisten = \"[::]:4081\"\n",
    ] {
        let sandbox = Sandbox::new();
        sandbox.gateway(more);
        let problems = sandbox.places();
        let wanted = ("example-key", "gateway.toml".to_owned(), Some(5), "station.keys[0].certificate".to_owned());
        assert!(problems.contains(&wanted), "{problems:?}");
    }
}

#[test]
fn example_keys_of_a_listener_are_refused_beyond_loopback() {
    let sandbox = Sandbox::new().with_real_keys();
    let ours = GATEWAY.replace("keys/station", "keys/own");
    let tls = "[as2]\nlisten = \"0.0.0.0:4080\"\n[as2.tls]\ncertificate = \"keys/station.crt\"\nprivate_key = \"keys/station.key\"\n";
    sandbox.write("gateway.toml", format!("{ours}{tls}").as_bytes());
    sandbox.write("partners/customs.toml", PARTNER.replace("customs.crt", "theirs.crt").as_bytes());
    sandbox.expect("example-key", "gateway.toml", Some(10), "as2.tls.certificate");
    let loopback = tls.replace("0.0.0.0", "127.0.0.1");
    sandbox.write("gateway.toml", format!("{ours}{loopback}").as_bytes());
    let config = sandbox.load().expect("loopback is fine");
    assert_eq!(config.as2.tls.map(|tls| tls.chain.len()), Some(1));
}

#[test]
fn a_console_in_the_clear_beyond_loopback_is_refused() {
    let sandbox = Sandbox::new().with_real_keys();
    let ours = GATEWAY.replace("keys/station", "keys/own");
    sandbox.write("gateway.toml", format!("{ours}[console]\nlisten = \"0.0.0.0:4081\"\n").as_bytes());
    sandbox.write("partners/customs.toml", PARTNER.replace("customs.crt", "theirs.crt").as_bytes());
    sandbox.expect("console-in-clear", "gateway.toml", Some(8), "console.listen");
    assert!(sandbox.load().is_err(), "passwords must not travel in the clear");
    let open = format!("{ours}[console]\nlisten = \"0.0.0.0:4081\"\nopen_metrics = true\n");
    sandbox.write("gateway.toml", open.as_bytes());
    let exposed = ("metrics-exposed", "gateway.toml".to_owned(), Some(9), "console.open_metrics".to_owned());
    assert!(sandbox.places().contains(&exposed), "{:#?}", sandbox.places());
    assert!(sandbox.load().is_err());
}

#[test]
fn certificates_are_reported_thirty_days_before_they_end() {
    let mut sandbox = Sandbox::new();
    for (now, wanted) in [
        ("2054-12-01T00:00:00Z", Vec::new()),
        ("2054-12-03T00:00:00Z", vec!["certificate-expires-soon"; 2]),
        ("2054-12-31T23:59:59Z", vec!["certificate-expires-soon"; 2]),
    ] {
        sandbox.now = at(now);
        let codes: Vec<_> = sandbox.places().iter().map(|one| one.0).collect();
        assert_eq!(codes, wanted, "{now}");
        assert!(sandbox.load().is_ok());
    }
    sandbox.now = at("2055-01-02T00:00:00Z");
    let codes: Vec<_> = sandbox.places().iter().map(|one| one.0).collect();
    for code in ["certificate-expired", "no-active-signing-key", "no-active-certificate"] {
        assert!(codes.contains(&code), "{code} in {codes:?}");
    }
    assert!(sandbox.problems().iter().all(|one| one.severity == Severity::Warning), "the gateway still starts");
}

#[test]
fn the_newest_active_key_signs_and_all_of_them_decrypt() {
    let sandbox = Sandbox::new().with_real_keys();
    sandbox.gateway(
        "until = \"2026-09-30T00:00:00Z\"\n[[station.keys]]\ncertificate = \"keys/own.crt\"\nprivate_key = \"keys/own.key\"\n\
         from = \"2026-09-01T00:00:00Z\"\ntransports = [\"rsa-oaep-sha256\"]\n\
         [[station.keys]]\nuse = [\"decrypt\"]\ncertificate = \"keys/customs.crt\"\nprivate_key = \"keys/customs.key\"\n",
    );
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    let signer = |when: &str| {
        config.station.keys.signing_key(at(when), None).map(|key| key.certificate.subject().contains("CN=own"))
    };
    assert_eq!(signer("2026-08-31T23:59:59Z"), Some(false), "the old one alone is active");
    assert_eq!(signer("2026-09-01T00:00:00Z"), Some(true), "both are active, the newer one signs");
    assert_eq!(signer("2026-12-01T00:00:00Z"), Some(true));
    assert_eq!(signer("2030-01-01T00:00:00Z"), None, "the old one was ended, the new one is over");
    let decrypting = config.station.keys.decryption_keys();
    assert_eq!(decrypting.len(), 3);
    assert_eq!(decrypting[0].transports, [KeyTransport::RsaOaepSha256]);
}

#[test]
fn a_withheld_key_signs_only_when_no_other_does_and_decrypts_all_the_same() {
    let sandbox = Sandbox::new().with_real_keys();
    sandbox.gateway(
        "until = \"2026-09-30T00:00:00Z\"\n[[station.keys]]\ncertificate = \"keys/own.crt\"\nprivate_key = \"keys/own.key\"\nfrom = \"2026-08-01T00:00:00Z\"\n",
    );
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    let keys = config.station.keys.keys();
    let new = keys.iter().find(|key| key.certificate.subject().contains("CN=own")).expect("there");
    let withholding = config.station.withholding(&[new.certificate.fingerprint().to_string()]);
    let signer = |station: &Station, when: &str| {
        station.keys.signing_key(at(when), None).map(|key| key.certificate.subject().contains("CN=own"))
    };
    assert_eq!(signer(&config.station, "2026-09-01T00:00:00Z"), Some(true));
    assert_eq!(signer(&withholding, "2026-09-01T00:00:00Z"), Some(false), "the old one signs meanwhile");
    assert_eq!(signer(&withholding, "2026-12-01T00:00:00Z"), Some(true), "the old one has ended");
    assert_eq!(withholding.keys.decryption_keys().len(), 2);
    assert_eq!(signer(&config.station, "2026-09-01T00:00:00Z"), Some(true), "nobody else is concerned");
}

#[test]
fn windows_outside_the_certificate_are_reported() {
    let sandbox = Sandbox::new();
    sandbox.gateway("from = \"2020-01-01T00:00:00Z\"\n");
    sandbox.expect("window-outside-certificate", "gateway.toml", Some(7), "station.keys[0].from");
    sandbox.gateway("from = \"2027-01-01T00:00:00Z\"\nuntil = \"2026-12-01T00:00:00Z\"\n");
    let codes: Vec<_> = sandbox.places().iter().map(|one| one.0).collect();
    assert_eq!(codes, ["no-active-signing-key", "window-empty"]);
    sandbox.gateway("from = \"tomorrow\"\n");
    sandbox.expect("value-invalid", "gateway.toml", Some(7), "station.keys[0].from");
}

#[test]
fn what_is_reached_without_the_proxy_is_a_host_an_address_or_a_network() {
    let sandbox = Sandbox::new();
    let listed = |entry: &str| {
        sandbox.gateway(&format!("[proxy]\nurl = \"http://proxy:3128\"\nno_proxy = [\"{entry}\"]\n"));
    };
    for wrong in [
        "host:443",
        "10.0.0.0/33",
        "10.0.0.300",
        "10.0.0",
        "10.0.*",
        "http://host",
        "a b",
        "",
        ".",
        "host..",
        "主机",
        "**",
    ] {
        listed(wrong);
        sandbox.expect("no-proxy-useless", "gateway.toml", Some(9), "proxy.no_proxy");
        assert!(sandbox.load().is_ok(), "{wrong}: it never kept a gateway from starting");
    }
    for right in [
        "*",
        "localhost",
        "partner.example.com",
        "partner.example.com.",
        ".internal",
        "*.internal",
        "as2_test.example",
        "4you.example",
        " 10.0.0.5",
        "10.0.0.0/8",
        "2001:db8::7",
        "[2001:db8::]/32",
    ] {
        listed(right);
        assert_eq!(sandbox.places(), Vec::new(), "{right}");
    }
}

#[test]
fn keys_that_messages_cannot_tell_apart_are_told() {
    let sandbox = Sandbox::new();
    for name in ["older", "newer"] {
        let (certificate, key) = (sandbox.path(&format!("keys/{name}.crt")), sandbox.path(&format!("keys/{name}.key")));
        let made = std::process::Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-set_serial",
                "1",
                "-subj",
                "/CN=own",
                "-days",
                "36500",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate)
            .output()
            .expect("openssl runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        #[cfg(unix)]
        set_mode(&key, 0o600);
    }
    let second = "[[station.keys]]\ncertificate = \"keys/newer.crt\"\nprivate_key = \"keys/newer.key\"\n";
    let codes = |gateway: &str| {
        sandbox.write("gateway.toml", gateway.as_bytes());
        sandbox.places().into_iter().map(|place| place.0).collect::<Vec<_>>()
    };
    let alone = GATEWAY.replace("keys/station", "keys/older");
    assert!(!codes(&alone).contains(&"keys-share-serial-number"));
    assert!(codes(&format!("{alone}{second}")).contains(&"keys-share-serial-number"));
}

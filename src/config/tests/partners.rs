//! What is refused or warned about in partner files, with its line.

use std::time::Duration;

use super::*;
use crate::as2::MdnMode;
use crate::cms::{DigestAlgorithm, KeyTransport, SignatureScheme};
use crate::keys::generate::{KeyRequest, generate};
use crate::partner::{AddInfoSettings, EnvelopeName, KeyRule, PlanError, Precheck};

#[test]
fn values_that_cannot_be_are_reported_with_line_and_key() {
    for (more, code, line, key) in [
        ("[agreement]\nsign = \"rsa\"\n", "value-invalid", 6, "agreement.sign"),
        ("[agreement]\ndigest = \"md4\"\n", "value-invalid", 6, "agreement.digest"),
        ("[agreement]\nencrypt = \"3des\"\n", "value-invalid", 6, "agreement.encrypt"),
        ("[agreement]\nencrypt = \"3des-cbc\"\n", "waiver-missing", 6, "agreement.encrypt"),
        ("[agreement]\nencrypt = \"rc2-cbc\"\n", "algorithm-read-only", 6, "agreement.encrypt"),
        (
            "[agreement]\ndigest = \"sha-1\"\n[agreement.mdn]\nmicalg = [\"sha-256\"]\n",
            "algorithm-read-only",
            6,
            "agreement.digest",
        ),
        ("[agreement]\ngcm_form = \"bc\"\n", "value-invalid", 6, "agreement.gcm_form"),
        ("[agreement]\ntransfer_encoding = \"7bit\"\n", "value-invalid", 6, "agreement.transfer_encoding"),
        ("[agreement.mdn]\nmicalg = [\"sha-256\", \"sha-1\"]\n", "waiver-missing", 6, "agreement.mdn.micalg"),
        ("[accept]\ndigests = [\"sha-256\", \"sha-1\"]\n", "waiver-missing", 6, "accept.digests"),
        ("[accept]\nciphers = [\"3des-cbc\"]\n", "waiver-missing", 6, "accept.ciphers"),
        ("[[waivers]]\nalgorithm = \"sha-1\"\nreason = \"r\"\n", "key-missing", 5, "waivers[0].until"),
        (
            "[[waivers]]\nalgorithm = \"rc4\"\nuntil = \"2027-01-01\"\nreason = \"r\"\n",
            "value-invalid",
            6,
            "waivers[0].algorithm",
        ),
        ("[agreement]\nkey_transport = \"rsa\"\n", "value-invalid", 6, "agreement.key_transport"),
        ("[agreement]\ncompress = \"zip\"\n", "value-invalid", 6, "agreement.compress"),
        ("[agreement]\nmicalg_style = \"SHA256\"\n", "value-invalid", 6, "agreement.micalg_style"),
        ("[agreement.mdn]\nmode = \"later\"\n", "value-invalid", 6, "agreement.mdn.mode"),
        ("[agreement.mdn]\nmode = \"async\"\n", "receipt-url-missing", 6, "agreement.mdn.mode"),
        ("[agreement.mdn]\nmicalg = [\"sha-256\", \"crc32\"]\n", "value-invalid", 6, "agreement.mdn.micalg"),
        ("[agreement.mdn]\ndeadline = \"1s\"\n", "value-out-of-range", 6, "agreement.mdn.deadline"),
        ("[agreement.mdn]\nmicalg = []\n", "value-empty", 6, "agreement.mdn.micalg"),
        ("[accept]\nciphers = []\n", "value-empty", 6, "accept.ciphers"),
        ("[accept]\ndigests = []\n", "value-empty", 6, "accept.digests"),
        ("[accept]\nschemes = []\n", "value-empty", 6, "accept.schemes"),
        ("[accept]\nciphers = [\"rc2\"]\n", "value-invalid", 6, "accept.ciphers"),
        ("[accept]\nasync_mdn_urls = [\"nowhere\"]\n", "value-invalid", 6, "accept.async_mdn_urls"),
        ("[accept]\nmax_payload = \"1TiB\"\n", "value-out-of-range", 6, "accept.max_payload"),
        ("[delivery]\nretry = []\n", "value-out-of-range", 6, "delivery.retry"),
        ("[delivery]\nretry = [\"soon\"]\n", "value-invalid", 6, "delivery.retry"),
        ("[delivery]\njitter = 0.9\n", "value-out-of-range", 6, "delivery.jitter"),
        ("[delivery]\njitter = \"much\"\n", "value-wrong-type", 6, "delivery.jitter"),
        ("[delivery]\nretry_status = [200]\n", "value-out-of-range", 6, "delivery.retry_status"),
        ("[delivery]\nconcurrency = 0\n", "value-out-of-range", 6, "delivery.concurrency"),
        ("[dxp]\nimport_receiver = \"DXPEDCCEB0000002\"\n", "profile-not-dxp", 5, "dxp"),
        ("[http]\npassword = \"x\"\n", "secret-inline", 6, "http.password"),
        ("[http]\ntoken = \"x\"\n", "secret-inline", 6, "http.token"),
        ("[http]\nuser = \"x\"\n", "key-missing", 5, "http.password_file"),
        ("[http]\nuser = \"a:b\"\n", "value-invalid", 6, "http.user"),
        ("[http]\ntoken_env = \"DXGATE_TEST_NONE\"\n", "variable-missing", 6, "http.token_env"),
        ("use = [\"verfy\"]\n", "value-invalid", 5, "certificates[0].use"),
        ("[[certificates]]\nuse = [\"tls\"]\n", "key-missing", 5, "certificates[1].file"),
        ("[[certificates]]\nfile = \"keys/weak.crt\"\n", "certificate-weak", 6, "certificates[1].file"),
        ("[[certificates]]\nfile = \"keys/none.crt\"\n", "file-unreadable", 6, "certificates[1].file"),
        ("[deliver]\n", "key-unknown", 5, "deliver"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.partner(more).expect(code, "customs.toml", Some(line), key);
        assert!(sandbox.load().is_err(), "{more}");
    }
}

#[test]
fn the_head_of_a_partner_is_checked() {
    for (from, to, code, line, key) in [
        ("as2_name = \"CUSTOMS\"", "", "key-missing", None, "as2_name"),
        ("\"CUSTOMS\"", "\"STATION\"", "as2-name-ours", Some(1), "as2_name"),
        ("\"CUSTOMS\"", "\"海关\"", "value-invalid", Some(1), "as2_name"),
        ("http://127.0.0.1:4090/as2", "127.0.0.1:4090", "value-invalid", Some(2), "url"),
        ("http://127.0.0.1:4090/as2", "https://user:pass@example.com/", "value-invalid", Some(2), "url"),
        ("[[certificates]]\nfile = \"keys/customs.crt\"", "", "certificate-missing", None, "certificates"),
    ] {
        let sandbox = Sandbox::new();
        sandbox.write("partners/customs.toml", PARTNER.replace(from, to).as_bytes());
        let problems = sandbox.places();
        let wanted = (code, "customs.toml".to_owned(), line, key.to_owned());
        assert!(problems.contains(&wanted), "expected {wanted:?}, found {problems:#?}");
    }
}

#[test]
fn a_partner_id_must_be_a_safe_folder_name() {
    for bad in ["Customs", "海关", "-a", ".b", "a b", "con", "com1.x", &"a".repeat(65)] {
        let sandbox = Sandbox::new();
        sandbox.write(&format!("partners/{bad}.toml"), PARTNER.as_bytes());
        let problems = sandbox.places();
        if bad.starts_with('.') {
            assert_eq!(problems, Vec::new(), "dotfiles are not partner files");
        } else {
            sandbox.expect("partner-id-invalid", &format!("{bad}.toml"), None, "");
        }
    }
    let sandbox = Sandbox::new();
    let other = PARTNER.replace("CUSTOMS", "OTHER");
    sandbox.write("partners/0a.b_c-d.toml", other.as_bytes());
    assert!(sandbox.load().expect("fine").partners.by_id("0a.b_c-d").is_some());
}

#[test]
fn two_partners_with_one_as2_name_are_refused() {
    let sandbox = Sandbox::new();
    sandbox.write("partners/second.toml", format!("\n{PARTNER}").as_bytes());
    sandbox.expect("as2-name-taken", "second.toml", Some(2), "as2_name");
}

#[test]
fn the_pre_check_of_a_customs_partner_is_set() {
    let sandbox = Sandbox::new();
    let with = |dxp: &str| format!("profile = \"dxp\"\n{PARTNER}\n[dxp]\n{dxp}\n");
    let settings = |dxp: &str| {
        sandbox.write("partners/customs.toml", with(dxp).as_bytes());
        let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
        config.partners.by_id("customs").expect("there").dxp.clone().expect("a customs partner")
    };
    let usual = settings("");
    assert_eq!((usual.precheck, usual.edition), (Precheck::Enforce, "202205"));
    assert_eq!((usual.more_receivers.len(), usual.cop_code), (0, None));
    let told = settings("more_receivers = [\"DXPOTHER00000001\", \"DXPOTHER00000002\"]\ncop_code = \"1301960001\"");
    assert_eq!((told.more_receivers.len(), told.cop_code.as_deref()), (2, Some("1301960001")));
    assert_eq!(usual.add_info, AddInfoSettings::default());
    let told = settings("add_info.biz_keys = [\"orderNo\", \"dept = A1\"]\nadd_info.file_name = \"none\"").add_info;
    let keys = [KeyRule::Field("orderNo".to_owned()), KeyRule::Always("dept".to_owned(), "A1".to_owned())];
    assert_eq!((told.file_name, told.keys.as_slice()), (EnvelopeName::Absent, keys.as_slice()));
    let other =
        settings("precheck = \"warn\"\nlevels = [\"R24 = error\", \"guid-not-uuid = off\"]\nedition = \"202205\"");
    assert_eq!(other.precheck, Precheck::Warn);
    assert_ne!(other.levels, usual.levels);
    for (dxp, key) in [
        ("levels = [\"R99 = error\"]", "dxp.levels"),
        ("precheck = \"maybe\"", "dxp.precheck"),
        ("edition = \"1999\"", "dxp.edition"),
        ("cop_code = \"91350100M000100Y44\"", "dxp.cop_code"),
        ("more_receivers = [\"1\", \"2\", \"3\", \"4\", \"5\"]", "dxp.more_receivers"),
        ("more_receivers = [\"DXPOTHER000000001\"]", "dxp.more_receivers"),
        ("add_info.file_name = \"mine\"", "dxp.add_info.file_name"),
        ("add_info.ic_card = \"12345678901234\"", "dxp.add_info.ic_card"),
        ("add_info.biz_keys = [\"price\"]", "dxp.add_info.biz_keys"),
        ("add_info.biz_keys = [\"a=1\", \"b=1\", \"c=1\", \"d=1\", \"e=1\", \"f=1\"]", "dxp.add_info.biz_keys"),
        ("add_info.rec_map_id = \" x\"", "dxp.add_info.rec_map_id"),
    ] {
        sandbox.write("partners/customs.toml", with(dxp).as_bytes());
        let problems = sandbox.problems();
        assert!(problems.iter().any(|problem| problem.key.starts_with(key)), "{problems:#?}");
    }
}

#[test]
fn the_dxp_profile_needs_a_dxpid() {
    let sandbox = Sandbox::new();
    sandbox.write("partners/customs.toml", format!("profile = \"dxp\"\n{PARTNER}").as_bytes());
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    let customs = config.partners.by_id("customs").expect("there");
    assert_eq!(customs.content_type, "application/xml");
    assert_eq!(customs.dxp.as_ref().map(|dxp| dxp.import_receiver.as_str()), Some("DXPEDCCEB0000002"));
    sandbox.write("gateway.toml", GATEWAY.replace("dxpid = \"DXPENT0000012345\"\n", "").as_bytes());
    sandbox.expect("dxpid-missing", "customs.toml", Some(1), "profile");
}

#[test]
fn example_keys_are_refused_for_partners_beyond_loopback() {
    let sandbox = Sandbox::new();
    let far = PARTNER.replace("http://127.0.0.1:4090", "https://as2.example.com");
    sandbox.write("partners/customs.toml", far.as_bytes());
    sandbox.expect("example-key", "customs.toml", Some(2), "url");

    let sandbox = Sandbox::new().with_real_keys();
    let ours = GATEWAY.replace("keys/station", "keys/own");
    sandbox.write("gateway.toml", format!("{ours}[as2]\nlisten = \"0.0.0.0:4080\"\n").as_bytes());
    sandbox.expect("example-key", "customs.toml", Some(4), "certificates[0].file");
}

#[test]
fn what_is_unwise_is_warned_about_and_allowed() {
    let clear = "[agreement]\nsign = \"none\"\nencrypt = \"none\"\n[agreement.mdn]\nmode = \"none\"\n[accept]\n";
    let sandbox = Sandbox::new().with_real_keys();
    sandbox.write("gateway.toml", GATEWAY.replace("keys/station", "keys/own").as_bytes());
    let far = PARTNER.replace("http://127.0.0.1:4090", "http://as2.example.com").replace("customs.crt", "theirs.crt");
    sandbox.write("partners/customs.toml", format!("{far}{clear}").as_bytes());
    let found: Vec<_> = sandbox.places().into_iter().map(|one| (one.0, one.2)).collect();
    let wanted = [
        ("sent-in-clear", Some(2)),
        ("sent-unsigned", Some(6)),
        ("no-receipt", Some(9)),
        ("unsigned-accepted", Some(10)),
    ];
    assert_eq!(found, wanted);
    let config = sandbox.load().expect("allowed");
    let policy = config.partners.by_id("customs").expect("there").accept_policy(sandbox.now);
    assert!(!policy.require_signature && !policy.require_encryption, "mirrors the agreement");
}

#[test]
fn a_strangers_signature_counts_as_none_only_where_none_is_demanded() {
    let sandbox = Sandbox::new();
    let accept = |signature: bool| {
        format!("{PARTNER}[accept]\nsignature = {signature}\nunknown_signer = \"warning\"\nfile_names = \"unique\"\n")
    };
    sandbox.write("partners/customs.toml", accept(true).as_bytes());
    let line = Some(PARTNER.lines().count() + 3);
    sandbox.expect("unknown-signer-needs-unsigned", "customs.toml", line, "accept.unknown_signer");
    sandbox.write("partners/customs.toml", accept(false).as_bytes());
    let config = sandbox.load().expect("loads");
    let partner = config.partners.by_id("customs").expect("there");
    assert!(partner.accept_policy(sandbox.now).unknown_signers && partner.accept.unique_file_names);
}

#[test]
fn bodies_go_on_over_connections_only_where_a_signature_proves_the_whole() {
    let sandbox = Sandbox::new();
    sandbox
        .write("partners/customs.toml", format!("{PARTNER}[accept]\nsignature = false\nrestart = true\n").as_bytes());
    let line = Some(PARTNER.lines().count() + 3);
    sandbox.expect("restart-unsigned", "customs.toml", line, "accept.restart");
    sandbox.write("partners/customs.toml", format!("{PARTNER}[accept]\nsignature = true\nrestart = true\n").as_bytes());
    let config = sandbox.load().expect("loads");
    assert!(config.partners.by_id("customs").expect("there").accept.restart);
}

#[test]
fn a_rest_of_a_body_is_sent_only_where_our_signature_and_a_signed_receipt_prove_the_whole() {
    let sandbox = Sandbox::new();
    let restart = "[http]\nrestart = true\n";
    let without =
        ["[agreement]\nsign = \"none\"\n", "[agreement.mdn]\nsigned = false\n", "[agreement.mdn]\nmode = \"none\"\n"];
    for agreed in without {
        sandbox.partner(&format!("{agreed}{restart}"));
        let wanted = ("restart-unproven", "customs.toml".to_owned(), Some(8), "http.restart".to_owned());
        assert!(sandbox.places().contains(&wanted), "{agreed}: {:#?}", sandbox.problems());
        assert!(sandbox.load().is_err(), "{agreed}");
    }
    sandbox.gateway("[as2]\npublic_url = \"http://localhost/as2\"\n");
    for agreed in ["", "[agreement.mdn]\nmode = \"async\"\n"] {
        sandbox.partner(&format!("{agreed}{restart}"));
        let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
        assert!(config.partners.by_id("customs").expect("there").http.restart, "{agreed}");
    }
}

#[test]
fn a_pinned_tls_certificate_needs_an_https_url() {
    let sandbox = Sandbox::new();
    sandbox.partner("use = [\"verify\", \"encrypt\", \"tls\"]\n");
    sandbox.expect("tls-certificate-unused", "customs.toml", Some(2), "url");
    sandbox.write(
        "partners/customs.toml",
        format!("{PARTNER}use = [\"verify\", \"encrypt\", \"tls\"]\n").replace("http://", "https://").as_bytes(),
    );
    let config = sandbox.load().expect("loads");
    assert_eq!(
        config
            .partners
            .by_id("customs")
            .and_then(|one| one.certificates.pinned_tls(sandbox.now).map(|pinned| pinned.len())),
        Some(1)
    );
}

#[test]
fn credentials_never_travel_in_the_clear() {
    let sandbox = Sandbox::new().with_real_keys();
    sandbox.write("gateway.toml", GATEWAY.replace("keys/station", "keys/own").as_bytes());
    sandbox.write("keys/token", b"abc\n");
    let far = PARTNER.replace("http://127.0.0.1:4090", "http://as2.example.com").replace("customs.crt", "theirs.crt");
    sandbox.write("partners/customs.toml", format!("{far}[http]\ntoken_file = \"keys/token\"\n").as_bytes());
    sandbox.expect("credentials-in-clear", "customs.toml", Some(2), "url");
    let https = far.replace("http://", "https://");
    sandbox.write("partners/customs.toml", format!("{https}[http]\ntoken_file = \"keys/token\"\n").as_bytes());
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    let access = &config.partners.by_id("customs").expect("there").http;
    let header = access.authorization.as_ref().expect("read").header_value();
    assert_eq!(header.expose(), "Bearer abc");
}

#[test]
fn a_certificate_that_is_only_carried_is_used_for_nothing() {
    let sandbox = Sandbox::new().with_real_keys();
    sandbox.partner("[[certificates]]\nfile = \"keys/theirs.crt\"\nuse = [\"carried\"]\n");
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    let set = &config.partners.by_id("customs").expect("there").certificates;
    assert_eq!((set.verifying(sandbox.now).len(), set.carried().len()), (1, 2));
    assert_eq!(set.certificates().iter().filter(|one| one.uses.is_none()).count(), 1);
}

#[test]
fn any_active_certificate_verifies_and_the_newest_one_is_encrypted_to() {
    let sandbox = Sandbox::new().with_real_keys();
    sandbox.partner(
        "until = \"2026-09-30T00:00:00Z\"\n[[certificates]]\nfile = \"keys/theirs.crt\"\nfrom = \"2026-09-01T00:00:00Z\"\n\
         [[certificates]]\nfile = \"keys/expired.crt\"\nuse = [\"verify\"]\n",
    );
    assert_eq!(sandbox.places().iter().map(|one| one.0).collect::<Vec<_>>(), ["certificate-expired"]);
    let config = sandbox.load().expect("a warning only");
    let set = &config.partners.by_id("customs").expect("there").certificates;
    let count = |when: &str| set.verifying(at(when)).len();
    assert_eq!(
        (count("2026-08-01T00:00:00Z"), count("2026-09-15T00:00:00Z"), count("2026-12-01T00:00:00Z")),
        (1, 2, 1)
    );
    let newest = |when: &str| {
        set.encrypting(at(when), crate::cms::KeyTransport::RsaPkcs1).map(|one| one.subject().contains("CN=theirs"))
    };
    assert_eq!(newest("2026-08-01T00:00:00Z"), Some(false));
    assert_eq!(newest("2026-09-15T00:00:00Z"), Some(true));
    assert_eq!(newest("2031-01-01T00:00:00Z"), None);
    assert_eq!(set.expiring(sandbox.now).len(), 1);
}

#[test]
fn a_plan_follows_the_agreement() {
    let sandbox = Sandbox::new();
    sandbox.gateway("[as2]\npublic_url = \"http://localhost/as2\"\n").partner("[agreement.mdn]\nmode = \"async\"\n");
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.station.message_id_host, "localhost");
    let customs = config.partners.by_id("customs").expect("there");
    let plan = customs.send_plan(&config.station, sandbox.now, Some("a.xml"), Some("text/xml")).expect("a plan");
    assert_eq!((plan.from.as_str(), plan.to.as_str()), ("STATION", "CUSTOMS"));
    assert_eq!((plan.content_type.as_str(), plan.file_name.as_deref()), ("text/xml", Some("a.xml")));
    assert!(plan.signing.is_some() && plan.encryption.is_some());
    assert_eq!(plan.mdn.mode, MdnMode::Async { url: "http://localhost/as2".to_owned() });
    let late = at("2060-01-01T00:00:00Z");
    let refused = customs.send_plan(&config.station, late, None, None).expect_err("no key is valid");
    assert_eq!(refused, PlanError::NoSigningKey);
    assert_eq!(customs.trusted(late), Vec::new());
}

#[test]
fn a_disabled_partner_sends_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("partners/customs.toml", format!("enabled = false\n{PARTNER}").as_bytes());
    let config = sandbox.load().expect("loads");
    let customs = config.partners.by_id("customs").expect("there");
    let refused = customs.send_plan(&config.station, sandbox.now, None, None).expect_err("disabled");
    assert_eq!(refused, PlanError::Disabled);
}

#[test]
fn the_schedule_is_read_as_written() {
    let sandbox = Sandbox::new();
    sandbox.partner("[delivery]\nretry = [\"1s\", \"2m\"]\ngive_up_after = \"1h\"\njitter = 0\nretry_status = [404]\n");
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    let retry = &config.partners.by_id("customs").expect("there").delivery.retry;
    assert_eq!(retry.delays, [Duration::from_secs(1), Duration::from_secs(120)]);
    assert_eq!((retry.give_up_after, retry.jitter), (Duration::from_secs(3600), 0.0));
    assert_eq!(retry.retry_status, [404]);
}

#[test]
fn no_partner_at_all_is_a_warning_and_no_folder_an_error() {
    let sandbox = Sandbox::new();
    std::fs::remove_file(sandbox.path("partners/customs.toml")).expect("removed");
    sandbox.expect("no-partner", "partners", None, "");
    assert!(sandbox.load().is_ok());
    std::fs::remove_dir(sandbox.path("partners")).expect("removed");
    sandbox.expect("partners-unreadable", "partners", None, "");
    assert!(sandbox.load().is_err());
}

#[test]
fn elliptic_keys_are_named_with_their_scheme_and_key_agreement() {
    let sandbox = Sandbox::new();
    for name in ["own-ec", "theirs-ec"] {
        let request =
            KeyRequest { common_name: name.to_owned(), organization: None, hosts: Vec::new(), bits: 256, days: 365 };
        let pair = generate(&request, None, at("2026-01-01T00:00:00Z")).expect("made");
        sandbox.write(&format!("keys/{name}.crt"), &pair.certificate_pem);
        sandbox.write(&format!("keys/{name}.key"), pair.key_pem.expose());
    }
    sandbox.write("gateway.toml", GATEWAY.replace("keys/station", "keys/own-ec").as_bytes());
    let partner = PARTNER.replace("keys/customs.crt", "keys/theirs-ec.crt");
    sandbox.write("partners/customs.toml", partner.as_bytes());
    let codes: Vec<_> = sandbox.places().into_iter().map(|one| one.0).collect();
    assert_eq!(codes, ["no-key-for-scheme", "certificate-not-for-key-transport"]);

    let agreed = "[agreement]\nsign = \"ecdsa\"\nkey_transport = \"ecdh-sha256\"\n";
    sandbox.write("partners/customs.toml", format!("{partner}{agreed}").as_bytes());
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    let plan = config.partners.by_id("customs").expect("there").send_plan(&config.station, sandbox.now, None, None);
    let plan = plan.expect("can be sent");
    assert_eq!(plan.signing.map(|signing| signing.scheme), Some(SignatureScheme::Ecdsa));
    assert_eq!(plan.encryption.map(|encryption| encryption.transport), Some(KeyTransport::EcdhSha256));
    let mdn = config.station.signing(sandbox.now, DigestAlgorithm::Sha256, None);
    assert_eq!(mdn.map(|signing| signing.scheme), Some(SignatureScheme::Ecdsa), "the scheme that is usual for the key");
}

#[test]
fn revocation_lists_that_cannot_be_read_are_named_where_they_are_configured() {
    let sandbox = Sandbox::new();
    sandbox.write("partners/customs.toml", format!("revocation = \"keys/station.key\"\n{PARTNER}").as_bytes());
    sandbox.expect("crl-unreadable", "customs.toml", Some(1), "revocation");
    sandbox.partner("").gateway("[revocation]\nlists = \"nowhere\"\n");
    sandbox.expect("file-unreadable", "nowhere", None, "");
    sandbox.gateway("[revocation]\nlists = \"keys/customs.crt\"\n");
    assert!(sandbox.load().is_ok(), "an issuer that has published nothing yet");
}

#[test]
fn a_client_certificate_that_is_demanded_must_be_known_and_asked_for() {
    let tls = "[as2.tls]\ncertificate = \"keys/station.crt\"\nprivate_key = \"keys/station.key\"\n";
    let asking = format!("{tls}client_certificates = \"ask\"\n");
    let sandbox = Sandbox::new();
    sandbox.gateway(&asking).partner("[accept]\nclient_certificate = true\n");
    sandbox.expect("client-certificate-unnamed", "customs.toml", Some(6), "accept.client_certificate");
    sandbox.partner("[accept]\nclient_certificate = true\nclient_names = [\"as2.customs.example\"]\n");
    assert_eq!(sandbox.places(), Vec::new());
    sandbox.partner("use = [\"verify\", \"encrypt\", \"client\"]\n[accept]\nclient_certificate = true\n");
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.warnings, Vec::new());
    let partner = config.partners.by_id("customs").expect("there");
    let certificate = &partner.certificates.certificates()[0].certificate;
    assert!(
        partner.is_client(certificate.der(), false, sandbox.now) && !partner.is_client(b"other", true, sandbox.now)
    );
    sandbox.gateway(tls);
    sandbox.expect("client-certificate-never-asked", "customs.toml", Some(7), "accept.client_certificate");
}

#[test]
fn a_certificate_of_the_listeners_ca_is_the_partners_by_its_name() {
    let sandbox = Sandbox::new().with_real_keys();
    let asking = "[as2.tls]\ncertificate = \"keys/station.crt\"\nprivate_key = \"keys/station.key\"\n\
                  client_certificates = \"ask\"\nclient_ca = \"keys/own.crt\"\n";
    sandbox.gateway(asking).partner("[accept]\nclient_certificate = true\nclient_names = [\"LOCALHOST\"]\n");
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(config.as2.clients.issuers.len(), 1);
    let partner = config.partners.by_id("customs").expect("there");
    let named = crate::cms::Certificate::from_pem(&REAL[1].certificate_pem).expect("read");
    assert!(partner.is_client(named.der(), true, sandbox.now), "its DNS name is localhost");
    assert!(!partner.is_client(named.der(), false, sandbox.now), "anybody can give a certificate that name");
    sandbox.partner("[accept]\nclient_certificate = true\nclient_names = [\"local\", \"localhost.example\"]\n");
    let config = sandbox.load().expect("loads");
    assert!(!config.partners.by_id("customs").expect("there").is_client(named.der(), true, sandbox.now));
}

#[test]
fn the_way_out_is_the_partners_own_or_the_gateways_or_none() {
    let sandbox = Sandbox::new();
    let proxy = |sandbox: &Sandbox| {
        let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
        config.partners.by_id("customs").expect("there").http.proxy.clone()
    };
    sandbox.write("keys/proxy.password", b"open sesame\n");
    let gateway = "[proxy]\nurl = \"http://proxy.example.com:3128\"\nuser = \"dxgate\"\n\
                   password_file = \"keys/proxy.password\"\nno_proxy = [\".internal\", \"10.0.0.0/8\"]\n";
    sandbox.gateway(gateway).partner("");
    let taken = proxy(&sandbox).expect("the gateway's");
    assert_eq!((taken.url.as_str(), taken.no_proxy.len()), ("http://proxy.example.com:3128", 2));
    let header = taken.authorization.as_ref().expect("credentials").header_value();
    assert_eq!(header.expose(), "Basic ZHhnYXRlOm9wZW4gc2VzYW1l");
    assert!(!format!("{taken:?}").contains("sesame"));
    sandbox.partner("[http.proxy]\nurl = \"http://other.example.com:8080\"\n");
    assert_eq!(proxy(&sandbox).map(|proxy| proxy.url), Some("http://other.example.com:8080".to_owned()));
    sandbox.partner("[http.proxy]\nurl = \"none\"\n");
    assert!(proxy(&sandbox).is_none());
    for (more, code, line, key) in [
        ("[http.proxy]\nurl = \"https://proxy:3128\"\n", "value-invalid", 6, "http.proxy.url"),
        ("[http.proxy]\nurl = \"http://user:pass@proxy:3128\"\n", "value-invalid", 6, "http.proxy.url"),
        ("[http.proxy]\nurl = \"http://proxy:3128\"\npassword = \"x\"\n", "secret-inline", 7, "http.proxy.password"),
        ("[http.proxy]\nuser = \"x\"\npassword_file = \"keys/proxy.password\"\n", "key-missing", 5, "http.proxy.url"),
    ] {
        sandbox.partner(more).expect(code, "customs.toml", Some(line), key);
    }
}

#[test]
fn each_listener_has_a_port_of_its_own_and_asks_as_it_says() {
    let sandbox = Sandbox::new();
    sandbox.gateway("[[as2.listeners]]\nlisten = \"127.0.0.1:4080\"\n");
    sandbox.expect("listen-conflict", "gateway.toml", Some(8), "as2.listeners[0].listen");
    sandbox.gateway("[[as2.listeners]]\nlisten = \"127.0.0.1:4081\"\n");
    sandbox.expect("listen-conflict", "gateway.toml", None, "console.listen");
    sandbox.gateway("[[as2.listeners]]\n");
    sandbox.expect("key-missing", "gateway.toml", Some(7), "as2.listeners[0].listen");
    let tls = "[as2.listeners.tls]\ncertificate = \"keys/station.crt\"\nprivate_key = \"keys/station.key\"\n";
    sandbox
        .gateway(&format!("[[as2.listeners]]\nlisten = \"127.0.0.1:4443\"\n{tls}client_ca = \"keys/customs.crt\"\n"));
    sandbox.expect("client-certificates-not-asked", "gateway.toml", Some(12), "as2.listeners[0].tls.client_ca");
    sandbox.gateway(&format!(
        "[[as2.listeners]]\nlisten = \"127.0.0.1:4443\"\n{tls}client_certificates = \"require\"\nclient_ca = \"keys/customs.crt\"\n"
    ));
    let config = sandbox.load().unwrap_or_else(|problems| panic!("{problems}"));
    assert!(config.as2.asks_clients() && config.as2.tls.is_none());
    assert_eq!((config.as2.all_listeners().len(), config.as2.listeners[0].clients.issuers.len()), (2, 1));
}

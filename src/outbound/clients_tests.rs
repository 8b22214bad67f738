//! What is found for a partner holds exactly as long as its file says the same.

use std::path::PathBuf;

use jiff::SignedDuration;
use openssl::asn1::{Asn1Object, Asn1OctetString, Asn1Time};
use openssl::bn::BigNum;
use openssl::ec::{Asn1Flag, EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509Extension, X509Name};

use super::*;
use crate::config::{self, Problem, Severity};
use crate::http::{Client, SendBody, Timeouts};
use crate::keys::{CertificateSet, CertificateUses, PartnerCertificate, TlsIdentity, Window};
use crate::outbound::specimens::{Home, PARTNER, URL, customs, now};
use crate::partner::{Accept, Delivery, HttpAccess, Waived, Waiver, Waivers};

fn credentials(road: &Road) -> &str {
    road.credentials.as_ref().unwrap().expose()
}

#[test]
fn a_changed_partner_file_or_secret_is_in_force_for_the_next_message_and_what_it_replaces_is_forgotten() {
    let home = Home::new();
    let file = |more: &str| format!("{PARTNER}[http]\ntoken_file = \"keys/token\"\n{more}");
    home.write("keys/token", b"first\n");
    home.write("partners/customs.toml", file("").as_bytes());
    let config = home.load();
    let clients = Clients::default();

    let partner = customs(&config.partners);
    let first = clients.road(&partner, URL, now()).unwrap();
    assert_eq!(credentials(&first), "Bearer first");
    assert!(Arc::ptr_eq(&first, &clients.road(&partner, URL, now()).unwrap()), "it is found once");

    home.write("keys/token", b"second\n");
    let read = home.reload(&config, &config.partners);
    let second = clients.road(&customs(&read), URL, now()).unwrap();
    assert_eq!(credentials(&second), "Bearer second");
    let replaced = Arc::downgrade(&first);
    drop(first);
    assert!(replaced.upgrade().is_none());

    home.write("partners/customs.toml", file("chunked = true\n").as_bytes());
    let read = home.reload(&config, &read);
    let third = clients.road(&customs(&read), URL, now()).unwrap();
    assert!(third.route.settings().chunked && !second.route.settings().chunked);

    clients.forget(&read);
    assert!(Arc::ptr_eq(&third, &clients.road(&customs(&read), URL, now()).unwrap()), "it is as the file says");
    clients.forget(&config.partners);
    assert!(clients.lock().is_empty(), "the partner is another one there");
}

/// A partner whose pins and waiver begin and end, and when they do.
fn with_edges(partner: &Partner) -> (Arc<Partner>, [Timestamp; 5]) {
    let at = |day: i64| now() + SignedDuration::from_hours(24 * day);
    let pin = |from: i64, until: i64| PartnerCertificate {
        certificate: partner.certificates.certificates()[0].certificate.clone(),
        uses: CertificateUses { verify: false, encrypt: false, tls: true, client: false },
        window: Window { from: at(from), until: at(until) },
        file: PathBuf::new(),
        revoked: false,
    };
    let waiver = Waiver { algorithm: Waived::OldTls, until: at(4), reason: "until their upgrade".to_owned() };
    let changed = Partner {
        certificates: CertificateSet::new(vec![pin(1, 3), pin(2, 5)]),
        waivers: Waivers(vec![waiver]),
        http: HttpAccess { old_tls: true, ..partner.http.clone() },
        ..partner.clone()
    };
    (Arc::new(changed), [1, 2, 3, 4, 5].map(at))
}

#[test]
fn at_each_edge_of_a_pins_window_or_a_waiver_the_next_message_goes_as_the_file_says_then() {
    let (partner, edges) = with_edges(&customs(&Home::new().load().partners));
    let clients = Clients::default();
    let (moment, second_long) = (SignedDuration::from_nanos(1), SignedDuration::from_secs(1));
    let around =
        |edge: &Timestamp| [*edge - moment, *edge, *edge + moment, *edge + second_long - moment, *edge + second_long];
    let instants: Vec<Timestamp> = edges.iter().flat_map(around).collect();
    // Backwards as well: a clock may be set.
    for now in instants.iter().chain(instants.iter().rev()) {
        let road = clients.road(&partner, URL, *now).unwrap();
        let wanted = client_settings(&partner, URL, *now).unwrap();
        assert_eq!(format!("{:?}", road.route.settings()), format!("{wanted:?}"), "{now}");
    }
    let pins = |now: Timestamp| match &clients.road(&partner, URL, now).unwrap().route.settings().trust {
        Trust::Pinned(pinned) => pinned.len(),
        Trust::System => panic!("the system's CAs do not step in"),
    };
    let [first, second, third, _, last] = edges;
    assert_eq!(
        [first - moment, first, second, third, third + second_long, last, last + second_long].map(pins),
        [0, 1, 2, 2, 1, 1, 0]
    );
    let road = clients.road(&partner, URL, first).unwrap();
    assert!(Arc::ptr_eq(&road, &clients.road(&partner, URL, second - moment).unwrap()), "nothing changes between");
}

#[test]
fn urls_for_mdns_that_differ_with_each_message_do_not_pile_up() {
    let partner = customs(&Home::new().load().partners);
    let clients = Clients::default();
    for number in 0..100 {
        clients.road(&partner, &format!("{URL}?id={number}"), now()).unwrap();
    }
    assert_eq!(clients.lock().values().map(Vec::len).sum::<usize>(), ROADS);
}

/// A partner with this URL and this one for its MDNs, outside.
fn outside(url: &str, mdns: &str) -> Arc<Partner> {
    let partner = customs(&Home::new().load().partners);
    Arc::new(Partner {
        url: PartnerUrl::parse(url).unwrap(),
        delivery: Delivery { private_network: false, ..partner.delivery.clone() },
        accept: Accept { async_mdn_urls: vec![PartnerUrl::parse(mdns).unwrap()], ..partner.accept.clone() },
        ..Partner::clone(&partner)
    })
}

async fn failure(partner: &Arc<Partner>, url: &str) -> PostErrorKind {
    match Clients::default().road(partner, url, now()) {
        Ok(road) => road.route.post(&[], SendBody::empty(), Timeouts::default()).await.unwrap_err().kind,
        Err(error) => error.kind,
    }
}

#[tokio::test]
async fn a_partner_is_reached_at_any_port_that_its_file_names_and_its_address_is_judged_all_the_same() {
    let (own, listed) = ("https://no-such-host.invalid:444/as2", "https://no-such-host.invalid:26/mdn");
    let partner = outside(own, listed);
    for url in [own, listed, "https://no-such-host.invalid:26/named-in-a-message"] {
        assert_eq!(failure(&partner, url).await, PostErrorKind::Resolve, "{url}");
    }
    let elsewhere = "https://no-such-host.invalid:25/named-in-a-message";
    assert_eq!(failure(&partner, elsewhere).await, PostErrorKind::Forbidden);
    let inside = "http://127.0.0.1:444/as2";
    assert_eq!(failure(&outside(inside, listed), inside).await, PostErrorKind::Forbidden);
}

/// Lines of the partner's file: it is shown `keys/client.crt`.
const CLIENT: &str = "[http]\ncertificate = \"keys/client.crt\"\nprivate_key = \"keys/client.key\"\n";

/// Makes `keys/client.crt` for this key, of this version (2 is v3) and with these extensions, and `keys/client.key`.
fn show(home: &Home, key: &PKey<Private>, version: i32, extensions: Vec<X509Extension>) {
    let issuer = elliptic(Nid::X9_62_PRIME256V1, Asn1Flag::NAMED_CURVE);
    let mut name = X509Name::builder().unwrap();
    name.append_entry_by_text("CN", "our client").unwrap();
    let name = name.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(version).unwrap();
    builder.set_serial_number(&BigNum::from_u32(7).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&name).unwrap();
    builder.set_issuer_name(&name).unwrap();
    builder.set_pubkey(key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(0).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(4_102_444_800).unwrap()).unwrap();
    for extension in extensions {
        builder.append_extension(extension).unwrap();
    }
    builder.sign(&issuer, MessageDigest::sha256()).unwrap();
    home.write("keys/client.crt", &builder.build().to_pem().unwrap());
    home.write("keys/client.key", &key.private_key_to_pem_pkcs8().unwrap());
    home.write("partners/customs.toml", format!("{PARTNER}{CLIENT}").as_bytes());
}

fn rsa(bits: u32) -> PKey<Private> {
    PKey::from_rsa(Rsa::generate(bits).unwrap()).unwrap()
}

fn elliptic(curve: Nid, parameters: Asn1Flag) -> PKey<Private> {
    let mut group = EcGroup::from_curve_name(curve).unwrap();
    group.set_asn1_flag(parameters);
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

/// Extensions of these names, each critical or not: empty SEQUENCEs.
fn extensions(named: &[(&str, bool)]) -> Vec<X509Extension> {
    let content = Asn1OctetString::new_from_bytes(&[0x30, 0]).unwrap();
    let made = |(name, critical): &(&str, bool)| {
        X509Extension::new_from_der(&Asn1Object::from_str(name).unwrap(), *critical, &content).unwrap()
    };
    named.iter().map(made).collect()
}

/// What is wrong with the files: nothing, or what keeps the gateway from its start.
fn mistakes(home: &Home) -> Vec<Problem> {
    let read = config::load(&home.path("gateway.toml"), &|_| None, now());
    read.err().map_or_else(Vec::new, |problems| problems.errors().cloned().collect())
}

/// Whether rustls takes the pair.
fn can_be_shown(home: &Home) -> bool {
    let pair = TlsIdentity::from_files(&home.path("keys/client.crt"), &home.path("keys/client.key"), None);
    let Ok(pair) = pair else { return false };
    let (trust, identity) = (Trust::Pinned(Vec::new()), Some(Identity::from(&pair)));
    Client::new(ClientSettings { trust, identity, ..ClientSettings::default() }).is_ok()
}

#[test]
fn a_client_certificate_is_taken_from_a_file_exactly_if_a_client_can_show_it() {
    const UNKNOWN: &str = "1.3.6.1.4.1.55555.1";
    const POLICIES: &str = "2.5.29.32";
    const NAMES: &str = "2.5.29.30";
    let (named, spelt_out) = (Asn1Flag::NAMED_CURVE, Asn1Flag::EXPLICIT_CURVE);
    let key = rsa(2048);
    let home = Home::new();
    for (what, key, version, added, taken) in [
        ("RSA of 2048 bits", key.clone(), 2, &[][..], true),
        ("RSA of 1024 bits", rsa(1024), 2, &[], false),
        ("P-256", elliptic(Nid::X9_62_PRIME256V1, named), 2, &[], true),
        ("P-384", elliptic(Nid::SECP384R1, named), 2, &[], true),
        ("P-521", elliptic(Nid::SECP521R1, named), 2, &[], true),
        ("another curve", elliptic(Nid::SECP256K1, named), 2, &[], false),
        ("a curve spelt out", elliptic(Nid::X9_62_PRIME256V1, spelt_out), 2, &[], false),
        ("Ed25519", PKey::generate_ed25519().unwrap(), 2, &[], true),
        ("X.509 v1", key.clone(), 0, &[], false),
        ("extensions that may be ignored", key.clone(), 2, &[(UNKNOWN, false), (POLICIES, false)], true),
        ("one that may not", key.clone(), 2, &[(UNKNOWN, true)], false),
        ("one of RFC 5280 that may not", key.clone(), 2, &[(POLICIES, true)], false),
        ("one that may not and is known", key.clone(), 2, &[(NAMES, true)], true),
        ("a known one twice", key.clone(), 2, &[(NAMES, false), (NAMES, false)], false),
    ] {
        show(&home, &key, version, extensions(added));
        let mistakes = mistakes(&home);
        assert_eq!((mistakes.is_empty(), can_be_shown(&home)), (taken, taken), "{what}: {mistakes:#?}");
    }
}

#[test]
fn what_no_client_can_show_is_refused_with_its_file_and_the_partner_stays_as_it_was() {
    let home = Home::new();
    show(&home, &rsa(2048), 2, Vec::new());
    let config = home.load();
    let file = home.path("keys/client.crt").display().to_string();
    for (bits, version, why) in [(1024, 2, "1024"), (2048, 0, "X.509 v3")] {
        show(&home, &rsa(bits), version, Vec::new());
        let mistakes = mistakes(&home);
        let [mistake] = mistakes.as_slice() else { panic!("one, for {why}: {mistakes:#?}") };
        assert_eq!((mistake.code, mistake.key.as_str()), ("client-certificate-unusable", "http.certificate"));
        assert!(mistake.file.ends_with("customs.toml") && mistake.line == Some(6), "{mistake:#?}");
        for text in [&mistake.text.zh, &mistake.text.en] {
            assert!(text.contains(&file) && text.contains(why), "{text}");
        }
        let read = home.reload(&config, &config.partners);
        assert!(Arc::ptr_eq(&customs(&read), &customs(&config.partners)), "{why}");
    }
}

#[tokio::test]
async fn old_servers_are_shown_any_certificate_and_after_the_waiver_it_counts_as_a_failed_handshake() {
    let home = Home::new();
    show(&home, &rsa(1024), 2, Vec::new());
    let unusable = |until: &str| {
        let pinned = "use = [\"verify\", \"encrypt\", \"tls\"]\n";
        let waiver = format!("[[waivers]]\nalgorithm = \"old-tls\"\nuntil = \"{until}\"\nreason = \"their upgrade\"\n");
        let file = format!("{PARTNER}{pinned}{CLIENT}tls = \"old\"\n{waiver}");
        home.write("partners/customs.toml", file.as_bytes());
        let config = home.load();
        let told = config.warnings.iter().find(|one| one.code == "client-certificate-unusable");
        (told.map(|one| one.severity), customs(&config.partners))
    };
    let (told, partner) = unusable("2026-12-31");
    assert_eq!(told, None);
    assert!(Clients::default().road(&partner, URL, now()).is_ok());
    let (told, partner) = unusable("2026-05-31");
    assert_eq!(told, Some(Severity::Warning));
    assert_eq!(failure(&partner, URL).await, PostErrorKind::Tls);
}

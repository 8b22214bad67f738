//! Terms of an agreement that show on the wire, and a receipt that keeps them in its own way.

use dxgate::as2::Mic;
use dxgate::cms::DigestAlgorithm;
use sha2::{Digest, Sha256};

use crate::support::correspondent::{Kind, acknowledge};
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::scripted::{Posted, Scripted};

const OPEN: &str = "sign = \"none\"\nencrypt = \"none\"";

#[test]
fn the_media_type_is_that_of_the_files_extension_or_else_the_partners() {
    let home = Home::ours();
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    home.partner("theirs", &PartnerFile { url: peer.url(), agreement: OPEN, ..PartnerFile::default() });
    let file = home.path("partners").join("theirs.toml");
    let types = "content_type = \"application/xml\"\n\
                 content_types = [\"edi = application/EDIFACT\", \"x12 = application/EDI-X12\", \"json = application/json\"]\n";
    std::fs::write(&file, format!("{types}{}", std::fs::read_to_string(&file).unwrap())).unwrap();
    let gateway = Gateway::start(&home);
    let table = [
        ("order.edi", "application/EDIFACT"),
        ("ORDER.EDI", "application/EDIFACT"),
        ("850.x12", "application/EDI-X12"),
        ("edi.json", "application/json"),
        ("order.xml", "application/xml"),
        ("order.pdf", "application/xml"),
        ("edi", "application/xml"),
    ];
    for (name, _) in table {
        home.submit("theirs", name, format!("<{name}>").as_bytes());
    }
    for (name, expected) in table {
        gateway.wait_for("theirs", "sent", name);
        let posted = peer.posted();
        let posted = posted.iter().find(|posted| posted.body == format!("<{name}>").as_bytes()).unwrap();
        assert_eq!(posted.header("Content-Type"), expected, "{name}");
    }
}

/// SHA-256 over the body with its header fields: what some products return for a plain message, whose MIC covers the body alone
/// (RFC 4130 7.3.1).
fn with_fields(posted: &Posted) -> Mic {
    let names = ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"];
    let fields: String = names.iter().map(|name| format!("{name}: {}\r\n", posted.header(name))).collect();
    let octets = [fields.as_bytes(), b"\r\n", &posted.body].concat();
    Mic { algorithm: DigestAlgorithm::Sha256, value: Sha256::digest(octets).to_vec() }
}

#[test]
fn a_digest_over_other_octets_of_the_same_message_delivers_it_with_a_remark() {
    let home = Home::ours();
    let peer = Scripted::start(|_, posted| {
        Some(acknowledge(posted, Kind { mic: Some(with_fields(posted)), ..Kind::default() }))
    });
    home.partner("theirs", &PartnerFile { url: peer.url(), agreement: OPEN, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.xml", b"<order/>");
    gateway.wait_for("theirs", "sent", "order.xml");
    let message = eventually("it is delivered", || {
        let message = gateway.api("/api/v1/messages?partner=theirs")["messages"][0].clone();
        (message["state"] == "delivered").then_some(message)
    });
    assert_eq!(message["reason"]["code"], "mic-variant", "{message:#}");
    assert!(std::fs::read_to_string(home.log()).unwrap().contains("mic-variant"));
}

/// The digest of a plain message's body (RFC 4130 7.3.1).
fn of_body(posted: &Posted) -> Mic {
    Mic { algorithm: DigestAlgorithm::Sha256, value: Sha256::digest(&posted.body).to_vec() }
}

#[test]
fn a_receipt_is_remarked_on_where_its_algorithm_is_not_the_one_that_the_message_asked_for() {
    type Digest = fn(&Posted) -> Option<Mic>;
    let signed = PartnerFile::default().agreement;
    let table: [(&str, &str, &str, Digest, Option<&str>); 5] = [
        ("signed", signed, "[\"sha-512\"]", |_| None, None),
        ("both", signed, "[\"sha-512\", \"sha-256\"]", |_| None, None),
        ("plain", OPEN, "[\"sha-512\"]", |_| None, None),
        ("other", OPEN, "[\"sha-512\"]", |posted| Some(of_body(posted)), Some("mic-variant")),
        ("asked", OPEN, "[\"sha-256\"]", |posted| Some(of_body(posted)), None),
    ];
    let home = Home::ours();
    let mut peers = Vec::new();
    for (id, agreement, micalg, digest, _) in table {
        let peer = Scripted::start(move |_, posted| {
            Some(acknowledge(posted, Kind { mic: digest(posted), ..Kind::default() }))
        });
        let mdn = &format!("mode = \"sync\"\nsigned = true\nmicalg = {micalg}");
        home.partner(id, &PartnerFile { as2_name: id, url: peer.url(), agreement, mdn, ..PartnerFile::default() });
        peers.push(peer);
    }
    let gateway = Gateway::start(&home);
    for (id, ..) in table {
        home.submit(id, "order.xml", b"<order/>");
    }
    for (id, _, micalg, _, remark) in table {
        gateway.wait_for(id, "sent", "order.xml");
        let message = eventually("it is delivered", || {
            let message = gateway.api(&format!("/api/v1/messages?partner={id}"))["messages"][0].clone();
            (message["state"] == "delivered").then_some(message)
        });
        assert_eq!(message["reason"]["code"].as_str(), remark, "{id}: {message:#}");
        if remark.is_some() {
            let reason = message["reason"].to_string();
            assert!(reason.contains("sha-256 instead of sha-512"), "{id}, {micalg}: {reason}");
        }
    }
}

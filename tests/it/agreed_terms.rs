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

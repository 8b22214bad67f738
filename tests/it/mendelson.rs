//! Messages as mendelson AS2 sends them when it does not sign, and a receipt in base64, over HTTP.

use std::io::{Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dxgate::cms::{
    self, Certificate, ContentCipher, DigestAlgorithm, EnvelopeWriter, GcmForm, KeyTransport, Recipient,
};
use dxgate::mime::{BytesSource, MemoryScratch};

use crate::support::correspondent::{Kind, receipt_for, receipt_in};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::scripted::{Scripted, answer};
use crate::support::{eventually, http, keys};

const ORDER: &[u8] = b"UNA:+.? 'UNB+UNOC:3+A:14+B:14+261122:0600+1'UNZ+0+1'\r\n";
const UNSIGNED: &str = "signature = false\nencryption = false\ngcm_in_enveloped_data = true";
const SEALED: &str = "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m";

fn fields(message_id: &str, content_type: &str) -> String {
    format!(
        "as2-version: 1.2\r\nediint-features: multiple-attachments, CEM\r\nmime-version: 1.0\r\nmessage-id: {message_id}\r\n\
         as2-from: theirs\r\nas2-to: ours\r\ncontent-type: {content_type}\r\ndisposition-notification-to: http://theirs/\r\n\
         disposition-notification-options: signed-receipt-protocol=optional, pkcs7-signature; \
         signed-receipt-micalg=optional, sha-256\r\ncontent-disposition: attachment; filename=\"order.edi\"\r\n"
    )
}

/// As Bouncy Castle encrypts for `ours`.
fn sealed(inner: &[u8], cipher: ContentCipher) -> Vec<u8> {
    let certificate = Certificate::from_x509(&keys::ours().certificate).unwrap();
    let recipient = Recipient { certificate, transport: KeyTransport::RsaPkcs1 };
    let form = GcmForm::Enveloped;
    let mut writer = EnvelopeWriter::in_form(Vec::new(), &[recipient], cipher, form, inner.len() as u64).unwrap();
    writer.write_all(inner).unwrap();
    writer.finish().unwrap()
}

/// As Bouncy Castle compresses an entity, its header block in front.
fn compressed(entity: &[u8]) -> Vec<u8> {
    let head = b"Content-Type: application/pkcs7-mime; name=\"smime.p7z\"; smime-type=compressed-data\r\n\
                 Content-Transfer-Encoding: binary\r\nContent-Disposition: attachment; filename=\"smime.p7z\"\r\n\
                 Content-Description: S/MIME Compressed Message\r\n\r\n";
    let mut body = head.to_vec();
    let structure = cms::compress(&BytesSource(entity), &MemoryScratch).unwrap();
    structure.open().unwrap().read_to_end(&mut body).unwrap();
    body
}

#[test]
fn unsigned_messages_of_mendelson_are_delivered_and_confirmed_where_nothing_need_be_signed() {
    let entity = [b"Content-Type: application/EDIFACT\r\nContent-Transfer-Encoding: binary\r\n\r\n".as_slice(), ORDER];
    let entity = entity.concat();
    let gcm = ContentCipher::Aes256Gcm;
    for (what, content_type, body, covered) in [
        ("encrypted", SEALED, sealed(ORDER, gcm), ORDER),
        ("compressed", "application/EDIFACT", compressed(&entity), entity.as_slice()),
        ("compressed and encrypted", SEALED, sealed(&compressed(&entity), gcm), entity.as_slice()),
    ] {
        let home = Home::ours();
        home.partner("theirs", &PartnerFile { accept: UNSIGNED, ..PartnerFile::default() });
        let gateway = Gateway::start(&home);
        let answer = http::post(home.as2, "/as2", &fields("<unsigned@theirs>", content_type), &body).unwrap();
        let receipt = receipt_in(&answer);
        assert!(receipt.disposition.is_positive(), "{what}: {}\n{}", answer.text(), gateway.log());
        assert_eq!(receipt.mic.unwrap().value, DigestAlgorithm::Sha256.digest(covered), "{what}");
        let arrived = || home.names("theirs", "inbox").into_iter().find(|name| !name.ends_with(".meta.json"));
        let name = eventually("a file in the inbox", arrived);
        assert_eq!(gateway.wait_for("theirs", "inbox", &name), ORDER, "{what}");
        // Of the last its fields are those of the envelope alone.
        assert_eq!(name == "order.edi", what != "compressed and encrypted", "{what}: {name}");
    }
}

#[test]
fn what_mendelson_encrypts_without_integrity_and_does_not_sign_fails_like_any_garbage() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: UNSIGNED, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    for (number, inner) in [ORDER, b"\x8f\x00\x91\x1c"].into_iter().enumerate() {
        let body = sealed(inner, ContentCipher::Aes256Cbc);
        let fields = fields(&format!("<{number}@theirs>"), SEALED);
        let answer = http::post(home.as2, "/as2", &fields, &body).unwrap();
        let receipt = receipt_in(&answer);
        assert!(receipt.disposition.says("decryption-failed"), "{}\n{}", answer.text(), gateway.log());
        assert!(receipt.mic.is_none());
    }
    assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new());
}

#[test]
fn a_signed_receipt_that_is_posted_in_base64_settles_its_message() {
    let (home, peer) = (Home::ours(), Scripted::start(|_, _| Some(answer(202, "", b""))));
    let mdn = "mode = \"async\"\nsigned = true";
    home.partner("theirs", &PartnerFile { url: peer.url(), mdn, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "order.edi", ORDER);
    eventually("the receipt is awaited", || {
        let message = gateway.api("/api/v1/messages?direction=outbound")["messages"][0].clone();
        (message["state"] == "awaiting-receipt").then_some(())
    });
    let receipt = receipt_for(&peer.posted()[0], Kind::default());
    let encoded = STANDARD.encode(&receipt.body);
    let lines: Vec<u8> = encoded.as_bytes().chunks(76).flat_map(|line| [line, b"\r\n"].concat()).collect();
    let fields = format!("{}Content-Transfer-Encoding: base64\r\n", receipt.headers);
    let taken = http::post(home.as2, "/as2", &fields, &lines).unwrap();
    assert_eq!(taken.status, 200, "{}\n{}", taken.text(), gateway.log());
    assert_eq!(gateway.wait_for("theirs", "sent", "order.edi"), ORDER);
    assert_eq!(peer.posted().len(), 1, "it was sent once");
}

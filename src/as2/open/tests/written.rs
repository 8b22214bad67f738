//! Strict out: what we send is written in one way, and in none of those that are only read ([`quirks`](super::quirks)). What is
//! encrypted or compressed is opened, so that every layer is looked at, down to the payload.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::as2::attachments::{Enclosure, Related};
use crate::as2::headers::repeated_singleton;
use crate::cms::der::{self, Fields, Tlv};
use crate::cms::{EnvelopeReader, GcmForm, InflateReader, SigningKey, oid};
use crate::ground::limits::Limits;
use crate::mime::{BytesSource, ContentType, Headers, Part, Source as _, parts_between};

/// What we send, with what is needed to look into it.
struct Written {
    what: String,
    wire: Wire,
    content_key: Option<Vec<u8>>,
    signing: Option<Signing>,
}

/// What none of our heads and receipts says.
const QUIRKS: [&str; 7] =
    ["x-pkcs7", "Error:", "decompresion", "filename=\"\"", ",sha", "MDN-sent-automatically;p", "Type: \""];

fn encryptions() -> Vec<Option<Encryption>> {
    use ContentCipher::{Aes128Cbc, Aes128Gcm, Aes192Gcm, Aes256Cbc, Aes256Gcm};
    use KeyTransport::{EcdhSha256, RsaOaepSha1, RsaOaepSha256, RsaOaepSha512, RsaPkcs1};
    let encryption = |key: &SigningKey, cipher, gcm_form, transport, base64| {
        Some(Encryption { recipients: vec![key.certificate.clone()], cipher, gcm_form, base64, transport })
    };
    vec![
        None,
        encryption(&BOB, Aes256Cbc, GcmForm::AuthEnveloped, RsaPkcs1, false),
        encryption(&BOB, Aes128Cbc, GcmForm::AuthEnveloped, RsaOaepSha1, true),
        encryption(&BOB, Aes128Gcm, GcmForm::AuthEnveloped, RsaOaepSha256, false),
        encryption(&BOB, Aes256Gcm, GcmForm::AuthEnveloped, RsaOaepSha512, true),
        encryption(&BOB, Aes256Gcm, GcmForm::Enveloped, RsaPkcs1, false),
        encryption(&BOB, Aes192Gcm, GcmForm::EnvelopedBareNonce, RsaPkcs1, false),
        encryption(&BOB_P384, Aes256Cbc, GcmForm::AuthEnveloped, EcdhSha256, false),
        encryption(&BOB_P384, Aes128Gcm, GcmForm::AuthEnveloped, EcdhSha256, false),
    ]
}

fn signings() -> Vec<Option<Signing>> {
    let signing = |key: &SigningKey, digest, scheme| Some(Signing { key: key.clone(), digest, scheme });
    vec![
        None,
        signing(&ALICE, DigestAlgorithm::Sha256, SignatureScheme::RsaPkcs1),
        signing(&ALICE, DigestAlgorithm::Sha384, SignatureScheme::RsaPss),
        signing(&ALICE_P256, DigestAlgorithm::Sha512, SignatureScheme::Ecdsa),
    ]
}

/// Every scheme, form of envelope and order of compression, and SM; every other one wants its receipt at a URL.
fn plans() -> Vec<SendPlan> {
    let mut layers = Vec::new();
    for signing in signings() {
        layers.extend(encryptions().into_iter().map(|encryption| (signing.clone(), encryption)));
    }
    let sm3 = DigestAlgorithm::Sm3;
    let sm = Encryption {
        recipients: vec![BOB_SM2.certificate.clone()],
        cipher: ContentCipher::Sm4Cbc,
        gcm_form: GcmForm::default(),
        base64: false,
        transport: KeyTransport::Sm2,
    };
    layers.push((Some(Signing { key: ALICE_SM2.clone(), digest: sm3, scheme: SignatureScheme::Sm2 }), Some(sm)));
    let mut all = Vec::new();
    for (signing, encryption) in layers {
        for compression in COMPRESSIONS {
            let mut plan = plan(None, None, compression);
            (plan.signing, plan.encryption) = (signing.clone(), encryption.clone());
            if all.len() % 2 == 1 {
                plan.mdn.mode = MdnMode::Async { url: URL.to_owned() };
            }
            all.push(plan);
        }
    }
    all
}

const URL: &str = "https://alice.example/mdn?a=1&b=2";

fn message(plan: &SendPlan, payload: &[u8]) -> Written {
    let SendPlan { signing, encryption, compression, content_type, .. } = plan;
    let scheme = signing.as_ref().map(|how| how.scheme);
    let envelope = encryption.as_ref().map(|how| (how.cipher, how.gcm_form, how.transport));
    let what = format!("{scheme:?} {envelope:?} {compression:?} {content_type}");
    let (wire, composed) = compose_it(plan, payload);
    let content_key = composed.content_key.map(|key| key.expose().clone());
    Written { what, wire, content_key, signing: signing.clone() }
}

/// Files of several kinds in one payload, and its type.
fn several_files() -> (String, Vec<u8>) {
    let contents = [PAYLOAD, b"", b"\x00\xff\r\n--b\r\n"].map(BytesSource);
    let names = [Some("单 1.xml"), None, Some("a b.txt")];
    let enclosed = contents.iter().zip(names);
    let enclosures: Vec<_> = enclosed
        .map(|(content, file_name)| Enclosure { content_type: "a/b", file_name, content_id: Some("1@a"), content })
        .collect();
    let related = Related::new(&enclosures).unwrap();
    let mut payload = Vec::new();
    std::io::Read::read_to_end(&mut related.open().unwrap(), &mut payload).unwrap();
    (related.content_type().to_owned(), payload)
}

/// A receipt is built alike for the answer to a POST and for a POST of its own.
fn receipts() -> Vec<Written> {
    let mic = Mic { algorithm: DigestAlgorithm::Sha512, value: vec![0xab; 64] };
    let signers = [
        None,
        Some((&*BOB, SignatureScheme::RsaPkcs1)),
        Some((&*BOB, SignatureScheme::RsaPss)),
        Some((&*BOB_P384, SignatureScheme::Ecdsa)),
    ];
    let dispositions = [
        Disposition::processed_ok(),
        Disposition::duplicate_document(&Stored::assertion()),
        Disposition::decryption_failed(),
        Disposition::unsupported_format(),
    ];
    let mut all = Vec::new();
    for signer in signers {
        for disposition in &dispositions {
            let signing = signer.map(|(key, scheme)| signing(key, scheme));
            let built = answer_signed(disposition, Some(&mic), signing.as_ref());
            let what = format!("receipt {:?} {disposition}", signer.map(|(_, scheme)| scheme));
            let wire = Wire { headers: built.headers, body: built.body };
            all.push(Written { what, wire, content_key: None, signing });
        }
    }
    all
}

/// What lies under the layers, whose names are noted on the way; all are as we write them.
fn innermost(written: &Written, layers: &mut Vec<&'static str>) -> (Headers, Vec<u8>) {
    let Written { what, wire, .. } = written;
    check_head(what, &wire.headers.to_bytes());
    if wire.headers.get("Content-Transfer-Encoding") != Some("base64") {
        return inside(written, &wire.headers, &wire.body, layers);
    }
    layers.push("base64");
    assert!(wire.body.ends_with(b"\r\n"), "{what}");
    inside(written, &wire.headers, &from_lines(what, &wire.body), layers)
}

fn inside(written: &Written, headers: &Headers, body: &[u8], layers: &mut Vec<&'static str>) -> (Headers, Vec<u8>) {
    let what = &written.what;
    assert_eq!(repeated_singleton(headers), None, "{what}");
    let value = headers.get("Content-Type").unwrap();
    let content_type = ContentType::parse(value).unwrap();
    let octets = match content_type.essence.as_str() {
        "multipart/signed" => {
            layers.push("signature");
            assert!(value.contains("protocol=\"application/pkcs7-signature\""), "quoted: {what}");
            signed_octets(written, &content_type, body)
        }
        "application/pkcs7-mime" => {
            let layer = check_label(what, &content_type, body);
            layers.push(layer);
            let mut octets = Vec::new();
            let limits = Limits::default();
            if layer == "compression" {
                let mut reader = InflateReader::open(body, &limits).unwrap();
                std::io::Read::read_to_end(&mut reader, &mut octets).unwrap();
            } else {
                let key = written.content_key.as_deref().unwrap();
                let mut reader = EnvelopeReader::open_again(body, key, &limits).unwrap();
                std::io::Read::read_to_end(&mut reader, &mut octets).unwrap();
            }
            octets
        }
        _ => return (headers.clone(), body.to_vec()),
    };
    let (head, body) = octets.split_at(memchr::memmem::find(&octets, b"\r\n\r\n").unwrap() + 4);
    check_head(what, head);
    let headers = Headers::parse(head, &Limits::default()).unwrap();
    assert!(matches!(headers.get("Content-Transfer-Encoding"), None | Some("binary")), "nothing in base64: {what}");
    inside(written, &headers, body, layers)
}

/// ASCII in whole lines that end in CR LF, none of them folded; encoded words in a subject alone.
fn check_head(what: &str, head: &[u8]) {
    let text = std::str::from_utf8(head).unwrap();
    assert!(text.is_ascii() && text.ends_with("\r\n"), "{what}: {text}");
    assert!(!text.contains("\r\n ") && !text.contains('\t'), "folded or tabbed: {what}: {text}");
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "a line end of another kind: {what}: {text}");
    for line in text.lines().filter(|line| !line.starts_with("Subject: ")) {
        assert!(!line.contains("=?"), "{what}: {line}");
        for quirk in QUIRKS {
            assert!(!line.contains(quirk), "{what}: {quirk}: {line}");
        }
    }
}

/// One value of DER and nothing behind it, labelled as what it is; returns the name of the layer.
fn check_label(what: &str, content_type: &ContentType, structure: &[u8]) -> &'static str {
    check_der(what, structure);
    let kind = Fields::only(structure, der::SEQUENCE).unwrap().fields().expect(der::OID).unwrap().content;
    let (label, name, layer) = match kind {
        oid::ENVELOPED_DATA => ("enveloped-data", "smime.p7m", "envelope"),
        oid::AUTH_ENVELOPED_DATA => ("authEnveloped-data", "smime.p7m", "envelope"),
        oid::COMPRESSED_DATA => ("compressed-data", "smime.p7z", "compression"),
        other => unreachable!("{what}: {other:?}"),
    };
    let labels = (content_type.param("smime-type"), content_type.param("name"));
    assert_eq!(labels, (Some(label), Some(name)), "{what}");
    layer
}

/// The first part of a multipart/signed, whose second is a signature in lines of base64.
fn signed_octets(written: &Written, content_type: &ContentType, body: &[u8]) -> Vec<u8> {
    let what = &written.what;
    let signing = written.signing.as_ref().unwrap();
    assert_eq!(content_type.param("micalg"), Some(signing.digest.micalg()), "{what}");
    let parts = check_parts(what, content_type, body);
    assert_eq!(parts.len(), 2, "{what}");
    let (first, second) = (&parts[0], &parts[1]);
    check_head(what, &body[second.head_range.clone()]);
    let fields: Vec<_> = second.headers.as_ref().unwrap().iter().collect();
    let expected = [
        ("Content-Type", "application/pkcs7-signature; name=\"smime.p7s\""),
        ("Content-Transfer-Encoding", "base64"),
        ("Content-Disposition", "attachment; filename=\"smime.p7s\""),
    ];
    assert_eq!(fields, expected, "{what}");
    let signature = from_lines(what, &body[second.body_range.clone()]);
    check_der(what, &signature);
    check_signature(what, &signature, signing);
    body[first.head_range.start..first.body_range.end].to_vec()
}

/// Every delimiter line stands at the start of a line that ends in CRLF, nothing before the first and after the last.
fn check_parts(what: &str, content_type: &ContentType, body: &[u8]) -> Vec<Part> {
    let boundary = content_type.boundary().unwrap();
    let delimiter = format!("--{boundary}");
    assert!(body.starts_with(format!("{delimiter}\r\n").as_bytes()), "no preamble: {what}");
    assert!(body.ends_with(format!("\r\n{delimiter}--\r\n").as_bytes()), "no epilogue: {what}");
    for at in memchr::memmem::find_iter(body, delimiter.as_bytes()).skip(1) {
        assert_eq!(&body[at - 2..at], b"\r\n", "{what}");
    }
    parts_between(boundary, body, &Limits::default()).unwrap()
}

/// Base64 in lines of at most 76 characters (RFC 2045 6.8).
fn from_lines(what: &str, text: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(text).unwrap();
    let whole = |line: &str| line.len() <= 76 && !line.contains(['\r', '\n']);
    assert!(text.split("\r\n").all(whole), "{what}");
    STANDARD.decode(text.replace("\r\n", "")).unwrap()
}

/// One value of DER and nothing behind it: every length definite and in the fewest octets, no string in pieces, sets in order.
pub(super) fn check_der(what: &str, octets: &[u8]) {
    let value = Fields::only(octets, der::SEQUENCE);
    check_value(what, value.unwrap_or_else(|error| unreachable!("{what}: {error}")));
}

fn check_value(what: &str, value: Tlv<'_>) {
    let header = der::header(value.tag, u64::try_from(value.content.len()).unwrap());
    assert!(value.raw.starts_with(&header), "{what}: a length of {} octets", value.content.len());
    if value.tag & 0x20 == 0 {
        return;
    }
    assert!(value.tag & 0xe0 == 0xa0 || matches!(value.tag, der::SEQUENCE | der::SET), "{what}: {:#x}", value.tag);
    let mut before: &[u8] = &[];
    for inner in values(what, value) {
        assert!(value.tag != der::SET || before <= inner.raw, "{what}: a set out of order");
        before = inner.raw;
        check_value(what, inner);
    }
}

fn values<'a>(what: &str, value: Tlv<'a>) -> Vec<Tlv<'a>> {
    let mut fields = value.fields();
    let next = || fields.take().unwrap_or_else(|error| unreachable!("{what}: {error}"));
    std::iter::from_fn(next).collect()
}

/// SignedData as `sign_detached` promises it: the digest named without parameters (RFC 5754 2), its content left out, its signer's
/// certificate, one signer, three signed attributes in their order, none unsigned.
fn check_signature(what: &str, signature: &[u8], signing: &Signing) {
    let digest = der::sequence(&[&der::object_identifier(digest_oid(signing.digest))]);
    let structure = values(what, Fields::only(signature, der::SEQUENCE).unwrap());
    assert_eq!(structure[0].raw, der::object_identifier(oid::SIGNED_DATA), "{what}");
    let data = values(what, values(what, structure[1])[0]);
    let expected = [
        der::integer(1),
        der::set_of(vec![digest.clone()]),
        der::sequence(&[&der::object_identifier(oid::DATA)]),
        der::tlv(der::context_constructed(0), signing.key.certificate.der()),
    ];
    assert_eq!(data.len(), 5, "{what}");
    for (value, expected) in data.iter().zip(&expected) {
        assert_eq!(value.raw, expected, "{what}");
    }
    let signers = values(what, data[4]);
    assert_eq!((data[4].tag, signers.len()), (der::SET, 1), "{what}");
    let signer = values(what, signers[0]);
    assert_eq!(signer.len(), 6, "nothing unsigned: {what}");
    assert_eq!(signer[0].raw, der::integer(1), "{what}");
    assert_eq!(signer[2].raw, digest, "{what}");
    assert_eq!(signer[4].raw, signature_identifier(signing), "{what}");
    let attributes: Vec<&[u8]> = values(what, signer[3]).iter().map(|attribute| attribute.raw).collect();
    assert!(attributes.len() == 3 && attributes.is_sorted(), "{what}");
}

fn digest_oid(digest: DigestAlgorithm) -> &'static [u8] {
    match digest {
        DigestAlgorithm::Md5 => oid::MD5,
        DigestAlgorithm::Sha1 => oid::SHA1,
        DigestAlgorithm::Sha256 => oid::SHA256,
        DigestAlgorithm::Sha384 => oid::SHA384,
        DigestAlgorithm::Sha512 => oid::SHA512,
        DigestAlgorithm::Sm3 => oid::SM3,
    }
}

/// RSA with NULL (RFC 3370 3.2), PSS with every parameter (RFC 4056 3, with NULL inside: RFC 4055 2.1), ECDSA and SM2 with none.
fn signature_identifier(signing: &Signing) -> Vec<u8> {
    let null = der::tlv(der::NULL, &[]);
    match (signing.scheme, signing.digest) {
        (SignatureScheme::RsaPkcs1, _) => der::sequence(&[&der::object_identifier(oid::RSA_ENCRYPTION), &null]),
        (SignatureScheme::RsaPss, digest) => {
            let hash = der::sequence(&[&der::object_identifier(digest_oid(digest)), &null]);
            let mgf = der::sequence(&[&der::object_identifier(oid::MGF1), &hash]);
            let salt = der::integer(u32::try_from(digest.size()).unwrap());
            let numbered = |number: u8, value: &[u8]| der::tlv(der::context_constructed(number), value);
            let parameters = [numbered(0, &hash), numbered(1, &mgf), numbered(2, &salt)].concat();
            der::sequence(&[&der::object_identifier(oid::RSASSA_PSS), &der::tlv(der::SEQUENCE, &parameters)])
        }
        (SignatureScheme::Ecdsa, DigestAlgorithm::Sha256) => {
            der::sequence(&[&der::object_identifier(oid::ECDSA_WITH_SHA256)])
        }
        (SignatureScheme::Ecdsa, DigestAlgorithm::Sha512) => {
            der::sequence(&[&der::object_identifier(oid::ECDSA_WITH_SHA512)])
        }
        (SignatureScheme::Sm2, DigestAlgorithm::Sm3) => der::sequence(&[&der::object_identifier(oid::SM2_WITH_SM3)]),
        other => unreachable!("{other:?} is not among what is written here"),
    }
}

/// From the outside in.
fn expected_layers(plan: &SendPlan) -> Vec<&'static str> {
    let encoded = plan.encryption.as_ref().is_some_and(|how| how.base64).then_some("base64");
    let envelope = plan.encryption.as_ref().map(|_| "envelope");
    let signed: &[&'static str] = match (plan.signing.is_some(), plan.compression) {
        (false, Compression::None) => &[],
        (false, _) => &["compression"],
        (true, Compression::None) => &["signature"],
        (true, Compression::BeforeSigning) => &["signature", "compression"],
        (true, Compression::AfterSigning) => &["compression", "signature"],
    };
    encoded.into_iter().chain(envelope).chain(signed.iter().copied()).collect()
}

/// Returns the innermost entity.
fn check_message(plan: &SendPlan, payload: &[u8]) -> (Headers, Vec<u8>) {
    let written = message(plan, payload);
    let what = &written.what;
    let mut layers = Vec::new();
    let (headers, body) = innermost(&written, &mut layers);
    assert_eq!(layers, expected_layers(plan), "{what}");
    let url = if let MdnMode::Async { url } = &plan.mdn.mode { Some(url.as_str()) } else { None };
    assert_eq!(written.wire.headers.get("Receipt-Delivery-Option"), url, "{what}");
    let name = "attachment; filename=\"_ 1.xml\"; filename*=UTF-8''%E5%8D%95%201.xml";
    let fields = ["Content-Type", "Content-Transfer-Encoding", "Content-Disposition"].map(|name| headers.get(name));
    let named = plan.file_name.as_ref().map(|_| name);
    assert_eq!(fields, [Some(plan.content_type.as_str()), Some("binary"), named], "{what}");
    assert!(body == payload, "{what}");
    (headers, body)
}

#[test]
fn none_of_these_quirks_is_ever_written() {
    let plans = plans();
    assert_eq!(plans.len(), (4 * 9 + 1) * 3);
    let (content_type, files) = several_files();
    for plan in plans {
        check_message(&plan, PAYLOAD);
        let plan = SendPlan { content_type: content_type.clone(), file_name: None, ..plan };
        let (headers, body) = check_message(&plan, &files);
        let content_type = ContentType::parse(headers.get("Content-Type").unwrap()).unwrap();
        let parts = check_parts("files", &content_type, &body);
        assert_eq!(parts.len(), 3);
        for part in parts {
            check_head("files", &body[part.head_range]);
            assert_eq!(part.headers.unwrap().get("Content-Transfer-Encoding"), Some("binary"));
        }
    }
}

#[test]
fn a_receipt_of_ours_has_two_parts_and_each_field_once_and_in_one_line() {
    for written in receipts() {
        let what = &written.what;
        let mut layers = Vec::new();
        let (headers, body) = innermost(&written, &mut layers);
        let signed: &[&str] = if written.signing.is_some() { &["signature"] } else { &[] };
        assert_eq!(layers, signed, "{what}");
        let content_type = ContentType::parse(headers.get("Content-Type").unwrap()).unwrap();
        assert!(content_type.is("multipart/report"), "{what}");
        assert_eq!(content_type.param("report-type"), Some("disposition-notification"), "{what}");
        // RFC 4130 7.4.2: nothing of the message comes back in a third.
        let parts = check_parts(what, &content_type, &body);
        let kinds: Vec<_> =
            parts.iter().map(|part| part.headers.as_ref().and_then(|head| head.get("Content-Type"))).collect();
        assert_eq!(kinds, [Some("text/plain; charset=us-ascii"), Some("message/disposition-notification")], "{what}");
        for part in &parts {
            check_head(what, &body[part.head_range.clone()]);
            let encoding = part.headers.as_ref().and_then(|head| head.get("Content-Transfer-Encoding"));
            assert_eq!(encoding, Some("7bit"), "{what}");
            // The text for people is in lines like a head.
            check_head(what, &body[part.body_range.clone()]);
        }
        let fields = Headers::parse(&body[parts[1].body_range.clone()], &Limits::default()).unwrap();
        let names: Vec<_> = fields.iter().map(|(name, _)| name).collect();
        let recipients = ["Original-Recipient", "Final-Recipient"];
        let expected = ["Reporting-UA", recipients[0], recipients[1], "Original-Message-ID", "Disposition", MIC];
        assert_eq!(names, expected, "{what}");
        assert_eq!(recipients.map(|name| fields.get(name)), [Some("rfc822; \"bob co\""); 2], "{what}");
        assert!(fields.get(MIC).unwrap().ends_with(", sha-512"), "{what}");
    }
}

const MIC: &str = "Received-Content-MIC";

//! Stations, plans and whole exchanges for the tests: Alice sends, Bob receives, Mallory is neither.

use std::sync::LazyLock;

use jiff::Timestamp;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::{X509, X509Name};

use super::mdn::{self, BuiltMdn, Mdn, MdnPlan};
use super::*;
use crate::cms::{
    self, Certificate, ContentCipher, DecryptionKey, DigestAlgorithm, EnvelopeWriter, GcmForm, KeyTransport,
    PrivateKey, Recipient, SignatureScheme, SigningKey,
};
use crate::ground::limits::Limits;
use crate::mime::{BytesSource, Headers, MemoryScratch};

pub(super) static ALICE: LazyLock<SigningKey> = LazyLock::new(|| station("alice", 1));
pub(super) static BOB: LazyLock<SigningKey> = LazyLock::new(|| station("bob", 2));
/// An attacker with Alice's name and serial number in its certificate.
pub(super) static MALLORY: LazyLock<SigningKey> = LazyLock::new(|| station("alice", 1));

/// Alice and Bob with elliptic curves.
pub(super) static ALICE_P256: LazyLock<SigningKey> =
    LazyLock::new(|| certified("alice", 3, elliptic(Nid::X9_62_PRIME256V1)));
pub(super) static BOB_P384: LazyLock<SigningKey> = LazyLock::new(|| certified("bob", 4, elliptic(Nid::SECP384R1)));

/// Alice and Bob with SM2.
pub(super) static ALICE_SM2: LazyLock<SigningKey> = LazyLock::new(|| certified("alice", 5, sm2_key()));
pub(super) static BOB_SM2: LazyLock<SigningKey> = LazyLock::new(|| certified("bob", 6, sm2_key()));

/// OpenSSL knows an elliptic key for one of SM2 only when it reads it.
fn sm2_key() -> PKey<Private> {
    PKey::private_key_from_pem(&elliptic(Nid::SM2).private_key_to_pem_pkcs8().unwrap()).unwrap()
}

fn elliptic(curve: Nid) -> PKey<Private> {
    let group = EcGroup::from_curve_name(curve).unwrap();
    PKey::from_ec_key(EcKey::generate(&group).unwrap()).unwrap()
}

fn station(name: &str, serial: u32) -> SigningKey {
    certified(name, serial, PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap())
}

fn certified(name: &str, serial: u32, key: PKey<Private>) -> SigningKey {
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(&subject).unwrap();
    builder.set_not_before(&Asn1Time::from_str("20200101000000Z").unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_str("20491231235959Z").unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    let sm2 = crate::cms::sm2::public_point(&key).is_some();
    builder.sign(&key, if sm2 { MessageDigest::sm3() } else { MessageDigest::sha256() }).unwrap();
    let certificate = Certificate::from_der(&builder.build().to_der().unwrap()).unwrap();
    SigningKey { certificate, key: PrivateKey::from_pkey(key).unwrap() }
}

/// The payload of most tests: lines of both kinds, high octets, something that looks like a delimiter.
pub(super) const PAYLOAD: &[u8] = b"<a>\r\n--b\n\x00\xff\r\n--\r\n</a>\n";

pub(super) fn date() -> Timestamp {
    "2026-11-22T06:00:00Z".parse().unwrap()
}

pub(super) fn stamp() -> Stamp {
    Stamp { message_id: MessageId::parse("<m1@alice>").unwrap(), date: date() }
}

pub(super) fn name(text: &str) -> As2Name {
    As2Name::from_plain(text).unwrap()
}

pub(super) fn signing(key: &SigningKey, scheme: SignatureScheme) -> Signing {
    Signing { key: key.clone(), digest: DigestAlgorithm::Sha256, scheme }
}

/// Alice to Bob, nothing protected, a signed synchronous receipt asked for.
pub(super) fn plain_plan() -> SendPlan {
    SendPlan {
        from: name("alice"),
        to: name("bob co"),
        signing: None,
        encryption: None,
        compression: Compression::None,
        mdn: MdnAsk { mode: MdnMode::Sync, signed: true, micalgs: vec![DigestAlgorithm::Sha256] },
        content_type: "application/xml".to_owned(),
        file_name: Some("单 1.xml".to_owned()),
        subject: Some("订单".to_owned()),
        micalg_style: MicalgStyle::Hyphenated,
        version: As2Version::default(),
    }
}

pub(super) fn plan(
    scheme: Option<SignatureScheme>,
    envelope: Option<(ContentCipher, KeyTransport)>,
    compression: Compression,
) -> SendPlan {
    let encryption = envelope.map(|(cipher, transport)| Encryption {
        recipients: vec![BOB.certificate.clone()],
        cipher,
        gcm_form: GcmForm::default(),
        base64: false,
        transport,
    });
    let signing = scheme.map(|scheme| signing(&ALICE, scheme));
    SendPlan { signing, encryption, compression, ..plain_plan() }
}

/// Signed and encrypted with CBC, not compressed.
pub(super) fn usual_plan() -> SendPlan {
    let envelope = Some((ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1));
    plan(Some(SignatureScheme::RsaPkcs1), envelope, Compression::None)
}

/// What travels.
#[derive(Clone)]
pub(super) struct Wire {
    pub(super) headers: Headers,
    pub(super) body: Vec<u8>,
}

pub(super) fn compose_it(plan: &SendPlan, payload: &[u8]) -> (Wire, Composed) {
    let mut body = Vec::new();
    let composed = compose(plan, &stamp(), &BytesSource(payload), &MemoryScratch, &mut body).unwrap();
    assert_eq!(composed.wire_len, u64::try_from(body.len()).unwrap());
    (Wire { headers: composed.headers.clone(), body }, composed)
}

/// A message from Alice to Bob with this outermost entity.
pub(super) fn wire(entity_fields: &[(&str, &str)], body: &[u8]) -> Wire {
    let mut headers = Headers::new();
    let fields = [
        ("AS2-From", "alice"),
        ("AS2-To", "\"bob co\""),
        ("Message-ID", "<m1@alice>"),
        ("AS2-Version", "1.1"),
        ("Disposition-Notification-To", "x"),
    ];
    for (name, value) in fields.iter().chain(entity_fields) {
        headers.push(name, value).unwrap();
    }
    Wire { headers, body: body.to_vec() }
}

/// An envelope for Bob around any octets.
pub(super) fn enveloped(inner: &[u8], cipher: ContentCipher, transport: KeyTransport) -> Wire {
    let recipient = Recipient { certificate: BOB.certificate.clone(), transport };
    let len = u64::try_from(inner.len()).unwrap();
    let mut writer = EnvelopeWriter::new(Vec::new(), &[recipient], cipher, len).unwrap();
    std::io::Write::write_all(&mut writer, inner).unwrap();
    let kind = if cipher.is_aead() { "authEnveloped-data" } else { "enveloped-data" };
    let kind = format!("application/pkcs7-mime; smime-type={kind}; name=\"smime.p7m\"");
    wire(&[("Content-Type", &kind)], &writer.finish().unwrap())
}

/// multipart/signed around `part` as one run of octets with its header block, signed by `key`.
pub(super) fn signed_entity(part: &[u8], key: &SigningKey) -> Vec<u8> {
    let (content_type, body) = signed_parts(part, part, key);
    [format!("Content-Type: {content_type}\r\n\r\n").as_bytes(), &body].concat()
}

/// Content-Type and body of a multipart/signed that shows `part` and signs `signed`.
pub(super) fn signed_parts(part: &[u8], signed: &[u8], key: &SigningKey) -> (String, Vec<u8>) {
    let digest = DigestAlgorithm::Sha256;
    let signature =
        cms::sign_detached(digest, &digest.digest(signed), key, SignatureScheme::RsaPkcs1, date(), true).unwrap();
    let head = b"\r\n--sep\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n";
    let body = [b"--sep\r\n".as_slice(), part, head, &signature, b"\r\n--sep--\r\n"].concat();
    let content_type = "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sep";
    (content_type.to_owned(), body)
}

/// A compressed entity around any octets.
pub(super) fn compressed_entity(inner: &[u8]) -> Vec<u8> {
    let mut der = Vec::new();
    let source = cms::compress(&BytesSource(inner), &MemoryScratch).unwrap();
    std::io::Read::read_to_end(&mut source.open().unwrap(), &mut der).unwrap();
    let head = b"Content-Type: application/pkcs7-mime; smime-type=compressed-data\r\n\r\n";
    [head.as_slice(), &der].concat()
}

/// The innermost entity of hand-made messages.
pub(super) fn payload_entity() -> Vec<u8> {
    [b"Content-Type: application/xml\r\n\r\n".as_slice(), PAYLOAD].concat()
}

pub(super) fn request(wire: &Wire) -> Request {
    match read_head(&wire.headers, &wire.body, &Limits::default()).unwrap() {
        Incoming::Message(request) => request,
        Incoming::Mdn(_) => unreachable!("a message"),
    }
}

/// Nothing is demanded; SHA-2 and AES as always.
pub(super) fn lax() -> AcceptPolicy {
    AcceptPolicy { require_signature: false, require_encryption: false, ..AcceptPolicy::default() }
}

/// Bob opens what Alice sent.
pub(super) fn receive(wire: &Wire, policy: &AcceptPolicy) -> Result<(Opened, Vec<u8>), OpenFailure> {
    receive_with(wire, policy, KeyTransport::ALL, std::slice::from_ref(&ALICE.certificate), &Limits::default())
}

pub(super) fn receive_with(
    wire: &Wire,
    policy: &AcceptPolicy,
    transports: &[KeyTransport],
    trusted: &[Certificate],
    limits: &Limits,
) -> Result<(Opened, Vec<u8>), OpenFailure> {
    let bob =
        DecryptionKey { certificate: BOB.certificate.clone(), key: BOB.key.clone(), transports: transports.to_vec() };
    let keys = OpenKeys { decryption: &[bob], trusted, known: &[] };
    let mut sink = Vec::new();
    let opened = open(&request(wire), &mut wire.body.as_slice(), policy, &keys, limits, &mut sink)?;
    assert_eq!(opened.payload_len, u64::try_from(sink.len()).unwrap());
    assert_eq!(opened.payload_sha256.as_slice(), DigestAlgorithm::Sha256.digest(&sink));
    Ok((opened, sink))
}

/// Bob's answer.
pub(super) fn answer(disposition: &Disposition, mic: Option<&Mic>, key: Option<&SigningKey>) -> BuiltMdn {
    let signing = key.map(|key| signing(key, SignatureScheme::RsaPkcs1));
    answer_signed(disposition, mic, signing.as_ref())
}

/// Bob's answer with a signature of any kind.
pub(super) fn answer_signed(disposition: &Disposition, mic: Option<&Mic>, signing: Option<&Signing>) -> BuiltMdn {
    mdn::build(&MdnPlan {
        from: &name("bob co"),
        to: &name("alice"),
        original_message_id: Some(stamp().message_id.as_str()),
        disposition,
        mic,
        explanation: "The message was received.",
        signing,
        micalg_style: MicalgStyle::Hyphenated,
        version: As2Version::default(),
        message_id: &MessageId::parse("<r1@bob>").unwrap(),
        date: date(),
    })
    .unwrap()
}

/// Alice reads Bob's answer.
pub(super) fn read(mdn: &BuiltMdn) -> Mdn {
    mdn::parse(&mdn.headers, &mdn.body, std::slice::from_ref(&BOB.certificate), &Limits::default()).unwrap()
}

/// Alice judges an answer to what she composed.
pub(super) fn judged(mdn: &Mdn, composed: &Composed, signed_wanted: bool) -> Verdict {
    judged_after(true, mdn, composed, signed_wanted)
}

/// The same, when Bob can have had the message before or not.
pub(super) fn judged_after(had_before: bool, mdn: &Mdn, composed: &Composed, signed_wanted: bool) -> Verdict {
    let sent = Sent {
        message_id: &stamp().message_id,
        from: &name("alice"),
        to: &name("bob co"),
        mics: &composed.mics,
        signed_wanted,
        had_before,
        digests: &DigestAlgorithm::STANDARD,
        algorithm: Some(composed.algorithm),
    };
    judge(mdn, &sent)
}

//! A message of the sender, changed after it was signed and compressed and only then encrypted for the receiver. Bytes
//! that are merely thrown at [`super::open_message`] never get through the decryption; these always do, and reach what
//! an attacker reaches who can put any plaintext into an envelope.
//!
//! The input: which layers, which envelope, which policy, then changes: operation, place (2 bytes), length, bytes.
//!
//! What must hold: under the usual agreement only the payload that was signed is accepted, byte for byte, with its type;
//! and in an envelope without integrity every refusal is one and the same.

use std::io::{Cursor, Read, Write};
use std::sync::LazyLock;

use dxgate::as2::{self, AcceptPolicy, Disposition, Incoming, OpenKeys};
use dxgate::cms::{
    self, ContentCipher, DecryptionKey, DigestAlgorithm, EnvelopeWriter, GcmForm, KeyTransport, Recipient,
    SignatureScheme,
};
use dxgate::mime::{BytesSource, Headers, MemoryScratch};

use super::{KEYS, limits, policy};

pub(super) fn open_sealed(data: &[u8]) {
    let [layers, envelope, demands, changes @ ..] = data else { return };
    let (ciphers, form) = ENVELOPES[usize::from(*envelope) % ENVELOPES.len()];
    let entity = seal(*layers, changes);
    let (fields, body) = match ciphers {
        Some((cipher, transport)) => encrypted(&entity, cipher, transport, form),
        None => in_the_clear(&entity),
    };
    let Some(headers) = headers(&fields) else { return };
    let Ok(Incoming::Message(request)) = as2::read_head(&headers, &body, &limits()) else { return };
    let trusted = [KEYS.sender.clone()];
    let keys = OpenKeys { decryption: &[KEYS.receiver.clone(), KEYS.elliptic.clone()], trusted: &trusted };
    let demands = demands & 1 == 0;
    let policy =
        AcceptPolicy { require_encryption: demands && ciphers.is_some(), gcm_in_enveloped: true, ..policy(demands) };
    let mut payload = Vec::new();
    match as2::open(&request, &mut Cursor::new(&body), &policy, &keys, &limits(), &mut payload) {
        Ok(opened) if demands => {
            assert!(opened.signature.is_some() && opened.encrypted.is_some() == ciphers.is_some());
            let (content_type, signed) = expected(*layers);
            assert_eq!(payload, signed, "only what was signed is accepted");
            assert_eq!(opened.content_type.as_deref(), Some(content_type));
        }
        Ok(_) => assert!(payload.len() as u64 <= limits().payload),
        // Otherwise all of the above would hold for nothing.
        Err(failure) if changes.is_empty() && is_signed(*layers) => panic!("refused unchanged: {}", failure.cause),
        Err(failure) if demands && ciphers.is_some_and(|(cipher, _)| !cipher.is_aead()) => {
            assert_eq!(failure.told, Disposition::decryption_failed(), "{}", failure.cause);
        }
        Err(_) => {}
    }
}

const TYPE: &str = "application/xml";
const PAYLOAD: &[u8] = b"<a>\r\n--sepia\n\x00\xff\r\n--\r\n</a>\n";

type Envelope = (Option<(ContentCipher, KeyTransport)>, GcmForm);

const ENVELOPES: [Envelope; 6] = [
    (None, GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes128Cbc, KeyTransport::EcdhSha256)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes256Gcm, KeyTransport::EcdhSha256)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes256Gcm, KeyTransport::EcdhSha256)), GcmForm::Enveloped),
    (Some((ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::DesEde3Cbc, KeyTransport::RsaOaepSha256)), GcmForm::AuthEnveloped),
];

/// Signed once: signing takes longer than all the rest of a run.
static SIGNED: LazyLock<[Vec<u8>; 4]> = LazyLock::new(|| {
    let plain = entity();
    let compressed = compressed(&plain);
    let related = [format!("Content-Type: {RELATED}\r\n\r\n").as_bytes(), &attachments()].concat();
    [
        signed(&plain, SignatureScheme::RsaPkcs1),
        signed(&compressed, SignatureScheme::RsaPkcs1),
        signed(&plain, SignatureScheme::RsaPss),
        signed(&related, SignatureScheme::RsaPkcs1),
    ]
});

const RELATED: &str = "multipart/related; type=\"application/xml\"; boundary=r";

fn attachments() -> Vec<u8> {
    [b"--r\r\n", entity().as_slice(), b"\r\n--r\r\n", &entity(), b"\r\n--r--\r\n"].concat()
}

/// Type and octets of the payload that was signed.
fn expected(layers: u8) -> (&'static str, Vec<u8>) {
    if layers % 8 == 7 { (RELATED, attachments()) } else { (TYPE, PAYLOAD.to_vec()) }
}

fn entity() -> Vec<u8> {
    [format!("Content-Type: {TYPE}\r\nContent-Transfer-Encoding: binary\r\n\r\n").as_bytes(), PAYLOAD].concat()
}

/// The outermost entity inside the envelope.
fn seal(layers: u8, changes: &[u8]) -> Vec<u8> {
    let (inner, outer) = changes.split_at(changes.len() / 2);
    match layers % 8 {
        // Signed, then compressed: half of the changes between the two.
        0 => changed(compressed(&changed(SIGNED[0].clone(), inner)), outer),
        1 => changed(SIGNED[0].clone(), changes),
        // The same, and only what is compressed is changed.
        2 => compressed(&changed(SIGNED[0].clone(), changes)),
        3 => changed(SIGNED[1].clone(), changes),
        4 => changed(SIGNED[2].clone(), changes),
        5 => changed(compressed(&entity()), changes),
        6 => changed(entity(), changes),
        _ => changed(SIGNED[3].clone(), changes),
    }
}

fn is_signed(layers: u8) -> bool {
    !matches!(layers % 8, 5 | 6)
}

/// A run of octets with the changes applied.
fn changed(mut octets: Vec<u8>, mut changes: &[u8]) -> Vec<u8> {
    while let [operation, high, low, len, rest @ ..] = changes {
        let len = usize::from(*len);
        let place = usize::from(u16::from_be_bytes([*high, *low]));
        // From the start, or from the end.
        let place = place % (octets.len() + 1);
        let at = if operation & 0x80 == 0 { place } else { octets.len() - place };
        let end = (at + len).min(octets.len());
        let (bytes, after) = rest.split_at(len.min(rest.len()));
        changes = after;
        match operation & 0x07 {
            0 => drop(octets.splice(at..at, bytes.iter().copied())),
            1 => drop(octets.splice(at..(at + bytes.len()).min(octets.len()), bytes.iter().copied())),
            // The rest takes no bytes of the input.
            2 => changes = delete(&mut octets, at, end, rest),
            3 => changes = twice(&mut octets, at, end, rest),
            4 => changes = flip(&mut octets, at, len, rest),
            5 => changes = arithmetic(&mut octets, at, len, rest),
            6 => changes = replace(&mut octets, at, end, rest),
            _ => changes = cut(&mut octets, at, rest),
        }
        if octets.len() > 256 * 1024 {
            break;
        }
    }
    octets
}

fn delete<'a>(octets: &mut Vec<u8>, at: usize, end: usize, rest: &'a [u8]) -> &'a [u8] {
    octets.drain(at..end);
    rest
}

/// A range once more, right behind itself or at the end.
fn twice<'a>(octets: &mut Vec<u8>, at: usize, end: usize, rest: &'a [u8]) -> &'a [u8] {
    let range = octets[at..end].to_vec();
    let place = if range.len() % 2 == 0 { end } else { octets.len() };
    octets.splice(place..place, range);
    rest
}

fn flip<'a>(octets: &mut [u8], at: usize, bit: usize, rest: &'a [u8]) -> &'a [u8] {
    if let Some(octet) = octets.get_mut(at) {
        *octet ^= 1 << (bit % 8);
    }
    rest
}

/// Lengths and tags that are off by a little.
fn arithmetic<'a>(octets: &mut [u8], at: usize, by: usize, rest: &'a [u8]) -> &'a [u8] {
    if let Some(octet) = octets.get_mut(at) {
        *octet = octet.wrapping_add(by as u8);
    }
    rest
}

/// A range by a word that means something to the layers.
fn replace<'a>(octets: &mut Vec<u8>, at: usize, end: usize, rest: &'a [u8]) -> &'a [u8] {
    let Some((which, rest)) = rest.split_first() else { return rest };
    let word = WORDS[usize::from(*which) % WORDS.len()];
    octets.splice(at..end, word.iter().copied());
    rest
}

fn cut<'a>(octets: &mut Vec<u8>, at: usize, rest: &'a [u8]) -> &'a [u8] {
    octets.truncate(at);
    rest
}

const WORDS: [&[u8]; 12] = [
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n--sep\r\n",
    b"\r\n--sep--\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"application/pkcs7-mime; smime-type=compressed-data",
    b"application/pkcs7-mime; smime-type=enveloped-data",
    b"application/pkcs7-mime; smime-type=signed-data",
    b"multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sep",
    b"\x30\x80",
    b"\x00\x00",
];

fn signed(part: &[u8], scheme: SignatureScheme) -> Vec<u8> {
    let digest = DigestAlgorithm::Sha256;
    let date = "2026-11-22T06:00:00Z".parse().expect("an instant");
    let signature =
        cms::sign_detached(digest, &digest.digest(part), &KEYS.signing, scheme, date, true).expect("a signature");
    [
        b"Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sep\r\n\r\n--sep\r\n",
        part,
        b"\r\n--sep\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n",
        &signature,
        b"\r\n--sep--\r\n",
    ]
    .concat()
}

fn compressed(inner: &[u8]) -> Vec<u8> {
    let mut der = Vec::new();
    let source = BytesSource(inner);
    let source = cms::compress(&source, &MemoryScratch).expect("compressed");
    source.open().and_then(|mut reader| reader.read_to_end(&mut der)).expect("in memory");
    [b"Content-Type: application/pkcs7-mime; smime-type=compressed-data\r\n\r\n".as_slice(), &der].concat()
}

type Fields = Vec<(String, String)>;

fn encrypted(inner: &[u8], cipher: ContentCipher, transport: KeyTransport, form: GcmForm) -> (Fields, Vec<u8>) {
    let keys = [&KEYS.receiver, &KEYS.elliptic];
    let fits = |key: &&&DecryptionKey| key.certificate.key_kind().is_some_and(|kind| transport.fits(kind));
    let key = keys.iter().find(fits).expect("a key of each kind");
    let recipient = Recipient { certificate: key.certificate.clone(), transport };
    let mut writer = EnvelopeWriter::in_form(Vec::new(), &[recipient], cipher, form, inner.len() as u64)
        .expect("a recipient and a cipher that fit");
    writer.write_all(inner).expect("in memory");
    let authenticated = cipher.is_aead() && form == GcmForm::AuthEnveloped;
    let kind = if authenticated { "authEnveloped-data" } else { "enveloped-data" };
    let kind = format!("application/pkcs7-mime; smime-type={kind}; name=\"smime.p7m\"");
    (vec![("Content-Type".to_owned(), kind)], writer.finish().expect("in memory"))
}

/// The fields of the entity become those of the POST.
fn in_the_clear(entity: &[u8]) -> (Fields, Vec<u8>) {
    let (head, body) = super::split_head(entity);
    let fields = Headers::parse(head, &limits())
        .map(|headers| headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    (fields.unwrap_or_default(), body.to_vec())
}

fn headers(fields: &Fields) -> Option<Headers> {
    let mut headers = Headers::new();
    let fixed = [
        ("AS2-Version", "1.2"),
        ("AS2-From", "SENDER"),
        ("AS2-To", "RECEIVER"),
        ("Message-ID", "<sealed@fuzz.test>"),
        ("Disposition-Notification-To", "x"),
    ];
    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in fixed.into_iter().chain(fields) {
        headers.push(name, value).ok()?;
    }
    Some(headers)
}

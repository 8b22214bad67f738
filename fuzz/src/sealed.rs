//! A message of the sender, changed after it was signed and compressed and only then encrypted for the receiver. Bytes
//! that are merely thrown at [`super::open_message`] never get through the decryption; these always do, and reach what
//! an attacker reaches who can put any plaintext into an envelope.
//!
//! The input: which layers, which envelope, which policy, then changes: operation, place (2 bytes), length, bytes.
//!
//! What must hold: whatever the agreement demands, only the payload that was signed is accepted as signed, byte for byte, with its
//! type; under the usual agreement every refusal in an envelope without integrity is one and the same; and what [`opening`] says.

use std::io::Write;

use dxgate::as2::{self, AcceptPolicy, Disposition, Incoming, OpenKeys};
use dxgate::cms::{ContentCipher, DecryptionKey, DigestAlgorithm, EnvelopeWriter, GcmForm, KeyTransport, Recipient};
use dxgate::mime::Headers;

use super::{KEYS, limits, opening, policy};
use layers::Layers;

mod changes;
mod layers;

pub(super) fn open_sealed(data: &[u8]) {
    let [layers, envelope, demands, changes @ ..] = data else { return };
    let (layers, demands) = (Layers::of(*layers), demands & 1 == 0);
    let (ciphers, form) = ENVELOPES[usize::from(*envelope) % ENVELOPES.len()];
    let entity = layers.seal(changes);
    let (fields, body) = match ciphers {
        Some((cipher, transport)) => encrypted(&entity, cipher, transport, form),
        None => in_the_clear(&entity),
    };
    let Some(headers) = headers(&fields) else { return };
    let Ok(Incoming::Message(request)) = as2::read_head(&headers, &body, &limits()) else { return };
    let trusted = KEYS.trusted();
    let decryption = KEYS.decryption();
    let keys = OpenKeys { decryption: &decryption, trusted: &trusted };
    let policy = AcceptPolicy {
        require_encryption: demands && ciphers.is_some(),
        gcm_in_enveloped: true,
        digests: DigestAlgorithm::READABLE.to_vec(),
        ..policy(demands)
    };
    match opening::open(opening::Case { request: &request, body: &body, policy: &policy, keys: &keys }) {
        Ok(accepted) => {
            let opened = accepted.opened;
            assert!(!demands || opened.signature.is_some());
            assert_eq!(opened.encrypted, ciphers.map(|(cipher, _)| cipher));
            if opened.signature.is_some() {
                let (content_type, signed) = layers.expected();
                assert_eq!(accepted.payload, signed, "only what was signed is accepted as signed");
                assert_eq!(opened.content_type.as_deref(), Some(content_type));
            }
        }
        // Otherwise all of the above would hold for nothing.
        Err(failure) if changes.is_empty() && layers.is_signed() => panic!("refused unchanged: {}", failure.cause),
        Err(failure) if demands && ciphers.is_some_and(|(cipher, _)| !cipher.is_aead()) => {
            assert_eq!(failure.told, Disposition::decryption_failed(), "{}", failure.cause);
        }
        Err(_) => {}
    }
}

type Envelope = (Option<(ContentCipher, KeyTransport)>, GcmForm);

/// The first six stand where the seeds of earlier days have them.
const ENVELOPES: [Envelope; 15] = [
    (None, GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes128Cbc, KeyTransport::EcdhSha256)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes256Gcm, KeyTransport::EcdhSha256)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes256Gcm, KeyTransport::EcdhSha256)), GcmForm::Enveloped),
    (Some((ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::DesEde3Cbc, KeyTransport::RsaOaepSha256)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes256Gcm, KeyTransport::EcdhSha256)), GcmForm::EnvelopedBareNonce),
    (Some((ContentCipher::Sm4Cbc, KeyTransport::Sm2)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes192Cbc, KeyTransport::EcdhSha1)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes128Gcm, KeyTransport::EcdhSha384)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes256Cbc, KeyTransport::EcdhSha512)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes128Cbc, KeyTransport::RsaOaepSha1)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes192Gcm, KeyTransport::RsaOaepSha384)), GcmForm::Enveloped),
    (Some((ContentCipher::Aes256Gcm, KeyTransport::RsaOaepSha512)), GcmForm::AuthEnveloped),
    (Some((ContentCipher::Aes128Gcm, KeyTransport::RsaPkcs1)), GcmForm::EnvelopedBareNonce),
];

type Fields = Vec<(String, String)>;

fn encrypted(inner: &[u8], cipher: ContentCipher, transport: KeyTransport, form: GcmForm) -> (Fields, Vec<u8>) {
    let keys = [&KEYS.receiver, &KEYS.elliptic, &KEYS.sm2];
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

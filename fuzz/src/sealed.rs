//! A message of the sender, changed after it was signed and compressed and only then encrypted for the receiver. Bytes
//! that are merely thrown at [`super::open_message`] never get through the decryption; these always do, and reach what
//! an attacker reaches who can put any plaintext into an envelope.
//!
//! The input: which layers, which envelope, which policy, then changes: operation, place (2 bytes), length, bytes. Behind them may
//! stand [`Switches`]: what else the agreement says, who is known, and how the envelope is written.
//!
//! What must hold: whatever the agreement demands, only the payload that was signed is accepted as signed, byte for byte, with its
//! type, and who is not known has signed nothing; an envelope is known for one however it is written; under the usual agreement
//! every refusal in an envelope without integrity is one and the same; and what [`opening`] says.

use std::io::Write;

use dxgate::as2::{self, AcceptPolicy, Disposition, Incoming, OpenKeys};
use dxgate::cms::{ContentCipher, DecryptionKey, DigestAlgorithm, EnvelopeWriter, GcmForm, KeyTransport, Recipient};
use dxgate::mime::{Base64Lines, Headers};

use super::switches::Switches;
use super::{KEYS, limits, opening};
use layers::Layers;

mod changes;
mod layers;
mod rc2;

pub(super) fn open_sealed(data: &[u8]) {
    let (data, switches) = Switches::of(data);
    let [layers, envelope, demands, changes @ ..] = data else { return };
    let (layers, demands) = (Layers::of(*layers), demands & 1 == 0);
    let entity = layers.seal(changes);
    let envelope = ENVELOPES[usize::from(*envelope) % ENVELOPES.len()];
    let Sealed { cipher, fields, body } = sealed(&entity, envelope, switches);
    let Some(headers) = headers(&fields, switches) else { return };
    if cipher.is_some() {
        assert!(as2::is_enveloped(&headers, &mut body.as_slice(), &limits()), "however it is written");
        assert_eq!(as2::says_enveloped(&headers), !switches.mislabelled);
    }
    let Ok(Incoming::Message(request)) = as2::read_head(&headers, &body, &limits()) else { return };
    let (decryption, trusted) = (KEYS.decryption(), switches.trusted());
    let keys = OpenKeys { decryption: &decryption, trusted: &trusted, known: &[] };
    let policy = AcceptPolicy {
        require_encryption: demands && cipher.is_some(),
        gcm_in_enveloped: true,
        digests: DigestAlgorithm::READABLE.to_vec(),
        ..switches.policy(demands)
    };
    match opening::open(opening::Case { request: &request, body: &body, policy: &policy, keys: &keys }) {
        Ok(accepted) => {
            let opened = accepted.opened;
            assert!(!demands || opened.signature.is_some());
            assert!(!switches.strangers || opened.signature.is_none(), "who is not known has signed nothing");
            assert_eq!(opened.encrypted, cipher);
            let mic = opened.mic.as_ref().map(|mic| mic.algorithm);
            assert!(!switches.mic_as_listed || mic == Some(LISTED_FIRST), "{mic:?}");
            if opened.signature.is_some() {
                let (content_type, signed) = layers.expected();
                assert_eq!(accepted.payload, signed, "only what was signed is accepted as signed");
                assert_eq!(opened.content_type.as_deref(), Some(content_type));
            }
        }
        // Otherwise all of the above would hold for nothing.
        Err(failure) if changes.is_empty() && layers.is_signed() && !switches.strangers => {
            panic!("refused unchanged: {}", failure.cause)
        }
        Err(failure) if demands && cipher.is_some_and(|cipher| !cipher.is_aead()) => {
            assert_eq!(failure.told, Disposition::decryption_failed(), "{}", failure.cause);
            assert_eq!(failure.explanation, "The message could not be decrypted and verified.", "{}", failure.cause);
            assert!(failure.mic.is_none(), "{}", failure.cause);
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

/// A message on its way.
struct Sealed {
    cipher: Option<ContentCipher>,
    fields: Fields,
    body: Vec<u8>,
}

fn sealed(entity: &[u8], (ciphers, form): Envelope, switches: Switches) -> Sealed {
    let Some((cipher, transport)) = ciphers else {
        let (fields, body) = in_the_clear(entity);
        return Sealed { cipher: None, fields, body };
    };
    let rc2 = if switches.rc2 { rc2::enveloped(entity) } else { None };
    let (cipher, structure) = match rc2 {
        Some(structure) => (ContentCipher::Rc2Cbc, structure),
        None => (cipher, encrypted(entity, cipher, transport, form)),
    };
    let label = match cipher.is_aead() && form == GcmForm::AuthEnveloped {
        _ if switches.mislabelled => "signed-data",
        true => "authEnveloped-data",
        false => "enveloped-data",
    };
    let (fields, body) = written(label, structure, switches);
    Sealed { cipher: Some(cipher), fields, body }
}

fn encrypted(inner: &[u8], cipher: ContentCipher, transport: KeyTransport, form: GcmForm) -> Vec<u8> {
    let keys = [&KEYS.receiver, &KEYS.elliptic, &KEYS.sm2];
    let fits = |key: &&&DecryptionKey| key.certificate.key_kind().is_some_and(|kind| transport.fits(kind));
    let key = keys.iter().find(fits).expect("a key of each kind");
    let recipient = Recipient { certificate: key.certificate.clone(), transport };
    let mut writer = EnvelopeWriter::in_form(Vec::new(), &[recipient], cipher, form, inner.len() as u64)
        .expect("a recipient and a cipher that fit");
    writer.write_all(inner).expect("in memory");
    writer.finish().expect("in memory")
}

/// A structure of this label as fields and body.
fn written(label: &str, structure: Vec<u8>, switches: Switches) -> (Fields, Vec<u8>) {
    let kind = format!("application/pkcs7-mime; smime-type={label}; name=\"smime.p7m\"");
    let mut fields = vec![("Content-Type".to_owned(), kind)];
    let mut body = structure;
    if switches.base64 {
        let mut lines = Base64Lines::new(Vec::new());
        lines.write_all(&body).expect("in memory");
        body = lines.finish().expect("in memory");
        fields.push(("Content-Transfer-Encoding".to_owned(), "base64".to_owned()));
    }
    if switches.repeated {
        let block: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        body = [format!("MIME-Version: 1.0\r\n{block}\r\n").as_bytes(), &body].concat();
    }
    (fields, body)
}

/// The fields of the entity become those of the POST.
fn in_the_clear(entity: &[u8]) -> (Fields, Vec<u8>) {
    let (head, body) = super::split_head(entity);
    let fields = Headers::parse(head, &limits())
        .map(|headers| headers.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect());
    (fields.unwrap_or_default(), body.to_vec())
}

fn headers(fields: &Fields, switches: Switches) -> Option<Headers> {
    let mut headers = Headers::new();
    let fixed = [
        ("AS2-Version", "1.2"),
        ("AS2-From", "SENDER"),
        ("AS2-To", "RECEIVER"),
        ("Message-ID", "<sealed@fuzz.test>"),
        ("Disposition-Notification-To", "x"),
    ];
    let listed = ("Disposition-Notification-Options", "signed-receipt-micalg=optional, sha-512, sha-256");
    let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in fixed.into_iter().chain(switches.mic_as_listed.then_some(listed)).chain(fields) {
        headers.push(name, value).ok()?;
    }
    Some(headers)
}

/// Of those that the sender lists for its MIC.
const LISTED_FIRST: DigestAlgorithm = DigestAlgorithm::Sha512;

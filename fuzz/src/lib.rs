//! What each fuzz target does with its input. The promise is always the same: any bytes give an answer, within the
//! limits, without a panic; where something can be written back, reading it again gives the same.

use std::io::{BufReader, Read};
use std::sync::LazyLock;

use dxgate::as2::{self, AcceptPolicy, Disposition, Incoming, Mic, NotificationOptions, OpenKeys, headers};
use dxgate::cms::{
    self, Certificate, ContentCipher, DecryptionKey, DigestAlgorithm, KeyTransport, MultiHasher, PrivateKey,
    SignatureScheme, SigningKey,
};
use dxgate::declaration::dsig::KeySigner;
use dxgate::mime::{self, ContentType, Headers};

// `wire`, `heads` and `evidence` have files of the server's sources, which find these here.
use dxgate::bilingual;
use dxgate::ground::{self, limits::Limits};

use switches::Switches;

mod certificates;
mod documents;
mod evidence;
mod heads;
mod home;
mod opening;
mod receipts;
mod sealed;
mod switches;
mod wire;

/// A header block, its media type and its file name.
pub fn mime_head(data: &[u8]) {
    let limits = limits();
    if let Ok(headers) = Headers::parse(data, &limits) {
        for (_, value) in headers.iter() {
            if let Ok(parsed) = ContentType::parse(value) {
                let again = ContentType::parse(&parsed.to_string()).expect("what we print we can read");
                assert_eq!(again.essence, parsed.essence);
            }
        }
        if let Some(name) = mime::file_name(&headers) {
            assert!(is_safe(&name.safe), "{:?}", name.safe);
        }
        let _ = Headers::parse(&headers.to_bytes(), &limits);
    }
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(is_safe(&mime::safe_file_name(text)));
        let mut head = Headers::new();
        head.push(headers::CONTENT_DISPOSITION, &headers::attachment_value(text)).expect("fit for a field");
        // An encoded word in a name is read as one: other products write names so.
        if !text.is_empty() && !text.contains("=?") {
            let name = mime::file_name(&head).expect("what we write we can read");
            assert_eq!(name.original, text);
        }
    }
    let _ = mime::read_entity_head(&mut BufReader::new(data), &limits);
    for encoding in [None, Some("7bit"), Some("base64"), Some("quoted-printable"), Some("x")] {
        if let Ok(mut decoded) = mime::transfer_decoder(encoding, Box::new(data)) {
            let _ = drain(&mut decoded);
        }
    }
}

/// The body of a multipart/signed with the boundary `b`, in a stream and in memory.
pub fn multipart_signed(data: &[u8]) {
    let limits = limits();
    // A small buffer, so that delimiters fall across its edges.
    if let Ok(mut parts) = mime::SignedParts::new(BufReader::with_capacity(7, data), "b", &limits) {
        let first = drain(&mut parts.first_part());
        let second = parts.second_part();
        if let (Ok(first), Ok(_), Ok(())) = (first, second, parts.finish()) {
            assert!(contains(data, &first), "the first part is a piece of the input");
        }
    }
    let mut bytes = 0;
    let mut sink = |_, piece: &[u8]| {
        bytes += piece.len();
        Ok(())
    };
    if let Ok(attachments) = as2::attachments::split(&mut BufReader::with_capacity(7, data), "b", &limits, &mut sink) {
        assert!(attachments.len() <= limits.attachments && bytes <= data.len());
    }
    let mut headers = Headers::new();
    headers.push("Content-Type", "multipart/report; boundary=b").expect("a plain field");
    if let Ok(parts) = mime::parts(&headers, data, &limits) {
        for part in parts {
            assert!(data.get(part.head_range).is_some() && data.get(part.body_range).is_some());
        }
    }
}

/// SignedData, detached over "content" and with its content inside.
pub fn cms_signed(data: &[u8]) {
    let limits = limits();
    let mut hasher = MultiHasher::new(&DigestAlgorithm::READABLE);
    hasher.update(b"content");
    let trusted = KEYS.trusted();
    let _ = cms::verify_detached(data, &hasher.finish(), &trusted, &limits);
    let _ = cms::signed_attributes(data);
    if let Ok(mut reader) = cms::OpaqueReader::open_allowing(data, &DigestAlgorithm::READABLE, &limits)
        && drain(&mut reader).is_ok()
    {
        let _ = reader.finish(&trusted);
    }
}

/// EnvelopedData and AuthEnvelopedData.
pub fn cms_enveloped(data: &[u8]) {
    let keys = KEYS.decryption();
    for gcm_in_enveloped in [false, true] {
        let allowed = cms::Allowed { ciphers: ContentCipher::ALL, gcm_in_enveloped };
        if let Ok(mut reader) = cms::EnvelopeReader::open(data, &keys, allowed, &limits()) {
            let _ = drain(&mut reader);
        }
    }
}

/// CompressedData: never more than the limits allow comes out.
pub fn cms_compressed(data: &[u8]) {
    let limits = limits();
    if let Ok(mut reader) = cms::InflateReader::open(data, &limits)
        && let Ok(inflated) = drain(&mut reader)
    {
        assert!(inflated.len() as u64 <= limits.payload);
    }
}

/// The header fields of a POST.
pub fn as2_head(data: &[u8]) {
    let limits = limits();
    let (head, body) = split_head(data);
    let Ok(headers) = Headers::parse(head, &limits) else { return };
    let read = as2::read_head(&headers, body, &limits);
    assert!(as2::check_head(&headers).is_ok() || read.is_err(), "what the fields refuse no body makes good");
    if let Ok(Incoming::Message(request)) = read {
        let printed = request.from.header_value();
        assert_eq!(as2::As2Name::parse(&printed).expect("what we print we can read"), request.from);
    }
}

/// Disposition, Disposition-Notification-Options, Received-Content-MIC, Message-ID and AS2 names.
pub fn disposition_options(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(disposition) = Disposition::parse_received(text) {
        let again = Disposition::parse_received(&disposition.to_string()).expect("what we print we can read");
        assert_eq!(again.is_positive(), disposition.is_positive());
    }
    let _ = NotificationOptions::parse(text);
    if let Ok(mic) = text.parse::<Mic>() {
        assert!(mic.to_string().parse::<Mic>().expect("what we print we can read").matches(&mic));
    }
    let _ = as2::MessageId::parse(text);
    let _ = as2::As2Name::parse(text);
}

/// An MDN: see [`receipts`].
pub fn mdn_parse(data: &[u8]) {
    receipts::mdn_parse(data);
}

/// The whole inbound path: header block, blank line, body, under a policy that demands nothing and one that demands all;
/// what else an agreement may say are [`Switches`] at the end. Who is not known has signed nothing.
pub fn open_message(data: &[u8]) {
    let limits = limits();
    let (data, switches) = Switches::of(data);
    let (head, body) = split_head(data);
    let Ok(headers) = Headers::parse(head, &limits) else { return };
    let Ok(Incoming::Message(request)) = as2::read_head(&headers, body, &limits) else { return };
    let (decryption, trusted) = (KEYS.decryption(), switches.trusted());
    let keys = OpenKeys { decryption: &decryption, trusted: &trusted, known: &[] };
    for demands in [false, true] {
        let policy = switches.policy(demands);
        if let Ok(accepted) = opening::open(opening::Case { request: &request, body, policy: &policy, keys: &keys }) {
            let opened = accepted.opened;
            assert!(!demands || opened.signature.is_some() && opened.encrypted.is_some());
            assert!(!switches.strangers || opened.signature.is_none());
        }
    }
}

/// The whole inbound path behind the envelope: see [`sealed`].
pub fn open_sealed(data: &[u8]) {
    sealed::open_sealed(data);
}

/// Where a receipt shall go: see [`wire`].
pub fn receipt_url(data: &[u8]) {
    wire::receipt_url(data);
}

/// The fields of AS2 Restart: see [`wire`].
pub fn restart_fields(data: &[u8]) {
    wire::restart_fields(data);
}

/// A proxy's answer: see [`wire`].
pub fn connect_answer(data: &[u8]) {
    wire::connect_answer(data);
}

/// Certificates and private keys: see [`home`].
pub fn key_file(data: &[u8]) {
    home::key_file(data);
}

/// `gateway.toml` and partner files: see [`home`].
pub fn config(data: &[u8]) {
    home::config(data);
}

/// The head of a request, and whom it comes from: see [`heads`].
pub fn request_head(data: &[u8]) {
    heads::request_head(data);
}

/// A bundle of evidence: see [`evidence`].
pub fn evidence_bundle(data: &[u8]) {
    evidence::evidence_bundle(data);
}

/// A table of codes: see [`home`].
pub fn code_table(data: &[u8]) {
    home::code_table(data);
}

/// DxpMsg, DxpRep and their services: see [`documents`].
pub fn dxp_envelope(data: &[u8]) {
    documents::dxp_envelope(data);
}

/// A file that the application form names: see [`documents`].
pub fn form_attachment(data: &[u8]) {
    documents::form_attachment(data);
}

/// The pre-check of a declaration: see [`documents`].
pub fn precheck(data: &[u8]) {
    documents::precheck(data);
}

/// Declarations that are held against each other: see [`documents`].
pub fn precheck_ledger(data: &[u8]) {
    documents::precheck_ledger(data);
}

/// Canonical XML: see [`documents`].
pub fn c14n(data: &[u8]) {
    documents::c14n(data);
}

/// XML-DSig: see [`documents`].
pub fn dsig(data: &[u8]) {
    documents::dsig(data);
}

/// A certificate: see [`certificates`].
pub fn certificate(data: &[u8]) {
    certificates::certificate(data);
}

/// A certificate exchange message: see [`certificates`].
pub fn certificate_exchange(data: &[u8]) {
    certificates::certificate_exchange(data);
}

/// A file of revocation lists: see [`certificates`].
pub fn revocation_list(data: &[u8]) {
    certificates::revocation_list(data);
}

// ---- fixed surroundings ----

static SIGNER: LazyLock<KeySigner> = LazyLock::new(|| {
    let key = cms::read_pem(include_bytes!("../keys/sender.key"), None).expect("a key");
    KeySigner::new(key, KEYS.sender.clone()).expect("a pair")
});

struct Keys {
    receiver: DecryptionKey,
    elliptic: DecryptionKey,
    sm2: DecryptionKey,
    sender: Certificate,
    signing: SigningKey,
    list_issuer: cms::ListIssuer,
}

impl Keys {
    /// The receiver's, of every kind.
    fn decryption(&self) -> [DecryptionKey; 3] {
        [self.receiver.clone(), self.elliptic.clone(), self.sm2.clone()]
    }

    /// The sender's, of every kind.
    fn trusted(&self) -> [Certificate; 3] {
        [self.sender.clone(), self.elliptic.certificate.clone(), self.sm2.certificate.clone()]
    }
}

/// Keys made for this purpose alone; `seeds.sh` makes the seeds with them.
static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys {
    receiver: decryption_key(include_bytes!("../keys/receiver.crt"), include_bytes!("../keys/receiver.key")),
    elliptic: decryption_key(include_bytes!("../keys/elliptic.crt"), include_bytes!("../keys/elliptic.key")),
    sm2: decryption_key(include_bytes!("../keys/sm2.crt"), include_bytes!("../keys/sm2.key")),
    sender: Certificate::from_pem(include_bytes!("../keys/sender.crt")).expect("a certificate"),
    list_issuer: {
        let file = cms::ListFile::read(include_bytes!("../keys/sender.crt")).expect("a certificate");
        file.issuers.into_iter().next().expect("a certificate")
    },
    signing: SigningKey {
        certificate: Certificate::from_pem(include_bytes!("../keys/sender.crt")).expect("a certificate"),
        key: PrivateKey::from_pem(include_bytes!("../keys/sender.key"), None).expect("a key"),
    },
});

fn decryption_key(certificate: &[u8], key: &[u8]) -> DecryptionKey {
    DecryptionKey {
        certificate: Certificate::from_pem(certificate).expect("a certificate"),
        key: PrivateKey::from_pem(key, None).expect("a key"),
        transports: KeyTransport::ALL.to_vec(),
    }
}

/// Small caps, so that a run reaches them.
fn limits() -> Limits {
    Limits { payload: 1024 * 1024, body: 1024 * 1024, inflate_free: 64 * 1024, ..Limits::default() }
}

/// An agreement that demands all or nothing, and has no wishes besides: those are [`Switches`].
fn policy(demands: bool) -> AcceptPolicy {
    AcceptPolicy {
        require_signature: demands,
        require_encryption: demands,
        digests: DigestAlgorithm::ALL.to_vec(),
        schemes: SignatureScheme::ALL.to_vec(),
        ciphers: ContentCipher::ALL.to_vec(),
        gcm_in_enveloped: !demands,
        mic_algorithms: DigestAlgorithm::ALL.to_vec(),
        mic_as_listed: false,
        mic_unlisted: DigestAlgorithm::Sha256,
        unknown_signers: false,
        max_payload: limits().payload,
    }
}

fn drain(reader: &mut dyn Read) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    reader.take(4 * 1024 * 1024).read_to_end(&mut out).map(|_| out)
}

fn split_head(data: &[u8]) -> (&[u8], &[u8]) {
    match data.windows(4).position(|window| window == b"\r\n\r\n") {
        Some(at) => (&data[..at + 2], &data[at + 4..]),
        None => (data, &[]),
    }
}

fn contains(data: &[u8], piece: &[u8]) -> bool {
    piece.is_empty() || data.windows(piece.len()).any(|window| window == piece)
}

/// A safe file name stays in its folder on every system.
fn is_safe(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\\', '\0', ':']) && name.len() <= 255
}

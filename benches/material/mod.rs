//! Keys, plans and payloads of the benches.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used, reason = "each bench uses a part of it")]

use std::sync::LazyLock;

use dxgate::as2::{
    AcceptPolicy, As2Name, As2Version, Compression, Encryption, MdnAsk, MdnMode, MessageId, MicalgStyle, SendPlan,
    Signing, Stamp,
};
use dxgate::cms::{
    Certificate, ContentCipher, DecryptionKey, DigestAlgorithm, GcmForm, KeyTransport, PrivateKey, SignatureScheme,
    SigningKey,
};
use dxgate::ground::limits::Limits;
use jiff::Timestamp;

/// What is done to a payload.
pub struct Shape;

impl Shape {
    pub const PLAIN: u8 = 0;
    pub const SIGNED: u8 = 1;
    pub const SIGNED_ENCRYPTED: u8 = 2;
    pub const SIGNED_COMPRESSED_ENCRYPTED: u8 = 3;
}

pub fn plan(shape: u8) -> SendPlan {
    let key = SigningKey { certificate: sender_certificate(), key: key(SENDER_KEY) };
    let signing = Signing { key, digest: DigestAlgorithm::Sha256, scheme: SignatureScheme::RsaPkcs1 };
    let encryption = Encryption {
        recipients: vec![certificate(RECEIVER)],
        cipher: ContentCipher::Aes128Gcm,
        gcm_form: GcmForm::AuthEnveloped,
        base64: false,
        transport: KeyTransport::RsaOaepSha256,
    };
    SendPlan {
        from: As2Name::parse("sender").unwrap(),
        to: As2Name::parse("receiver").unwrap(),
        signing: (shape >= Shape::SIGNED).then_some(signing),
        encryption: (shape >= Shape::SIGNED_ENCRYPTED).then_some(encryption),
        compression: match shape {
            Shape::SIGNED_COMPRESSED_ENCRYPTED => Compression::BeforeSigning,
            _ => Compression::None,
        },
        mdn: MdnAsk { mode: MdnMode::Sync, signed: true, micalgs: vec![DigestAlgorithm::Sha256] },
        content_type: "application/xml".to_owned(),
        file_name: Some("order.xml".to_owned()),
        subject: None,
        micalg_style: MicalgStyle::default(),
        version: As2Version::default(),
    }
}

pub fn stamp() -> Stamp {
    Stamp { message_id: MessageId::parse("<bench@dxgate>").unwrap(), date: Timestamp::UNIX_EPOCH }
}

pub fn policy() -> AcceptPolicy {
    AcceptPolicy {
        require_signature: false,
        require_encryption: false,
        digests: DigestAlgorithm::ALL.to_vec(),
        schemes: SignatureScheme::ALL.to_vec(),
        ciphers: ContentCipher::ALL.to_vec(),
        gcm_in_enveloped: false,
        mic_algorithms: DigestAlgorithm::ALL.to_vec(),
        mic_as_listed: false,
        mic_unlisted: DigestAlgorithm::Sha256,
        unknown_signers: false,
        max_payload: Limits::default().payload,
    }
}

pub fn decryption_key() -> DecryptionKey {
    DecryptionKey { certificate: certificate(RECEIVER), key: key(RECEIVER_KEY), transports: KeyTransport::ALL.to_vec() }
}

pub fn sender_certificate() -> Certificate {
    certificate(SENDER)
}

/// Text that compresses about as well as a declaration does.
pub fn payload(size: usize) -> Vec<u8> {
    static LINES: LazyLock<Vec<u8>> = LazyLock::new(|| {
        (0u32..2000)
            .flat_map(|n| format!("<ceb:orderNo>{:08x}</ceb:orderNo>\r\n", n.wrapping_mul(2_654_435_761)).into_bytes())
            .collect()
    });
    LINES.iter().copied().cycle().take(size).collect()
}

fn certificate(pem: &[u8]) -> Certificate {
    Certificate::from_pem(pem).unwrap()
}

fn key(pem: &[u8]) -> PrivateKey {
    PrivateKey::from_pem(pem, None).unwrap()
}

const SENDER: &[u8] = include_bytes!("../../certs-example/station.crt");
const SENDER_KEY: &[u8] = include_bytes!("../../certs-example/station.key");
const RECEIVER: &[u8] = include_bytes!("../../certs-example/customs.crt");
const RECEIVER_KEY: &[u8] = include_bytes!("../../certs-example/customs.key");

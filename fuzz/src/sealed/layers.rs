//! What is inside the envelope: a payload, signed and compressed in every order, by every kind of key, and then changed.

use std::io::Read;
use std::sync::LazyLock;

use dxgate::cms::der::{self, Fields};
use dxgate::cms::{self, DecryptionKey, DigestAlgorithm, SignatureScheme, SigningKey};
use dxgate::mime::{BytesSource, MemoryScratch};

use super::super::KEYS;
use super::changes::changed;

const TYPE: &str = "application/xml";
const PAYLOAD: &[u8] = b"<a>\r\n--sepia\n\x00\xff\r\n--\r\n</a>\n";
/// Its lines may come with other ends: nothing says that it is binary.
const TEXT_TYPE: &str = "text/xml";
const TEXT: &[u8] = b"<a>\r\n b\r\n\r\n</a>\r\n";
const RELATED: &str = "multipart/related; type=\"application/xml\"; boundary=r";

/// A message of the sender under its layers, as a stranger may have changed it.
#[derive(Clone, Copy)]
pub(super) enum Layers {
    /// Signed, then compressed: half of the changes between the two.
    CompressedAfterwards,
    /// Signed.
    Signed,
    /// Signed, then compressed, and only what is compressed is changed.
    ChangedBeforeCompression,
    /// Compressed, then signed.
    CompressedBefore,
    /// Signed with PSS.
    Pss,
    /// Compressed and not signed.
    Compressed,
    /// Neither.
    Plain,
    /// Signed, a multipart of files inside.
    Related,
    /// Signed with the content inside the structure.
    Opaque,
    /// Compressed, and so inside the structure.
    OpaqueOverCompressed,
    /// Signed with the content inside the structure, then compressed, and only what is compressed is changed.
    OpaqueChangedBeforeCompression,
    /// The content inside the structure is another one, in lengths that fit.
    OpaqueOverOther,
    /// Signed with SM2.
    Sm2,
    /// Signed with ECDSA.
    Ecdsa,
    /// Text that is signed in canonical lines.
    Text,
    /// Signed with SM2, the content inside the structure.
    OpaqueSm2,
}

impl Layers {
    pub(super) fn of(octet: u8) -> Layers {
        ALL[usize::from(octet) % ALL.len()]
    }

    pub(super) fn is_signed(self) -> bool {
        !matches!(self, Layers::Compressed | Layers::Plain)
    }

    /// Type and octets of the payload that was signed.
    pub(super) fn expected(self) -> (&'static str, Vec<u8>) {
        match self {
            Layers::Related => (RELATED, attachments()),
            Layers::Text => (TEXT_TYPE, TEXT.to_vec()),
            _ => (TYPE, PAYLOAD.to_vec()),
        }
    }

    /// The outermost entity inside the envelope.
    pub(super) fn seal(self, changes: &[u8]) -> Vec<u8> {
        let made = &*MADE;
        let (inner, outer) = changes.split_at(changes.len() / 2);
        match self {
            Layers::CompressedAfterwards => changed(compressed(&changed(made.signed.clone(), inner)), outer),
            Layers::Signed => changed(made.signed.clone(), changes),
            Layers::ChangedBeforeCompression => compressed(&changed(made.signed.clone(), changes)),
            Layers::CompressedBefore => changed(made.over_compressed.clone(), changes),
            Layers::Pss => changed(made.pss.clone(), changes),
            Layers::Compressed => changed(compressed(&entity()), changes),
            Layers::Plain => changed(entity(), changes),
            Layers::Related => changed(made.related.clone(), changes),
            Layers::Opaque => changed(made.opaque.clone(), changes),
            Layers::OpaqueOverCompressed => changed(made.opaque_over_compressed.clone(), changes),
            Layers::OpaqueChangedBeforeCompression => compressed(&changed(made.opaque.clone(), changes)),
            Layers::OpaqueOverOther => with_content(&made.signature, &changed(entity(), changes)),
            Layers::Sm2 => changed(made.sm2.clone(), changes),
            Layers::Ecdsa => changed(made.ecdsa.clone(), changes),
            Layers::Text => changed(made.text.clone(), changes),
            Layers::OpaqueSm2 => changed(made.opaque_sm2.clone(), changes),
        }
    }
}

/// The first eight stand where the seeds of earlier days have them.
const ALL: [Layers; 16] = [
    Layers::CompressedAfterwards,
    Layers::Signed,
    Layers::ChangedBeforeCompression,
    Layers::CompressedBefore,
    Layers::Pss,
    Layers::Compressed,
    Layers::Plain,
    Layers::Related,
    Layers::Opaque,
    Layers::OpaqueOverCompressed,
    Layers::OpaqueChangedBeforeCompression,
    Layers::OpaqueOverOther,
    Layers::Sm2,
    Layers::Ecdsa,
    Layers::Text,
    Layers::OpaqueSm2,
];

struct Made {
    signed: Vec<u8>,
    over_compressed: Vec<u8>,
    pss: Vec<u8>,
    related: Vec<u8>,
    sm2: Vec<u8>,
    ecdsa: Vec<u8>,
    text: Vec<u8>,
    opaque: Vec<u8>,
    opaque_over_compressed: Vec<u8>,
    opaque_sm2: Vec<u8>,
    /// Detached, over [`entity`].
    signature: Vec<u8>,
}

/// Signed once: signing takes longer than all the rest of a run.
static MADE: LazyLock<Made> = LazyLock::new(|| {
    let plain = entity();
    let compressed = compressed(&plain);
    let related = [format!("Content-Type: {RELATED}\r\n\r\n").as_bytes(), &attachments()].concat();
    let text = [format!("Content-Type: {TEXT_TYPE}\r\n\r\n").as_bytes(), TEXT].concat();
    let rsa = SignatureScheme::RsaPkcs1;
    let opaque = |content: &[u8], scheme| with_content(&signature(content, scheme), content);
    Made {
        signed: signed(&plain, rsa),
        over_compressed: signed(&compressed, rsa),
        pss: signed(&plain, SignatureScheme::RsaPss),
        related: signed(&related, rsa),
        sm2: signed(&plain, SignatureScheme::Sm2),
        ecdsa: signed(&plain, SignatureScheme::Ecdsa),
        text: signed(&text, rsa),
        opaque: opaque(&plain, rsa),
        opaque_over_compressed: opaque(&compressed, rsa),
        opaque_sm2: opaque(&plain, SignatureScheme::Sm2),
        signature: signature(&plain, rsa),
    }
});

fn entity() -> Vec<u8> {
    [format!("Content-Type: {TYPE}\r\nContent-Transfer-Encoding: binary\r\n\r\n").as_bytes(), PAYLOAD].concat()
}

fn attachments() -> Vec<u8> {
    [b"--r\r\n", entity().as_slice(), b"\r\n--r\r\n", &entity(), b"\r\n--r--\r\n"].concat()
}

fn digest_of(scheme: SignatureScheme) -> DigestAlgorithm {
    if scheme == SignatureScheme::Sm2 { DigestAlgorithm::Sm3 } else { DigestAlgorithm::Sha256 }
}

fn signature(part: &[u8], scheme: SignatureScheme) -> Vec<u8> {
    let pair = |key: &DecryptionKey| SigningKey { certificate: key.certificate.clone(), key: key.key.clone() };
    let key = match scheme {
        SignatureScheme::RsaPkcs1 | SignatureScheme::RsaPss => KEYS.signing.clone(),
        SignatureScheme::Ecdsa => pair(&KEYS.elliptic),
        SignatureScheme::Sm2 => pair(&KEYS.sm2),
    };
    let digest = digest_of(scheme);
    let date = "2026-11-22T06:00:00Z".parse().expect("an instant");
    cms::sign_detached(digest, &digest.digest(part), &key, scheme, date, true).expect("a signature")
}

fn signed(part: &[u8], scheme: SignatureScheme) -> Vec<u8> {
    let micalg = digest_of(scheme).micalg();
    let head = format!(
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg={micalg}; boundary=sep\r\n\r\n--sep\r\n"
    );
    [
        head.as_bytes(),
        part,
        b"\r\n--sep\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n",
        &signature(part, scheme),
        b"\r\n--sep--\r\n",
    ]
    .concat()
}

/// The SignedData of a detached signature with its content inside (RFC 8551 3.5.2), as an entity.
fn with_content(detached: &[u8], content: &[u8]) -> Vec<u8> {
    let first = |octets| Fields::new(octets).take().expect("DER").expect("a value");
    let info: Vec<_> = values(first(detached).content);
    let data = values(first(info[1].content).content);
    let content_type = first(data[2].content);
    let inside = der::tlv(der::context_constructed(0), &der::tlv(der::OCTET_STRING, content));
    let encapsulated = der::sequence(&[content_type.raw, &inside]);
    let mut fields: Vec<&[u8]> = data.iter().map(|value| value.raw).collect();
    fields[2] = &encapsulated;
    let explicit = der::tlv(der::context_constructed(0), &der::sequence(&fields));
    let whole = der::sequence(&[info[0].raw, &explicit]);
    [b"Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n\r\n".as_slice(), &whole].concat()
}

fn values(octets: &[u8]) -> Vec<der::Tlv<'_>> {
    let mut fields = Fields::new(octets);
    std::iter::from_fn(|| fields.take().expect("DER")).collect()
}

fn compressed(inner: &[u8]) -> Vec<u8> {
    let mut der = Vec::new();
    let source = BytesSource(inner);
    let source = cms::compress(&source, &MemoryScratch).expect("compressed");
    source.open().and_then(|mut reader| reader.read_to_end(&mut der)).expect("in memory");
    [b"Content-Type: application/pkcs7-mime; smime-type=compressed-data\r\n\r\n".as_slice(), &der].concat()
}

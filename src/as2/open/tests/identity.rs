//! Composing and opening are the identity, whatever is sent, however it is protected, whatever stands in the header fields.

use proptest::prelude::*;

use super::*;
use crate::cms::{DecryptionKey, GcmForm, SigningKey};
use crate::ground::limits::Limits;
use crate::ground::text::printable;
use crate::mime::{BytesSource, MemoryScratch};

const RSA_TRANSPORTS: [KeyTransport; 5] = [
    KeyTransport::RsaPkcs1,
    KeyTransport::RsaOaepSha1,
    KeyTransport::RsaOaepSha256,
    KeyTransport::RsaOaepSha384,
    KeyTransport::RsaOaepSha512,
];
const EC_TRANSPORTS: [KeyTransport; 4] =
    [KeyTransport::EcdhSha1, KeyTransport::EcdhSha256, KeyTransport::EcdhSha384, KeyTransport::EcdhSha512];
const FORMS: [GcmForm; 3] = [GcmForm::AuthEnveloped, GcmForm::Enveloped, GcmForm::EnvelopedBareNonce];
const STYLES: [MicalgStyle; 2] = [MicalgStyle::Hyphenated, MicalgStyle::Plain];

fn any_signing() -> impl Strategy<Value = Option<Signing>> {
    let scheme = prop::sample::select(SignatureScheme::STANDARD.to_vec());
    prop::option::of((scheme, prop::sample::select(DigestAlgorithm::STANDARD.to_vec())).prop_map(|(scheme, digest)| {
        let key = if scheme == SignatureScheme::Ecdsa { ALICE_P256.clone() } else { ALICE.clone() };
        Signing { key, digest, scheme }
    }))
}

fn any_encryption() -> impl Strategy<Value = Option<Encryption>> {
    let transports = [RSA_TRANSPORTS.as_slice(), &EC_TRANSPORTS].concat();
    let parts = (
        prop::sample::select(ContentCipher::STANDARD.to_vec()),
        prop::sample::select(transports),
        prop::sample::select(FORMS.to_vec()),
        any::<bool>(),
        any::<bool>(),
    );
    prop::option::of(parts.prop_map(|(cipher, transport, gcm_form, base64, twice)| {
        let (recipient, other) =
            if EC_TRANSPORTS.contains(&transport) { (&*BOB_P384, &*ALICE_P256) } else { (&*BOB, &*ALICE) };
        let all = [other.certificate.clone(), recipient.certificate.clone()];
        let recipients = all[usize::from(!twice)..].to_vec();
        Encryption { recipients, cipher, gcm_form, base64, transport }
    }))
}

fn any_mdn() -> impl Strategy<Value = MdnAsk> {
    let mode = prop_oneof![
        Just(MdnMode::None),
        Just(MdnMode::Sync),
        "[a-z]{1,20}".prop_map(|path| MdnMode::Async { url: format!("https://alice.example/{path}") }),
    ];
    let micalgs = prop::sample::subsequence(DigestAlgorithm::STANDARD.to_vec(), 0..=3);
    (mode, any::<bool>(), micalgs).prop_map(|(mode, signed, micalgs)| MdnAsk { mode, signed, micalgs })
}

fn any_names() -> impl Strategy<Value = (As2Name, As2Name)> {
    ("[ -~]{1,128}", "[ -~]{1,128}").prop_map(|(from, to)| (name(&from), name(&to)))
}

/// Of any script, Chinese, long, hidden, with blanks around, with everything that means something in a field, in a path, in
/// an encoding of names.
fn any_file_name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^\\x00-\\x1f\\x7f]{1,60}",
        "[-\"'\\\\;=?%*(),:<>@\\[\\]/. a]{1,30}",
        "[\u{4e00}-\u{9fa5}（）【】、 ]{1,60}\\.xml",
        "[a-z0-9 _-]{180,255}",
        "\\.{1,3}[a-z]{0,8}",
        " {0,2}[a-z]{1,4} {0,2}",
        "(\\.\\./|\\.\\.\\\\|C:\\\\|/){1,3}[a-z]{1,8}",
        "=\\?(UTF-8|GB2312)\\?[BQbq]\\?[A-Za-z0-9=_]{0,12}\\?=[a-z]{0,3}",
        "(%[0-9A-F]{2}|UTF-8''|filename\\*=){1,4}",
    ]
}

fn any_subject() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,80}",
        "[ -~]{0,200}",
        "[\u{4e00}-\u{9fa5} ，。]{1,120}",
        "[a-z ]{0,20}[é订\u{1f600}][a-z =?]{0,60}",
        "=\\?UTF-8\\?[BQ]\\?[A-Za-z0-9=_]{0,8}\\?=",
        "a{0,3}[\\t\\r\\n\\x00\\x7f]{1,3}b{0,3}",
    ]
}

/// What is shown of a subject: one line, without blanks around.
fn shown(subject: &str) -> String {
    let line: String = subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    printable(line.trim())
}

/// Of all kinds that are payloads, with parameters of all shapes.
fn any_type() -> impl Strategy<Value = String> {
    let known = [
        "application/xml",
        "text/xml; charset=utf-8",
        "text/plain; charset=gb18030",
        "text/plain; charset=\"us-ascii\"; format=flowed; delsp=yes",
        "application/EDI-X12",
        "application/edifact",
        "application/edi-consent",
        "application/octet-stream",
        "application/json; profile=\"a; b=\\\"c\\\" \\\\d\"",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "image/tiff; application=faxbw",
        "message/rfc822",
        "multipart/related; type=\"text/xml\"; boundary=\"=_a b\"; start=\"<1@alice>\"",
    ];
    prop_oneof![
        prop::sample::select(known.to_vec()).prop_map(str::to_owned),
        "x-[a-z]{1,8}/[a-z0-9.+-]{1,20}(; x[a-z]{0,7}=([a-z0-9.]{1,8}|\"[a-z ;=,/]{0,8}\")){0,3}",
    ]
}

/// Name of the file, subject, media type, spelling of digests, version.
type Fields = (Option<String>, Option<String>, String, MicalgStyle, As2Version);

fn any_fields() -> impl Strategy<Value = Fields> {
    (
        prop::option::of(any_file_name()),
        prop::option::of(any_subject()),
        any_type(),
        prop::sample::select(STYLES.to_vec()),
        prop::sample::select(As2Version::ALL.to_vec()),
    )
}

fn any_plan() -> impl Strategy<Value = SendPlan> {
    let compression = prop::sample::select(COMPRESSIONS.to_vec());
    let parts = (any_signing(), any_encryption(), compression, any_mdn(), any_names(), any_fields());
    parts.prop_map(|(signing, encryption, compression, mdn, (from, to), fields)| {
        let (file_name, subject, content_type, micalg_style, version) = fields;
        SendPlan {
            from,
            to,
            signing,
            encryption,
            compression,
            mdn,
            content_type,
            file_name,
            subject,
            micalg_style,
            version,
        }
    })
}

/// Noise, lines, runs, what looks like boundaries and ends of lines; around the sizes of blocks and buffers.
fn any_payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..5000),
        "([ -~]{0,90}\r?\n){0,60}".prop_map(String::into_bytes),
        "(--[a-z0-9]{0,4}(--)?\r\n|\r|\n|\\.\r\n|=3D){0,200}".prop_map(String::into_bytes),
        ends_of_lines().prop_map(String::into_bytes),
        any_text().prop_map(|text| text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        (any::<u8>(), prop::sample::select(vec![15usize, 16, 17, 4095, 4096, 8192, 65_535, 65_536, 70_000]))
            .prop_map(|(octet, length)| vec![octet; length]),
    ]
}

/// Lines of one sort or of all of them, with and without text and the last end.
fn ends_of_lines() -> impl Strategy<Value = String> {
    let ends = ["\r\n", "\n", "\r", "\n\r", "\r\r\n", "\u{85}", "\u{2028}", "\0\n", " \r\n", "\t\n"];
    let one = (prop::sample::select(ends.to_vec()), "[a-z单 ]{0,9}", 0usize..40, any::<bool>());
    let one = one.prop_map(|(end, text, lines, last)| (text + end).repeat(lines) + if last { "" } else { "a" });
    let all = prop::collection::vec(prop::sample::select([ends.as_slice(), &["a", "单", "--", ""]].concat()), 0..200);
    prop_oneof![one, all.prop_map(|pieces| pieces.concat())]
}

fn any_text() -> impl Strategy<Value = String> {
    "[a\u{a00}\u{d00}\u{d0a}\r\n]{0,200}"
}

fn opened(wire: &Wire) -> (Request, Opened, Vec<u8>) {
    let decrypts = |key: &SigningKey| DecryptionKey {
        certificate: key.certificate.clone(),
        key: key.key.clone(),
        transports: KeyTransport::ALL.to_vec(),
    };
    let trusted = [ALICE.certificate.clone(), ALICE_P256.certificate.clone()];
    let keys = OpenKeys { decryption: &[decrypts(&BOB), decrypts(&BOB_P384)], trusted: &trusted, known: &[] };
    let policy = AcceptPolicy { gcm_in_enveloped: true, ..lax() };
    let (request, mut sink) = (request(wire), Vec::new());
    let opened = open(&request, &mut wire.body.as_slice(), &policy, &keys, &Limits::default(), &mut sink).unwrap();
    (request, opened, sink)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_composed_opens_as_what_it_was(
        plan in any_plan(),
        payload in any_payload(),
        id in "[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]{1,60}@[a-z0-9.-]{1,40}",
    ) {
        let stamp = Stamp { message_id: MessageId::parse(&format!("<{id}>")).unwrap(), date: date() };
        let mut body = Vec::new();
        let composed = compose(&plan, &stamp, &BytesSource(&payload), &MemoryScratch, &mut body).unwrap();
        prop_assert_eq!(composed.wire_len, body.len() as u64);
        let wire = Wire { headers: composed.headers, body };
        let (request, opened, received) = opened(&wire);
        prop_assert!(received == payload, "the payload");
        // The header fields.
        prop_assert_eq!((&request.from, &request.to), (&plan.from, &plan.to));
        prop_assert_eq!(&request.message_id, &stamp.message_id);
        prop_assert_eq!(opened.content_type.as_deref(), Some(plan.content_type.as_str()));
        prop_assert_eq!(opened.file_name.map(|name| name.original), plan.file_name);
        prop_assert_eq!(request.subject, plan.subject.as_deref().map(shown));
        // How it was protected.
        let signature = opened.signature.as_ref().map(|valid| (valid.scheme(), valid.digest(), valid.signer()));
        let signed = plan.signing.as_ref().map(|how| (how.scheme, how.digest, how.key.certificate.fingerprint()));
        prop_assert_eq!(signature, signed);
        prop_assert_eq!(opened.encrypted, plan.encryption.as_ref().map(|how| how.cipher));
        prop_assert_eq!(opened.compressed, plan.compression != Compression::None);
        // The receipt.
        let asked = request.mdn.as_ref();
        prop_assert_eq!(asked.is_some(), plan.mdn.mode != MdnMode::None);
        if let (Some(asked), Some(mic)) = (asked, &opened.mic) {
            prop_assert_eq!(asked.options.signed, plan.mdn.signed);
            let url = match &plan.mdn.mode {
                MdnMode::Async { url } => Some(url),
                _ => None,
            };
            prop_assert_eq!(asked.async_url.as_ref(), url);
            prop_assert_eq!(composed.mics.exact(mic.algorithm), Some(mic));
        }
        prop_assert!(asked.is_none() || opened.mic.is_some());
    }
}

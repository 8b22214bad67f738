//! The composing and opening core against the `openssl` program: it verifies and decrypts what we compose, cut by hand
//! out of the wire, and we open what it signs and encrypts.

use std::fs;
use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use dxgate::as2::{
    self, AcceptPolicy, As2Name, As2Version, Compression, Encryption, Incoming, MdnAsk, MdnMode, MessageId,
    MicalgStyle, OpenKeys, Opened, SendPlan, Signing, Stamp,
};
use dxgate::cms::{
    Certificate, ContentCipher, DecryptionKey, DigestAlgorithm, GcmForm, KeyKind, KeyTransport, PrivateKey,
    SignatureScheme, SigningKey,
};
use dxgate::ground::limits::Limits;
use dxgate::mime::{BytesSource, ContentType, Headers, MemoryScratch};

use crate::support::keys::{self, Party};

#[test]
fn openssl_verifies_what_we_sign() {
    for scheme in [SignatureScheme::RsaPkcs1, SignatureScheme::RsaPss] {
        for digest in DigestAlgorithm::ALL {
            let plan = SendPlan { signing: Some(signing(scheme, digest)), ..plan() };
            let (headers, body) = compose(&plan);
            let (part, signature) = cut(&headers, &body);
            verify(&part, &signature, keys::ours());
            assert!(part.windows(PAYLOAD.len()).any(|window| window == PAYLOAD), "the payload is inside untouched");
        }
    }
}

#[test]
fn openssl_decrypts_what_we_encrypt_and_verifies_the_signature_inside() {
    for &transport in KeyTransport::ALL.iter().filter(|transport| transport.fits(KeyKind::Rsa)) {
        for &cipher in ContentCipher::STANDARD {
            let encryption = Encryption {
                recipients: vec![certificate(keys::theirs())],
                cipher,
                gcm_form: GcmForm::AuthEnveloped,
                base64: false,
                transport,
            };
            let plan = SendPlan {
                signing: Some(signing(SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha256)),
                encryption: Some(encryption),
                ..plan()
            };
            let (headers, body) = compose(&plan);
            let kind = ContentType::parse(headers.get("Content-Type").unwrap()).unwrap();
            assert!(kind.is("application/pkcs7-mime"), "{kind}");
            let entity = decrypt(&body, keys::theirs());
            let (headers, body) = split(&entity);
            let (part, signature) = cut(&headers, &body);
            verify(&part, &signature, keys::ours());
        }
    }
}

#[test]
fn we_open_what_openssl_signs() {
    let options: &[&[&str]] = &[
        &["-md", "sha256"],
        &["-md", "sha512"],
        &["-md", "sha256", "-noattr"],
        &["-md", "sha256", "-nocerts"],
        &["-md", "sha256", "-keyid"],
        &["-md", "sha256", "-cades"],
        &["-md", "sha256", "-keyopt", "rsa_padding_mode:pss"],
        &["-md", "sha384", "-keyopt", "rsa_padding_mode:pss", "-keyopt", "rsa_pss_saltlen:-1"],
    ];
    for options in options {
        let (kind, body) = signed_by_openssl(options);
        let opened = open(&kind, &body).unwrap_or_else(|cause| panic!("{options:?}: {cause}"));
        assert_eq!(opened.payload, PAYLOAD, "{options:?}");
        assert!(opened.message.signature.is_some(), "{options:?}");
    }
}

#[test]
fn we_open_what_openssl_encrypts_in_der_and_in_ber() {
    let options: &[&[&str]] = &[
        &["-aes-128-cbc"],
        &["-aes-256-cbc", "-stream"],
        &["-aes-256-gcm"],
        &["-aes-128-gcm", "-stream"],
        &["-aes-256-cbc", "-keyid"],
        &["-aes-256-cbc", "-keyopt", "rsa_padding_mode:oaep"],
        &["-aes-256-gcm", "-keyopt", "rsa_padding_mode:oaep", "-keyopt", "rsa_oaep_md:sha256"],
    ];
    let (kind, signed) = signed_by_openssl(&["-md", "sha256"]);
    let entity = [format!("Content-Type: {kind}\r\n\r\n").as_bytes(), &signed].concat();
    for options in options {
        let (cipher, more) = options.split_first().unwrap();
        let recipient = keys::ours().certificate_file.to_str().unwrap();
        let head = ["cms", "-encrypt", "-binary", "-outform", "DER", cipher, "-recip", recipient];
        let envelope = openssl(&[&head, more].concat(), &entity);
        let kind = "application/pkcs7-mime; smime-type=enveloped-data";
        let opened = open(kind, &envelope).unwrap_or_else(|cause| panic!("{options:?}: {cause}"));
        assert_eq!(opened.payload, PAYLOAD, "{options:?}");
        assert!(opened.message.encrypted.is_some() && opened.message.signature.is_some(), "{options:?}");
    }
}

#[test]
fn one_flipped_bit_anywhere_in_the_signed_part_is_noticed() {
    let (kind, body) = signed_by_openssl(&["-md", "sha256"]);
    let start = body.windows(PAYLOAD.len()).position(|window| window == PAYLOAD).unwrap();
    for at in (start..start + PAYLOAD.len()).step_by(7) {
        let mut spoilt = body.clone();
        spoilt[at] ^= 0x01;
        assert!(open(&kind, &spoilt).is_err(), "byte {at}");
    }
}

// ---- our side ----

struct Ours {
    message: Opened,
    payload: Vec<u8>,
}

fn plan() -> SendPlan {
    SendPlan {
        from: As2Name::parse("ours").unwrap(),
        to: As2Name::parse("theirs").unwrap(),
        signing: None,
        encryption: None,
        compression: Compression::None,
        mdn: MdnAsk { mode: MdnMode::Sync, signed: true, micalgs: vec![DigestAlgorithm::Sha256] },
        content_type: "application/xml".to_owned(),
        file_name: Some("订单.xml".to_owned()),
        subject: None,
        micalg_style: MicalgStyle::default(),
        version: As2Version::default(),
    }
}

fn compose(plan: &SendPlan) -> (Headers, Vec<u8>) {
    let stamp = Stamp { message_id: MessageId::parse("<1@test>").unwrap(), date: jiff::Timestamp::now() };
    let mut wire = Vec::new();
    let composed = as2::compose(plan, &stamp, &BytesSource(PAYLOAD), &MemoryScratch, &mut wire).unwrap();
    assert_eq!(composed.wire_len, wire.len() as u64);
    (composed.headers, wire)
}

fn open(content_type: &str, body: &[u8]) -> Result<Ours, String> {
    let limits = Limits::default();
    let mut headers = Headers::new();
    for (name, value) in
        [("AS2-From", "theirs"), ("AS2-To", "ours"), ("Message-ID", "<2@test>"), ("AS2-Version", "1.2")]
    {
        headers.push(name, value).unwrap();
    }
    headers.push("Content-Type", content_type).unwrap();
    let Incoming::Message(request) = as2::read_head(&headers, body, &limits).unwrap() else { panic!("not a message") };
    let policy = AcceptPolicy {
        require_signature: true,
        require_encryption: false,
        digests: DigestAlgorithm::ALL.to_vec(),
        schemes: SignatureScheme::ALL.to_vec(),
        ciphers: ContentCipher::ALL.to_vec(),
        gcm_in_enveloped: false,
        mic_algorithms: DigestAlgorithm::ALL.to_vec(),
        mic_as_listed: false,
        mic_unlisted: DigestAlgorithm::Sha256,
        unknown_signers: false,
        max_payload: limits.payload,
    };
    let decryption = [DecryptionKey {
        certificate: certificate(keys::ours()),
        key: private_key(keys::ours()),
        transports: KeyTransport::ALL.to_vec(),
    }];
    let trusted = [certificate(keys::theirs())];
    let keys = OpenKeys { decryption: &decryption, trusted: &trusted, known: &[] };
    let mut payload = Vec::new();
    as2::open(&request, &mut Cursor::new(body), &policy, &keys, &limits, &mut payload)
        .map(|message| Ours { message, payload })
        .map_err(|failure| format!("{:?}", failure.cause))
}

fn signing(scheme: SignatureScheme, digest: DigestAlgorithm) -> Signing {
    let key = SigningKey { certificate: certificate(keys::ours()), key: private_key(keys::ours()) };
    Signing { key, digest, scheme }
}

fn certificate(party: &Party) -> Certificate {
    Certificate::from_pem(&party.certificate.to_pem().unwrap()).unwrap()
}

fn private_key(party: &Party) -> PrivateKey {
    PrivateKey::from_pem(&party.key.private_key_to_pem_pkcs8().unwrap(), None).unwrap()
}

// ---- the judge ----

/// Signed part and signature, cut at the boundary as RFC 2046 5.1.1 says, without our own parser.
fn cut(headers: &Headers, body: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let boundary =
        ContentType::parse(headers.get("Content-Type").unwrap()).unwrap().param("boundary").unwrap().to_owned();
    let delimiter = format!("--{boundary}");
    let starts: Vec<usize> = (0..body.len())
        .filter(|&at| body[at..].starts_with(delimiter.as_bytes()) && (at == 0 || body[at - 1] == b'\n'))
        .collect();
    assert_eq!(starts.len(), 3, "two parts and the end");
    let piece = |from: usize, to: usize| body[from + delimiter.len() + 2..to - 2].to_vec();
    let (head, signature) = split(&piece(starts[1], starts[2]));
    let encoded = head.get("Content-Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("base64"));
    let signature = if encoded { openssl(&["base64", "-d", "-A"], &without_breaks(&signature)) } else { signature };
    (piece(starts[0], starts[1]), signature)
}

fn without_breaks(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect()
}

fn split(entity: &[u8]) -> (Headers, Vec<u8>) {
    let end = entity.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    (Headers::parse(&entity[..end + 2], &Limits::default()).unwrap(), entity[end + 4..].to_vec())
}

fn verify(part: &[u8], signature: &[u8], signer: &Party) {
    let folder = tempfile::tempdir().unwrap();
    let content = folder.path().join("part");
    fs::write(&content, part).unwrap();
    let (content, signer) = (text(&content), text(&signer.certificate_file));
    let head = ["cms", "-verify", "-binary", "-inform", "DER", "-content", &content];
    openssl(
        &[&head[..], &["-certfile", &signer, "-CAfile", &signer, "-purpose", "any", "-out", "/dev/null"]].concat(),
        signature,
    );
}

fn decrypt(envelope: &[u8], recipient: &Party) -> Vec<u8> {
    let (certificate, key) = (text(&recipient.certificate_file), text(&recipient.key_file));
    openssl(&["cms", "-decrypt", "-binary", "-inform", "DER", "-recip", &certificate, "-inkey", &key], envelope)
}

/// Content type and body of a multipart/signed with a signature of `theirs` made by the program.
fn signed_by_openssl(options: &[&str]) -> (String, Vec<u8>) {
    let party = keys::theirs();
    let part = [b"Content-Type: application/xml\r\nContent-Transfer-Encoding: binary\r\n\r\n", PAYLOAD].concat();
    let (certificate, key) = (text(&party.certificate_file), text(&party.key_file));
    let head = ["cms", "-sign", "-binary", "-outform", "DER", "-signer", &certificate, "-inkey", &key];
    let signature = openssl(&[&head[..], options].concat(), &part);
    let mut body = b"--cut\r\n".to_vec();
    body.extend_from_slice(&part);
    body.extend_from_slice(
        b"\r\n--cut\r\nContent-Type: application/pkcs7-signature\r\nContent-Transfer-Encoding: binary\r\n\r\n",
    );
    body.extend_from_slice(&signature);
    body.extend_from_slice(b"\r\n--cut--\r\n");
    let kind = "multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=cut";
    (kind.to_owned(), body)
}

fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in");
    fs::write(&file, input).unwrap();
    let output = Command::new("openssl").args(arguments).arg("-in").arg(&file).output().unwrap();
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Bare CR and LF, a line that looks like a delimiter, trailing blanks, bytes beyond ASCII.
const PAYLOAD: &[u8] = b"<a>\r\n\xe4\xb8\xad\n--cut-not\r\n--\r\n \t \r\n\r</a>\0\xff";

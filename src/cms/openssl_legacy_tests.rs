//! What only a waiver or a switch allows, against the `openssl cms` command: triple DES, RC2, SHA-1, MD5, and AES-GCM in
//! EnvelopedData, which OpenSSL refuses itself and therefore gets translated from and to its own form.

use std::io::Write;

use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;

use super::openssl_cli_tests::Desk;
use super::specimens::{ALICE, BOB, decryption_key};
use super::*;
use crate::ground::limits::Limits;
use crate::ground::secret::Secret;

/// Everything a reader may allow.
const ANYTHING: Allowed<'static> = Allowed { ciphers: ContentCipher::ALL, gcm_in_enveloped: true };

fn open(wire: &[u8], allowed: Allowed<'_>) -> Result<Vec<u8>, CmsError> {
    let mut content = Vec::new();
    let mut reader = EnvelopeReader::open(wire, &[decryption_key(&BOB)], allowed, &Limits::default())?;
    std::io::Read::read_to_end(&mut reader, &mut content)?;
    Ok(content)
}

fn seal(cipher: ContentCipher, form: GcmForm, content: &[u8]) -> Vec<u8> {
    let to = [Recipient { certificate: BOB.certificate.clone(), transport: KeyTransport::RsaPkcs1 }];
    let mut writer = EnvelopeWriter::in_form(Vec::new(), &to, cipher, form, content.len() as u64).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

/// The parts of an envelope: recipients, content cipher, its parameters, ciphertext and tag.
struct Parts {
    recipients: Vec<u8>,
    cipher: Vec<u8>,
    nonce: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

impl Parts {
    /// Of AuthEnvelopedData (`tag` behind) or EnvelopedData with an appended tag.
    fn of(wire: &[u8]) -> Parts {
        let mut outer = der::Fields::only(wire, der::SEQUENCE).unwrap().fields();
        let authenticated = outer.expect(der::OID).unwrap().content == oid::AUTH_ENVELOPED_DATA;
        let data = outer.expect(der::context_constructed(0)).unwrap();
        let mut data = data.fields().expect(der::SEQUENCE).unwrap().fields();
        data.expect(der::INTEGER).unwrap();
        let recipients = data.expect(der::SET).unwrap().raw.to_vec();
        let mut info = data.expect(der::SEQUENCE).unwrap().fields();
        info.expect(der::OID).unwrap();
        let mut algorithm = info.expect(der::SEQUENCE).unwrap().fields();
        let cipher = algorithm.expect(der::OID).unwrap().raw.to_vec();
        let parameters = algorithm.take().unwrap().unwrap();
        let nonce = if parameters.tag == der::SEQUENCE {
            let mut fields = parameters.fields();
            fields.optional(der::INTEGER).unwrap();
            fields.expect(der::OCTET_STRING).unwrap().content
        } else {
            parameters.content
        };
        let mut ciphertext = info.expect(der::context(0)).unwrap().content.to_vec();
        let tag = if authenticated {
            data.expect(der::OCTET_STRING).unwrap().content.to_vec()
        } else {
            ciphertext.split_off(ciphertext.len() - 16)
        };
        Parts { recipients, cipher, nonce: nonce.to_vec(), ciphertext, tag }
    }

    /// AuthEnvelopedData as RFC 5083 has it.
    fn auth_enveloped(&self) -> Vec<u8> {
        let mac = der::tlv(der::OCTET_STRING, &self.tag);
        self.envelope(oid::AUTH_ENVELOPED_DATA, &self.parameters(), &self.ciphertext, &mac)
    }

    /// EnvelopedData as Bouncy Castle writes it.
    fn enveloped(&self) -> Vec<u8> {
        self.envelope(oid::ENVELOPED_DATA, &self.parameters(), &[&self.ciphertext[..], &self.tag].concat(), &[])
    }

    /// EnvelopedData as PKI.js writes it.
    fn enveloped_bare(&self) -> Vec<u8> {
        let nonce = der::tlv(der::OCTET_STRING, &self.nonce);
        self.envelope(oid::ENVELOPED_DATA, &nonce, &[&self.ciphertext[..], &self.tag].concat(), &[])
    }

    fn parameters(&self) -> Vec<u8> {
        der::sequence(&[&der::tlv(der::OCTET_STRING, &self.nonce), &der::integer(16)])
    }

    fn envelope(&self, kind: &[u8], parameters: &[u8], content: &[u8], after: &[u8]) -> Vec<u8> {
        let algorithm = der::sequence(&[&self.cipher, parameters]);
        let info =
            der::sequence(&[&der::object_identifier(oid::DATA), &algorithm, &der::tlv(der::context(0), content)]);
        let data = der::sequence(&[&der::integer(0), &self.recipients, &info, after]);
        der::sequence(&[&der::object_identifier(kind), &der::tlv(der::context_constructed(0), &data)])
    }
}

#[test]
fn openssl_reads_our_gcm_in_enveloped_data_once_it_stands_in_its_own_form() {
    let desk = Desk::new();
    for cipher in [ContentCipher::Aes128Gcm, ContentCipher::Aes192Gcm, ContentCipher::Aes256Gcm] {
        for form in [GcmForm::Enveloped, GcmForm::EnvelopedBareNonce] {
            let wire = seal(cipher, form, &desk.content);
            let parts = Parts::of(&wire);
            let again = if form == GcmForm::Enveloped { parts.enveloped() } else { parts.enveloped_bare() };
            assert!(wire == again, "{cipher} {form:?}: exactly the form of the product");
            desk.put("env.der", &parts.auth_enveloped());
            desk.cms("-decrypt -binary -inform DER -in env.der -recip bob.crt -inkey bob.key -out out");
            assert!(desk.take("out") == desk.content, "{cipher} {form:?}");
        }
    }
}

#[test]
fn openssls_gcm_is_read_in_the_forms_of_bouncy_castle_and_pki_js() {
    let desk = Desk::new();
    desk.cms("-encrypt -binary -outform DER -in content -out env.der -aes-256-gcm -recip bob.crt");
    let parts = Parts::of(&desk.take("env.der"));
    for wire in [parts.enveloped(), parts.enveloped_bare()] {
        assert!(open(&wire, ANYTHING).unwrap() == desk.content);
        let closed = Allowed { gcm_in_enveloped: false, ..ANYTHING };
        assert!(open(&wire, closed).is_err(), "only where the agreement allows the form");
    }
    assert!(matches!(open(&parts.enveloped(), ContentCipher::ALL.into()), Err(CmsError::CipherMisplaced)));
}

#[test]
fn the_long_nonce_of_libas2_is_read_whole() {
    let content = vec![b'x'; 1000];
    let to = [Recipient { certificate: BOB.certificate.clone(), transport: KeyTransport::RsaPkcs1 }];
    let (cipher, form) = (ContentCipher::Aes256Gcm, GcmForm::EnvelopedBareNonce);
    let mut writer = EnvelopeWriter::in_form(Vec::new(), &to, cipher, form, 1000).unwrap();
    writer.write_all(&content).unwrap();
    let key = writer.content_key();
    let mut parts = Parts::of(&writer.finish().unwrap());
    parts.nonce = (0..16).collect();
    let mut context = CipherCtx::new().unwrap();
    context.encrypt_init(Some(Cipher::aes_256_gcm()), None, None).unwrap();
    context.set_iv_length(16).unwrap();
    context.encrypt_init(None, Some(key.expose()), Some(&parts.nonce)).unwrap();
    parts.ciphertext.clear();
    context.cipher_update_vec(&content, &mut parts.ciphertext).unwrap();
    context.cipher_final_vec(&mut parts.ciphertext).unwrap();
    context.tag(&mut parts.tag).unwrap();
    assert!(open(&parts.enveloped_bare(), ANYTHING).unwrap() == content);
    assert!(open(&parts.enveloped(), ANYTHING).is_err(), "in this form alone");
    for place in [0, 11, 12, 15] {
        let mut other = Parts::of(&parts.enveloped_bare());
        other.nonce[place] ^= 1;
        assert!(matches!(open(&other.enveloped_bare(), ANYTHING), Err(CmsError::Decrypt)), "nonce {place}");
    }
}

#[test]
fn an_appended_tag_is_demanded_whole_and_right() {
    let content = vec![b'x'; 70_000];
    let good = Parts::of(&seal(ContentCipher::Aes128Gcm, GcmForm::Enveloped, &content));
    assert!(open(&good.enveloped(), ANYTHING).unwrap() == content);
    for place in [0, 15] {
        let mut parts = Parts::of(&good.enveloped());
        parts.tag[place] ^= 1;
        assert!(matches!(open(&parts.enveloped(), ANYTHING), Err(CmsError::Decrypt)), "tag {place}");
    }
    for place in [0, 40_000, 69_999] {
        let mut parts = Parts::of(&good.enveloped());
        parts.ciphertext[place] ^= 1;
        assert!(matches!(open(&parts.enveloped_bare(), ANYTHING), Err(CmsError::Decrypt)), "ciphertext {place}");
    }
    for len in [0, 4, 12, 15] {
        let parts = Parts { ciphertext: Vec::new(), tag: vec![0; len], ..Parts::of(&good.enveloped()) };
        assert!(matches!(open(&parts.enveloped(), ANYTHING), Err(CmsError::Malformed("tag length"))), "{len}");
    }
    let cut = Parts { tag: good.tag[..12].to_vec(), ..Parts::of(&good.enveloped()) };
    assert!(matches!(open(&cut.enveloped(), ANYTHING), Err(CmsError::Decrypt)), "a tag of twelve bytes");
}

#[test]
fn every_length_around_a_chunk_is_read_back_with_an_appended_tag() {
    for len in [0usize, 1, 15, 16, 17, 32_751, 32_752, 32_768, 32_769, 65_537] {
        let content = vec![b'x'; len];
        let wire = seal(ContentCipher::Aes256Gcm, GcmForm::EnvelopedBareNonce, &content);
        assert!(open(&wire, ANYTHING).unwrap() == content, "{len}");
        // An OCTET STRING in segments, cut in the middle of the tag.
        let parts = Parts::of(&wire);
        let whole = [&parts.ciphertext[..], &parts.tag].concat();
        let (first, second) = whole.split_at(whole.len() - 7);
        let segments = [der::tlv(der::OCTET_STRING, first), der::tlv(der::OCTET_STRING, second)].concat();
        let algorithm = der::sequence(&[&parts.cipher, &parts.parameters()]);
        let content_field = der::tlv(der::context_constructed(0), &segments);
        let info = der::sequence(&[&der::object_identifier(oid::DATA), &algorithm, &content_field]);
        let data = der::sequence(&[&der::integer(0), &parts.recipients, &info]);
        let data = der::tlv(der::context_constructed(0), &data);
        let wire = der::sequence(&[&der::object_identifier(oid::ENVELOPED_DATA), &data]);
        assert!(open(&wire, ANYTHING).unwrap() == content, "{len} in segments");
    }
}

#[test]
fn a_cbc_cipher_in_auth_enveloped_data_is_refused_whatever_is_allowed() {
    let parts = Parts::of(&seal(ContentCipher::Aes128Gcm, GcmForm::AuthEnveloped, b"x"));
    let cbc = Parts { cipher: der::object_identifier(oid::AES128_CBC), nonce: vec![0; 16], ..parts };
    let nonce = der::tlv(der::OCTET_STRING, &cbc.nonce);
    let mac = der::tlv(der::OCTET_STRING, &cbc.tag);
    let wire = cbc.envelope(oid::AUTH_ENVELOPED_DATA, &nonce, &cbc.ciphertext, &mac);
    assert!(matches!(open(&wire, ANYTHING), Err(CmsError::CipherMisplaced)));
}

#[test]
fn triple_des_goes_both_ways_and_only_where_it_is_allowed() {
    let desk = Desk::new();
    for option in ["-des3", "-des3 -stream -keyid"] {
        desk.cms(&format!("-encrypt -binary -outform DER -in content -out env.der {option} -recip bob.crt"));
        let wire = desk.take("env.der");
        assert!(open(&wire, ANYTHING).unwrap() == desk.content, "{option}");
        let refused = open(&wire, ContentCipher::STANDARD.into());
        assert!(matches!(refused, Err(CmsError::CipherNotAllowed(ContentCipher::DesEde3Cbc))), "{option}");
    }
    desk.put("env.der", &seal(ContentCipher::DesEde3Cbc, GcmForm::default(), &desk.content));
    desk.cms("-decrypt -binary -inform DER -in env.der -recip bob.crt -inkey bob.key -out out");
    assert!(desk.take("out") == desk.content);
}

#[test]
fn rc2_is_read_with_the_legacy_provider_and_never_written() {
    let desk = Desk::new();
    let legacy = "-provider legacy -provider default";
    for (option, read) in [("-rc2", true), ("-rc2 -stream", true), ("-rc2-40-cbc", false), ("-rc2-64-cbc", false)] {
        desk.cms(&format!("-encrypt -binary -outform DER -in content -out env.der {legacy} {option} -recip bob.crt"));
        let wire = desk.take("env.der");
        match open(&wire, ANYTHING) {
            Ok(content) => assert!(read && content == desk.content, "{option}"),
            Err(error) => assert!(!read && matches!(error, CmsError::UnknownCipher), "{option}: {error}"),
        }
        assert!(open(&wire, ContentCipher::STANDARD.into()).is_err(), "{option}");
    }
    let to = [Recipient { certificate: BOB.certificate.clone(), transport: KeyTransport::RsaPkcs1 }];
    let refused = EnvelopeWriter::new(Vec::new(), &to, ContentCipher::Rc2Cbc, 1);
    assert!(matches!(refused.err(), Some(CmsError::CipherNotAllowed(ContentCipher::Rc2Cbc))));
}

#[test]
fn rc2_without_its_version_is_read_as_pyas2lib_means_it() {
    let desk = Desk::new();
    let legacy = "-provider legacy -provider default";
    desk.cms(&format!("-encrypt -binary -outform DER -in content -out env.der {legacy} -rc2 -recip bob.crt"));
    let parts = Parts::of(&desk.take("env.der"));
    let parameters = der::sequence(&[&der::tlv(der::OCTET_STRING, &parts.nonce)]);
    let ciphertext = [&parts.ciphertext[..], &parts.tag].concat();
    let wire = parts.envelope(oid::ENVELOPED_DATA, &parameters, &ciphertext, &[]);
    assert!(open(&wire, ANYTHING).unwrap() == desk.content);
    let refused = open(&wire, ContentCipher::STANDARD.into());
    assert!(matches!(refused, Err(CmsError::CipherNotAllowed(ContentCipher::Rc2Cbc))));
}

#[test]
fn a_pkcs12_of_before_openssl_3_is_no_wrong_passphrase_and_opens_once_it_is_exported_anew() {
    let desk = Desk::new();
    let secret = |text: &str| Secret::new(text.to_owned());
    desk.openssl("pkcs12 -export -legacy -in alice.crt -inkey alice.key -out old.p12 -passout pass:right");
    let old = desk.take("old.p12");
    let refused = read_pkcs12(&old, &secret("right")).unwrap_err();
    assert!(matches!(refused, CmsError::OutdatedEncryption), "{refused}");
    let (remedy, told) = ("openssl pkcs12 -legacy -in old.p12 -out k.pem", refused.text());
    assert!(told.zh.contains(remedy) && told.en.contains(remedy));
    for wrong in ["wrong", ""] {
        assert!(matches!(read_pkcs12(&old, &secret(wrong)), Err(CmsError::Passphrase)), "{wrong}");
    }
    // The remedy.
    desk.openssl(&format!("{} -passin pass:right -passout pass:right", remedy.trim_start_matches("openssl ")));
    desk.openssl("pkcs12 -export -in k.pem -out new.p12 -passin pass:right -passout pass:right");
    let (key, certificate, _) = PrivateKey::from_pkcs12(&desk.take("new.p12"), &secret("right")).unwrap();
    assert!(key.matches(&ALICE.certificate) && certificate == ALICE.certificate);
}

#[test]
fn sha_1_and_md5_are_verified_only_when_the_caller_hashed_with_them() {
    let desk = Desk::new();
    let trusted = [ALICE.certificate.clone()];
    for (md, digest) in [("sha1", DigestAlgorithm::Sha1), ("md5", DigestAlgorithm::Md5)] {
        for option in ["", " -noattr", " -nodetach"] {
            let signer = "-signer alice.crt -inkey alice.key";
            desk.cms(&format!("-sign -binary -outform DER {signer} -md {md} -in content -out sig.der{option}"));
            let wire = desk.take("sig.der");
            if option == " -nodetach" {
                let finish = |legacy: &[DigestAlgorithm]| {
                    OpaqueReader::open_allowing(&wire[..], legacy, &Limits::default()).unwrap().finish(&trusted)
                };
                assert_eq!(finish(&[digest]).unwrap().digest(), digest);
                assert!(matches!(finish(&[]), Err(SignatureError::DigestNotComputed(refused)) if refused == digest));
                continue;
            }
            let verify = |algorithms: &[DigestAlgorithm]| {
                let mut hasher = MultiHasher::new(algorithms);
                hasher.update(&desk.content);
                verify_detached(&wire, &hasher.finish(), &trusted, &Limits::default())
            };
            assert_eq!(verify(&DigestAlgorithm::READABLE).unwrap().digest(), digest, "{md}{option}");
            let refused = verify(&DigestAlgorithm::STANDARD);
            assert!(matches!(refused, Err(SignatureError::DigestNotComputed(refused)) if refused == digest));
        }
    }
    let at = "2026-01-01T00:00:00Z".parse().unwrap();
    let value = DigestAlgorithm::Md5.digest(b"x");
    assert!(sign_detached(DigestAlgorithm::Md5, &value, &ALICE, SignatureScheme::RsaPkcs1, at, true).is_err());
}

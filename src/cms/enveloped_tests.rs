use std::io::{Read, Write};

use super::*;
use crate::cms::der::Fields;
use crate::cms::specimens::{
    ALICE, BOB, EVE_P256, FRANK_P384, GRACE_SM2, certificate, decryption_key, same_name_as_alice,
};
use crate::cms::{CmsError, ContentCipher, DecryptionKey, KeyTransport, PrivateKey, SigningKey, der, oid};
use crate::ground::limits::Limits;

fn recipient(who: &SigningKey, transport: KeyTransport) -> Recipient {
    Recipient { certificate: who.certificate.clone(), transport }
}

fn seal(recipients: &[Recipient], cipher: ContentCipher, content: &[u8]) -> Vec<u8> {
    let mut writer = EnvelopeWriter::new(Vec::new(), recipients, cipher, content.len() as u64).unwrap();
    writer.write_all(content).unwrap();
    let wire = writer.finish().unwrap();
    let told = wire_len(recipients, cipher, content.len() as u64).unwrap();
    let variable = recipients.iter().any(|one| one.transport == KeyTransport::Sm2);
    assert!(if variable { wire.len() as u64 <= told } else { wire.len() as u64 == told });
    wire
}

fn sealed_for_bob(cipher: ContentCipher, content: &[u8]) -> Vec<u8> {
    seal(&[recipient(&BOB, KeyTransport::RsaPkcs1)], cipher, content)
}

fn open_with(wire: &[u8], keys: &[DecryptionKey]) -> Result<Vec<u8>, CmsError> {
    let mut reader = EnvelopeReader::open(wire, keys, ContentCipher::ALL, &Limits::default())?;
    let mut content = Vec::new();
    reader.read_to_end(&mut content)?;
    Ok(content)
}

fn open(wire: &[u8]) -> Result<Vec<u8>, CmsError> {
    open_with(wire, &[decryption_key(&BOB)])
}

/// Somebody whose key works with this transport.
fn holder(transport: KeyTransport) -> &'static SigningKey {
    [&*BOB, &*EVE_P256, &*GRACE_SM2].into_iter().find(|who| transport.fits(who.key.kind())).unwrap()
}

/// Bob's certificate with somebody else's private key.
fn wrong_key() -> DecryptionKey {
    DecryptionKey { key: ALICE.key.clone(), ..decryption_key(&BOB) }
}

/// The same EnvelopedData or AuthEnvelopedData under another content type.
fn relabel(wire: &[u8], kind: &[u8]) -> Vec<u8> {
    let mut fields = Fields::only(wire, der::SEQUENCE).unwrap().fields();
    fields.expect(der::OID).unwrap();
    der::sequence(&[&der::object_identifier(kind), fields.take().unwrap().unwrap().raw])
}

#[test]
fn every_cipher_and_key_transport_is_read_back() {
    for cipher in ContentCipher::ALL.iter().filter(|cipher| **cipher != ContentCipher::Rc2Cbc) {
        for transport in KeyTransport::ALL.iter().filter(|transport| transport.goes_with(*cipher)) {
            let who = holder(*transport);
            let wire = seal(&[recipient(who, *transport)], *cipher, b"declaration");
            let keys = [decryption_key(who)];
            let reader = EnvelopeReader::open(wire.as_slice(), &keys, &[*cipher], &Limits::default()).unwrap();
            assert_eq!((reader.cipher(), reader.transport()), (*cipher, Some(*transport)));
            assert_eq!(open_with(&wire, &keys).unwrap(), b"declaration");
        }
    }
}

#[test]
fn every_length_around_a_block_and_a_chunk_is_read_back() {
    for cipher in [ContentCipher::Aes256Cbc, ContentCipher::Aes128Gcm, ContentCipher::DesEde3Cbc] {
        for len in [0, 1, 7, 8, 9, 15, 16, 17, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5] {
            let content: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            assert!(open(&sealed_for_bob(cipher, &content)).unwrap() == content, "{cipher} {len}");
        }
    }
}

#[test]
fn each_of_several_recipients_reads_the_same_content() {
    let all = [
        recipient(&ALICE, KeyTransport::RsaOaepSha256),
        recipient(&BOB, KeyTransport::RsaPkcs1),
        recipient(&EVE_P256, KeyTransport::EcdhSha256),
        recipient(&FRANK_P384, KeyTransport::EcdhSha384),
    ];
    let wire = seal(&all, ContentCipher::Aes128Cbc, b"x");
    for who in [&*ALICE, &*BOB, &*EVE_P256, &*FRANK_P384] {
        assert_eq!(open_with(&wire, &[decryption_key(who)]).unwrap(), b"x");
    }
}

#[test]
fn an_envelope_for_others_is_refused_before_any_key_is_used() {
    let wire = sealed_for_bob(ContentCipher::Aes128Cbc, b"x");
    assert!(matches!(open_with(&wire, &[decryption_key(&ALICE)]), Err(CmsError::NotForUs)));
    assert!(matches!(open_with(&wire, &[]), Err(CmsError::NotForUs)));
}

/// The same envelope with the sender's point in compressed form (SEC 1 2.3.3), if it has one.
fn with_compressed_point(der: &[u8]) -> Vec<u8> {
    let mut fields = Fields::new(der);
    let mut out = Vec::new();
    while let Some(value) = fields.take().unwrap() {
        match value.content {
            [0, 4, point @ ..] if value.tag == der::BIT_STRING => {
                let (x, y) = point.split_at(point.len() / 2);
                let form = 2 + (y.last().unwrap() & 1);
                out.extend(der::tlv(der::BIT_STRING, &[&[0, form][..], x].concat()));
            }
            content if value.tag & 0x20 != 0 => out.extend(der::tlv(value.tag, &with_compressed_point(content))),
            _ => out.extend_from_slice(value.raw),
        }
    }
    out
}

#[test]
fn of_our_keys_with_one_issuer_and_serial_number_the_newest_that_fits_the_message_opens_it() {
    // Bob's certificate made anew, with the same serial number and another key.
    let anew = |who: &SigningKey| {
        let certificate = certificate("bob", 0x00ab_cdef, who.key.pkey());
        DecryptionKey { certificate, ..decryption_key(who) }
    };
    let newest_first = [anew(&GRACE_SM2), anew(&FRANK_P384), anew(&EVE_P256), decryption_key(&BOB)];
    let mut newest_last = newest_first.clone();
    newest_last.reverse();
    let ways = [
        (KeyTransport::Sm2, ContentCipher::Sm4Cbc),
        (KeyTransport::EcdhSha384, ContentCipher::Aes256Gcm),
        (KeyTransport::EcdhSha256, ContentCipher::Aes128Gcm),
        (KeyTransport::RsaOaepSha256, ContentCipher::Aes128Gcm),
    ];
    for (key, (transport, cipher)) in newest_first.iter().zip(ways) {
        let wire = seal(&[Recipient { certificate: key.certificate.clone(), transport }], cipher, b"x");
        let compressed = with_compressed_point(&wire);
        assert_eq!(compressed.len() < wire.len(), transport.kdf_digest().is_some(), "{transport}");
        for keys in [&newest_first, &newest_last] {
            assert_eq!(open_with(&wire, keys).unwrap(), b"x", "{transport}");
            assert_eq!(open_with(&compressed, keys).unwrap(), b"x", "{transport}, compressed");
        }
    }
    // Of one kind, what each is kept for decides; of two that fit the first is used, and the other is not tried.
    let wire = sealed_for_bob(ContentCipher::Aes128Gcm, b"x");
    let for_oaep = DecryptionKey { transports: vec![KeyTransport::RsaOaepSha256], ..anew(&ALICE) };
    assert_eq!(open_with(&wire, &[for_oaep, decryption_key(&BOB)]).unwrap(), b"x");
    assert!(matches!(open_with(&wire, &[anew(&ALICE), decryption_key(&BOB)]), Err(CmsError::Decrypt)));
}

/// The same envelope with its recipients in the opposite order.
fn reversed(wire: &[u8]) -> Vec<u8> {
    let mut fields = Fields::only(wire, der::SEQUENCE).unwrap().fields();
    fields.expect(der::OID).unwrap();
    let data = fields.expect(der::context_constructed(0)).unwrap().fields().expect(der::SEQUENCE).unwrap();
    let mut data = data.fields();
    data.expect(der::INTEGER).unwrap();
    let set = data.expect(der::SET).unwrap();
    let mut infos = set.fields();
    let mut entries: Vec<&[u8]> = std::iter::from_fn(|| infos.take().unwrap().map(|info| info.raw)).collect();
    entries.reverse();
    let at = memchr::memmem::find(wire, set.content).unwrap();
    [&wire[..at], &entries.concat(), &wire[at + set.content.len()..]].concat()
}

#[test]
fn of_several_entries_for_us_the_first_is_used_that_our_key_may_be_used_with() {
    let (pkcs1, oaep, agreed) = (KeyTransport::RsaPkcs1, KeyTransport::RsaOaepSha256, KeyTransport::EcdhSha256);
    let both = [recipient(&BOB, pkcs1), recipient(&EVE_P256, agreed), recipient(&BOB, oaep)];
    let wire = seal(&both, ContentCipher::Aes128Gcm, b"x");
    let turned = reversed(&wire);
    assert_ne!(turned, wire);
    let bob = |transports: &[KeyTransport]| DecryptionKey { transports: transports.to_vec(), ..decryption_key(&BOB) };
    for order in [&wire, &turned] {
        for transports in [&[pkcs1][..], &[oaep], &[pkcs1, oaep]] {
            let keys = [bob(transports)];
            let reader = EnvelopeReader::open(order.as_slice(), &keys, ContentCipher::ALL, &Limits::default()).unwrap();
            assert!(transports.contains(&reader.transport().unwrap()));
            assert_eq!(open_with(order, &keys).unwrap(), b"x", "{transports:?}");
        }
        // An entry of another kind, for a key that may be used with it.
        let keys = [bob(&[KeyTransport::RsaOaepSha1]), decryption_key(&EVE_P256)];
        assert_eq!(open_with(order, &keys).unwrap(), b"x");
    }
    // Where none may be used, the first says what is wrong.
    for (order, first) in [(&wire, pkcs1), (&turned, oaep)] {
        let refused = open_with(order, &[bob(&[KeyTransport::RsaOaepSha1])]);
        assert!(matches!(refused, Err(CmsError::KeyTransportNotAllowed(told)) if told == first), "{first}");
    }
}

#[test]
fn keys_of_triple_des_have_odd_parity() {
    for _ in 0..8 {
        let to = [recipient(&BOB, KeyTransport::RsaPkcs1)];
        let writer = EnvelopeWriter::new(Vec::new(), &to, ContentCipher::DesEde3Cbc, 1).unwrap();
        let key = writer.content_key();
        assert_eq!(key.expose().len(), 24);
        assert!(key.expose().iter().all(|octet| octet.count_ones() % 2 == 1));
    }
}

#[test]
fn a_key_for_oaep_never_runs_pkcs1() {
    let wire = sealed_for_bob(ContentCipher::Aes128Cbc, b"x");
    // Other tests use Bob's.
    let own = PrivateKey::from_pkey(BOB.key.pkey().to_owned()).unwrap();
    let key = |transport| DecryptionKey { key: own.clone(), transports: vec![transport], ..decryption_key(&BOB) };
    let refused = open_with(&wire, &[key(KeyTransport::RsaOaepSha256)]);
    assert!(matches!(refused, Err(CmsError::KeyTransportNotAllowed(KeyTransport::RsaPkcs1))));
    assert!(!own.has_decrypted());
    assert_eq!(open_with(&wire, &[key(KeyTransport::RsaPkcs1)]).unwrap(), b"x");
    assert!(own.has_decrypted(), "otherwise this would not be seen");
}

#[test]
fn a_cipher_outside_the_agreement_is_refused() {
    let wire = sealed_for_bob(ContentCipher::Aes128Cbc, b"x");
    let keys = [decryption_key(&BOB)];
    let refused = EnvelopeReader::open(wire.as_slice(), &keys, &[ContentCipher::Aes256Gcm], &Limits::default());
    assert!(matches!(refused.err(), Some(CmsError::CipherNotAllowed(ContentCipher::Aes128Cbc))));
}

#[test]
fn relabelled_envelopes_are_refused() {
    let gcm = relabel(&sealed_for_bob(ContentCipher::Aes256Gcm, b"x"), oid::ENVELOPED_DATA);
    let cbc = relabel(&sealed_for_bob(ContentCipher::Aes256Cbc, b"x"), oid::AUTH_ENVELOPED_DATA);
    for wire in [gcm, cbc] {
        assert!(matches!(open(&wire), Err(CmsError::CipherMisplaced)));
    }
    let other = relabel(&sealed_for_bob(ContentCipher::Aes256Cbc, b"x"), oid::SIGNED_DATA);
    assert!(matches!(open(&other), Err(CmsError::WrongContentType)));
    // GCM content and parameters under a CBC identifier: the parameters do not fit.
    let mut disguised = sealed_for_bob(ContentCipher::Aes256Gcm, b"x");
    let place = memchr::memmem::find(&disguised, oid::AES256_GCM).unwrap() + oid::AES256_GCM.len() - 1;
    disguised[place] = 0x2a;
    assert!(matches!(open(&relabel(&disguised, oid::ENVELOPED_DATA)), Err(CmsError::Malformed(_))));
}

#[test]
fn any_change_to_gcm_content_or_tag_fails_at_the_end() {
    let content = vec![b'x'; 100];
    let wire = sealed_for_bob(ContentCipher::Aes256Gcm, &content);
    for back in [1, 8, 16, 19, 50, 118] {
        let mut changed = wire.clone();
        let place = changed.len() - back;
        changed[place] ^= 1;
        assert!(matches!(open(&changed), Err(CmsError::Decrypt)), "{back}");
    }
}

#[test]
fn tags_of_other_lengths_are_refused() {
    let wire = sealed_for_bob(ContentCipher::Aes128Gcm, b"x");
    for len in [0, 4, 12, 15, 17] {
        // The lengths around the tag are made indefinite so that only the tag changes.
        let body = wire[..wire.len() - 18].to_vec();
        let mut fields = Fields::only(&wire, der::SEQUENCE).unwrap().fields();
        fields.expect(der::OID).unwrap();
        let explicit = fields.take().unwrap().unwrap();
        let inner = Fields::only(explicit.content, der::SEQUENCE).unwrap().content;
        let inner = &inner[..inner.len() - 18];
        assert!(body.ends_with(inner));
        let data = [inner, &der::tlv(der::OCTET_STRING, &vec![0; len])].concat();
        let data = der::tlv(der::context_constructed(0), &der::tlv(der::SEQUENCE, &data));
        let changed = der::sequence(&[&der::object_identifier(oid::AUTH_ENVELOPED_DATA), &data]);
        assert!(matches!(open(&changed), Err(CmsError::Malformed("tag length"))), "{len}");
    }
}

#[test]
fn a_wrong_key_and_a_damaged_key_look_alike() {
    let gcm = sealed_for_bob(ContentCipher::Aes256Gcm, b"secret");
    assert!(matches!(open_with(&gcm, &[wrong_key()]), Err(CmsError::Decrypt)));
    for transport in KeyTransport::ALL.iter().filter(|transport| transport.goes_with(ContentCipher::Aes256Gcm)) {
        let who = holder(*transport);
        let mut wire = seal(&[recipient(who, *transport)], ContentCipher::Aes256Gcm, b"secret");
        let place = memchr::memmem::find(&wire, oid::AES256_GCM).unwrap() - 45;
        wire[place] ^= 1;
        let keys = [decryption_key(who)];
        let mut reader = EnvelopeReader::open(wire.as_slice(), &keys, ContentCipher::ALL, &Limits::default()).unwrap();
        let error = CmsError::from(reader.read_to_end(&mut Vec::new()).unwrap_err());
        assert_eq!(error.code(), "cms-decryption-failed", "{transport}");
        let again = CmsError::from(reader.read(&mut [0; 8]).unwrap_err());
        assert!(matches!(again, CmsError::Decrypt), "a failed reader stays failed");
    }
    let cbc = sealed_for_bob(ContentCipher::Aes256Cbc, b"secret");
    match open_with(&cbc, &[wrong_key()]) {
        Err(error) => assert!(matches!(error, CmsError::Decrypt)),
        Ok(garbage) => assert_ne!(garbage, b"secret"),
    }
}

#[test]
fn a_key_encrypted_with_another_length_gives_no_content() {
    let mut wire = sealed_for_bob(ContentCipher::Aes256Cbc, &[b'x'; 64]);
    let place = memchr::memmem::find(&wire, oid::AES256_CBC).unwrap() + oid::AES256_CBC.len() - 1;
    wire[place] = 0x02; // claims AES-128, so that a 32-byte key is not what is expected
    match open(&wire) {
        Err(error) => assert!(matches!(error, CmsError::Decrypt)),
        Ok(garbage) => assert_ne!(garbage, [b'x'; 64]),
    }
}

#[test]
fn a_transport_of_another_kind_of_key_is_refused_on_both_sides() {
    for (who, transport) in [(&*BOB, KeyTransport::EcdhSha256), (&*EVE_P256, KeyTransport::RsaOaepSha256)] {
        let refused = EnvelopeWriter::new(Vec::new(), &[recipient(who, transport)], ContentCipher::Aes128Gcm, 1);
        assert!(matches!(refused.err(), Some(CmsError::UnusableKey(_))));
    }
    // Key transport to a certificate whose key is EC: nothing is computed.
    let wire = sealed_for_bob(ContentCipher::Aes128Gcm, b"x");
    let eve = DecryptionKey { key: EVE_P256.key.clone(), ..decryption_key(&BOB) };
    assert!(matches!(open_with(&wire, &[eve]), Err(CmsError::KeyTransportNotAllowed(KeyTransport::RsaPkcs1))));
    let wire = seal(&[recipient(&EVE_P256, KeyTransport::EcdhSha256)], ContentCipher::Aes128Gcm, b"x");
    let bob = DecryptionKey { key: BOB.key.clone(), ..decryption_key(&EVE_P256) };
    assert!(matches!(open_with(&wire, &[bob]), Err(CmsError::UnknownKeyTransport)));
    // And another curve than the sender's point is on.
    let frank = DecryptionKey { key: FRANK_P384.key.clone(), ..decryption_key(&EVE_P256) };
    assert!(matches!(open_with(&wire, &[frank]), Err(CmsError::Decrypt)));
}

#[test]
fn a_point_off_the_curve_looks_like_any_wrong_key() {
    let wire = seal(&[recipient(&EVE_P256, KeyTransport::EcdhSha256)], ContentCipher::Aes128Gcm, b"x");
    let point = memchr::memmem::find(&wire, &[0x00, 0x04]).unwrap() + 1;
    for change in [1, 64] {
        let mut changed = wire.clone();
        changed[point + change] ^= 1;
        assert!(matches!(open_with(&changed, &[decryption_key(&EVE_P256)]), Err(CmsError::Decrypt)), "{change}");
    }
}

#[test]
fn oaep_under_other_digests_than_it_was_made_with_looks_like_any_wrong_key() {
    let wire = seal(&[recipient(&BOB, KeyTransport::RsaOaepSha256)], ContentCipher::Aes256Gcm, b"secret");
    assert_eq!(open(&wire).unwrap(), b"secret");
    let hash = memchr::memmem::find(&wire, oid::SHA256).unwrap();
    let mgf = memchr::memmem::rfind(&wire, oid::SHA256).unwrap();
    assert_ne!(hash, mgf);
    for places in [vec![hash], vec![mgf], vec![hash, mgf]] {
        let mut changed = wire.clone();
        for place in &places {
            changed[*place..place + oid::SHA384.len()].copy_from_slice(oid::SHA384);
        }
        assert!(matches!(open(&changed), Err(CmsError::Decrypt)), "{places:?}");
    }
}

#[test]
fn an_impostors_certificate_does_not_open_the_envelope() {
    let wire = seal(&[recipient(&ALICE, KeyTransport::RsaOaepSha256)], ContentCipher::Aes128Gcm, b"x");
    let impostor = same_name_as_alice();
    assert!(matches!(open_with(&wire, &[decryption_key(&impostor)]), Err(CmsError::Decrypt)));
}

#[test]
fn recipients_are_counted() {
    let many = vec![recipient(&BOB, KeyTransport::RsaPkcs1); 17];
    assert!(matches!(open(&seal(&many, ContentCipher::Aes128Cbc, b"x")), Err(CmsError::Malformed(_))));
    let none = EnvelopeWriter::new(Vec::new(), &[], ContentCipher::Aes128Cbc, 1);
    assert!(matches!(none.err(), Some(CmsError::UnusableKey(_))));
}

#[test]
fn other_recipients_are_refused_before_any_key_is_derived() {
    // PBKDF2, two thousand million rounds (RFC 5652 6.2.4, RFC 8018 A.2).
    let salt = der::tlv(der::OCTET_STRING, &[1; 8]);
    let rounds = der::sequence(&[&salt, &der::integer(1 << 31)]);
    let pbkdf2 = der::object_identifier(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x05, 0x0c]);
    let derivation = der::tlv(der::context_constructed(0), &[pbkdf2, rounds].concat());
    let algorithm = der::sequence(&[&der::object_identifier(oid::AES128_CBC), &der::tlv(der::OCTET_STRING, &[2; 16])]);
    let key = der::tlv(der::OCTET_STRING, &[3; 32]);
    let by_passphrase = [der::integer(0), derivation, algorithm.clone(), key.clone()].concat();
    let by_shared_key = [der::integer(4), der::sequence(&[&key]), algorithm.clone(), key].concat();
    let content = [der::object_identifier(oid::DATA), algorithm, der::tlv(0x80, &[4; 32])].concat();
    for (tag, info) in [(2, &by_shared_key), (3, &by_passphrase), (4, &by_passphrase)] {
        let infos = der::tlv(der::SET, &der::tlv(der::context_constructed(tag), info));
        let data = der::sequence(&[&der::integer(3), &infos, &der::tlv(der::SEQUENCE, &content)]);
        let data = der::tlv(der::context_constructed(0), &data);
        let wire = der::sequence(&[&der::object_identifier(oid::ENVELOPED_DATA), &data]);
        assert!(matches!(open(&wire), Err(CmsError::NotForUs)), "[{tag}]");
    }
}

#[test]
fn the_writer_holds_its_caller_to_the_announced_length() {
    let to = [recipient(&BOB, KeyTransport::RsaPkcs1)];
    let mut writer = EnvelopeWriter::new(Vec::new(), &to, ContentCipher::Aes128Cbc, 5).unwrap();
    writer.write_all(b"1234").unwrap();
    assert!(matches!(writer.finish(), Err(CmsError::ContentLength)));
    let mut writer = EnvelopeWriter::new(Vec::new(), &to, ContentCipher::Aes128Cbc, 5).unwrap();
    assert!(writer.write_all(b"123456").is_err());
    assert!(wire_len(&to, ContentCipher::Aes128Gcm, 1 << 36).is_err());
    assert!(wire_len(&to, ContentCipher::Aes128Cbc, u64::MAX).is_err());
}

#[test]
fn truncated_envelopes_are_refused() {
    for cipher in [ContentCipher::Aes128Cbc, ContentCipher::Aes128Gcm] {
        let wire = sealed_for_bob(cipher, b"some content");
        for len in (0..wire.len()).step_by(7).chain([wire.len() - 1]) {
            assert!(open(&wire[..len]).is_err(), "{cipher} {len}");
        }
    }
}

#[test]
fn memory_stays_flat_for_large_content() {
    struct Counter(u64);
    impl Write for Counter {
        fn write(&mut self, buf: &[u8]) -> std::io::Result<usize> {
            self.0 += buf.len() as u64;
            Ok(buf.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let len = 64 << 20;
    let to = [recipient(&BOB, KeyTransport::RsaPkcs1)];
    let mut writer = EnvelopeWriter::new(Counter(0), &to, ContentCipher::Aes256Gcm, len).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(len), &mut writer).unwrap();
    assert_eq!(writer.finish().unwrap().0, wire_len(&to, ContentCipher::Aes256Gcm, len).unwrap());
}

#[test]
fn keys_with_a_small_exponent_are_not_used() {
    let e = openssl::bn::BigNum::from_u32(3).unwrap();
    let key = openssl::pkey::PKey::from_rsa(openssl::rsa::Rsa::generate_with_e(2048, &e).unwrap()).unwrap();
    assert!(matches!(PrivateKey::from_pkey(key), Err(CmsError::UnusableKey(_))));
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(100))]

    #[test]
    fn no_damage_makes_opening_panic(place in 0usize..600, bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 1..6)) {
        for cipher in [ContentCipher::Aes128Cbc, ContentCipher::Aes128Gcm] {
            let mut wire = sealed_for_bob(cipher, b"content");
            for (offset, byte) in bytes.iter().enumerate() {
                if let Some(target) = wire.get_mut(place + offset) {
                    *target = *byte;
                }
            }
            let _ = open(&wire);
        }
    }
}

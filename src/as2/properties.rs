//! What must hold for any input: readers never panic, what is written is read back, and no change on the wire
//! delivers another payload or another verdict.

use proptest::prelude::*;

use super::specimens::*;
use super::*;
use crate::cms::{ContentCipher, DigestAlgorithm, KeyTransport, SignatureScheme};
use crate::ground::limits::Limits;
use crate::mime::Headers;

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// A change to octets: cut there, or flip bits there.
fn damage(octets: &mut Vec<u8>, place: prop::sample::Index, bits: u8) {
    if octets.is_empty() {
        return;
    }
    let at = place.index(octets.len());
    if bits == 0 { octets.truncate(at) } else { octets[at] ^= bits }
}

proptest! {
    #![proptest_config(config(256))]

    #[test]
    fn any_name_is_written_so_that_it_is_read_back(text in "[ -~]{1,128}") {
        let name = As2Name::from_plain(&text).unwrap();
        let again = As2Name::parse(&name.header_value()).unwrap();
        prop_assert_eq!(again.as_str(), &text);
    }

    #[test]
    fn readers_of_fields_take_anything(text in "\\PC{0,80}|[ -~\\x00-\\x1f]{0,80}") {
        if let Ok(name) = As2Name::parse(&text) {
            prop_assert_eq!(As2Name::parse(&name.header_value()), Ok(name));
        }
        if let Ok(id) = MessageId::parse(&text) {
            prop_assert_eq!(id.as_str(), text.trim_matches([' ', '\t']));
        }
        if let Ok(mic) = text.parse::<Mic>() {
            prop_assert_eq!(mic.to_string().parse::<Mic>(), Ok(mic));
        }
        let _ = NotificationOptions::parse(&text);
        let _ = Disposition::parse_received(&text);
    }

    #[test]
    fn dispositions_are_stable_when_printed_again(text in "[a-z-]{1,8}/[a-z-]{1,8} ?; ?[a-zA-Z]{1,9}(/[a-zA-Z]{1,7}(: ?[a-z -]{0,20})?)?") {
        if let Ok(disposition) = Disposition::parse_received(&text) {
            let again = Disposition::parse_received(&disposition.to_string()).unwrap();
            prop_assert_eq!(again.is_positive(), disposition.is_positive());
            prop_assert_eq!(again, disposition);
        }
    }

    #[test]
    fn any_text_becomes_field_values_without_control_characters(text in any::<String>()) {
        let mut headers = Headers::new();
        prop_assert!(headers.push("Subject", &headers::text_value(&text)).is_ok());
        prop_assert!(headers.push("Content-Disposition", &headers::attachment_value(&text)).is_ok());
    }

    #[test]
    fn any_body_prefix_can_be_classified(prefix in prop::collection::vec(any::<u8>(), 0..200)) {
        let wire = wire(&[("Content-Type", "multipart/signed; boundary=a")], b"");
        let mut quiet = wire.headers.clone();
        quiet.remove("Disposition-Notification-To");
        let prefix = [b"--a\r\n".as_slice(), &prefix].concat();
        let _ = classify(&quiet, &prefix, &Limits::default());
    }
}

proptest! {
    #![proptest_config(config(48))]

    #[test]
    fn any_payload_arrives_as_it_was(payload in prop::collection::vec(any::<u8>(), 0..5000), shape in 0usize..9) {
        let scheme = [None, Some(SignatureScheme::RsaPkcs1), Some(SignatureScheme::RsaPss)][shape % 3];
        let envelope = [None, Some(ContentCipher::Aes192Cbc), Some(ContentCipher::Aes128Gcm)][shape / 3];
        let envelope = envelope.map(|cipher| (cipher, KeyTransport::RsaPkcs1));
        let (wire, _) = compose_it(&plan(scheme, envelope, Compression::BeforeSigning), &payload);
        let (_, received) = receive(&wire, &lax()).unwrap();
        prop_assert_eq!(received, payload);
    }

    #[test]
    fn damage_on_the_wire_never_delivers_another_payload(
        place in any::<prop::sample::Index>(),
        bits in any::<u8>(),
        shape in 0usize..4,
    ) {
        let signed = Some(SignatureScheme::RsaPkcs1);
        let cipher = [None, Some(ContentCipher::Aes128Cbc), Some(ContentCipher::Aes256Gcm), None][shape];
        let compression = if shape == 3 { Compression::AfterSigning } else { Compression::None };
        let envelope = cipher.map(|cipher| (cipher, KeyTransport::RsaPkcs1));
        let (mut wire, _) = compose_it(&plan(signed, envelope, compression), PAYLOAD);
        damage(&mut wire.body, place, bits);
        let policy = AcceptPolicy { require_encryption: false, ..AcceptPolicy::default() };
        match receive(&wire, &policy) {
            Ok((opened, payload)) => {
                prop_assert!(opened.signature.is_some());
                prop_assert_eq!(payload, PAYLOAD);
            }
            Err(failure) => prop_assert!(!failure.told.is_positive()),
        }
    }

    #[test]
    fn damage_never_turns_a_refusal_into_a_receipt(place in any::<prop::sample::Index>(), bits in any::<u8>()) {
        let (_, composed) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None), PAYLOAD);
        let mic = composed.mics.exact(DigestAlgorithm::Sha256).cloned();
        let mut built = answer(&Disposition::integrity_check_failed(), mic.as_ref(), Some(&BOB));
        damage(&mut built.body, place, bits);
        let trusted = std::slice::from_ref(&BOB.certificate);
        if let Ok(mdn) = mdn::parse(&built.headers, &built.body, trusted, &Limits::default()) {
            let verdict = judged(&mdn, &composed, true);
            prop_assert!(!matches!(verdict, Verdict::Accepted { .. }), "{:?}", verdict);
        }
    }
}

//! When an MDN is the one that settled its message before.

use jiff::Timestamp;

use super::*;
use crate::as2::Disposition;
use crate::cms::SignatureError;

const REFUSED: &str = "automatic-action/MDN-sent-automatically; processed/error: decryption-failed";
const TAKEN: &str = "automatic-action/MDN-sent-automatically; processed";

fn came(message_id: Option<&str>, body: &str, disposition: &str) -> Seen {
    let mut headers = Headers::new();
    headers.push("AS2-From", "theirs").unwrap();
    if let Some(message_id) = message_id {
        headers.push("Message-ID", message_id).unwrap();
    }
    let raw = [headers.to_bytes().as_slice(), b"\r\n", body.as_bytes()].concat();
    let (disposition, signer) = (disposition.to_owned(), Some("their key".to_owned()));
    Seen { headers, raw, disposition, mic: None, mic_matches: None, signer }
}

fn kept(seen: Seen) -> Receipt {
    seen.into_receipt(&mut Transaction::new(Timestamp::from_second(1).unwrap()))
}

#[test]
fn an_mdn_is_known_by_its_own_message_id_and_one_without_by_its_bytes() {
    let first = kept(came(Some("<1@theirs>"), "no", REFUSED));
    assert!(is_repetition(&first, &came(Some("<1@theirs>"), "no", REFUSED)));
    assert!(is_repetition(&first, &came(Some("1@theirs"), "no, signed anew", REFUSED)));
    assert!(!is_repetition(&first, &came(Some("<2@theirs>"), "no", REFUSED)), "an answer to another attempt");
    let nameless = kept(came(None, "no", REFUSED));
    assert!(is_repetition(&nameless, &came(None, "no", REFUSED)));
    assert!(!is_repetition(&nameless, &came(None, "no, once more", REFUSED)));
    assert!(!is_repetition(&nameless, &came(Some("<1@theirs>"), "no", REFUSED)));
}

#[test]
fn a_message_id_that_is_used_again_for_another_word_or_by_another_key_makes_no_repetition() {
    let first = kept(came(Some("<1@theirs>"), "no", REFUSED));
    let again = |disposition: &str| came(Some("<1@theirs>"), "no", disposition);
    assert!(!is_repetition(&first, &again(TAKEN)));
    for signer in [None, Some("another key".to_owned())] {
        assert!(!is_repetition(&first, &Seen { signer, ..again(REFUSED) }));
    }
}

#[test]
fn why_the_signature_of_a_receipt_does_not_count_is_told() {
    for (cause, words) in [
        (SignatureError::UnknownSigner, "registered certificates"),
        (SignatureError::DigestMismatch, "changed after signing"),
        (SignatureError::UnknownDigest, "unknown digest algorithm"),
    ] {
        let parsed = Mdn {
            from: None,
            to: None,
            message_id: None,
            original_message_id: None,
            final_recipient: None,
            disposition: Disposition::parse_received(TAKEN).unwrap(),
            mic: None,
            mic_unreadable: false,
            text: String::new(),
            reporting_ua: None,
            remarks: Vec::new(),
            signature: Err(cause),
        };
        let told = doubted(Doubt::BadSignature, &parsed);
        assert!(told.en.contains(words), "{told}");
    }
}

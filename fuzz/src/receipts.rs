//! Receipts: read, judged, and taken apart again for evidence.

use std::io::Cursor;

use dxgate::as2::mdn::{self, Mdn, Subject};
use dxgate::as2::verdict::{self, Verdict};
use dxgate::as2::{self, Dissected, Form, OpenError, OpenKeys, Outlets, Sent, SentMics};
use dxgate::cms::DigestAlgorithm;
use dxgate::mime::Headers;

use super::{KEYS, limits, split_head};

/// An MDN: header block, blank line, body. Signers with every kind of key are known.
///
/// Without a signature by one of them nothing is believed. A signature that holds is found again when the MDN is taken apart, over
/// octets that say the same about the same message.
pub(super) fn mdn_parse(data: &[u8]) {
    let limits = limits();
    // The octets that are signed, alone: a bundle of evidence has them so.
    let _ = mdn::parse_signed(data, &limits);
    let (head, body) = split_head(data);
    let Ok(headers) = Headers::parse(head, &limits) else { return };
    let read = mdn::parse(&headers, body, &KEYS.trusted(), &limits);
    taken_apart(&headers, body, read.as_ref().ok());
    match &read {
        Ok(mdn) => judged(mdn),
        Err(error) => assert!(!error.code().is_empty() && !error.text().zh.is_empty()),
    }
}

/// Nothing is believed without a signature, where one was asked for.
fn judged(mdn: &Mdn) {
    let Some(message_id) = &mdn.original_message_id else { return };
    let (Some(from), Some(to)) = (&mdn.to, &mdn.from) else { return };
    let digests = DigestAlgorithm::STANDARD;
    let sent = Sent {
        message_id,
        from,
        to,
        mics: &SentMics::default(),
        signed_wanted: true,
        had_before: true,
        digests: &digests,
        algorithm: None,
    };
    let verdict = verdict::judge(mdn, &sent);
    let signed = matches!(&mdn.signature, Ok(Some(valid)) if digests.contains(&valid.digest()));
    assert!(signed || matches!(verdict, Verdict::Doubtful(_)), "without the signature nothing is believed");
}

/// Takes an MDN apart as an export does, in each form that its signature may cover, and compares with what was `read`.
fn taken_apart(headers: &Headers, body: &[u8], read: Option<&Mdn>) {
    let trusted = KEYS.trusted();
    let keys = OpenKeys { decryption: &[], trusted: &trusted, known: &[] };
    for form in Form::ALL {
        let (mut covered, mut signature, mut payload) = (Vec::new(), Vec::new(), Vec::new());
        let outlets = Outlets { covered: &mut covered, signature: &mut signature, payload: &mut payload };
        match as2::dissect(headers, &mut Cursor::new(body), &keys, None, &limits(), form, outlets) {
            Err(OpenError::Signature(cause)) if cause.is_about_content() => {}
            Ok(found) => return says_the_same(&found, &covered, read),
            Err(_) => return,
        }
    }
}

/// What is signed is what was read. (A reader of receipts takes more than one of messages, so one may fail where the other does not.)
fn says_the_same(found: &Dissected, covered: &[u8], read: Option<&Mdn>) {
    let Some(valid) = &found.signature else { return };
    assert_eq!(valid.digest().digest(covered), valid.content_digest());
    let Some(mdn) = read.filter(|mdn| matches!(&mdn.signature, Ok(Some(other)) if other == valid)) else { return };
    let about = mdn::parse_signed(covered, &limits()).expect("it was read from these octets");
    let Mdn { original_message_id, mic, .. } = mdn;
    assert_eq!(about, Subject { original_message_id: original_message_id.clone(), mic: mic.clone() });
}

//! H9 of the hostile list: receipts that must change nothing, whatever they say. Every row is a receipt as bytes with the
//! reason why it counts for nothing; its verdict is neither "accepted" nor "refused".

use super::super::specimens::*;
use super::super::*;
use super::BuiltMdn;
use crate::cms::{DigestAlgorithm, SignatureScheme, SigningKey};
use crate::ground::limits::Limits;
use crate::mime::{Headers, MimeError};

/// A receipt, what is wrong with it, and the code of the reason for which it counts for nothing.
type Forgery = (&'static str, BuiltMdn, &'static str);

/// What Alice sent, with a signed receipt asked for.
fn sent() -> Composed {
    compose_it(&plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None), PAYLOAD).1
}

fn mic(composed: &Composed) -> Mic {
    composed.mics.exact(DigestAlgorithm::Sha256).unwrap().clone()
}

/// The receipt Bob would send.
fn good(composed: &Composed) -> BuiltMdn {
    answer(&Disposition::processed_ok(), Some(&mic(composed)), Some(&BOB))
}

/// The text of the report inside Bob's receipt, header block included.
fn report(disposition: &Disposition, mic: Option<&Mic>) -> String {
    let unsigned = answer(disposition, mic, None);
    let content_type = unsigned.headers.get("Content-Type").unwrap();
    format!("Content-Type: {content_type}\r\n\r\n{}", String::from_utf8(unsigned.body).unwrap())
}

/// A receipt whose signed part is `part`.
fn signed_by(key: &SigningKey, part: &str) -> BuiltMdn {
    shown(part, part, key)
}

/// A receipt that shows one part and signs another.
fn shown(part: &str, signed: &str, key: &SigningKey) -> BuiltMdn {
    let (content_type, body) = signed_parts(part.as_bytes(), signed.as_bytes(), key);
    BuiltMdn { headers: fields(&content_type), body, signer: None }
}

fn fields(content_type: &str) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in [("AS2-From", "\"bob co\""), ("AS2-To", "alice"), ("Content-Type", content_type)] {
        headers.push(name, value).unwrap();
    }
    headers
}

fn with_field(mut built: BuiltMdn, name: &str, value: &str) -> BuiltMdn {
    built.headers.set(name, value).unwrap();
    built
}

fn replaced(built: &BuiltMdn, from: &str, to: &str) -> BuiltMdn {
    let at = memchr::memmem::find(&built.body, from.as_bytes()).unwrap();
    let mut body = built.body.clone();
    body.splice(at..at + from.len(), to.bytes());
    BuiltMdn { headers: built.headers.clone(), body, signer: None }
}

/// What the receipt does to the state of the message, or the code of the reason for which it does nothing.
fn effect(built: &BuiltMdn, composed: &Composed) -> Result<Verdict, &'static str> {
    let trusted = std::slice::from_ref(&BOB.certificate);
    let mdn = super::parse(&built.headers, &built.body, trusted, &Limits::default()).map_err(|cause| code(&cause))?;
    match judged(&mdn, composed, true) {
        Verdict::Doubtful(doubt) => Err(doubt.code()),
        verdict => Ok(verdict),
    }
}

/// Why a receipt cannot be read; of its MIME structure, what is wrong with that.
fn code(cause: &MdnError) -> &'static str {
    match cause {
        MdnError::Mime(MimeError::Io(below)) => {
            let below = below.get_ref().and_then(|below| below.downcast_ref::<MimeError>());
            below.map_or(cause.code(), MimeError::code)
        }
        MdnError::Mime(mime) => mime.code(),
        other => other.code(),
    }
}

/// Forgeries that carry no signature of Bob: none at all, or one of somebody else.
fn forgeries_without_bob(composed: &Composed) -> Vec<Forgery> {
    let (mic, ok) = (mic(composed), Disposition::processed_ok());
    let good = good(composed);
    let ours = report(&ok, Some(&mic));
    let bare = ours.split("message/disposition-notification").nth(1).unwrap();
    let bare = bare.split("\r\n\r\n").nth(1).unwrap().to_owned();
    let bare = BuiltMdn { headers: fields("message/disposition-notification"), body: bare.into(), signer: None };
    let start = memchr::memmem::find(&good.body, b"\r\n\r\n").unwrap() + 4;
    let (head, rest) = good.body.split_at(start);
    let report_type = std::str::from_utf8(head).unwrap().split("Content-Type: ").nth(1).unwrap().trim_end();
    let stripped = BuiltMdn { headers: fields(report_type), body: rest.to_vec(), signer: None };
    let again = Disposition::duplicate_document(&Stored::assertion());
    vec![
        ("positive, unsigned", answer(&ok, Some(&mic), None), "mdn-unsigned"),
        ("negative, unsigned", answer(&Disposition::integrity_check_failed(), None, None), "mdn-unsigned"),
        ("warning, unsigned", answer(&again, Some(&mic), None), "mdn-unsigned"),
        ("bare notification", bare, "mdn-unsigned"),
        ("the signature cut off", stripped, "mdn-unsigned"),
        ("signed by a stranger", answer(&ok, Some(&mic), Some(&MALLORY)), "mdn-bad-signature"),
        ("signed by ourselves", answer(&ok, Some(&mic), Some(&ALICE)), "mdn-bad-signature"),
        (
            "negative, signed by a stranger",
            answer(&Disposition::decryption_failed(), None, Some(&MALLORY)),
            "mdn-bad-signature",
        ),
    ]
}

/// Bob's own receipt with something changed that his signature covers, or something put around it.
fn changed_receipts(composed: &Composed) -> Vec<Forgery> {
    let (mic, ok) = (mic(composed), Disposition::processed_ok());
    let good = good(composed);
    let ours = report(&ok, Some(&mic));
    let negative = report(&Disposition::decryption_failed(), None);
    let inner = good.headers.get("Content-Type").unwrap().to_owned();
    let boundary = inner.split("boundary=\"").nth(1).unwrap().trim_end_matches('"').to_owned();
    let two = format!("\r\n--{boundary}\r\nContent-Type: text/plain\r\n\r\nx\r\n--{boundary}--\r\n");
    let mut smuggled = good.clone();
    let end = smuggled.body.len() - format!("\r\n--{boundary}--\r\n").len();
    smuggled.body.splice(end.., two.bytes());
    let mut first = good.clone();
    first.body.splice(..0, format!("--{boundary}\r\n{negative}\r\n").bytes());
    let cut = |len: usize| {
        let body = good.body[..len].to_vec();
        BuiltMdn { headers: good.headers.clone(), body, signer: None }
    };
    let mut no_signature = good.clone();
    let at = memchr::memmem::rfind(&no_signature.body, b"\r\n\r\n").unwrap() + 4;
    no_signature.body.splice(at.., format!("\r\n--{boundary}--\r\n").bytes());
    let (wrong_id, text) = ("Original-Message-ID: <m1@alicE>", "The message was received.");
    vec![
        ("negative shown, positive signed", shown(&negative, &ours, &BOB), "mdn-bad-signature"),
        ("positive shown, negative signed", shown(&ours, &negative, &BOB), "mdn-bad-signature"),
        ("a third part after the signature", smuggled, "mime-not-two-parts"),
        ("a part before the signed one", first, "mime-not-two-parts"),
        ("cut in what is signed", cut(good.body.len() / 8), "mime-missing-delimiter"),
        ("cut in the middle", cut(good.body.len() / 2), "mime-missing-delimiter"),
        ("cut before its last dashes", cut(good.body.len() - 4), "mime-not-two-parts"),
        ("an empty signature", no_signature, "mdn-bad-signature"),
        ("an octet of the text changed", replaced(&good, text, "The message was deceived."), "mdn-bad-signature"),
        ("the identifier in the text changed", replaced(&good, "<m1@alice>", "<m1@alicE>"), "mdn-bad-signature"),
        ("the identifier changed", replaced(&good, "Original-Message-ID: <m1@alice>", wrong_id), "mdn-wrong-message"),
        ("the digest's name changed", replaced(&good, ", sha-256", ", sha-512"), "mdn-bad-signature"),
        (
            "another boundary",
            with_field(good.clone(), "Content-Type", "multipart/signed; boundary=other"),
            "mime-missing-delimiter",
        ),
        (
            "called a report",
            with_field(good.clone(), "Content-Type", &inner.replace("signed", "report")),
            "mdn-without-notification",
        ),
        ("called a message", with_field(good.clone(), "Content-Type", "application/xml"), "mdn-not-a-receipt"),
    ]
}

/// What Bob himself may sign without it being the receipt of this message: another message, partner or signature.
fn receipts_of_something_else(composed: &Composed) -> Vec<Forgery> {
    let (mic, ok) = (mic(composed), Disposition::processed_ok());
    let weak = Signing { digest: DigestAlgorithm::Sha1, ..signing(&BOB, SignatureScheme::RsaPkcs1) };
    let named = "Original-Message-ID: <m1@alice>";
    let change = |to: &str| changed(&report(&ok, Some(&mic)), named, to);
    let addressed = |name: &str, value: &str| with_field(good(composed), name, value);
    vec![
        ("about another message", change("Original-Message-ID: <m2@alice>"), "mdn-wrong-message"),
        ("about the same in capitals", change("Original-Message-ID: <M1@ALICE>"), "mdn-wrong-message"),
        ("about none", change("X-Message-ID: <m1@alice>"), "mdn-wrong-message"),
        ("about two", change("Original-Message-ID: <m1@alice>, <m2@alice>"), "mdn-wrong-message"),
        (
            "its identifier twice",
            change("Original-Message-ID: <m1@alice>\r\nOriginal-Message-ID: <m2@alice>"),
            "mdn-field-repeated",
        ),
        ("from someone else", addressed("AS2-From", "mallory"), "mdn-wrong-partner"),
        ("from us", addressed("AS2-From", "alice"), "mdn-wrong-partner"),
        ("for someone else", addressed("AS2-To", "\"bob co\""), "mdn-wrong-partner"),
        ("for us in capitals", addressed("AS2-To", "ALICE"), "mdn-wrong-partner"),
        ("signed with SHA-1", answer_signed(&ok, Some(&mic), Some(&weak)), "mdn-weak-signature"),
    ]
}

/// What Bob may sign about this message without it saying that he has it: another digest, no digest, no notification.
fn receipts_that_say_nothing(composed: &Composed) -> Vec<Forgery> {
    let (mic, ok) = (mic(composed), Disposition::processed_ok());
    let (_, other) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None), b"other");
    let other = other.mics.exact(DigestAlgorithm::Sha256).unwrap().clone();
    let ours = report(&ok, Some(&mic));
    let change = |from: &str, to: &str| changed(&ours, from, to);
    let with_mic = |mic: &Mic| signed_by(&BOB, &report(&ok, Some(mic)));
    let line = format!("Received-Content-MIC: {mic}\r\n");
    let wrong = Mic { algorithm: DigestAlgorithm::Sha256, value: vec![0; 32] };
    let sha1 = Mic { algorithm: DigestAlgorithm::Sha1, value: vec![0; 20] };
    let md5 = Mic { algorithm: DigestAlgorithm::Md5, value: DigestAlgorithm::Md5.digest(PAYLOAD) };
    let nameless = "Received-Content-MIC: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\r\n";
    let disposition = "Disposition: automatic-action/MDN-sent-automatically; processed\r\n";
    let notification = ours.split("\r\nContent-Type: message/").nth(1).unwrap().split("\r\n--").next().unwrap();
    let boundary = ours.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    let close = format!("\r\n--{boundary}--");
    let twice = format!("\r\n--{boundary}\r\nContent-Type: message/{notification}{close}");
    vec![
        ("replayed digest", with_mic(&other), "mdn-mic-mismatch"),
        ("zero digest", with_mic(&wrong), "mdn-mic-mismatch"),
        ("zero digest in a weaker algorithm", with_mic(&sha1), "mdn-mic-mismatch"),
        ("digest in an algorithm we did not compute", with_mic(&md5), "mdn-mic-unreadable"),
        ("no digest", change(&line, ""), "mdn-without-mic"),
        ("empty digest", change(&line, "Received-Content-MIC: , sha-256\r\n"), "mdn-mic-unreadable"),
        ("digest without algorithm", change(&line, nameless), "mdn-mic-unreadable"),
        ("digest twice", change(&line, &line.repeat(2)), "mdn-field-repeated"),
        ("disposition twice", change(disposition, &disposition.repeat(2)), "mdn-field-repeated"),
        ("notification twice", change(&close, &twice), "mdn-field-repeated"),
        (
            "no notification",
            change("message/disposition-notification", "text/x-notification"),
            "mdn-without-notification",
        ),
        ("no disposition", change("Disposition: automatic", "Position: automatic"), "mdn-disposition-unreadable"),
    ]
}

/// Signed by Bob, `to` in the place of `from`.
fn changed(report: &str, from: &str, to: &str) -> BuiltMdn {
    assert!(report.contains(from), "{from}");
    signed_by(&BOB, &report.replace(from, to))
}

#[test]
fn forty_forged_receipts_change_nothing() {
    let composed = sent();
    let forgeries = [
        forgeries_without_bob(&composed),
        changed_receipts(&composed),
        receipts_of_something_else(&composed),
        receipts_that_say_nothing(&composed),
    ]
    .concat();
    assert!(forgeries.len() >= 40, "{}", forgeries.len());
    for (what, forged, reason) in forgeries {
        assert_eq!(effect(&forged, &composed), Err(reason), "{what}");
    }
}

#[test]
fn what_they_are_made_of_counts_when_nothing_is_changed() {
    let composed = sent();
    let (mic, good) = (mic(&composed), good(&composed));
    let ours = report(&Disposition::processed_ok(), Some(&mic));
    let negative = report(&Disposition::decryption_failed(), None);
    let text = "The message was received.";
    for (what, receipt) in [
        ("as Bob sends it", good.clone()),
        ("the report signed by hand", signed_by(&BOB, &ours)),
        ("the same shown and signed", shown(&ours, &ours, &BOB)),
        ("something replaced by itself", replaced(&good, text, text)),
        ("the same in what is signed by hand", changed(&ours, text, text)),
        ("its fields as they were", with_field(good.clone(), "AS2-From", "\"bob co\"")),
    ] {
        let accepted = effect(&receipt, &composed);
        assert!(
            matches!(&accepted, Ok(Verdict::Accepted { matched: Some(matched) }) if matched.is_ordinary()),
            "{what}: {accepted:?}"
        );
    }
    let refused = effect(&shown(&negative, &negative, &BOB), &composed);
    assert_eq!(refused, Ok(Verdict::Refused { disposition: Disposition::decryption_failed() }));
    let unsigned = read(&answer(&Disposition::processed_ok(), Some(&mic), None));
    assert!(matches!(judged(&unsigned, &composed, false), Verdict::Accepted { .. }), "where no signature is wanted");
}

#[test]
fn a_weak_signature_counts_once_the_agreement_allows_its_digest() {
    let composed = sent();
    let weak = Signing { digest: DigestAlgorithm::Sha1, ..signing(&BOB, SignatureScheme::RsaPkcs1) };
    let mdn = read(&answer_signed(&Disposition::processed_ok(), Some(&mic(&composed)), Some(&weak)));
    assert_eq!(judged(&mdn, &composed, true), Verdict::Doubtful(Doubt::WeakSignature));
    let (id, from, to) = (stamp().message_id, name("alice"), name("bob co"));
    let allowed = Sent {
        message_id: &id,
        from: &from,
        to: &to,
        mics: &composed.mics,
        signed_wanted: true,
        had_before: true,
        digests: &[DigestAlgorithm::Sha1],
        algorithm: None,
    };
    assert!(matches!(judge(&mdn, &allowed), Verdict::Accepted { .. }));
}

#[test]
fn no_flipped_octet_of_a_signed_receipt_turns_its_meaning() {
    let composed = sent();
    let refusal = answer(&Disposition::decryption_failed(), Some(&mic(&composed)), Some(&BOB));
    for (built, positive) in [(good(&composed), true), (refusal, false)] {
        let covered = covered(&built);
        // 0x20 changes the case of letters, 0x25 makes a line's end of a slash.
        for (at, mask) in (0..built.body.len()).flat_map(|at| [0x20, 0x25, 1 << (at % 8)].map(|mask| (at, mask))) {
            let mut changed = built.clone();
            changed.body[at] ^= mask;
            let trusted = std::slice::from_ref(&BOB.certificate);
            let Ok(mdn) = super::parse(&changed.headers, &changed.body, trusted, &Limits::default()) else { continue };
            let verdict = judged(&mdn, &composed, true);
            assert!(!covered.contains(&at) || matches!(verdict, Verdict::Doubtful(_)), "octet {at}, {mask:#x}");
            match verdict {
                Verdict::Accepted { .. } => assert!(positive, "octet {at}"),
                Verdict::Refused { .. } => assert!(!positive, "octet {at}"),
                Verdict::Doubtful(_) => {}
            }
        }
    }
}

/// The octets that the signature covers (RFC 1847 2.1).
fn covered(built: &BuiltMdn) -> std::ops::Range<usize> {
    let content_type = built.headers.get("Content-Type").unwrap();
    let boundary = content_type.split("boundary=\"").nth(1).unwrap().trim_end_matches('"');
    let start = format!("--{boundary}\r\n").len();
    let len = memchr::memmem::find(&built.body[start..], format!("\r\n--{boundary}").as_bytes()).unwrap();
    start..start + len
}

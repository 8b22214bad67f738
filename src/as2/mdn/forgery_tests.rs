//! H9 of the hostile list: receipts that must change nothing, whatever they say. Every row is a receipt as bytes; its
//! verdict is neither "accepted" nor "refused".

use super::super::specimens::*;
use super::super::*;
use super::BuiltMdn;
use crate::cms::{DigestAlgorithm, SignatureScheme, SigningKey};
use crate::ground::limits::Limits;
use crate::mime::Headers;

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

/// What the receipt does to the state of the message; `None`: nothing.
fn effect(built: &BuiltMdn, composed: &Composed) -> Option<Verdict> {
    let trusted = std::slice::from_ref(&BOB.certificate);
    let mdn = super::parse(&built.headers, &built.body, trusted, &Limits::default()).ok()?;
    Some(judged(&mdn, composed, true)).filter(|verdict| !matches!(verdict, Verdict::Doubtful(_)))
}

/// Forgeries that a valid signature of Bob does not cover, or that carry none.
fn unsigned_forgeries(composed: &Composed) -> Vec<(&'static str, BuiltMdn)> {
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
    let mut stripped = good.clone();
    let start = memchr::memmem::find(&stripped.body, b"\r\n\r\n").unwrap() + 4;
    let stripped_type = ours.lines().next().unwrap().trim_start_matches("Content-Type: ").to_owned();
    stripped.body.drain(..start);
    let mut truncated = good.clone();
    truncated.body.truncate(good.body.len() / 2);
    let mut no_signature = good.clone();
    let at = memchr::memmem::rfind(&no_signature.body, b"\r\n\r\n").unwrap() + 4;
    no_signature.body.splice(at.., format!("\r\n--{boundary}--\r\n").bytes());
    let bare = ours.split("message/disposition-notification").nth(1).unwrap();
    let bare = bare.split("\r\n\r\n").nth(1).unwrap().to_owned();
    vec![
        ("positive, unsigned", answer(&ok, Some(&mic), None)),
        ("negative, unsigned", answer(&Disposition::integrity_check_failed(), None, None)),
        ("warning, unsigned", answer(&Disposition::duplicate_document(&Stored::assertion()), Some(&mic), None)),
        (
            "bare notification",
            BuiltMdn { headers: fields("message/disposition-notification"), body: bare.into(), signer: None },
        ),
        ("signed by a stranger", answer(&ok, Some(&mic), Some(&MALLORY))),
        ("signed by ourselves", answer(&ok, Some(&mic), Some(&ALICE))),
        ("negative, signed by a stranger", answer(&Disposition::decryption_failed(), None, Some(&MALLORY))),
        ("negative shown, positive signed", shown(&negative, &ours, &BOB)),
        ("positive shown, negative signed", shown(&ours, &negative, &BOB)),
        ("a third part after the signature", smuggled),
        ("a part before the signed one", first),
        ("the signature cut off", BuiltMdn { headers: fields(&stripped_type), body: stripped.body, signer: None }),
        ("cut in the middle", truncated),
        ("an empty signature", no_signature),
        ("an octet of the text changed", replaced(&good, "The message was received.", "The message was deceived.")),
        ("the identifier changed", replaced(&good, "<m1@alice>", "<m1@alicE>")),
        ("the digest's name changed", replaced(&good, ", sha-256", ", sha-512")),
        ("another boundary", with_field(good.clone(), "Content-Type", "multipart/signed; boundary=other")),
        ("called a report", with_field(good.clone(), "Content-Type", &inner.replace("signed", "report"))),
        ("called a message", with_field(good, "Content-Type", "application/xml")),
    ]
}

/// What Bob himself may sign without it being the receipt of this message.
fn signed_forgeries(composed: &Composed) -> Vec<(&'static str, BuiltMdn)> {
    let (mic, ok) = (mic(composed), Disposition::processed_ok());
    let (_, other) = compose_it(&plan(Some(SignatureScheme::RsaPkcs1), None, Compression::None), b"other");
    let other = other.mics.exact(DigestAlgorithm::Sha256).unwrap().clone();
    let ours = report(&ok, Some(&mic));
    let change = |from: &str, to: &str| {
        assert!(ours.contains(from), "{from}");
        signed_by(&BOB, &ours.replace(from, to))
    };
    let line = format!("Received-Content-MIC: {mic}\r\n");
    let wrong = Mic { algorithm: DigestAlgorithm::Sha256, value: vec![0; 32] };
    let sha1 = Mic { algorithm: DigestAlgorithm::Sha1, value: vec![0; 20] };
    let md5 = Mic { algorithm: DigestAlgorithm::Md5, value: DigestAlgorithm::Md5.digest(PAYLOAD) };
    let weak = Signing { digest: DigestAlgorithm::Sha1, ..signing(&BOB, SignatureScheme::RsaPkcs1) };
    let disposition = "Disposition: automatic-action/MDN-sent-automatically; processed\r\n";
    let notification = ours.split("\r\nContent-Type: message/").nth(1).unwrap().split("\r\n--").next().unwrap();
    let boundary = ours.split("boundary=\"").nth(1).unwrap().split('"').next().unwrap();
    let twice = format!("\r\n--{boundary}\r\nContent-Type: message/{notification}\r\n--{boundary}--");
    vec![
        ("about another message", change("Original-Message-ID: <m1@alice>", "Original-Message-ID: <m2@alice>")),
        ("about the same in capitals", change("Original-Message-ID: <m1@alice>", "Original-Message-ID: <M1@ALICE>")),
        ("about none", change("Original-Message-ID: <m1@alice>\r\n", "")),
        ("about two", change("Original-Message-ID: <m1@alice>", "Original-Message-ID: <m1@alice>, <m2@alice>")),
        (
            "its identifier twice",
            change(
                "Original-Message-ID: <m1@alice>",
                "Original-Message-ID: <m1@alice>\r\nOriginal-Message-ID: <m2@alice>",
            ),
        ),
        ("replayed digest", signed_by(&BOB, &report(&ok, Some(&other)))),
        ("zero digest", signed_by(&BOB, &report(&ok, Some(&wrong)))),
        ("zero digest in a weaker algorithm", signed_by(&BOB, &report(&ok, Some(&sha1)))),
        ("digest in an algorithm we did not compute", signed_by(&BOB, &report(&ok, Some(&md5)))),
        ("no digest", change(&line, "")),
        ("empty digest", change(&line, "Received-Content-MIC: , sha-256\r\n")),
        (
            "digest without algorithm",
            change(&line, "Received-Content-MIC: 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\r\n"),
        ),
        ("digest twice", change(&line, &format!("{line}{line}"))),
        ("disposition twice", change(disposition, &format!("{disposition}{disposition}"))),
        ("notification twice", change(&format!("\r\n--{boundary}--"), &twice)),
        ("no notification", change("message/disposition-notification", "text/x-notification")),
        ("no disposition", change("Disposition: automatic", "Position: automatic")),
        ("from someone else", with_field(good(composed), "AS2-From", "mallory")),
        ("from us", with_field(good(composed), "AS2-From", "alice")),
        ("for someone else", with_field(good(composed), "AS2-To", "\"bob co\"")),
        ("for us in capitals", with_field(good(composed), "AS2-To", "ALICE")),
        ("signed with SHA-1", answer_signed(&ok, Some(&mic), Some(&weak))),
    ]
}

#[test]
fn forty_forged_receipts_change_nothing() {
    let composed = sent();
    let control = good(&composed);
    assert!(matches!(effect(&control, &composed), Some(Verdict::Accepted { .. })), "the receipt they are made of");
    let forgeries: Vec<_> = unsigned_forgeries(&composed).into_iter().chain(signed_forgeries(&composed)).collect();
    assert!(forgeries.len() >= 40, "{}", forgeries.len());
    for (what, forged) in forgeries {
        assert_eq!(effect(&forged, &composed), None, "{what}");
    }
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
    let refusal = answer(&Disposition::decryption_failed(), None, Some(&BOB));
    for (built, positive) in [(good(&composed), true), (refusal, false)] {
        for at in 0..built.body.len() {
            let mut changed = built.clone();
            changed.body[at] ^= 0x20;
            let trusted = std::slice::from_ref(&BOB.certificate);
            let Ok(mdn) = super::parse(&changed.headers, &changed.body, trusted, &Limits::default()) else { continue };
            match judged(&mdn, &composed, true) {
                Verdict::Accepted { .. } => assert!(positive, "octet {at}"),
                Verdict::Refused { .. } => assert!(!positive, "octet {at}"),
                Verdict::Doubtful(_) => {}
            }
        }
    }
}

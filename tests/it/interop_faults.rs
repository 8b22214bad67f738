//! Odd names, the ways that bodies travel, connections that break, and messages that must be refused (`grid::faults`), with
//! every peer and in both directions; and what came of each: what the peer is told by us, and what we make of its answer.
//!
//! `cargo test` leaves out what takes minutes; `tests/interop.sh` runs all and writes `docs/interop.md`.

use std::time::Instant;

use crate::grid::faults::{self, Case, Outcome, cases};
use crate::grid::peer::{Kind, Peer};
use crate::grid::table;
use crate::support::proxy::Fault;

#[test]
fn odd_names_transfer_and_faults_with_pyas2lib() {
    with(Kind::Pyas2lib);
}

#[test]
fn odd_names_transfer_and_faults_with_django_pyas2() {
    with(Kind::DjangoPyas2);
}

#[test]
fn odd_names_transfer_and_faults_with_libas2() {
    with(Kind::Libas2);
}

#[test]
fn odd_names_transfer_and_faults_with_openssl() {
    with(Kind::OpenSsl);
}

/// What is expected of a case.
#[derive(Debug, Clone, Copy)]
enum Expected {
    /// These words.
    Is(&'static str),
    /// These words, and a remark.
    Noted(&'static str, &'static str),
    /// Anything but `pass`: the peer cannot, and why.
    Cannot(&'static str),
    /// The same, but whether it shows depends on which of two things the peer does first.
    Races(&'static str),
    /// One of these words, if the details of the outcome show this of the peer, or `pass`, which depends on the same; the
    /// first words are shown, and why.
    IsOrPasses(&'static [(&'static str, &'static str)], &'static str),
    /// The peer itself says that it cannot, and why.
    Declines,
    /// Nothing to see: the peer has nothing that could do it, as said here.
    Lacks(&'static str),
}

use Expected::{Cannot, Declines, Is, IsOrPasses, Lacks, Noted, Races};

/// What is expected of a case with pyas2lib, django-pyas2, libas2 and openssl.
type Row = (&'static str, [Expected; 4]);

const PASS: Expected = Is("pass");
/// What a peer is told, in an unsigned receipt, when we know no partner of its name.
const UNKNOWN_PARTNER: &str = "`processed/error: authentication-failed`";
const DUPLICATE: Expected = Is("delivered, `processed/warning: duplicate-document`");
/// The peer calls a duplicate, without a MIC, what it never answered.
const UNPROVEN: Expected = Is("held: mdn-duplicate-unproven");
const TWICE: Expected = Noted("pass", "it keeps no account of Message-IDs and has it twice");
const ENCODED: Expected = Cannot("libas2 writes such names as encoded words (RFC 2047), which no AS2 name is");
const NO_ZLIB: Expected = Cannot("Debian's openssl is built without zlib");
const ANEW: Expected = Races("django-pyas2 repeats it under another Message-ID, so it arrives twice");
const FRAGMENT: Expected = IsOrPasses(
    &[("held: mdn-duplicate-unproven", ""), ("delivered, `processed`, though it arrived 0 times", "Insufficient data")],
    "django-pyas2 may take what came for the message, and call the whole one that follows a duplicate, or put the failure of what came \
     in the place of the whole one",
);

const SENT: &[Row] = &[
    ("names with blanks", [PASS; 4]),
    ("names with blanks, MDN later", [PASS; 4]),
    ("names with quotes and a backslash", [PASS, PASS, ENCODED, PASS]),
    ("names with quotes and a backslash, MDN later", [PASS, PASS, ENCODED, PASS]),
    ("in chunks", [PASS, Cannot("the server of Django reads no chunks"), PASS, PASS]),
    ("`Expect: 100-continue`", [PASS; 4]),
    ("64 bytes in 10 ms", [PASS; 4]),
    ("cut off in the message", [PASS, FRAGMENT, PASS, PASS]),
    ("cut off before the MDN", [UNPROVEN, UNPROVEN, TWICE, TWICE]),
    ("cut off in the MDN", [DUPLICATE, DUPLICATE, TWICE, TWICE]),
    ("cut off in an MDN that comes later", [DUPLICATE, PASS, TWICE, TWICE]),
    ("cut off after an MDN that comes later", [PASS; 4]),
    ("the same message twice", [UNPROVEN, UNPROVEN, TWICE, TWICE]),
    (
        "signed with a key that the receiver does not know",
        [
            Is("failed: mdn-negative, `processed/error: authentication-failed`"),
            Is("failed: mdn-negative, `processed/error: authentication-failed`"),
            Is("failed: mdn-negative, `failed/failure=Could not verify signature`"),
            Is("failed: mdn-negative, `processed/error: integrity-check-failed`"),
        ],
    ),
    (
        "encrypted to somebody else",
        [
            Is("failed: mdn-negative, `processed/error: decryption-failed`"),
            Is("failed: mdn-negative, `processed/error: decryption-failed`"),
            Is("failed: mdn-negative, `failed/failure=Decryption failed`"),
            Is("failed: mdn-negative, `processed/error: decryption-failed`"),
        ],
    ),
    (
        "a byte of what is signed changed",
        [
            Is("failed: mdn-negative, `processed/error: authentication-failed`"),
            Is("failed: mdn-negative, `processed/error: authentication-failed`"),
            Is("failed: mdn-negative, `failed/failure=Could not verify signature`"),
            Is("failed: mdn-negative, `processed/error: integrity-check-failed`"),
        ],
    ),
    (
        "a byte of the envelope changed",
        [
            Is("failed: mdn-negative, `processed/error: authentication-failed`"),
            Is("failed: mdn-negative, `processed/error: authentication-failed`"),
            Is("failed: mdn-negative, `failed/failure=Could not verify signature`"),
            Is("failed: mdn-negative, `processed/error: integrity-check-failed`"),
        ],
    ),
    (
        "the end of compressed data missing",
        [
            Is("failed: mdn-negative, `processed/error: decompression-failed`"),
            Is("failed: mdn-negative, `processed/error: decompression-failed`"),
            Cannot("libas2 does not decompress"),
            NO_ZLIB,
        ],
    ),
    (
        "to a name that the peer does not have",
        [
            Is("failed: mdn-unsigned, without effect: `processed/error: unknown-trading-partner`"),
            Is("failed: mdn-unsigned, without effect: `processed/error: unknown-trading-partner`"),
            Lacks("libas2 leaves it to its caller who has which name"),
            Lacks("openssl knows no names"),
        ],
    ),
    (
        "larger than the peer takes",
        [
            Lacks("pyas2lib has no limit"),
            Is("held: http-400"),
            Noted("failed: http-500", "its parser has no room on its stack for some 100 kB"),
            Lacks("openssl has no limit"),
        ],
    ),
];

const RECEIVED: &[Row] = &[
    ("names with blanks", [PASS; 4]),
    ("names with blanks, MDN later", [PASS, QUOTED, PASS, PASS]),
    ("names with quotes and a backslash", [PASS, PASS, ENCODED, PASS]),
    ("names with quotes and a backslash, MDN later", [PASS, QUOTED, ENCODED, PASS]),
    ("in chunks", [PASS, Declines, PASS, PASS]),
    ("`Expect: 100-continue`", [PASS, Declines, PASS, PASS]),
    ("64 bytes in 10 ms", [PASS; 4]),
    ("cut off in the message", [PASS; 4]),
    ("cut off before the MDN", [PASS, ANEW, PASS, PASS]),
    ("cut off in the MDN", [PASS, ANEW, PASS, PASS]),
    ("cut off in an MDN that comes later", [PASS; 4]),
    ("cut off after an MDN that comes later", [PASS; 4]),
    ("the same message twice", [PASS; 4]),
    ("signed with a key that the receiver does not know", [Is("`processed/error: authentication-failed`"); 4]),
    ("encrypted to somebody else", [Is("`processed/error: decryption-failed`"); 4]),
    ("a byte of what is signed changed", [Is("`processed/error: integrity-check-failed`"); 4]),
    ("a byte of the envelope changed", [Is("`processed/error: decryption-failed`"); 4]),
    ("the end of compressed data missing", [CUT_SHORT, CUT_SHORT, Declines, Declines]),
    ("from a name that we do not know", [Is(UNKNOWN_PARTNER); 4]),
    ("a body over `limits.body`", [Is("HTTP 413"); 4]),
    ("a payload over `accept.max_payload`", [Is("`processed/error: unexpected-processing-error`"); 4]),
];

const QUOTED: Expected = Cannot("django-pyas2 looks for what it has sent under the name with its quotes");
const CUT_SHORT: Expected = Is("`processed/error: decompression-failed`");

fn expected(rows: &[Row], case: &Case, kind: Kind) -> Expected {
    let row = rows.iter().find(|row| row.0 == case.what).unwrap_or_else(|| panic!("no row for {}", case.what));
    let [pyas2lib, django, libas2, openssl] = row.1;
    match kind {
        Kind::Pyas2lib => pyas2lib,
        Kind::DjangoPyas2 => django,
        Kind::Libas2 => libas2,
        Kind::OpenSsl => openssl,
    }
}

/// It ends only when we have waited for an asynchronous MDN in vain: nobody but django-pyas2 sends one again.
fn takes_minutes(case: &Case, kind: Kind) -> bool {
    let lost = case.back.iter().any(|fault| matches!(fault, Fault::CutRequest(_))) && kind != Kind::DjangoPyas2;
    lost || (case.cell.mdn == "async" && matches!(expected(SENT, case, kind), Cannot(_)))
}

fn with(kind: Kind) {
    let transport = if kind == Kind::Libas2 { "rsa-oaep-sha512" } else { "rsa-pkcs1" };
    let (mut sent, received) = (cases::sent(transport), cases::received(transport));
    assert_eq!((sent.len(), received.len()), (SENT.len(), RECEIVED.len()), "a row for each case");
    let lacks = |case: &Case| matches!(expected(SENT, case, kind), Lacks(_));
    let left_out: Vec<Case> = sent.extract_if(.., |case| lacks(case)).collect();
    if table::folder().is_none() {
        sent.retain(|case| !takes_minutes(case, kind));
    }
    let Some(mut peer) = faults::start(kind, &sent) else { return };
    let start = Instant::now();
    let (given, taken) = faults::play(&mut peer, kind, &sent, &received);
    let (name, file) = (peer.name(), kind.name());
    println!("{name}: odd names, transfer and faults: {} cases, {:?}", given.len() + taken.len(), start.elapsed());
    judge(kind, (&format!("{file}-4"), &format!("dxgate → {name}")), SENT, sent.iter().zip(&given), &left_out);
    judge(kind, (&format!("{file}-5"), &format!("{name} → dxgate")), RECEIVED, received.iter().zip(&taken), &[]);
}

/// Holds outcomes against what is expected, and writes them down.
fn judge<'a>(
    kind: Kind,
    (file, title): (&str, &str),
    rows: &[Row],
    outcomes: impl Iterator<Item = (&'a Case, &'a Outcome)>,
    left_out: &[Case],
) {
    let (mut shown, mut surprises) = (Vec::new(), Vec::new());
    for (case, outcome) in outcomes {
        let expected = expected(rows, case, kind);
        match in_words(expected, outcome) {
            Some(words) => shown.push((case.what, words)),
            None => {
                surprises.push(format!("{}: {expected:?}\n    {}\n    {}", case.what, outcome.words, outcome.detail))
            }
        }
    }
    assert!(surprises.is_empty(), "{title}: {} surprises\n{}", surprises.len(), surprises.join("\n"));
    for case in left_out {
        let Lacks(why) = expected(rows, case, kind) else { unreachable!() };
        shown.push((case.what, format!("– {why}")));
    }
    table::write_faults(file, title, &shown);
}

/// What is shown of an outcome; none when it is not the expected one.
fn in_words(expected: Expected, Outcome { words, detail }: &Outcome) -> Option<String> {
    match expected {
        Is(wanted) => (words == wanted).then(|| wanted.to_owned()),
        Noted(wanted, note) => (words == wanted).then(|| format!("{wanted}; {note}")),
        Cannot(why) => (words != "pass").then(|| format!("– {why}")),
        Races(why) => Some(format!("– {why}")),
        IsOrPasses(wanted, why) => {
            let is_meant = wanted.iter().any(|(known, shown)| words == known && detail.contains(shown));
            (words == "pass" || is_meant).then(|| format!("{}, or pass; {why}", wanted[0].0))
        }
        Declines => words.starts_with("– ").then(|| words.to_owned()),
        Lacks(_) => None,
    }
}

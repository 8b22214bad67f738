//! Opening a message the way the gateway does: [`as2::open_as_named`], then [`as2::open`] when the signature was made with a
//! digest that `micalg` does not name, then [`as2::open_canonical`] when its lines may differ. And what must hold of any message:
//! the short way comes to what [`as2::open`] comes to; what was accepted is taken apart again into the same, and lies in the octets
//! that its MIC covers; what is shown because it is an envelope is one; and a signature by nobody who is known counts for none
//! only where that is agreed and no cipher without integrity is around it.

use std::io::Cursor;

use dxgate::as2::request::Request;
use dxgate::as2::{self, AcceptPolicy, Form, OpenFailure, OpenKeys, Opened, Outlets};
use dxgate::cms::{Certificate, DigestAlgorithm};

use super::limits;

/// What came, and under what it is judged.
#[derive(Clone, Copy)]
pub(super) struct Case<'a> {
    pub(super) request: &'a Request,
    pub(super) body: &'a [u8],
    pub(super) policy: &'a AcceptPolicy,
    pub(super) keys: &'a OpenKeys<'a>,
}

/// A message that was accepted.
pub(super) struct Accepted {
    pub(super) opened: Opened,
    pub(super) payload: Vec<u8>,
    /// The form of the signed part that its signature covers.
    pub(super) form: Form,
}

/// Opens a message by the gateway's way, and asserts what the module head says.
pub(super) fn open(case: Case<'_>) -> Result<Accepted, OpenFailure> {
    let accepted = in_production(case);
    agrees_with_the_long_way(case, &accepted);
    if let Ok(accepted) = &accepted {
        is_taken_apart_alike(case, accepted);
        is_nobodys_only_where_that_is_agreed(case.policy, &accepted.opened);
    }
    shows_envelopes_alone(case, accepted.as_ref().ok());
    accepted
}

fn in_production(case: Case<'_>) -> Result<Accepted, OpenFailure> {
    let first = match by(as2::open_as_named, case) {
        Err(failure) if failure.is_misnamed(case.policy) => by(as2::open, case),
        other => other,
    };
    let with = |form| move |(opened, payload)| Accepted { opened, payload, form };
    match first {
        Err(failure) if failure.lines_may_differ => {
            // Should it fail too, the first failure stands.
            by(as2::open_canonical, case).map(with(Form::CanonicalLines)).map_err(|_| failure)
        }
        other => other.map(with(Form::AsReceived)),
    }
}

/// One of the ways of [`as2`] to open a message.
type Way = fn(
    &Request,
    &mut dyn std::io::Read,
    &AcceptPolicy,
    &OpenKeys<'_>,
    &dxgate::ground::limits::Limits,
    &mut dyn std::io::Write,
) -> Result<Opened, OpenFailure>;

fn by(way: Way, case: Case<'_>) -> Result<(Opened, Vec<u8>), OpenFailure> {
    let mut payload = Vec::new();
    let Case { request, body, policy, keys } = case;
    let opened = way(request, &mut Cursor::new(body), policy, keys, &limits(), &mut payload)?;
    assert!(opened.payload_len == payload.len() as u64 && opened.payload_len <= limits().payload);
    assert_eq!(opened.payload_sha256.as_slice(), DigestAlgorithm::Sha256.digest(&payload));
    Ok((opened, payload))
}

/// A content key that cannot be decrypted is drawn by lot, anew each time, so that nobody sees it ([`dxgate::cms::enveloped`]); under
/// a cipher without integrity one opening may come further than another then. What is told must be the same all the same.
fn agrees_with_the_long_way(case: Case<'_>, accepted: &Result<Accepted, OpenFailure>) {
    let drawn =
        |opened: &Opened| opened.signature.is_none() && opened.encrypted.is_some_and(|cipher| !cipher.is_aead());
    match (by(as2::open, case), accepted) {
        (Ok((opened, _)), Err(short)) if drawn(&opened) && short.veiled => {}
        (Err(failure), Ok(accepted)) if drawn(&accepted.opened) && failure.veiled => {}
        (Ok((opened, _)), Ok(accepted)) if drawn(&opened) && key(&opened) != key(&accepted.opened) => {}
        (Ok((opened, payload)), Ok(accepted)) => {
            assert_eq!(accepted.form, Form::AsReceived, "what came was good");
            assert!(payload == accepted.payload, "both ways deliver the same payload");
            assert_eq!(said(&opened), said(&accepted.opened));
        }
        (Err(failure), Ok(accepted)) => {
            assert!(failure.lines_may_differ && accepted.form == Form::CanonicalLines, "{}", failure.cause);
            assert!(accepted.opened.signature.is_some());
        }
        (Err(failure), Err(short)) => {
            assert_eq!(failure.told, short.told, "{} and {}", failure.cause, short.cause);
            assert_eq!((failure.explanation, failure.veiled), (short.explanation, short.veiled));
            if !failure.veiled {
                assert_eq!(failure.cause.code(), short.cause.code());
                assert_eq!(failure.lines_may_differ, short.lines_may_differ);
            }
        }
        (Ok(_), Err(failure)) => panic!("only the long way accepts it: {}", failure.cause),
    }
}

/// All that is told of a message, but its payload.
fn said(opened: &Opened) -> String {
    let Opened { content_type, file_name, mic, signature, unknown_signer, .. } = opened;
    let Opened { encrypted, recipient, compressed, .. } = opened;
    let of_layers = format!("{encrypted:?} {recipient:?} {:?} {compressed}", key(opened));
    format!("{content_type:?} {file_name:?} {mic:?} {signature:?} {unknown_signer} {of_layers}")
}

/// The content key of its envelope.
fn key(opened: &Opened) -> Option<&[u8]> {
    opened.content_key.as_ref().map(|key| key.expose().as_slice())
}

/// Years later, with the kept content key and none of ours.
fn is_taken_apart_alike(case: Case<'_>, accepted: &Accepted) {
    let Accepted { opened, payload, form } = accepted;
    // Where a signature counted for none, nobody's certificate was kept.
    let trusted: &[Certificate] = if opened.unknown_signer { &[] } else { case.keys.trusted };
    let keys = OpenKeys { decryption: &[], trusted, known: &[] };
    let content_key = key(opened);
    let (mut covered, mut signature, mut again) = (Vec::new(), Vec::new(), Vec::new());
    let outlets = Outlets { covered: &mut covered, signature: &mut signature, payload: &mut again };
    let headers = &case.request.headers;
    let dissected = as2::dissect(headers, &mut Cursor::new(case.body), &keys, content_key, &limits(), *form, outlets);
    let dissected = dissected.unwrap_or_else(|error| panic!("accepted, and not to be taken apart: {error}"));
    assert!(again == *payload && dissected.payload_sha256 == opened.payload_sha256);
    assert_eq!(dissected.signature, opened.signature);
    assert_eq!((dissected.encrypted, dissected.compressed), (opened.encrypted, opened.compressed));
    assert_eq!(signature.is_empty(), opened.signature.is_none() && !opened.unknown_signer);
    if let Some(mic) = &opened.mic {
        assert_eq!(dissected.digests.of(mic.algorithm), Some(mic.value.as_slice()), "the MIC is that of the parts");
        assert_eq!(mic.algorithm.digest(&covered), mic.value, "and that of the octets it covers");
    }
    if let Some(valid) = &opened.signature {
        assert_eq!(valid.digest().digest(&covered), valid.content_digest());
    }
    lies_in_what_is_covered(case, accepted, &covered);
}

/// A bundle of evidence is held against this: what is not signed may be an entity though it does not look like one. Of what is
/// encrypted and not signed the lines that the MIC covers may be others.
fn lies_in_what_is_covered(case: Case<'_>, accepted: &Accepted, covered: &[u8]) {
    let Accepted { opened, payload, .. } = accepted;
    let signed = opened.signature.is_some();
    let holds = |as_entity: bool| {
        let mut found = Vec::new();
        let contained = as2::payload_of(&mut &*covered, &case.request.headers, as_entity, &limits(), &mut found);
        contained.is_ok_and(|contained| found == *payload && contained.sha256 == opened.payload_sha256)
    };
    let held = holds(signed) || (!signed && holds(true));
    assert!(held || (!signed && opened.encrypted.is_some()), "accepted, and not in what is covered");
}

/// Whoever may see what nobody can read may see the body of a POST that is an envelope.
fn shows_envelopes_alone(case: Case<'_>, accepted: Option<&Accepted>) {
    let headers = &case.request.headers;
    let _ = as2::says_enveloped(headers);
    let shown = as2::is_enveloped(headers, &mut Cursor::new(case.body), &limits());
    assert!(!shown || accepted.is_none_or(|accepted| accepted.opened.encrypted.is_some()));
}

fn is_nobodys_only_where_that_is_agreed(policy: &AcceptPolicy, opened: &Opened) {
    let agreed = policy.unknown_signers && !policy.require_signature;
    let authentic = opened.encrypted.is_none_or(|cipher| cipher.is_aead());
    assert!(!opened.unknown_signer || (agreed && authentic && opened.signature.is_none()));
}

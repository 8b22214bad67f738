//! What the peers cannot do, one by one, and how that shows. Everything else must pass, and what is named here must come out as it
//! says: it fails the test when it passes, or fails in another way.

use super::cells::Cell;
use super::peer::Kind;
use super::run::Outcome;
use super::table::Shown;

/// Why a peer cannot do a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Limit {
    /// It has no such setting, and says so itself in these words.
    Declines(String),
    /// It tries in vain: why, and what is then said by the peer or by us.
    Fails { why: &'static str, shows: &'static str },
}

/// Why a peer cannot do a cell, if it cannot.
pub type Known = fn(&Cell) -> Option<Limit>;

/// Cells that pass in a full run, of those that we send and of those that the peer sends: the figures of `docs/interop.md`.
pub const PASSES: [(Kind, usize, usize); 4] =
    [(Kind::DjangoPyas2, 139, 109), (Kind::Libas2, 64, 41), (Kind::OpenSsl, 82, 98), (Kind::Pyas2lib, 143, 115)];

/// How the peer takes what we send.
pub fn takes(kind: Kind) -> Known {
    match kind {
        Kind::Pyas2lib => pyas2_takes,
        Kind::DjangoPyas2 => django_takes,
        Kind::Libas2 => libas2_takes,
        Kind::OpenSsl => openssl_takes,
    }
}

/// What the peer sends to us.
pub fn sends(kind: Kind) -> Known {
    match kind {
        Kind::Pyas2lib => pyas2_sends,
        Kind::DjangoPyas2 => django_sends,
        Kind::Libas2 => libas2_sends,
        Kind::OpenSsl => openssl_sends,
    }
}

/// What is shown of an outcome; an error when it is not the one that is known.
pub fn judge(outcome: Outcome, known: Option<Limit>) -> Result<Shown, String> {
    match (outcome, known) {
        (Outcome::Pass, None) => Ok(Shown::Pass),
        (Outcome::Cannot(said), Some(Limit::Declines(why))) if said == why => Ok(Shown::Cannot(why)),
        (Outcome::Wrong(seen), Some(Limit::Fails { why, shows })) if seen.contains(shows) => {
            Ok(Shown::Cannot(why.to_owned()))
        }
        (outcome, known) => Err(format!("{outcome:?}, known: {known:?}")),
    }
}

// ---- what they take ----

/// The peer's report of an envelope that it took for the payload, since it knows no AuthEnvelopedData.
const TAKEN_FOR_PAYLOAD: &str = "\"encrypted\":false";

fn fails(why: &'static str, shows: &'static str) -> Option<Limit> {
    Some(Limit::Fails { why, shows })
}

fn is_gcm(cell: &Cell) -> bool {
    cell.encrypt.ends_with("gcm")
}

fn pyas2_takes(cell: &Cell) -> Option<Limit> {
    if is_gcm(cell) {
        let authenticated = cell.gcm_form == "auth-enveloped";
        let shows = if authenticated { TAKEN_FOR_PAYLOAD } else { "Failed to decrypt the payload" };
        return fails("pyas2lib has no AES-GCM", shows);
    }
    if cell.encrypted() && !["rsa-pkcs1", "rsa-oaep-sha1"].contains(&cell.key_transport) {
        return fails("pyas2lib reads RSA-OAEP with SHA-1 only", "Could not extract decryption key");
    }
    None
}

fn django_takes(cell: &Cell) -> Option<Limit> {
    let other_transport = cell.encrypted() && cell.key_transport != "rsa-pkcs1";
    if is_gcm(cell) {
        let shows = match cell.gcm_form {
            "auth-enveloped" => TAKEN_FOR_PAYLOAD,
            // It looks at the transport of the key first.
            _ if other_transport => "Unsupported Encryption Algorithm",
            _ => "Failed to decrypt the payload",
        };
        return fails("pyas2lib, on which it stands, has no AES-GCM", shows);
    }
    if other_transport {
        let why = "the pyas2lib 1.4.3 on which it stands reads RSA PKCS #1 v1.5 only";
        return fails(why, "Unsupported Encryption Algorithm");
    }
    None
}

fn libas2_takes(cell: &Cell) -> Option<Limit> {
    if cell.compressed() {
        // Nor does it verify what is compressed: those octets are no text.
        let hidden = cell.signed() && cell.compress == "before-signing";
        let shows = if hidden { "could not be verified" } else { "libas2 does not decompress" };
        return fails("libas2 does not decompress", shows);
    }
    if is_gcm(cell) && cell.gcm_form != "enveloped-bare-nonce" {
        let authenticated = cell.gcm_form == "auth-enveloped";
        let shows = if authenticated { TAKEN_FOR_PAYLOAD } else { "could not be decrypted" };
        return fails("libas2 reads AES-GCM in EnvelopedData with a bare nonce only", shows);
    }
    if cell.encrypted() && cell.key_transport == "rsa-pkcs1" {
        return fails("Node.js refuses to decrypt RSA PKCS #1 v1.5", "could not be decrypted");
    }
    if cell.sign == "rsa-pss" {
        return fails("libas2 does not verify RSA-PSS", "could not be verified");
    }
    None
}

fn openssl_takes(cell: &Cell) -> Option<Limit> {
    if cell.compressed() {
        return fails("Debian's openssl is built without zlib", "openssl is built without zlib");
    }
    if is_gcm(cell) && cell.gcm_form != "auth-enveloped" {
        return fails("openssl refuses AES-GCM in EnvelopedData", "Error decrypting CMS structure");
    }
    None
}

// ---- what they send: the words of tests/peers, in the order in which they come up there ----

fn declines(why: impl Into<String>) -> Option<Limit> {
    Some(Limit::Declines(why.into()))
}

fn pyas2_sends(cell: &Cell) -> Option<Limit> {
    if cell.compress == "after-signing" {
        return declines("pyas2lib compresses before it signs only");
    }
    if is_gcm(cell) {
        return declines(format!("pyas2lib has no {}", cell.encrypt));
    }
    if cell.encrypted() && cell.key_transport != "rsa-pkcs1" {
        return declines("pyas2lib reads its setting for the key transport and always writes RSA PKCS #1 v1.5");
    }
    None
}

fn django_sends(cell: &Cell) -> Option<Limit> {
    if cell.compress == "after-signing" {
        return declines("django-pyas2 compresses before it signs only");
    }
    if is_gcm(cell) {
        return declines(format!("django-pyas2 has no {}", cell.encrypt));
    }
    if cell.encrypted() && cell.key_transport != "rsa-pkcs1" {
        return declines("django-pyas2 always writes RSA PKCS #1 v1.5 for the key");
    }
    if cell.sign == "rsa-pss" {
        return declines("django-pyas2 has no rsa-pss");
    }
    if cell.digest == "md5" {
        return declines("django-pyas2 offers no md5");
    }
    None
}

fn libas2_sends(cell: &Cell) -> Option<Limit> {
    if !cell.mdn_signed {
        return declines("libas2 asks for signed receipts only: without a digest it asks for sha-256");
    }
    if cell.compressed() {
        return declines("libas2 does not compress");
    }
    if cell.sign == "rsa-pss" {
        return declines("libas2 has no rsa-pss");
    }
    if cell.digest == "md5" {
        return declines("libas2 has no md5");
    }
    if cell.encrypt == "rc2-cbc" {
        return declines("libas2 has no rc2-cbc");
    }
    if cell.encrypted() && cell.key_transport != "rsa-oaep-sha512" {
        return declines("libas2 always writes RSA-OAEP with SHA-512 for the key");
    }
    None
}

fn openssl_sends(cell: &Cell) -> Option<Limit> {
    if cell.compressed() {
        return declines("Debian's openssl is built without zlib: openssl cms -compress fails");
    }
    if is_gcm(cell) && cell.gcm_form != "auth-enveloped" {
        return declines("openssl writes AES-GCM as AuthEnvelopedData only");
    }
    None
}

#[test]
fn what_a_peer_cannot_do_is_as_stated_and_nothing_else() {
    let (tries, says) = (fails("has none", "no such thing"), declines("has none"));
    let (wrong, cannot) = (|text: &str| Outcome::Wrong(text.to_owned()), |text: &str| Outcome::Cannot(text.to_owned()));
    assert_eq!(judge(Outcome::Pass, None), Ok(Shown::Pass));
    assert_eq!(judge(wrong("failed: no such thing"), tries.clone()), Ok(Shown::Cannot("has none".to_owned())));
    assert_eq!(judge(cannot("has none"), says.clone()), Ok(Shown::Cannot("has none".to_owned())));
    for (outcome, known) in [
        // Nothing is known that would explain it.
        (cannot("has none"), &None),
        (wrong("failed: no such thing"), &None),
        // It begins to pass.
        (Outcome::Pass, &tries),
        (Outcome::Pass, &says),
        // It cannot, but otherwise than stated.
        (wrong("failed: out of order"), &tries),
        (cannot("has none"), &tries),
        (cannot("is out of order"), &says),
        (wrong("failed: has none"), &says),
    ] {
        assert!(judge(outcome.clone(), known.clone()).is_err(), "{outcome:?}, {known:?}");
    }
}

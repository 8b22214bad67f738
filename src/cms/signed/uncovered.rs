//! Octets of SignedData that its signature does not cover (RFC 5652 5.1, 5.3): whether each of them must be what it is.
//!
//! In an envelope without integrity a block can be made to stand in the place of others, or between them. It decrypts to octets that
//! nobody chose, and the next one to those that somebody wants to know, changed at will. Where such a block is passed over, what
//! follows is read as structure, and whether that is accepted tells of the octets that were copied there. So wherever anything of
//! any length or value is passed over otherwise, it is held to what no foreign block can be:
//!
//! | octets | what they must be |
//! |---|---|
//! | `version` of SignedData and of SignerInfo | one octet |
//! | `digestAlgorithms` | known ones, without parameters or with NULL |
//! | `certificates` | octet for octet one that is trusted or known, or of the chain of the signer's certificate and signed there |
//! | `crls`, whatever else may stand among the certificates | none |
//! | the curve that `signatureAlgorithm` may name | P-256 or P-384 |
//! | unsigned attributes | told apart: [`SignatureValid::has_unsigned_attributes`](super::SignatureValid::has_unsigned_attributes) |
//!
//! Nothing else leaves room. Content, signed attributes and signature are verified; `sid` names the signer's certificate (by its
//! issuer in any case of letters), the other algorithms and the content types are compared whole. What frames them (lengths in more
//! octets than needed, segments, ends of contents, line ends and zeros behind the structure) has a few values for each octet: no
//! foreign block is made of those alone.
//!
//! A certificate that others signed up to one that signed itself has no octet that their signatures do not cover. Of a chain
//! without its end nothing covers the last one: it is not pinned then.

use std::cmp::Ordering;
use std::io::Read;

use openssl::pkey::{PKeyRef, Public};

use super::SignatureError;
use crate::cms::algorithm::algorithm_identifier;
use crate::cms::ber::{BerError, BerReader};
use crate::cms::der::{self, Tlv};
use crate::cms::{Certificate, oid, sm2};
use crate::ground::limits::Limits;

/// Tag of CertificateSet.
const CERTIFICATES: u8 = der::context_constructed(0);

/// What was found of them while the structure was read.
#[derive(Debug)]
pub(super) struct Uncovered {
    /// Some could be others, or nobody wants to know.
    foreign: bool,
    /// Certificates, octet for octet.
    certificates: Vec<Vec<u8>>,
    /// Those that may be there whoever signed them.
    known: Vec<Certificate>,
}

impl Uncovered {
    /// Nobody wants to know: nothing is kept.
    pub(super) fn passed_over() -> Uncovered {
        Uncovered::looked_at(true)
    }

    /// Looked at from here on; `foreign`: something that could be otherwise was there before.
    pub(super) fn looked_at(foreign: bool) -> Uncovered {
        Uncovered { foreign, certificates: Vec::new(), known: Vec::new() }
    }

    /// With certificates that may be there whoever signed them.
    pub(super) fn beside(self, known: &[Certificate]) -> Uncovered {
        Uncovered { known: known.to_vec(), ..self }
    }

    /// Takes note of more.
    pub(super) fn note(&mut self, foreign: bool) {
        self.foreign |= foreign;
    }

    /// Reads `[0]` certificates or `[1]` CRLs. They say nothing that counts here.
    pub(super) fn read_set<R: Read>(
        &mut self,
        ber: &mut BerReader<R>,
        tag: u8,
        limits: &Limits,
    ) -> Result<(), SignatureError> {
        ber.enter(tag)?;
        let mut count = 0usize;
        let start = ber.position();
        while ber.peek()?.is_some() {
            count = count.saturating_add(1);
            self.read_one(ber, tag)?;
            let len = ber.position().saturating_sub(start);
            if count > limits.certificates || len > u64::try_from(limits.ber_value).unwrap_or(u64::MAX) {
                return Err(SignatureError::Malformed("too many certificates"));
            }
        }
        Ok(ber.leave()?)
    }

    fn read_one<R: Read>(&mut self, ber: &mut BerReader<R>, tag: u8) -> Result<(), BerError> {
        self.foreign |= tag != CERTIFICATES;
        if self.foreign {
            return ber.skip();
        }
        match ber.exact_value()? {
            Some(certificate) => self.certificates.push(certificate),
            None => self.foreign = true,
        }
        Ok(())
    }

    /// Whether each octet must be what it is, now that the signature of `signer` holds.
    pub(super) fn is_pinned(&self, signer: &Certificate, trusted: &[Certificate]) -> bool {
        let is_known = |der: &[u8]| trusted.iter().chain(&self.known).any(|one| one.der() == der);
        let others = self.certificates.iter().filter(|der| !is_known(der)).map(|der| Certificate::from_der(der));
        let ends: Vec<&Certificate> = trusted.iter().chain(&self.known).collect();
        !self.foreign && others.collect::<Result<Vec<_>, _>>().is_ok_and(|others| are_chain(&others, signer, &ends))
    }
}

/// Whether all of these are in the chain of `signer`, and each is signed by one of them, itself maybe, or by one of `ends`.
/// Each is held against each once on the way up, and once more for who signed it.
fn are_chain(others: &[Certificate], signer: &Certificate, ends: &[&Certificate]) -> bool {
    let mut found = vec![signer];
    let mut left: Vec<&Certificate> = others.iter().collect();
    while !left.is_empty() {
        let (issuers, rest): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|other| found.iter().any(|one| is_signed_by(one, other)));
        if issuers.is_empty() {
            return false;
        }
        (found, left) = (issuers, rest);
    }
    others.iter().all(|one| others.iter().chain(ends.iter().copied()).any(|issuer| is_signed_by(one, issuer)))
}

/// Whether `issuer` has the name that a certificate gives for that, and the key that signed it.
fn is_signed_by(certificate: &Certificate, issuer: &Certificate) -> bool {
    let named = certificate.x509().issuer_name().try_cmp(issuer.x509().subject_name());
    named.is_ok_and(|order| order == Ordering::Equal)
        && issuer.x509().public_key().is_ok_and(|key| {
            is_quick(&key)
                && (certificate.x509().verify(&key).unwrap_or(false) || sm2::is_signed_by(certificate.der(), &key))
        })
}

/// Whether a key takes no longer than those that are in use: anybody may have made this one, for the time that it takes.
fn is_quick(key: &PKeyRef<Public>) -> bool {
    key.rsa().map_or(true, |rsa| rsa.n().num_bits() <= 8192 && rsa.e().num_bits() <= 32)
}

/// Whether an algorithm names a curve that is none of ours: it counts for nothing there.
pub(super) fn names_other_curve(identifier: Tlv<'_>) -> bool {
    let parameters = algorithm_identifier(identifier).ok().and_then(|(_, parameters)| parameters);
    parameters.is_some_and(|curve| curve.tag == der::OID && !matches!(curve.content, oid::SECP256R1 | oid::SECP384R1))
}

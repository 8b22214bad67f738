//! Revocation lists (RFC 5280 5) as bytes: what a file holds, who has issued a list, what it revokes. Whether a list counts
//! is for the layers above to say.

use jiff::Timestamp;
use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::x509::{CrlStatus, X509, X509Crl, X509NameRef};

use super::{Certificate, sm2};

const PEM: &str = "-----BEGIN ";
const PEM_CRL: &str = "-----BEGIN X509 CRL-----";

/// One list.
pub struct RevocationList(X509Crl);

/// A certificate that may have issued lists; it need not be fit for anything else.
pub struct ListIssuer(X509);

/// What one file holds.
pub struct ListFile {
    /// The lists.
    pub lists: Vec<RevocationList>,
    /// The certificates beside them.
    pub issuers: Vec<ListIssuer>,
}

impl ListFile {
    /// Lists and certificates: any number in PEM, one in DER. `None` when there is neither, or something that is neither.
    pub fn read(bytes: &[u8]) -> Option<ListFile> {
        // Comments between the blocks may be in any encoding.
        let text = String::from_utf8_lossy(bytes);
        let (mut lists, mut issuers) = (Vec::new(), Vec::new());
        if !text.contains(PEM) {
            match X509Crl::from_der(bytes) {
                Ok(crl) => lists.push(RevocationList(crl)),
                Err(_) => issuers.push(ListIssuer(X509::from_der(bytes).ok()?)),
            }
            return Some(ListFile { lists, issuers });
        }
        let starts: Vec<usize> = text.match_indices(PEM).map(|(start, _)| start).collect();
        for (number, start) in starts.iter().enumerate() {
            let end = starts.get(number.saturating_add(1)).copied().unwrap_or(text.len());
            let block = text.get(*start..end)?;
            if block.starts_with(PEM_CRL) {
                lists.push(RevocationList(X509Crl::from_pem(block.as_bytes()).ok()?));
            } else {
                issuers.push(ListIssuer(X509::from_pem(block.as_bytes()).ok()?));
            }
        }
        Some(ListFile { lists, issuers })
    }
}

impl RevocationList {
    /// When it should be replaced; some lists do not say.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.0.next_update().and_then(instant)
    }

    /// The list names this certificate as its issuer and bears its signature.
    pub fn is_issued_by(&self, issuer: &ListIssuer) -> bool {
        is_same(issuer.0.subject_name(), self.0.issuer_name())
            && issuer.0.public_key().is_ok_and(|key| {
                let by_sm2 = || self.0.to_der().is_ok_and(|der| sm2::is_signed_by(&der, &key));
                self.0.verify(&key).unwrap_or(false) || by_sm2()
            })
    }

    /// The list is by the certificate's issuer.
    pub fn concerns(&self, certificate: &Certificate) -> bool {
        is_same(certificate.x509().issuer_name(), self.0.issuer_name())
    }

    /// The list is by the certificate's issuer and revokes it.
    pub fn revokes(&self, certificate: &Certificate) -> bool {
        let x509 = certificate.x509().to_owned();
        self.concerns(certificate) && matches!(self.0.get_by_cert(&x509), CrlStatus::Revoked(_))
    }
}

fn is_same(one: &X509NameRef, other: &X509NameRef) -> bool {
    one.try_cmp(other).is_ok_and(std::cmp::Ordering::is_eq)
}

fn instant(time: &Asn1TimeRef) -> Option<Timestamp> {
    let span = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    let seconds = i64::from(span.days).checked_mul(86_400)?.checked_add(i64::from(span.secs))?;
    Timestamp::from_second(seconds).ok()
}

//! Keys and certificates from files: ours with their private keys, the partners' without.
//!
//! Rotation is a matter of overlapping windows, never of replacing a file at midnight: of our own keys the newest
//! active one signs and every one decrypts; of a partner's certificates every active one verifies and the newest active
//! one is encrypted to. A certificate is trusted because an operator put it into a file, never because it came inside
//! a message (RFC 5652 10.2.3 leaves the choice to us).
//!
//! - [`load`]: PEM, PKCS#8 (encrypted or not), PKCS#12; refuses private files that others may read
//! - [`save`]: writes private files
//! - [`crl`]: revocation lists of those who issued the partners' certificates
//! - [`ring`]: [`KeyRing`] (ours) and [`CertificateSet`] (a partner's)
//! - [`window`]: the span of time in which one of them is used
//! - [`expiry`]: what runs out soon
//! - [`specimen`]: recognises the published keys of `certs-example/`
//! - [`declarations`]: keys that sign declarations instead of messages
//! - [`generate`]: new keys with self-signed certificates

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests let OpenSSL's command make lists")]
pub(crate) mod authority;
pub mod crl;
pub mod declarations;
pub mod expiry;
pub mod generate;
pub mod load;
pub mod ring;
pub mod save;
pub mod specimen;
pub mod window;

pub use crl::{ListEnd, RevocationLists};
pub use expiry::Expiry;
pub use load::{KeyFileError, TlsIdentity};
pub use ring::{CertificateSet, CertificateUses, KeyRing, KeyUses, PartnerCertificate, StationKey};
pub use window::Window;

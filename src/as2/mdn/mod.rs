//! Message disposition notifications, the receipts of AS2 (RFC 4130 7.4, RFC 8098, RFC 6522).
//!
//! ```text
//! multipart/signed; protocol="application/pkcs7-signature"; micalg=sha-256     only when a signed receipt was asked for
//! ├─ multipart/report; report-type=disposition-notification                    the octets that are signed
//! │  ├─ text/plain                                                             for people
//! │  └─ message/disposition-notification                                       for programs: Disposition, MIC, …
//! └─ application/pkcs7-signature
//! ```
//!
//! [`build`] writes this shape, [`parse`] reads it in every spelling seen in the field.

mod build;
mod parse;

pub use build::{BuiltMdn, MdnPlan, build};
pub use parse::{Mdn, MdnError, Subject, parse, parse_signed};

#[cfg(test)]
mod encoded_tests;
#[cfg(test)]
mod forgery_tests;
#[cfg(test)]
mod quirks_tests;
#[cfg(test)]
mod receipts_tests;

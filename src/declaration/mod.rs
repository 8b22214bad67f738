//! Layer 3, beside `as2`: the customs documents that travel as payloads.
//!
//! An enterprise exchanges two kinds of XML with the customs platform (终端节点报文 202205, 企业对接报文规范 202205):
//!
//! - the *declaration*, one `CEBxxxMessage` in [`CEB_NS`], holding one to a hundred business documents ([`family`]);
//! - the *envelope* around it, `DxpMsg` in [`DXP_NS`], whose `Data` is the declaration in Base64 ([`envelope`]).
//!
//! Customs answers with `DxpRep` (the transport's own response) and with business receipts, again `CEBxxxMessage` in a
//! `DxpMsg` ([`receipt`]). [`precheck`] says, before anything is sent, what customs would refuse. [`sample`] writes
//! declarations to try all this with, and [`checkdigit`] knows the check characters inside them. [`form`] checks the
//! application with which an enterprise gets its identity on the platform.
//!
//! Everything here is pure: bytes in, values out; no file, no clock, no network. All reading goes through one scanner
//! that streams, resolves namespaces, refuses document types and entities, and holds every limit of
//! [`Limits`](crate::ground::limits::Limits).

#![deny(clippy::indexing_slicing)]

mod base64_data;
mod charset;
pub mod checkdigit;
mod documents;
pub mod dsig;
pub mod envelope;
pub mod error;
pub mod family;
pub mod form;
mod markup;
pub mod precheck;
pub mod receipt;
pub mod sample;
mod scanner;
pub mod schema;
mod serial;
pub mod standing;

#[cfg(test)]
mod robustness_tests;

pub use error::{DeclarationError, Fault};

/// A document as text, decoded as it is checked: by its byte order mark, else by its declaration, else as UTF-8. Of one
/// that breaks off or has malformed bytes, the text before.
pub fn decoded(mut bytes: &[u8]) -> String {
    let mut source = charset::Utf8Source::new(&mut bytes, u64::MAX);
    let mut text = String::new();
    while source.more().is_ok_and(|more| more) {
        text.push_str(source.text());
        source.take(source.text().len());
    }
    text
}

/// Namespace of the business messages (`CEBxxxMessage`).
pub const CEB_NS: &str = "http://www.chinaport.gov.cn/ceb";

/// Namespace of XML signatures.
pub const DSIG_NS: &str = "http://www.w3.org/2000/09/xmldsig#";

/// Namespace of the transport messages (`DxpMsg`, `DxpRep`, `DxpMsgSv`).
pub const DXP_NS: &str = "http://www.chinaport.gov.cn/dxp";

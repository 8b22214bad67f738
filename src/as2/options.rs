//! `Disposition-Notification-Options` (RFC 4130 7.3): how the sender wants its receipt signed.
//!
//! ```text
//! signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, sha-256, sha1
//! ```
//!
//! Read in any case, spacing, quoting and order; parameters without a name are recognised by their values. Both
//! parameters together ask for a signed receipt. The first listed algorithm that we support is used.

use super::MicalgStyle;
use crate::cms::DigestAlgorithm;

/// The only protocol RFC 4130 defines.
const PKCS7: &str = "pkcs7-signature";

/// What the sender asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NotificationOptions {
    /// Both parameters were there: a signed receipt is asked for.
    pub signed: bool,
    /// The listed algorithms that dxgate knows, in the sender's order.
    pub micalgs: Vec<DigestAlgorithm>,
    /// Algorithms were listed, known or not.
    pub micalgs_listed: bool,
    /// A demand that cannot be met whatever the policy.
    pub unmet: Option<Unmet>,
}

/// A demand of the receipt request that cannot be met (RFC 4130 7.5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmet {
    /// An unknown protocol or parameter that the sender declares required.
    Format,
    /// None of the listed algorithms is supported.
    MicAlgorithms,
}

/// One parameter: its name, whether it is required, its values.
struct Parameter {
    name: String,
    required: bool,
    values: Vec<String>,
}

impl NotificationOptions {
    /// Reads the field; nothing in it can fail, what is not understood is ignored unless it is declared required.
    pub fn parse(value: &str) -> NotificationOptions {
        let mut protocol: Option<Parameter> = None;
        let mut micalg: Option<Parameter> = None;
        let mut unmet = None;
        for parameter in value.split(';').filter_map(read_parameter) {
            match parameter.name.as_str() {
                "signed-receipt-protocol" => protocol = protocol.or(Some(parameter)),
                "signed-receipt-micalg" => micalg = micalg.or(Some(parameter)),
                _ if parameter.required => unmet = Some(Unmet::Format),
                _ => {}
            }
        }
        let understood = protocol.as_ref().is_some_and(|p| p.values.iter().any(|v| is_pkcs7(v)));
        if protocol.as_ref().is_some_and(|p| p.required && !understood) {
            unmet = Some(Unmet::Format);
        }
        let listed = micalg.map(|p| p.values).unwrap_or_default();
        let micalgs_listed = !listed.is_empty();
        let mut micalgs = Vec::new();
        for algorithm in listed.iter().filter_map(|name| DigestAlgorithm::parse(name)) {
            if !micalgs.contains(&algorithm) {
                micalgs.push(algorithm);
            }
        }
        NotificationOptions { signed: understood && micalgs_listed, micalgs, micalgs_listed, unmet }
    }

    /// The first listed algorithm that `supported` holds.
    pub fn preferred(&self, supported: &[DigestAlgorithm]) -> Option<DigestAlgorithm> {
        self.micalgs.iter().copied().find(|algorithm| supported.contains(algorithm))
    }

    /// The algorithm that a receipt should use which was asked for with `listed` (RFC 4130 7.4.3): that of the message's
    /// signature where it is listed, else the first of the list. `None`: nothing is listed.
    pub fn expected(listed: &[DigestAlgorithm], signature: Option<DigestAlgorithm>) -> Option<DigestAlgorithm> {
        signature.filter(|digest| listed.contains(digest)).or(listed.first().copied())
    }

    /// What cannot be met when only `supported` algorithms are.
    pub fn unmet(&self, supported: &[DigestAlgorithm]) -> Option<Unmet> {
        let none = self.signed && self.preferred(supported).is_none();
        self.unmet.or(none.then_some(Unmet::MicAlgorithms))
    }

    /// The field for a request of ours.
    pub fn value(micalgs: &[DigestAlgorithm], style: MicalgStyle) -> String {
        let names: Vec<String> = micalgs.iter().map(|algorithm| style.name(*algorithm)).collect();
        format!("signed-receipt-protocol=optional, {PKCS7}; signed-receipt-micalg=optional, {}", names.join(", "))
    }
}

/// `pkcs7-signature`, also as a media type or with the `x-` of older products.
fn is_pkcs7(value: &str) -> bool {
    let value = value.strip_prefix("application/").unwrap_or(value);
    value.strip_prefix("x-").unwrap_or(value) == PKCS7
}

/// `name = importance , value , …`; name and importance may be missing.
fn read_parameter(text: &str) -> Option<Parameter> {
    let (name, list) = match text.split_once('=') {
        Some((name, list)) => (clean(name), list),
        None => (String::new(), text),
    };
    let mut values: Vec<String> = list.split(',').map(clean).filter(|value| !value.is_empty()).collect();
    let required = match values.first().map(String::as_str) {
        Some(word @ ("required" | "optional")) => {
            let required = word == "required";
            values.remove(0);
            required
        }
        _ => false,
    };
    if name.is_empty() && values.is_empty() {
        return None;
    }
    let name = match name {
        name if !name.is_empty() => name,
        _ if values.iter().any(|value| is_pkcs7(value)) => "signed-receipt-protocol".to_owned(),
        _ if values.iter().any(|value| DigestAlgorithm::parse(value).is_some()) => "signed-receipt-micalg".to_owned(),
        name => name,
    };
    Some(Parameter { name, required, values })
}

/// Lower case, without blanks and quotes around.
fn clean(text: &str) -> String {
    text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '"' || c == '\'').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use DigestAlgorithm::{Md5, Sha1, Sha256, Sha512};

    #[test]
    fn every_spelling_asks_for_the_same_receipt() {
        for text in [
            "signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, sha-256, sha1",
            "signed-receipt-protocol=optional,pkcs7-signature;signed-receipt-micalg=optional,sha256,sha1",
            "Signed-Receipt-Protocol = Optional , PKCS7-Signature ; Signed-Receipt-Micalg = Optional , SHA-256 , SHA1",
            "signed-receipt-protocol=optional,\tpkcs7-signature;\tsigned-receipt-micalg=optional,\tsha-256,\tsha1",
            "signed-receipt-micalg=optional, sha-256, sha1; signed-receipt-protocol=optional, pkcs7-signature",
            "signed-receipt-protocol=\"optional, pkcs7-signature\"; signed-receipt-micalg=\"optional, sha-256, sha1\"",
            "signed-receipt-protocol=optional, \"pkcs7-signature\"; signed-receipt-micalg=optional, \"sha-256\", \"sha1\"",
            "signed-receipt-protocol=required, pkcs7-signature; signed-receipt-micalg=required, sha-256, sha1",
            "required,pkcs7-signature; required,sha-256,sha1",
            "signed-receipt-protocol=pkcs7-signature; signed-receipt-micalg=sha-256, sha1",
            "signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, md5, sha-256, sha1, sha-256;",
            "x-new=optional, z; signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, rsa-sha256, sha-1",
        ] {
            let options = NotificationOptions::parse(text);
            assert!(options.signed, "{text}");
            let known: Vec<_> = options.micalgs.iter().copied().filter(|digest| *digest != Md5).collect();
            assert_eq!(known, [Sha256, Sha1], "{text}");
            assert_eq!(options.unmet(&[Sha1, Sha256]), None, "{text}");
            assert_eq!(options.preferred(&[Sha1, Sha256]), Some(Sha256), "{text}");
        }
    }

    #[test]
    fn one_parameter_alone_does_not_ask_for_a_signature() {
        assert!(!NotificationOptions::parse("signed-receipt-protocol=optional, pkcs7-signature").signed);
        assert!(!NotificationOptions::parse("signed-receipt-micalg=optional, sha-256").signed);
        assert!(!NotificationOptions::parse("").signed);
    }

    #[test]
    fn a_list_for_no_signature_refuses_nothing() {
        let pgp = "signed-receipt-protocol=optional, pgp-signature; signed-receipt-micalg=optional, md5";
        for text in ["signed-receipt-micalg=optional, md5", pgp] {
            assert_eq!(NotificationOptions::parse(text).unmet(&[Sha1, Sha256]), None, "{text}");
        }
    }

    #[test]
    fn demands_that_cannot_be_met_are_named() {
        let all = [Sha1, Sha256, Sha512];
        let unmet = |text: &str| NotificationOptions::parse(text).unmet(&all);
        let tail = "signed-receipt-protocol=optional, pkcs7-signature; signed-receipt-micalg=optional, ";
        assert_eq!(unmet(&format!("{tail}md5")), Some(Unmet::MicAlgorithms));
        assert_eq!(unmet(&format!("{tail}md5, sha1")), None);
        assert_eq!(unmet(&format!("{tail}sha1; x-new=required, z")), Some(Unmet::Format));
        assert_eq!(unmet(&format!("{tail}sha1; x-new=optional, z")), None);
        assert_eq!(
            unmet("signed-receipt-protocol=required, pgp; signed-receipt-micalg=optional, sha1"),
            Some(Unmet::Format)
        );
        assert_eq!(unmet("signed-receipt-protocol=optional, pgp; signed-receipt-micalg=optional, sha1"), None);
    }

    #[test]
    fn our_own_request_is_read_back() {
        let value = NotificationOptions::value(&[Sha512, Sha1], MicalgStyle::Plain);
        assert!(value.ends_with("optional, sha512, sha1"));
        let options = NotificationOptions::parse(&value);
        assert_eq!((options.signed, options.micalgs.as_slice()), (true, [Sha512, Sha1].as_slice()));
    }

    #[test]
    fn a_receipt_should_use_the_signatures_digest_unless_the_list_leaves_it_out() {
        let expected = NotificationOptions::expected;
        assert_eq!(expected(&[Sha512, Sha256], Some(Sha256)), Some(Sha256));
        assert_eq!(expected(&[Sha512], Some(Sha256)), Some(Sha512));
        assert_eq!(expected(&[Sha512, Sha256], None), Some(Sha512));
        assert_eq!(expected(&[], Some(Sha256)), None);
    }
}

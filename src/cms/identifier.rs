//! A certificate named by text: issuer and serial number as XML-DSig writes them (W3C xmldsig-core 4.4.4).

use openssl::x509::X509NameRef;

use super::Certificate;
use super::der::{self, DerError, Fields};

impl Certificate {
    /// The issuer as RFC 2253 writes it, the last part first: `CN=ACME AS2,O=ACME,C=CN`.
    pub fn issuer_rfc2253(&self) -> String {
        rfc2253(self.x509().issuer_name())
    }

    /// The serial number in decimal digits.
    pub fn serial_decimal(&self) -> String {
        let number =
            self.x509().serial_number().to_bn().and_then(|number| number.to_dec_str().map(|text| text.to_string()));
        number.unwrap_or_default()
    }
}

/// Keywords of RFC 4514 3; every other attribute is given by its number.
const KEYWORDS: [&str; 9] = ["CN", "L", "ST", "O", "OU", "C", "street", "DC", "UID"];

fn rfc2253(name: &X509NameRef) -> String {
    let numbers = name.to_der().ok().and_then(|der| attribute_types(&der).ok()).unwrap_or_default();
    let entries = name.entries().enumerate().map(|(place, entry)| {
        let keyword = entry.object().nid().short_name().ok().filter(|name| KEYWORDS.contains(name));
        let number = || numbers.get(place).cloned().unwrap_or_else(|| entry.object().to_string());
        let kind = keyword.map_or_else(number, str::to_owned);
        let value = entry.data().to_string();
        let value = value.unwrap_or_else(|_| String::from_utf8_lossy(entry.data().as_slice()).into_owned());
        format!("{kind}={}", escaped(&value))
    });
    let mut entries: Vec<String> = entries.collect();
    entries.reverse();
    entries.join(",")
}

/// The types of all attributes of a Name (RFC 5280 4.1.2.4), in their order.
fn attribute_types(name: &[u8]) -> Result<Vec<String>, DerError> {
    let mut types = Vec::new();
    let mut sets = Fields::only(name, der::SEQUENCE)?.fields();
    while let Some(set) = sets.take()? {
        let mut attributes = set.fields();
        while let Some(attribute) = attributes.take()? {
            types.push(dotted(attribute.fields().expect(der::OID)?.content));
        }
    }
    Ok(types)
}

/// The numbers of an OBJECT IDENTIFIER (X.690 8.19), of its content octets.
fn dotted(content: &[u8]) -> String {
    let (mut numbers, mut number) = (Vec::new(), 0u64);
    for byte in content {
        number = (number << 7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    let first = numbers.first().copied().unwrap_or_default();
    let top = (first / 40).min(2);
    let mut out = format!("{top}.{}", first.saturating_sub(top.saturating_mul(40)));
    numbers.iter().skip(1).for_each(|number| out.push_str(&format!(".{number}")));
    out
}

/// RFC 2253 2.4. What XML would have to escape goes in digits: some products repeat the text as it is.
fn escaped(value: &str) -> String {
    let mut out = String::new();
    let last = value.chars().count().saturating_sub(1);
    for (at, c) in value.chars().enumerate() {
        let edge = (at == 0 && matches!(c, ' ' | '#')) || (at == last && c == ' ');
        match c {
            '&' | '<' | '>' | '"' => out.push_str(&format!("\\{:02X}", u32::from(c))),
            ',' | '+' | '\\' | ';' => out.extend(['\\', c]),
            c if edge => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::specimens::{ALICE, BOB};
    use super::*;

    #[test]
    fn issuer_and_serial_are_written_as_xml_dsig_writes_them() {
        assert_eq!(ALICE.certificate.issuer_rfc2253(), "CN=alice 订单");
        assert_eq!(BOB.certificate.serial_decimal(), 0x00ab_cdef.to_string());
        for (value, wanted) in [
            ("ACME, Inc.", "ACME\\, Inc."),
            (" a#b ", "\\ a#b\\ "),
            ("#1 \"x\"", "\\#1 \\22x\\22"),
            ("a+b;c<d>\\", "a\\+b\\;c\\3Cd\\3E\\\\"),
            ("AT&T", "AT\\26T"),
            ("", ""),
        ] {
            assert_eq!(escaped(value), wanted);
        }
    }

    #[test]
    fn attributes_without_a_keyword_are_given_by_their_numbers() {
        assert_eq!(dotted(super::super::oid::SIGNED_DATA), "1.2.840.113549.1.7.2");
        assert_eq!(dotted(&[0x55, 0x04, 0x05]), "2.5.4.5");
        assert_eq!(dotted(&[0x88, 0x37, 0x03]), "2.999.3");
    }
}

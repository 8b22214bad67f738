//! Writing the XML.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::{CertificateReference, ExchangeRequest, ExchangeResponse, TradingPartnerInfo, TrustRequest, TrustResponse};

/// The namespace of both documents.
pub(super) const NAMESPACE: &str = "urn:ietf:params:xml:ns:ediintcertificateexchange";
/// XML-DSig, of which the elements that name a certificate are.
pub(super) const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Root of a request.
pub(super) const REQUEST: &str = "EDIINTCertificateExchangeRequest";
/// Root of a response.
pub(super) const RESPONSE: &str = "EDIINTCertificateExchangeResponse";

/// The XML of a request; `content_id` gives the Content-ID of the part with the certificate of that number.
pub(super) fn request(request: &ExchangeRequest, content_id: &dyn Fn(usize) -> String) -> String {
    let mut out = begin(REQUEST, &request.request_id, &request.from);
    for (number, trust) in request.trust.iter().enumerate() {
        trust_request(&mut out, trust, &content_id(number));
    }
    end(out, REQUEST)
}

/// The XML of a response.
pub(super) fn response(response: &ExchangeResponse) -> String {
    let mut out = begin(RESPONSE, &response.request_id, &response.from);
    for trust in &response.trust {
        trust_response(&mut out, trust);
    }
    end(out, RESPONSE)
}

fn begin(root: &str, request_id: &str, from: &TradingPartnerInfo) -> String {
    let mut out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    let id = escaped(request_id);
    let _ = writeln!(out, "<{root} xmlns=\"{NAMESPACE}\" xmlns:ds=\"{DSIG}\" requestId=\"{id}\">");
    let name = escaped(&from.name);
    let _ = writeln!(out, "  <TradingPartnerInfo>\n    <Name qualifier=\"AS2\">{name}</Name>");
    if let Some(originated) = from.originated {
        let _ = writeln!(out, "    <MessageOriginated>{}</MessageOriginated>", date_time(originated));
    }
    out.push_str("  </TradingPartnerInfo>\n");
    out
}

fn end(mut out: String, root: &str) -> String {
    let _ = writeln!(out, "</{root}>");
    out
}

fn trust_request(out: &mut String, trust: &TrustRequest, content_id: &str) {
    out.push_str("  <TrustRequest>\n");
    for usage in &trust.usages {
        let _ = writeln!(out, "    <CertUsage>{}</CertUsage>", usage.as_str());
    }
    if let Some(respond_by) = trust.respond_by {
        let _ = writeln!(out, "    <RespondByDate>{}</RespondByDate>", date_time(respond_by));
    }
    let _ = writeln!(out, "    <ResponseURL>{}</ResponseURL>", escaped(&trust.response_url));
    out.push_str("    <EndEntity>\n");
    identifier(out, "CertificateIdentifier", &trust.reference);
    let _ = writeln!(out, "      <CertificateContentID>{}</CertificateContentID>", escaped(content_id));
    out.push_str("    </EndEntity>\n  </TrustRequest>\n");
}

fn trust_response(out: &mut String, trust: &TrustResponse) {
    out.push_str("  <TrustResponse>\n");
    let status = if trust.accepted { "Accepted" } else { "Rejected" };
    let _ = writeln!(out, "    <CertStatus>{status}</CertStatus>");
    if let Some(reason) = &trust.reason {
        let _ = writeln!(out, "    <ReasonForRejection>{}</ReasonForRejection>", escaped(reason));
    }
    identifier(out, "CertificateReference", &trust.reference);
    out.push_str("  </TrustResponse>\n");
}

fn identifier(out: &mut String, element: &str, reference: &CertificateReference) {
    let (issuer, serial) = (escaped(&reference.issuer), escaped(&reference.serial));
    let _ = writeln!(out, "      <{element}>");
    let _ = writeln!(out, "        <ds:X509IssuerName>{issuer}</ds:X509IssuerName>");
    let _ = writeln!(out, "        <ds:X509SerialNumber>{serial}</ds:X509SerialNumber>");
    let _ = writeln!(out, "      </{element}>");
}

/// `xs:dateTime` in UTC to the second, with an offset in digits: one product reads no other form.
fn date_time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// As text and in attributes; what XML cannot hold is left out.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(c));
            }
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => {}
            c => out.push(c),
        }
    }
    out
}

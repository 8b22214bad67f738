//! Reading the XML: what the schema says, in any order and under any prefix; elements that it does not know are passed over.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use roxmltree::{Document, Node, ParsingOptions};

use super::document::{DSIG, NAMESPACE, REQUEST, RESPONSE};
use super::{
    CemError, CertUsage, CertificateReference, ExchangeResponse, MAX_CERTIFICATES, TradingPartnerInfo, TrustResponse,
};
use crate::ground::text::printable;

/// Bytes of one document; a real one has a few thousand.
const MAX_DOCUMENT: usize = 64 * 1024;
/// Nodes of one document; a real one has about fifty.
const MAX_NODES: u32 = 4096;
/// Declarations of namespaces in one document, real ones have a dozen: the parser hands each of an element down to each
/// child that has one of its own, and looks through all of them for it.
const MAX_NAMESPACES: usize = 256;
/// Characters of one value.
const MAX_VALUE: usize = 4096;

/// What the XML of either kind says.
#[derive(Debug)]
pub(super) enum Read {
    Request { request_id: String, from: TradingPartnerInfo, trust: Vec<ReadTrust> },
    Response(ExchangeResponse),
}

/// A `TrustRequest`, whose certificate stands in another part.
#[derive(Debug)]
pub(super) struct ReadTrust {
    pub(super) usages: Vec<CertUsage>,
    pub(super) respond_by: Option<Timestamp>,
    pub(super) response_url: String,
    pub(super) reference: CertificateReference,
    /// The part that holds it.
    pub(super) content_id: String,
}

/// Reads either document.
pub(super) fn read(xml: &[u8]) -> Result<Read, CemError> {
    let text = std::str::from_utf8(xml).map_err(|error| CemError::Xml(error.to_string()))?;
    let text = text.trim_start_matches('\u{feff}');
    if text.len() > MAX_DOCUMENT {
        return Err(CemError::Xml(format!("it is longer than {MAX_DOCUMENT} bytes")));
    }
    if text.matches("xmlns").count() > MAX_NAMESPACES {
        return Err(CemError::Xml(format!("it has more than {MAX_NAMESPACES} namespaces")));
    }
    let options = ParsingOptions { allow_dtd: false, nodes_limit: MAX_NODES, ..ParsingOptions::default() };
    let document = Document::parse_with_options(text, options).map_err(|error| CemError::Xml(error.to_string()))?;
    let root = document.root_element();
    if root.tag_name().namespace() != Some(NAMESPACE) {
        return Err(CemError::NotAnExchange);
    }
    let request_id = root.attribute("requestId").map(bounded).filter(|id| !id.is_empty());
    let request_id = request_id.ok_or(CemError::Missing("requestId"))?;
    let from = trading_partner(root)?;
    match root.tag_name().name() {
        REQUEST => Ok(Read::Request { request_id, from, trust: all(root, "TrustRequest", trust_request)? }),
        RESPONSE => Ok(Read::Response(ExchangeResponse {
            request_id,
            from,
            trust: all(root, "TrustResponse", trust_response)?,
        })),
        _ => Err(CemError::NotAnExchange),
    }
}

/// Every child of that name, at least one and at most [`MAX_CERTIFICATES`].
fn all<T>(
    root: Node<'_, '_>,
    name: &'static str,
    read: fn(Node<'_, '_>) -> Result<T, CemError>,
) -> Result<Vec<T>, CemError> {
    let found: Vec<Node<'_, '_>> = children(root, NAMESPACE, name).collect();
    if found.is_empty() {
        return Err(CemError::Missing(name));
    }
    if found.len() > MAX_CERTIFICATES {
        return Err(CemError::TooMany);
    }
    found.into_iter().map(read).collect()
}

fn trading_partner(root: Node<'_, '_>) -> Result<TradingPartnerInfo, CemError> {
    let info = child(root, NAMESPACE, "TradingPartnerInfo")?;
    let originated = children(info, NAMESPACE, "MessageOriginated").next().and_then(|node| instant(&value(node)));
    let mut names = children(info, NAMESPACE, "Name");
    let name = names.clone().find(|name| name.attribute("qualifier") == Some("AS2")).or_else(|| names.next());
    Ok(TradingPartnerInfo { name: value(name.ok_or(CemError::Missing("Name"))?), originated })
}

fn trust_request(node: Node<'_, '_>) -> Result<ReadTrust, CemError> {
    let usages = children(node, NAMESPACE, "CertUsage").map(|node| usage(&value(node)));
    let mut usages = usages.collect::<Result<Vec<CertUsage>, CemError>>()?;
    usages.sort_unstable();
    usages.dedup();
    if usages.is_empty() {
        return Err(CemError::Missing("CertUsage"));
    }
    let end_entity = child(node, NAMESPACE, "EndEntity")?;
    let content_id = value(child(end_entity, NAMESPACE, "CertificateContentID")?);
    Ok(ReadTrust {
        usages,
        respond_by: children(node, NAMESPACE, "RespondByDate").next().and_then(|node| instant(&value(node))),
        response_url: children(node, NAMESPACE, "ResponseURL").next().map(value).unwrap_or_default(),
        reference: reference(child(end_entity, NAMESPACE, "CertificateIdentifier")?)?,
        content_id,
    })
}

fn trust_response(node: Node<'_, '_>) -> Result<TrustResponse, CemError> {
    let status = value(child(node, NAMESPACE, "CertStatus")?);
    let accepted = match status.to_ascii_lowercase().as_str() {
        "accepted" => true,
        "rejected" => false,
        _ => return Err(CemError::Unknown { element: "CertStatus", value: printable(&status) }),
    };
    let reason = children(node, NAMESPACE, "ReasonForRejection").next().map(value);
    Ok(TrustResponse {
        accepted,
        reason: reason.filter(|reason| !reason.is_empty()),
        reference: reference(child(node, NAMESPACE, "CertificateReference")?)?,
    })
}

fn reference(node: Node<'_, '_>) -> Result<CertificateReference, CemError> {
    let issuer = children(node, DSIG, "X509IssuerName").next().map(value).unwrap_or_default();
    Ok(CertificateReference { issuer, serial: value(child(node, DSIG, "X509SerialNumber")?) })
}

fn usage(text: &str) -> Result<CertUsage, CemError> {
    let known = CertUsage::ALL.into_iter().find(|usage| usage.as_str().eq_ignore_ascii_case(text));
    known.ok_or_else(|| CemError::Unknown { element: "CertUsage", value: printable(text) })
}

fn children<'a, 'i>(
    node: Node<'a, 'i>,
    namespace: &'static str,
    name: &'static str,
) -> impl Iterator<Item = Node<'a, 'i>> + Clone {
    node.children().filter(move |child| child.has_tag_name((namespace, name)))
}

fn child<'a, 'i>(node: Node<'a, 'i>, namespace: &'static str, name: &'static str) -> Result<Node<'a, 'i>, CemError> {
    children(node, namespace, name).next().ok_or(CemError::Missing(name))
}

/// The text of an element, without the blanks around it.
fn value(node: Node<'_, '_>) -> String {
    let text: String = node.children().filter(Node::is_text).filter_map(|text| text.text()).collect();
    bounded(&text)
}

fn bounded(text: &str) -> String {
    text.trim().chars().take(MAX_VALUE).collect()
}

/// `xs:dateTime`; without a zone it is taken for UTC.
fn instant(text: &str) -> Option<Timestamp> {
    let zoned = text.parse::<Timestamp>().ok();
    zoned.or_else(|| text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()))
}

//! What strangers say below AS2: where a receipt shall go, which part of a body comes, what a proxy answers.
//!
//! Two files of the server's HTTP stand here themselves, because they need nothing else of it and the rest of it is no part of
//! this package.

use dxgate::as2::restart::{BodyName, CONTENT_RANGE, Range};
use dxgate::as2::{self, Incoming, headers};
use dxgate::mime::Headers;
use dxgate::partner::PartnerUrl;

use address::{Addresses, Target};

use super::{home, limits};

#[path = "../../src/http/address.rs"]
mod address;
#[path = "../../src/http/connect_answer.rs"]
mod connect;

/// The URL of a `Receipt-Delivery-Option`, as it stands in the field.
///
/// It is read twice: when the agreement is asked whether the receipt may go there, and when the connection is made. Both must
/// understand the same server.
pub(super) fn receipt_url(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let url = PartnerUrl::parse(text).ok();
    let target = Target::parse(text, Addresses::Any).ok().map(|(target, _)| target);
    if let Some(url) = &url {
        let target = target.as_ref().expect("what may stand in a file can be connected to");
        assert_eq!((url.host(), url.port(), url.is_secure()), (target.host.as_str(), target.port, target.tls));
        assert!(url.same_origin(url));
    }
    if let Some(target) = &target {
        is_read_again(target);
        let outside = Target::parse(text, Addresses::PublicOnly);
        assert!(outside.is_err() || outside.is_ok_and(|(outside, _)| outside == *target));
        let address = target.host.parse().ok();
        assert!(target.is_literally_forbidden(Addresses::PublicOnly) || address.is_none_or(is_outside), "{target:?}");
        assert!(!target.is_literally_forbidden(Addresses::Any));
    }
    if let Some(asked) = asked_for(text)
        && home::partner().allows_async_mdn_to(&asked)
    {
        // Blanks around the field are no part of it.
        let (target, _) = Target::parse(&asked, Addresses::Any).expect("what is allowed can be connected to");
        let server = (target.tls, target.host.as_str(), target.port);
        assert!(home::SERVERS.contains(&server), "{server:?} is none of the partner's servers");
    }
}

/// The forms in which a target travels lead to the same target.
fn is_read_again(target: &Target) {
    let scheme = if target.tls { "https" } else { "http" };
    for authority in [target.authority(), target.host_header()] {
        let (again, _) = Target::parse(&format!("{scheme}://{authority}/"), Addresses::Any).expect("ours");
        assert_eq!(again, *target, "{authority}");
    }
}

/// A judgement of its own, coarser than that of the code.
fn is_outside(address: std::net::IpAddr) -> bool {
    match address.to_canonical() {
        std::net::IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_private() || v4.is_link_local() || v4.is_multicast() || v4.is_unspecified())
        }
        std::net::IpAddr::V6(v6) => {
            !(v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast())
        }
    }
}

/// What the message with this field asks for.
fn asked_for(text: &str) -> Option<String> {
    let mut head = Headers::new();
    let fixed = [("AS2-From", "B"), ("AS2-To", "A"), ("Message-ID", "<1@b>"), (headers::NOTIFICATION_TO, "x")];
    for (name, value) in fixed.into_iter().chain([(headers::RECEIPT_DELIVERY, text)]) {
        head.push(name, value).ok()?;
    }
    match as2::read_head(&head, b"", &limits()) {
        Ok(Incoming::Message(request)) => request.mdn?.async_url,
        _ => None,
    }
}

/// A header block: what of it AS2 Restart reads.
pub(super) fn restart_fields(data: &[u8]) {
    let Ok(head) = Headers::parse(data, &limits()) else { return };
    for value in head.all(CONTENT_RANGE) {
        let Some(range) = Range::parse(value) else { continue };
        assert!(range.len() > 0 && range.len() <= range.total && range.from < range.total);
        assert_eq!(range.is_whole(), range.from == 0 && range.is_last());
        assert_eq!(Range::parse(&range.to_string()), Some(range));
    }
    if let Some(name) = BodyName::of(&head) {
        let [from, to] = name.names;
        assert!(
            head.all("as2-from").any(|value| value.contains(from))
                && head.all("as2-to").any(|value| value.contains(to))
        );
        assert!(name.etag.len() > 2 && name.etag.bytes().filter(|byte| *byte == b'"').count() == 2);
    }
}

/// What a proxy sends after `CONNECT`, octet by octet until the tunnel begins.
pub(super) fn connect_answer(data: &[u8]) {
    let mut head = Vec::new();
    for octet in data {
        if connect::is_whole(&head) || head.len() >= connect::LONGEST {
            break;
        }
        head.push(*octet);
    }
    if let Some(status) = connect::status(&head) {
        assert!(status <= 999);
        let lines = [format!("HTTP/1.0 {status:03}"), format!("HTTP/1.1 {status:03}")];
        let said = lines.iter().any(|line| head.starts_with(line.as_bytes()));
        assert!(said && matches!(head.get(12), None | Some(b' ' | b'\r')));
    }
}

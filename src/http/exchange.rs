//! One request and its reply, as a handler sees them.

use std::net::{IpAddr, SocketAddr};

use ::http::{HeaderMap, Method, Uri, header};

use super::body::{RequestBody, SendBody};
use crate::ground::network::Network;

/// What a listener does with each request. It belongs to no connection: when the peer hangs up, the handler still runs
/// to its end (its body read fails), so that nothing durable is left half done.
pub trait Handler: Send + Sync + 'static {
    /// Answers one request.
    fn handle(&self, request: Exchange) -> impl Future<Output = Reply> + Send;
}

/// One request. The head is complete and well formed (RFC 9112); the body has not been asked for yet.
#[derive(Debug)]
pub struct Exchange {
    /// The method as sent.
    pub method: Method,
    /// Target: path and query.
    pub uri: Uri,
    /// Header fields in order of arrival per name.
    pub headers: HeaderMap,
    /// The body; `100 Continue` (RFC 9110 10.1.1) is sent when it is first polled.
    pub body: RequestBody,
    /// The TCP peer; a proxy's address when one stands in front.
    pub peer: SocketAddr,
    /// The certificate whose key the peer proved to hold in the TLS handshake; its trust is the handler's decision.
    pub client: Option<ClientCertificate>,
    /// The listener lets nobody in without a certificate.
    pub client_required: bool,
}

/// What a TLS client has shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate.
    pub der: Vec<u8>,
    /// It leads to one of the listener's issuers and counts now.
    pub issued: bool,
}

impl Exchange {
    /// The address of whoever sent this: the TCP peer, or, where that is one of the `trusted` proxies, the last in
    /// `X-Forwarded-For` that is none of them. `None`: it cannot be told, because a trusted proxy does not say, or because
    /// it comes from this machine, where a proxy may stand that nobody has named.
    pub fn client_address(&self, trusted: &[Network]) -> Option<IpAddr> {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        let peer = self.peer.ip().to_canonical();
        let client = if is_trusted(peer) {
            let said: Vec<&[u8]> = self.headers.get_all(FORWARDED_FOR).iter().map(|value| value.as_bytes()).collect();
            let mut hops = said.iter().rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
            hops.find_map(|hop| match hop_address(hop) {
                Some(address) if is_trusted(address) => None,
                hop => Some(hop),
            })??
        } else {
            peer
        };
        (!client.is_loopback()).then_some(client)
    }

    /// The first of `names` that occurs more than once: such a request is ambiguous and deserves a 400.
    pub fn repeated_header<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().copied().find(|name| self.headers.get_all(*name).iter().nth(1).is_some())
    }

    /// The body is compressed at the HTTP level (`Content-Encoding`, RFC 9110 8.4), which AS2 does not allow: 415.
    pub fn has_content_encoding(&self) -> bool {
        self.headers.get_all(header::CONTENT_ENCODING).iter().any(|value| {
            let value = value.as_bytes().trim_ascii();
            !value.is_empty() && !value.eq_ignore_ascii_case(b"identity")
        })
    }

    /// The body has a transfer coding beside `chunked`, which nobody here takes off (RFC 9112 6.1): 501.
    pub fn has_other_transfer_coding(&self) -> bool {
        let codings = self.headers.get_all(header::TRANSFER_ENCODING).iter();
        codings.into_iter().any(|value| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"))
    }
}

/// What proxies write in front of whom they speak for, the nearest last.
const FORWARDED_FOR: &str = "X-Forwarded-For";

/// One entry of that field; some proxies add the port.
fn hop_address(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    bare.parse::<IpAddr>().ok().or_else(with_port).map(|address| address.to_canonical())
}

/// The answer to one request.
#[derive(Debug)]
pub struct Reply {
    /// Status code, 200..=599.
    pub status: u16,
    /// Header fields; `Content-Length`, `Date` and `Connection` are the server's business.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: SendBody,
    /// Close the connection after this reply.
    pub close: bool,
}

impl Reply {
    /// An empty reply.
    pub fn new(status: u16) -> Reply {
        Reply { status, headers: Vec::new(), body: SendBody::empty(), close: false }
    }

    /// A reply whose body is one short constant line: nothing of the request is echoed.
    pub fn plain(status: u16, line: &'static str) -> Reply {
        Reply::new(status).header("Content-Type", "text/plain; charset=utf-8").body(line.as_bytes().to_vec())
    }

    /// 404 for every path that is not served.
    pub fn not_found() -> Reply {
        Reply::plain(404, "not found\n")
    }

    /// 405; `allow` lists the methods that exist (RFC 9110 15.5.6).
    pub fn method_not_allowed(allow: &'static str) -> Reply {
        Reply::plain(405, "method not allowed\n").header("Allow", allow)
    }

    /// Adds a header field.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Reply {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<SendBody>) -> Reply {
        self.body = body.into();
        self
    }

    /// Closes the connection after this reply.
    pub fn closing(mut self) -> Reply {
        self.close = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(peer: &str, trusted: &str, said: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in said {
            headers.append(FORWARDED_FOR, value.parse().unwrap());
        }
        let exchange = Exchange {
            method: Method::POST,
            uri: Uri::from_static("/"),
            headers,
            body: RequestBody::memory(Vec::new()),
            peer: SocketAddr::new(peer.parse().unwrap(), 4000),
            client: None,
            client_required: false,
        };
        let trusted: Vec<Network> = trusted.parse().into_iter().collect();
        exchange.client_address(&trusted).map(|address| address.to_string())
    }

    #[test]
    fn only_what_trusted_proxies_say_counts_and_only_the_last_stranger_of_it() {
        type Row<'a> = (&'a str, &'a str, &'a [&'a str], Option<&'a str>);
        let table: [Row<'_>; 14] = [
            ("203.0.113.7", "", &[], Some("203.0.113.7")),
            ("203.0.113.7", "", &["198.51.100.1"], Some("203.0.113.7")),
            ("::ffff:203.0.113.7", "10.0.0.0/8", &["198.51.100.1"], Some("203.0.113.7")),
            ("10.0.0.5", "10.0.0.0/8", &["198.51.100.1"], Some("198.51.100.1")),
            ("::ffff:10.0.0.5", "10.0.0.5", &["198.51.100.1:50000"], Some("198.51.100.1")),
            ("10.0.0.5", "10.0.0.0/8", &["[2001:db8::1]:443"], Some("2001:db8::1")),
            ("10.0.0.5", "10.0.0.0/8", &["[2001:db8::1]"], Some("2001:db8::1")),
            // What the client made up stands before what the proxy added.
            ("10.0.0.5", "10.0.0.0/8", &["1.1.1.1, 198.51.100.1 , 10.0.0.9"], Some("198.51.100.1")),
            ("10.0.0.5", "10.0.0.0/8", &["1.1.1.1", "198.51.100.1"], Some("198.51.100.1")),
            ("10.0.0.5", "10.0.0.0/8", &["198.51.100.1, unknown"], None),
            ("10.0.0.5", "10.0.0.0/8", &["10.0.0.6"], None),
            ("10.0.0.5", "10.0.0.0/8", &[], None),
            ("127.0.0.1", "", &["198.51.100.1"], None),
            ("127.0.0.1", "127.0.0.1", &["198.51.100.1"], Some("198.51.100.1")),
        ];
        for (peer, trusted, said, wanted) in table {
            assert_eq!(client(peer, trusted, said).as_deref(), wanted, "{peer} {trusted} {said:?}");
        }
    }
}

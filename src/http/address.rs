//! Which addresses a URL may lead to.
//!
//! A peer names a URL in `Receipt-Delivery-Option` (RFC 4130 7.3); without a guard it could make the gateway talk to
//! hosts that only the gateway can reach (server-side request forgery, RFC 4130 says nothing about it). The guard is
//! asked twice: about the URL's form ([`Target::parse`]), and about every address its host resolves to
//! ([`Addresses::allows`]); the connection then goes to exactly the address that was judged, so that a second DNS
//! answer cannot differ.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ::http::Uri;

use crate::ground::network::url_host;

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Addresses {
    /// Globally reachable unicast addresses only, and only ports on which web servers live: 80, 443 and from 1024. A
    /// client may be told that the port does not matter (`ClientSettings::any_port`).
    #[default]
    PublicOnly,
    /// Any; for partners that the operator marked as being inside.
    Any,
}

impl Addresses {
    /// May a connection go to `ip`?
    pub fn allows(self, ip: IpAddr) -> bool {
        match self {
            Addresses::Any => true,
            Addresses::PublicOnly => is_public(ip),
        }
    }

    /// May a connection go to `port`?
    pub fn allows_port(self, port: u16) -> bool {
        match self {
            Addresses::Any => port != 0,
            Addresses::PublicOnly => matches!(port, 80 | 443 | 1024..),
        }
    }
}

/// Where a URL leads, before name resolution.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// `https`; otherwise plain `http`.
    pub tls: bool,
    /// Host name or address, without brackets, lower case.
    pub host: String,
    /// Explicit or the scheme's default.
    pub port: u16,
}

/// Why a URL is not usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadTarget {
    /// Not an absolute `http` or `https` URL.
    #[error("not an absolute http or https URL")]
    Form,
    /// `user:password@` in a URL disguises hosts and leaks credentials.
    #[error("a URL with a user name is not accepted")]
    UserInfo,
    /// The port is missing after the colon, zero, or one that the policy excludes.
    #[error("this port is not accepted")]
    Port,
}

impl Target {
    /// The target of `url` and the parsed URL, when its form is acceptable under `addresses`.
    pub fn parse(url: &str, addresses: Addresses) -> Result<(Target, Uri), BadTarget> {
        let uri: Uri = url.parse().map_err(|_| BadTarget::Form)?;
        let tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(BadTarget::Form),
        };
        let authority = uri.authority().ok_or(BadTarget::Form)?;
        if authority.as_str().contains('@') {
            return Err(BadTarget::UserInfo);
        }
        let host = authority.host();
        let after_host = authority.as_str().strip_prefix(host).ok_or(BadTarget::Form)?;
        let port = match after_host.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().map_err(|_| BadTarget::Port)?
            }
            Some(_) => return Err(BadTarget::Port),
            None if after_host.is_empty() => default_port(tls),
            None => return Err(BadTarget::Form),
        };
        if !addresses.allows_port(port) {
            return Err(BadTarget::Port);
        }
        let host = url_host(host).ok_or(BadTarget::Form)?;
        Ok((Target { tls, host, port }, uri))
    }

    /// Host and port, both always there (RFC 9110 9.3.6: the target of `CONNECT`).
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        format!("{host}:{}", self.port)
    }

    /// Whether the host is a literal address that `addresses` excludes, or this machine by name.
    pub fn is_literally_forbidden(&self, addresses: Addresses) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(ip) => !addresses.allows(ip),
            Err(_) => addresses == Addresses::PublicOnly && self.host == "localhost",
        }
    }

    /// The value of the `Host` field (RFC 9110 7.2): the port only when it is not the scheme's own.
    pub fn host_header(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == default_port(self.tls) { host } else { format!("{host}:{}", self.port) }
    }
}

fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// Globally reachable unicast, by the IANA special-purpose registries (RFC 6890 and updates).
fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => match embedded_v4(v6) {
            Some(v4) => is_public_v4(v4),
            None => is_public_v6(v6),
        },
    }
}

fn is_public_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, _, _)                 // this network, private, loopback
            | (100, 64..=127, _)             // shared address space (RFC 6598)
            | (169, 254, _)                  // link-local, cloud metadata
            | (172, 16..=31, _)              // private
            | (192, 168, _)                  // private
            | (192, 0, 0 | 2)                // protocol assignments, documentation
            | (192, 88, 99)                  // 6to4 relays
            | (198, 18 | 19, _)              // benchmarking
            | (198, 51, 100)                 // documentation
            | (203, 0, 113)                  // documentation
            | (224.., _, _) // multicast, reserved, broadcast
    );
    !special
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    let global_unicast = first & 0xe000 == 0x2000;
    let special = matches!((first, second), (0x2001, 0x0000..=0x01ff) | (0x2001, 0x0db8) | (0x3fff, 0..=0x0fff));
    global_unicast && !special
}

/// The IPv4 address inside an IPv6 address that leads to it: mapped, compatible, NAT64 (RFC 6052), 6to4 (RFC 3056).
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let [s0, s1, s2, s3, s4, s5, high, low] = ip.segments();
    let join = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match [s0, s1, s2, s3, s4, s5] {
        [0, 0, 0, 0, 0, 0 | 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0, 0, 0, 0] => Some(join(high, low)),
        [0x2002, high, low, ..] => Some(join(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_reached_for_a_peer() {
        let table = [
            ("8.8.8.8", true),
            ("223.5.5.5", true),
            ("2400:3200::1", true),
            ("100.63.255.255", true),
            ("172.32.0.1", true),
            ("0.0.0.0", false),
            ("10.1.2.3", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("100.64.0.1", false),
            ("100.127.255.255", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.168.1.1", false),
            ("192.0.0.8", false),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("198.18.0.1", false),
            ("198.19.255.255", false),
            ("198.51.100.7", false),
            ("203.0.113.9", false),
            ("224.0.0.1", false),
            ("240.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("::ffff:8.8.8.8", true),
            ("::127.0.0.1", false),
            ("::ffff:0:10.0.0.1", false),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b:1::7f00:1", false),
            ("2002:7f00:1::1", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("3fff::1", false),
            ("fc00::1", false),
            ("fd12:3456::1", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ];
        for (ip, public) in table {
            let ip: IpAddr = ip.parse().expect("a literal");
            assert_eq!(Addresses::PublicOnly.allows(ip), public, "{ip}");
            assert!(Addresses::Any.allows(ip), "{ip}");
        }
    }

    #[test]
    fn disguised_and_foreign_urls_are_refused_before_any_lookup() {
        let table = [
            ("http://user@example.com/", BadTarget::UserInfo),
            ("http://127.0.0.1%40example.com@evil/", BadTarget::UserInfo),
            ("https://user:pass@example.com/", BadTarget::UserInfo),
            ("http://example.com:/", BadTarget::Port),
            ("http://example.com:0/", BadTarget::Port),
            ("http://example.com:+80/", BadTarget::Port),
            ("http://example.com:25/", BadTarget::Port),
            ("http://example.com:22/", BadTarget::Port),
            ("https://example.com:6000000/", BadTarget::Port),
            ("ftp://example.com/", BadTarget::Form),
            ("mailto:as2@example.com", BadTarget::Form),
            ("file:///etc/passwd", BadTarget::Form),
            ("gopher://example.com/", BadTarget::Form),
            ("//example.com/", BadTarget::Form),
            ("/mdn", BadTarget::Form),
            ("", BadTarget::Form),
            ("http:///mdn", BadTarget::Form),
            ("http://[b.example]/", BadTarget::Form),
            ("http://b.example[.0.1]:4080/", BadTarget::Form),
            ("http://example.com/\r\nX: y", BadTarget::Form),
            ("http://example.com/ a", BadTarget::Form),
            ("http://exa\0mple.com/", BadTarget::Form),
        ];
        for (url, expected) in table {
            let refused = Target::parse(url, Addresses::PublicOnly).expect_err(url);
            let port_hidden_in_form = expected == BadTarget::Port && refused == BadTarget::Form;
            assert!(refused == expected || port_hidden_in_form, "{url}: {refused:?}");
        }
    }

    #[test]
    fn a_target_knows_its_port_and_host_header() {
        let target = |url| Target::parse(url, Addresses::Any).expect(url).0;
        assert_eq!(target("https://Example.com/as2").host_header(), "example.com");
        assert_eq!(target("https://example.com:8443/").host_header(), "example.com:8443");
        assert_eq!(target("http://[::1]:80/").host_header(), "[::1]");
        assert_eq!(target("http://[::1]:4080/").host, "::1");
        assert_eq!(target("http://localhost:25/").port, 25);
    }
}

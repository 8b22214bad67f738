//! Addresses of peers: networks as people write them, and what one subscriber commands.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// `10.0.0.5` or `10.0.0.0/8`; IPv6 with or without brackets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u32,
}

/// The text is neither an address nor a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("neither an address nor a network")]
pub struct NoNetwork;

impl FromStr for Network {
    type Err = NoNetwork;

    fn from_str(text: &str) -> Result<Network, NoNetwork> {
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().map_err(|_| NoNetwork)?;
        // A network is of the family in which it is written; an address is what it stands for.
        let address = if bits.is_none() { address.to_canonical() } else { address };
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |bits| bits.parse::<u32>().map_err(|_| NoNetwork))?;
        (bits <= all).then_some(Network { address, bits }).ok_or(NoNetwork)
    }
}

impl Network {
    /// Whether `address` is in it. An IPv4 address that is written as IPv6 is an IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32u32.saturating_sub(self.bits)).unwrap_or(0);
                u32::from(network) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128u32.saturating_sub(self.bits)).unwrap_or(0);
                u128::from(network) & mask == u128::from(address) & mask
            }
            _ => false,
        }
    }
}

/// The host of a URL's authority (RFC 3986 3.2.2), lower case: a name, an IPv4 address, or what brackets hold, which is an IPv6 address.
/// `None` when it is empty, and when there are brackets in any other place.
pub fn url_host(written: &str) -> Option<String> {
    let host = match written.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').filter(|inner| inner.parse::<Ipv6Addr>().is_ok())?,
        None if written.contains(['[', ']']) => return None,
        None => written,
    };
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

/// One subscriber commands a whole IPv6 /64, so that is what is counted.
pub fn subscriber(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn networks_and_addresses_are_read_in_both_families() {
        assert!(contains("10.0.0.5", "10.0.0.5") && !contains("10.0.0.5", "10.0.0.6"));
        assert!(contains("10.0.0.0/8", "10.255.0.1") && contains("10.0.0.0/8", "::ffff:10.255.0.1"));
        assert!(contains("::ffff:10.0.0.5", "10.0.0.5") && contains("0.0.0.0/0", "203.0.113.7"));
        assert!(contains("[2001:db8::]/32", "2001:db8:7::1") && !contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("[2001:db8::7]", "2001:db8::7") && !contains("::/0", "10.0.0.1"));
        for wrong in ["", "*", "example.com", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "2001:db8::/129", "10.0.0"] {
            assert_eq!(wrong.parse::<Network>(), Err(NoNetwork), "{wrong}");
        }
    }

    #[test]
    fn brackets_hold_an_ipv6_address_and_nothing_else() {
        assert_eq!(url_host("AS2.example.com").as_deref(), Some("as2.example.com"));
        assert_eq!(url_host("[2001:DB8::1]").as_deref(), Some("2001:db8::1"));
        for wrong in
            ["", "[]", "[b.example]", "b.example[.0.1]", "[::1", "::1]", "[2001:db8::18:]", "[[::1]]", "[::1]x"]
        {
            assert_eq!(url_host(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_subscriber_is_an_ipv4_address_or_an_ipv6_network_of_64_bits() {
        let of = |address: &str| subscriber(address.parse().unwrap()).to_string();
        assert_eq!(of("2400:3200::ffff"), "2400:3200::");
        assert_eq!(of("2400:3200:0:1::1"), "2400:3200:0:1::");
        assert_eq!((of("::ffff:10.0.0.1"), of("10.0.0.1")), ("10.0.0.1".to_owned(), "10.0.0.1".to_owned()));
    }
}

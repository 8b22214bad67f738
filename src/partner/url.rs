//! URLs of AS2 servers: absolute, http or https, without user, password and fragment (RFC 9110 4.2).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use http::Uri;

use crate::bilingual;
use crate::ground::network::url_host;
use crate::ground::text::Bilingual;

/// A checked URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerUrl {
    text: String,
    secure: bool,
    host: String,
    port: u16,
}

impl PartnerUrl {
    /// Checks a URL.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<PartnerUrl, Bilingual> {
        let bad = || {
            bilingual!(
                "不是可用的 URL。应为 http:// 或 https:// 开头、含主机名且不含用户名和 # 的完整地址，例如 https://as2.example.com/as2。",
                "not a usable URL. Give a complete http:// or https:// address with a host and without user name or #, such as https://as2.example.com/as2."
            )
        };
        if text.len() > 2048 || text.contains(['#', '@', '\\']) {
            return Err(bad());
        }
        let uri = Uri::from_str(text).map_err(|_| bad())?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(bad()),
        };
        let authority = uri.authority().ok_or_else(bad)?;
        let after_host = authority.as_str().strip_prefix(authority.host()).ok_or_else(bad)?;
        let port = match after_host.strip_prefix(':') {
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().map_err(|_| bad())?,
            None if after_host.is_empty() => default_port(secure),
            Some(_) | None => return Err(bad()),
        };
        let host = url_host(authority.host()).filter(|_| port != 0).ok_or_else(bad)?;
        Ok(PartnerUrl { text: text.to_owned(), secure, host, port })
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is https.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// Host name or address, lower case, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, explicit or the scheme's own.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it can only mean this machine: `localhost`, 127.0.0.0/8 or ::1.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether it names this machine or, as a literal address, one of a private network: RFC 1918, `fc00::/7` or
    /// link-local.
    pub fn is_inside(&self) -> bool {
        let private = match self.host.parse::<IpAddr>().map(|address| address.to_canonical()) {
            Ok(IpAddr::V4(address)) => address.is_private() || address.is_link_local() || address.is_loopback(),
            Ok(IpAddr::V6(address)) => address.is_unique_local() || address.is_unicast_link_local(),
            Err(_) => false,
        };
        private || self.is_loopback()
    }

    /// Whether the other URL leads to the same server: scheme, host and port (RFC 6454 4).
    pub fn same_origin(&self, other: &PartnerUrl) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }
}

fn default_port(secure: bool) -> u16 {
    if secure { 443 } else { 80 }
}

impl fmt::Display for PartnerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete_http_urls_are_taken() {
        let url = PartnerUrl::parse("https://AS2.example.com/as2?x=1").expect("fine");
        assert_eq!((url.host(), url.port(), url.is_secure()), ("as2.example.com", 443, true));
        assert!(PartnerUrl::parse("http://[::1]:8080/").expect("fine").is_loopback());
        assert!(PartnerUrl::parse("http://127.0.0.9/").expect("fine").is_loopback());
        assert!(!PartnerUrl::parse("http://127.0.0.1.example.com/").expect("fine").is_loopback());
    }

    #[test]
    fn only_literal_private_addresses_are_inside() {
        let inside = |url| PartnerUrl::parse(url).expect("fine").is_inside();
        for url in
            ["http://localhost:1/", "http://127.1.2.3/", "http://10.0.0.8/", "https://192.168.1.1/", "http://[::1]/"]
        {
            assert!(inside(url), "{url}");
        }
        assert!(inside("http://172.16.0.1/") && inside("http://[fd00::1]/") && inside("http://[::ffff:10.0.0.1]/"));
        for url in
            ["https://as2.example.com/", "http://10.0.0.8.example.com/", "http://8.8.8.8/", "http://localhost.example/"]
        {
            assert!(!inside(url), "{url}");
        }
    }

    #[test]
    fn incomplete_or_deceiving_urls_are_refused() {
        for bad in [
            "",
            "as2.example.com",
            "/as2",
            "ftp://example.com/",
            "https://",
            "https:///as2",
            "http://user@example.com/",
            "http://example.com/#top",
            "http://example.com:99999/",
            "http://example.com:0/",
            "http://example.com:+80/",
            "http://[2001:db8::18]080/",
            "http://[b.example]/",
            "http://b.example[.0.1]:4080/",
            "http://exa mple.com/",
            "http://example.com\\@evil.example/",
        ] {
            assert!(PartnerUrl::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_port_is_another_server() {
        let parse = |text| PartnerUrl::parse(text).expect("fine");
        let ours = parse("https://a.example/as2");
        assert!(ours.same_origin(&parse("https://A.example:443/mdn")));
        assert!(!ours.same_origin(&parse("https://a.example:8443/as2")));
        assert!(!ours.same_origin(&parse("http://a.example:443/as2")));
    }
}

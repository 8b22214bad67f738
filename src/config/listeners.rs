//! The AS2 listeners: `[as2]` itself and any number of `[[as2.listeners]]` beside it.

use std::net::{IpAddr, SocketAddr};

use super::access::client_certificates;
use super::document::Section;
use super::material::{Reading, note};
use super::{As2Settings, ClientDemand, Clients, ListenerSettings};
use crate::bilingual;
use crate::ground::network::Network;
use crate::ground::text::Bilingual;
use crate::keys::{TlsIdentity, load, specimen};
use crate::partner::PartnerUrl;

/// `[as2]`.
pub(super) fn as2(section: &Section<'_>, reading: &Reading<'_>) -> As2Settings {
    let first = listener(section, reading, Some(SocketAddr::from(([127, 0, 0, 1], 4080))));
    let path = section.parsed("path", |text| {
        let fits =
            text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#%\\\"".contains(&byte));
        let wrong = || {
            bilingual!("不是路径。应以 / 开头，例如 \"/as2\"。", "not a path. Begin with a slash, such as \"/as2\".")
        };
        fits.then(|| text.to_owned()).ok_or_else(wrong)
    });
    let public_url = section.parsed("public_url", PartnerUrl::parse).map(|url| url.as_str().to_owned());
    let mut listeners = Vec::new();
    for section in section.sections("listeners") {
        let Some(further) = listener(&section, reading, None) else { continue };
        let taken =
            first.iter().chain(&listeners).any(|other: &ListenerSettings| collide(other.listen, further.listen));
        if taken {
            let text = bilingual!(
                "该地址已被另一个监听器使用。每个监听器需要自己的端口。",
                "this address is taken by another listener. Each needs a port of its own."
            );
            section.error("listen", "listen-conflict", text);
        }
        listeners.push(further);
    }
    let (listen, tls, clients) = match first {
        Some(first) => (first.listen, first.tls, first.clients),
        None => (SocketAddr::from(([127, 0, 0, 1], 4080)), None, Clients::default()),
    };
    let path = path.unwrap_or_else(|| "/as2".to_owned());
    let trusted_proxies = section.parsed_list("trusted_proxies", network).unwrap_or_default();
    As2Settings { listen, path, public_url, tls, clients, listeners, trusted_proxies }
}

fn network(text: &str) -> Result<Network, Bilingual> {
    text.parse().map_err(|_| {
        bilingual!(
            "不是地址或网段。例如 \"10.0.0.5\" 或 \"10.0.0.0/8\"。",
            "neither an address nor a network. Write \"10.0.0.5\" or \"10.0.0.0/8\"."
        )
    })
}

/// Two listeners cannot both have these addresses.
pub(super) fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    // `[::]` takes the addresses of IPv4 as well, `0.0.0.0` none of IPv6 but that.
    let all = |one: IpAddr, other: IpAddr| {
        one.is_unspecified() && (one.is_ipv6() || other.is_ipv4() || other.is_unspecified())
    };
    let (here, there) = (one.ip().to_canonical(), other.ip().to_canonical());
    let same_address = here == there || all(here, there) || all(there, here);
    one.port() != 0 && one.port() == other.port() && same_address
}

/// Address and TLS; `None` without an address.
fn listener(section: &Section<'_>, reading: &Reading<'_>, default: Option<SocketAddr>) -> Option<ListenerSettings> {
    let listen = listen(section).or(default);
    if listen.is_none() && !section.has("listen") {
        section.missing("listen");
    }
    let tls_section = section.section("tls");
    let tls = identity(&tls_section, reading, listen?);
    let clients = clients(&tls_section, reading);
    Some(ListenerSettings { listen: listen?, tls, clients })
}

/// What is asked of TLS clients.
fn clients(section: &Section<'_>, reading: &Reading<'_>) -> Clients {
    let demand = match section.parsed("client_certificates", client_certificates) {
        Some("ask") => ClientDemand::Ask,
        Some("require") => ClientDemand::Require,
        _ => ClientDemand::None,
    };
    let file = reading.path(section, "client_ca");
    let issuers = file.and_then(|file| note(section, "client_ca", load::certificates(&file))).unwrap_or_default();
    if demand == ClientDemand::None && section.has("client_ca") {
        let text = bilingual!(
            "client_ca 只在 client_certificates 为 \"ask\" 或 \"require\" 时起作用。",
            "client_ca has a meaning only with client_certificates = \"ask\" or \"require\"."
        );
        section.error("client_ca", "client-certificates-not-asked", text);
    }
    Clients { demand, issuers }
}

/// What a listener shows of itself.
pub(super) fn identity(section: &Section<'_>, reading: &Reading<'_>, listen: SocketAddr) -> Option<TlsIdentity> {
    let identity = reading.identity(section, section.is_present())?;
    if !listen.ip().is_loopback() && identity.chain.iter().any(specimen::is_specimen) {
        let text = bilingual!(
            "这是 certs-example 中公开的示例密钥，只能用于本机回环地址。请使用自己的证书。",
            "this is a published key of certs-example, for loopback addresses only. Use a certificate of your own."
        );
        section.error("certificate", "example-key", text);
    }
    Some(identity)
}

/// `listen`.
pub(super) fn listen(section: &Section<'_>) -> Option<SocketAddr> {
    section.parsed("listen", |text| {
        text.parse::<SocketAddr>().map_err(|_| {
            bilingual!(
                "不是监听地址。应为 IP:端口，例如 \"127.0.0.1:4080\" 或 \"[::]:4080\"。",
                "not an address to listen on. Write IP:port, such as \"127.0.0.1:4080\" or \"[::]:4080\"."
            )
        })
    })
}

#[cfg(test)]
mod tests {
    use super::collide;

    #[test]
    fn listeners_collide_where_the_system_lets_only_one_have_the_address() {
        for (one, other, collides) in [
            ("0.0.0.0:4080", "127.0.0.1:4080", true),
            ("0.0.0.0:4080", "[::]:4080", true),
            ("[::]:4080", "127.0.0.1:4080", true),
            ("[::]:4080", "[::1]:4080", true),
            ("0.0.0.0:4080", "[::1]:4080", false),
            ("127.0.0.1:4080", "[::1]:4080", false),
            ("0.0.0.0:4080", "[::ffff:10.0.0.1]:4080", true),
            ("127.0.0.1:4080", "[::ffff:127.0.0.1]:4080", true),
            ("0.0.0.0:4080", "0.0.0.0:4081", false),
        ] {
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            assert_eq!((collide(one, other), collide(other, one)), (collides, collides), "{one} {other}");
        }
    }
}

//! How a partner's HTTP server is reached: `[http]` of a partner file, and `[proxy]` of `gateway.toml`.

use super::agreement;
use super::document::Section;
use super::material::Reading;
use super::partners::Surroundings;
use super::station::one_of;
use crate::bilingual;
use crate::ground::network::Network;
use crate::ground::text::{Bilingual, printable};
use crate::keys::TlsIdentity;
use crate::partner::{Agreement, Authorization, HttpAccess, PartnerUrl, Proxy, Waived, Waivers};

/// `[http]` of a partner file, with whose `agreement` it has to go together. `speaks_tls`: one of the partner's URLs does.
pub(super) fn http(
    section: &Section<'_>,
    reading: &Reading<'_>,
    surroundings: &Surroundings<'_>,
    (agreement, waivers, speaks_tls): (&Agreement, &Waivers, bool),
) -> HttpAccess {
    let authorization = authorization(section, reading, true);
    let identity = reading.identity(section, false);
    let own_proxy = section.section("proxy");
    let direct = own_proxy.is_present() && own_proxy.text("url").is_some_and(|url| url == "none");
    let proxy = if direct {
        // The keys beside it are asked for all the same, so that none of them is called unknown.
        let _ = self::authorization(&own_proxy, reading, false);
        None
    } else {
        let own = proxy(&own_proxy, reading);
        if own_proxy.is_present() { own } else { surroundings.proxy.cloned() }
    };
    let old_tls = section.parsed("tls", |text| one_of(text, &["current", "old"])) == Some("old");
    if old_tls {
        agreement::named(section, "tls", &[Waived::OldTls], waivers);
    }
    if let Some(identity) = &identity {
        judge_identity(section, reading, identity, (old_tls, waivers, speaks_tls));
    }
    let restart = section.boolean("restart", false);
    if restart && (agreement.sign.is_none() || !agreement.mdn.ask.signed) {
        let text = bilingual!(
            "续传只发送报文的剩余部分；如果对方误把它当作整个报文，只有我方签名和对方的签名回执才能发现。请在 [agreement] 中设置 sign 并请求签名回执（[agreement.mdn] 中 signed = true），或去掉 restart。",
            "a body that goes on is sent without its beginning, and should the partner take that for the message, nothing but our signature and a signed MDN would show it. Set sign under [agreement] and ask for a signed MDN (signed = true under [agreement.mdn]), or leave restart out."
        );
        section.error("restart", "restart-unproven", text);
    }
    HttpAccess {
        authorization,
        identity,
        chunked: section.boolean("chunked", false),
        expect_continue: section.boolean("expect_continue", false),
        restart,
        proxy,
        old_tls,
    }
}

/// Whether the partner can be connected to with this certificate: what OpenSSL has read and can show to old servers, TLS 1.2
/// and 1.3 may refuse before the first byte.
fn judge_identity(
    section: &Section<'_>,
    reading: &Reading<'_>,
    identity: &TlsIdentity,
    (old_tls, waivers, speaks_tls): (bool, &Waivers, bool),
) {
    if old_tls && waivers.allow_old_tls(reading.now) {
        return;
    }
    let Some(text) = reading.unfit_for_tls(section, identity) else { return };
    if old_tls || !speaks_tls {
        // Nobody has touched the file when its waiver ends, and what nobody is shown harms nobody: that keeps no gateway with many
        // partners from its start.
        section.warning("certificate", "client-certificate-unusable", text);
    } else {
        section.error("certificate", "client-certificate-unusable", text);
    }
}

/// `[proxy]` of `gateway.toml`.
pub(super) fn gateway_proxy(section: &Section<'_>, reading: &Reading<'_>) -> Option<Proxy> {
    let no_proxy = section.texts("no_proxy").unwrap_or_default();
    for entry in no_proxy.iter().filter(|entry| !is_direct(entry)) {
        let shown = printable(entry.get(..entry.floor_char_boundary(80)).unwrap_or_default());
        let text = bilingual!(
            "\"{shown}\" 不起作用：不是主机名、地址或网段。例如 \"partner.example.com\"、\"10.0.0.5\" 或 \"10.0.0.0/8\"，不含协议和端口；\"*\" 表示全部。",
            "\"{shown}\" does nothing: it is neither a host name nor an address nor a network. Write \"partner.example.com\", \"10.0.0.5\" or \"10.0.0.0/8\", without scheme and port; \"*\" is everything."
        );
        section.warning("no_proxy", "no-proxy-useless", text);
    }
    proxy(section, reading).map(|proxy| Proxy { no_proxy, ..proxy })
}

/// What can be reached without the proxy: a host name, with all below it and perhaps with the dot of the root, an address, a
/// network, or `*` for everything.
fn is_direct(text: &str) -> bool {
    let entry = text.trim();
    let name = entry.trim_start_matches("*.").trim_start_matches('.');
    let name = name.strip_suffix('.').unwrap_or(name);
    entry == "*" || entry.parse::<Network>().is_ok() || is_host_name(name)
}

/// Labels of letters, digits, hyphens and underscores. The last one is no number: that is the form of an address.
fn is_host_name(name: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(of_name);
    let last = name.rsplit('.').next().unwrap_or_default();
    name.len() <= 255 && name.split('.').all(is_label) && !last.bytes().all(|byte| byte.is_ascii_digit())
}

fn proxy(section: &Section<'_>, reading: &Reading<'_>) -> Option<Proxy> {
    let url = section.parsed("url", |text| {
        let plain = PartnerUrl::parse(text).ok().filter(|url| !url.is_secure());
        plain.map(|url| url.as_str().to_owned()).ok_or_else(|| {
            bilingual!(
                "不是代理地址。应为 http://主机:端口（经代理访问 https 仍是端到端加密）。",
                "not the address of a proxy. Write http://host:port (https through it stays encrypted end to end)."
            )
        })
    });
    let authorization = authorization(section, reading, false);
    if section.is_present() && !section.has("url") {
        section.missing("url");
    }
    Some(Proxy { url: url?, authorization, no_proxy: Vec::new() })
}

/// User and password, or, where `bearer`, a token.
fn authorization(section: &Section<'_>, reading: &Reading<'_>, bearer: bool) -> Option<Authorization> {
    let advice = bilingual!(
        "口令和令牌不能写在配置文件中。请改用以 _file 或 _env 结尾的配置项。",
        "passwords and tokens must not stand in a configuration file. Use the keys that end in _file or _env."
    );
    section.forbid("password", "secret-inline", &advice);
    section.forbid("token", "secret-inline", &advice);
    let user = section.parsed("user", user_name);
    let password = reading.secret(section, "password_file", "password_env");
    let token = if bearer { reading.secret(section, "token_file", "token_env") } else { None };
    match (user, password, token) {
        (Some(user), Some(password), None) => Some(Authorization::Basic { user, password }),
        (None, None, Some(token)) => Some(Authorization::Bearer(token)),
        (None, None, None) => None,
        (Some(_), None, None) => {
            if !section.has("password_file") && !section.has("password_env") {
                section.missing("password_file");
            }
            None
        }
        (None, Some(_), None) => {
            section.missing("user");
            None
        }
        (_, _, Some(_)) => {
            let text = bilingual!("用户名口令与令牌只能使用一种。", "user and password exclude a token. Keep one way.");
            section.error(if section.has("user") { "user" } else { "password_file" }, "keys-exclusive", text);
            None
        }
    }
}

/// A user name for HTTP Basic (RFC 7617 2: no colon).
fn user_name(text: &str) -> Result<String, Bilingual> {
    let fits = text.len() <= 256 && !text.contains(':') && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| {
        bilingual!(
            "不是用户名。不能包含冒号或控制字符。",
            "not a user name. Colons and control characters are not allowed."
        )
    })
}

/// A name in a client certificate: a host name or a common name.
pub(super) fn client_name(text: &str) -> Result<String, Bilingual> {
    let fits = text.len() <= 255 && !text.trim().is_empty() && !text.chars().any(char::is_control);
    fits.then(|| text.trim().to_owned()).ok_or_else(|| {
        bilingual!(
            "不是证书中的名称。请填写证书的 DNS 名称或 CN。",
            "not a name of a certificate. Give its DNS name or its common name."
        )
    })
}

/// What a listener asks of TLS clients: `none`, `ask` or `require`.
pub(super) fn client_certificates(text: &str) -> Result<&'static str, Bilingual> {
    one_of(text, &["none", "ask", "require"])
}

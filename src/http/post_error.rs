//! Why a request has no answer, told by the step that failed and never by the words of an error.

use std::error::Error;
use std::io;

use super::address::BadTarget;
use crate::bilingual;
use crate::ground::text::{Bilingual, printable};

/// At which step a request failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PostErrorKind {
    /// The URL, or a header field, is not usable. Nothing was sent.
    BadUrl,
    /// The URL leads where this client may not go. Nothing was sent.
    Forbidden,
    /// The host name has no address. Nothing was sent.
    Resolve,
    /// No address accepted the connection. Nothing was sent.
    Connect,
    /// No connection stood in time. Nothing was sent.
    ConnectTimeout,
    /// The proxy is not there, or does not let the request through. Nothing was sent.
    Proxy,
    /// The TLS handshake failed for another reason than the server's certificate; or the server does not take ours, of which a
    /// client of TLS 1.3 hears when it has sent already (RFC 8446 4.4.2.4). Nothing was taken.
    Tls,
    /// Both sides have no TLS version in common. Nothing was sent.
    TlsVersion,
    /// The server's certificate is not the pinned one, or not trusted. Nothing was sent.
    Certificate,
    /// The server's certificate is not valid now, whoever has issued it. Nothing was sent.
    CertificateExpired,
    /// The server's certificate would be trusted, but is for another host. Nothing was sent.
    CertificateName,
    /// Our own body could not be read to its end.
    Body,
    /// A deadline passed; the peer may have everything.
    Timeout,
    /// The connection ended before the answer was complete; the peer may have everything.
    Closed,
    /// The answer is not HTTP/1.1.
    Protocol,
    /// The answer is larger than the cap.
    TooLarge,
}

impl PostErrorKind {
    /// Stable name, e.g. `connect-failed`.
    pub fn code(self) -> &'static str {
        match self {
            PostErrorKind::BadUrl => "bad-url",
            PostErrorKind::Forbidden => "address-forbidden",
            PostErrorKind::Resolve => "resolve-failed",
            PostErrorKind::Connect => "connect-failed",
            PostErrorKind::ConnectTimeout => "connect-timeout",
            PostErrorKind::Proxy => "proxy-failed",
            PostErrorKind::Tls => "tls-failed",
            PostErrorKind::TlsVersion => "tls-version",
            PostErrorKind::Certificate => "tls-certificate-refused",
            PostErrorKind::CertificateExpired => "tls-certificate-expired",
            PostErrorKind::CertificateName => "tls-certificate-name",
            PostErrorKind::Body => "body-unreadable",
            PostErrorKind::Timeout => "timeout",
            PostErrorKind::Closed => "connection-closed",
            PostErrorKind::Protocol => "not-http",
            PostErrorKind::TooLarge => "answer-too-large",
        }
    }

    /// The peer cannot have taken the request, nor any of it.
    pub fn nothing_sent(self) -> bool {
        use PostErrorKind::*;
        self.is_certificate()
            || matches!(self, BadUrl | Forbidden | Resolve | Connect | ConnectTimeout | Proxy | Tls | TlsVersion)
    }

    /// Somebody answers who does not prove to be the partner.
    pub fn is_certificate(self) -> bool {
        use PostErrorKind::*;
        matches!(self, Certificate | CertificateExpired | CertificateName)
    }
}

/// A request without an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct PostError {
    /// At which step.
    pub kind: PostErrorKind,
    /// English, for logs; printable, without request content.
    pub detail: String,
    /// A status of 2xx had come: the peer had read the request, and the rest of its answer is missing.
    pub answered: bool,
}

impl PostError {
    /// Without any answer.
    pub(crate) fn new(kind: PostErrorKind, detail: impl std::fmt::Display) -> PostError {
        PostError { kind, detail: printable(&detail.to_string()), answered: false }
    }

    /// A refused certificate is told apart from every other failure: somebody else may be answering.
    pub(super) fn from_tls(error: &io::Error) -> PostError {
        let cause = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        PostError::new(cause.map_or(PostErrorKind::Tls, kind_of_tls), error)
    }

    /// The same where the peer has answered on this connection before: it had let us in, and may have everything.
    pub(super) fn under_way(self) -> PostError {
        let kind = if self.kind == PostErrorKind::Tls { PostErrorKind::Closed } else { self.kind };
        PostError { kind, ..self }
    }

    /// Stable name.
    pub fn code(&self) -> &'static str {
        self.kind.code()
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        let detail = &self.detail;
        match self.kind {
            PostErrorKind::BadUrl => bilingual!(
                "URL 或请求头不可用（{detail}）；请检查配置",
                "the URL or a header field is not usable ({detail}); check the configuration"
            ),
            PostErrorKind::Forbidden => bilingual!(
                "不允许连接该地址（{detail}）；若对方在内网，请在合作方配置中允许 private_network",
                "this address may not be connected to ({detail}); if the partner is inside, allow private_network for it"
            ),
            PostErrorKind::Resolve => {
                bilingual!(
                    "域名无法解析（{detail}）；请检查 DNS",
                    "the host name cannot be resolved ({detail}); check DNS"
                )
            }
            PostErrorKind::Connect => bilingual!(
                "无法连接对方（{detail}）；请检查网络、防火墙和地址",
                "the partner cannot be connected to ({detail}); check network, firewall and address"
            ),
            PostErrorKind::ConnectTimeout => bilingual!(
                "在期限内未能与对方建立连接（{detail}）；请检查网络、防火墙和地址",
                "no connection to the partner stood in time ({detail}); check network, firewall and address"
            ),
            PostErrorKind::Proxy => bilingual!(
                "代理服务器无法连接或没有放行（{detail}）；请检查 [proxy] 的地址和凭据，以及代理的放行规则",
                "the proxy is not there or does not let the request through ({detail}); check address and credentials in [proxy], and the proxy's rules"
            ),
            PostErrorKind::Tls => bilingual!(
                "TLS 握手失败（{detail}）；请检查双方支持的版本和算法；对方要求客户端证书时，请核对 [http] certificate",
                "the TLS handshake failed ({detail}); check versions and algorithms on both sides, and [http] certificate where the partner asks for one"
            ),
            PostErrorKind::TlsVersion => bilingual!(
                "双方没有共同的 TLS 版本（{detail}）；网关使用 TLS 1.2 和 1.3，请对方启用",
                "there is no TLS version in common ({detail}); the gateway speaks TLS 1.2 and 1.3, which the partner should enable"
            ),
            PostErrorKind::CertificateExpired => bilingual!(
                "对方的 TLS 证书现在无效：已过期或尚未生效（{detail}）；请对方更换证书，并核对本机时钟",
                "the partner's TLS certificate is not valid now ({detail}); ask the partner to renew it, and check this machine's clock"
            ),
            PostErrorKind::CertificateName => bilingual!(
                "对方的 TLS 证书属于其他主机（{detail}）；请核对网址，并与对方核实",
                "the partner's TLS certificate is for another host ({detail}); check the URL, and ask the partner"
            ),
            PostErrorKind::Certificate => bilingual!(
                "对方的 TLS 证书不被信任（{detail}）；请与对方核实，必要时更新合作方证书",
                "the partner's TLS certificate is not trusted ({detail}); ask the partner, then update its certificate"
            ),
            PostErrorKind::Body => {
                bilingual!(
                    "要发送的内容无法读取（{detail}）；请检查磁盘",
                    "what is to be sent cannot be read ({detail}); check the disk"
                )
            }
            PostErrorKind::Timeout => {
                bilingual!(
                    "等待超时（{detail}）；收发报文的期限见合作方配置的 [delivery] timeout",
                    "a deadline passed ({detail}); that of messages is [delivery] timeout in the partner's file"
                )
            }
            PostErrorKind::Closed => bilingual!(
                "连接在应答完整之前中断（{detail}）",
                "the connection ended before the answer was complete ({detail})"
            ),
            PostErrorKind::Protocol => bilingual!(
                "应答不是 HTTP/1.1（{detail}）；请检查 URL 和端口",
                "the answer is not HTTP/1.1 ({detail}); check the URL and its port"
            ),
            PostErrorKind::TooLarge => bilingual!("应答过大（{detail}）", "the answer is too large ({detail})"),
        }
    }
}

fn kind_of_tls(error: &rustls::Error) -> PostErrorKind {
    use rustls::{AlertDescription, CertificateError, Error, PeerIncompatible};
    match error {
        Error::InvalidCertificate(problem) => match problem {
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => PostErrorKind::CertificateExpired,
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                PostErrorKind::CertificateName
            }
            _ => PostErrorKind::Certificate,
        },
        Error::NoCertificatesPresented => PostErrorKind::Certificate,
        Error::AlertReceived(AlertDescription::ProtocolVersion)
        | Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => PostErrorKind::TlsVersion,
        _ => PostErrorKind::Tls,
    }
}

impl From<BadTarget> for PostError {
    fn from(bad: BadTarget) -> PostError {
        let kind = if bad == BadTarget::Port { PostErrorKind::Forbidden } else { PostErrorKind::BadUrl };
        PostError::new(kind, bad)
    }
}

impl From<hyper::Error> for PostError {
    fn from(error: hyper::Error) -> PostError {
        let kind = if causes(&error).any(|cause| cause.downcast_ref().is_some_and(is_refusal)) {
            PostErrorKind::Tls
        } else if error.is_parse() || error.is_parse_too_large() {
            PostErrorKind::Protocol
        } else if error.is_user() {
            PostErrorKind::Body
        } else if error.is_timeout() {
            PostErrorKind::Timeout
        } else {
            PostErrorKind::Closed
        };
        // What hyper says is where it failed, not why.
        PostError::new(kind, deepest(&error))
    }
}

/// The server does not take our certificate, or wants one (RFC 8446 6.2).
fn is_refusal(error: &rustls::Error) -> bool {
    use rustls::AlertDescription::*;
    let rustls::Error::AlertReceived(alert) = error else { return false };
    matches!(
        alert,
        AccessDenied
            | BadCertificate
            | CertificateExpired
            | CertificateRequired
            | CertificateRevoked
            | CertificateUnknown
            | DecryptError
            | HandshakeFailure
            | UnknownCA
            | UnsupportedCertificate
    )
}

/// An error and what lies below it, to the deepest cause.
fn causes<'e>(error: &'e (dyn Error + 'static)) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| below(error))
}

/// What an [`io::Error`] wraps is no source of it: its source is that of what it wraps.
fn below<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    match error.downcast_ref::<io::Error>() {
        Some(wrapper) => wrapper.get_ref().map(|inner| inner as &(dyn Error + 'static)),
        None => error.source(),
    }
}

fn deepest<'e>(error: &'e (dyn Error + 'static)) -> &'e (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

#[cfg(test)]
#[path = "post_error_tests.rs"]
mod tests;

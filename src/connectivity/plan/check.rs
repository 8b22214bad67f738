//! What an interface case tries.

use serde::{Deserialize, Serialize};

use crate::bilingual;
use crate::ground::text::Bilingual;

/// A part of the road.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Check {
    /// The partner's host name has an address.
    NameResolution,
    /// One of them accepts a connection.
    Tcp,
    /// A TLS handshake; the chain is the pinned or a trusted one.
    Tls,
    /// An HTTP answer, whatever its status.
    Http,
    /// A signed message.
    Signed,
    /// An encrypted message.
    Encrypted,
    /// A compressed message.
    Compressed,
    /// The MDN comes in the response.
    SyncMdn,
    /// The MDN is POSTed to us later.
    AsyncMdn,
    /// The MDN is signed by the partner's pinned certificate.
    SignedReceipt,
    /// The MDN's MIC is ours.
    Mic,
    /// The first response is thrown away; the same bytes, sent again, are confirmed.
    LostResponse,
    /// A message that was confirmed is sent once more, and confirmed once more.
    Duplicate,
    /// A large message.
    LargeFile,
    /// A message signed with a certificate that the partner does not know is refused.
    WrongCertificate,
}

impl Check {
    /// All of them, in the order in which a plan tries them.
    pub const ALL: [Check; 15] = [
        Check::NameResolution,
        Check::Tcp,
        Check::Tls,
        Check::Http,
        Check::Signed,
        Check::Encrypted,
        Check::Compressed,
        Check::SyncMdn,
        Check::AsyncMdn,
        Check::SignedReceipt,
        Check::Mic,
        Check::LostResponse,
        Check::Duplicate,
        Check::LargeFile,
        Check::WrongCertificate,
    ];

    /// Its name in a plan.
    pub fn name(self) -> &'static str {
        match self {
            Check::NameResolution => "name-resolution",
            Check::Tcp => "tcp",
            Check::Tls => "tls",
            Check::Http => "http",
            Check::Signed => "signed",
            Check::Encrypted => "encrypted",
            Check::Compressed => "compressed",
            Check::SyncMdn => "sync-mdn",
            Check::AsyncMdn => "async-mdn",
            Check::SignedReceipt => "signed-receipt",
            Check::Mic => "mic",
            Check::LostResponse => "lost-response",
            Check::Duplicate => "duplicate",
            Check::LargeFile => "large-file",
            Check::WrongCertificate => "wrong-certificate",
        }
    }

    /// Its name for people.
    pub fn text(self) -> Bilingual {
        match self {
            Check::NameResolution => bilingual!("域名解析", "name resolution"),
            Check::Tcp => bilingual!("TCP 连接", "TCP connection"),
            Check::Tls => bilingual!("TLS 握手与证书链", "TLS handshake and chain"),
            Check::Http => bilingual!("HTTP 应答", "HTTP answer"),
            Check::Signed => bilingual!("签名报文", "signed message"),
            Check::Encrypted => bilingual!("加密报文", "encrypted message"),
            Check::Compressed => bilingual!("压缩报文", "compressed message"),
            Check::SyncMdn => bilingual!("同步回执 MDN", "synchronous MDN"),
            Check::AsyncMdn => bilingual!("异步回执 MDN", "asynchronous MDN"),
            Check::SignedReceipt => bilingual!("带签名的回执 MDN", "signed MDN"),
            Check::Mic => bilingual!("摘要 MIC 一致", "MIC match"),
            Check::LostResponse => bilingual!("应答丢失后重发", "retry after a lost response"),
            Check::Duplicate => bilingual!("重复报文", "duplicate"),
            Check::LargeFile => bilingual!("大报文", "large file"),
            Check::WrongCertificate => bilingual!("错误证书被拒绝", "a wrong certificate is refused"),
        }
    }

    /// Documents, or KiB, of what travels.
    pub fn usual_size(self) -> u32 {
        if self == Check::LargeFile { 100 } else { 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_check_is_the_one_in_a_plan() {
        for check in Check::ALL {
            assert_eq!(serde_json::to_value(check).expect("written"), check.name());
        }
    }
}

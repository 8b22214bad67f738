//! The parts of a partner that are plain settings.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::Partner;
use crate::declaration::dsig::DocumentSigner;
use crate::declaration::precheck::Levels;
use crate::declaration::schema;
use crate::ground::secret::Secret;
use crate::keys::TlsIdentity;

/// What travels in the payloads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Any payload, untouched.
    #[default]
    Plain,
    /// Declarations to customs: pre-checked and wrapped in the DXP envelope; answers are unwrapped and business receipts read.
    Dxp,
}

impl Profile {
    /// The name in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Profile::Plain => "plain",
            Profile::Dxp => "dxp",
        }
    }
}

/// Settings of the profile `dxp`.
#[derive(Debug, Clone)]
pub struct Dxp {
    /// Receiver of import declarations (`receiverIds` of the envelope).
    pub import_receiver: String,
    /// Receiver of export declarations.
    pub export_receiver: String,
    /// Who gets every declaration besides: at most four.
    pub more_receivers: Vec<String>,
    /// What the `AddInfo` of envelopes that the gateway makes says.
    pub add_info: AddInfoSettings,
    /// Code of the enterprise that the DXPID belongs to, as `BaseTransfer/copCode` must have it.
    pub cop_code: Option<String>,
    /// What the pre-check decides.
    pub precheck: Precheck,
    /// Levels of its findings that differ from the default ones.
    pub levels: Levels,
    /// Edition of the customs specification.
    pub edition: &'static str,
    /// Signatures of declarations.
    pub signature: DocumentSigning,
}

impl Dxp {
    /// What goes without a partner's own settings, under these levels.
    pub fn usual(levels: Levels) -> Dxp {
        Dxp {
            import_receiver: "DXPEDCCEB0000002".to_owned(),
            export_receiver: "DXPEDCCEB0000003".to_owned(),
            more_receivers: Vec::new(),
            add_info: AddInfoSettings::default(),
            cop_code: None,
            precheck: Precheck::default(),
            levels,
            edition: schema::CURRENT,
            signature: DocumentSigning::default(),
        }
    }
}

/// What the gateway writes into `AddInfo` of an envelope (终端节点报文 202205).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddInfoSettings {
    /// `FileName`.
    pub file_name: EnvelopeName,
    /// `IcCard`, 1 to 13 characters.
    pub ic_card: Option<String>,
    /// `BizKey/Key`, at most five.
    pub keys: Vec<KeyRule>,
    /// `IsText` says that `Data` is text, and in which character set: that of the declaration.
    pub is_text: bool,
    /// `RecMapId`.
    pub map_id: Option<String>,
}

/// The `FileName` of an envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum EnvelopeName {
    /// `<MsgType>_<CopMsgId>.xml`.
    #[default]
    Generated,
    /// The name of the file in the outbox.
    Original,
    /// There is none.
    Absent,
}

/// Where a business key of an envelope comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRule {
    /// This key field of the message's first document, when it has it; the field's name is the key's.
    Field(String),
    /// Always the same: name and value.
    Always(String, String),
}

/// How declarations are signed (XML-DSig), beside the signature of AS2.
#[derive(Debug, Clone)]
pub struct DocumentSigning {
    /// What signs bare declarations that come without a signature; `None`: they go as they are.
    pub key: Option<DocumentKey>,
    /// The DxpMsg that the gateway makes is signed too.
    pub envelope: bool,
    /// The signature of a declaration that comes with one is verified.
    pub verify: bool,
    /// Code and name of the enterprise that the signing certificate belongs to.
    pub enterprise: Option<(String, String)>,
}

impl Default for DocumentSigning {
    fn default() -> Self {
        DocumentSigning { key: None, envelope: false, verify: true, enterprise: None }
    }
}

/// A key that signs declarations.
#[derive(Debug, Clone)]
pub struct DocumentKey {
    /// The signer.
    pub signer: Arc<dyn DocumentSigner>,
    /// Least time between two signatures: a Ukey makes about four a second.
    pub interval: Duration,
    /// The file the certificate came from, for reports.
    pub file: PathBuf,
}

impl Partner {
    /// The key that signs declarations to this partner.
    pub fn document_key(&self) -> Option<&DocumentKey> {
        self.dxp.as_ref()?.signature.key.as_ref()
    }
}

/// What the pre-check decides about a declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precheck {
    /// One with errors is refused.
    #[default]
    Enforce,
    /// It is sent; findings stay with the message.
    Warn,
    /// It is sent; findings are not looked at.
    Off,
}

/// When a failed attempt is repeated. The decision itself is made in `outbound::retry`.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrySchedule {
    /// Pause after attempt 1, 2, …; the last one repeats. Never empty.
    pub delays: Vec<Duration>,
    /// Time after the message was queued at which delivery gives up.
    pub give_up_after: Duration,
    /// Each pause varies at random by up to this fraction, 0.0 to 0.5.
    pub jitter: f64,
    /// HTTP status codes that are repeated although they are final by default.
    pub retry_status: Vec<u16>,
}

/// How messages are carried to the partner.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Resolve, connect and TLS handshake.
    pub connect_timeout: Duration,
    /// For the answer once the message is out, and for each silence of the line while it goes out.
    pub timeout: Duration,
    /// Connections at the same time, to each of its servers.
    pub concurrency: usize,
    /// Repetition of failed attempts.
    pub retry: RetrySchedule,
    /// A negative MDN that says `unexpected-processing-error` is a passing trouble: the same bytes are sent again.
    pub retry_processing_error: bool,
    /// Every retry that the partner may have seen before is composed anew under a Message-ID of its own.
    pub fresh_message_id: bool,
    /// An MDN that calls a message a duplicate is believed without a MIC, whatever came of the attempts before.
    pub believe_duplicates: bool,
    /// A folder in the outbox is one message with all its files.
    pub folders_as_messages: bool,
    /// The partner's URL may resolve to a private or loopback address.
    pub private_network: bool,
}

/// What the partner's HTTP server wants to see besides AS2.
#[derive(Debug, Clone, Default)]
pub struct HttpAccess {
    /// `Authorization` header.
    pub authorization: Option<Authorization>,
    /// Client certificate.
    pub identity: Option<TlsIdentity>,
    /// Bodies go out chunked, without `Content-Length`.
    pub chunked: bool,
    /// Bodies wait until the server says `100 Continue`.
    pub expect_continue: bool,
    /// A large body whose connection broke off goes on where the server says it did (AS2 Restart).
    pub restart: bool,
    /// The way out.
    pub proxy: Option<Proxy>,
    /// Its server knows no TLS newer than 1.1; counts while a waiver lasts.
    pub old_tls: bool,
}

/// A forward proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// `http://host:port`.
    pub url: String,
    /// Its credentials.
    pub authorization: Option<Authorization>,
    /// What is reached without it: host names with all names below, addresses, networks, or `*`.
    pub no_proxy: Vec<String>,
}

/// Credentials in the `Authorization` header.
#[derive(Debug, Clone)]
pub enum Authorization {
    /// RFC 7617.
    Basic {
        /// User name, without a colon.
        user: String,
        /// Password.
        password: Secret<String>,
    },
    /// RFC 6750.
    Bearer(Secret<String>),
}

impl Authorization {
    /// The header's value.
    pub fn header_value(&self) -> Secret<String> {
        use base64::Engine as _;
        Secret::new(match self {
            Authorization::Basic { user, password } => {
                let pair = zeroize::Zeroizing::new(format!("{user}:{}", password.expose()));
                format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair.as_bytes()))
            }
            Authorization::Bearer(token) => format!("Bearer {}", token.expose()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_those_of_rfc_7617() {
        let basic = Authorization::Basic { user: "Aladdin".into(), password: Secret::new("open sesame".into()) };
        assert_eq!(basic.header_value().expose(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert!(!format!("{basic:?}").contains("sesame"));
    }
}

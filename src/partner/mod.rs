//! Who we are and whom we exchange with: the [`Station`], each [`Partner`] with its agreement, and the [`Directory`].
//!
//! Configuration becomes policy here: a partner gives an [`as2::SendPlan`](crate::as2::SendPlan) for what we send and an
//! [`as2::AcceptPolicy`](crate::as2::AcceptPolicy) for what we take. Nothing in a message can change either (RFC 4130 8).

pub mod agreement;
pub mod directory;
pub mod environment;
pub mod settings;
pub mod trial;
pub mod url;
pub mod waiver;

pub use agreement::{Accept, Agreement, MdnAgreement, PlanError};
pub use directory::Directory;
pub use environment::{Environment, EnvironmentName};
pub use settings::{
    AddInfoSettings, Authorization, Delivery, DocumentKey, DocumentSigning, Dxp, EnvelopeName, HttpAccess, KeyRule,
    Precheck, Profile, Proxy, RetrySchedule,
};
pub use url::PartnerUrl;
pub use waiver::{Waived, Waiver, Waivers};

use std::borrow::Cow;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::as2::{As2Name, Signing};
use crate::cms::{DigestAlgorithm, SignatureScheme};
use crate::keys::{CertificateSet, KeyRing};

/// Our side.
#[derive(Debug, Clone)]
pub struct Station {
    /// The transport identity issued by customs; absent when no partner has the profile `dxp`.
    pub dxpid: Option<String>,
    /// Our AS2 name (`AS2-From` of what we send).
    pub as2_name: As2Name,
    /// A name for people.
    pub name: Option<String>,
    /// Test or production.
    pub environment: Environment,
    /// Our keys.
    pub keys: KeyRing,
    /// Right half of the Message-IDs that we make.
    pub message_id_host: String,
    /// Where partners send asynchronous MDNs, unless the agreement names another URL.
    pub receipt_url: Option<String>,
}

impl Station {
    /// The same side with keys [withheld](KeyRing::withholding); itself when there are none.
    pub fn withholding(&self, fingerprints: &[String]) -> Cow<'_, Station> {
        if fingerprints.is_empty() {
            return Cow::Borrowed(self);
        }
        Cow::Owned(Station { keys: self.keys.withholding(fingerprints), ..self.clone() })
    }

    /// Signing material for `now`: the newest active key that signs with `scheme`, or the newest of all with the scheme
    /// that is usual for it. SM2 signs over SM3 whatever `digest` says. `None` when no such key is active, for SHA-1 and
    /// MD5, over which AS2 signs nothing, and for SM3 under another scheme than SM2.
    pub fn signing(&self, now: Timestamp, digest: DigestAlgorithm, scheme: Option<SignatureScheme>) -> Option<Signing> {
        let key = self.keys.signing_key(now, scheme).filter(|_| !digest.is_legacy())?;
        let scheme = scheme.unwrap_or_else(|| SignatureScheme::usual_for(key.key.kind()));
        let digest = if scheme == SignatureScheme::Sm2 { DigestAlgorithm::Sm3 } else { digest };
        scheme.goes_with(digest).then_some(Signing { key, digest, scheme })
    }
}

/// The other side of an exchange.
#[derive(Debug, Clone)]
pub struct Partner {
    /// Stem of its file; also its folder below `exchange/` and its name in the API.
    pub id: String,
    /// The file it was read from.
    pub file: PathBuf,
    /// Its AS2 name (`AS2-To` of what we send).
    pub as2_name: As2Name,
    /// A name for people.
    pub name: Option<String>,
    /// Where its AS2 server listens.
    pub url: PartnerUrl,
    /// What travels in the payloads.
    pub profile: Profile,
    /// A disabled partner keeps its folders and its history; nothing is sent or accepted.
    pub enabled: bool,
    /// `Content-Type` of payloads that do not bring their own.
    pub content_type: String,
    /// The same by extension of the file name, in any case and without the dot.
    pub content_types: Vec<(String, String)>,
    /// `Subject` of what we send.
    pub subject: Option<String>,
    /// Its pinned certificates.
    pub certificates: CertificateSet,
    /// What we do when we send.
    pub agreement: Agreement,
    /// What we demand of what we receive.
    pub accept: Accept,
    /// Outdated algorithms that are allowed until a date.
    pub waivers: Waivers,
    /// Attempts, timeouts, parallel connections.
    pub delivery: Delivery,
    /// Credentials of its HTTP server.
    pub http: HttpAccess,
    /// Settings of the profile `dxp`; present exactly when the profile is [`Profile::Dxp`].
    pub dxp: Option<Dxp>,
}

//! A message of the connectivity test that travels otherwise than the agreement says: signed, compressed, confirmed
//! later, and so on. It is for that message alone, and what was done is in its evidence like the agreement of any other.

use super::{Partner, Station};
use crate::as2::{Compression, MdnMode};
use crate::bilingual;
use crate::cms::{ContentCipher, DigestAlgorithm, SignatureScheme};
use crate::ground::text::Bilingual;

/// What shall be different; a field left empty stays as agreed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trial {
    /// It is signed.
    pub sign: bool,
    /// It is encrypted.
    pub encrypt: bool,
    /// It is compressed.
    pub compress: bool,
    /// How its MDN comes back.
    pub mdn: Option<MdnWay>,
    /// Its MDN is signed.
    pub signed_mdn: bool,
    /// It is signed with a key that nobody knows.
    pub foreign_signer: bool,
    /// The answer to its first attempt is thrown away.
    pub lose_first_answer: bool,
}

/// How an MDN comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MdnWay {
    /// In the response.
    Sync,
    /// By a POST of the partner.
    Async,
}

/// An asynchronous MDN has nowhere to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no public_url is configured")]
pub struct NoPublicUrl;

impl NoPublicUrl {
    /// Stable code.
    pub const CODE: &'static str = "public-url-missing";

    /// What is wrong and what to do.
    pub fn text() -> Bilingual {
        bilingual!(
            "未配置接收异步回执的网址。请在 gateway.toml 的 [as2] 中设置 public_url。",
            "there is no URL for asynchronous MDNs. Set public_url in [as2] of gateway.toml."
        )
    }
}

impl Trial {
    /// The partner as it is for this message.
    ///
    /// # Errors
    /// The MDN shall come by a POST, and there is no URL for it.
    pub fn of(&self, partner: &Partner, station: &Station) -> Result<Partner, NoPublicUrl> {
        let mut partner = partner.clone();
        let agreement = &mut partner.agreement;
        if self.sign || self.foreign_signer {
            agreement.sign = agreement.sign.or(Some(SignatureScheme::RsaPkcs1));
        }
        if self.encrypt {
            agreement.encrypt = agreement.encrypt.or(Some(ContentCipher::Aes256Cbc));
        }
        if self.compress && agreement.compress == Compression::None {
            agreement.compress = Compression::BeforeSigning;
        }
        let ask = &mut agreement.mdn.ask;
        match self.mdn {
            None => {}
            Some(MdnWay::Sync) => ask.mode = MdnMode::Sync,
            Some(MdnWay::Async) if matches!(ask.mode, MdnMode::Async { .. }) => {}
            Some(MdnWay::Async) => {
                ask.mode = MdnMode::Async { url: station.receipt_url.clone().ok_or(NoPublicUrl)? };
            }
        }
        ask.signed |= self.signed_mdn;
        if self.foreign_signer {
            // A key made for the occasion is RSA, whatever ours are.
            agreement.sign = Some(SignatureScheme::RsaPkcs1);
            if agreement.digest == DigestAlgorithm::Sm3 {
                agreement.digest = DigestAlgorithm::Sha256;
            }
        }
        Ok(partner)
    }
}

//! What both sides agreed on, and the plans that follow from it.

use std::time::Duration;

use jiff::Timestamp;

use super::{Partner, PartnerUrl, Station, Waivers};
use crate::as2::{AcceptPolicy, As2Version, Compression, Encryption, MdnAsk, MicalgStyle, SendPlan, Signing};
use crate::bilingual;
use crate::cms::{Certificate, ContentCipher, DigestAlgorithm, GcmForm, KeyTransport, SignatureScheme};
use crate::ground::text::Bilingual;

/// What we do to a payload when we send it (RFC 4130 2.4.2, RFC 5402 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreement {
    /// How we sign; `None` sends unsigned.
    pub sign: Option<SignatureScheme>,
    /// Digest of our signatures.
    pub digest: DigestAlgorithm,
    /// How we encrypt the content; `None` sends in the clear.
    pub encrypt: Option<ContentCipher>,
    /// How the content key travels.
    pub key_transport: KeyTransport,
    /// How AES-GCM is written, for products that do not read AuthEnvelopedData.
    pub gcm_form: GcmForm,
    /// Envelopes go out in base64, for products that read nothing else.
    pub base64: bool,
    /// Whether and where we compress.
    pub compress: Compression,
    /// Spelling of `micalg` for partners that know only one.
    pub micalg_style: MicalgStyle,
    /// `AS2-Version` of messages and receipts.
    pub version: As2Version,
    /// The receipt we ask for.
    pub mdn: MdnAgreement,
}

/// The receipt we ask for (RFC 4130 7.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MdnAgreement {
    /// How it comes back, whether it is signed, and with which digests.
    pub ask: MdnAsk,
    /// An asynchronous receipt is late after this time.
    pub deadline: Duration,
}

/// What a message from the partner must satisfy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept {
    /// It must be signed.
    pub signature: bool,
    /// It must be encrypted.
    pub encryption: bool,
    /// Digests a signature may use.
    pub digests: Vec<DigestAlgorithm>,
    /// Signature schemes.
    pub schemes: Vec<SignatureScheme>,
    /// Content ciphers.
    pub ciphers: Vec<ContentCipher>,
    /// AES-GCM may stand in EnvelopedData.
    pub gcm_in_enveloped_data: bool,
    /// The MIC of a signed message has the first algorithm that the partner lists.
    pub mic_as_listed: bool,
    /// The MIC of an unsigned message for which the partner lists no algorithm.
    pub mic_unlisted: DigestAlgorithm,
    /// Files of a multipart of files (RFC 6362) are put into the inbox one by one.
    pub split_attachments: bool,
    /// Repetitions are answered `processed/warning: duplicate-document` (RFC 4130 7.5.6) instead of with the first receipt.
    pub warned_of_repetitions: bool,
    /// Where no signature is demanded, one by somebody unknown is taken for none and answered `processed/warning:
    /// authentication-failed, processing continued` (RFC 4130 7.5.5) instead of refused.
    pub unknown_signers: bool,
    /// A payload whose file name cannot stand as it is, or was that of an accepted one before, is refused
    /// (draft-harding-ediint-filename-preservation).
    pub unique_file_names: bool,
    /// What came of a body whose connection broke off is kept, and may be gone on with (AS2 Restart).
    pub restart: bool,
    /// Bytes of a payload after decryption and decompression.
    pub max_payload: u64,
    /// Its requests must come over TLS with a certificate that is the partner's own.
    pub client_certificate: bool,
    /// Names, of which a client certificate that a listener's issuers vouch for must bear one to be the partner's.
    pub client_names: Vec<String>,
    /// Servers that asynchronous MDNs may be sent to, besides the partner's own.
    pub async_mdn_urls: Vec<PartnerUrl>,
}

impl Accept {
    /// No signature is demanded, and no cipher without a tag is taken at `now`, under a waiver neither: that a message is accepted
    /// tells nobody of the padding of another one.
    pub fn is_believed_unsigned(&self, waivers: &Waivers, now: Timestamp) -> bool {
        !self.signature && waivers.ciphers(&self.ciphers, now).into_iter().all(ContentCipher::is_aead)
    }
}

/// Why nothing can be sent to the partner at this moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The partner is disabled.
    #[error("the partner is disabled")]
    Disabled,
    /// None of our keys signs now, or none of them as the agreement says.
    #[error("no key of the station is active for signing as agreed")]
    NoSigningKey,
    /// None of the partner's certificates can be encrypted to now.
    #[error("no certificate of the partner is active for encryption")]
    NoEncryptionCertificate,
    /// The certificate that would be encrypted to is revoked by its issuer.
    #[error("the partner's certificate for encryption is revoked")]
    CertificateRevoked,
    /// The agreement names an outdated algorithm whose waiver has ended.
    #[error("the waiver for an algorithm of the agreement has ended")]
    WaiverExpired,
}

impl PlanError {
    /// Stable code.
    pub fn code(self) -> &'static str {
        match self {
            PlanError::Disabled => "partner-disabled",
            PlanError::NoSigningKey => "no-active-signing-key",
            PlanError::NoEncryptionCertificate => "no-active-encryption-certificate",
            PlanError::CertificateRevoked => "certificate-revoked",
            PlanError::WaiverExpired => "waiver-expired",
        }
    }

    /// What happened and what to do.
    pub fn text(self) -> Bilingual {
        match self {
            PlanError::Disabled => bilingual!(
                "该伙伴已停用。请在其配置文件中设置 enabled = true。",
                "the partner is disabled. Set enabled = true in its file."
            ),
            PlanError::NoSigningKey => bilingual!(
                "当前没有可按约定方式签名的本站密钥（已过期、未到启用时间，或密钥类型与 sign 不符）。请在 gateway.toml 的 [[station.keys]] 中加入密钥。",
                "none of our keys is active for signing as agreed (expired, not yet begun, or not of the kind that sign needs). Add one under [[station.keys]] in gateway.toml."
            ),
            PlanError::NoEncryptionCertificate => bilingual!(
                "当前没有可用于加密的伙伴证书（已过期、未到启用时间，或与 key_transport 不符）。请向对方索取新证书并加入 [[certificates]]。",
                "none of the partner's certificates is active for encryption (expired, not yet begun, or not fit for key_transport). Obtain one and add it under [[certificates]]."
            ),
            PlanError::CertificateRevoked => bilingual!(
                "伙伴的加密证书已被其签发者吊销，不再向其加密。请向对方索取新证书并加入 [[certificates]]。",
                "the partner's certificate for encryption is revoked by its issuer; nothing is encrypted to it. Obtain a new one and add it under [[certificates]]."
            ),
            PlanError::WaiverExpired => bilingual!(
                "协议使用的过时算法的豁免已到期。请在 [agreement] 中改用 SHA-256 和 AES，或重新评估后延长 [[waivers]]。",
                "the waiver for an outdated algorithm of the agreement has ended. Use SHA-256 and AES in [agreement], or decide anew about [[waivers]]."
            ),
        }
    }
}

impl Partner {
    /// How a payload is sent at `now`. `content_type` overrides the partner's default.
    ///
    /// # Errors
    /// The partner is disabled, or a key or certificate that the agreement needs is not active.
    pub fn send_plan(
        &self,
        station: &Station,
        now: Timestamp,
        file_name: Option<&str>,
        content_type: Option<&str>,
    ) -> Result<SendPlan, PlanError> {
        if !self.enabled {
            return Err(PlanError::Disabled);
        }
        let mut ask = self.agreement.mdn.ask.clone();
        ask.micalgs.retain(|digest| self.waivers.allow_digest(*digest, now));
        Ok(SendPlan {
            from: station.as2_name.clone(),
            to: self.as2_name.clone(),
            signing: self.signing(station, now)?,
            encryption: self.encryption(now)?,
            compression: self.agreement.compress,
            mdn: ask,
            content_type: content_type.unwrap_or_else(|| self.content_type_of(file_name)).to_owned(),
            file_name: file_name.map(str::to_owned),
            subject: self.subject.clone(),
            micalg_style: self.agreement.micalg_style,
            version: self.agreement.version,
        })
    }

    /// See [`Accept::is_believed_unsigned`].
    pub fn is_believed_unsigned(&self, now: Timestamp) -> bool {
        self.accept.is_believed_unsigned(&self.waivers, now)
    }

    /// What an incoming message must satisfy at `now`. A waiver adds its algorithm until it ends. Receipts have MICs in SM3
    /// where signatures may.
    pub fn accept_policy(&self, now: Timestamp) -> AcceptPolicy {
        let mut mic_algorithms = DigestAlgorithm::ALL.to_vec();
        if self.waivers.allow_digest(DigestAlgorithm::Md5, now) {
            mic_algorithms.push(DigestAlgorithm::Md5);
        }
        if self.accept.digests.contains(&DigestAlgorithm::Sm3) {
            mic_algorithms.push(DigestAlgorithm::Sm3);
        }
        AcceptPolicy {
            require_signature: self.accept.signature,
            require_encryption: self.accept.encryption,
            digests: self.signature_digests(now),
            schemes: self.accept.schemes.clone(),
            ciphers: self.waivers.ciphers(&self.accept.ciphers, now),
            gcm_in_enveloped: self.accept.gcm_in_enveloped_data,
            mic_algorithms,
            mic_as_listed: self.accept.mic_as_listed,
            mic_unlisted: self.accept.mic_unlisted,
            unknown_signers: self.accept.unknown_signers,
            max_payload: self.accept.max_payload,
        }
    }

    /// The digests that signatures of the partner may use at `now`, those of its receipts too.
    pub fn signature_digests(&self, now: Timestamp) -> Vec<DigestAlgorithm> {
        self.waivers.digests(&self.accept.digests, now)
    }

    /// The certificates that verify the partner's signatures at `now`.
    pub fn trusted(&self, now: Timestamp) -> Vec<Certificate> {
        self.certificates.verifying(now)
    }

    /// Certificates that verified the partner's signatures until their issuers took them back: to tell a signature by
    /// one of them from one by a stranger, never to believe it.
    pub fn distrusted(&self, now: Timestamp) -> Vec<Certificate> {
        let revoked = self.certificates.revoked();
        let verifying = revoked.iter().filter(|one| one.uses.verify && one.window.holds(now));
        verifying.map(|one| one.certificate.clone()).collect()
    }

    /// Whether a certificate that a TLS client has shown is this partner's: one that it handed over for that, or one
    /// with its name, where `issued` says that the listener's issuers vouch for it.
    pub fn is_client(&self, der: &[u8], issued: bool, now: Timestamp) -> bool {
        if self.certificates.clients(now).iter().any(|certificate| certificate.der() == der) {
            return true;
        }
        let bears = |name: &String| self.accept.client_names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name));
        let counts = |certificate: Certificate| {
            certificate.names().iter().any(bears) && !self.certificates.is_revoked(&certificate)
        };
        issued && Certificate::from_der(der).is_ok_and(counts)
    }

    /// Whether an asynchronous MDN may be sent to this URL, which came in a message: only to the partner's own server
    /// or to one that the operator listed. Scheme, host and port must be equal.
    pub fn allows_async_mdn_to(&self, url: &str) -> bool {
        let Ok(url) = PartnerUrl::parse(url) else { return false };
        self.url.same_origin(&url) || self.accept.async_mdn_urls.iter().any(|listed| listed.same_origin(&url))
    }

    /// The media type of a file: by its extension, else the partner's default.
    pub fn content_type_of(&self, file_name: Option<&str>) -> &str {
        let extension = file_name.and_then(|name| name.rsplit_once('.')).map(|(_, extension)| extension);
        let listed = |extension: &str| {
            self.content_types.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension)).map(|(_, kind)| kind)
        };
        extension.and_then(listed).unwrap_or(&self.content_type)
    }

    fn signing(&self, station: &Station, now: Timestamp) -> Result<Option<Signing>, PlanError> {
        let Some(scheme) = self.agreement.sign else { return Ok(None) };
        station.signing(now, self.agreement.digest, Some(scheme)).map(Some).ok_or(PlanError::NoSigningKey)
    }

    fn encryption(&self, now: Timestamp) -> Result<Option<Encryption>, PlanError> {
        let Some(cipher) = self.agreement.encrypt else { return Ok(None) };
        if !self.waivers.allow_cipher(cipher, now) {
            return Err(PlanError::WaiverExpired);
        }
        let transport = self.agreement.key_transport;
        let recipient = self.certificates.encrypting(now, transport).ok_or_else(|| {
            let taken_back = self.certificates.revoked().iter().any(|one| one.uses.encrypt && one.window.holds(now));
            if taken_back { PlanError::CertificateRevoked } else { PlanError::NoEncryptionCertificate }
        })?;
        let Agreement { gcm_form, base64, .. } = self.agreement;
        Ok(Some(Encryption { recipients: vec![recipient], cipher, gcm_form, transport, base64 }))
    }
}

//! Certificate exchange (draft-meadors-certificate-exchange): asking a partner to trust certificates of ours, and telling
//! it what a person decided about its own. Both are messages like all others; what they mean is recorded with them, in
//! one transaction.

use std::sync::Arc;

use jiff::Timestamp;

use super::Outbound;
use super::bundle::SUFFIX;
use super::intake::{IntakeError, at_hand};
use crate::as2::ComposeError;
use crate::as2::cem::{
    self, CertUsage, CertificateReference, ExchangeRequest, ExchangeResponse, TradingPartnerInfo, TrustRequest,
    TrustResponse,
};
use crate::bilingual;
use crate::cms::Certificate;
use crate::ground::drain;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::partner::{Partner, Profile};
use crate::store::draft::Draft;
use crate::store::exchange::{AskedCertificate, CertificateExchange, ExchangeStep, Word};
use crate::store::record::Direction;
use crate::store::trail::Change;

/// What a partner shall be asked.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The partner's id.
    pub partner: String,
    /// Certificates of ours, and what they are to be used for.
    pub certificates: Vec<(Certificate, Vec<CertUsage>)>,
    /// Until when an answer is wanted.
    pub respond_by: Option<Timestamp>,
}

/// Why a request or a response was not sent.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The partner's payloads are declarations: customs exchanges certificates over its portal.
    #[error("partner {0} takes declarations and nothing else")]
    Declarations(String),
    /// Nobody could tell who asks.
    #[error("messages to partner {0} are not signed")]
    Unsigned(String),
    /// The partner cannot be told where we are.
    #[error("public_url is missing")]
    NoUrl,
    /// Too many certificates at once, or none.
    #[error("a request is about 1 to {} certificates", cem::MAX_CERTIFICATES)]
    Number,
    /// Somebody has answered, or a newer request has taken its place.
    #[error("the exchange {0} is over")]
    Over(Id),
    /// A certificate of the exchange is no longer kept.
    #[error("the certificate {0} is not kept any more")]
    Gone(String),
    /// A value cannot be written.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// It could not be recorded.
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

impl ExchangeError {
    /// Stable code, but for [`ExchangeError::Intake`], which has those of its cause.
    pub fn code(&self) -> &'static str {
        match self {
            ExchangeError::Declarations(_) => "exchange-declarations-only",
            ExchangeError::Unsigned(_) => "exchange-unsigned",
            ExchangeError::NoUrl => "exchange-no-url",
            ExchangeError::Number => "exchange-number",
            ExchangeError::Over(_) => "exchange-over",
            ExchangeError::Gone(_) => "exchange-certificate-gone",
            ExchangeError::Compose(_) => "compose-failed",
            ExchangeError::Intake(_) => "intake-failed",
        }
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            ExchangeError::Declarations(id) => bilingual!(
                "伙伴 {id} 是海关（profile = \"dxp\"），不使用 CEM 交换证书。请按海关的流程更换证书。",
                "partner {id} is customs (profile = \"dxp\"), which exchanges no certificates by CEM. Replace the certificate the way customs says."
            ),
            ExchangeError::Unsigned(id) => bilingual!(
                "发往伙伴 {id} 的报文不签名，对方无法确认证书来自我方。请在其文件的 [agreement] 中启用 sign，或以其他方式交付证书。",
                "messages to partner {id} are not signed, so it could not tell that the certificates are ours. Set sign under [agreement] in its file, or hand them over by other means."
            ),
            ExchangeError::NoUrl => bilingual!(
                "请求中须写明我方地址。请在 gateway.toml 的 [as2] 中填写 public_url。",
                "a request names our address. Give public_url under [as2] in gateway.toml."
            ),
            ExchangeError::Number => {
                let most = cem::MAX_CERTIFICATES;
                bilingual!("一次请求须包含 1 至 {most} 张证书。", "a request is about 1 to {most} certificates.")
            }
            ExchangeError::Over(id) => bilingual!(
                "证书交换 {id} 已结束。用 dxgate cert exchanges --all 查看结果。",
                "the certificate exchange {id} is over. dxgate cert exchanges --all shows how it ended."
            ),
            ExchangeError::Gone(fingerprint) => bilingual!(
                "证书 {fingerprint} 的存档已损坏或丢失。请对方重新发送请求。",
                "the kept certificate {fingerprint} is damaged or gone. Ask the partner to send its request again."
            ),
            ExchangeError::Compose(error) => {
                bilingual!("无法生成报文：{error}。", "the message could not be composed: {error}.")
            }
            ExchangeError::Intake(error) => {
                bilingual!(
                    "报文无法登记：{error}。请稍后重试。",
                    "the message could not be recorded: {error}. Try again."
                )
            }
        }
    }
}

impl Outbound {
    /// Asks a partner to trust certificates of ours; durable when this returns the id of message and exchange. From then
    /// on those that shall sign are not used to sign for this partner until it accepts them, as long as another key
    /// signs. `by` says who asks.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub async fn ask_for_trust(&self, asking: Asking, by: Change) -> Result<Id, ExchangeError> {
        let _in_turn = self.exchanging.lock().await;
        let partner = self.exchanging_partner(&asking.partner)?;
        if asking.certificates.is_empty() || asking.certificates.len() > cem::MAX_CERTIFICATES {
            return Err(ExchangeError::Number);
        }
        let response_url = self.station.receipt_url.clone().ok_or(ExchangeError::NoUrl)?;
        let (now, respond_by) = (self.clock.now(), asking.respond_by);
        let id = Id::new(now);
        let trust = asking.certificates.iter().map(|(certificate, usages)| TrustRequest {
            usages: usages.clone(),
            respond_by,
            response_url: response_url.clone(),
            certificate: certificate.clone(),
            reference: CertificateReference::of(certificate),
            chain: Vec::new(),
        });
        let request_id = format!("{id}@{}", self.settings.message_id_host);
        let request = ExchangeRequest { request_id: request_id.clone(), from: self.who(now), trust: trust.collect() };
        let payload = cem::request_payload(&request, id, &self.settings.message_id_host)?;
        let mut asked = Vec::new();
        for (certificate, usages) in asking.certificates {
            let CertificateReference { issuer, serial } = CertificateReference::of(&certificate);
            let fingerprint = self.kept(certificate).await?;
            asked.push(AskedCertificate { fingerprint, usages, respond_by, issuer, serial });
        }
        let awaited: Vec<String> = asked.iter().map(|asked| asked.fingerprint.clone()).collect();
        let (partner_id, direction) = (partner.id.clone(), Direction::Outbound);
        let step = ExchangeStep::Asked { partner: partner_id, direction, request_id, certificates: asked };
        // The request itself is signed with a key that the partner trusts.
        let flow = Outbound { station: self.station.withholding(&awaited).into_owned().into(), ..self.clone() };
        let name = format!("certificate-request-{id}{SUFFIX}");
        flow.accept(partner, id, &name, Some(step.change(id, by)), at_hand(Draft::Inline(payload))).await?;
        Ok(id)
    }

    /// Tells the partner what was decided about its certificates; durable when this returns the id of the message. `by`
    /// says who decided.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub async fn answer_trust(&self, exchange: Id, words: Vec<Word>, by: Change) -> Result<Id, ExchangeError> {
        let _in_turn = self.exchanging.lock().await;
        let open =
            |one: &CertificateExchange| one.id == exchange && one.is_open() && one.direction == Direction::Inbound;
        let open = self.store.exchanges().into_iter().find(open).ok_or(ExchangeError::Over(exchange))?;
        let partner = self.exchanging_partner(&open.partner)?;
        let now = self.clock.now();
        let id = Id::new(now);
        let trust = open.certificates.iter().filter_map(|asked| response_to(asked, &words)).collect();
        let response = ExchangeResponse { request_id: open.request_id, from: self.who(now), trust };
        let payload = cem::response_payload(&response, id, &self.settings.message_id_host)?;
        let step = ExchangeStep::Answered { answer: id, words };
        let name = format!("certificate-response-{id}{SUFFIX}");
        let change = step.change(exchange, by);
        self.accept(partner, id, &name, Some(change), at_hand(Draft::Inline(payload))).await?;
        Ok(id)
    }

    /// The enabled partner with this id, if certificates are exchanged with it by messages.
    ///
    /// # Errors
    /// [`ExchangeError`].
    pub fn exchanging_partner(&self, id: &str) -> Result<Arc<Partner>, ExchangeError> {
        let partner = self.enabled_partner(id)?;
        if partner.profile == Profile::Dxp {
            return Err(ExchangeError::Declarations(partner.id.clone()));
        }
        match partner.agreement.sign {
            Some(_) => Ok(partner),
            None => Err(ExchangeError::Unsigned(partner.id.clone())),
        }
    }

    fn who(&self, now: Timestamp) -> TradingPartnerInfo {
        TradingPartnerInfo { name: self.station.as2_name.as_str().to_owned(), originated: Some(now) }
    }

    async fn kept(&self, certificate: Certificate) -> Result<String, IntakeError> {
        let store = self.store.clone();
        let kept = drain::blocking(move || store.keep_certificate(certificate.der())).await;
        Ok(kept.map_err(std::io::Error::other).and_then(|kept| kept)?)
    }
}

/// One for each that was asked about, named as the request names it.
fn response_to(asked: &AskedCertificate, words: &[Word]) -> Option<TrustResponse> {
    let word = words.iter().find(|word| word.fingerprint == asked.fingerprint)?;
    let reference = CertificateReference { issuer: asked.issuer.clone(), serial: asked.serial.clone() };
    Some(TrustResponse { accepted: word.accepted, reason: word.reason.clone(), reference })
}

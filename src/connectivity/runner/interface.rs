//! 数据交换接口测试: the road, whatever travels on it.

use super::book::Book;
use super::sending::Sent;
use crate::bilingual;
use crate::cms::Certificate;
use crate::connectivity::explain::negative;
use crate::connectivity::gateway::Gateway;
use crate::connectivity::plan::Check;
use crate::connectivity::run::{CertificateEvidence, Layer, TlsEvidence};
use crate::http::probe::{Depth, Handshake, Probe};
use crate::partner::trial::{MdnWay, Trial};
use crate::store::record::{Message, Receipt, State};

impl<G: Gateway> Book<'_, G> {
    /// Runs an interface case.
    pub(super) async fn interface(&mut self, check: Check, size: u32) {
        match check {
            Check::NameResolution => self.road(Depth::Name).await,
            Check::Tcp => self.road(Depth::Connection).await,
            Check::Tls => self.road(Depth::Handshake).await,
            Check::Http => self.road(Depth::Request).await,
            Check::WrongCertificate => self.wrong_certificate(size).await,
            _ => self.message(check, size).await,
        }
    }

    async fn road(&mut self, depth: Depth) {
        let probe = self.parts.gateway.probe(&self.parts.partner.id, depth, self.left()).await;
        match probe {
            Ok(probe) => self.tell(probe),
            Err(reason) => self.fails(&reason.code, reason.text),
        }
    }

    fn tell(&mut self, probe: Probe) {
        let addresses: Vec<String> = probe.addresses.iter().map(|address| address.ip().to_string()).collect();
        if let Some(took) = probe.resolved {
            let listed = addresses.join(", ");
            self.good(Layer::NameResolution, bilingual!("解析到 {listed}", "the name leads to {listed}"), Some(took));
        }
        self.record.evidence.addresses = addresses;
        if let Some((address, took)) = probe.connected {
            self.good(Layer::Tcp, bilingual!("已连接 {address}", "connected to {address}"), Some(took));
        }
        if let Some((handshake, took)) = probe.tls {
            let tls = evidence_of(&handshake);
            let (version, cipher) = (tls.version.clone(), tls.cipher.clone());
            let own = tls.chain.first().map(|own| own.fingerprint.clone()).unwrap_or_default();
            let seen = bilingual!(
                "握手成功：{version}，{cipher}；服务器证书 {own}",
                "the handshake succeeded: {version}, {cipher}; server certificate {own}"
            );
            self.good(Layer::Tls, seen, Some(took));
            self.record.evidence.tls = Some(tls);
        }
        if let Some((status, took)) = probe.status {
            self.record.evidence.http_status = Some(status);
            self.good(Layer::Http, bilingual!("HTTP 状态 {status}", "HTTP status {status}"), Some(took));
        }
        if let Some(error) = probe.error {
            self.fails(error.code(), error.text());
        }
    }

    async fn message(&mut self, check: Check, size: u32) {
        let Some(Sent { message }) = self.deliver(size, trial_of(check)).await else { return };
        match check {
            Check::Signed => self.has_term(&message, "signature"),
            Check::Encrypted => self.has_term(&message, "encryption"),
            Check::Compressed => self.has_term(&message, "compression"),
            Check::Duplicate => self.repeated(&message).await,
            Check::LostResponse => self.sent_again(&message),
            _ => self.has_receipt(&message, check),
        }
    }

    /// The message travelled under the term that the case is about.
    fn has_term(&mut self, message: &Message, name: &str) {
        let terms = message.evidence.iter().flat_map(|evidence| &evidence.terms);
        let found = terms.filter(|term| term.name == name).map(|term| term.found.clone()).next();
        match found.filter(|found| found != "none") {
            Some(found) => {
                let name = term_name(name);
                let (zh, en) = (name.zh, name.en);
                self.good(Layer::As2, bilingual!("{zh}：{found}", "{en}: {found}"), None);
            }
            None => {
                let seen = bilingual!(
                    "报文没有按用例要求处理：{name}",
                    "the message was not made as the case demands: {name}"
                );
                self.fails("trial-not-kept", seen);
            }
        }
    }

    fn has_receipt(&mut self, message: &Message, check: Check) {
        let Some(receipt) = &message.receipt else {
            let seen = bilingual!("没有收到回执（MDN）", "no MDN came back");
            return self.fails("mdn-missing", seen);
        };
        match check {
            Check::AsyncMdn | Check::SyncMdn if came_otherwise(check, message, receipt) => {
                let seen = bilingual!(
                    "回执（MDN）没有按要求的方式返回：同步回执应在应答中，异步回执应另行发送",
                    "the MDN did not come the way it was asked for: in the response, or by a POST of its own"
                );
                self.fails("mdn-other-way", seen);
            }
            Check::SignedReceipt if receipt.signer.is_none() => {
                let seen = bilingual!("回执没有签名", "the MDN is not signed");
                self.fails("mdn-unsigned", seen);
            }
            Check::Mic if receipt.mic_matches != Some(true) => {
                let seen = bilingual!("回执没有可核对的 MIC", "the MDN has no MIC that could be compared");
                self.fails("mdn-without-mic", seen);
            }
            _ => {}
        }
    }

    async fn repeated(&mut self, message: &Message) {
        match self.parts.gateway.repeat(message.id).await {
            Ok(repeat) if repeat.confirmed => {
                let disposition = repeat.disposition.unwrap_or_default();
                let seen = bilingual!(
                    "同一报文再次发送，再次得到确认：{disposition}",
                    "the same message was sent once more and confirmed once more: {disposition}"
                );
                self.good(Layer::Mdn, seen, Some(repeat.took));
            }
            Ok(repeat) => match (repeat.reason, repeat.disposition) {
                (Some(reason), Some(disposition)) if reason.code == "mdn-negative" => {
                    self.failed(negative(&disposition))
                }
                (Some(reason), _) => self.fails(&reason.code, reason.text),
                (None, _) => {
                    self.fails("mdn-missing", bilingual!("重复的报文没有回执", "the duplicate got no MDN"));
                }
            },
            Err(reason) => self.fails(&reason.code, reason.text),
        }
    }

    fn sent_again(&mut self, message: &Message) {
        let attempts = message.attempts;
        if attempts < 2 {
            let seen = bilingual!("应答没有丢失，无法验证重发", "no answer was lost, so nothing was sent again");
            return self.fails("trial-not-kept", seen);
        }
        let seen = bilingual!(
            "第 {attempts} 次发送相同的字节后得到确认",
            "confirmed after the same bytes were sent {attempts} times"
        );
        self.good(Layer::Mdn, seen, None);
    }

    /// The other side must refuse what somebody else signed.
    async fn wrong_certificate(&mut self, size: u32) {
        let trial = Trial { foreign_signer: true, mdn: Some(MdnWay::Sync), ..Trial::default() };
        let Some(message) = self.send(size, trial).await else { return };
        self.note(&message);
        let disposition = message.receipt.as_ref().map(|receipt| receipt.disposition.clone());
        let negative = message.reason.as_ref().is_some_and(|reason| reason.code == "mdn-negative");
        match (message.state, disposition) {
            (State::Failed, Some(disposition)) if negative => {
                let seen = bilingual!("按预期被拒绝：{disposition}", "refused as it must be: {disposition}");
                self.good(Layer::As2, seen, None);
            }
            (State::Delivered, _) => {
                let seen = bilingual!(
                    "用未知密钥签名的报文被接受",
                    "a message signed with a key that nobody knows was accepted"
                );
                self.fails("wrong-certificate-accepted", seen);
            }
            _ => self.undelivered(&message).await,
        }
    }
}

/// Whether the MDN came in the answer though it was to be POSTed to us, or the reverse. A request says by `Host` where it goes
/// (RFC 9112 3.2), an answer does not; what came after the transfer had been recorded was POSTed in any case.
fn came_otherwise(check: Check, message: &Message, receipt: &Receipt) -> bool {
    let posted = receipt.headers.get("Host").is_some() || message.transfers > 0;
    posted == (check == Check::SyncMdn)
}

/// How the message of a case travels.
fn trial_of(check: Check) -> Trial {
    let sync = Trial { mdn: Some(MdnWay::Sync), ..Trial::default() };
    match check {
        Check::Signed => Trial { sign: true, ..Trial::default() },
        Check::Encrypted => Trial { encrypt: true, ..Trial::default() },
        Check::Compressed => Trial { compress: true, ..Trial::default() },
        Check::AsyncMdn => Trial { mdn: Some(MdnWay::Async), ..Trial::default() },
        Check::SignedReceipt | Check::Mic => Trial { sign: true, signed_mdn: true, ..sync },
        Check::LostResponse => Trial { lose_first_answer: true, ..sync },
        Check::SyncMdn | Check::Duplicate => sync,
        _ => Trial::default(),
    }
}

fn term_name(name: &str) -> crate::ground::text::Bilingual {
    match name {
        "signature" => bilingual!("签名", "signature"),
        "encryption" => bilingual!("加密", "encryption"),
        _ => bilingual!("压缩", "compression"),
    }
}

fn evidence_of(handshake: &Handshake) -> TlsEvidence {
    let chain = handshake.chain.iter().enumerate().filter_map(|(place, der)| {
        let certificate = Certificate::from_der(der).ok()?;
        Some(CertificateEvidence {
            role: if place == 0 { "server" } else { "issuer" }.to_owned(),
            fingerprint: certificate.fingerprint().to_string(),
            subject: certificate.subject(),
            until: Some(certificate.not_after()),
        })
    });
    TlsEvidence { version: handshake.version.clone(), cipher: handshake.cipher.clone(), chain: chain.collect() }
}

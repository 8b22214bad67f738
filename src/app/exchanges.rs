//! Certificate exchange as the console sees it: what a person accepts comes into the partner's file first, is in force
//! then, and only after that the partner hears of it.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp, Unit};

use super::backend::{GatewayBackend, intake_refusal, refusal};
use super::listeners::Whose;
use super::reload::environment;
use super::show::blocking;
use crate::as2::cem::CertUsage;
use crate::bilingual;
use crate::cms::{Certificate, ContentCipher, KeyKind};
use crate::config::arrival::{Arrival, ArrivalError};
use crate::config::home_of;
use crate::console::Refusal;
use crate::console::exchanges::Exchanges;
use crate::console::wire::exchanges::{
    ExchangeAnswerWire, ExchangeRequestBody, ExchangeState, ExchangeWire, ExchangedCertificate,
};
use crate::ground::drain;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::keys::{CertificateUses, KeyUses, PartnerCertificate, StationKey};
use crate::outbound::{Asking, ExchangeError};
use crate::partner::Partner;
use crate::store::Store;
use crate::store::exchange::{AskedCertificate, CertificateExchange, Word};
use crate::store::record::Direction;
use crate::store::trail::Change;

/// Certificates of ours, and what they are to be used for.
type Offered = Vec<(Certificate, Vec<CertUsage>)>;

/// An answer is wanted within so many days when nothing else is said.
const ANSWER_DAYS: i64 = 14;

impl Exchanges for GatewayBackend {
    async fn exchanges(&self) -> Vec<ExchangeWire> {
        let store = self.store.clone();
        let all = move || store.exchanges().iter().map(|exchange| wire(&store, exchange)).collect();
        drain::blocking(all).await.unwrap_or_default()
    }

    async fn ask_for_trust(&self, order: ExchangeRequestBody, asked: Change) -> Result<ExchangeWire, Refusal> {
        let partner = self.exchanging_partner(&order.partner)?;
        let now = self.now();
        let (certificates, begins) = self.offered(&partner, &order)?;
        let later = now.checked_add(SignedDuration::from_hours(24 * ANSWER_DAYS)).and_then(|at| at.round(Unit::Hour));
        let default = begins.filter(|from| *from > now).or(later.ok());
        let respond_by = order.respond_by.or(default);
        if respond_by.is_some_and(|by| by <= now) {
            let text = bilingual!(
                "答复期限已过。请给出将来的时间。",
                "the time to answer is over already. Give one that is to come."
            );
            return Err(refusal(422, "exchange-respond-by-past", text));
        }
        let asking = Asking { partner: partner.id.clone(), certificates, respond_by };
        let id = self.outbound.ask_for_trust(asking, asked).await.map_err(|error| exchange_refusal(&error))?;
        self.exchange(id).await
    }

    async fn accept_certificates(&self, id: Id, only: Vec<String>, asked: Change) -> Result<ExchangeWire, Refusal> {
        // Two people who accept at once do not write the same file.
        let _in_turn = self.accepting.lock().await;
        let open = self.open_exchange(id)?;
        let words = decided(&open, &only, asked.reason.clone())?;
        let (backend, by) = (self.clone(), asked.clone());
        let accepted = words.iter().filter(|word| word.accepted).map(|word| word.fingerprint.clone());
        let mut accepted: Vec<String> = accepted.collect();
        accepted.sort_unstable();
        accepted.dedup();
        blocking(move || backend.trust(&open, &accepted, &by)).await?;
        self.answer(id, words, asked).await
    }

    async fn reject_certificates(&self, id: Id, asked: Change) -> Result<ExchangeWire, Refusal> {
        // Nothing comes into force that is rejected meanwhile.
        let _in_turn = self.accepting.lock().await;
        let open = self.open_exchange(id)?;
        let word = |asked_for: &AskedCertificate| Word {
            fingerprint: asked_for.fingerprint.clone(),
            accepted: false,
            reason: asked.reason.clone(),
        };
        let words = open.certificates.iter().map(word).collect();
        self.answer(id, words, asked).await
    }
}

impl GatewayBackend {
    async fn exchange(&self, id: Id) -> Result<ExchangeWire, Refusal> {
        self.exchanges().await.into_iter().find(|exchange| exchange.id == id).ok_or_else(unknown)
    }

    fn exchanging_partner(&self, id: &str) -> Result<Arc<Partner>, Refusal> {
        self.outbound.exchanging_partner(id).map_err(|error| exchange_refusal(&error))
    }

    /// An exchange that waits for a person of ours.
    fn open_exchange(&self, id: Id) -> Result<CertificateExchange, Refusal> {
        let found = self.store.exchanges().into_iter().find(|exchange| exchange.id == id).ok_or_else(unknown)?;
        if found.direction == Direction::Outbound {
            let text = bilingual!(
                "证书交换 {id} 由我方发起，等待对方答复。",
                "the exchange {id} is ours: it is the partner who answers."
            );
            return Err(refusal(409, "exchange-ours", text));
        }
        if found.is_open() { Ok(found) } else { Err(exchange_refusal(&ExchangeError::Over(id))) }
    }

    async fn answer(&self, id: Id, words: Vec<Word>, asked: Change) -> Result<ExchangeWire, Refusal> {
        self.outbound.answer_trust(id, words, asked).await.map_err(|error| exchange_refusal(&error))?;
        self.exchange(id).await
    }

    /// The certificates that an order is about, and when the key among them begins to sign.
    fn offered(&self, partner: &Partner, order: &ExchangeRequestBody) -> Result<(Offered, Option<Timestamp>), Refusal> {
        let mut usages = order.uses.iter().map(|word| usage(word)).collect::<Result<Vec<CertUsage>, Refusal>>()?;
        if usages.is_empty() {
            usages = vec![CertUsage::DigitalSignature, CertUsage::KeyEncipherment];
        }
        usages.sort_unstable();
        usages.dedup();
        let (mut offered, mut begins) = (Offered::new(), None);
        for usage in usages {
            let certificate = match usage {
                CertUsage::DigitalSignature | CertUsage::KeyEncipherment => {
                    let key = self.own_key(partner, usage, order.fingerprint.as_deref())?;
                    begins = begins.max(Some(key.window.from));
                    key.certificate
                }
                CertUsage::TlsServer => {
                    let shown = self.reloading.shown.certificates();
                    let shown = shown.into_iter().find(|(whose, _)| *whose == Whose::As2).map(|(_, shown)| shown);
                    shown.ok_or_else(|| nothing_for(usage))?
                }
                CertUsage::TlsClient => {
                    let own = partner.http.identity.as_ref().and_then(|identity| identity.chain.first());
                    own.cloned().ok_or_else(|| nothing_for(usage))?
                }
            };
            match offered.iter_mut().find(|(known, _)| *known == certificate) {
                Some((_, usages)) => usages.push(usage),
                None => offered.push((certificate, vec![usage])),
            }
        }
        Ok((offered, begins))
    }

    /// Of our keys the newest that is of use under the agreement and has not ended, or the one whose fingerprint begins as
    /// asked. To be encrypted to, one of the kind of the partner's own certificates comes first: its product may read no
    /// other.
    fn own_key(&self, partner: &Partner, usage: CertUsage, fingerprint: Option<&str>) -> Result<StationKey, Refusal> {
        let now = self.now();
        let is_for = |KeyUses { sign, decrypt }: KeyUses| match usage {
            CertUsage::DigitalSignature => sign,
            _ => decrypt,
        };
        let suits = |key: &StationKey| match fingerprint {
            Some(wanted) => is_named(&key.certificate.fingerprint().to_string(), wanted),
            None => key.window.until >= now && is_of_use(key.key.kind(), partner, usage),
        };
        let keys = self.config.station.keys.keys();
        let mut found = keys.iter().filter(|key| is_for(key.uses) && suits(key));
        let transport = partner.agreement.key_transport;
        let is_first = |key: &&StationKey| usage != CertUsage::KeyEncipherment || transport.fits(key.key.kind());
        let found = found.clone().find(is_first).or_else(|| found.next());
        found.cloned().ok_or_else(|| nothing_for(usage))
    }

    /// Takes certificates into the partner's file and into force (blocking I/O). All are looked at before the first of them
    /// comes in.
    fn trust(&self, exchange: &CertificateExchange, accepted: &[String], asked: &Change) -> Result<(), Refusal> {
        let partner = self.exchanging_partner(&exchange.partner)?;
        let (mut new, mut arrivals) = (Vec::new(), Vec::new());
        for fingerprint in accepted {
            if let Some(arrival) = self.arrival(&partner, fingerprint, uses_of(exchange, fingerprint))? {
                new.push(fingerprint);
                arrivals.push(arrival);
            }
        }
        if arrivals.is_empty() {
            return Ok(());
        }
        let put = Arrival::put_all(&arrivals, &self.config.file, &environment, self.now());
        put.map_err(|error| not_written(&error))?;
        self.reloading.read_again(asked).map_err(|untaken| refusal(503, untaken.code(), untaken.text()))?;
        let partner = self.exchanging_partner(&exchange.partner)?;
        let (held, now) = (partner.certificates.certificates(), self.now());
        let in_force = |fingerprint: &str| {
            let named = |held: &&PartnerCertificate| held.certificate.fingerprint().to_string() == fingerprint;
            held.iter().filter(named).any(|held| !held.revoked && held.window.until >= now)
        };
        if new.iter().all(|fingerprint| in_force(fingerprint)) { Ok(()) } else { Err(not_in_force()) }
    }

    /// What has to come into the home for a certificate to be used so; nothing when it is used so already.
    fn arrival(
        &self,
        partner: &Partner,
        fingerprint: &str,
        mut uses: Vec<&'static str>,
    ) -> Result<Option<Arrival>, Refusal> {
        let der = self.store.certificate(fingerprint);
        let certificate = der.as_deref().and_then(|der| Certificate::from_der(der).ok());
        let gone = || exchange_refusal(&ExchangeError::Gone(fingerprint.to_owned()));
        let certificate = certificate.ok_or_else(gone)?;
        let now = self.now();
        if certificate.not_after() < now {
            let text = bilingual!(
                "该证书已过期，不能接受。请拒绝该请求。",
                "the certificate has expired and cannot be accepted. Reject it."
            );
            return Err(refusal(422, "certificate-expired", text));
        }
        // As long as public authorities vouch for the partner's server, pinning the next certificate would shut out the present.
        if partner.certificates.pinned_tls(now).is_none() && !certificate.is_self_signed() {
            uses.retain(|wanted| *wanted != word(CertUsage::TlsServer));
        }
        let held = partner.certificates.certificates().iter().find(|held| held.certificate == certificate);
        let has = held.map(|held| {
            let CertificateUses { verify, encrypt, tls, client } = held.uses;
            [("verify", verify), ("encrypt", encrypt), ("tls", tls), ("client", client)]
        });
        match has {
            _ if held.is_some_and(|held| held.revoked || held.window.until < now) => Err(does_nothing(&partner.file)),
            _ if uses.is_empty() => Ok(None),
            Some(has) if uses.iter().all(|wanted| has.contains(&(*wanted, true))) => Ok(None),
            Some(_) => Err(known_otherwise(&partner.file, &uses)),
            None => {
                // It counts as the newest, whenever it was issued.
                let window = (Some(now.max(certificate.not_before())), None);
                let of = (partner.id.as_str(), partner.file.as_path());
                let pem = certificate.to_pem().into_bytes();
                let home = home_of(&self.config.file);
                Ok(Some(Arrival::of_partner(home, of, (&certificate, pem), &uses, window)))
            }
        }
    }
}

/// Whether a key of ours of this kind is of use to a partner: what we sign for it is signed as agreed, and what it encrypts
/// is encrypted to an SM2 key where SM4 is agreed, and only there.
fn is_of_use(kind: KeyKind, partner: &Partner, usage: CertUsage) -> bool {
    let is_sm2 = kind == KeyKind::Sm2;
    match (usage, partner.agreement.sign) {
        (CertUsage::DigitalSignature, Some(scheme)) => scheme.fits(kind),
        (CertUsage::DigitalSignature, None) => !is_sm2,
        _ if partner.agreement.encrypt == Some(ContentCipher::Sm4Cbc) => is_sm2,
        _ => !is_sm2 || partner.accept.ciphers.contains(&ContentCipher::Sm4Cbc),
    }
}

fn not_written(error: &ArrivalError) -> Refusal {
    let Bilingual { zh, en } = error.text();
    let text = bilingual!(
        "证书未能写入伙伴配置：{zh}也可先用 dxgate cert import 导入该证书，再次接受即可。",
        "the certificate did not come into the partner's file: {en} It may also be taken with dxgate cert import; then accept again."
    );
    refusal(503, error.code(), text)
}

fn not_in_force() -> Refusal {
    let text = bilingual!(
        "证书已写入伙伴配置，但未生效：请查看日志中的配置错误，修正后再次接受。",
        "the certificate is in the partner's file and not in force: see the log for what is wrong with the configuration, mend it, then accept again."
    );
    refusal(503, "certificate-not-in-force", text)
}

/// All that a certificate is wanted for: some products ask for each use by itself.
fn uses_of(exchange: &CertificateExchange, fingerprint: &str) -> Vec<&'static str> {
    let asked = exchange.certificates.iter().filter(|asked| asked.fingerprint == fingerprint);
    let mut usages: Vec<CertUsage> = asked.flat_map(|asked| asked.usages.iter().copied()).collect();
    usages.sort_unstable();
    usages.dedup();
    usages.into_iter().map(word).collect()
}

/// What is said of each certificate when only some are accepted.
fn decided(open: &CertificateExchange, only: &[String], reason: Option<String>) -> Result<Vec<Word>, Refusal> {
    let named = |fingerprint: &str| only.iter().any(|wanted| is_named(fingerprint, wanted));
    if !only.iter().all(|wanted| open.certificates.iter().any(|one| is_named(&one.fingerprint, wanted))) {
        let text = bilingual!(
            "所列指纹不都属于该交换中的证书。用 dxgate cert exchanges 查看。",
            "not every fingerprint is that of a certificate of the exchange. dxgate cert exchanges shows them."
        );
        return Err(refusal(422, "certificate-unknown", text));
    }
    let word = |one: &AskedCertificate| {
        let accepted = only.is_empty() || named(&one.fingerprint);
        let reason = reason.clone().filter(|_| !accepted);
        Word { fingerprint: one.fingerprint.clone(), accepted, reason }
    };
    Ok(open.certificates.iter().map(word).collect())
}

fn is_named(fingerprint: &str, wanted: &str) -> bool {
    let wanted = wanted.replace(':', "").to_ascii_lowercase();
    !wanted.is_empty() && fingerprint.starts_with(&wanted)
}

/// What the side that is asked uses a certificate for, as partner files say it.
fn word(usage: CertUsage) -> &'static str {
    match usage {
        CertUsage::DigitalSignature => "verify",
        CertUsage::KeyEncipherment => "encrypt",
        CertUsage::TlsServer => "tls",
        CertUsage::TlsClient => "client",
    }
}

fn usage(text: &str) -> Result<CertUsage, Refusal> {
    let known = CertUsage::ALL.into_iter().find(|usage| word(*usage) == text);
    known.ok_or_else(|| {
        let text =
            bilingual!("用途须为 verify、encrypt、tls 或 client。", "a use is one of verify, encrypt, tls and client.");
        refusal(422, "exchange-use-unknown", text)
    })
}

fn wire(store: &Store, exchange: &CertificateExchange) -> ExchangeWire {
    let state_of = |id: &Id| store.message(id).map(|message| message.state);
    let answer = exchange.answer.as_ref().map(|answer| ExchangeAnswerWire {
        at: answer.at,
        by: answer.by.clone(),
        message: answer.message,
        message_state: state_of(&answer.message),
    });
    let state = match (exchange.is_answered(), exchange.superseded_by) {
        (true, _) => ExchangeState::Answered,
        (false, Some(_)) => ExchangeState::Superseded,
        (false, None) => ExchangeState::Open,
    };
    ExchangeWire {
        id: exchange.id,
        partner: exchange.partner.clone(),
        direction: exchange.direction,
        state,
        asked: exchange.asked,
        respond_by: exchange.respond_by(),
        certificates: exchange.certificates.iter().map(|asked| exchanged(store, exchange, asked)).collect(),
        request_state: state_of(&exchange.id),
        answer,
        superseded_by: exchange.superseded_by,
    }
}

fn exchanged(store: &Store, exchange: &CertificateExchange, asked: &AskedCertificate) -> ExchangedCertificate {
    let certificate = store.certificate(&asked.fingerprint).and_then(|der| Certificate::from_der(&der).ok());
    let certificate = certificate.as_ref();
    let word_said = exchange.word(&asked.fingerprint);
    ExchangedCertificate {
        fingerprint: asked.fingerprint.clone(),
        uses: asked.usages.iter().map(|usage| word(*usage).to_owned()).collect(),
        subject: certificate.map(Certificate::subject),
        issuer: certificate.map(Certificate::issuer),
        serial: certificate.map(Certificate::serial),
        not_before: certificate.map(Certificate::not_before),
        not_after: certificate.map(Certificate::not_after),
        algorithm: certificate.map(|one| format!("{} {}", one.key_algorithm(), one.key_bits())),
        accepted: word_said.map(|word| word.accepted),
        reason: word_said.and_then(|word| word.reason.clone()),
    }
}

fn exchange_refusal(error: &ExchangeError) -> Refusal {
    let status = match error {
        ExchangeError::Intake(error) => return intake_refusal(error),
        ExchangeError::Over(_) | ExchangeError::Gone(_) => 409,
        ExchangeError::Compose(_) => 503,
        _ => 422,
    };
    refusal(status, error.code(), error.text())
}

fn unknown() -> Refusal {
    let text = bilingual!("没有这个证书交换", "there is no such certificate exchange");
    refusal(404, "exchange-unknown", text)
}

fn nothing_for(usage: CertUsage) -> Refusal {
    let word = word(usage);
    let text = bilingual!(
        "我方没有可用于 {word}、符合与该伙伴的协议且未停用的证书，或所给指纹不符。用 dxgate cert list 查看。",
        "none of our certificates is for {word}, fits the agreement with this partner and has not ended; or none has the fingerprint that was given. dxgate cert list shows them."
    );
    refusal(422, "exchange-no-certificate", text)
}

fn does_nothing(file: &Path) -> Refusal {
    let file = file.file_name().unwrap_or_default().to_string_lossy();
    let text = bilingual!(
        "该证书已在 {file} 中，但已被吊销或其 until 已过，不起作用，不能接受。请拒绝该请求；若 until 设置有误，请先更正。",
        "the certificate is in {file} already and does nothing: it was revoked, or its until is over. Reject the request; if until is wrong, mend it first."
    );
    refusal(409, "certificate-does-nothing", text)
}

fn known_otherwise(file: &Path, uses: &[&str]) -> Refusal {
    let (file, uses) = (file.file_name().unwrap_or_default().to_string_lossy(), uses.join(", "));
    let text = bilingual!(
        "该证书已在 {file} 中，但用途不含 {uses}。请先在其 [[certificates]] 的 use 中加入，再次接受。",
        "the certificate is in {file} already, and not for {uses}. Add that to use in its [[certificates]], then accept again."
    );
    refusal(409, "certificate-known-otherwise", text)
}

//! A receipt held against what was sent (RFC 4130 7.4.3): accepted, refused, or not to be believed.
//!
//! An MDN changes the state of a message only when it is about this message, comes from this partner, is signed when a
//! signature was asked for, and carries a digest that we computed ourselves. Everything else is [`Verdict::Doubtful`]:
//! kept, shown to a person, without effect.

use super::mic::{MicVariant, SentMics};
use super::{As2Name, Disposition, Mdn, MessageId, Mic};
use crate::bilingual;
use crate::cms::DigestAlgorithm;
use crate::ground::text::{Bilingual, printable};

/// What was sent, as far as the receipt must match it.
#[derive(Debug, Clone, Copy)]
pub struct Sent<'a> {
    /// `Message-ID` of the message.
    pub message_id: &'a MessageId,
    /// Our name.
    pub from: &'a As2Name,
    /// The partner's name.
    pub to: &'a As2Name,
    /// The digests computed when the message was composed.
    pub mics: &'a SentMics,
    /// A signed receipt was asked for.
    pub signed_wanted: bool,
    /// The partner is believed when it says, without a digest, that it had the message before.
    pub had_before: bool,
    /// Digests that the receipt's signature may use.
    pub digests: &'a [DigestAlgorithm],
    /// The algorithm the receipt should use; another one is accepted but named. `None`: any.
    pub algorithm: Option<DigestAlgorithm>,
}

/// What a receipt means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The partner has the message.
    Accepted {
        /// The digest that matched; `None` when the receipt carries none and need not.
        matched: Option<MicMatch>,
    },
    /// The partner says, credibly, that it did not accept the message.
    Refused {
        /// In its words.
        disposition: Disposition,
    },
    /// The receipt proves nothing.
    Doubtful(Doubt),
}

/// The digest of a receipt that equals one of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MicMatch {
    /// Its algorithm.
    pub algorithm: DigestAlgorithm,
    /// The octets it covers.
    pub variant: MicVariant,
    /// It is the algorithm the receipt should use.
    pub expected_algorithm: bool,
}

impl MicMatch {
    /// Right octets, right algorithm: nothing to remark.
    pub fn is_ordinary(&self) -> bool {
        self.variant == MicVariant::Exact && self.expected_algorithm
    }
}

/// Why a receipt proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Doubt {
    /// It names another message, or none.
    WrongMessage,
    /// It comes from someone else or is meant for someone else.
    WrongPartner,
    /// It is not signed although a signed receipt was asked for.
    Unsigned,
    /// Its signature is not valid.
    BadSignature,
    /// Its signature is valid, but with a digest that the agreement does not allow.
    WeakSignature,
    /// It is positive and carries no digest although it must.
    NoMic,
    /// It is positive and its digest cannot be read, or has an algorithm in which we computed none.
    UnreadableMic,
    /// It says, without a digest, that the message came before, and nothing shows that the partner had it whole then.
    Duplicate,
    /// It is positive and its digest is not that of our message: what arrived is not what was sent.
    MicMismatch,
    /// It is negative and about an earlier Message-ID of a message that is sent under another one by now. [`judge`] knows no
    /// Message-ID but one: whoever knows the others says so.
    Superseded,
}

impl Doubt {
    /// Stable name of the problem.
    pub fn code(self) -> &'static str {
        match self {
            Doubt::WrongMessage => "mdn-wrong-message",
            Doubt::WrongPartner => "mdn-wrong-partner",
            Doubt::Unsigned => "mdn-unsigned",
            Doubt::BadSignature => "mdn-bad-signature",
            Doubt::WeakSignature => "mdn-weak-signature",
            Doubt::NoMic => "mdn-without-mic",
            Doubt::UnreadableMic => "mdn-mic-unreadable",
            Doubt::Duplicate => "mdn-duplicate-unproven",
            Doubt::MicMismatch => "mdn-mic-mismatch",
            Doubt::Superseded => "mdn-superseded",
        }
    }

    /// What it means and what to do.
    pub fn text(self) -> Bilingual {
        match self {
            Doubt::WrongMessage => bilingual!(
                "回执引用的不是本报文：已保存，不改变状态",
                "the receipt is about another message: kept, without effect"
            ),
            Doubt::WrongPartner => bilingual!(
                "回执的发送方或接收方与本报文不符：请核对双方的 AS2 标识",
                "the receipt names other parties: check both AS2 names"
            ),
            Doubt::Unsigned => bilingual!(
                "要求签名回执，对方返回的回执未签名：请对方启用回执签名",
                "a signed receipt was asked for, this one is not signed: ask the partner to sign its receipts"
            ),
            Doubt::BadSignature => bilingual!(
                "回执签名无效：请确认已导入对方当前的签名证书",
                "the signature of the receipt is not valid: make sure the partner's current signing certificate is imported"
            ),
            Doubt::WeakSignature => bilingual!(
                "回执签名使用了协议不允许的摘要算法：请对方改用 SHA-256，或为该伙伴登记限期豁免（[[waivers]]）",
                "the receipt is signed with a digest that the agreement does not allow: ask the partner for SHA-256, or give it a waiver with a date ([[waivers]])"
            ),
            Doubt::NoMic => bilingual!(
                "回执缺少完整性校验值（MIC）：无法证明对方收到的内容",
                "the receipt carries no MIC: it does not prove what was received"
            ),
            Doubt::UnreadableMic => bilingual!(
                "回执中的完整性校验值（MIC）无法识别：请对方检查算法设置",
                "the MIC of the receipt cannot be read: ask the partner to check its algorithm"
            ),
            Doubt::Duplicate => bilingual!(
                "对方称该报文为重复报文，却没有给出完整性校验值（MIC），且没有证据表明其此前完整收到过：对方留下的可能只是中断传输的残片。请与对方核实：已完整收到则用 dxgate messages cancel 结束（或在该伙伴的 [delivery] 中设 believe_duplicates = true 后用 dxgate messages retry，使其记为已送达）；未收到则用 dxgate messages resend 作为新报文发送。再次发送相同的字节得不到更多证据",
                "the partner calls the message a duplicate, without a MIC, and nothing shows that it had it whole before: it may have kept a fragment of a transfer that broke off. Ask whether it has the message whole. If it has, end it with dxgate messages cancel, or set believe_duplicates = true in the partner's [delivery] and use dxgate messages retry, so that it counts as delivered; if not, send it as a new one with dxgate messages resend. Sending the same bytes again tells nothing more"
            ),
            Doubt::MicMismatch => bilingual!(
                "对方收到的内容与发出的不一致（MIC 不符）：请勿重发，联系对方核对",
                "what the partner received is not what was sent (MIC mismatch): do not resend, contact the partner"
            ),
            Doubt::Superseded => bilingual!(
                "对方拒收的是先前以另一 Message-ID 进行的一次发送，报文此后已以新的 Message-ID 发送：以对新 Message-ID 的回执为准，此回执已保存，不改变状态",
                "the partner refuses an earlier attempt, and the message was sent under another Message-ID since: the receipt about that one counts, this one is kept, without effect"
            ),
        }
    }
}

impl Verdict {
    /// The verdict for people.
    pub fn text(&self) -> Bilingual {
        match self {
            Verdict::Accepted { .. } => bilingual!("对方已确认收到", "the partner confirmed the message"),
            Verdict::Refused { disposition } => {
                let said = printable(&disposition.to_string());
                bilingual!("对方拒收：{said}", "the partner refused the message: {said}")
            }
            Verdict::Doubtful(doubt) => doubt.text(),
        }
    }
}

/// Holds a receipt against what was sent. The caller has already parsed it with the partner's certificates.
pub fn judge(mdn: &Mdn, sent: &Sent<'_>) -> Verdict {
    if mdn.original_message_id.as_ref().map(MessageId::key) != Some(sent.message_id.key()) {
        return Verdict::Doubtful(Doubt::WrongMessage);
    }
    match &mdn.signature {
        Err(_) => return Verdict::Doubtful(Doubt::BadSignature),
        Ok(None) if sent.signed_wanted => return Verdict::Doubtful(Doubt::Unsigned),
        Ok(Some(valid)) if !sent.digests.contains(&valid.digest()) => {
            return Verdict::Doubtful(Doubt::WeakSignature);
        }
        Ok(_) => {}
    }
    if !names_match(mdn, sent) {
        return Verdict::Doubtful(Doubt::WrongPartner);
    }
    if !mdn.disposition.is_positive() {
        return Verdict::Refused { disposition: mdn.disposition.clone() };
    }
    judge_mic(mdn, sent)
}

/// The header fields name the partner and us, swapped. Where they are missing, only a signature can say who speaks.
fn names_match(mdn: &Mdn, sent: &Sent<'_>) -> bool {
    let signed = matches!(mdn.signature, Ok(Some(_)));
    let same = |name: &Option<As2Name>, expected: &As2Name| {
        name.as_ref().map_or(signed, |name| name == expected || name.unquoted_again().as_ref() == Some(expected))
    };
    same(&mdn.from, sent.to) && same(&mdn.to, sent.from)
}

/// Whether a positive receipt without a digest proves nothing. RFC 4130 7.3.1 demands the digest of every signed receipt,
/// but some products (pyas2) compute none for unsigned messages, and none when they recognise a duplicate: they then say
/// that they have the message of this identifier, under which we never sent any other bytes. Whether they have them all is
/// another question ([`Sent::had_before`]).
fn mic_is_due(mdn: &Mdn, sent: &Sent<'_>) -> bool {
    sent.mics.is_of_signed_message() && !calls_it_duplicate(mdn)
}

fn calls_it_duplicate(mdn: &Mdn) -> bool {
    mdn.disposition.says("duplicate-document")
}

/// The digest of a positive receipt.
fn judge_mic(mdn: &Mdn, sent: &Sent<'_>) -> Verdict {
    let Some(mic) = mdn.mic.as_ref().filter(|mic| is_comparable(mic, sent)) else {
        return judge_without_mic(mdn, sent);
    };
    let Some(variant) = sent.mics.find(mic) else { return Verdict::Doubtful(Doubt::MicMismatch) };
    let expected_algorithm = sent.algorithm.is_none_or(|algorithm| algorithm == mic.algorithm);
    let matched = MicMatch { algorithm: mic.algorithm, variant, expected_algorithm };
    Verdict::Accepted { matched: Some(matched) }
}

/// Whether we computed digests of this kind, and it is one to be believed.
fn is_comparable(mic: &Mic, sent: &Sent<'_>) -> bool {
    let believed = mic.algorithm != DigestAlgorithm::Md5 || sent.digests.contains(&mic.algorithm);
    believed && sent.mics.expected.iter().any(|ours| ours.mic.algorithm == mic.algorithm)
}

/// A positive receipt without a digest that can be compared. Where no signed one was asked for, the partner was told no algorithm
/// and chooses: a digest that says nothing counts like none then.
fn judge_without_mic(mdn: &Mdn, sent: &Sent<'_>) -> Verdict {
    if sent.signed_wanted && (mdn.mic.is_some() || mdn.mic_unreadable) {
        return Verdict::Doubtful(Doubt::UnreadableMic);
    }
    // They may say so of a fragment: django-pyas2 keeps the Message-ID of a request that broke off.
    if calls_it_duplicate(mdn) && !sent.had_before {
        return Verdict::Doubtful(Doubt::Duplicate);
    }
    if sent.signed_wanted && mic_is_due(mdn, sent) {
        return Verdict::Doubtful(Doubt::NoMic);
    }
    Verdict::Accepted { matched: None }
}

//! What a partner file says about protection: `[agreement]` for what we send, `[accept]` for what we take.

use std::time::Duration;

use jiff::Timestamp;

use super::access::client_name;
use super::document::Section;
use super::partners::Surroundings;
use super::station::{algorithm, one_of};
use crate::as2::{As2Version, Compression, MdnAsk, MdnMode, MicalgStyle};
use crate::bilingual;
use crate::cms::{ContentCipher, DigestAlgorithm, GcmForm, KeyTransport, SignatureScheme};
use crate::ground::text::Bilingual;
use crate::partner::{Accept, Agreement, MdnAgreement, PartnerUrl, Station, Waived, Waivers};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
const REPETITIONS: [&str; 2] = ["same-receipt", "warning"];
const UNKNOWN_SIGNERS: [&str; 2] = ["refuse", "warning"];
const FILE_NAMES: [&str; 2] = ["any", "unique"];
const GCM_FORMS: [&str; 3] = ["auth-enveloped", "enveloped", "enveloped-bare-nonce"];

/// `[agreement]`: what we do when we send.
pub(super) fn agreement(section: &Section<'_>, waivers: &Waivers, surroundings: &Surroundings<'_>) -> Agreement {
    let sign = optional_algorithm(section, "sign", SignatureScheme::RsaPkcs1);
    if sign.is_none() {
        let text = bilingual!(
            "发送的报文没有签名：对方无法确认来源，其回执也不能作为抗抵赖证据。",
            "messages are sent unsigned: the partner cannot tell who sent them, and its receipts prove little."
        );
        section.warning("sign", "sent-unsigned", text);
    }
    if let Some((scheme, station)) = sign.zip(surroundings.station) {
        check_signing_keys(section, scheme, station);
    }
    let encrypt = optional_algorithm(section, "encrypt", ContentCipher::Aes256Cbc);
    let usual = if sign == Some(SignatureScheme::Sm2) { DigestAlgorithm::Sm3 } else { DigestAlgorithm::Sha256 };
    let digest = section.parsed("digest", algorithm::<DigestAlgorithm>).unwrap_or(usual);
    written(section, "digest", Waived::Digest(digest), waivers);
    if let Some(cipher) = encrypt {
        written(section, "encrypt", Waived::Cipher(cipher), waivers);
    }
    let usual = if encrypt == Some(ContentCipher::Sm4Cbc) { KeyTransport::Sm2 } else { KeyTransport::RsaPkcs1 };
    let key_transport = section.parsed("key_transport", algorithm).unwrap_or(usual);
    check_families(section, (sign, digest), (encrypt, key_transport));
    let compress = section.parsed("compress", |text| one_of(text, &["none", "before-signing", "after-signing"]));
    let versions = As2Version::ALL.map(As2Version::value);
    let version = section.parsed("as2_version", |text| one_of(text, &versions));
    let version = As2Version::ALL.into_iter().find(|one| version == Some(one.value())).unwrap_or_default();
    if version == As2Version::V1_0 && compress.is_some_and(|place| place != "none") {
        let text = bilingual!(
            "AS2 1.0 没有压缩功能。请去掉 compress，或将 as2_version 设为 1.1 以上。",
            "AS2 1.0 knows no compression. Remove compress, or set as2_version to 1.1 or later."
        );
        section.error("as2_version", "version-without-compression", text);
    }
    let micalg_style = section.parsed("micalg_style", |text| one_of(text, &["sha-256", "sha256"]));
    Agreement {
        sign,
        digest,
        encrypt,
        key_transport,
        gcm_form: match section.parsed("gcm_form", |text| one_of(text, &GCM_FORMS)) {
            Some("enveloped") => GcmForm::Enveloped,
            Some("enveloped-bare-nonce") => GcmForm::EnvelopedBareNonce,
            _ => GcmForm::AuthEnveloped,
        },
        base64: section.parsed("transfer_encoding", |text| one_of(text, &["binary", "base64"])) == Some("base64"),
        compress: match compress {
            Some("before-signing") => Compression::BeforeSigning,
            Some("after-signing") => Compression::AfterSigning,
            _ => Compression::None,
        },
        micalg_style: if micalg_style == Some("sha256") { MicalgStyle::Plain } else { MicalgStyle::Hyphenated },
        version,
        mdn: mdn(&section.section("mdn"), digest, waivers, surroundings),
    }
}

/// The algorithms of the SM family go with each other and with no others, as nobody reads mixtures.
fn check_families(
    section: &Section<'_>,
    (sign, digest): (Option<SignatureScheme>, DigestAlgorithm),
    (encrypt, transport): (Option<ContentCipher>, KeyTransport),
) {
    if !sign.map_or(digest != DigestAlgorithm::Sm3, |scheme| scheme.goes_with(digest)) {
        let text = bilingual!(
            "签名 sm2 只与摘要 sm3 配套，反之亦然。请同时设置 sign = \"sm2\" 和 digest = \"sm3\"，或都不用。",
            "sign \"sm2\" goes with digest \"sm3\", and neither with anything else. Set both or neither."
        );
        section.error(if section.has("digest") { "digest" } else { "sign" }, "algorithms-do-not-mix", text);
    }
    if !encrypt.map_or(transport != KeyTransport::Sm2, |cipher| transport.goes_with(cipher)) {
        let text = bilingual!(
            "加密 sm4-cbc 只与密钥传输 sm2 配套，反之亦然。请同时设置 encrypt = \"sm4-cbc\" 和 key_transport = \"sm2\"，或都不用。",
            "encrypt \"sm4-cbc\" goes with key_transport \"sm2\", and neither with anything else. Set both or neither."
        );
        let key = if section.has("key_transport") { "key_transport" } else { "encrypt" };
        section.error(key, "algorithms-do-not-mix", text);
    }
}

/// Keys that sign, but none so, are a mistake rather than a matter of time.
fn check_signing_keys(section: &Section<'_>, scheme: SignatureScheme, station: &Station) {
    let keys = station.keys.keys();
    let mut signing = keys.iter().filter(|key| key.uses.sign).peekable();
    if signing.peek().is_some() && !signing.any(|key| scheme.fits(key.key.kind())) {
        let text = bilingual!(
            "本站没有可用于 {scheme} 签名的密钥：rsa-… 需要 RSA 密钥，ecdsa 需要 P-256 或 P-384 的 EC 密钥，sm2 需要 SM2 密钥。",
            "none of our keys signs with {scheme}: rsa-… needs an RSA key, ecdsa an EC key on P-256 or P-384, sm2 an SM2 key."
        );
        section.error("sign", "no-key-for-scheme", text);
    }
}

/// An algorithm, or `"none"`.
fn optional_algorithm<A: super::station::Named>(section: &Section<'_>, key: &'static str, default: A) -> Option<A> {
    let read = section.parsed(key, |text| {
        if text == "none" {
            return Ok(None);
        }
        algorithm(text).map(Some).map_err(|why| Bilingual {
            zh: format!("{}不需要时写 \"none\"。", why.zh),
            en: format!("{} Write \"none\" to do without.", why.en),
        })
    });
    read.unwrap_or(Some(default))
}

/// An algorithm that we write. Signatures over SHA-1 and MD5 and what is encrypted with RC2 are only read; Triple DES
/// may be written under a waiver.
///
/// A MIC is no signature: it tells the sender which octets arrived, and our receipt carries it under a signature of its
/// own. So `micalg` may ask a partner for SHA-1 or MD5 under a waiver (we read what comes), and who asks us gets the MIC
/// of RFC 4130 7.4.3 in SHA-1 (in MD5 under a waiver), in a receipt that is signed with SHA-256 or better.
fn written(section: &Section<'_>, key: &'static str, algorithm: Waived, waivers: &Waivers) {
    let read_only = match algorithm {
        Waived::Digest(digest) => digest.is_legacy(),
        Waived::Cipher(cipher) => cipher == ContentCipher::Rc2Cbc,
        Waived::OldTls => false,
    };
    if read_only {
        let name = algorithm.name();
        let text = bilingual!(
            "{name} 只能用于接收（凭 [[waivers]] 限期豁免），不能用于发送。请换用 SHA-256 以上的摘要算法或 AES。",
            "{name} is only ever read (under [[waivers]], until a date), never written. Choose SHA-256 or better, or AES."
        );
        return section.error(key, "algorithm-read-only", text);
    }
    named(section, key, &[algorithm], waivers);
}

/// Outdated algorithms count only with a waiver; naming one without is a mistake.
pub(super) fn named(section: &Section<'_>, key: &'static str, algorithms: &[Waived], waivers: &Waivers) {
    let outdated = |algorithm: &Waived| match algorithm {
        Waived::Digest(digest) => digest.is_legacy(),
        Waived::Cipher(cipher) => cipher.is_legacy(),
        Waived::OldTls => true,
    };
    if let Some(missing) = algorithms.iter().find(|one| outdated(one) && !waivers.mention(**one)) {
        let name = missing.name();
        let text = bilingual!(
            "{name} 已不安全，只能限期使用。请为该伙伴添加 [[waivers]]，写明 algorithm = \"{name}\"、until 和 reason。",
            "{name} is broken and allowed for a limited time only. Add [[waivers]] with algorithm = \"{name}\", until and reason."
        );
        section.error(key, "waiver-missing", text);
    }
}

fn named_digests(section: &Section<'_>, key: &'static str, digests: &[DigestAlgorithm], waivers: &Waivers) {
    let algorithms: Vec<Waived> = digests.iter().copied().map(Waived::Digest).collect();
    named(section, key, &algorithms, waivers);
}

fn mdn(
    section: &Section<'_>,
    digest: DigestAlgorithm,
    waivers: &Waivers,
    surroundings: &Surroundings<'_>,
) -> MdnAgreement {
    let mode = section.parsed("mode", |text| one_of(text, &["sync", "async", "none"])).unwrap_or("sync");
    let signed = section.boolean("signed", true);
    let micalgs = section.choices("micalg", algorithm::<DigestAlgorithm>).unwrap_or_else(|| vec![digest]);
    named_digests(section, "micalg", &micalgs, waivers);
    let deadline = section.duration("deadline", 30 * MINUTE, MINUTE, 7 * DAY);
    let url = section.parsed("async_url", PartnerUrl::parse).map(|url| url.as_str().to_owned());
    let mode = match mode {
        "async" => {
            let url = url.or_else(|| surroundings.station?.receipt_url.clone());
            if url.is_none() && surroundings.station.is_some() && !section.has("async_url") {
                let text = bilingual!(
                    "异步回执需要我方地址。请填写 async_url，或在 gateway.toml 的 [as2] 中填写 public_url（运行中的网关须重启后生效）。",
                    "an asynchronous MDN needs an address of ours. Give async_url, or public_url under [as2] in gateway.toml, which a running gateway takes at its next start."
                );
                section.error("mode", "receipt-url-missing", text);
            }
            MdnMode::Async { url: url.unwrap_or_default() }
        }
        "none" => {
            let text = bilingual!(
                "不请求回执时无法证明对方收到报文。",
                "without an MDN there is no proof that the partner received a message."
            );
            section.warning("mode", "no-receipt", text);
            MdnMode::None
        }
        _ => MdnMode::Sync,
    };
    let signed = signed && mode != MdnMode::None;
    MdnAgreement { ask: MdnAsk { mode, signed, micalgs }, deadline }
}

/// The digest of RFC 4130, or that of its successors.
fn mic_unlisted(text: &str) -> Result<DigestAlgorithm, Bilingual> {
    let name = one_of(text, &["sha-256", "sha-1"])?;
    Ok(if name == "sha-1" { DigestAlgorithm::Sha1 } else { DigestAlgorithm::Sha256 })
}

/// What is not said mirrors the agreement: whoever gets signed messages from us shall sign as well, and may do so with
/// SM2 and SM3 where we do; the same for SM4. Waivers add to it.
pub(super) fn accept(
    section: &Section<'_>,
    agreement: &Agreement,
    (waivers, now): (&Waivers, Timestamp),
    surroundings: &Surroundings<'_>,
) -> Accept {
    let (signs_sm2, sm4) =
        (agreement.sign == Some(SignatureScheme::Sm2), agreement.encrypt == Some(ContentCipher::Sm4Cbc));
    let usual = || usually(&DigestAlgorithm::STANDARD, DigestAlgorithm::Sm3, signs_sm2);
    let digests = section.parsed_list("digests", algorithm).unwrap_or_else(usual);
    named_digests(section, "digests", &digests, waivers);
    let usual = || usually(ContentCipher::STANDARD, ContentCipher::Sm4Cbc, sm4);
    let ciphers = section.parsed_list("ciphers", algorithm).unwrap_or_else(usual);
    let named_ciphers: Vec<Waived> = ciphers.iter().copied().map(Waived::Cipher).collect();
    named(section, "ciphers", &named_ciphers, waivers);
    let usual = || usually(SignatureScheme::STANDARD, SignatureScheme::Sm2, signs_sm2);
    let schemes = section.parsed_list("schemes", algorithm).unwrap_or_else(usual);
    if schemes.contains(&SignatureScheme::Sm2) && !digests.contains(&DigestAlgorithm::Sm3) {
        let text = bilingual!(
            "sm2 签名总是配 sm3 摘要。请在 digests 中加入 \"sm3\"，或从 schemes 中去掉 \"sm2\"。",
            "SM2 signs over SM3 only. Add \"sm3\" to digests, or take \"sm2\" out of schemes."
        );
        let key = if section.has("digests") { "digests" } else { "schemes" };
        section.error(key, "algorithms-do-not-mix", text);
    }
    let accept = Accept {
        signature: section.boolean("signature", agreement.sign.is_some()),
        encryption: section.boolean("encryption", agreement.encrypt.is_some()),
        digests,
        schemes,
        ciphers,
        gcm_in_enveloped_data: section.boolean("gcm_in_enveloped_data", agreement.gcm_form != GcmForm::AuthEnveloped),
        split_attachments: section.boolean("split_attachments", true),
        mic_as_listed: section.parsed("mic", |text| one_of(text, &["signature", "listed"])) == Some("listed"),
        mic_unlisted: section.parsed("mic_unlisted", mic_unlisted).unwrap_or(DigestAlgorithm::Sha256),
        warned_of_repetitions: section.parsed("repetition", |text| one_of(text, &REPETITIONS)) == Some("warning"),
        unknown_signers: section.parsed("unknown_signer", |text| one_of(text, &UNKNOWN_SIGNERS)) == Some("warning"),
        unique_file_names: section.parsed("file_names", |text| one_of(text, &FILE_NAMES)) == Some("unique"),
        restart: section.boolean("restart", false),
        max_payload: section.size("max_payload", surroundings.max_payload, 1, surroundings.max_payload),
        client_certificate: section.boolean("client_certificate", false),
        client_names: section.parsed_list("client_names", client_name).unwrap_or_default(),
        async_mdn_urls: section.parsed_list("async_mdn_urls", PartnerUrl::parse).unwrap_or_default(),
    };
    without_choice(section, &accept);
    if accept.unknown_signers && accept.signature {
        let text = bilingual!(
            "signature = true 时，未知签名者的报文总是被拒收，unknown_signer = \"warning\" 不起作用。请去掉其中一个。",
            "with signature = true, what somebody unknown has signed is always refused, and unknown_signer = \"warning\" does nothing. Leave one of them out."
        );
        section.error("unknown_signer", "unknown-signer-needs-unsigned", text);
    }
    if accept.restart && !accept.signature {
        let text = bilingual!(
            "续传的报文由多个连接的字节拼成，只有签名能证明内容未变。请把 signature 设为 true，或去掉 restart。",
            "a body that goes on is put together of several connections' bytes, and nothing but the signature proves what it \
             holds. Set signature to true, or leave restart out."
        );
        section.error("restart", "restart-unsigned", text);
    } else if !accept.signature {
        section.warning("signature", "unsigned-accepted", unsigned_accepted(&accept, waivers, now));
    }
    accept
}

/// What has to be signed or encrypted and may be so in no way is never accepted.
fn without_choice(section: &Section<'_>, accept: &Accept) {
    let none = [
        ("digests", accept.signature && accept.digests.is_empty()),
        ("schemes", accept.signature && accept.schemes.is_empty()),
        ("ciphers", accept.encryption && accept.ciphers.is_empty()),
    ];
    none.into_iter().filter(|(_, none)| *none).for_each(|(key, _)| section.empty_list(key));
}

/// What may come of messages that nobody has signed.
fn unsigned_accepted(accept: &Accept, waivers: &Waivers, now: Timestamp) -> Bilingual {
    if accept.client_certificate {
        return bilingual!(
            "接受未签名的报文：只有 TLS 客户端证书说明来自该伙伴，事后无法证明报文内容。",
            "unsigned messages are accepted: the TLS client certificate alone says that they are this partner's, and nothing proves later what they held."
        );
    }
    if accept.is_believed_unsigned(waivers, now) {
        return bilingual!(
            "接受未签名的报文：任何人都可以冒充该伙伴。",
            "unsigned messages are accepted: anybody can pose as this partner."
        );
    }
    bilingual!(
        "接受未签名的报文：任何人都可以冒充该伙伴；由于允许 CBC，还可借应答逐步猜出加密给我方的其他报文的内容。请在 ciphers 中只保留 GCM 并去掉对加密算法的豁免，或设 client_certificate = true。",
        "unsigned messages are accepted: anybody can pose as this partner and, as CBC is taken, learn from the answers little by little what other messages to us hold. Leave nothing but GCM in ciphers and no cipher among the waivers, or set client_certificate = true."
    )
}

/// What is accepted when nothing is said: the standard ones, and one more where the agreement names it.
fn usually<A: Copy>(standard: &[A], more: A, agreed: bool) -> Vec<A> {
    standard.iter().copied().chain(agreed.then_some(more)).collect()
}

//! What a file in `partners/` may say.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::document::Section;
use super::material::{Reading, note};
use super::partners::Surroundings;
use super::station::{as2_name, narrowed, one_of, wishes};
use super::{access, add_info, agreement, levels, quantity, signature, waivers};
use crate::bilingual;
use crate::cms::KeyTransport;
use crate::declaration::checkdigit::{is_credit_code, is_customs_code};
use crate::declaration::schema;
use crate::ground::text::Bilingual;
use crate::keys::{CertificateSet, CertificateUses, PartnerCertificate, RevocationLists, load, specimen};
use crate::partner::{Accept, Agreement, Delivery, Dxp, Partner, PartnerUrl, Precheck, Profile, RetrySchedule};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Reads a partner. `None` when something essential is missing; the problems are on the sheet.
pub(super) fn read(
    root: &Section<'_>,
    id: &str,
    file: &Path,
    reading: &Reading<'_>,
    (surroundings, lists): (&Surroundings<'_>, &[Arc<RevocationLists>]),
) -> Option<Partner> {
    let url = root.required("url", PartnerUrl::parse);
    let as2_name = root.required("as2_name", as2_name);
    let profile = profile(root, surroundings);
    let dxp = dxp(root, profile, reading, surroundings);
    let name = root.text("name");
    let enabled = root.boolean("enabled", true);
    let subject = root.parsed("subject", header_text);
    let content_type = root.parsed("content_type", media_type).unwrap_or_else(|| default_type(profile).to_owned());
    let content_types = root.parsed_list("content_types", extension_type).unwrap_or_default();
    let waivers = waivers::read(root, reading.now);
    let agreement_section = root.section("agreement");
    let agreement = agreement::agreement(&agreement_section, &waivers, surroundings);
    let accept_section = root.section("accept");
    let accept = agreement::accept(&accept_section, &agreement, (&waivers, reading.now), surroundings);
    let certificates = certificates(root, reading, (surroundings, lists), &agreement, &accept);
    let delivery_section = root.section("delivery");
    let delivery = delivery(&delivery_section, url.as_ref().is_some_and(PartnerUrl::is_inside));
    let speaks_tls = url.iter().chain(&accept.async_mdn_urls).any(PartnerUrl::is_secure);
    let http = access::http(&root.section("http"), reading, surroundings, (&agreement, &waivers, speaks_tls));
    let (url, as2_name) = (url?, as2_name?);
    if surroundings.station.is_some_and(|station| station.as2_name == as2_name) {
        let text = bilingual!(
            "伙伴的 AS2 名称与本站相同。双方名称必须不同。",
            "the partner's AS2 name is also our own. The two must differ."
        );
        root.error("as2_name", "as2-name-ours", text);
    }
    let partner = Partner {
        id: id.to_owned(),
        file: file.to_owned(),
        as2_name,
        name,
        url,
        profile,
        enabled,
        content_type,
        content_types,
        subject,
        certificates,
        agreement,
        accept,
        waivers,
        delivery,
        http,
        dxp,
    };
    if partner.delivery.folders_as_messages && partner.profile == Profile::Dxp {
        let text = bilingual!(
            "海关报文逐个发送，不能把文件夹作为一个报文。请删除 folders_as_messages。",
            "declarations travel one by one: a folder cannot be a message to customs. Remove folders_as_messages."
        );
        delivery_section.error("folders_as_messages", "folders-not-for-dxp", text);
    }
    judge_signing(&agreement_section, &partner, surroundings, reading.now);
    judge_transport(root, &partner, surroundings);
    judge_tls_keys(root, &partner);
    judge_client(&accept_section, &partner, surroundings);
    Some(partner)
}

/// The partner's own revocation lists. They count whatever else is wrong with its file.
pub(super) fn own_lists(root: &Section<'_>, reading: &Reading<'_>) -> Option<Arc<RevocationLists>> {
    let path = reading.path(root, "revocation")?;
    note(root, "revocation", RevocationLists::read(&path)).map(Arc::new)
}

fn profile(root: &Section<'_>, surroundings: &Surroundings<'_>) -> Profile {
    let named = root.parsed("profile", |text| one_of(text, &["plain", "dxp"]));
    if named != Some("dxp") {
        return Profile::Plain;
    }
    if surroundings.station.is_some_and(|station| station.dxpid.is_none()) {
        let text = bilingual!(
            "profile = \"dxp\" 需要本站的 DXPID。请在 gateway.toml 的 [station] 中填写 dxpid；运行中的网关须重启后生效。",
            "profile = \"dxp\" needs our DXPID. Give dxpid under [station] in gateway.toml; a running gateway takes it at its next start."
        );
        root.error("profile", "dxpid-missing", text);
    }
    Profile::Dxp
}

fn dxp(root: &Section<'_>, profile: Profile, reading: &Reading<'_>, surroundings: &Surroundings<'_>) -> Option<Dxp> {
    let section = root.section("dxp");
    let usual = Dxp::usual(levels::list(&section).over(surroundings.levels));
    let dxp = Dxp {
        import_receiver: section.parsed("import_receiver", dxp_receiver).unwrap_or(usual.import_receiver),
        export_receiver: section.parsed("export_receiver", dxp_receiver).unwrap_or(usual.export_receiver),
        more_receivers: more_receivers(&section),
        add_info: add_info::read(&section.section("add_info")),
        cop_code: section.parsed("cop_code", cop_code),
        precheck: match section.parsed("precheck", |text| one_of(text, &["enforce", "warn", "off"])) {
            Some("warn") => Precheck::Warn,
            Some("off") => Precheck::Off,
            _ => Precheck::Enforce,
        },
        levels: usual.levels,
        edition: section.parsed("edition", edition).unwrap_or(usual.edition),
        signature: signature::read(&section.section("signature"), reading),
    };
    if profile == Profile::Dxp {
        return Some(dxp);
    }
    if section.is_present() {
        let text = bilingual!(
            "[dxp] 只在 profile = \"dxp\" 时有效。请设置该项或删除此表。",
            "[dxp] has a meaning only with profile = \"dxp\". Set it or remove the table."
        );
        root.error("dxp", "profile-not-dxp", text);
    }
    None
}

fn edition(text: &str) -> Result<&'static str, Bilingual> {
    schema::edition(text).map(schema::Edition::name).ok_or_else(|| {
        let known: Vec<_> = schema::editions().collect();
        let known = known.join(", ");
        bilingual!(
            "没有这个版本的报文规范；已有：{known}",
            "there is no such edition of the specification; there are: {known}"
        )
    })
}

/// An envelope has five receivers, one of which goes by the declaration's family.
fn more_receivers(section: &Section<'_>) -> Vec<String> {
    let names = section.texts("more_receivers").unwrap_or_default();
    let read = names.iter().map(|name| dxp_receiver(name)).collect::<Result<Vec<_>, _>>();
    let few = read
        .and_then(|names| if names.len() > 4 { Err(bilingual!("最多 4 个。", "at most four.")) } else { Ok(names) });
    few.unwrap_or_else(|text| {
        section.error("more_receivers", "value-invalid", text);
        Vec::new()
    })
}

fn cop_code(text: &str) -> Result<String, Bilingual> {
    (is_customs_code(text) || is_credit_code(text)).then(|| text.to_owned()).ok_or_else(|| {
        bilingual!(
            "不是企业代码。应为 10 位海关注册编码或 18 位统一社会信用代码。",
            "not the code of an enterprise. It is a customs code of 10 characters or a credit code of 18."
        )
    })
}

fn dxp_receiver(text: &str) -> Result<String, Bilingual> {
    let fits = (1..=16).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    fits.then(|| text.to_owned()).ok_or_else(|| {
        bilingual!(
            "不是接收方编号。应为 1 至 16 位字母和数字。",
            "not a receiver id. It has 1 to 16 letters and digits."
        )
    })
}

fn default_type(profile: Profile) -> &'static str {
    match profile {
        Profile::Plain => "application/octet-stream",
        Profile::Dxp => "application/xml",
    }
}

/// A media type without line breaks (RFC 9110 8.3.1); parameters are allowed.
fn media_type(text: &str) -> Result<String, Bilingual> {
    let essence = text.split(';').next().unwrap_or_default().trim();
    let token = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&byte))
    };
    let fits = essence.split_once('/').is_some_and(|(kind, sub)| token(kind) && token(sub));
    let plain = text.len() <= 256 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    (fits && plain).then(|| text.to_owned()).ok_or_else(|| {
        bilingual!(
            "不是媒体类型。例如 \"application/xml\"。",
            "not a media type. Write one such as \"application/xml\"."
        )
    })
}

/// `extension = media type`.
fn extension_type(text: &str) -> Result<(String, String), Bilingual> {
    let bad = || {
        bilingual!(
            "应写成“扩展名 = 媒体类型”，例如 \"edi = application/EDIFACT\"。",
            "write extension = media type, such as \"edi = application/EDIFACT\"."
        )
    };
    let (extension, kind) = text.split_once('=').ok_or_else(bad)?;
    let (extension, kind) = (extension.trim(), kind.trim());
    let fits = (1..=16).contains(&extension.len()) && extension.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if fits { Ok((extension.to_owned(), media_type(kind)?)) } else { Err(bad()) }
}

/// Text for a header field: printable ASCII (RFC 5322 2.2), at most 200 characters.
fn header_text(text: &str) -> Result<String, Bilingual> {
    let fits = text.len() <= 200 && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    fits.then(|| text.to_owned()).ok_or_else(|| {
        bilingual!("只能使用可打印 ASCII 字符，最多 200 个。", "use at most 200 printable ASCII characters.")
    })
}

fn certificates(
    root: &Section<'_>,
    reading: &Reading<'_>,
    (surroundings, lists): (&Surroundings<'_>, &[Arc<RevocationLists>]),
    agreement: &Agreement,
    accept: &Accept,
) -> CertificateSet {
    let sections = root.sections("certificates");
    let read: Vec<PartnerCertificate> =
        sections.iter().filter_map(|section| certificate(section, reading, surroundings)).collect();
    let complete = read.len() == sections.len();
    let set = CertificateSet::new(read).revoked_by(lists);
    for one in set.revoked() {
        let file = one.file.display();
        let text = bilingual!(
            "证书 {file} 已被其签发者吊销，不再使用。请向对方索取新证书。",
            "the certificate {file} is revoked by its issuer and not used any more. Obtain a new one from the partner."
        );
        root.warning("certificates", "certificate-revoked", text);
    }
    if complete {
        let needs = [
            ("encrypt", agreement.encrypt.is_some(), set.encrypting(reading.now, agreement.key_transport).is_none()),
            ("verify", accept.signature || agreement.mdn.ask.signed, set.verifying(reading.now).is_empty()),
        ];
        for (word, needed, none) in needs {
            if needed && none {
                missing_certificate(root, word, &set, agreement.key_transport);
            }
        }
    }
    set
}

/// Nothing can be exchanged without it. An expired one is a warning, so that a gateway with many partners still starts.
fn missing_certificate(root: &Section<'_>, word: &str, set: &CertificateSet, transport: KeyTransport) {
    let is_for = |one: &PartnerCertificate| if word == "encrypt" { one.uses.encrypt } else { one.uses.verify };
    let fits = |one: &PartnerCertificate| {
        word != "encrypt" || one.certificate.key_kind().is_some_and(|kind| transport.fits(kind))
    };
    let mut candidates = set.certificates().iter().filter(|one| is_for(one)).peekable();
    let any = candidates.peek().is_some();
    if any && !candidates.any(fits) {
        let text = bilingual!(
            "没有可与 key_transport = \"{transport}\" 配合使用的加密证书：rsa-… 需要 RSA 证书，ecdh-… 需要 EC 证书，sm2 需要 SM2 证书。",
            "no certificate for use \"encrypt\" works with key_transport = \"{transport}\": rsa-… needs an RSA certificate, ecdh-… one with an EC key, sm2 one with an SM2 key."
        );
        return root.error("certificates", "certificate-not-for-key-transport", text);
    }
    if any {
        let text = bilingual!(
            "用途为 {word} 的证书当前都不可用（已过期或未到启用时间），无法与该伙伴收发。请加入新证书。",
            "no certificate for use \"{word}\" is active now (expired or not yet begun): nothing can be exchanged with this partner. Add one."
        );
        return root.warning("certificates", "no-active-certificate", text);
    }
    let text = bilingual!(
        "缺少用途为 {word} 的伙伴证书。请加入 [[certificates]],file 指向对方提供的证书。",
        "a certificate of the partner for use \"{word}\" is missing. Add [[certificates]] with the file the partner gave you."
    );
    root.error("certificates", "certificate-missing", text);
}

fn certificate(
    section: &Section<'_>,
    reading: &Reading<'_>,
    surroundings: &Surroundings<'_>,
) -> Option<PartnerCertificate> {
    let words = section.parsed_list("use", |text| one_of(text, &["verify", "encrypt", "tls", "client", "carried"]));
    let uses = words.map_or(CertificateUses::MESSAGES, |words| CertificateUses {
        verify: words.contains(&"verify"),
        encrypt: words.contains(&"encrypt"),
        tls: words.contains(&"tls"),
        client: words.contains(&"client"),
    });
    let wishes = wishes(section);
    if !section.has("file") {
        section.missing("file");
    }
    let file = reading.path(section, "file")?;
    let certificate = note(section, "file", load::certificate(&file))?;
    if uses.verify || uses.encrypt {
        reading.check_strength(section, "file", &certificate);
    }
    reading.report_expiry(section, "file", &certificate, &file);
    if surroundings.exposed && specimen::is_specimen(&certificate) {
        section.error("file", "example-key", example_key());
    }
    let window = narrowed(section, &certificate, wishes);
    Some(PartnerCertificate { certificate, uses, window, file, revoked: false })
}

fn example_key() -> Bilingual {
    bilingual!(
        "certs-example 中的示例密钥是公开的，只能用于本机回环地址。请换用真实的证书和密钥。",
        "the keys of certs-example are published and for loopback addresses only. Use real certificates and keys."
    )
}

/// `inside`: the URL itself names this machine or a private address, so it must be meant.
fn delivery(section: &Section<'_>, inside: bool) -> Delivery {
    let timeout = section.duration("timeout", 10 * MINUTE, SECOND, HOUR);
    Delivery {
        connect_timeout: section.duration("connect_timeout", 30 * SECOND, SECOND, 10 * MINUTE).min(timeout),
        timeout,
        concurrency: section.count("concurrency", 4, 1, 256),
        retry: RetrySchedule {
            delays: delays(section),
            give_up_after: section.duration("give_up_after", 72 * HOUR, SECOND, 30 * DAY),
            jitter: section.fraction("jitter", 0.2, 0.0, 0.5),
            retry_status: section.numbers("retry_status", 400, 599).unwrap_or_default(),
        },
        retry_processing_error: section.boolean("retry_processing_error", false),
        fresh_message_id: section.boolean("fresh_message_id", false),
        believe_duplicates: section.boolean("believe_duplicates", false),
        folders_as_messages: section.boolean("folders_as_messages", false),
        private_network: section.boolean("private_network", inside),
    }
}

fn delays(section: &Section<'_>) -> Vec<Duration> {
    let standard = || [1, 2, 5, 10, 20, 40, 60].map(|minutes| minutes * MINUTE).to_vec();
    let Some(delays) = section.parsed_list("retry", quantity::duration) else { return standard() };
    let fits = (1..=64).contains(&delays.len()) && delays.iter().all(|delay| (SECOND..=7 * DAY).contains(delay));
    if fits {
        return delays;
    }
    let text = bilingual!(
        "应为 1 至 64 个时长，每个在 1s 与 7d 之间。",
        "expected are 1 to 64 durations, each from 1s to 7d."
    );
    section.error("retry", "value-out-of-range", text);
    standard()
}

/// Whether one of our keys signs now as it is agreed: that another one signs in another way does not help this partner.
fn judge_signing(agreement: &Section<'_>, partner: &Partner, surroundings: &Surroundings<'_>, now: Timestamp) {
    let Some((scheme, station)) = partner.agreement.sign.zip(surroundings.station) else { return };
    let signs = |scheme| station.keys.signing_key(now, scheme).is_some();
    let fits = station.keys.keys().iter().any(|key| key.uses.sign && scheme.fits(key.key.kind()));
    if partner.enabled && fits && signs(None) && !signs(Some(scheme)) {
        let text = bilingual!(
            "当前没有可用于 {scheme} 签名的有效密钥（已过期、已停用或未到启用时间），无法与该伙伴收发。请在 gateway.toml 的 [[station.keys]] 中加入这类密钥。",
            "no key that signs with {scheme} is active now (expired, ended or not yet begun): nothing can be exchanged with this partner. Add one of that kind under [[station.keys]] in gateway.toml."
        );
        agreement.warning("sign", "no-active-signing-key", text);
    }
}

/// What the URL means for keys and secrecy.
fn judge_transport(root: &Section<'_>, partner: &Partner, surroundings: &Surroundings<'_>) {
    if !partner.url.is_secure() && partner.certificates.certificates().iter().any(|one| one.uses.tls) {
        let text = bilingual!(
            "有用途为 tls 的证书，但 URL 不是 https://，该证书不起作用。",
            "a certificate is for use \"tls\", but the URL is not https://: it has no effect."
        );
        root.warning("url", "tls-certificate-unused", text);
    }
    if partner.url.is_loopback() {
        return;
    }
    let ours = surroundings
        .station
        .is_some_and(|station| station.keys.keys().iter().any(|key| specimen::is_specimen(&key.certificate)));
    let theirs = partner.certificates.certificates().iter().any(|one| specimen::is_specimen(&one.certificate));
    if ours || theirs {
        root.error("url", "example-key", example_key());
    }
    if partner.agreement.encrypt.is_none() && !partner.url.is_secure() {
        let text = bilingual!(
            "报文未加密且经 http:// 发送，内容会被途中读取。请使用 https:// 或配置 agreement.encrypt。",
            "messages are not encrypted and travel over http://: they can be read on the way. Use https:// or set agreement.encrypt."
        );
        root.warning("url", "sent-in-clear", text);
    }
    if partner.http.authorization.is_some() && !partner.url.is_secure() {
        let text = bilingual!(
            "凭据将经 http:// 明文发送。请使用 https://。",
            "the credentials would travel over http:// in the clear. Use https://."
        );
        root.error("url", "credentials-in-clear", text);
    }
}

/// Keys that no handshake of TLS 1.2 or 1.3 takes, of certificates that are for nothing else: others are refused.
fn judge_tls_keys(root: &Section<'_>, partner: &Partner) {
    let fails = |one: &&PartnerCertificate| {
        let CertificateUses { verify, encrypt, tls, client } = one.uses;
        let shown = client || (tls && !partner.http.old_tls);
        let (algorithm, bits) = (one.certificate.key_algorithm(), one.certificate.key_bits());
        shown && !verify && !encrypt && algorithm == "RSA" && !(2048..=8192).contains(&bits)
    };
    for one in partner.certificates.certificates().iter().filter(fails) {
        let (file, bits) = (one.file.display(), one.certificate.key_bits());
        let text = bilingual!(
            "证书 {file} 的 RSA 密钥为 {bits} 位，TLS 只接受 2048 至 8192 位：以它握手的连接都会失败。请向对方索取新证书。",
            "the RSA key of the certificate {file} has {bits} bits, and TLS takes 2048 to 8192: every handshake with it fails. Obtain a new one from the partner."
        );
        root.warning("certificates", "certificate-weak-for-tls", text);
    }
}

/// Whether the partner can show the certificate that is demanded of it.
fn judge_client(accept: &Section<'_>, partner: &Partner, surroundings: &Surroundings<'_>) {
    let pinned = partner.certificates.certificates().iter().any(|one| one.uses.client);
    let named = !partner.accept.client_names.is_empty();
    if partner.accept.client_certificate && !pinned && !named {
        let text = bilingual!(
            "要求客户端证书，但没有说明哪一张属于该伙伴。请加入用途为 client 的 [[certificates]]，或填写 client_names。",
            "a client certificate is demanded, but nothing says which one is the partner's. Add one for use \"client\" under [[certificates]], or give client_names."
        );
        accept.error("client_certificate", "client-certificate-unnamed", text);
    }
    if partner.accept.client_certificate && !surroundings.asks_clients {
        let text = bilingual!(
            "要求客户端证书，但没有监听器索取它：该伙伴的请求都会被拒绝。请在 gateway.toml 的 [as2.tls] 中设置 client_certificates。",
            "a client certificate is demanded, but no listener asks for one: all requests of this partner are refused. Set client_certificates under [as2.tls] in gateway.toml."
        );
        accept.warning("client_certificate", "client-certificate-never-asked", text);
    }
}

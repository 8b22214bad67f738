//! `README.md` of a bundle: what it is, and the commands that verify it, ready to be pasted into a shell.

use std::fmt::Write as _;

use super::bundle::Bundle;
use crate::cms::{DigestAlgorithm, SignatureScheme};
use crate::ground::text::printable;
use crate::store::record::{Direction, Message};

/// How a signature was made, if there is one that counts.
type Made = Option<(SignatureScheme, DigestAlgorithm)>;

/// What was found while the bundle was made.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) signed: bool,
    pub(super) opaque: bool,
    /// How it was signed.
    pub(super) signature: Made,
    pub(super) compressed: bool,
    /// Only the partner can open the wire bytes.
    pub(super) sealed: bool,
    pub(super) mdn_signed: bool,
    pub(super) mdn_opaque: bool,
    pub(super) mdn_signature: Made,
    /// The algorithm of the MIC that the MDN states and that is the digest of `content.bin`.
    pub(super) mic: Option<DigestAlgorithm>,
    pub(super) mic_in_mdn: bool,
}

/// A signature's files, without endings, and what was found of it: that it holds its content, and how it was made.
struct Files {
    stem: &'static str,
    content: &'static str,
    certificate: &'static str,
    of: fn(&Facts) -> (bool, Made),
}

const MESSAGE: Files = Files {
    stem: "signature",
    content: "content.bin",
    certificate: "certificates/signer.pem",
    of: |facts| (facts.opaque, facts.signature),
};
const MDN: Files = Files {
    stem: "mdn-signature",
    content: "mdn-content.bin",
    certificate: "certificates/mdn-signer.pem",
    of: |facts| (facts.mdn_opaque, facts.mdn_signature),
};

/// The text. Every command stands in a block of its own and ends with 0 exactly when what is said above it holds.
pub(super) fn text(message: &Message, facts: &Facts, bundle: &Bundle) -> String {
    let sent = message.direction == Direction::Outbound;
    let mut text = heading(message);
    let mut number = 0u32;
    let mut step = |zh: &str, en: &str, command: &str| {
        number = number.saturating_add(1);
        let _ = write!(text, "## {number}. {zh} / {en}\n\n```sh\n{command}\n```\n\n");
    };
    step(
        "校验和清单未被改动",
        "the list of sums is what it was",
        "sha256sum < SHA256SUMS | cut -c1-64 | tr -d '\\n' | cmp - SHA256SUMS.sha256",
    );
    step("所有文件未被改动", "every file is what it was", "sha256sum --check --strict --quiet SHA256SUMS");
    let (signer_zh, signer_en) = if sent { ("我方", "us") } else { ("对方", "the partner") };
    if facts.signed {
        step(
            &format!("报文内容由{signer_zh}签名"),
            &format!("the content was signed by {signer_en}"),
            &verification(&MESSAGE, facts, bundle),
        );
    }
    if let Some(algorithm) = facts.mic {
        step(
            "MIC 即内容的摘要",
            "the MIC is the digest of the content",
            &format!(
                "openssl dgst -{} -binary content.bin | openssl base64 -A | cmp - mic.txt",
                openssl_name(algorithm)
            ),
        );
    }
    let (answerer_zh, answerer_en) = if sent { ("对方", "the partner") } else { ("我方", "us") };
    if facts.mdn_signed {
        step(
            &format!("回执（MDN）由{answerer_zh}签名"),
            &format!("the MDN was signed by {answerer_en}"),
            &verification(&MDN, facts, bundle),
        );
    }
    if facts.mic_in_mdn {
        step("回执确认的正是这个 MIC", "the MDN confirms this very MIC", "grep -qF \"$(cat mic.txt)\" mdn-content.bin");
    }
    if ends_with_payload(bundle) {
        let len = bundle.len("payload.bin");
        step(
            "内容中正是该载荷",
            "the content holds this very payload",
            &format!("tail -c {len} content.bin | cmp - payload.bin"),
        );
    }
    // Retention gives old segments back, and with them the frames of old messages.
    if bundle.len("chain.txt") > 0 {
        step(
            "各日志帧的散列即链中的散列",
            "the frames of the journal have the hashes that stand in its chain",
            "sha256sum --check --strict --quiet chain.txt",
        );
    }
    text.push_str(&remarks(facts, bundle));
    text
}

/// What this folder is.
fn heading(message: &Message) -> String {
    let mut text = String::new();
    let (way_zh, way_en) = match message.direction {
        Direction::Outbound => ("发出", "sent to"),
        Direction::Inbound => ("收到", "received from"),
    };
    let (id, partner) = (message.id, printable(&message.partner));
    let message_id = printable(message.message_id.as_deref().unwrap_or("-"));
    let _ = write!(
        text,
        "# 报文证据 / Evidence of message {id}\n\n\
         方向与伙伴 / way and partner: {way_zh} / {way_en} `{partner}`  \n\
         AS2 Message-ID: `{message_id}`  \n\
         文件 / file: `{name}`  \n\
         首末时间 / first and last fact (UTC): {created} – {updated}\n\n\
         本文件夹自成一体：不需要 dxgate，也不需要任何私钥。在本文件夹内依次执行下列命令；每条命令以 0 结束即为成立。\n\
         证书按指纹核对（`-noverify`）：请自行确认 `certificates/` 中的证书属于谁。\n\n\
         This folder stands alone: neither dxgate nor a private key is needed. Run the commands below in it, one after the\n\
         other; each ends with 0 exactly if what stands above it holds. Certificates are taken as they are (`-noverify`): it is\n\
         for you to establish whose they are.\n\n",
        name = printable(&message.file_name),
        created = message.created,
        updated = message.updated,
    );
    text
}

/// What the commands do not say by themselves.
fn remarks(facts: &Facts, bundle: &Bundle) -> String {
    let mut text = String::from(
        "## 说明 / Remarks\n\n\
         - `facts.json`、`message.json`：经过、当时的约定条款与所用证书；时间均为 UTC。 / what happened when, the terms of the agreement then, the certificates used; times are UTC.\n\
         - `chain.json`：每一帧的序号、散列与前一帧的散列；整条链由 `dxgate messages verify --all` 在网关上验证。 / sequence, hash and previous hash of each frame; `dxgate messages verify --all` proves the whole chain at the gateway.\n\
         - `dxgate messages verify DIR` 一次检查本文件夹的全部内容。 / checks all of this folder at once.\n",
    );
    let mut remark = |holds: bool, line: &str| {
        if holds {
            text.push_str("- ");
            text.push_str(line);
            text.push('\n');
        }
    };
    remark(
        facts.compressed,
        "内容在签名之内或之外经过压缩（RFC 5402）。 / The content was compressed (RFC 5402), inside or outside of the signature.",
    );
    remark(
        facts.sealed,
        "本报文加密给对方，且早于内容密钥的保存：只有对方能解开。 / The message is encrypted to the partner and older than kept content keys: only the partner can open it.",
    );
    remark(!facts.signed && !facts.sealed, "报文未签名。 / The message is not signed.");
    remark(
        bundle.has("mdn.http") && !facts.mdn_signed,
        "回执未签名，或签名者的证书未保存。 / The MDN is not signed, or its signer's certificate was not kept.",
    );
    remark(
        bundle.has("original.bin"),
        "`original.bin` 是用户给出的文件，`payload.bin` 是传送时的载荷（信封）。 / `original.bin` is the file as the user gave it, `payload.bin` what travelled (its envelope).",
    );
    text
}

/// A signature without trust in anything but the certificate beside it. One that was taken apart is checked in two steps: that
/// it is over the attributes, and that these have the digest of the content; in one if there are none.
fn verification(files: &Files, facts: &Facts, bundle: &Bundle) -> String {
    let Files { stem, content, certificate, of } = files;
    let (opaque, signature) = of(facts);
    if let Some((scheme, digest)) = signature.filter(|_| bundle.has(&format!("{stem}.value"))) {
        let options = match scheme {
            SignatureScheme::Sm2 => " -pkeyopt distid:1234567812345678",
            SignatureScheme::RsaPss => " -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:auto",
            SignatureScheme::RsaPkcs1 | SignatureScheme::Ecdsa => "",
        };
        let name = openssl_name(digest);
        let verify = format!("openssl pkeyutl -verify -rawin -digest {name}{options} -certin -inkey {certificate}");
        if !bundle.has(&format!("{stem}.attributes")) {
            return format!("{verify} -in {content} -sigfile {stem}.value");
        }
        let digest = format!("openssl dgst -{name} -binary {content} | od -An -v -tx1 | tr -d ' \\n' | tr a-f A-F");
        return format!(
            "{verify} -in {stem}.attributes -sigfile {stem}.value && \\\n\
             openssl asn1parse -inform DER -in {stem}.attributes | grep -x \".*HEX DUMP]:$({digest})\""
        );
    }
    let signature = format!("{stem}.p7s");
    let what =
        if opaque { format!("-in {signature} -binary") } else { format!("-in {signature} -content {content} -binary") };
    let verify =
        format!("openssl cms -verify -inform DER {what} -certfile {certificate} -nointern -noverify -out verified.tmp");
    format!("{verify} && cmp verified.tmp {content} && rm verified.tmp")
}

/// The signed content ends with the payload's own bytes: neither compressed nor encoded.
fn ends_with_payload(bundle: &Bundle) -> bool {
    use std::io::{Read as _, Seek as _, SeekFrom};
    if !bundle.has("payload.bin") || !bundle.has("content.bin") {
        return false;
    }
    let (content, payload) = (bundle.len("content.bin"), bundle.len("payload.bin"));
    let Some(start) = content.checked_sub(payload) else { return false };
    let same = || -> std::io::Result<bool> {
        let mut content = std::fs::File::open(bundle.path("content.bin"))?;
        content.seek(SeekFrom::Start(start))?;
        let mut a = std::io::BufReader::new(content).bytes();
        let mut b = std::io::BufReader::new(std::fs::File::open(bundle.path("payload.bin"))?).bytes();
        loop {
            match (a.next().transpose()?, b.next().transpose()?) {
                (None, None) => return Ok(true),
                (x, y) if x != y => return Ok(false),
                _ => {}
            }
        }
    };
    same().unwrap_or(false)
}

fn openssl_name(algorithm: DigestAlgorithm) -> &'static str {
    match algorithm {
        DigestAlgorithm::Md5 => "md5",
        DigestAlgorithm::Sha1 => "sha1",
        DigestAlgorithm::Sha256 => "sha256",
        DigestAlgorithm::Sha384 => "sha384",
        DigestAlgorithm::Sha512 => "sha512",
        DigestAlgorithm::Sm3 => "sm3",
    }
}

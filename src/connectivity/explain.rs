//! Why a case failed, for people who must mend it: from the stable code of what was seen to the layer, the likely cause,
//! and what to ask the data centre.

use super::run::{Explanation, Layer};
use crate::as2::Disposition;
use crate::bilingual;
use crate::ground::text::Bilingual;

/// Explains what was `seen` under this code.
pub fn explain(code: &str, seen: Bilingual) -> Explanation {
    let layer = layer_of(code);
    let (cause, ask) = advice(code, layer);
    Explanation { code: code.to_owned(), layer, seen, cause, ask }
}

/// Explains a negative MDN by the reason that its disposition gives (RFC 4130 7.5).
pub fn negative(disposition: &str) -> Explanation {
    let shown = crate::ground::text::printable(disposition);
    let seen = bilingual!("收到否定回执：{shown}", "a negative MDN came back: {shown}");
    let read = Disposition::parse_received(disposition).ok();
    let says = |reason: &str| read.as_ref().is_some_and(|read| read.says(reason));
    let (cause, ask) = REASONS
        .iter()
        .find(|row| says(row.0))
        .map_or_else(|| advice("mdn-negative", Layer::As2), |(_, cause, ask)| (two(cause), two(ask)));
    Explanation { code: "mdn-negative".to_owned(), layer: Layer::As2, seen, cause, ask }
}

/// Explains a DxpRep that refuses an envelope by the class of its `ResponseCode` (0 format, 1 security, 2 business, 3 system).
pub fn refused(response_code: &str, seen: Bilingual) -> Explanation {
    let of_class = CLASSES.iter().find(|row| response_code.len() == 4 && response_code.starts_with(row.0));
    let plain = explain("envelope-refused", seen);
    match of_class {
        Some((_, cause, ask)) => Explanation { cause: two(cause), ask: two(ask), ..plain },
        None => plain,
    }
}

/// At which layer a code is at home.
pub fn layer_of(code: &str) -> Layer {
    match code {
        "resolve-failed" => Layer::NameResolution,
        "connect-failed" | "connect-timeout" | "address-forbidden" | "proxy-failed" => Layer::Tcp,
        "timeout" | "connection-closed" | "not-http" | "answer-too-large" | "answered-early" | "bad-url"
        | "body-unreadable" => Layer::Http,
        "mdn-negative" | "wrong-certificate-accepted" => Layer::As2,
        "transport-receipt-missing" | "envelope-refused" | "no-receiver" | "environment-foreign-dxpid" => {
            Layer::Envelope
        }
        "precheck-refused" | "format-refused" | "payload-empty" | "payload-blank" | "payload-too-large"
        | "sample-missing" | "file-unreadable" => Layer::Format,
        "business-refused" | "receipt-missing" => Layer::Business,
        _ if code.starts_with("tls-") => Layer::Tls,
        _ if code.starts_with("http-") => Layer::Http,
        _ if code.starts_with("mdn-") => Layer::Mdn,
        _ if code.starts_with("signature-") => Layer::Format,
        _ => Layer::As2,
    }
}

type Words = (&'static str, &'static str);

fn two(words: &Words) -> Bilingual {
    Bilingual { zh: words.0.to_owned(), en: words.1.to_owned() }
}

/// By the code, else by the layer.
fn advice(code: &str, layer: Layer) -> (Bilingual, Bilingual) {
    let by_code = CODES.iter().find(|row| row.0 == code).map(|(_, cause, ask)| (cause, ask));
    let (cause, ask) = by_code.unwrap_or_else(|| of_layer(layer));
    (two(cause), two(ask))
}

fn of_layer(layer: Layer) -> (&'static Words, &'static Words) {
    let row = LAYERS.iter().find(|row| row.0 == layer);
    row.map_or((&UNKNOWN, &UNKNOWN), |(_, cause, ask)| (cause, ask))
}

/// For a layer without words; the test below finds it.
const UNKNOWN: Words = ("不明", "unknown");

/// What is said where the code itself has no words.
const LAYERS: [(Layer, Words, Words); 9] = [
    (
        Layer::As2,
        (
            "本站的密钥、伙伴证书或协议设置与对方不符",
            "our keys, the partner's certificates or the agreement do not fit the other side",
        ),
        (
            "请与数据分中心核对 AS2 名称、证书指纹、签名和加密算法",
            "compare AS2 names, certificate fingerprints, signature and encryption algorithms with the data centre",
        ),
    ),
    (
        Layer::NameResolution,
        ("域名写错，或本机的 DNS 不能解析", "the host name is misspelt, or this machine's DNS does not know it"),
        (
            "请向数据分中心确认接入地址；如走专线，请索取应使用的 DNS 或 hosts 记录",
            "ask for the exact address; on a leased line, for the DNS server or hosts entry to be used",
        ),
    ),
    (
        Layer::Tcp,
        (
            "防火墙、路由或专线不通，或对方未在该端口监听",
            "a firewall, a route or the leased line is in the way, or nobody listens on that port",
        ),
        (
            "请提供本企业的出口 IP，请分中心确认已放行该 IP 和端口",
            "tell the data centre your outgoing IP address, and ask whether it and the port are let through",
        ),
    ),
    (
        Layer::Tls,
        (
            "双方没有共同的 TLS 版本或算法，或地址应为 http",
            "there is no TLS version or suite in common, or the URL should begin with http",
        ),
        (
            "请确认接入地址的协议（http 或 https）、TLS 版本，以及是否需要客户端证书",
            "ask whether the address is http or https, which TLS versions it takes, and whether it wants a client certificate",
        ),
    ),
    (
        Layer::Http,
        (
            "网址路径、凭据或对方的 HTTP 服务有问题",
            "the URL's path, the credentials or the other side's HTTP server is at fault",
        ),
        (
            "请核对接入网址的路径；请分中心按下列时间查看其服务器日志",
            "compare the URL's path, and ask the data centre to look into its server's log at the times given",
        ),
    ),
    (
        Layer::Mdn,
        ("对方返回的回执不符合约定", "the MDN that came back is not as agreed"),
        (
            "请分中心检查其回执设置：签名、摘要算法、原报文 Message-ID",
            "ask the data centre to check its MDN settings: signature, digest, original Message-ID",
        ),
    ),
    (
        Layer::Envelope,
        (
            "信封（DxpMsg）的发送方、接收方或格式不被平台接受",
            "sender, receivers or form of the envelope (DxpMsg) are not accepted by the platform",
        ),
        (
            "请确认测试 DXPID 已开通，以及进口、出口申报的接收方编号",
            "ask whether the test DXPID is active, and for the receivers of import and export declarations",
        ),
    ),
    (
        Layer::Format,
        ("报文不符合报文规范", "the message does not follow the specification"),
        (
            "请按问题清单修改报文；如认为平台判断有误，请附规范条款询问",
            "mend the message by the findings; if the platform seems wrong, ask with the clause of the specification",
        ),
    ),
    (
        Layer::Business,
        ("海关业务系统的处理结果与预期不同", "the business system of customs came to another result than expected"),
        (
            "请提供报文编号和单证编号，询问测试环境是否已备案企业、商品和账册",
            "give message and document numbers, and ask whether enterprise, goods and account books are on file in the test system",
        ),
    ),
];

/// Codes with words of their own.
const CODES: [(&str, Words, Words); 18] = [
    (
        "tls-version",
        ("对方服务器只支持旧的 TLS 版本", "the server only speaks TLS versions of the past"),
        (
            "请分中心启用 TLS 1.2 或 1.3；如暂不能，可在伙伴文件中登记豁免（old-tls）",
            "ask the data centre to enable TLS 1.2 or 1.3; until then a waiver for old-tls in the partner's file helps",
        ),
    ),
    (
        "tls-certificate-expired",
        (
            "对方服务器的证书已过期或尚未生效，或本机时钟不准",
            "the server's certificate has expired or is not valid yet, or this machine's clock is wrong",
        ),
        (
            "请分中心更换服务器证书，并提供新证书的 SHA-256 指纹",
            "ask the data centre to renew its server's certificate and to tell the SHA-256 fingerprint of the new one",
        ),
    ),
    (
        "tls-certificate-name",
        (
            "对方服务器的证书属于其他主机名：网址写错，或连到了别的服务器",
            "the server's certificate is for another host name: the URL is wrong, or another server answers",
        ),
        (
            "请核对接入地址的主机名，并请分中心确认其证书包含该名称",
            "compare the host name of the address, and ask whether the certificate has it",
        ),
    ),
    (
        "tls-certificate-refused",
        (
            "对方服务器出示的证书不是已固定的证书，也不受本机信任；可能已换证，也可能连到了别的服务器",
            "the server shows neither the pinned certificate nor one that this machine trusts: it was renewed, or another server answers",
        ),
        (
            "请向分中心核对服务器证书的 SHA-256 指纹，确认后更新伙伴证书",
            "compare the SHA-256 fingerprint of the server's certificate with the data centre, then update the partner's certificate",
        ),
    ),
    (
        "timeout",
        ("对方没有在期限内给出完整的应答", "the other side gave no complete answer in time"),
        (
            "请分中心按下列时间查看是否收到请求、处理了多久",
            "ask whether the request arrived at the times given, and how long it was worked on",
        ),
    ),
    (
        "connection-closed",
        (
            "对方或中间设备在应答完整之前断开了连接",
            "the other side, or a device between, ended the connection before the answer was complete",
        ),
        (
            "请分中心查看其服务器日志和负载均衡的超时设置",
            "ask the data centre for its server's log and the timeouts of its load balancer",
        ),
    ),
    (
        "mdn-unsigned",
        ("对方返回的回执没有签名", "the MDN that came back is not signed"),
        ("请分中心对本企业启用回执签名", "ask the data centre to sign the MDNs for your enterprise"),
    ),
    (
        "mdn-bad-signature",
        (
            "回执的签名不能用已固定的伙伴证书验证：证书已更换，或回执在途中被改动",
            "the MDN's signature does not verify with the pinned certificates: they changed, or the MDN was altered on its way",
        ),
        (
            "请索取分中心当前的签名证书并核对指纹",
            "ask for the signing certificate in force, and compare its fingerprint",
        ),
    ),
    (
        "mdn-mic-mismatch",
        (
            "对方收到的内容与发送的不同，或其摘要计算方法不同",
            "what the other side received differs from what was sent, or it computes the digest otherwise",
        ),
        (
            "请分中心核对其收到的报文和 MIC 的算法及计算范围",
            "ask which octets and which algorithm its MIC covers, and compare the message as received",
        ),
    ),
    (
        "mdn-without-mic",
        ("回执没有 MIC，不能证明对方收到的内容", "the MDN has no MIC and does not prove what was received"),
        ("请分中心在回执中返回 Received-Content-MIC", "ask the data centre to return Received-Content-MIC"),
    ),
    (
        "mdn-duplicate-unproven",
        (
            "对方称报文重复，却没有给出 MIC，且没有证据表明其此前完整收到过",
            "the other side calls the message a duplicate, without a MIC, and nothing shows that it had it whole before",
        ),
        (
            "请分中心核对该报文是否已完整收到，并对重复报文返回首次的回执或带 MIC 的回执",
            "ask whether the message is there whole, and for the first MDN again, or one with a MIC, when a message comes twice",
        ),
    ),
    (
        "mdn-overdue",
        (
            "报文已传输，但异步回执没有在期限内到达",
            "the message was transferred, but its asynchronous MDN did not come in time",
        ),
        (
            "请提供本企业的回执网址，请分中心确认能够访问并查看其回执发送日志",
            "give your MDN URL, and ask whether the data centre reaches it and what its log of sent MDNs says",
        ),
    ),
    (
        "mdn-missing",
        ("对方接受了请求，但没有返回回执", "the request was taken, but no MDN came back"),
        ("请分中心确认已为本企业启用 AS2 回执", "ask whether MDNs are enabled for your enterprise"),
    ),
    (
        "public-url-missing",
        ("本站没有配置对方可访问的网址", "no URL of ours is configured that the other side could reach"),
        (
            "请先在 gateway.toml 的 [as2] 设置 public_url，再告知分中心",
            "set public_url in [as2] of gateway.toml, then tell the data centre",
        ),
    ),
    (
        "wrong-certificate-accepted",
        (
            "对方没有检查签名证书：任何人都能以本企业的名义发送",
            "the other side does not check who signed: anybody could send in your name",
        ),
        ("请分中心为本企业固定签名证书", "ask the data centre to pin your signing certificate"),
    ),
    (
        "receipt-missing",
        ("业务回执没有在期限内全部到达", "not every business receipt came in time"),
        (
            "请提供 CopMsgId 和单证编号，询问处理进度；也请确认本站的接收网址",
            "give CopMsgId and document numbers and ask how far they are; check your receiving URL as well",
        ),
    ),
    (
        "transport-receipt-missing",
        ("传输平台没有返回传输回执（DxpRep）", "the transport platform sent no transport receipt (DxpRep)"),
        ("请询问平台是否返回传输回执，以及发往哪里", "ask whether the platform sends transport receipts, and where to"),
    ),
    (
        "sample-missing",
        ("网关没有该类型的样例报文", "the gateway has no sample of this type"),
        ("请在计划中用 file 指定本企业的报文文件", "name a file of your own with file in the plan"),
    ),
];

/// Classes of `ResponseCode`.
const CLASSES: [(char, Words, Words); 4] = [
    (
        '0',
        ("信封（DxpMsg）的格式不被平台接受", "the form of the envelope (DxpMsg) is not accepted by the platform"),
        (
            "请附信封原文，询问不符合信封 schema 的哪一项",
            "hand over the envelope as sent, and ask what of its schema it does not follow",
        ),
    ),
    (
        '1',
        (
            "信封的签名无效、过期或与内容不符，或平台不能解密",
            "the envelope's signature does not hold, has expired or does not fit, or the platform cannot decrypt it",
        ),
        (
            "请确认平台登记的本企业签名证书及其有效期，以及平台是否要求信封签名",
            "ask which certificate of yours is registered, until when, and whether envelopes must be signed",
        ),
    ),
    (
        '2',
        (
            "接收方编号或地址不对，或测试 DXPID 尚未开通该业务",
            "the receiver's number or address is wrong, or the test DXPID is not open for this business",
        ),
        (
            "请确认测试 DXPID 已开通，以及进口、出口申报的接收方编号",
            "ask whether the test DXPID is active, and for the receivers of import and export declarations",
        ),
    ),
    (
        '3',
        ("平台内部的系统或网络故障", "a system or network failure inside the platform"),
        (
            "请稍后重试；如仍出现，请提供 CopMsgId 和时间询问平台状态",
            "try again later; if it stays, give CopMsgId and time and ask how the platform is",
        ),
    ),
];

/// Reasons of negative MDNs (RFC 4130 7.5.3, 7.5.4; RFC 5402 5).
const REASONS: [(&str, Words, Words); 9] = [
    (
        "authentication-failed",
        (
            "对方不认识签名证书，或签名者不是约定的企业",
            "the other side does not know the signing certificate, or takes it for somebody else's",
        ),
        (
            "请确认分中心已登记本企业当前的签名证书，并核对指纹",
            "make sure your current signing certificate is registered, and compare fingerprints",
        ),
    ),
    (
        "decryption-failed",
        (
            "报文是用对方已不使用的证书加密的，或加密算法不被支持",
            "it was encrypted to a certificate that the other side no longer uses, or with a cipher it does not know",
        ),
        (
            "请索取分中心当前的加密证书和支持的算法",
            "ask for the encryption certificate in force and the ciphers supported",
        ),
    ),
    (
        "decompression-failed",
        ("对方不支持压缩，或压缩的位置不同", "the other side does not support compression, or expects it elsewhere"),
        (
            "请询问是否支持压缩（RFC 5402）；如不支持，请设 compress = \"none\"",
            "ask whether compression (RFC 5402) is supported; if not, set compress = \"none\"",
        ),
    ),
    (
        "integrity-check-failed",
        ("报文在途中被改动，或双方的摘要算法不同", "the message was altered on its way, or the digests differ"),
        (
            "请核对签名摘要算法；请分中心检查代理是否改写内容",
            "compare the signature's digest, and ask whether a proxy rewrites content",
        ),
    ),
    (
        "insufficient-message-security",
        (
            "对方要求签名或加密，而该报文没有",
            "the other side demands a signature or encryption that the message did not have",
        ),
        ("请确认签名和加密的要求", "ask what must be signed and encrypted"),
    ),
    (
        "unexpected-processing-error",
        ("对方内部出错", "an error inside the other side"),
        (
            "请分中心按 Message-ID 查看其日志，稍后重试",
            "ask the data centre to look for the Message-ID in its log, then try again",
        ),
    ),
    (
        "unsupported format",
        ("对方不能生成所要求的回执", "the other side cannot make the receipt that was asked for"),
        ("请确认回执的签名和格式", "ask which kind of MDN can be had"),
    ),
    (
        "unsupported MIC-algorithms",
        ("对方不支持所要求的摘要算法", "the other side does not support the digests that were asked for"),
        ("请确认支持的摘要算法，修改 micalg", "ask for the digests supported, and change micalg"),
    ),
    (
        "sender-equals-receiver",
        ("AS2-From 与 AS2-To 相同", "AS2-From equals AS2-To"),
        ("请核对双方的 AS2 名称", "compare both AS2 names"),
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_has_words_in_both_languages() {
        use Layer::*;
        for layer in [NameResolution, Tcp, Tls, Http, As2, Mdn, Envelope, Format, Business] {
            let row = LAYERS.iter().find(|row| row.0 == layer).unwrap_or_else(|| panic!("{layer:?}"));
            assert!(!row.1.0.is_ascii() && row.1.1.is_ascii() && !row.2.0.is_ascii() && row.2.1.is_ascii(), "{row:?}");
        }
    }

    #[test]
    fn a_code_leads_to_its_layer_and_a_negative_mdn_is_explained_by_its_reason() {
        let rows = [
            ("resolve-failed", Layer::NameResolution),
            ("connect-failed", Layer::Tcp),
            ("connect-timeout", Layer::Tcp),
            ("tls-certificate-refused", Layer::Tls),
            ("tls-version", Layer::Tls),
            ("http-503", Layer::Http),
            ("no-active-signing-key", Layer::As2),
            ("mdn-mic-mismatch", Layer::Mdn),
            ("mdn-duplicate-unproven", Layer::Mdn),
            ("envelope-refused", Layer::Envelope),
            ("format-refused", Layer::Format),
            ("business-refused", Layer::Business),
        ];
        for (code, layer) in rows {
            assert_eq!(explain(code, bilingual!("见", "seen")).layer, layer, "{code}");
        }
        let told = negative("automatic-action/MDN-sent-automatically; processed/error: decryption-failed");
        assert!(told.layer == Layer::As2 && told.cause.en.contains("encrypted to a certificate"), "{told:?}");
        let causes =
            ["0002", "1001", "2001", "3001", "4711"].map(|code| refused(code, bilingual!("见", "seen")).cause.en);
        let told: std::collections::BTreeSet<&String> = causes.iter().collect();
        assert_eq!(told.len(), 5, "each class of the platform's codes has words of its own: {causes:?}");
        let unknown = negative("automatic-action/MDN-sent-automatically; processed/error: out-of-paper");
        assert!(unknown.seen.en.contains("out-of-paper") && !unknown.ask.zh.is_empty());
    }
}

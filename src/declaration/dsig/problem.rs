//! What can be wrong with a signature, and what is merely unusual about it.

use super::super::error::DeclarationError;
use crate::bilingual;
use crate::ground::text::{Bilingual, printable};

/// A signature that does not hold, or cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text().en)]
pub enum SignatureProblem {
    /// There is none.
    Missing,
    /// There is more than one.
    Several,
    /// There is one already, so none is added.
    Present,
    /// The document itself cannot be read.
    Document(DeclarationError),
    /// An element of the signature is missing, repeated, misplaced or unreadable.
    Shape(&'static str),
    /// A signature over something else than the whole document.
    Reference,
    /// An algorithm that is not one of the specification.
    Algorithm(String),
    /// The signer's certificate is missing or unreadable.
    Certificate,
    /// The certificate's key is not of the kind that the algorithm needs.
    Key,
    /// The document was changed after it had been signed.
    Digest,
    /// The signature value is not that of the certificate's key over `SignedInfo`.
    Value,
    /// The signing key or device failed.
    Signer(String),
}

impl SignatureProblem {
    /// Stable kebab-case code.
    pub fn code(&self) -> &'static str {
        match self {
            SignatureProblem::Missing => "signature-missing",
            SignatureProblem::Several => "signature-twice",
            SignatureProblem::Present => "signature-present",
            SignatureProblem::Document(error) => error.code(),
            SignatureProblem::Shape(_) => "signature-shape",
            SignatureProblem::Reference => "signature-reference",
            SignatureProblem::Algorithm(_) => "signature-algorithm",
            SignatureProblem::Certificate => "signature-certificate",
            SignatureProblem::Key => "signature-key",
            SignatureProblem::Digest => "signature-digest",
            SignatureProblem::Value => "signature-value",
            SignatureProblem::Signer(_) => "signature-failed",
        }
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            SignatureProblem::Missing => bilingual!(
                "报文没有数字签名（ds:Signature）。请先签名，或在伙伴配置 [dxp.signature] 中启用网关签名。",
                "there is no signature (ds:Signature). Sign the document, or let the gateway sign it: [dxp.signature] in the partner's file."
            ),
            SignatureProblem::Several => bilingual!(
                "报文含有多个 ds:Signature，只允许一个。请重新生成。",
                "there is more than one ds:Signature; one is allowed. Produce the document again."
            ),
            SignatureProblem::Present => bilingual!(
                "报文已有 ds:Signature，不再签名。",
                "the document has a ds:Signature already and is not signed again."
            ),
            SignatureProblem::Document(error) => error.text(),
            SignatureProblem::Shape(element) => bilingual!(
                "签名中的 {element} 缺失、重复或无法识别。请按规范重新签名。",
                "{element} of the signature is missing, repeated or unreadable. Sign again as the specification says."
            ),
            SignatureProblem::Reference => bilingual!(
                "签名须覆盖整个报文：Reference 的 URI 应为空，且只含 enveloped-signature 转换。请重新签名。",
                "the signature must cover the whole document: one Reference with an empty URI and the enveloped-signature transform alone. Sign again."
            ),
            SignatureProblem::Algorithm(uri) => {
                let uri = printable(uri);
                bilingual!(
                    "签名算法 {uri} 不在规范之内。请使用 SM2/SM3（首选）或 RSA/SHA-1。",
                    "the algorithm {uri} is not one of the specification. Use SM2/SM3 (first choice) or RSA/SHA-1."
                )
            }
            SignatureProblem::Certificate => bilingual!(
                "签名缺少可识别的证书（KeyInfo/X509Data/X509Certificate）。请在签名中附上签名证书。",
                "the signature carries no readable certificate (KeyInfo/X509Data/X509Certificate). Put the signing certificate in."
            ),
            SignatureProblem::Key => bilingual!(
                "证书的密钥类型与签名算法不符。SM2 证书用于 SM2/SM3，RSA 证书用于 RSA/SHA-1。",
                "the certificate's key does not fit the algorithm: SM2 certificates sign with SM2/SM3, RSA certificates with RSA/SHA-1."
            ),
            SignatureProblem::Digest => bilingual!(
                "签名之后报文内容被改动（摘要不符）。请在最后一步签名，签名后不要再修改、格式化或转码。",
                "the document was changed after it had been signed (digest mismatch). Sign last; do not edit, format or re-encode it afterwards."
            ),
            SignatureProblem::Value => bilingual!(
                "签名值与附带的证书不符。请确认签名所用密钥与证书是一对，并对规范化的 SignedInfo 签名。",
                "the signature value is not that of the attached certificate's key. Make sure key and certificate belong together and that the canonical SignedInfo was signed."
            ),
            SignatureProblem::Signer(why) => {
                let why = printable(why);
                bilingual!(
                    "签名失败：{why}。请检查密钥或签名设备。",
                    "signing failed: {why}. Check the key or the device."
                )
            }
        }
    }
}

impl From<DeclarationError> for SignatureProblem {
    fn from(error: DeclarationError) -> SignatureProblem {
        SignatureProblem::Document(error)
    }
}

/// How a signature that holds differs from the specification; customs may or may not accept it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variant {
    /// `SignatureMethod` has another URI than the one in force.
    MethodUri,
    /// The digest is not the one that goes with the signature, such as SHA-1 with SM2.
    DigestMethod,
    /// The canonicalization is named "with comments".
    WithComments,
    /// The digest covers the comments although the canonicalization named leaves them out.
    CommentsCovered,
    /// `KeyName` is missing or is not the certificate's serial number.
    KeyName,
}

impl Variant {
    /// Stable kebab-case code.
    pub fn code(self) -> &'static str {
        match self {
            Variant::MethodUri => "signature-method-uri",
            Variant::DigestMethod => "signature-digest-method",
            Variant::WithComments => "signature-with-comments",
            Variant::CommentsCovered => "signature-comments-covered",
            Variant::KeyName => "signature-key-name",
        }
    }

    /// What is unusual and what to do.
    pub fn text(self) -> Bilingual {
        match self {
            Variant::MethodUri => bilingual!(
                "SignatureMethod 的 URI 不是现行规范的写法；签名本身有效。",
                "the URI of SignatureMethod is not the one of the specification in force; the signature itself holds."
            ),
            Variant::DigestMethod => bilingual!(
                "摘要算法与签名算法不配套（SM2 应配 SM3）；签名本身有效。",
                "the digest does not go with the signature (SM2 goes with SM3); the signature itself holds."
            ),
            Variant::WithComments => bilingual!(
                "规范化算法写作 #WithComments，规范要求不带注释的 C14N 1.0；签名本身有效。",
                "the canonicalization is named #WithComments; the specification wants C14N 1.0 without comments. The signature itself holds."
            ),
            Variant::CommentsCovered => bilingual!(
                "摘要把注释也算在内，与所写的规范化算法不符；删除注释即可消除差异。",
                "the digest covers comments although the canonicalization named leaves them out; remove the comments to be safe."
            ),
            Variant::KeyName => bilingual!(
                "KeyName 不是证书序列号；签名本身有效。",
                "KeyName is not the certificate's serial number; the signature itself holds."
            ),
        }
    }
}

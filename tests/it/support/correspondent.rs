//! What the partner `theirs` does with its own keys, by the pure core: writes messages, reads ours, signs receipts.

use dxgate::as2::mdn::{self, MdnPlan};
use dxgate::as2::{
    self, AcceptPolicy, As2Name, As2Version, Compression, Disposition, Encryption, Incoming, Mdn, MdnAsk, MdnMode,
    MessageId, Mic, MicalgStyle, OpenKeys, Request, SendPlan, Signing, Stamp,
};
use dxgate::cms::{
    Certificate, ContentCipher, DecryptionKey, DigestAlgorithm, GcmForm, KeyTransport, PrivateKey, SignatureScheme,
    SigningKey,
};
use dxgate::ground::limits::Limits;
use dxgate::mime::{BytesSource, Headers, MemoryScratch};
use jiff::Timestamp;

use super::http::Answer;
use super::keys::{self, Party};
use super::scripted::{self, Posted};

/// A message ready for [`http::post`](super::http::post).
pub struct Letter {
    pub headers: String,
    pub body: Vec<u8>,
}

/// Signed by `theirs`, encrypted to `ours`, a signed receipt wanted in the answer.
pub fn plan() -> SendPlan {
    SendPlan {
        from: name("theirs"),
        to: name("ours"),
        signing: Some(signing(keys::theirs())),
        encryption: Some(encryption(keys::ours())),
        compression: Compression::None,
        mdn: MdnAsk { mode: MdnMode::Sync, signed: true, micalgs: vec![DigestAlgorithm::Sha256] },
        content_type: "application/xml".to_owned(),
        file_name: Some("letter.xml".to_owned()),
        subject: None,
        micalg_style: MicalgStyle::Hyphenated,
        version: As2Version::default(),
    }
}

pub fn signing(party: &Party) -> Signing {
    Signing { key: signing_key(party), digest: DigestAlgorithm::Sha256, scheme: SignatureScheme::RsaPkcs1 }
}

pub fn encryption(to: &Party) -> Encryption {
    Encryption {
        recipients: vec![certificate(to)],
        cipher: ContentCipher::Aes256Cbc,
        gcm_form: GcmForm::AuthEnveloped,
        base64: false,
        transport: KeyTransport::RsaPkcs1,
    }
}

/// Writes a message.
pub fn letter(plan: &SendPlan, message_id: &str, payload: &[u8]) -> Letter {
    let stamp = Stamp { message_id: MessageId::parse(message_id).unwrap(), date: Timestamp::now() };
    let mut body = Vec::new();
    let composed = as2::compose(plan, &stamp, &BytesSource(payload), &MemoryScratch, &mut body).unwrap();
    Letter { headers: String::from_utf8(composed.headers.to_bytes()).unwrap(), body }
}

/// The receipt in an answer, its signature checked against `ours`.
pub fn receipt_in(answer: &Answer) -> Mdn {
    assert_eq!(answer.status, 200, "{}: {}", answer.head, answer.text());
    let (_, fields) = answer.head.split_once("\r\n").unwrap();
    let headers = Headers::parse(format!("{fields}\r\n").as_bytes(), &Limits::default()).unwrap();
    receipt(&headers, &answer.body)
}

/// A receipt of `ours`.
pub fn receipt(headers: &Headers, body: &[u8]) -> Mdn {
    mdn::parse(headers, body, &[certificate(keys::ours())], &Limits::default()).unwrap()
}

/// A message of `ours`, opened.
pub struct Received {
    pub request: Request,
    pub payload: Vec<u8>,
    pub mic: Option<Mic>,
}

/// Opens a message of `ours`, which may be protected or not.
pub fn open(posted: &Posted) -> Received {
    let limits = Limits::default();
    let Ok(Incoming::Message(request)) = as2::read_head(&posted.headers, &posted.body, &limits) else {
        panic!("not a message: {posted:?}")
    };
    let party = keys::theirs();
    let decryption = DecryptionKey {
        certificate: certificate(party),
        key: signing_key(party).key,
        transports: KeyTransport::ALL.to_vec(),
    };
    let policy = AcceptPolicy { require_signature: false, require_encryption: false, ..AcceptPolicy::default() };
    let trusted = [certificate(keys::ours())];
    let open_keys = OpenKeys { decryption: &[decryption], trusted: &trusted, known: &[] };
    let mut payload = Vec::new();
    let opened = as2::open(&request, &mut posted.body.as_slice(), &policy, &open_keys, &limits, &mut payload).unwrap();
    Received { request, payload, mic: opened.mic }
}

/// How a receipt shall be.
pub struct Kind<'a> {
    pub disposition: &'a str,
    pub signer: Option<&'static Party>,
    /// Instead of the true digest.
    pub mic: Option<Mic>,
    /// No digest at all.
    pub without_mic: bool,
    /// Instead of the message it answers.
    pub about: Option<&'a str>,
    /// The name that it says the message reached, instead of the partner's.
    pub recipient: Option<&'a str>,
}

impl Default for Kind<'_> {
    fn default() -> Self {
        let disposition = "automatic-action/MDN-sent-automatically; processed";
        Kind { disposition, signer: Some(keys::theirs()), mic: None, without_mic: false, about: None, recipient: None }
    }
}

/// The HTTP answer with the receipt for a message of `ours`.
pub fn acknowledge(posted: &Posted, kind: Kind<'_>) -> Vec<u8> {
    let receipt = receipt_for(posted, kind);
    scripted::answer(200, &receipt.headers, &receipt.body)
}

/// The receipt for a message of `ours`.
pub fn receipt_for(posted: &Posted, kind: Kind<'_>) -> Letter {
    let received = open(posted);
    let message_id = MessageId::parse(kind.about.unwrap_or(received.request.message_id.as_str())).unwrap();
    let signing = kind.signer.map(signing);
    let recipient = kind.recipient.map_or_else(|| received.request.to.clone(), name);
    let mut built = mdn::build(&MdnPlan {
        from: &recipient,
        to: &received.request.from,
        original_message_id: Some(message_id.as_str()),
        disposition: &Disposition::parse_received(kind.disposition).unwrap(),
        mic: kind.mic.as_ref().or(received.mic.as_ref()).filter(|_| !kind.without_mic),
        explanation: "A receipt.",
        signing: signing.as_ref(),
        micalg_style: MicalgStyle::Hyphenated,
        version: As2Version::default(),
        message_id: &MessageId::parse("<receipt@theirs>").unwrap(),
        date: Timestamp::now(),
    })
    .unwrap();
    built.headers.set("AS2-From", &received.request.to.header_value()).unwrap();
    Letter { headers: String::from_utf8(built.headers.to_bytes()).unwrap(), body: built.body }
}

fn name(text: &str) -> As2Name {
    As2Name::parse(text).unwrap()
}

fn certificate(party: &Party) -> Certificate {
    Certificate::from_x509(&party.certificate).unwrap()
}

fn signing_key(party: &Party) -> SigningKey {
    SigningKey { certificate: certificate(party), key: PrivateKey::from_pkey(party.key.clone()).unwrap() }
}

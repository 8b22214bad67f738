//! Writing a bundle. What is kept is taken apart again on the way, so that a bundle is never made of damaged parts: a
//! signature or digest that does not hold ends the export with what and why.

use std::fs;
use std::io::{self, BufReader, Read, Seek as _, Write};
use std::path::{Component, Path};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use serde_json::{Value, json};

use super::bundle::{Bundle, EvidenceError, at};
use super::readme::{self, Facts};
use crate::as2::{Dissected, Form, Mic, OpenError, OpenKeys, Outlets, dissect};
use crate::cms::{Apart, Certificate, DecryptionKey, Fingerprint, signed_attributes};
use crate::ground::id::Id;
use crate::ground::limits::Limits;
use crate::mime::Headers;
use crate::store::Store;
use crate::store::frames::{FrameContent, MessageFrame};
use crate::store::record::{Body, CertificateRole, Direction, EvidenceStep, Fact, Message, Receipt};

/// Makes bundles of one gateway's messages.
#[derive(Debug, Clone)]
pub struct Exporter {
    /// Where everything is kept.
    pub store: Store,
    /// Certificates that are configured now, for messages older than their evidence.
    pub certificates: Arc<Vec<Certificate>>,
    /// Our decryption keys, likewise.
    pub decryption: Arc<Vec<DecryptionKey>>,
    /// Caps on what is read.
    pub limits: Limits,
}

/// What a bundle has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// Names of its files, sorted.
    pub files: Vec<String>,
    /// The signature over the message is in it, and held.
    pub signed: bool,
    /// The signature over the MDN is in it, and held.
    pub mdn_signed: bool,
}

/// A message or MDN as three files.
struct Parts {
    content: &'static str,
    signature: &'static str,
    payload: Option<&'static str>,
}

const MESSAGE: Parts = Parts { content: "content.bin", signature: "signature.p7s", payload: Some("payload.bin") };
const MDN: Parts = Parts { content: "mdn-content.bin", signature: "mdn-signature.p7s", payload: None };

impl Exporter {
    /// Writes the bundle of a message into `dir`, a new or empty folder (blocking I/O).
    ///
    /// # Errors
    /// See [`EvidenceError`]; the folder then holds what was written so far.
    pub fn export(&self, id: &Id, dir: &Path) -> Result<Exported, EvidenceError> {
        if !dir.is_absolute() || dir.components().any(|part| part == Component::ParentDir) {
            return Err(EvidenceError::Place(dir.to_path_buf()));
        }
        let message = self.store.message(id).ok_or(EvidenceError::Unknown(*id))?;
        let mut bundle = Bundle::create(dir)?;
        let mut facts = Facts::default();
        self.wire(&message, &mut bundle, &mut facts)?;
        self.mdn(&message, &mut bundle, &mut facts)?;
        self.original(&message, &mut bundle)?;
        self.other_certificates(&message, &mut bundle)?;
        let frames = self.store.frames_of(id)?;
        chain(&frames, &mut bundle)?;
        bundle.put("message.json", pretty(&view(&message)).as_bytes())?;
        bundle.put("facts.json", pretty(&history(&frames)).as_bytes())?;
        let readme = readme::text(&message, &facts, &bundle);
        bundle.put("README.md", readme.as_bytes())?;
        let (signed, mdn_signed) = (facts.signed, facts.mdn_signed);
        Ok(Exported { files: bundle.finish()?, signed, mdn_signed })
    }

    /// The bytes on the wire, what was signed in them, and the payload.
    fn wire(&self, message: &Message, bundle: &mut Bundle, facts: &mut Facts) -> Result<(), EvidenceError> {
        let Some(wire) = message.wire else { return Ok(()) };
        let mut head = message.headers.to_bytes();
        head.extend_from_slice(b"\r\n");
        bundle.put("wire.http", &head)?;
        self.copy(message, &wire, bundle, "wire.http")?;
        self.copy(message, &wire, bundle, "wire.bin")?;
        if message.payload.is_none() {
            // An MDN that we sent, or a message that was refused: there is nothing that was accepted.
            return Ok(());
        }
        let signer = signer_of(message);
        let signer = signer.as_deref().and_then(|fingerprint| self.certificate(fingerprint));
        let key =
            message.evidence.iter().rev().find_map(|evidence| evidence.content_key.as_ref()).map(|key| key.bytes());
        let keys = (signer.as_ref(), key.as_deref());
        let found = self.apart(message.id, &message.headers, &|| self.store.read(&wire), keys, &MESSAGE, bundle);
        let found = match found {
            // Sent before content keys were kept: only the partner can open it.
            Err(_) if message.direction == Direction::Outbound && key.is_none() => {
                facts.sealed = true;
                return self.discard(&MESSAGE, bundle);
            }
            found => found?,
        };
        facts.signed = found.signature.is_some();
        facts.signature = found.signature.as_ref().map(|valid| (valid.scheme(), valid.digest()));
        facts.compressed = found.compressed;
        if let Some(certificate) = signer.filter(|_| facts.signed) {
            bundle.put("certificates/signer.pem", certificate.to_pem().as_bytes())?;
        }
        let stated = message.receipt.as_ref().and_then(|receipt| receipt.mic.as_deref());
        if let Some(mic) = stated.and_then(|mic| mic.parse::<Mic>().ok())
            && found.digests.of(mic.algorithm) == Some(mic.value.as_slice())
        {
            let text = mic.to_string();
            bundle.put("mic.txt", text.split(',').next().unwrap_or_default().trim().as_bytes())?;
            facts.mic = Some(mic.algorithm);
        }
        facts.opaque = facts.signed && holds_content(bundle, MESSAGE.signature);
        Ok(())
    }

    /// The MDN: the one we got, or the one we sent.
    fn mdn(&self, message: &Message, bundle: &mut Bundle, facts: &mut Facts) -> Result<(), EvidenceError> {
        let Some(receipt) = &message.receipt else { return Ok(()) };
        let raw = self.whole(message, &receipt.body)?;
        bundle.put("mdn.http", &raw)?;
        let body = body_of(receipt, &raw);
        let signer = receipt.signer.as_deref().and_then(|fingerprint| self.certificate(fingerprint));
        let signer = signer.or_else(|| self.any_signer(receipt, body));
        let Some(certificate) = signer else { return Ok(()) };
        let reread = || io::Result::Ok(Box::new(io::Cursor::new(body.to_vec())) as Box<dyn Read + Send>);
        let found = self.apart(message.id, &receipt.headers, &reread, (Some(&certificate), None), &MDN, bundle)?;
        facts.mdn_signed = found.signature.is_some();
        facts.mdn_signature = found.signature.as_ref().map(|valid| (valid.scheme(), valid.digest()));
        if !facts.mdn_signed {
            return self.discard(&MDN, bundle);
        }
        bundle.put("certificates/mdn-signer.pem", certificate.to_pem().as_bytes())?;
        facts.mdn_opaque = holds_content(bundle, MDN.signature);
        if facts.mic.is_some() {
            let mic = fs::read(bundle.path("mic.txt")).map_err(at(&bundle.path("mic.txt")))?;
            let content = fs::read(bundle.path("mdn-content.bin")).map_err(at(&bundle.path("mdn-content.bin")))?;
            facts.mic_in_mdn = memchr::memmem::find(&content, &mic).is_some();
        }
        Ok(())
    }

    /// Who signed an MDN of ours from before its signer was recorded.
    fn any_signer(&self, receipt: &Receipt, body: &[u8]) -> Option<Certificate> {
        self.certificates.iter().find_map(|certificate| {
            let keys = OpenKeys { decryption: &[], trusted: std::slice::from_ref(certificate), known: &[] };
            let signed = |form: &Form| {
                let outlets =
                    Outlets { covered: &mut io::sink(), signature: &mut io::sink(), payload: &mut io::sink() };
                let found = dissect(&receipt.headers, &mut { body }, &keys, None, &self.limits, *form, outlets);
                found.is_ok_and(|found| found.signature.is_some())
            };
            Form::ALL.iter().any(signed).then(|| certificate.clone())
        })
    }

    /// The payload as the user gave it, where it travelled in an envelope.
    fn original(&self, message: &Message, bundle: &mut Bundle) -> Result<(), EvidenceError> {
        // Retention may have taken its bytes; the wire and its digest are evidence and stay.
        let kept = message.bodies();
        let Some(payload) = message.payload.filter(|payload| kept.contains(payload)) else { return Ok(()) };
        let travelled = bundle.has("payload.bin").then(|| super::bundle::sum(&bundle.path("payload.bin")));
        if payload.sha256.is_some_and(|sha256| travelled.and_then(Result::ok) == Some(HEXLOWER.encode(&sha256))) {
            return Ok(());
        }
        self.copy(message, &payload, bundle, "original.bin")
    }

    fn other_certificates(&self, message: &Message, bundle: &mut Bundle) -> Result<(), EvidenceError> {
        let uses = message.evidence.iter().flat_map(|evidence| &evidence.certificates);
        let recipients = uses.filter(|used| used.role == CertificateRole::Recipient);
        for (number, used) in (1..).zip(recipients) {
            if let Some(certificate) = self.certificate(&used.fingerprint) {
                bundle.put(&format!("certificates/recipient-{number}.pem"), certificate.to_pem().as_bytes())?;
            }
        }
        Ok(())
    }

    /// Takes a message or MDN apart into the bundle's files. Its signature may cover another form than what came; then that
    /// form is what was accepted, and what the bundle holds.
    fn apart(
        &self,
        id: Id,
        headers: &Headers,
        body: &dyn Fn() -> io::Result<Box<dyn Read + Send>>,
        (signer, content_key): (Option<&Certificate>, Option<&[u8]>),
        parts: &Parts,
        bundle: &mut Bundle,
    ) -> Result<Dissected, EvidenceError> {
        let mut content = bundle.file(parts.content)?;
        let mut signature = bundle.file(parts.signature)?;
        let mut payload = parts.payload.map(|name| bundle.file(name)).transpose()?;
        let trusted: Vec<Certificate> = signer.into_iter().cloned().collect();
        let keys = OpenKeys { decryption: &self.decryption, trusted: &trusted, known: &[] };
        let mut in_form = |form: Form| -> Result<Dissected, OpenError> {
            for file in [Some(&mut content), Some(&mut signature), payload.as_mut()].into_iter().flatten() {
                file.set_len(0).and_then(|()| file.rewind()).map_err(OpenError::Sink)?;
            }
            let mut nowhere = io::sink();
            let payload: &mut dyn Write = match &mut payload {
                Some(file) => file,
                None => &mut nowhere,
            };
            let outlets = Outlets { covered: &mut content, signature: &mut signature, payload };
            let mut body = BufReader::new(body().map_err(OpenError::Body)?);
            dissect(headers, &mut body, &keys, content_key, &self.limits, form, outlets)
        };
        let mut found = in_form(Form::AsReceived);
        for form in [Form::CanonicalLines, Form::WithoutLastLineEnd] {
            match &found {
                Err(OpenError::Signature(cause)) if cause.is_about_content() => found = in_form(form),
                _ => break,
            }
        }
        let what = if parts.payload.is_some() { "signed content" } else { "MDN" };
        let found = found.map_err(|error| EvidenceError::Damaged { id, what, cause: error.to_string() })?;
        match &found.signature {
            None => bundle.discard(parts.signature)?,
            Some(_) => odd_parts(parts, bundle)?,
        }
        Ok(found)
    }

    fn discard(&self, parts: &Parts, bundle: &mut Bundle) -> Result<(), EvidenceError> {
        for name in [Some(parts.content), Some(parts.signature), parts.payload].into_iter().flatten() {
            if bundle.has(name) {
                bundle.discard(name)?;
            }
        }
        Ok(())
    }

    fn copy(&self, message: &Message, body: &Body, bundle: &mut Bundle, name: &str) -> Result<(), EvidenceError> {
        use sha2::Digest as _;
        let path = bundle.path(name);
        let mut out = if bundle.has(name) {
            fs::File::options().append(true).open(&path).map_err(at(&path))?
        } else {
            bundle.file(name)?
        };
        let damaged = |cause: String| EvidenceError::Damaged { id: message.id, what: "bytes", cause };
        let mut input = self.store.read(body).map_err(|error| damaged(error.to_string()))?;
        let (mut hash, mut buffer) = (sha2::Sha256::new(), vec![0u8; 256 * 1024]);
        loop {
            let n = input.read(&mut buffer).map_err(at(&path))?;
            let Some(bytes) = buffer.get(..n).filter(|bytes| !bytes.is_empty()) else { break };
            hash.update(bytes);
            out.write_all(bytes).map_err(at(&path))?;
        }
        let found: [u8; 32] = hash.finalize().into();
        let is_sound = body.sha256.is_none_or(|sha256| sha256 == found);
        if is_sound { Ok(()) } else { Err(damaged("another SHA-256".to_owned())) }
    }

    fn whole(&self, message: &Message, body: &Body) -> Result<Vec<u8>, EvidenceError> {
        let read = self.store.read_all(body, body.len);
        read.map_err(|error| EvidenceError::Damaged { id: message.id, what: "bytes", cause: error.to_string() })
    }

    /// A certificate as it was kept, or one that is configured now.
    fn certificate(&self, fingerprint: &str) -> Option<Certificate> {
        let kept = self.store.certificate(fingerprint).and_then(|der| Certificate::from_der(&der).ok());
        let fingerprint: Fingerprint = fingerprint.parse().ok()?;
        kept.or_else(|| self.certificates.iter().find(|one| one.fingerprint() == fingerprint).cloned())
    }
}

/// Whether a signature has its content inside: then it is as long as that.
fn holds_content(bundle: &Bundle, name: &str) -> bool {
    fs::File::open(bundle.path(name)).is_ok_and(crate::cms::has_content)
}

/// What the command `openssl cms` does not check, others do.
fn odd_parts(parts: &Parts, bundle: &mut Bundle) -> Result<(), EvidenceError> {
    let path = bundle.path(parts.signature);
    let ber = fs::File::open(&path).map_err(at(&path))?;
    let odd = signed_attributes(ber).filter(|apart| apart.is_odd);
    let Some(Apart { attributes, value, .. }) = odd else { return Ok(()) };
    let stem = parts.signature.trim_end_matches(".p7s");
    if let Some(attributes) = attributes {
        bundle.put(&format!("{stem}.attributes"), &attributes)?;
    }
    bundle.put(&format!("{stem}.value"), &value)
}

/// Whose key signed the message: the partner's inbound, ours outbound.
fn signer_of(message: &Message) -> Option<String> {
    let step = |step| message.evidence.iter().rev().find(move |evidence| evidence.step == step);
    let used = step(EvidenceStep::Accepted).or_else(|| step(EvidenceStep::Composed));
    let recorded =
        used.and_then(|evidence| evidence.certificates.iter().find(|one| one.role == CertificateRole::Signer));
    recorded.map(|one| one.fingerprint.clone()).or_else(|| message.signer.clone())
}

/// The body of a kept MDN: behind its header block and the blank line.
fn body_of<'r>(receipt: &Receipt, raw: &'r [u8]) -> &'r [u8] {
    raw.get(receipt.headers.to_bytes().len().saturating_add(2)..).unwrap_or_default()
}

/// The message without what is in files of the bundle, and without the content key.
fn view(message: &Message) -> Value {
    let mut value = serde_json::to_value(message).unwrap_or_default();
    for evidence in value.get_mut("evidence").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(fields) = evidence.as_object_mut() {
            fields.remove("content_key");
        }
    }
    value
}

/// When what happened, as the journal has it.
fn history(frames: &[MessageFrame]) -> Value {
    let of = |frame: &MessageFrame| match &frame.content {
        FrameContent::Facts(at, facts) => {
            let facts: Vec<Value> = facts.iter().map(without_key).collect();
            Some(json!({ "sequence": frame.sequence, "at": at, "facts": facts }))
        }
        FrameContent::Body(_) => None,
    };
    Value::Array(frames.iter().filter_map(of).collect())
}

fn without_key(fact: &Fact) -> Value {
    let mut value = serde_json::to_value(fact).unwrap_or_default();
    if let Some(evidence) = value.get_mut("evidence").and_then(Value::as_object_mut) {
        evidence.remove("content_key");
    }
    value
}

/// Frames as files, and the list of their hashes.
fn chain(frames: &[MessageFrame], bundle: &mut Bundle) -> Result<(), EvidenceError> {
    let (mut lines, mut list) = (String::new(), Vec::new());
    for frame in frames {
        let name = format!("frames/{:020}.frame", frame.sequence);
        let kind = match &frame.content {
            FrameContent::Facts(..) => json!("facts"),
            FrameContent::Body(id) => json!({ "body": id }),
        };
        if let Some(bytes) = &frame.bytes {
            bundle.put(&name, bytes)?;
            lines.push_str(&format!("{}  {name}\n", HEXLOWER.encode(&frame.hash)));
        }
        list.push(json!({
            "sequence": frame.sequence, "hash": HEXLOWER.encode(&frame.hash), "previous": HEXLOWER.encode(&frame.previous), "kind": kind,
            "file": frame.bytes.as_ref().map(|_| name),
        }));
    }
    bundle.put("chain.txt", lines.as_bytes())?;
    bundle.put("chain.json", pretty(&Value::Array(list)).as_bytes())
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

//! Whether the parts of a bundle belong together. Each may hold by itself and be of another message: sums and hashes can
//! be made anew by anybody. So the payload has to lie in what was signed, and the MDN has to be about that.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use super::verify::{Verified, digests, small};
use crate::as2::mdn::{self, Subject};
use crate::as2::{MessageId, Mic, OpenError, payload_of};
use crate::bilingual;
use crate::cms::Digests;
use crate::ground::limits::Limits;
use crate::mime::Headers;

/// What `message.json` says that the other parts are held against. Other versions may know other words.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    direction: String,
    kind: String,
    state: String,
    message_id: Option<String>,
    headers: Headers,
    earlier: Vec<Earlier>,
    receipt: Option<Answer>,
}

#[derive(Deserialize)]
struct Earlier {
    message_id: String,
}

#[derive(Deserialize)]
struct Answer {
    mic: Option<String>,
    mic_matches: Option<bool>,
}

/// Checks them; signatures were checked before.
pub(super) fn check(dir: &Path, verified: &mut Verified) {
    let there = |name: &str| dir.join(name).exists();
    let content = digests(&dir.join("content.bin")).ok();
    let mic = mic(dir, content.as_ref(), verified);
    if !there("payload.bin") && !there("mdn-content.bin") {
        return;
    }
    let read = small(&dir.join("message.json")).and_then(|json| Ok(serde_json::from_slice::<Told>(&json)?));
    let told = match read {
        Ok(told) => told,
        Err(error) => {
            return verified.add("message.json", bilingual!("无法读取：{error}", "it cannot be read: {error}"));
        }
    };
    let compressed = there("payload.bin") && payload(dir, &told, verified);
    if there("mdn-content.bin") {
        receipt(dir, &told, (content.as_ref(), compressed), mic.as_deref(), verified);
    }
}

/// `mic.txt` is the digest of the content in one of the algorithms of its length.
fn mic(dir: &Path, content: Option<&Digests>, verified: &mut Verified) -> Option<String> {
    let text = String::from_utf8_lossy(&small(&dir.join("mic.txt")).ok()?).into_owned();
    let holds = content.is_some_and(|digests| {
        digests.iter().any(|(algorithm, value)| {
            format!("{text}, {}", algorithm.micalg()).parse::<Mic>().is_ok_and(|mic| mic.value == value)
        })
    });
    if !holds {
        verified.add("mic.txt", bilingual!("MIC 不是内容的摘要", "the MIC is not the digest of the content"));
    }
    Some(text)
}

/// `payload.bin` is what the engine reads from `content.bin`; whether it is compressed in there.
fn payload(dir: &Path, told: &Told, verified: &mut Verified) -> bool {
    let signed = dir.join("signature.p7s").exists();
    let compare = || -> Result<(bool, bool), OpenError> {
        let payload = File::open(dir.join("payload.bin")).map_err(OpenError::Body)?;
        let len = payload.metadata().map_err(OpenError::Body)?.len();
        let (exact, lines) = sums(payload).map_err(OpenError::Body)?;
        // Nobody's bomb: what is compressed is the payload behind its header block, in quoted-printable at worst.
        let kept = Limits::default().of_what_is_kept();
        let head = u64::try_from(kept.header_block).unwrap_or(u64::MAX);
        let limits = Limits { payload: len.saturating_mul(4).saturating_add(head), ..kept };
        let holds = |as_entity: bool| -> Result<(bool, bool), OpenError> {
            let mut content = File::open(dir.join("content.bin")).map_err(OpenError::Body)?;
            let mut found = WithoutReturns(Sha256::new());
            let contained = payload_of(&mut content, &told.headers, as_entity, &limits, &mut found)?;
            // The MIC of text that is encrypted and not signed covers its canonical lines, and so does the content.
            let same_lines = !signed && found.0.finalize() == lines;
            Ok((contained.sha256 == exact || same_lines, contained.compressed))
        };
        match holds(signed) {
            held if signed || matches!(held, Ok((true, _))) => held,
            // mendelson compresses under the type of the payload: the MIC covers an entity then.
            held => holds(true).ok().filter(|(same, _)| *same).map_or(held, Ok),
        }
    };
    match compare() {
        Ok((true, compressed)) => compressed,
        Ok((false, _)) | Err(OpenError::TooLarge) => {
            verified.add("payload.bin", bilingual!("内容中不是该载荷", "the content does not hold this payload"));
            false
        }
        Err(error) => {
            let text =
                bilingual!("内容中的载荷无法读取：{error}", "the content holds no payload that can be read: {error}");
            verified.add("payload.bin", text);
            false
        }
    }
}

/// The MDN is about the message, and confirms `mic.txt` where that is.
fn receipt(
    dir: &Path,
    told: &Told,
    (content, compressed): (Option<&Digests>, bool),
    mic: Option<&str>,
    verified: &mut Verified,
) {
    let name = "mdn-content.bin";
    let limits = Limits { mdn: usize::MAX, ..Limits::default() };
    let read = small(&dir.join(name)).map_err(|error| error.to_string());
    let read = read.and_then(|octets| mdn::parse_signed(&octets, &limits).map_err(|error| error.to_string()));
    let about = match read {
        Ok(about) => about,
        Err(error) => return verified.add(name, bilingual!("不是回执：{error}", "it is no MDN: {error}")),
    };
    if told.is_answered() && !told.is_named_by(&about) {
        verified.add(name, bilingual!("回执引用的不是本报文", "the MDN is about another message"));
    }
    let covers = |mic: &Mic| content.and_then(|digests| digests.of(mic.algorithm)) == Some(mic.value.as_slice());
    verified.mdn_confirms = about.mic.as_ref().map(covers);
    let states = |text: &str| {
        let same =
            |mic: &Mic| format!("{text}, {}", mic.algorithm.micalg()).parse().is_ok_and(|ours: Mic| ours.matches(mic));
        about.mic.as_ref().is_some_and(same)
    };
    if mic.is_some_and(|text| !states(text)) {
        verified.add("mic.txt", bilingual!("回执确认的不是这个 MIC", "the MDN does not confirm this MIC"));
    } else if verified.mdn_confirms == Some(false) && verified.signed && !compressed && told.is_accepted_as_it_is() {
        verified.add(name, bilingual!("回执确认的是其他内容", "the MDN confirms other content"));
    }
}

impl Told {
    /// Its MDN was believed, or is ours. One that was not may be kept with a message that failed.
    fn is_answered(&self) -> bool {
        let accepted = self.receipt.as_ref().is_some_and(|receipt| match receipt.mic {
            Some(_) => receipt.mic_matches == Some(true),
            None => self.state == "delivered",
        });
        self.kind != "mdn" && (self.direction == "inbound" || accepted)
    }

    /// There is one form only of what the partner may have confirmed, if the message is signed and not compressed.
    fn is_accepted_as_it_is(&self) -> bool {
        self.direction == "outbound" && self.is_answered() && self.earlier.is_empty()
    }

    /// The MDN has one of its Message-IDs. What is none cannot be compared.
    fn is_named_by(&self, about: &Subject) -> bool {
        let ours = self.message_id.iter().chain(self.earlier.iter().map(|earlier| &earlier.message_id));
        let mut ours = ours.filter_map(|id| MessageId::parse(id).ok()).peekable();
        let named = about.original_message_id.as_ref().map(MessageId::key);
        ours.peek().is_none() || ours.any(|id| Some(id.key()) == named)
    }
}

type Sum = [u8; 32];

/// SHA-256 of everything, and of everything but carriage returns.
fn sums(mut input: impl Read) -> io::Result<(Sum, Sum)> {
    let (mut exact, mut lines) = (Sha256::new(), WithoutReturns(Sha256::new()));
    let mut buffer = vec![0u8; 256 * 1024];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok((exact.finalize().into(), lines.0.finalize().into())),
            Ok(n) => {
                let bytes = buffer.get(..n).unwrap_or_default();
                exact.update(bytes);
                lines.write_all(bytes)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Hashes text whatever its line ends are.
struct WithoutReturns(Sha256);

impl Write for WithoutReturns {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        for piece in buf.split(|byte| *byte == b'\r') {
            self.0.update(piece);
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the bundle of a test need not be durable")]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const BINARY: &str = "Content-Type: a/b\r\nContent-Transfer-Encoding: binary\r\n\r\n1\r\n2\r\n";
    const TEXT: &str =
        "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n1=\r\n\r\n2=3D\r\n";
    const LAYER: &[(&str, &str)] = &[("Content-Type", "application/pkcs7-mime; smime-type=enveloped-data")];

    fn message(headers: &[(&str, &str)]) -> Value {
        let mut fields = Headers::new();
        for (name, value) in headers {
            fields.push(name, value).unwrap();
        }
        json!({ "direction": "outbound", "kind": "payload", "state": "delivered", "message_id": "<a@b>",
            "headers": fields, "receipt": null })
    }

    /// The files of which something does not hold.
    fn findings(message: &Value, files: &[(&str, &str)], signed: bool) -> (Vec<String>, Verified) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("message.json"), message.to_string()).unwrap();
        for (name, content) in files {
            std::fs::write(dir.path().join(name), content).unwrap();
        }
        let mut verified = Verified { signed, ..Verified::default() };
        check(dir.path(), &mut verified);
        (verified.findings.iter().map(|finding| finding.file.clone()).collect(), verified)
    }

    #[test]
    fn the_payload_is_found_in_the_content_in_every_shape_that_it_travels_in() {
        let plain = [("Content-Type", "application/xml"), ("Content-Transfer-Encoding", "base64")];
        let edi = [("Content-Type", "application/EDIFACT")];
        let [layer, plain, edi] = [LAYER, &plain, &edi].map(message);
        for (message, content, payload, holds) in [
            (&layer, BINARY, "1\r\n2\r\n", true),
            (&layer, BINARY, "1\r\n3\r\n", false),
            (&layer, BINARY, "1\r\n2\r\n1", false),
            (&layer, BINARY, "2\r\n", false),
            (&layer, BINARY, "", false),
            // Not signed: the lines that the MIC covers need not be those of the payload.
            (&layer, TEXT, "1\n2=\n", true),
            (&layer, TEXT, "1\n2=", false),
            (&plain, "PG8vPg==\r\n", "<o/>", true),
            (&plain, "PG8vPg==\r\n", "<p/>", false),
            (&plain, "PG8vPg==\r\n", "PG8vPg==\r\n", false),
            // mendelson compresses an entity under the type of the payload.
            (&edi, "Content-Type: a/b\r\n\r\n<o/>", "<o/>", true),
            (&edi, "Content-Type: a/b\r\n\r\n<o/>", "<p/>", false),
            // What is compressed is an entity, however little its fields look like any.
            (&layer, "UNA%u: 1\r\n\r\n<o/>", "<o/>", true),
            (&layer, "UNA%u: 1\r\n\r\n<o/>", "<p/>", false),
        ] {
            let (found, _) = findings(message, &[("content.bin", content), ("payload.bin", payload)], false);
            assert_eq!(found.is_empty(), holds, "{content:?} {payload:?}: {found:?}");
        }
        let signed = [("content.bin", BINARY), ("payload.bin", "1\n2\n"), ("signature.p7s", "")];
        assert_eq!(findings(&layer, &signed, true).0, ["payload.bin"], "what is signed has the lines that it has");
        assert_eq!(findings(&layer, &[("payload.bin", "1")], false).0, ["payload.bin"], "there is no content");
    }

    fn mdn(about: &str, content: &str) -> String {
        let mic = Mic {
            algorithm: crate::cms::DigestAlgorithm::Sha256,
            value: crate::cms::DigestAlgorithm::Sha256.digest(content.as_bytes()).to_vec(),
        };
        format!(
            "Content-Type: message/disposition-notification\r\n\r\nOriginal-Message-ID: {about}\r\n\
             Disposition: automatic-action/MDN-sent-automatically; processed\r\nReceived-Content-MIC: {mic}\r\n"
        )
    }

    #[test]
    fn an_mdn_that_was_never_believed_is_kept_with_a_failed_message_and_is_no_forgery() {
        let other = mdn("<x@y>", "other");
        let files = [("content.bin", BINARY), ("payload.bin", "1\r\n2\r\n"), ("mdn-content.bin", other.as_str())];
        let mut message = message(LAYER);
        message["state"] = json!("failed");
        message["receipt"] = json!({ "mic": "x", "mic_matches": null });
        let (found, verified) = findings(&message, &files, true);
        assert_eq!((found, verified.mdn_confirms), (vec![], Some(false)));
        message["receipt"]["mic_matches"] = json!(true);
        assert_eq!(findings(&message, &files, true).0, ["mdn-content.bin", "mdn-content.bin"]);
    }

    #[test]
    fn an_mdn_about_an_earlier_message_id_is_about_the_message() {
        let right = mdn("x@y", BINARY);
        let files = [("content.bin", BINARY), ("payload.bin", "1\r\n2\r\n"), ("mdn-content.bin", right.as_str())];
        let mut message = message(LAYER);
        message["receipt"] = json!({ "mic": "x", "mic_matches": true });
        assert_eq!(findings(&message, &files, true).0, ["mdn-content.bin"]);
        message["earlier"] = json!([{ "message_id": "<x@y>" }]);
        let (found, verified) = findings(&message, &files, true);
        assert_eq!((found, verified.mdn_confirms), (vec![], Some(true)));
    }
}

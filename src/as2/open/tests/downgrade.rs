//! H8 of the hostile list: 16 messages (signed, encrypted, compressed, signed receipt) against 16 policies (signature,
//! encryption, digest, cipher). What the agreement says decides, never what the message looks like.

use super::*;
use crate::cms::DecryptionKey;
use crate::ground::limits::Limits;

/// One axis each.
const BOTH: [bool; 2] = [false, true];

struct Message {
    signed: bool,
    encrypted: bool,
    compressed: bool,
    receipt_signed: bool,
    /// A compressed one in both orders (RFC 5402 3.2, 3.3): the cell holds for each.
    written: Vec<(Wire, Composed)>,
}

/// Every message, encrypted by this cipher if at all.
fn messages(cipher: ContentCipher) -> Vec<Message> {
    let mut all = Vec::new();
    for signed in BOTH {
        for encrypted in BOTH {
            for compressed in BOTH {
                for receipt_signed in BOTH {
                    let scheme = signed.then_some(SignatureScheme::RsaPkcs1);
                    let envelope = encrypted.then_some((cipher, KeyTransport::RsaPkcs1));
                    let orders: &[Compression] = match compressed {
                        true => &[Compression::BeforeSigning, Compression::AfterSigning],
                        false => &[Compression::None],
                    };
                    let write = |order: &Compression| {
                        let mut plan = plan(scheme, envelope, *order);
                        plan.mdn.signed = receipt_signed;
                        compose_it(&plan, PAYLOAD)
                    };
                    let written = orders.iter().map(write).collect();
                    all.push(Message { signed, encrypted, compressed, receipt_signed, written });
                }
            }
        }
    }
    all
}

struct Agreement {
    policy: AcceptPolicy,
    /// SHA-256 is allowed.
    digest: bool,
    /// The cipher is.
    cipher: bool,
}

/// Every policy: signature, encryption, whether SHA-256 is allowed, whether the cipher is.
fn agreements(cipher: ContentCipher) -> Vec<Agreement> {
    let mut all = Vec::new();
    for require_signature in BOTH {
        for require_encryption in BOTH {
            for digest_allowed in BOTH {
                for cipher_allowed in BOTH {
                    let digest = if digest_allowed { DigestAlgorithm::Sha256 } else { DigestAlgorithm::Sha512 };
                    let ciphers = if cipher_allowed { vec![cipher] } else { vec![ContentCipher::Aes192Cbc] };
                    let policy = AcceptPolicy {
                        require_signature,
                        require_encryption,
                        digests: vec![digest],
                        ciphers,
                        ..AcceptPolicy::default()
                    };
                    all.push(Agreement { policy, digest: digest_allowed, cipher: cipher_allowed });
                }
            }
        }
    }
    all
}

impl Agreement {
    /// The layers that it demands are there.
    fn finds_its_layers(&self, message: &Message) -> bool {
        let AcceptPolicy { require_signature, require_encryption, .. } = &self.policy;
        (message.signed || !require_signature) && (message.encrypted || !require_encryption)
    }

    fn admits(&self, message: &Message) -> bool {
        let algorithms = (!message.signed || self.digest) && (!message.encrypted || self.cipher);
        self.finds_its_layers(message) && algorithms
    }

    /// Nothing of the message can be told from this refusal. In CBC only a signature that holds, whatever its digest, lets the
    /// answer be specific.
    fn hides_why(&self, message: &Message, cipher: ContentCipher) -> bool {
        message.encrypted && (!self.cipher || (!cipher.is_aead() && !message.signed))
    }

    /// What is in the sink when the message was refused, to be thrown away: nothing, if something demanded was not there or the
    /// envelope was not opened; but a signature is judged behind what it covers, and so is its digest.
    fn left_in_the_sink(&self, message: &Message) -> &'static [u8] {
        let opened = !message.encrypted || self.cipher;
        if self.finds_its_layers(message) && opened { PAYLOAD } else { b"" }
    }
}

/// What comes of it, and what is in the sink then.
fn opened(wire: &Wire, policy: &AcceptPolicy) -> (Result<Opened, OpenFailure>, Vec<u8>) {
    let (certificate, key) = (BOB.certificate.clone(), BOB.key.clone());
    let bob = [DecryptionKey { certificate, key, transports: KeyTransport::ALL.to_vec() }];
    let keys = OpenKeys { decryption: &bob, trusted: std::slice::from_ref(&ALICE.certificate), known: &[] };
    let mut sink = Vec::new();
    let outcome = open(&request(wire), &mut wire.body.as_slice(), policy, &keys, &Limits::default(), &mut sink);
    (outcome, sink)
}

/// Opens the message; returns what the receipt says.
fn check_message(
    what: &str,
    cipher: ContentCipher,
    message: &Message,
    agreement: &Agreement,
    wire: &Wire,
) -> (Disposition, Option<Mic>) {
    let (outcome, sink) = opened(wire, &agreement.policy);
    match outcome {
        Ok(opened) => {
            assert!(agreement.admits(message), "{what}");
            assert_eq!(sink, PAYLOAD, "{what}");
            assert_eq!(opened.signature.is_some(), message.signed, "{what}");
            assert_eq!(opened.encrypted, message.encrypted.then_some(cipher), "{what}");
            assert_eq!(opened.compressed, message.compressed, "{what}");
            (processed(&opened, &Stored::assertion()), opened.mic)
        }
        Err(failure) => {
            assert!(!agreement.admits(message), "{what}: {}", failure.cause);
            let hidden = agreement.hides_why(message, cipher);
            let expected =
                if hidden { Disposition::decryption_failed() } else { Disposition::insufficient_message_security() };
            assert_eq!(failure.told, expected, "{what}: {}", failure.cause);
            assert!(!hidden || failure.mic.is_none(), "{what}: a digest tells what was decrypted");
            assert_eq!(sink, agreement.left_in_the_sink(message), "{what}: {}", failure.cause);
            (failure.told, failure.mic.map(|mic| *mic))
        }
    }
}

/// The receipt that was asked for settles the message, one way or the other; one without the signature that was asked for never.
fn check_receipt(what: &str, message: &Message, composed: &Composed, told: &Disposition, mic: Option<&Mic>) {
    let wanted = message.receipt_signed;
    let receipt = answer(told, mic, wanted.then_some(&*BOB));
    match judged(&read(&receipt), composed, wanted) {
        Verdict::Accepted { matched: Some(matched) } => {
            assert!(told.is_positive() && matched.is_ordinary(), "{what}: {matched:?}");
        }
        Verdict::Refused { disposition } => assert!(!told.is_positive() && disposition == *told, "{what}"),
        other => unreachable!("{what}: {other:?}"),
    }
    let unsigned = judged(&read(&answer(told, mic, None)), composed, wanted);
    assert_eq!(unsigned == Verdict::Doubtful(Doubt::Unsigned), wanted, "{what}: {unsigned:?}");
}

fn check(cipher: ContentCipher) -> usize {
    let mut cells = 0;
    let agreements = agreements(cipher);
    for message in messages(cipher) {
        let Message { signed, encrypted, compressed, receipt_signed, written } = &message;
        assert_eq!(written.len(), if *compressed { 2 } else { 1 });
        for agreement in &agreements {
            cells += 1;
            let what = format!("{cipher} {signed} {encrypted} {compressed} {receipt_signed} {:?}", agreement.policy);
            for (wire, composed) in written {
                let asked = request(wire).mdn.expect(&what);
                assert_eq!(asked.options.signed, *receipt_signed, "{what}");
                let (told, mic) = check_message(&what, cipher, &message, agreement, wire);
                check_receipt(&what, &message, composed, &told, mic.as_ref());
            }
        }
    }
    cells
}

#[test]
fn all_256_cells_of_the_downgrade_matrix_are_as_agreed() {
    assert_eq!(check(ContentCipher::Aes256Gcm), 256);
}

#[test]
fn the_same_matrix_in_cbc_tells_only_who_signed_what_is_missing() {
    assert_eq!(check(ContentCipher::Aes128Cbc), 256);
}

//! H8 of the hostile list: 16 messages (signed, encrypted, compressed, signed receipt) against 16 policies (signature,
//! encryption, digest, cipher). What the agreement says decides, never what the message looks like.

use super::*;

/// One axis each.
const BOTH: [bool; 2] = [false, true];

struct Message {
    signed: bool,
    encrypted: bool,
    wire: Wire,
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
                    let compression = if compressed { Compression::BeforeSigning } else { Compression::None };
                    let mut plan = plan(scheme, envelope, compression);
                    plan.mdn.signed = receipt_signed;
                    all.push(Message { signed, encrypted, wire: compose_it(&plan, PAYLOAD).0 });
                }
            }
        }
    }
    all
}

/// Every policy: signature, encryption, whether SHA-256 is allowed, whether the cipher is.
fn policies(cipher: ContentCipher) -> Vec<(AcceptPolicy, bool, bool)> {
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
                    all.push((policy, digest_allowed, cipher_allowed));
                }
            }
        }
    }
    all
}

fn check(cipher: ContentCipher) -> usize {
    let mut cells = 0;
    let policies = policies(cipher);
    for message in messages(cipher) {
        for (policy, digest_allowed, cipher_allowed) in &policies {
            cells += 1;
            let meets_demands =
                (message.signed || !policy.require_signature) && (message.encrypted || !policy.require_encryption);
            let meets_algorithms = (!message.signed || *digest_allowed) && (!message.encrypted || *cipher_allowed);
            let what = format!("{cipher} {} {} {policy:?}", message.signed, message.encrypted);
            match receive(&message.wire, policy) {
                Ok((opened, payload)) => {
                    assert!(meets_demands && meets_algorithms, "{what}");
                    assert_eq!((opened.signature.is_some(), payload.as_slice()), (message.signed, PAYLOAD), "{what}");
                }
                Err(failure) => {
                    assert!(!(meets_demands && meets_algorithms), "{what}: {}", failure.cause);
                    // In CBC only a signature that holds, whatever its digest, lets the answer be specific.
                    let hidden = message.encrypted && (!*cipher_allowed || (!cipher.is_aead() && !message.signed));
                    let expected = if hidden {
                        Disposition::decryption_failed()
                    } else {
                        Disposition::insufficient_message_security()
                    };
                    assert_eq!(failure.told, expected, "{what}: {}", failure.cause);
                }
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

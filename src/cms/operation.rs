//! What is done under one key, by contexts of OpenSSL that are kept for the next time: to set one up it goes
//! through the names of all that it has, which takes longer than some of the operations.
//!
//! OAEP has none for decrypting: it fails by what it finds inside, and whether a context was given back could be told by the time
//! that the next one takes. Bare RSA fails by what everybody sees.

use std::sync::{Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::pkey::{PKeyRef, Private, Public};
use openssl::pkey_ctx::{PkeyCtx, PkeyCtxRef};
use openssl::rsa::Padding;
use openssl::sign::RsaPssSaltlen;

use super::algorithm::SignatureParameters;
use super::{DigestAlgorithm, KeyTransport, SignatureScheme};

/// Contexts that one key keeps: as many threads may use it at a time before some are made anew.
const KEPT: usize = 16;

/// What a context is set up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Sign(SignatureScheme, DigestAlgorithm),
    Verify(SignatureParameters, DigestAlgorithm),
    Encrypt(KeyTransport),
    BareDecrypt,
}

/// Contexts of one key that nobody uses at the moment; the one that was used last comes last.
pub(super) struct Contexts<T>(Mutex<Vec<(Operation, PkeyCtx<T>)>>);

impl<T> Default for Contexts<T> {
    fn default() -> Contexts<T> {
        Contexts(Mutex::default())
    }
}

impl<T> Contexts<T> {
    /// Works with a context for `operation`, which is set up if none is there. One that failed is not used again.
    fn with<R>(
        &self,
        operation: Operation,
        key: &PKeyRef<T>,
        set_up: impl FnOnce(&mut PkeyCtxRef<T>) -> Result<(), ErrorStack>,
        work: impl FnOnce(&mut PkeyCtxRef<T>) -> Result<R, ErrorStack>,
    ) -> Result<R, ErrorStack> {
        let mut context = match self.take(operation) {
            Some(context) => context,
            None => {
                let mut context = PkeyCtx::new(key)?;
                set_up(&mut context)?;
                context
            }
        };
        let done = work(&mut context)?;
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= KEPT {
            // What waits for longest goes: somebody may have sent what nobody else does.
            kept.remove(0);
        }
        kept.push((operation, context));
        Ok(done)
    }

    fn take(&self, operation: Operation) -> Option<PkeyCtx<T>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().rposition(|(known, _)| *known == operation)?;
        Some(kept.remove(place).1)
    }
}

impl Contexts<Private> {
    /// Whether a bare decryption was done: its context is kept.
    #[cfg(test)]
    pub(super) fn has_decrypted(&self) -> bool {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().any(|(operation, _)| *operation == Operation::BareDecrypt)
    }

    /// Signs a hash, by any scheme but SM2.
    pub(super) fn sign(
        &self,
        key: &PKeyRef<Private>,
        hash: &[u8],
        digest: DigestAlgorithm,
        scheme: SignatureScheme,
    ) -> Result<Vec<u8>, ErrorStack> {
        let set_up = |context: &mut PkeyCtxRef<Private>| {
            context.sign_init()?;
            match scheme {
                SignatureScheme::RsaPkcs1 => context.set_rsa_padding(Padding::PKCS1)?,
                SignatureScheme::RsaPss => {
                    context.set_rsa_padding(Padding::PKCS1_PSS)?;
                    context.set_rsa_pss_saltlen(RsaPssSaltlen::DIGEST_LENGTH)?;
                    context.set_rsa_mgf1_md(digest.md())?;
                }
                SignatureScheme::Ecdsa | SignatureScheme::Sm2 => {}
            }
            context.set_signature_md(digest.md())
        };
        let mut signature = Vec::new();
        let sign = |context: &mut PkeyCtxRef<Private>| context.sign_to_vec(hash, &mut signature).map(drop);
        self.with(Operation::Sign(scheme, digest), key, set_up, sign)?;
        Ok(signature)
    }

    /// The bare RSA operation, into a buffer as long as the modulus; whatever comes of it, padding is the caller's. Returns its
    /// length.
    pub(super) fn bare_decrypt(
        &self,
        key: &PKeyRef<Private>,
        encrypted: &[u8],
        found: &mut [u8],
    ) -> Result<usize, ErrorStack> {
        let set_up = |context: &mut PkeyCtxRef<Private>| {
            context.decrypt_init()?;
            context.set_rsa_padding(Padding::NONE)
        };
        let decrypt = |context: &mut PkeyCtxRef<Private>| context.decrypt(encrypted, Some(found));
        self.with(Operation::BareDecrypt, key, set_up, decrypt)
    }
}

impl Contexts<Public> {
    /// Whether this is the key's signature of a hash.
    pub(super) fn is_signature(
        &self,
        key: &PKeyRef<Public>,
        parameters: SignatureParameters,
        digest: DigestAlgorithm,
        hash: &[u8],
        signature: &[u8],
    ) -> bool {
        if parameters == SignatureParameters::Sm2 {
            return false;
        }
        let set_up = |context: &mut PkeyCtxRef<Public>| {
            context.verify_init()?;
            match parameters {
                SignatureParameters::Pkcs1 => context.set_rsa_padding(Padding::PKCS1)?,
                SignatureParameters::Pss { mgf, salt } => {
                    context.set_rsa_padding(Padding::PKCS1_PSS)?;
                    let len = salt.map(|salt| RsaPssSaltlen::custom(i32::try_from(salt).unwrap_or(i32::MAX)));
                    // To a verifier this says "as long as it is".
                    context.set_rsa_pss_saltlen(len.unwrap_or(RsaPssSaltlen::MAXIMUM_LENGTH))?;
                    context.set_rsa_mgf1_md(mgf.md())?;
                }
                SignatureParameters::Ecdsa | SignatureParameters::Sm2 => {}
            }
            context.set_signature_md(digest.md())
        };
        let verify = |context: &mut PkeyCtxRef<Public>| context.verify(hash, signature);
        // OpenSSL reports a malformed signature as an error and a wrong one as `false`: both are "no".
        self.with(Operation::Verify(parameters, digest), key, set_up, verify).unwrap_or(false)
    }

    /// One encryption under an RSA key.
    pub(super) fn encrypt(
        &self,
        key: &PKeyRef<Public>,
        transport: KeyTransport,
        content_key: &[u8],
    ) -> Result<Vec<u8>, ErrorStack> {
        let set_up = |context: &mut PkeyCtxRef<Public>| {
            context.encrypt_init()?;
            match transport.oaep_digest() {
                None => context.set_rsa_padding(Padding::PKCS1),
                Some(digest) => {
                    context.set_rsa_padding(Padding::PKCS1_OAEP)?;
                    context.set_rsa_oaep_md(digest.md())?;
                    context.set_rsa_mgf1_md(digest.md())
                }
            }
        };
        let mut encrypted = Vec::new();
        let encrypt = |context: &mut PkeyCtxRef<Public>| context.encrypt_to_vec(content_key, &mut encrypted).map(drop);
        self.with(Operation::Encrypt(transport), key, set_up, encrypt)?;
        Ok(encrypted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::specimens::ALICE;

    const HASH: [u8; 32] = [7; 32];
    const SCHEMES: [(SignatureScheme, SignatureParameters); 2] = [
        (SignatureScheme::RsaPkcs1, SignatureParameters::Pkcs1),
        (SignatureScheme::RsaPss, SignatureParameters::Pss { mgf: DigestAlgorithm::Sha256, salt: Some(32) }),
    ];

    fn kept<T>(contexts: &Contexts<T>) -> usize {
        contexts.0.lock().unwrap().len()
    }

    #[test]
    fn a_context_that_is_used_again_does_what_it_did_the_first_time() {
        let (signing, verifying) = (Contexts::default(), Contexts::default());
        let (_, public) = ALICE.certificate.key().unwrap();
        let digest = DigestAlgorithm::Sha256;
        for turn in 0..6 {
            let (scheme, parameters) = SCHEMES[turn % 2];
            let signature = signing.sign(ALICE.key.pkey(), &HASH, digest, scheme).unwrap();
            let is_signature = |of: &[u8], signature: &[u8]| {
                [0, 1].map(|_| verifying.is_signature(public, parameters, digest, of, signature))
            };
            assert_eq!(is_signature(&HASH, &signature), [true; 2]);
            assert_eq!(is_signature(&[8; 32], &signature), [false; 2]);
            assert_eq!(is_signature(&HASH, b"malformed"), [false; 2]);
            assert_eq!(is_signature(&HASH, &signature), [true; 2]);
            let other = SCHEMES[(turn + 1) % 2].1;
            assert!(!verifying.is_signature(public, other, digest, &HASH, &signature), "in one scheme alone");
        }
        assert_eq!(kept(&signing), 2, "one for each scheme");
        assert_eq!(kept(&verifying), 1, "what failed last is not used again");
    }

    #[test]
    fn bare_decryption_gives_the_same_block_each_time_and_fails_by_what_everybody_sees() {
        let (private, public) = (Contexts::default(), Contexts::default());
        let (_, key) = ALICE.certificate.key().unwrap();
        let encrypted = [0, 1].map(|_| public.encrypt(key, KeyTransport::RsaPkcs1, b"content key").unwrap());
        assert_ne!(encrypted[0], encrypted[1], "padded with other bytes each time");
        let mut block = vec![0u8; ALICE.key.pkey().size()];
        let too_large = vec![0xff; block.len()];
        for encrypted in [&encrypted[0], &encrypted[1], &encrypted[0]] {
            assert!(private.bare_decrypt(ALICE.key.pkey(), &too_large, &mut block).is_err());
            assert_eq!(private.bare_decrypt(ALICE.key.pkey(), encrypted, &mut block).unwrap(), block.len());
            assert!(block.starts_with(&[0, 2]) && block.ends_with(b"\0content key"), "{block:?}");
        }
        assert_eq!((kept(&private), kept(&public)), (1, 1));
    }

    #[test]
    fn what_is_in_use_is_kept_whatever_else_comes_once() {
        let verifying = Contexts::default();
        let (_, public) = ALICE.certificate.key().unwrap();
        let digest = DigestAlgorithm::Sha256;
        let signature = ALICE.key.sign(&HASH, digest, SignatureScheme::RsaPkcs1).unwrap();
        for salt in 0..100 {
            let other = SignatureParameters::Pss { mgf: digest, salt: Some(salt) };
            let set_up = |context: &mut PkeyCtxRef<Public>| context.verify_init();
            verifying.with(Operation::Verify(other, digest), public, set_up, |_| Ok(())).unwrap();
            assert!(verifying.is_signature(public, SignatureParameters::Pkcs1, digest, &HASH, &signature));
            let wanted = Operation::Verify(SignatureParameters::Pkcs1, digest);
            let kept = verifying.0.lock().unwrap().iter().filter(|(known, _)| *known == wanted).count();
            assert_eq!(kept, 1);
        }
        assert_eq!(kept(&verifying), KEPT);
    }

    #[test]
    fn a_key_used_by_many_at_a_time_keeps_some_contexts_and_not_more() {
        let contexts = Contexts::default();
        let begin = std::sync::Barrier::new(3 * KEPT);
        std::thread::scope(|scope| {
            for _ in 0..3 * KEPT {
                scope.spawn(|| {
                    begin.wait();
                    for _ in 0..4 {
                        let (scheme, digest) = (SignatureScheme::RsaPkcs1, DigestAlgorithm::Sha256);
                        contexts.sign(ALICE.key.pkey(), &HASH, digest, scheme).unwrap();
                    }
                });
            }
        });
        assert!((1..=KEPT).contains(&kept(&contexts)));
    }
}

//! Private keys: read from PEM or PKCS#12, never shown, wiped by OpenSSL when dropped.
//!
//! A key file says itself how often its passphrase is to be hashed; the count is looked at before OpenSSL obeys. One that is
//! itself encrypted, of a key inside an encrypted safe of a PKCS#12, cannot be looked at.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::memmem;
use openssl::error::ErrorStack;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, PKeyRef, Private};

use super::ber::BerReader;
use super::der::{self, Fields};
use super::operation::Contexts;
use super::{Certificate, CmsError, DigestAlgorithm, KeyKind, KeyTransport, SignatureScheme, oid};
use crate::ground::limits::Limits;
use crate::ground::secret::Secret;

/// Largest key file looked at.
const MAX_FILE: usize = 1024 * 1024;
/// Most rounds of a passphrase hash; usual counts are 2,048 to 600,000.
const MAX_ROUNDS: u64 = 2_000_000;
/// Most rounds of all that a file asks for: a PKCS#12 hashes for its MAC, its certificates and its key.
const MAX_ROUNDS_IN_ALL: u64 = 3 * MAX_ROUNDS;
/// Deepest nesting looked at for rounds; a PKCS#12 file has them at about twelve.
const MAX_DEPTH: usize = 24;

/// A private key of one of the kinds in [`KeyKind`]; cheap to clone, `Debug` shows nothing of it.
#[derive(Clone)]
pub struct PrivateKey(PKey<Private>, KeyKind, Arc<Contexts<Private>>);

impl PrivateKey {
    /// Whether anything was decrypted with it.
    #[cfg(test)]
    pub(super) fn has_decrypted(&self) -> bool {
        self.2.has_decrypted()
    }

    /// Reads a PEM key: PKCS#8, encrypted PKCS#8, PKCS#1 or SEC 1.
    ///
    /// # Errors
    /// As [`read_pem`]; [`CmsError::UnusableKey`].
    pub fn from_pem(pem: &[u8], passphrase: Option<&Secret<String>>) -> Result<PrivateKey, CmsError> {
        PrivateKey::from_pkey(read_pem(pem, passphrase)?)
    }

    /// Key, its certificate and the other certificates of a PKCS#12 file.
    ///
    /// # Errors
    /// As [`read_pkcs12`]; [`CmsError::UnusableKey`].
    pub fn from_pkcs12(
        file: &[u8],
        passphrase: &Secret<String>,
    ) -> Result<(PrivateKey, Certificate, Vec<Certificate>), CmsError> {
        let (key, certificate, others) = read_pkcs12(file, passphrase)?;
        Ok((PrivateKey::from_pkey(key)?, certificate, others))
    }

    /// Takes over a key that OpenSSL read or made.
    ///
    /// # Errors
    /// [`CmsError::UnusableKey`] unless it is of a kind in [`KeyKind`].
    pub fn from_pkey(key: PKey<Private>) -> Result<PrivateKey, CmsError> {
        let kind = KeyKind::of(&key).ok_or(CmsError::UnusableKey(USABLE))?;
        Ok(PrivateKey(key, kind, Arc::default()))
    }

    /// Its kind.
    pub fn kind(&self) -> KeyKind {
        self.1
    }

    /// Whether the certificate holds this key's public half.
    pub fn matches(&self, certificate: &Certificate) -> bool {
        certificate.key().is_some_and(|(_, public)| self.0.public_eq(public))
    }

    /// Signs a hash, by any scheme but SM2.
    pub(super) fn sign(
        &self,
        hash: &[u8],
        digest: DigestAlgorithm,
        scheme: SignatureScheme,
    ) -> Result<Vec<u8>, ErrorStack> {
        self.2.sign(&self.0, hash, digest, scheme)
    }

    /// The bare RSA operation: [`Contexts::bare_decrypt`].
    pub(super) fn bare_decrypt(&self, encrypted: &[u8], found: &mut [u8]) -> Result<usize, ErrorStack> {
        self.2.bare_decrypt(&self.0, encrypted, found)
    }

    /// OpenSSL's view of it.
    pub fn pkey(&self) -> &PKeyRef<Private> {
        &self.0
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(…)")
    }
}

/// Reads a PEM key of any kind: PKCS#8, encrypted PKCS#8, PKCS#1 or SEC 1.
///
/// # Errors
/// [`CmsError::Passphrase`] when one is needed and missing or wrong, [`CmsError::NotAKey`], [`CmsError::UnusableKey`] when
/// its passphrase would take too long to check.
pub fn read_pem(pem: &[u8], passphrase: Option<&Secret<String>>) -> Result<PKey<Private>, CmsError> {
    if pem.len() > MAX_FILE {
        return Err(CmsError::NotAKey);
    }
    encrypted_pkcs8(pem)?.iter().try_for_each(|key| check_rounds(key))?;
    let asked = Cell::new(false);
    // Without this callback OpenSSL would ask on the terminal.
    let answer = |buffer: &mut [u8]| {
        asked.set(true);
        let passphrase = passphrase.map_or("", |secret| secret.expose().as_str()).as_bytes();
        let place = buffer.get_mut(..passphrase.len()).ok_or_else(ErrorStack::get)?;
        place.copy_from_slice(passphrase);
        Ok(passphrase.len())
    };
    let key = PKey::private_key_from_pem_callback(pem, answer);
    let why = if asked.get() { CmsError::Passphrase } else { CmsError::NotAKey };
    key.map_err(|_| why)
}

/// Key of any kind, its certificate and the other certificates of a PKCS#12 file.
///
/// # Errors
/// [`CmsError::Passphrase`] when the file cannot be opened with it, [`CmsError::OutdatedEncryption`] when it could but for how it is
/// encrypted, [`CmsError::NotAKey`] when the file is no PKCS#12 or holds no key, [`CmsError::NotACertificate`] when it holds no
/// certificate of that key, [`CmsError::UnusableKey`] when its passphrase would take too long to check.
pub fn read_pkcs12(
    file: &[u8],
    passphrase: &Secret<String>,
) -> Result<(PKey<Private>, Certificate, Vec<Certificate>), CmsError> {
    if file.len() > MAX_FILE || passphrase.expose().contains('\0') {
        return Err(CmsError::NotAKey);
    }
    check_rounds(file)?;
    let file = Pkcs12::from_der(file).map_err(|_| CmsError::NotAKey)?;
    // What failed before on this thread says nothing about this file.
    drop(ErrorStack::get());
    let parsed = file.parse2(passphrase.expose()).map_err(|errors| not_opened(&errors))?;
    let key = parsed.pkey.ok_or(CmsError::NotAKey)?;
    let certificate = Certificate::from_x509(&*parsed.cert.ok_or(CmsError::NotACertificate)?)?;
    let others = parsed.ca.into_iter().flatten().map(|x509| Certificate::from_x509(&x509));
    Ok((key, certificate, others.collect::<Result<_, _>>()?))
}

/// Why OpenSSL does not open a PKCS#12 file. It checks the passphrase first, by the MAC over all of it.
fn not_opened(errors: &ErrorStack) -> CmsError {
    let because = |reason: &str| errors.errors().iter().any(|error| error.reason() == Some(reason));
    if because("unsupported") && !because("mac verify failure") {
        CmsError::OutdatedEncryption
    } else {
        CmsError::Passphrase
    }
}

/// What we sign with.
#[derive(Debug, Clone)]
pub struct SigningKey {
    /// Names the signer in the message.
    pub certificate: Certificate,
    /// Its private key.
    pub key: PrivateKey,
}

/// What we decrypt with.
#[derive(Debug, Clone)]
pub struct DecryptionKey {
    /// By which a recipient entry is recognised.
    pub certificate: Certificate,
    /// Its private key.
    pub key: PrivateKey,
    /// Key transports this key may be used with; others are refused before any private operation, so that a key kept
    /// for OAEP is no PKCS#1 v1.5 oracle. Those that do not fit its kind have no effect.
    pub transports: Vec<KeyTransport>,
}

/// Which keys are used.
pub(super) const USABLE: &str = "RSA, 2048-8192 bit, e >= 65537, EC on P-256 or P-384, or SM2";
const TOO_MANY_ROUNDS: CmsError = CmsError::UnusableKey("more than 2,000,000 passphrase rounds");

/// Every PEM `ENCRYPTED PRIVATE KEY` (RFC 7468 11), decoded. One with fields in front or other text inside is none that we read:
/// OpenSSL might, and would find a count in it that nobody has looked at.
fn encrypted_pkcs8(pem: &[u8]) -> Result<Vec<Vec<u8>>, CmsError> {
    let begin = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
    let decoded = memmem::find_iter(pem, begin).map(|start| {
        let body = pem.get(start.saturating_add(begin.len())..).unwrap_or_default();
        let end = memmem::find(body, b"-----END").ok_or(CmsError::NotAKey)?;
        let body = body.get(..end).unwrap_or_default();
        let text: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        STANDARD.decode(text).map_err(|_| CmsError::NotAKey)
    });
    decoded.collect()
}

/// Refuses a PKCS#8 or PKCS#12 whose passphrase would take too long to check, in whatever form of BER it comes.
fn check_rounds(file: &[u8]) -> Result<(), CmsError> {
    match rounds(&normalised(file)?, MAX_DEPTH)? {
        0..=MAX_ROUNDS_IN_ALL => Ok(()),
        _ => Err(TOO_MANY_ROUNDS),
    }
}

/// The value at the beginning, with definite lengths.
fn normalised(ber: &[u8]) -> Result<Vec<u8>, CmsError> {
    let limits = Limits { ber_depth: MAX_DEPTH, ber_value: MAX_FILE, ..Limits::default() };
    BerReader::new(ber, &limits).value().map_err(|_| CmsError::NotAKey)
}

/// All the rounds that the structure asks for, by the numbers behind its salts: PBKDF2-params and PBEParameter (RFC 8018 A), MacData
/// (RFC 7292 4), scrypt-params (RFC 7914 7). OCTET STRINGs that hold values are looked into, as PKCS#12 nests them; what OpenSSL
/// reads out of one ([`data_octets`]) must be readable here too. An error: one hash alone has too many, or the values lie too deep.
fn rounds(values: &[u8], depth: usize) -> Result<u64, CmsError> {
    let mut fields = Fields::new(values);
    let mut total = 0u64;
    let mut behind_salt: Option<Vec<u64>> = None;
    let mut behind_data = false;
    while let Ok(Some(value)) = fields.take() {
        if let Some(numbers) = behind_salt.as_mut().filter(|_| value.tag == der::INTEGER) {
            numbers.push(number(&value));
            continue;
        }
        total = total.saturating_add(affordable(behind_salt.take())?);
        let octets = value.tag == der::OCTET_STRING;
        let holds_values = value.tag & 0x20 != 0 || (octets && value.content.first() == Some(&der::SEQUENCE));
        if holds_values {
            let depth = depth.checked_sub(1).ok_or(TOO_MANY_ROUNDS)?;
            let inside = match data_octets(&value).filter(|_| behind_data) {
                Some(octets) => rounds(&normalised(octets)?, depth)?,
                None => rounds(value.content, depth)?,
            };
            total = total.saturating_add(inside);
        }
        behind_salt = octets.then(Vec::new);
        behind_data = value.tag == der::OID && value.content == oid::DATA;
    }
    Ok(total.saturating_add(affordable(behind_salt)?))
}

/// The octets in `[0]` of a ContentInfo of data (RFC 5652 4): AuthenticatedSafe and SafeContents (RFC 7292 4), again in any form of BER.
fn data_octets<'a>(value: &der::Tlv<'a>) -> Option<&'a [u8]> {
    let explicit = value.tag == der::context_constructed(0);
    explicit.then(|| Fields::only(value.content, der::OCTET_STRING).ok()).flatten().map(|octets| octets.content)
}

/// The rounds of one hash. Behind the count of PBKDF2 may stand a length; scrypt's work is the product of three numbers, and one of
/// its steps takes about as long as a round.
fn affordable(behind_salt: Option<Vec<u64>>) -> Result<u64, CmsError> {
    let rounds = match behind_salt.as_deref() {
        None | Some([]) => 0,
        Some([count] | [count, _]) => *count,
        Some([cost, block, parallel, ..]) => cost.saturating_mul(*block).saturating_mul(*parallel),
    };
    if rounds <= MAX_ROUNDS { Ok(rounds) } else { Err(TOO_MANY_ROUNDS) }
}

/// An INTEGER; a negative one, which OpenSSL refuses, counts nothing.
fn number(value: &der::Tlv<'_>) -> u64 {
    match value.small_integer() {
        Ok(number) => u64::from(number),
        Err(_) if value.content.len() > 5 => u64::MAX,
        Err(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use openssl::nid::Nid;
    use openssl::rsa::Rsa;
    use openssl::symm::Cipher;

    use super::super::specimens::{ALICE, BOB, EVE_P256, elliptic};
    use super::*;

    fn secret(text: &str) -> Secret<String> {
        Secret::new(text.to_owned())
    }

    #[test]
    fn an_encrypted_key_opens_with_its_passphrase_only() {
        let pem = ALICE.key.pkey().private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"right").unwrap();
        assert!(PrivateKey::from_pem(&pem, Some(&secret("right"))).unwrap().matches(&ALICE.certificate));
        for wrong in [Some(secret("wrong")), None, Some(secret(&"x".repeat(5000)))] {
            assert!(matches!(PrivateKey::from_pem(&pem, wrong.as_ref()), Err(CmsError::Passphrase)));
        }
    }

    #[test]
    fn plain_keys_of_both_forms_are_read() {
        let pkcs8 = BOB.key.pkey().private_key_to_pem_pkcs8().unwrap();
        let pkcs1 = BOB.key.pkey().rsa().unwrap().private_key_to_pem().unwrap();
        let sec1 = EVE_P256.key.pkey().ec_key().unwrap().private_key_to_pem().unwrap();
        assert!(PrivateKey::from_pem(&sec1, None).unwrap().matches(&EVE_P256.certificate));
        for pem in [pkcs8, pkcs1] {
            let key = PrivateKey::from_pem(&pem, None).unwrap();
            assert!(key.matches(&BOB.certificate) && !key.matches(&ALICE.certificate));
        }
        assert!(matches!(PrivateKey::from_pem(b"nothing", None), Err(CmsError::NotAKey)));
    }

    #[test]
    fn weak_keys_and_other_kinds_are_refused() {
        let weak = PKey::from_rsa(Rsa::generate(1024).unwrap()).unwrap();
        assert!(matches!(PrivateKey::from_pkey(weak), Err(CmsError::UnusableKey(_))));
        for other in [PKey::generate_ed25519().unwrap(), elliptic(Nid::SECP521R1)] {
            assert!(matches!(PrivateKey::from_pkey(other), Err(CmsError::UnusableKey(_))));
        }
    }

    #[test]
    fn pkcs12_gives_key_and_certificate() {
        let der = Pkcs12::builder()
            .pkey(ALICE.key.pkey())
            .cert(ALICE.certificate.x509())
            .build2("pass")
            .unwrap()
            .to_der()
            .unwrap();
        let (key, certificate, others) = PrivateKey::from_pkcs12(&der, &secret("pass")).unwrap();
        assert!(key.matches(&certificate) && certificate == ALICE.certificate && others.is_empty());
        assert!(matches!(PrivateKey::from_pkcs12(&der, &secret("wrong")), Err(CmsError::Passphrase)));
        assert!(matches!(PrivateKey::from_pkcs12(&der, &secret("nul\0")), Err(CmsError::NotAKey)));
    }

    #[test]
    fn files_that_demand_endless_hashing_are_refused_at_once() {
        let mut builder = Pkcs12::builder();
        builder.pkey(ALICE.key.pkey()).cert(ALICE.certificate.x509()).mac_iter(70_000);
        let mut file = builder.build2("pass").unwrap().to_der().unwrap();
        assert!(PrivateKey::from_pkcs12(&file, &secret("pass")).is_ok());
        let count = memmem::rfind(&file, &der::integer(70_000)).unwrap();
        file[count + 2] = 0x7f;
        let refused = PrivateKey::from_pkcs12(&file, &secret("pass"));
        assert!(matches!(refused, Err(CmsError::UnusableKey(_))));

        let parameters = der::sequence(&[&der::tlv(der::OCTET_STRING, &[1; 8]), &der::integer(1 << 31)]);
        let key = der::sequence(&[&der::sequence(&[&parameters]), &der::tlv(der::OCTET_STRING, &[2; 64])]);
        let pem = |text: &str| {
            format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{text}\n-----END ENCRYPTED PRIVATE KEY-----\n")
        };
        let refusal = |pem: &str| PrivateKey::from_pem(pem.as_bytes(), Some(&secret("pass"))).unwrap_err();
        assert!(matches!(refusal(&pem(&STANDARD.encode(&key))), CmsError::UnusableKey(_)));
        // The same with indefinite lengths, as the second key, and behind fields that OpenSSL would skip.
        let inner = [&[0x30, 0x80, 0x30, 0x80], parameters.as_slice(), &[0, 0], &der::tlv(der::OCTET_STRING, &[2; 64])];
        let indefinite = STANDARD.encode([inner.concat().as_slice(), &[0, 0]].concat());
        assert!(matches!(refusal(&pem(&indefinite)), CmsError::UnusableKey(_)));
        let good = ALICE.key.pkey().private_key_to_pem_pkcs8_passphrase(Cipher::aes_256_cbc(), b"pass").unwrap();
        let good = String::from_utf8(good).unwrap();
        assert!(PrivateKey::from_pem(good.as_bytes(), Some(&secret("pass"))).is_ok());
        assert!(matches!(refusal(&format!("{good}{}", pem(&indefinite))), CmsError::UnusableKey(_)));
        let fields = format!("Proc-Type: 4,ENCRYPTED\n\n{}", STANDARD.encode(&key));
        assert!(matches!(refusal(&pem(&fields)), CmsError::NotAKey));
    }

    /// ContentInfo of data.
    fn data(content: &[u8]) -> Vec<u8> {
        let octets = der::tlv(der::context_constructed(0), &der::tlv(der::OCTET_STRING, content));
        der::sequence(&[&der::object_identifier(oid::DATA), &octets])
    }

    #[test]
    fn rounds_are_counted_in_the_safes_of_a_pkcs12_in_every_form_of_ber() {
        let pkcs12 = |safe: &[u8]| der::sequence(&[&der::integer(3), &data(safe)]);
        let indefinite = |values: &[u8]| [&[0x30, 0x80], values, &[0, 0]].concat();
        let forms = |count: u32| {
            let hash = der::sequence(&[&der::tlv(der::OCTET_STRING, &[1; 8]), &der::integer(count)]);
            let (definite, open) = (data(&der::sequence(&[&hash])), data(&indefinite(&hash)));
            [der::sequence(&[&definite]), indefinite(&definite), der::sequence(&[&open]), indefinite(&open)]
        };
        for (few, many) in forms(2048).iter().zip(&forms(1 << 31)) {
            assert!(check_rounds(&pkcs12(few)).is_ok());
            assert!(matches!(check_rounds(&pkcs12(many)), Err(CmsError::UnusableKey(_))));
        }
        // What OpenSSL might read and we cannot: without an end, with a tag of two octets, or nested without measure.
        let [content, ..] = forms(1 << 31);
        let (begins, ends) = ([0x30, 0x80].repeat(40), [0, 0].repeat(40));
        for unreadable in [
            [&[0x30, 0x80], content.as_slice()].concat(),
            indefinite(&[content.as_slice(), &[0x1f, 0x20, 0]].concat()),
            indefinite(&[begins.as_slice(), &content, &ends].concat()),
        ] {
            assert!(matches!(check_rounds(&pkcs12(&unreadable)), Err(CmsError::NotAKey)));
        }
        // A salt or a ciphertext that looks like the beginning of a value is none.
        assert!(check_rounds(&der::sequence(&[&der::tlv(der::OCTET_STRING, &[0x30, 0x80, 1, 2, 3])])).is_ok());
    }

    /// An encrypted PKCS#8 whose passphrase is hashed so often; behind the salt stand these numbers.
    fn hashed(numbers: &[&[u32]]) -> String {
        let parameters = numbers.iter().map(|numbers| {
            let numbers: Vec<Vec<u8>> = numbers.iter().map(|number| der::integer(*number)).collect();
            der::sequence(&[&der::tlv(der::OCTET_STRING, &[1; 8]), &numbers.concat()])
        });
        let algorithm = der::tlv(der::SEQUENCE, &parameters.collect::<Vec<_>>().concat());
        let key = der::sequence(&[&algorithm, &der::tlv(der::OCTET_STRING, &[2; 64])]);
        let text = STANDARD.encode(key);
        format!("-----BEGIN ENCRYPTED PRIVATE KEY-----\n{text}\n-----END ENCRYPTED PRIVATE KEY-----\n")
    }

    fn refused(numbers: &[&[u32]]) -> bool {
        let refusal = read_pem(hashed(numbers).as_bytes(), Some(&secret("pass"))).unwrap_err();
        matches!(refusal, CmsError::UnusableKey(_))
    }

    #[test]
    fn a_key_whose_scrypt_would_run_for_an_hour_is_refused_at_once() {
        assert!(!refused(&[&[16_384, 8, 1]]) && !refused(&[&[1_048_576, 1, 1, 32]]));
        assert!(refused(&[&[16_384, 8, 16_384]]) && refused(&[&[131_072, 1, 131_072]]));
        assert!(refused(&[&[1 << 31, 1 << 31, 1 << 31]]));
    }

    #[test]
    fn the_hashes_of_a_file_count_together() {
        let most: &[u32] = &[2_000_000, 32];
        assert!(!refused(&[most; 3]));
        assert!(refused(&[most; 4]) && refused(&[&[2_000_001]]));
    }

    #[test]
    fn nothing_of_a_key_is_printed() {
        assert_eq!(format!("{:?}", ALICE.key), "PrivateKey(…)");
    }
}

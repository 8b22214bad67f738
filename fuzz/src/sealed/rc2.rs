//! An envelope in RC2 of 128 effective bits under PKCS #1 v1.5 (RFC 3370 4.2.1, 5.2): dxgate reads it under a waiver, and writes none.

use std::sync::LazyLock;

use data_encoding::HEXLOWER;
use dxgate::cms::{Certificate, der, oid};
use openssl::cipher::Cipher;
use openssl::cipher_ctx::CipherCtx;
use openssl::error::ErrorStack;
use openssl::lib_ctx::LibCtx;
use openssl::provider::Provider;
use openssl::rsa::Padding;

use super::super::KEYS;

/// EnvelopedData for the receiver (RFC 5652 6.1). `None` where OpenSSL's legacy provider is not installed.
pub(super) fn enveloped(content: &[u8]) -> Option<Vec<u8>> {
    let encrypted = encrypted(content)?;
    let nonce = der::tlv(der::OCTET_STRING, &NONCE);
    let parameters = der::sequence(&[&der::integer(VERSION_OF_128_BITS), &nonce]);
    let cipher = der::sequence(&[&der::object_identifier(oid::RC2_CBC), &parameters]);
    let info = der::sequence(&[&der::object_identifier(oid::DATA), &cipher, &der::tlv(der::context(0), &encrypted)]);
    let recipients = der::set_of(vec![recipient(&KEYS.receiver.certificate).expect("an RSA key")]);
    let data = der::sequence(&[&der::integer(0), &recipients, &info]);
    let data = der::tlv(der::context_constructed(0), &data);
    Some(der::sequence(&[&der::object_identifier(oid::ENVELOPED_DATA), &data]))
}

fn encrypted(content: &[u8]) -> Option<Vec<u8>> {
    let Legacy { cipher, .. } = LEGACY.as_ref()?;
    let run = || -> Result<Vec<u8>, ErrorStack> {
        let mut context = CipherCtx::new()?;
        let mut out = Vec::new();
        context.encrypt_init(Some(cipher), Some(&KEY), Some(&NONCE))?;
        context.cipher_update_vec(content, &mut out)?;
        context.cipher_final_vec(&mut out)?;
        Ok(out)
    };
    Some(run().expect("a cipher that there is"))
}

/// OpenSSL's legacy provider in a context of its own, as dxgate has it: nothing else of it becomes available.
struct Legacy {
    cipher: Cipher,
    _provider: Provider,
    _library: LibCtx,
}

static LEGACY: LazyLock<Option<Legacy>> = LazyLock::new(|| {
    let load = || -> Result<Legacy, ErrorStack> {
        let library = LibCtx::new()?;
        let provider = Provider::load(Some(&library), "legacy")?;
        let cipher = Cipher::fetch(Some(&library), "RC2-CBC", None)?;
        Ok(Legacy { cipher, _provider: provider, _library: library })
    };
    load().ok()
});

/// KeyTransRecipientInfo (RFC 5652 6.2.1).
fn recipient(certificate: &Certificate) -> Result<Vec<u8>, ErrorStack> {
    let issuer = certificate.x509().issuer_name().to_der()?;
    let serial = HEXLOWER.decode(certificate.serial().as_bytes()).expect("hexadecimal digits");
    let id = der::sequence(&[&issuer, &der::tlv(der::INTEGER, &serial)]);
    let transport = der::sequence(&[&der::object_identifier(oid::RSA_ENCRYPTION), &der::tlv(der::NULL, &[])]);
    let rsa = certificate.x509().public_key()?.rsa()?;
    let mut key = vec![0; rsa.size() as usize];
    let len = rsa.public_encrypt(&KEY, &mut key, Padding::PKCS1)?;
    key.truncate(len);
    Ok(der::sequence(&[&der::integer(0), &id, &transport, &der::tlv(der::OCTET_STRING, &key)]))
}

/// `rc2ParameterVersion` for 128 effective bits (RFC 3370 5.2).
const VERSION_OF_128_BITS: u32 = 58;
const KEY: [u8; 16] = *b"one key for all.";
const NONCE: [u8; 8] = *b"one IV..";

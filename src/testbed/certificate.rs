//! Certificates that the testbed's server may show and no client should believe.

use std::io;

use jiff::{SignedDuration, Timestamp};
use openssl::asn1::{Asn1Integer, Asn1Time};
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{Id, PKey, Private};
use openssl::x509::extension::{ExtendedKeyUsage, SubjectAlternativeName};
use openssl::x509::{X509, X509NameBuilder};

use super::scenario::ServerCertificate;
use crate::http::Identity;
use crate::keys::TlsIdentity;
use crate::keys::generate::{KeyRequest, generate};

/// A host that no client is connected to.
const ELSEWHERE: &str = "elsewhere.invalid";

/// What is shown instead of `own`, of which `Expired` and `WrongName` are issued: who pins it believes them but for the
/// one flaw.
///
/// # Errors
/// Key or certificate cannot be made, or the key of `own` cannot sign.
pub(super) fn shown(which: ServerCertificate, own: &TlsIdentity, now: Timestamp) -> io::Result<Identity> {
    let day = SignedDuration::from_hours(24);
    let ago = |days: i32| now.saturating_sub(day.saturating_mul(days)).map_err(io::Error::other);
    let ahead = now.saturating_add(day).map_err(io::Error::other)?;
    match which {
        ServerCertificate::Configured => Ok(Identity::from(own)),
        ServerCertificate::Other => unknown(now),
        ServerCertificate::Expired => issued(own, (ago(2)?, ago(1)?), "127.0.0.1"),
        ServerCertificate::WrongName => issued(own, (ago(1)?, ahead), ELSEWHERE),
    }
}

/// One that nobody has pinned.
fn unknown(now: Timestamp) -> io::Result<Identity> {
    let request = KeyRequest {
        common_name: "Somebody Else".to_owned(),
        organization: None,
        hosts: vec!["127.0.0.1".to_owned(), "localhost".to_owned()],
        bits: 256,
        days: 30,
    };
    let pair = generate(&request, None, now).map_err(io::Error::other)?;
    Identity::from_pem(&pair.certificate_pem, pair.key_pem.expose(), None).map_err(io::Error::other)
}

fn issued(own: &TlsIdentity, validity: (Timestamp, Timestamp), host: &str) -> io::Result<Identity> {
    let issuer = own.chain.first().ok_or_else(|| io::Error::other("the server has no certificate"))?;
    let issuer = X509::from_der(issuer.der())?;
    let issuer_key = PKey::private_key_from_pkcs8(own.key_der.expose())?;
    let key = PKey::from_ec_key(EcKey::generate(&*EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?)?)?;
    let certificate = certificate((&issuer, &issuer_key), &key, validity, host)?;
    let chain = [certificate.to_pem()?, issuer.to_pem()?].concat();
    Identity::from_pem(&chain, &key.private_key_to_pem_pkcs8()?, None).map_err(io::Error::other)
}

fn certificate(
    (issuer, issuer_key): (&X509, &PKey<Private>),
    key: &PKey<Private>,
    (begin, end): (Timestamp, Timestamp),
    host: &str,
) -> Result<X509, ErrorStack> {
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_text("CN", "Testbed Server")?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(127, MsbOption::MAYBE_ZERO, false)?;
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&*Asn1Integer::from_bn(&serial)?)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(issuer.subject_name())?;
    builder.set_pubkey(key)?;
    builder.set_not_before(&*Asn1Time::from_unix(begin.as_second())?)?;
    builder.set_not_after(&*Asn1Time::from_unix(end.as_second())?)?;
    builder.append_extension(ExtendedKeyUsage::new().server_auth().build()?)?;
    let mut names = SubjectAlternativeName::new();
    let names = if host.parse::<std::net::IpAddr>().is_ok() { names.ip(host) } else { names.dns(host) };
    let names = names.build(&builder.x509v3_context(Some(issuer), None))?;
    builder.append_extension(names)?;
    let digest = match issuer_key.id() {
        Id::ED25519 | Id::ED448 => MessageDigest::null(),
        _ => MessageDigest::sha256(),
    };
    builder.sign(issuer_key, digest)?;
    Ok(builder.build())
}

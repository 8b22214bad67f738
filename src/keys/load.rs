//! Certificates and private keys from files: PEM (RFC 7468), PKCS#8 (RFC 5958, encrypted or not), PKCS#12 (RFC 7292).
//!
//! A private file that its group or others may read is refused, not warned about: the gateway must not start on it.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::bilingual;
use crate::cms::{Certificate, CmsError, PrivateKey, read_pem};
use crate::ground::secret::Secret;
use crate::ground::text::Bilingual;

/// Bytes of the largest key, certificate or passphrase file that is read.
pub const MAX_FILE: u64 = 1024 * 1024;

/// Why a key, certificate or secret could not be taken from its file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFileError {
    /// The file is missing or may not be read by us.
    #[error("{} cannot be read: {reason}", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system said.
        reason: String,
    },
    /// Larger than [`MAX_FILE`].
    #[error("{} is too large for a key or certificate", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
    },
    /// Group or others may read a private file.
    #[error("{} may be read by others (mode {mode:03o})", file.display())]
    Exposed {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// No certificate in it.
    #[error("{} holds no certificate", file.display())]
    NoCertificate {
        /// The file.
        file: PathBuf,
    },
    /// No private key in it.
    #[error("{} holds no private key", file.display())]
    NoKey {
        /// The file.
        file: PathBuf,
    },
    /// The passphrase is missing or not the file's.
    #[error("{} does not open with the passphrase given", file.display())]
    Passphrase {
        /// The file.
        file: PathBuf,
    },
    /// A PKCS#12 that is encrypted in a way which OpenSSL 3 does not support by default.
    #[error("{} is encrypted in an outdated way", file.display())]
    OutdatedEncryption {
        /// The file.
        file: PathBuf,
    },
    /// Neither an RSA key of 2048 to 8192 bits nor an EC key on P-256 or P-384 nor an SM2 key.
    #[error("{} is neither an RSA key of 2048 to 8192 bits nor an EC key on P-256 or P-384 nor an SM2 key", file.display())]
    KeyUnusable {
        /// The file.
        file: PathBuf,
    },
    /// Neither an SM2 key nor an RSA key of 1024 to 8192 bits, which declarations are signed with.
    #[error("{} is neither an SM2 key nor an RSA key of 1024 to 8192 bits", file.display())]
    NotForDeclarations {
        /// The file.
        file: PathBuf,
    },
    /// Key and certificate do not belong together.
    #[error("{} is not the key of the certificate", file.display())]
    Mismatch {
        /// The key's file.
        file: PathBuf,
    },
    /// Neither a revocation list nor a certificate in it.
    #[error("{} holds no revocation list", file.display())]
    NoList {
        /// The file.
        file: PathBuf,
    },
    /// More bytes or files than revocation lists have.
    #[error("{} is too large for revocation lists", file.display())]
    ListsTooLarge {
        /// The file or folder.
        file: PathBuf,
    },
    /// A revocation list that none of the certificates beside it has signed.
    #[error("{} is signed by none of the certificates beside it", file.display())]
    ListUnproven {
        /// The file.
        file: PathBuf,
    },
    /// A passphrase, password or token file is empty or not text.
    #[error("{} holds no line of text", file.display())]
    NoSecret {
        /// The file.
        file: PathBuf,
    },
}

impl KeyFileError {
    /// Stable code.
    pub fn code(&self) -> &'static str {
        match self {
            KeyFileError::Unreadable { .. } => "file-unreadable",
            KeyFileError::TooLarge { .. } => "file-too-large",
            KeyFileError::Exposed { .. } => "private-file-exposed",
            KeyFileError::NoCertificate { .. } => "certificate-unreadable",
            KeyFileError::NoKey { .. } => "private-key-unreadable",
            KeyFileError::Passphrase { .. } => "passphrase-wrong",
            KeyFileError::OutdatedEncryption { .. } => "key-encryption-outdated",
            KeyFileError::KeyUnusable { .. } => "private-key-weak",
            KeyFileError::NotForDeclarations { .. } => "signing-key-unsupported",
            KeyFileError::Mismatch { .. } => "key-certificate-mismatch",
            KeyFileError::NoList { .. } => "crl-unreadable",
            KeyFileError::ListsTooLarge { .. } => "crl-too-large",
            KeyFileError::ListUnproven { .. } => "crl-unproven",
            KeyFileError::NoSecret { .. } => "secret-empty",
        }
    }

    /// What happened and what to do.
    pub fn text(&self) -> Bilingual {
        let file = self.file().display();
        match self {
            KeyFileError::Unreadable { reason, .. } => bilingual!(
                "无法读取文件 {file}：{reason}。请检查路径和运行用户的读取权限。",
                "{file} cannot be read: {reason}. Check the path and that the gateway's user may read it."
            ),
            KeyFileError::TooLarge { .. } => bilingual!(
                "文件 {file} 超过 1 MiB，不会是密钥或证书。请检查路径。",
                "{file} is larger than 1 MiB and cannot be a key or certificate. Check the path."
            ),
            KeyFileError::Exposed { mode, .. } => bilingual!(
                "文件 {file} 可被其他用户读取（权限 {mode:03o}）。请执行：chmod 600 {file}",
                "{file} may be read by other users (mode {mode:03o}). Run: chmod 600 {file}"
            ),
            KeyFileError::NoCertificate { .. } => bilingual!(
                "文件 {file} 中没有 X.509 证书。需要 PEM(-----BEGIN CERTIFICATE-----)或 DER 格式。",
                "{file} holds no X.509 certificate. PEM (-----BEGIN CERTIFICATE-----) or DER is expected."
            ),
            KeyFileError::NoKey { .. } => bilingual!(
                "文件 {file} 中没有私钥。需要 PEM（PKCS#8）或 PKCS#12 格式。",
                "{file} holds no private key. PEM (PKCS#8) or PKCS#12 is expected."
            ),
            KeyFileError::Passphrase { .. } => bilingual!(
                "口令无法打开文件 {file}。请检查 passphrase_file 或 passphrase_env。",
                "{file} does not open with the passphrase. Check passphrase_file or passphrase_env."
            ),
            KeyFileError::OutdatedEncryption { .. } => bilingual!(
                "文件 {file} 采用了 OpenSSL 3 默认不支持的旧加密方式（例如 RC2-40）。请执行：openssl pkcs12 -legacy -in {file} -out k.pem，再重新导出：openssl pkcs12 -export -in k.pem -out new.p12",
                "{file} is encrypted in a way that OpenSSL 3 does not support by default (RC2-40, for example). Run: openssl pkcs12 -legacy -in {file} -out k.pem, then export it anew: openssl pkcs12 -export -in k.pem -out new.p12"
            ),
            KeyFileError::KeyUnusable { .. } => bilingual!(
                "文件 {file} 中的密钥既不是 2048 至 8192 位的 RSA 密钥，也不是 P-256 或 P-384 曲线的 EC 密钥或 SM2 密钥。请用 dxgate cert generate 生成新密钥。",
                "the key in {file} is neither RSA of 2048 to 8192 bits, nor EC on P-256 or P-384, nor SM2. Make a new one with dxgate cert generate."
            ),
            KeyFileError::NotForDeclarations { .. } => bilingual!(
                "文件 {file} 中的密钥既不是 SM2 密钥，也不是 1024 至 8192 位的 RSA 密钥，不能用于报文签名。请使用海关核发的签名密钥；测试可用 dxgate cert generate --declarations --common-name 名称 生成。",
                "the key in {file} is neither SM2 nor RSA of 1024 to 8192 bits and cannot sign declarations. Use the one issued for that; for tests make one with dxgate cert generate --declarations --common-name NAME."
            ),
            KeyFileError::Mismatch { .. } => bilingual!(
                "私钥 {file} 与证书不匹配。请使用同一对密钥的两个文件。",
                "the private key {file} does not belong to the certificate. Use the two files of one pair."
            ),
            KeyFileError::NoList { .. } => bilingual!(
                "文件 {file} 不完整，或其中有吊销列表（CRL）和证书以外的内容。需要 PEM 或 DER 格式；请重新获取该列表，或移走其他文件。",
                "{file} is cut off or holds something else than revocation lists and certificates. PEM or DER is expected; fetch the list anew, or move other files away."
            ),
            KeyFileError::ListsTooLarge { .. } => bilingual!(
                "{file} 过大：单个吊销列表文件不超过 64 MiB，一个文件夹不超过 1000 个文件、256 MiB。请只保留伙伴证书签发者的列表。",
                "{file} is too large: a file of revocation lists has at most 64 MiB, a folder 1,000 files and 256 MiB. Keep only the lists of those who issued the partners' certificates."
            ),
            KeyFileError::ListUnproven { .. } => bilingual!(
                "吊销列表 {file} 的签名无法验证：请把签发它的 CA 证书单独放在同一文件夹的另一个文件中，或重新获取该列表。",
                "the revocation list {file} cannot be verified: put the certificate of the CA that signed it into a file of its own in the same folder, or fetch the list anew."
            ),
            KeyFileError::NoSecret { .. } => bilingual!(
                "文件 {file} 为空或不是文本。请在第一行写入口令或令牌。",
                "{file} is empty or not text. Put the secret on its first line."
            ),
        }
    }

    /// The file in question.
    pub fn file(&self) -> &Path {
        match self {
            KeyFileError::Unreadable { file, .. }
            | KeyFileError::TooLarge { file }
            | KeyFileError::Exposed { file, .. }
            | KeyFileError::NoCertificate { file }
            | KeyFileError::NoKey { file }
            | KeyFileError::Passphrase { file }
            | KeyFileError::OutdatedEncryption { file }
            | KeyFileError::KeyUnusable { file }
            | KeyFileError::NotForDeclarations { file }
            | KeyFileError::Mismatch { file }
            | KeyFileError::NoList { file }
            | KeyFileError::ListsTooLarge { file }
            | KeyFileError::ListUnproven { file }
            | KeyFileError::NoSecret { file } => file,
        }
    }
}

/// The certificate of `file` (the first, when it holds a chain), PEM or DER.
///
/// # Errors
/// The file cannot be read or holds none.
pub fn certificate(file: &Path) -> Result<Certificate, KeyFileError> {
    let bytes = read(file)?;
    parse_certificate(&bytes).ok_or_else(|| KeyFileError::NoCertificate { file: file.to_owned() })
}

/// Every certificate of `file`, PEM or DER.
///
/// # Errors
/// The file cannot be read or holds none.
pub fn certificates(file: &Path) -> Result<Vec<Certificate>, KeyFileError> {
    let bytes = read(file)?;
    let found = Certificate::all_from_pem(&bytes).ok().filter(|found| !found.is_empty());
    let found = found.or_else(|| Certificate::from_der(&bytes).ok().map(|one| vec![one]));
    found.ok_or_else(|| KeyFileError::NoCertificate { file: file.to_owned() })
}

/// A certificate and its key from two files.
///
/// # Errors
/// Either file is unusable, the key file is exposed, or they do not belong together.
pub fn key_pair(
    certificate_file: &Path,
    key_file: &Path,
    passphrase: Option<&Secret<String>>,
) -> Result<(Certificate, PrivateKey), KeyFileError> {
    let certificate = certificate(certificate_file)?;
    let bytes = read_private(key_file)?;
    let key = PrivateKey::from_pem(&bytes, passphrase).map_err(|why| unusable(key_file, &why))?;
    if key.matches(&certificate) {
        Ok((certificate, key))
    } else {
        Err(KeyFileError::Mismatch { file: key_file.to_owned() })
    }
}

/// A certificate and its key from a PKCS#12 file.
///
/// # Errors
/// The file is unusable, exposed, or the passphrase is not its own.
pub fn pkcs12(file: &Path, passphrase: Option<&Secret<String>>) -> Result<(Certificate, PrivateKey), KeyFileError> {
    let bytes = read_private(file)?;
    let empty = Secret::new(String::new());
    let opened = PrivateKey::from_pkcs12(&bytes, passphrase.unwrap_or(&empty));
    let (key, certificate, _chain) = opened.map_err(|why| unusable(file, &why))?;
    if key.matches(&certificate) {
        Ok((certificate, key))
    } else {
        Err(KeyFileError::Mismatch { file: file.to_owned() })
    }
}

/// The first line of a private file: a passphrase, a password or a token.
///
/// # Errors
/// The file is unusable, exposed, or has no first line.
pub fn secret_line(file: &Path) -> Result<Secret<String>, KeyFileError> {
    let bytes = read_private(file)?;
    let line = std::str::from_utf8(&bytes).ok().and_then(|text| text.lines().next()).map(str::trim_end);
    match line {
        Some(line) if !line.is_empty() => Ok(Secret::new(line.to_owned())),
        _ => Err(KeyFileError::NoSecret { file: file.to_owned() }),
    }
}

/// What a TLS server or client shows of itself, in the forms that TLS libraries take. The key is not encrypted any more.
#[derive(Debug, Clone)]
pub struct TlsIdentity {
    /// Our certificate first, then its issuers.
    pub chain: Vec<Certificate>,
    /// The private key, unencrypted PKCS#8 DER.
    pub key_der: Secret<Vec<u8>>,
}

impl TlsIdentity {
    /// From a PEM chain and a PEM key.
    ///
    /// # Errors
    /// Either file is unusable, the key file is exposed, or they do not belong together.
    pub fn from_files(
        certificate_file: &Path,
        key_file: &Path,
        passphrase: Option<&Secret<String>>,
    ) -> Result<TlsIdentity, KeyFileError> {
        let no_certificate = || KeyFileError::NoCertificate { file: certificate_file.to_owned() };
        let chain = Certificate::all_from_pem(&read(certificate_file)?).map_err(|_| no_certificate())?;
        let own = chain.first().ok_or_else(no_certificate)?;
        let no_key = |_| KeyFileError::NoKey { file: key_file.to_owned() };
        let bytes = read_private(key_file)?;
        let key = read_pem(&bytes, passphrase).map_err(|why| unusable(key_file, &why))?;
        let shown = openssl::x509::X509::from_der(own.der()).and_then(|x509| x509.public_key());
        if !shown.is_ok_and(|shown| shown.public_eq(&key)) {
            return Err(KeyFileError::Mismatch { file: key_file.to_owned() });
        }
        let der = key.private_key_to_pkcs8().map_err(no_key)?;
        Ok(TlsIdentity { chain, key_der: Secret::new(der) })
    }
}

/// Why the CMS layer does not take a key, in terms of its file.
pub(super) fn unusable(file: &Path, why: &CmsError) -> KeyFileError {
    let file = file.to_owned();
    match why {
        CmsError::Passphrase => KeyFileError::Passphrase { file },
        CmsError::OutdatedEncryption => KeyFileError::OutdatedEncryption { file },
        CmsError::UnusableKey(_) => KeyFileError::KeyUnusable { file },
        CmsError::NotACertificate => KeyFileError::NoCertificate { file },
        _ => KeyFileError::NoKey { file },
    }
}

/// PEM first, else DER.
fn parse_certificate(bytes: &[u8]) -> Option<Certificate> {
    Certificate::from_pem(bytes).or_else(|_| Certificate::from_der(bytes)).ok()
}

/// A file that must not be open to others. Checked on the open file, so that nobody can swap it in between.
pub(super) fn read_private(file: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let opened = File::open(file).map_err(|error| unreadable(file, &error))?;
    let metadata = opened.metadata().map_err(|error| unreadable(file, &error))?;
    if let Some(mode) = exposure(&metadata) {
        return Err(KeyFileError::Exposed { file: file.to_owned(), mode });
    }
    read_opened(file, opened)
}

fn read(file: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    read_opened(file, File::open(file).map_err(|error| unreadable(file, &error))?)
}

fn read_opened(file: &Path, opened: File) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let mut bytes = Zeroizing::new(Vec::new());
    opened.take(MAX_FILE.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| unreadable(file, &error))?;
    let too_large = u64::try_from(bytes.len()).map_or(true, |length| length > MAX_FILE);
    if too_large { Err(KeyFileError::TooLarge { file: file.to_owned() }) } else { Ok(bytes) }
}

#[cfg(unix)]
fn exposure(metadata: &std::fs::Metadata) -> Option<u32> {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    exposed((metadata.uid(), metadata.gid()), metadata.permissions().mode())
}

/// The mode of a file of this user and group, if others may read it. systemd hands a credential to a service
/// (`LoadCredential`) in a file that is root's alone, with an entry for the service's user in its access list; the bits of
/// the group are the mask of that list then (acl(5)), so the file looks like 0440.
#[cfg(unix)]
fn exposed(owner: (u32, u32), mode: u32) -> Option<u32> {
    let mode = mode & 0o777;
    let credential = owner == (0, 0) && mode == 0o440;
    (mode & 0o077 != 0 && !credential).then_some(mode)
}

#[cfg(not(unix))]
fn exposure(_metadata: &std::fs::Metadata) -> Option<u32> {
    None
}

fn unreadable(file: &Path, error: &io::Error) -> KeyFileError {
    KeyFileError::Unreadable { file: file.to_owned(), reason: error.kind().to_string() }
}

#[cfg(all(test, unix))]
mod tests {
    use super::exposed;

    #[test]
    fn a_credential_of_systemd_is_closed_and_whatever_else_a_group_may_read_is_not() {
        assert_eq!(exposed((0, 0), 0o100_440), None);
        assert_eq!((exposed((7, 7), 0o100_600), exposed((0, 0), 0o100_400)), (None, None));
        for (owner, mode) in [((0, 0), 0o640), ((0, 0), 0o444), ((0, 7), 0o440), ((7, 0), 0o440), ((7, 7), 0o440)] {
            assert_eq!(exposed(owner, mode), Some(mode), "{owner:?} {mode:o}");
        }
    }
}

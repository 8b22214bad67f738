//! Checking a bundle without a gateway: the same things that its README's commands check, all at once, and whether its
//! parts [belong together](super::belonging).

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::belonging;
use super::bundle::{SUM_OF_SUMS, SUMS, sum};
use crate::bilingual;
use crate::cms::{self, Certificate, Digests, MultiHasher};
use crate::ground::limits::Limits;
use crate::ground::text::Bilingual;

/// Largest list or signature that is read, in bytes.
const SMALL: u64 = 64 * 1024 * 1024;

/// One thing that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Finding {
    /// The file in the bundle.
    pub file: String,
    /// What does not hold.
    pub text: Bilingual,
}

/// What was checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files whose sums hold.
    pub files: usize,
    /// The message's signature is there and holds.
    pub signed: bool,
    /// The MDN's signature is there and holds.
    pub mdn_signed: bool,
    /// The MIC in the signed MDN is the digest of the content; `None`: it carries none, or there is no signed MDN.
    pub mdn_confirms: Option<bool>,
    /// What does not hold; empty when all is well.
    pub findings: Vec<Finding>,
}

/// Checks the bundle in `dir`.
///
/// # Errors
/// The folder or its list of sums cannot be read, or something in it is neither file nor folder of files: it is no bundle.
pub fn verify(dir: &Path) -> io::Result<Verified> {
    let mut verified = Verified::default();
    // Before anything is opened: a link of a stranger's may lead anywhere.
    let there = files(dir, "")?;
    let sums = small(&dir.join(SUMS))?;
    let stated = small(&dir.join(SUM_OF_SUMS)).unwrap_or_default();
    if stated != HEXLOWER.encode(&Sha256::digest(&sums)).as_bytes() {
        verified.add(SUMS, bilingual!("清单与其校验和不符", "the list does not have its own sum"));
    }
    let sums = String::from_utf8_lossy(&sums).into_owned();
    let named = check_list(dir, SUMS, &sums, &mut verified);
    verified.files = named.len();
    for extra in there.difference(&named) {
        if ![SUMS, SUM_OF_SUMS].contains(&extra.as_str()) {
            verified.add(extra, bilingual!("清单中没有这个文件", "it is not in the list"));
        }
    }
    let chain = small(&dir.join("chain.txt")).unwrap_or_default();
    check_list(dir, "chain.txt", &String::from_utf8_lossy(&chain), &mut verified);
    verified.signed = signature(dir, "signature.p7s", "content.bin", "certificates/signer.pem", &mut verified);
    verified.mdn_signed =
        signature(dir, "mdn-signature.p7s", "mdn-content.bin", "certificates/mdn-signer.pem", &mut verified);
    belonging::check(dir, &mut verified);
    Ok(verified)
}

impl Verified {
    pub(super) fn add(&mut self, file: &str, text: Bilingual) {
        self.findings.push(Finding { file: file.to_owned(), text });
    }
}

/// Lines of `sha256sum`; returns the names.
fn check_list(dir: &Path, list: &str, text: &str, verified: &mut Verified) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for line in text.lines() {
        let Some((stated, name)) = line.split_once("  ").filter(|(_, name)| is_inside(name)) else {
            verified.add(list, bilingual!("有一行无法识别", "a line cannot be read"));
            continue;
        };
        match sum(&dir.join(name)) {
            Ok(found) if found == stated => {}
            Ok(_) => verified.add(name, bilingual!("内容已被改动", "its content has changed")),
            Err(error) => verified.add(name, bilingual!("无法读取：{error}", "it cannot be read: {error}")),
        }
        named.insert(name.to_owned());
    }
    named
}

/// A signature against the certificate beside it; false when there is none.
fn signature(dir: &Path, signature: &str, content: &str, certificate: &str, verified: &mut Verified) -> bool {
    if !dir.join(signature).exists() && !dir.join(certificate).exists() {
        return false;
    }
    let holds = || -> Result<(), String> {
        let limits = Limits::default();
        let pem = small(&dir.join(certificate)).map_err(|error| error.to_string())?;
        let trusted = [Certificate::from_pem(&pem).map_err(|error| error.to_string())?];
        let digests = digests(&dir.join(content)).map_err(|error| error.to_string())?;
        // With its content inside it is as long as that.
        let open = || fs::File::open(dir.join(signature)).map_err(|error| error.to_string());
        if !cms::has_content(open()?) {
            let ber = small(&dir.join(signature)).map_err(|error| error.to_string())?;
            return cms::verify_detached(&ber, &digests, &trusted, &limits)
                .map(drop)
                .map_err(|error| error.to_string());
        }
        // What a waiver allowed then is evidence now.
        let legacy = &cms::DigestAlgorithm::READABLE;
        let reader = cms::OpaqueReader::open_allowing(open()?, legacy, &limits);
        let mut reader = reader.map_err(|error| error.to_string())?;
        let mut inside = MultiHasher::new(&cms::DigestAlgorithm::ALL);
        io::copy(&mut reader, &mut inside).map_err(|error| error.to_string())?;
        reader.finish(&trusted).map(drop).map_err(|error| error.to_string())?;
        let sha256 = cms::DigestAlgorithm::Sha256;
        if inside.finish().of(sha256) == digests.of(sha256) { Ok(()) } else { Err("other content".to_owned()) }
    };
    match holds() {
        Ok(()) => true,
        Err(error) => {
            verified.add(signature, bilingual!("签名不成立：{error}", "the signature does not hold: {error}"));
            false
        }
    }
}

/// In every algorithm.
pub(super) fn digests(path: &Path) -> io::Result<Digests> {
    let mut hasher = MultiHasher::new(&cms::DigestAlgorithm::READABLE);
    io::copy(&mut fs::File::open(path)?, &mut hasher)?;
    Ok(hasher.finish())
}

/// A file that is held in memory.
pub(super) fn small(path: &Path) -> io::Result<Vec<u8>> {
    if fs::metadata(path)?.len() > SMALL {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too large for a bundle"));
    }
    fs::read(path)
}

/// Relative, and not out of the bundle.
fn is_inside(name: &str) -> bool {
    !name.is_empty() && name.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

/// Every file below the folder, by its name in the list.
fn files(dir: &Path, below: &str) -> io::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() && below.is_empty() {
            found.extend(files(&entry.path(), &format!("{name}/"))?);
        } else if kind.is_file() {
            found.insert(name);
        } else {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{name} is no file of a bundle")));
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "the bundle of a test need not be durable")]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_file_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let list = format!("{}  content.bin\n", HEXLOWER.encode(&Sha256::digest(b"content")));
        fs::write(dir.path().join("content.bin"), b"content").unwrap();
        fs::write(dir.path().join(SUMS), &list).unwrap();
        fs::write(dir.path().join(SUM_OF_SUMS), HEXLOWER.encode(&Sha256::digest(&list))).unwrap();
        assert_eq!(verify(dir.path()).unwrap().findings, []);
        fs::create_dir_all(dir.path().join("certificates/deeper")).unwrap();
        assert_eq!(verify(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
        fs::remove_dir(dir.path().join("certificates/deeper")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", dir.path().join("certificates/signer.pem")).unwrap();
        assert_eq!(verify(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_signature_with_its_content_inside_is_checked_however_long_that_is() {
        use openssl::cms::{CMSOptions, CmsContentInfo};
        let (common_name, hosts) = ("partner".to_owned(), Vec::new());
        let request =
            crate::keys::generate::KeyRequest { common_name, organization: None, hosts, bits: 2048, days: 30 };
        let made = crate::keys::generate::generate(&request, None, "2026-06-01T00:00:00Z".parse().unwrap()).unwrap();
        let certificate = openssl::x509::X509::from_pem(&made.certificate_pem).unwrap();
        let key = openssl::pkey::PKey::private_key_from_pem(made.key_pem.expose()).unwrap();
        let mut content = b"Content-Type: a/b\r\n\r\n".to_vec();
        content.resize(usize::try_from(SMALL).unwrap() + 1, b'x');
        let options = CMSOptions::BINARY | CMSOptions::NOSMIMECAP;
        let signed = CmsContentInfo::sign(Some(&certificate), Some(&key), None, Some(&content), options).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("certificates")).unwrap();
        fs::write(dir.path().join("certificates/signer.pem"), &made.certificate_pem).unwrap();
        fs::write(dir.path().join("content.bin"), &content).unwrap();
        fs::write(dir.path().join("signature.p7s"), signed.to_der().unwrap()).unwrap();
        let mut found = Verified::default();
        let holds = signature(dir.path(), "signature.p7s", "content.bin", "certificates/signer.pem", &mut found);
        assert!(holds, "{:?}", found.findings);
    }
}

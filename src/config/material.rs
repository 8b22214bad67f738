//! Paths, passphrases and key files named by a section.

mod tls_pair;

use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::Environment;
use super::document::Section;
use crate::bilingual;
use crate::cms::Certificate;
use crate::ground::secret::Secret;
use crate::ground::text::Bilingual;
use crate::keys::{Expiry, KeyFileError, TlsIdentity, load};

/// What reading needs besides the file itself.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'r> {
    /// Where relative paths start.
    pub(crate) home: &'r Path,
    /// Where `…_env` keys look.
    pub(crate) environment: Environment<'r>,
    /// The instant at which certificates are judged.
    pub(crate) now: Timestamp,
}

impl Reading<'_> {
    /// A path, relative to the home, of a file or folder that is read with the configuration.
    pub(crate) fn path(&self, section: &Section<'_>, key: &'static str) -> Option<PathBuf> {
        let path = section.text(key).map(|text| self.home.join(text))?;
        section.names_file(&path);
        Some(path)
    }

    /// A path of which the configuration takes only the name: no reason to read it again when the content changes.
    pub(crate) fn path_or(&self, section: &Section<'_>, key: &'static str, default: &str) -> PathBuf {
        self.home.join(section.text(key).as_deref().unwrap_or(default))
    }

    /// The passphrase of the section's key: `passphrase_file` or `passphrase_env`, never inline.
    pub(crate) fn passphrase(&self, section: &Section<'_>) -> Option<Secret<String>> {
        section.forbid(
            "passphrase",
            "secret-inline",
            &bilingual!(
                "口令不能写在配置文件中。请改用 passphrase_file 或 passphrase_env。",
                "a passphrase must not stand in a configuration file. Use passphrase_file or passphrase_env."
            ),
        );
        self.secret(section, "passphrase_file", "passphrase_env")
    }

    /// A secret from the first line of a file or from an environment variable.
    pub(crate) fn secret(
        &self,
        section: &Section<'_>,
        file_key: &'static str,
        variable_key: &'static str,
    ) -> Option<Secret<String>> {
        let file = self.path(section, file_key);
        let variable = section.text(variable_key);
        match (file, variable) {
            (Some(_), Some(_)) => {
                let text = bilingual!(
                    "{file_key} 与 {variable_key} 只能写一个。",
                    "{file_key} and {variable_key} exclude each other. Keep one."
                );
                section.error(variable_key, "keys-exclusive", text);
                None
            }
            (Some(file), None) => note(section, file_key, load::secret_line(&file)),
            (None, Some(variable)) => {
                let value = (self.environment)(&variable).filter(|value| !value.is_empty());
                if value.is_none() {
                    let text = bilingual!(
                        "环境变量 {variable} 未设置或为空。请在启动网关的环境中设置。",
                        "the environment variable {variable} is not set or empty. Set it where the gateway is started."
                    );
                    section.error(variable_key, "variable-missing", text);
                }
                value.map(Secret::new)
            }
            (None, None) => None,
        }
    }

    /// What a listener or client shows: `certificate`, `private_key` and their passphrase. `None` when the section is
    /// absent or wrong. Of its chain the certificate is told that ends first, for what that one vouches for ends with it.
    pub(crate) fn identity(&self, section: &Section<'_>, required: bool) -> Option<TlsIdentity> {
        let certificate = self.path(section, "certificate");
        let key = self.path(section, "private_key");
        let passphrase = self.passphrase(section);
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                let identity = TlsIdentity::from_files(&certificate, &key, passphrase.as_ref());
                let identity = note_pair(section, &certificate, identity)?;
                let first = identity.chain.iter().min_by_key(|one| one.not_after());
                let own = identity.chain.first().filter(|own| first != Some(*own));
                for one in first.into_iter().chain(own) {
                    self.report_expiry(section, "certificate", one, &certificate);
                }
                Some(identity)
            }
            (None, None) if !required => None,
            (certificate, _) => {
                section.missing(if certificate.is_none() { "certificate" } else { "private_key" });
                None
            }
        }
    }

    /// Why no handshake of TLS 1.2 or 1.3 can show the `certificate` of the section, which was read; `None` when it can.
    pub(crate) fn unfit_for_tls(&self, section: &Section<'_>, identity: &TlsIdentity) -> Option<Bilingual> {
        let unfit = tls_pair::judge(identity.chain.first()?).err()?;
        Some(unfit.text(&self.path_or(section, "certificate", "")))
    }

    /// Refuses certificates with which messages cannot be protected: see [`KeyKind`](crate::cms::KeyKind).
    pub(crate) fn check_strength(&self, section: &Section<'_>, key: &'static str, certificate: &Certificate) {
        if certificate.key_kind().is_some() {
            return;
        }
        let (algorithm, bits) = (certificate.key_algorithm(), certificate.key_bits());
        if algorithm == "RSA" {
            let text = bilingual!(
                "证书的 RSA 密钥（{bits} 位）不可用。请更换为 2048 至 8192 位、指数不小于 65537 的证书。",
                "the certificate's RSA key ({bits} bits) is not used. Replace it by one of 2048 to 8192 bits with an exponent of at least 65537."
            );
            section.error(key, "certificate-weak", text);
        } else {
            let text = bilingual!(
                "证书的密钥类型为 {algorithm}（{bits} 位）。AS2 报文的签名和加密需要 RSA 证书、P-256 或 P-384 曲线的 EC 证书（须以名称给出曲线），或 SM2 证书。",
                "the certificate's key is {algorithm} ({bits} bits). Signing and encrypting AS2 messages needs an RSA certificate, an EC one on P-256 or P-384 (named, not spelt out in parameters), or one of SM2."
            );
            section.error(key, "certificate-key-unsupported", text);
        }
    }

    /// Warns about a certificate that has expired or soon will.
    pub(crate) fn report_expiry(
        &self,
        section: &Section<'_>,
        key: &'static str,
        certificate: &Certificate,
        file: &Path,
    ) {
        if let Some(expiry) = Expiry::of(certificate, file, self.now) {
            section.warning(key, expiry.code(), expiry.text());
        }
    }
}

/// Turns a file's failure into a problem of the key that names it.
pub(crate) fn note<T>(section: &Section<'_>, key: &'static str, result: Result<T, KeyFileError>) -> Option<T> {
    result.map_err(|error| section.error(key, error.code(), error.text())).ok()
}

/// The same for a certificate and its key, read together.
pub(crate) fn note_pair<T>(section: &Section<'_>, certificate: &Path, result: Result<T, KeyFileError>) -> Option<T> {
    let about_certificate = result.as_ref().err().is_some_and(|error| match error {
        KeyFileError::NoCertificate { .. } => true,
        KeyFileError::Unreadable { file, .. } | KeyFileError::TooLarge { file } => file == certificate,
        _ => false,
    });
    note(section, if about_certificate { "certificate" } else { "private_key" }, result)
}

#[cfg(test)]
mod tests;

//! The API token: 32 random bytes in hex, in a file that only the gateway's user can read.
//!
//! Whoever can read the file may use the API; that is the whole rule until there are user accounts. The token is made
//! at the first start, and replaced by removing the file and starting again.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use openssl::sha::sha256;

use crate::bilingual;
use crate::ground::random;
use crate::ground::secret::Secret;
use crate::ground::text::Bilingual;
use crate::keys::save;

/// Length of a new token in random bytes.
const TOKEN_BYTES: usize = 32;
/// Shortest token that is accepted from a file, in characters.
const MIN_LENGTH: usize = 32;

/// What a request must present.
#[derive(Clone)]
pub struct Token(Secret<String>);

impl Token {
    /// A token with this text.
    pub fn new(text: &str) -> Token {
        Token(Secret::new(text.to_owned()))
    }

    /// The token in `path`, which is made when it is missing.
    pub fn load_or_create(path: &Path) -> Result<Token, TokenError> {
        match Token::load(path) {
            Err(TokenError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                let token = random::hex(TOKEN_BYTES);
                let unwritable = |source| TokenError::Unwritable { path: path.to_path_buf(), source };
                if let Some(folder) = path.parent() {
                    std::fs::create_dir_all(folder).map_err(unwritable)?;
                }
                let saved = save::private(path, format!("{token}\n").as_bytes());
                saved.map_err(|error| unwritable(error.source))?;
                Ok(Token(Secret::new(token)))
            }
            loaded => loaded,
        }
    }

    /// The token in `path`.
    pub fn load(path: &Path) -> Result<Token, TokenError> {
        let unreadable = |source| TokenError::Unreadable { path: path.to_path_buf(), source };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        if is_exposed(&std::fs::metadata(path).map_err(unreadable)?) {
            return Err(TokenError::Exposed { path: path.to_path_buf() });
        }
        let token = text.trim();
        let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.len() < MIN_LENGTH || !printable {
            return Err(TokenError::Weak { path: path.to_path_buf() });
        }
        Ok(Token::new(token))
    }

    /// Is this the token? Takes the same time wherever the two differ.
    pub fn matches(&self, presented: &[u8]) -> bool {
        openssl::memcmp::eq(&sha256(self.0.expose().as_bytes()), &sha256(presented))
    }

    /// The value of an `Authorization` field (RFC 6750 2.1).
    pub fn authorization(&self) -> String {
        format!("Bearer {}", self.0.expose())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(unix)]
pub(super) fn is_exposed(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
pub(super) fn is_exposed(_metadata: &std::fs::Metadata) -> bool {
    false
}

/// The token file cannot be used. The operator's doing.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// Missing or not readable by us.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The token file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be made.
    #[error("{}: {source}", path.display())]
    Unwritable {
        /// The token file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others can read it.
    #[error("{} can be read by others", path.display())]
    Exposed {
        /// The token file.
        path: PathBuf,
    },
    /// Too short, or not printable.
    #[error("{} holds no usable token", path.display())]
    Weak {
        /// The token file.
        path: PathBuf,
    },
}

impl TokenError {
    /// Stable name.
    pub fn code(&self) -> &'static str {
        match self {
            TokenError::Unreadable { .. } => "token-unreadable",
            TokenError::Unwritable { .. } => "token-unwritable",
            TokenError::Exposed { .. } => "token-exposed",
            TokenError::Weak { .. } => "token-weak",
        }
    }

    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            TokenError::Unreadable { path, source } => {
                let path = path.display();
                bilingual!(
                    "无法读取令牌文件 {path}：{source}；网关首次启动时会创建它，请以同一用户运行",
                    "the token file {path} cannot be read: {source}; the gateway makes it at its first start, use the same user"
                )
            }
            TokenError::Unwritable { path, source } => {
                let path = path.display();
                bilingual!("无法创建令牌文件 {path}：{source}", "the token file {path} cannot be made: {source}")
            }
            TokenError::Exposed { path } => {
                let path = path.display();
                bilingual!(
                    "其他用户可以读取令牌文件 {path}；请执行 chmod 600 {path}",
                    "others can read the token file {path}; run chmod 600 {path}"
                )
            }
            TokenError::Weak { path } => {
                let path = path.display();
                bilingual!(
                    "令牌文件 {path} 内容过短或无效；删除它并重启网关即可生成新的",
                    "the token file {path} holds no usable token; remove it and restart the gateway to get a new one"
                )
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_token_is_made_once_and_only_its_owner_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let home = tempfile::tempdir().expect("temporary folder");
        let path = home.path().join("keys/console.token");
        let made = Token::load_or_create(&path).expect("made");
        let mode = std::fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = Token::load_or_create(&path).expect("loaded");
        assert_eq!(made.authorization(), again.authorization());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("chmod");
        assert_eq!(Token::load(&path).expect_err("exposed").code(), "token-exposed");
    }

    #[test]
    fn only_the_whole_token_matches() {
        let token = Token::new("0123456789abcdef0123456789abcdef");
        assert!(token.matches(b"0123456789abcdef0123456789abcdef"));
        for wrong in [&b""[..], b"0", b"0123456789abcdef0123456789abcdeF", b"0123456789abcdef0123456789abcdef0"] {
            assert!(!token.matches(wrong));
        }
    }
}

//! Why a message got no answer yet.

use std::io;

use crate::as2::{OpenError, OpenFailure};
use crate::bilingual;
use crate::cms::CmsError;
use crate::ground::durable;
use crate::ground::text::Bilingual;
use crate::store::CommitError;

/// Why no answer can be given; the partner shall try again, or we do.
pub(super) enum NoAnswer {
    Storage(io::Error),
    Journal(CommitError),
    /// No key of ours can sign what shall be signed: unsigned it would be no answer, and be asked for again for ever.
    NoKey,
    /// The partner is not configured any more.
    NoPartner,
    /// It came in parts and cannot be opened.
    Pieced(Box<OpenFailure>),
    /// It was accepted, its record does not tell what its MDN says, and it does not open any more.
    Accepted(Box<OpenFailure>),
}

impl NoAnswer {
    /// Only another start can help.
    pub(super) fn is_for_good(&self) -> bool {
        matches!(self, NoAnswer::Journal(CommitError::StorePoisoned(_) | CommitError::Closed))
    }

    /// There is no room on the disk.
    pub(super) fn is_full(&self) -> bool {
        match self {
            NoAnswer::Storage(error) => durable::is_full(error) || unwritten(error).is_some_and(durable::is_full),
            NoAnswer::Journal(error) => matches!(error, CommitError::NoSpace),
            _ => false,
        }
    }

    /// Stable code.
    pub(super) fn code(&self) -> &'static str {
        match self {
            NoAnswer::Storage(error) => opening(error).map_or("storage-failed", CmsError::code),
            NoAnswer::Journal(error) => error.code(),
            NoAnswer::NoKey => "no-signing-key",
            NoAnswer::NoPartner => "partner-missing",
            NoAnswer::Pieced(failure) => failure.cause.code(),
            NoAnswer::Accepted(_) => "accepted-not-opened",
        }
    }

    /// What is wrong and what to do.
    pub(super) fn text(&self) -> Bilingual {
        match self {
            NoAnswer::Storage(error) => match opening(error) {
                Some(cause) => sentence(&cause.text()),
                None => bilingual!(
                    "无法读写（{error}）。请检查磁盘空间、所有者和权限。",
                    "reading or writing failed ({error}). Check space, owner and permissions of the disk."
                ),
            },
            NoAnswer::Journal(error) => sentence(&error.text()),
            NoAnswer::NoKey => bilingual!(
                "目前没有可用于签名的密钥。请在 [[station.keys]] 中加入一个。",
                "no key can sign now. Add one to [[station.keys]]."
            ),
            NoAnswer::NoPartner => bilingual!(
                "该伙伴已不在配置中。请恢复其文件。",
                "the partner is not configured any more. Put its file back."
            ),
            NoAnswer::Pieced(failure) => failure.cause.text(),
            NoAnswer::Accepted(failure) => {
                let text = failure.cause.text();
                let (zh, en) = (text.zh, text.en);
                bilingual!(
                    "报文已接收并投递，但现在无法再次打开，因此尚未生成应答的回执（{zh}）。请恢复接收时使用的证书或密钥。",
                    "the message was accepted and delivered, but does not open any more, so the receipt that it is owed cannot be made ({en}). Put back the certificate or key of that time."
                )
            }
        }
    }
}

/// What kept a message from being opened on our side, other than reading and writing.
fn opening(error: &io::Error) -> Option<&CmsError> {
    match error.get_ref()?.downcast_ref()? {
        OpenError::Decryption(cause) => Some(cause),
        _ => None,
    }
}

/// What kept a payload from being written while it was opened.
fn unwritten(error: &io::Error) -> Option<&io::Error> {
    match error.get_ref()?.downcast_ref()? {
        OpenError::Sink(cause) => Some(cause),
        _ => None,
    }
}

fn sentence(text: &Bilingual) -> Bilingual {
    let (zh, en) = (&text.zh, &text.en);
    bilingual!("{zh}。", "{en}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cms::ContentCipher;

    #[test]
    fn a_disk_without_room_is_known_also_by_a_payload_that_was_not_written() {
        let unwritten = |kind: io::ErrorKind| NoAnswer::Storage(io::Error::other(OpenError::Sink(kind.into())));
        assert!(unwritten(io::ErrorKind::StorageFull).is_full());
        assert!(NoAnswer::Storage(io::ErrorKind::StorageFull.into()).is_full());
        assert!(!unwritten(io::ErrorKind::PermissionDenied).is_full());
    }

    #[test]
    fn a_cipher_that_this_machine_lacks_is_not_called_trouble_of_the_disk() {
        let lacking = || CmsError::CipherUnavailable(ContentCipher::Rc2Cbc);
        let why = NoAnswer::Storage(io::Error::other(OpenError::Decryption(lacking())));
        assert_eq!(why.code(), "cms-cipher-unavailable");
        assert_eq!(why.text().en, format!("{}.", lacking().text().en));
        let why = NoAnswer::Storage(io::Error::other("gone"));
        assert_eq!(why.code(), "storage-failed");
        assert!(why.text().en.contains("(gone). Check space"), "{}", why.text().en);
    }
}

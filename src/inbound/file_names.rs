//! File names that an agreement refuses: for partners that give every payload a name of its own and want to hear where one
//! does not come out as it was given (draft-harding-ediint-filename-preservation, profile FN-MDN).

use super::Inbound;
use super::candidate::Candidate;
use super::decline::Refusal;
use super::open::Verified;
use crate::as2::{Disposition, Opened};
use crate::bilingual;
use crate::ground::text::printable;
use crate::mime::FileName;
use crate::partner::Partner;
use crate::store::record::DedupKey;

/// The key that keeps two payloads of one name from being judged at once; none where any name is taken.
pub(super) fn name_key(candidate: &Candidate, opened: &Opened) -> Option<DedupKey> {
    let name = opened.file_name.as_ref().filter(|_| candidate.partner.accept.unique_file_names)?;
    // No Message-ID holds a line end.
    Some(DedupKey { message_id: format!("file name\n{}", name.safe), ..candidate.key() })
}

impl Inbound {
    /// Why a message is refused for its file name, or for that of a file in it, where the agreement wants each once.
    pub(super) fn misnamed(&self, partner: &Partner, verified: &Verified) -> Option<Refusal> {
        if !partner.accept.unique_file_names {
            return None;
        }
        let opened = &verified.opened;
        let enclosed = verified.attachments.iter().filter_map(|(attachment, _)| attachment.file_name.as_ref());
        let names: Vec<&FileName> = opened.file_name.iter().chain(enclosed).collect();
        // A multipart is no file: its own name may be that of one in it.
        let outer = opened.file_name.iter().count();
        for (number, name) in names.iter().enumerate() {
            if name.safe != name.original {
                return Some(illegal(name, opened));
            }
            if names.iter().take(number).skip(outer).any(|other| other.safe == name.safe) {
                return Some(twice(name, opened));
            }
            if self.is_taken(partner, name) {
                return Some(repeated(name, opened));
            }
        }
        None
    }

    /// Whether a payload of this name is in the record.
    fn is_taken(&self, partner: &Partner, name: &FileName) -> bool {
        self.store.has_accepted(&partner.id, &name.safe)
    }
}

fn illegal(name: &FileName, opened: &Opened) -> Refusal {
    let shown = printable(&name.original);
    Refusal {
        may_sign: true,
        told: Disposition::illegal_filename(),
        mic: opened.mic.clone(),
        explanation: "The file name cannot be used as it is.",
        code: "file-name-illegal",
        text: bilingual!(
            "文件名 {shown} 不能原样使用（含有不允许的字符、以点或空格开头或结尾，或过长），按约定（accept.file_names）未接收。请对方换用文件名后作为新报文发送。",
            "the file name {shown} cannot stand as it is (characters that are not allowed, a dot or blank at an end, or too long); by agreement (accept.file_names) the message was not accepted. Ask the partner to send it anew under another name."
        ),
    }
}

fn twice(name: &FileName, opened: &Opened) -> Refusal {
    let shown = printable(&name.original);
    Refusal {
        explanation: "Two files in the message have the same name.",
        text: bilingual!(
            "同一报文中有两个文件名为 {shown}，按约定（accept.file_names）未接收。请对方换用文件名后作为新报文发送。",
            "two files in the message are named {shown}; by agreement (accept.file_names) it was not accepted. Ask the partner to send it anew with a name for each."
        ),
        ..repeated(name, opened)
    }
}

fn repeated(name: &FileName, opened: &Opened) -> Refusal {
    let shown = printable(&name.original);
    Refusal {
        may_sign: true,
        told: Disposition::duplicate_filename(),
        mic: opened.mic.clone(),
        explanation: "A file of this name was received before.",
        code: "file-name-repeated",
        text: bilingual!(
            "此前已接收过该伙伴名为 {shown} 的文件，按约定（accept.file_names）未接收。请与对方核对：是重复发送，还是应换用文件名。",
            "a file named {shown} was accepted of this partner before; by agreement (accept.file_names) this one was not. Ask the partner whether it is a repetition or needs another name."
        ),
    }
}

//! Every cap on what an untrusted peer or file can make us do, in one place with its reason.

/// Limits on input. One value is built from the configuration and handed down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one header block (HTTP, MIME part); real ones are under 4 KiB.
    pub header_block: usize,
    /// Lines in one header block.
    pub header_lines: usize,
    /// Layers of MIME/CMS nesting; AS2 needs four (RFC 4130 5, RFC 5402 3).
    pub mime_depth: usize,
    /// Nesting of BER values; a CAdES signature (RFC 5035) has 17, for the issuer's name inside an attribute.
    pub ber_depth: usize,
    /// Bytes of one small BER value (certificates, signer infos, recipient infos) held in memory.
    pub ber_value: usize,
    /// RecipientInfos of one envelope.
    pub recipients: usize,
    /// Certificates inside one SignedData.
    pub certificates: usize,
    /// Attributes of one SignerInfo.
    pub attributes: usize,
    /// Files in one message (RFC 6362); products send a handful.
    pub attachments: usize,
    /// Bytes of a detached signature part.
    pub signature_part: usize,
    /// Bytes of a whole MDN.
    pub mdn: usize,
    /// Bytes of an HTTP body.
    pub body: u64,
    /// Bytes of a payload after decryption and decompression.
    pub payload: u64,
    /// Decompressed to compressed size, checked once `inflate_free` bytes came out.
    pub inflate_ratio: u64,
    /// Decompressed bytes before the ratio is looked at.
    pub inflate_free: u64,
    /// Element depth of a declaration or envelope.
    pub xml_depth: usize,
    /// Attributes of one XML element.
    pub xml_attributes: usize,
    /// Bytes of one XML text value outside the envelope's `Data`.
    pub xml_text: usize,
    /// Findings kept of one pre-check.
    pub findings: usize,
}

impl Limits {
    /// For what is kept and was accepted, or sent, under caps that may be others by now: those on how much it is do not
    /// count again.
    pub fn of_what_is_kept(self) -> Limits {
        Limits { payload: u64::MAX, inflate_ratio: u64::MAX, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            header_block: 64 * 1024,
            header_lines: 128,
            mime_depth: 6,
            ber_depth: 32,
            ber_value: 1024 * 1024,
            recipients: 16,
            certificates: 16,
            attributes: 64,
            attachments: 64,
            signature_part: 1024 * 1024,
            mdn: 1024 * 1024,
            body: 512 * 1024 * 1024,
            payload: 512 * 1024 * 1024,
            inflate_ratio: 200,
            inflate_free: 10 * 1024 * 1024,
            xml_depth: 32,
            xml_attributes: 32,
            xml_text: 64 * 1024,
            findings: 200,
        }
    }
}

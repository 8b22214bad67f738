//! The cells: one agreement each, in the words of partner files.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::keys::Party;

/// How one message is protected and which receipt it asks for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Cell {
    pub sign: &'static str,
    pub digest: &'static str,
    pub encrypt: &'static str,
    pub key_transport: &'static str,
    pub gcm_form: &'static str,
    pub compress: &'static str,
    /// `sync` or `async`.
    pub mdn: &'static str,
    pub mdn_signed: bool,
}

pub const DIGESTS: [&str; 4] = ["sha-1", "sha-256", "sha-384", "sha-512"];
pub const COMPRESSIONS: [&str; 3] = ["none", "before-signing", "after-signing"];
/// Digests over which we sign nothing.
const ONLY_READ: [&str; 2] = ["sha-1", "md5"];
const CIPHERS: [(&str, &str); 10] = [
    ("aes128-cbc", "auth-enveloped"),
    ("aes192-cbc", "auth-enveloped"),
    ("aes256-cbc", "auth-enveloped"),
    ("3des-cbc", "auth-enveloped"),
    ("rc2-cbc", "auth-enveloped"),
    ("aes128-gcm", "auth-enveloped"),
    ("aes192-gcm", "auth-enveloped"),
    ("aes256-gcm", "auth-enveloped"),
    ("aes256-gcm", "enveloped"),
    ("aes256-gcm", "enveloped-bare-nonce"),
];
const TRANSPORTS: [&str; 5] = ["rsa-pkcs1", "rsa-oaep-sha1", "rsa-oaep-sha256", "rsa-oaep-sha384", "rsa-oaep-sha512"];
const AGREEMENTS: [&str; 4] = ["ecdh-sha1", "ecdh-sha256", "ecdh-sha384", "ecdh-sha512"];

impl Cell {
    /// Signed and encrypted as most products do it, with a signed synchronous receipt.
    pub fn usual(key_transport: &'static str) -> Cell {
        Cell {
            sign: "rsa-pkcs1",
            digest: "sha-256",
            encrypt: "aes256-cbc",
            key_transport,
            gcm_form: "auth-enveloped",
            compress: "none",
            mdn: "sync",
            mdn_signed: true,
        }
    }

    pub fn signed(&self) -> bool {
        self.sign != "none"
    }

    pub fn encrypted(&self) -> bool {
        self.encrypt != "none"
    }

    pub fn compressed(&self) -> bool {
        self.compress != "none"
    }

    /// Whether we send so: RC2 and signatures over SHA-1 and MD5 are only read. The MIC of an unsigned message may be asked
    /// for in SHA-1.
    pub fn is_written(&self) -> bool {
        self.encrypt != "rc2-cbc" && !(self.signed() && ONLY_READ.contains(&self.digest))
    }

    /// The file of the partner that messages of this cell go to.
    pub fn partner_file(&self, as2_name: &str, url: &str, theirs: &Party) -> String {
        format!(
            "as2_name = \"{as2_name}\"\nurl = \"{url}\"\ncontent_type = \"application/xml\"\n\
             [[certificates]]\nfile = \"{certificate}\"\n\
             [agreement]\nsign = \"{sign}\"\ndigest = \"{agreed}\"\nencrypt = \"{encrypt}\"\n\
             key_transport = \"{transport}\"\ngcm_form = \"{form}\"\ncompress = \"{compress}\"\n\
             [agreement.mdn]\nmode = \"{mdn}\"\nsigned = {signed}\nmicalg = [\"{digest}\"]\ndeadline = \"1h\"\n\
             [accept]\nsignature = false\nencryption = false\n\
             [delivery]\nretry = [\"1s\"]\ngive_up_after = \"1s\"\njitter = 0.0\nconcurrency = 1\n{WAIVERS}",
            certificate = theirs.certificate_file.display(),
            sign = self.sign,
            agreed = if ONLY_READ.contains(&self.digest) { "sha-256" } else { self.digest },
            digest = self.digest,
            encrypt = self.encrypt,
            transport = self.key_transport,
            form = self.gcm_form,
            compress = self.compress,
            mdn = self.mdn,
            signed = self.mdn_signed,
        )
    }

    /// What a peer is told to send.
    pub fn order(&self, url: &str, file: &Path, file_name: &str, mdn_port: u16) -> Value {
        json!({
            "url": url, "file": file, "file_name": file_name, "content_type": "application/xml",
            "sign": self.sign, "digest": self.digest, "encrypt": self.encrypt, "key_transport": self.key_transport,
            "gcm_form": self.gcm_form, "compress": self.compress, "mdn": self.mdn, "mdn_signed": self.mdn_signed,
            "mdn_port": mdn_port,
        })
    }

    /// Every setting, by place.
    fn settings(&self) -> [&'static str; 8] {
        let mdn_signed = if self.mdn_signed { "signed" } else { "unsigned" };
        let form = if self.encrypt.ends_with("gcm") { self.gcm_form } else { "" };
        let transport = if self.encrypted() { self.key_transport } else { "" };
        [self.sign, self.digest, self.encrypt, transport, form, self.compress, self.mdn, mdn_signed]
    }
}

/// For all that is outdated; the grid is about what two programs understand, not about what is wise.
pub const WAIVERS: &str = "[[waivers]]\nalgorithm = \"sha-1\"\nuntil = \"2099-12-31\"\nreason = \"interop grid\"\n\
                           [[waivers]]\nalgorithm = \"md5\"\nuntil = \"2099-12-31\"\nreason = \"interop grid\"\n\
                           [[waivers]]\nalgorithm = \"3des-cbc\"\nuntil = \"2099-12-31\"\nreason = \"interop grid\"\n\
                           [[waivers]]\nalgorithm = \"rc2-cbc\"\nuntil = \"2099-12-31\"\nreason = \"interop grid\"\n";

/// Protection × compression × receipt × digest.
pub fn permutations(key_transport: &'static str) -> Vec<Cell> {
    let mut cells = Vec::new();
    for (sign, encrypt) in
        [("none", "none"), ("rsa-pkcs1", "none"), ("none", "aes256-cbc"), ("rsa-pkcs1", "aes256-cbc")]
    {
        for compress in COMPRESSIONS {
            for (mdn, mdn_signed) in [("sync", true), ("sync", false), ("async", true), ("async", false)] {
                for digest in DIGESTS {
                    // Neither message nor receipt has a digest.
                    if sign == "none" && !mdn_signed && digest != "sha-256" {
                        continue;
                    }
                    let usual = Cell::usual(key_transport);
                    cells.push(Cell { sign, digest, encrypt, compress, mdn, mdn_signed, ..usual });
                }
            }
        }
    }
    cells
}

/// Ciphers × key transports, signed; PSS with every digest; and MD5.
pub fn algorithms() -> Vec<Cell> {
    let ciphers = CIPHERS.iter().flat_map(|&(encrypt, gcm_form)| {
        TRANSPORTS.iter().map(move |&transport| Cell { encrypt, gcm_form, ..Cell::usual(transport) })
    });
    let pss =
        DIGESTS.iter().map(|&digest| Cell { sign: "rsa-pss", digest, encrypt: "none", ..Cell::usual("rsa-pkcs1") });
    let md5 = ["sync", "async"].map(|mdn| Cell { digest: "md5", encrypt: "none", mdn, ..Cell::usual("rsa-pkcs1") });
    ciphers.chain(pss).chain(md5).collect()
}

/// Between EC keys: ciphers × key derivations, signed; and ECDSA with every digest and receipt.
pub fn elliptic() -> Vec<Cell> {
    let usual = |transport| Cell { sign: "ecdsa", ..Cell::usual(transport) };
    let ciphers = CIPHERS.iter().filter(|(encrypt, form)| encrypt.starts_with("aes") && *form == "auth-enveloped");
    let ciphers =
        ciphers.flat_map(|&(encrypt, _)| AGREEMENTS.iter().map(move |&transport| Cell { encrypt, ..usual(transport) }));
    let receipts = [("sync", true), ("sync", false), ("async", true), ("async", false)];
    let signed = DIGESTS.iter().flat_map(|&digest| {
        receipts.iter().map(move |&(mdn, mdn_signed)| Cell {
            digest,
            encrypt: "none",
            mdn,
            mdn_signed,
            ..usual("ecdh-sha256")
        })
    });
    ciphers.chain(signed).collect()
}

/// Fewer cells, in which still every two settings that occur together do so once.
pub fn representative(cells: Vec<Cell>) -> Vec<Cell> {
    let mut seen = HashSet::new();
    cells
        .into_iter()
        .filter(|cell| {
            let settings = cell.settings();
            let mut new = false;
            for (at, one) in settings.iter().enumerate() {
                for (other_at, other) in settings.iter().enumerate().skip(at + 1) {
                    new |= seen.insert((at, *one, other_at, *other));
                }
            }
            new
        })
        .collect()
}

#[test]
fn few_cells_stand_for_all() {
    let all: Vec<Cell> = permutations("rsa-pkcs1").into_iter().chain(algorithms()).collect();
    let few = representative(all.clone());
    assert!(few.len() * 2 < all.len(), "{} of {}", few.len(), all.len());
    assert_eq!(representative(few.clone()), few);
    for value in
        ["sha-1", "md5", "after-signing", "async", "unsigned", "rsa-pss", "3des-cbc", "rc2-cbc", "enveloped-bare-nonce"]
    {
        assert!(few.iter().any(|cell| cell.settings().contains(&value)), "{value}");
    }
}

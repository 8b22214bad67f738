//! Layer 8: evidence bundles. A message becomes a folder that a stranger can check with `openssl`, `sha256sum` and
//! nothing of ours: the bytes as they travelled, what was signed and its signature, the MDN and its signature, the MIC,
//! certificates, history, and the frames of the journal that prove the message's place in the chain.
//!
//! | file | content |
//! |---|---|
//! | `README.md` | what this is, in Chinese and English, with the commands that verify it |
//! | `message.json`, `facts.json` | the message, its facts with times, the terms of the agreement then |
//! | `wire.http`, `wire.bin` | the POST with its header fields; its body alone |
//! | `content.bin`, `signature.p7s` | the octets that the MIC covers; the signature over them |
//! | `payload.bin`, `original.bin` | the payload as it travelled; as the user gave it, where that differs |
//! | `mdn.http`, `mdn-content.bin`, `mdn-signature.p7s` | the MDN likewise |
//! | `signature.attributes`, `signature.value`, `mdn-signature.…` | a signature that `openssl cms` does not check (SM2, PSS without parameters) taken apart: what it is over, its value |
//! | `mic.txt` | the MIC, base64 |
//! | `certificates/*.pem` | by role |
//! | `frames/<sequence>.frame`, `chain.txt`, `chain.json` | frames whose SHA-256 is the frame's hash in the chain |
//! | `SHA256SUMS`, `SHA256SUMS.sha256` | sums of all files, and of the sums |
//!
//! [`export`] writes a bundle, [`verify`] checks one without a gateway.

mod belonging;
mod bundle;
mod export;
mod readme;
mod verify;

pub use bundle::EvidenceError;
pub use export::{Exported, Exporter};
pub use verify::{Finding, Verified, verify};

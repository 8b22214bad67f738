//! What fits into no buffer on its way: payload, intermediate results, body and what is delivered lie in files, and come in pieces
//! of any length.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::cms::{DecryptionKey, GcmForm};
use crate::ground::limits::Limits;
use crate::mime::{Scratch, ScratchWriter, Source};

/// Far more than is read, hashed, encrypted or copied at once (64 KiB at most), and a part of a block.
const LONG: usize = 1_500_001;

/// Places for files, gone with their folder.
struct Folder {
    dir: tempfile::TempDir,
    used: AtomicUsize,
}

impl Folder {
    fn new() -> Folder {
        Folder { dir: tempfile::tempdir().unwrap(), used: AtomicUsize::new(0) }
    }

    fn place(&self) -> PathBuf {
        self.dir.path().join(self.used.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Scratch for Folder {
    fn create(&self) -> io::Result<Box<dyn ScratchWriter>> {
        let path = self.place();
        Ok(Box::new(Filling { file: File::create(&path)?, path }))
    }
}

struct Filling {
    file: File,
    path: PathBuf,
}

impl Write for Filling {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.file.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl ScratchWriter for Filling {
    fn into_source(self: Box<Self>) -> io::Result<Box<dyn Source>> {
        let len = self.file.metadata()?.len();
        Ok(Box::new(Filled { path: self.path, len }))
    }
}

/// A file as a source: each reader has a position of its own.
struct Filled {
    path: PathBuf,
    len: u64,
}

impl Source for Filled {
    fn len(&self) -> u64 {
        self.len
    }

    fn open(&self) -> io::Result<Box<dyn Read + Send + '_>> {
        Ok(Box::new(Pieces { file: File::open(&self.path)?, turn: 0 }))
    }
}

/// A file that gives now an octet, now more than anybody has room for.
struct Pieces {
    file: File,
    turn: usize,
}

impl Read for Pieces {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let lengths = [1, 70_000, 4095, 16_384, 17, 32_769, 65_536];
        let len = buf.len().min(lengths[self.turn % lengths.len()]);
        self.turn += 1;
        self.file.read(&mut buf[..len])
    }
}

/// Noise, of which nothing can be compressed, and then lines.
fn long_payload() -> Vec<u8> {
    let mut state = 1u32;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    });
    let mut payload: Vec<u8> = noise.take(LONG / 2).collect();
    let lines = b"<line>\r\n--b\n\r\n--\r\n</line>\n";
    payload.extend(lines.iter().cycle().take(LONG - payload.len()));
    payload
}

fn plans() -> Vec<SendPlan> {
    let rsa = Some(SignatureScheme::RsaPkcs1);
    let cbc = Some((ContentCipher::Aes256Cbc, KeyTransport::RsaPkcs1));
    let gcm = Some((ContentCipher::Aes128Gcm, KeyTransport::RsaOaepSha256));
    let mut encoded = plan(rsa, cbc, Compression::None);
    encoded.encryption.as_mut().unwrap().base64 = true;
    let mut appended = plan(None, gcm, Compression::AfterSigning);
    appended.encryption.as_mut().unwrap().gcm_form = GcmForm::Enveloped;
    vec![
        plain_plan(),
        plan(rsa, None, Compression::None),
        plan(rsa, cbc, Compression::AfterSigning),
        plan(Some(SignatureScheme::RsaPss), gcm, Compression::BeforeSigning),
        encoded,
        appended,
    ]
}

#[test]
fn what_fits_into_no_buffer_goes_through_files_and_opens_as_what_it_was() {
    let (folder, payload) = (Folder::new(), long_payload());
    let mut filling = folder.create().unwrap();
    filling.write_all(&payload).unwrap();
    let source = filling.into_source().unwrap();
    assert_eq!(source.len(), u64::try_from(LONG).unwrap());
    let (certificate, key) = (BOB.certificate.clone(), BOB.key.clone());
    let bob = [DecryptionKey { certificate, key, transports: KeyTransport::ALL.to_vec() }];
    let keys = OpenKeys { decryption: &bob, trusted: std::slice::from_ref(&ALICE.certificate), known: &[] };
    for plan in plans() {
        let encryption = plan.encryption.as_ref().map(|how| (how.cipher, how.gcm_form, how.base64));
        let what = format!("{} {encryption:?} {:?}", plan.signing.is_some(), plan.compression);
        let (body, delivered) = (folder.place(), folder.place());
        let mut out = BufWriter::new(File::create(&body).unwrap());
        let composed = compose(&plan, &stamp(), source.as_ref(), &folder, &mut out).expect(&what);
        out.into_inner().unwrap();
        let mut arriving = Pieces { file: File::open(&body).unwrap(), turn: 0 };
        assert_eq!(composed.wire_len, arriving.file.metadata().unwrap().len(), "{what}");

        let request = request(&Wire { headers: composed.headers.clone(), body: Vec::new() });
        let policy = AcceptPolicy { gcm_in_enveloped: true, ..lax() };
        let mut sink = File::create(&delivered).unwrap();
        let opened = open(&request, &mut arriving, &policy, &keys, &Limits::default(), &mut sink).expect(&what);
        assert!(std::fs::read(&delivered).unwrap() == payload, "{what}");
        assert_eq!(opened.payload_len, source.len(), "{what}");
        assert_eq!(opened.payload_sha256, openssl::sha::sha256(&payload), "{what}");
        let mic = opened.mic.expect(&what);
        assert_eq!(composed.mics.exact(mic.algorithm), Some(&mic), "{what}");
    }
}

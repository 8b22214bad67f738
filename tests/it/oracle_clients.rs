//! Clients that really attack, in process, where nothing but the answer limits them: no pause, no limit on failures. Each
//! plays many queries of which the test knows the truth; an answer that depended on it would show at once.
//!
//! `DXGATE_ORACLE_QUERIES=20000 cargo test --test it oracle_clients:: -- --nocapture` asks 20,000 times each.

use std::collections::BTreeMap;
use std::io::Write as _;

use dxgate::as2::{self, AcceptPolicy, Incoming, OpenKeys, Request, SendPlan};
use dxgate::cms::{Certificate, ContentCipher, DecryptionKey, EnvelopeWriter, KeyTransport, PrivateKey, Recipient};
use dxgate::ground::limits::Limits;
use dxgate::mime::Headers;
use openssl::encrypt::Encrypter;
use openssl::hash::MessageDigest;
use openssl::rsa::Padding;
use openssl::symm::{Cipher, Crypter, Mode};

use crate::oracle::{fields, inner};
use crate::proof::size;
use crate::support::correspondent::{plan, signing};
use crate::support::keys;

const CBC: ContentCipher = ContentCipher::Aes256Cbc;
const BLOCK: usize = 16;
type Block = [u8; BLOCK];

/// `ours`, which opens whatever it is given.
struct Victim {
    decryption: DecryptionKey,
    trusted: Vec<Certificate>,
    request: Request,
}

impl Victim {
    fn new() -> Victim {
        let ours = keys::ours();
        let head = Headers::parse(fields("<guess@theirs>").as_bytes(), &Limits::default()).unwrap();
        let Ok(Incoming::Message(request)) = as2::read_head(&head, b"", &Limits::default()) else {
            panic!("a message")
        };
        Victim {
            decryption: DecryptionKey {
                certificate: Certificate::from_x509(&ours.certificate).unwrap(),
                key: PrivateKey::from_pkey(ours.key.clone()).unwrap(),
                transports: KeyTransport::ALL.to_vec(),
            },
            trusted: vec![Certificate::from_x509(&keys::theirs().certificate).unwrap()],
            request,
        }
    }

    /// What the sender is told, and what the operator is.
    fn open(&self, body: &[u8]) -> (String, &'static str) {
        let keys = OpenKeys { decryption: std::slice::from_ref(&self.decryption), trusted: &self.trusted, known: &[] };
        let (policy, limits) = (AcceptPolicy::default(), Limits::default());
        let opened = as2::open(&self.request, &mut &*body, &policy, &keys, &limits, &mut std::io::sink());
        match opened {
            Ok(_) => ("accepted".to_owned(), "accepted"),
            Err(failure) => (format!("{}: {}", failure.told, failure.explanation), failure.cause.code()),
        }
    }
}

/// Answers by what was true of the query.
#[derive(Default)]
struct Game {
    answers: BTreeMap<String, [u32; 2]>,
}

impl Game {
    fn note(&mut self, truth: bool, answer: &str) {
        self.answers.entry(answer.to_owned()).or_default()[usize::from(truth)] += 1;
    }

    fn played(&self, truth: bool) -> u32 {
        self.answers.values().map(|counts| counts[usize::from(truth)]).sum()
    }

    /// By how much the best of all guessers, who sees the answer, is better than a coin: from 0 to 1.
    fn advantage(&self) -> f64 {
        let share = |counts: &[u32; 2], truth: bool| {
            f64::from(counts[usize::from(truth)]) / f64::from(self.played(truth).max(1))
        };
        let apart = self.answers.values().map(|counts| (share(counts, true) - share(counts, false)).abs());
        apart.sum::<f64>() / 2.0
    }
}

/// An envelope to `ours`; its length does not depend on the content key.
fn envelope(content: &[u8], transport: KeyTransport) -> Vec<u8> {
    let certificate = Certificate::from_x509(&keys::ours().certificate).unwrap();
    let mut writer =
        EnvelopeWriter::new(Vec::new(), &[Recipient { certificate, transport }], CBC, content.len() as u64).unwrap();
    writer.write_all(content).unwrap();
    writer.finish().unwrap()
}

/// Where the encrypted key stands in it.
fn key_at(envelope: &[u8]) -> usize {
    envelope.windows(4).position(|window| window == b"\x04\x82\x01\x00").unwrap() + 4
}

/// Where the IV stands: at the end of the head, before the ciphertext.
fn iv_at(envelope: &[u8]) -> usize {
    let oid = b"\x60\x86\x48\x01\x65\x03\x04\x01\x2a\x04\x10";
    envelope.windows(oid.len()).position(|window| window == oid).unwrap() + oid.len()
}

fn block(octets: &[u8]) -> Block {
    octets.try_into().unwrap()
}

fn xor(one: Block, other: Block) -> Block {
    std::array::from_fn(|at| one[at] ^ other[at])
}

/// One block through AES alone.
fn raw_decrypt(key: &[u8], block: Block) -> Block {
    let mut crypter = Crypter::new(Cipher::aes_256_ecb(), Mode::Decrypt, key, None).unwrap();
    crypter.pad(false);
    let mut out = [0; 2 * BLOCK];
    crypter.update(&block, &mut out).unwrap();
    self::block(&out[..BLOCK])
}

/// Vaudenay's attack on what the block cipher makes of one block: `is_padded` tells of a chosen block in front whether the
/// content ends in a right padding. `None`: the oracle told nothing.
fn vaudenay(noise: u8, mut is_padded: impl FnMut(Block) -> bool) -> Option<Block> {
    let mut found = [0; BLOCK];
    for length in 1..=BLOCK {
        let (at, value) = (BLOCK - length, u8::try_from(length).unwrap());
        let mut chosen = [noise; BLOCK];
        chosen[at + 1..].iter_mut().zip(&found[at + 1..]).for_each(|(chosen, found)| *chosen = found ^ value);
        let octet = (0..=255u8).find(|guess| {
            chosen[at] = *guess;
            let mut longer = chosen;
            longer[BLOCK - 2] ^= 1;
            // A padding of one octet stays one whatever stands before it.
            is_padded(chosen) && (length > 1 || is_padded(longer))
        })?;
        found[at] = octet ^ value;
    }
    Some(found)
}

#[test]
fn a_vaudenay_client_reads_every_octet_from_a_leak_and_none_from_us() {
    let victim = Victim::new();
    let secret = b"forty octets that only we are to read...";
    let captured = envelope(secret, KeyTransport::RsaPkcs1);
    let blocks = captured.len() - 3 * BLOCK;
    let iv = iv_at(&captured);
    let before = [block(&captured[iv..iv + BLOCK]), block(&captured[blocks..blocks + BLOCK])];
    let targets = [block(&captured[blocks..blocks + BLOCK]), block(&captured[blocks + BLOCK..blocks + 2 * BLOCK])];
    let forged = |chosen: Block, target: Block| {
        let mut forged = captured.clone();
        forged[blocks..].copy_from_slice(&[[0x33; BLOCK], chosen, target].concat());
        forged
    };
    // The control: whoever hears what the operator hears reads the message. What it compares with ends in no padding for
    // certain: any other block would in one case of 256.
    let key = content_key(&captured);
    for (number, target) in targets.into_iter().enumerate() {
        let usual = victim.open(&forged(xor(raw_decrypt(&key, target), [0x77; BLOCK]), target)).1;
        let leaked = vaudenay(0x5a, |chosen| victim.open(&forged(chosen, target)).1 != usual);
        let plain = leaked.map(|leaked| xor(leaked, before[number]));
        assert_eq!(plain.as_ref().map(Block::as_slice), Some(&secret[number * BLOCK..(number + 1) * BLOCK]));
    }
    let wanted = size("DXGATE_ORACLE_QUERIES", 2000);
    let (mut game, mut queries) = (Game::default(), 0);
    for noise in (0..=255u8).cycle() {
        let target = targets[usize::from(noise) % 2];
        let inside = raw_decrypt(&key, target);
        let usual = victim.open(&forged([0x77; BLOCK], target)).0;
        let read = vaudenay(noise, |chosen| {
            let answer = victim.open(&forged(chosen, target)).0;
            game.note(ends_padded(xor(inside, chosen)), &answer);
            queries += 1;
            answer != usual
        });
        assert_eq!(read, None, "an octet was read with noise {noise}");
        if queries >= wanted {
            break;
        }
    }
    println!("Vaudenay: {queries} queries, advantage {:.4}, answers {:?}", game.advantage(), game.answers);
    assert!(game.played(true) >= queries / 256 && game.advantage() < 0.01, "{:?}", game.answers);
}

fn content_key(envelope: &[u8]) -> Vec<u8> {
    let (at, rsa) = (key_at(envelope), keys::ours().key.rsa().unwrap());
    let mut key = vec![0; 256];
    let length = rsa.private_decrypt(&envelope[at..at + 256], &mut key, Padding::PKCS1).unwrap();
    key.truncate(length);
    key
}

fn ends_padded(block: Block) -> bool {
    let length = usize::from(block[BLOCK - 1]);
    (1..=BLOCK).contains(&length) && block[BLOCK - length..].iter().all(|octet| usize::from(*octet) == length)
}

/// A key and a whole message in an envelope under it, of which nothing is wrong but who signed it.
fn chosen_content(transport: KeyTransport) -> (Vec<u8>, Vec<u8>) {
    let content = inner(&SendPlan { signing: Some(signing(keys::stranger())), ..plan() });
    let mut envelope = envelope(&content, transport);
    let key = vec![0x42; 32];
    let iv = iv_at(&envelope);
    let encrypted = openssl::symm::encrypt(Cipher::aes_256_cbc(), &key, Some(&envelope[iv..iv + BLOCK]), &content);
    let encrypted = encrypted.unwrap();
    let at = envelope.len() - encrypted.len();
    envelope[at..].copy_from_slice(&encrypted);
    (key, envelope)
}

/// RSA without any padding.
fn raw_encrypt(block: &[u8]) -> Vec<u8> {
    let mut encrypted = vec![0; 256];
    keys::ours().key.rsa().unwrap().public_encrypt(block, &mut encrypted, Padding::NONE).unwrap();
    encrypted
}

fn random(length: usize) -> Vec<u8> {
    let mut octets = vec![0; length];
    openssl::rand::rand_bytes(&mut octets).unwrap();
    octets.iter_mut().for_each(|octet| *octet |= 1);
    octets
}

/// `00 02 …nonzero… 00 key`, or one of the ways in which it is none.
fn pkcs1(kind: u32, key: &[u8]) -> Vec<u8> {
    let padding = random(253 - key.len());
    let right = [[0, 2].as_slice(), &padding, &[0], key].concat();
    let changed = |at: usize, octet: u8| {
        let mut changed = right.clone();
        changed[at] = octet;
        changed
    };
    match kind {
        0 => right,
        1 => changed(0, 1),
        2 => changed(1, 1),
        3 => changed(2 + padding.len(), 1),
        4 => changed(5, 0),
        _ => [[0, 2].as_slice(), &random(254 - 24), &[0], &key[..23]].concat(),
    }
}

#[test]
fn a_bleichenbacher_client_that_chooses_key_and_content_learns_nothing_about_the_padding_of_the_key() {
    let victim = Victim::new();
    let (key, whole) = chosen_content(KeyTransport::RsaPkcs1);
    let at = key_at(&whole);
    let rsa = keys::ours().key.rsa().unwrap();
    let (mut game, mut control) = (Game::default(), Game::default());
    let queries = size("DXGATE_ORACLE_QUERIES", 2000);
    for number in 0..queries {
        // Half of them conform.
        let kind = if number % 2 == 0 { 0 } else { 1 + number / 2 % 5 };
        let encrypted = raw_encrypt(&pkcs1(kind, &key));
        let mut query = whole.clone();
        query[at..at + 256].copy_from_slice(&encrypted);
        let (told, cause) = victim.open(&query);
        assert_ne!(cause, "accepted");
        game.note(kind == 0, &told);
        let decrypted = rsa.private_decrypt(&encrypted, &mut [0; 256], Padding::PKCS1);
        control.note(kind == 0, if decrypted.is_ok_and(|length| length == 32) { "a key" } else { "none" });
    }
    println!("Bleichenbacher: {queries} queries, advantage {:.4}, answers {:?}", game.advantage(), game.answers);
    assert!(control.advantage() > 0.99, "who sees how the key decrypts tells them apart: {:?}", control.answers);
    assert!(game.played(true) == queries.div_ceil(2) && game.advantage() < 0.01, "{:?}", game.answers);
}

#[test]
fn a_manger_client_that_chooses_key_and_content_learns_nothing_about_the_first_octet() {
    let victim = Victim::new();
    let (key, whole) = chosen_content(KeyTransport::RsaOaepSha256);
    let at = key_at(&whole);
    let mut game = Game::default();
    let queries = size("DXGATE_ORACLE_QUERIES", 2000);
    for number in 0..queries {
        let small = number % 2 == 0;
        let encrypted = if number % 8 == 0 {
            let mut encrypter = Encrypter::new(&keys::ours().key).unwrap();
            encrypter.set_rsa_padding(Padding::PKCS1_OAEP).unwrap();
            encrypter.set_rsa_oaep_md(MessageDigest::sha256()).unwrap();
            encrypter.set_rsa_mgf1_md(MessageDigest::sha256()).unwrap();
            let mut encrypted = vec![0; 256];
            let length = encrypter.encrypt(&key, &mut encrypted).unwrap();
            encrypted.truncate(length);
            encrypted
        } else {
            raw_encrypt(&[[u8::from(!small)].as_slice(), &random(255)].concat())
        };
        let mut query = whole.clone();
        query[at..at + 256].copy_from_slice(&encrypted);
        let (told, cause) = victim.open(&query);
        assert_ne!(cause, "accepted");
        game.note(small, &told);
    }
    println!("Manger: {queries} queries, advantage {:.4}, answers {:?}", game.advantage(), game.answers);
    assert!(game.advantage() < 0.01, "{:?}", game.answers);
}

//! What a signature carries along and does not cover: certificates, revocation lists, version numbers. In an envelope without
//! integrity there is no room in them for a foreign block, and what products send there is read.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::PKey;
use openssl::x509::{X509, X509Name};

use super::*;
use crate::cms::der::{self, Fields};
use crate::cms::{self, Certificate, DecryptionKey, PrivateKey, oid};
use crate::ground::limits::Limits;

const GCM: ContentCipher = ContentCipher::Aes256Gcm;

/// A chain, of which the partner's file has the leaf alone.
static ROOT: LazyLock<SigningKey> = LazyLock::new(|| issued("the root of the chain", 1, None));
static MIDDLE: LazyLock<SigningKey> = LazyLock::new(|| issued("the middle of the chain", 2, Some(&ROOT)));
static LEAF: LazyLock<SigningKey> = LazyLock::new(|| issued("the leaf that signs", 3, Some(&MIDDLE)));

/// A key on P-256 whose certificate is signed by `issuer`, or by itself.
fn issued(name: &str, serial: u32, issuer: Option<&SigningKey>) -> SigningKey {
    let key = PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap()).unwrap());
    let key = key.unwrap();
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_text("CN", name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    builder.set_serial_number(&BigNum::from_u32(serial).unwrap().to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    match issuer {
        Some(issuer) => builder.set_issuer_name(issuer.certificate.x509().subject_name()).unwrap(),
        None => builder.set_issuer_name(&subject).unwrap(),
    }
    builder.set_not_before(&Asn1Time::from_str("20200101000000Z").unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_str("20491231235959Z").unwrap()).unwrap();
    builder.set_pubkey(&key).unwrap();
    match issuer {
        Some(issuer) => builder.sign(issuer.key.pkey(), MessageDigest::sha256()).unwrap(),
        None => builder.sign(&key, MessageDigest::sha256()).unwrap(),
    }
    let certificate = Certificate::from_der(&builder.build().to_der().unwrap()).unwrap();
    SigningKey { certificate, key: PrivateKey::from_pkey(key).unwrap() }
}

/// What of SignedData its signature does not cover.
#[derive(Clone)]
struct Beside {
    version: Vec<u8>,
    /// More elements of `digestAlgorithms`.
    digests: Vec<u8>,
    /// `certificates` and `crls`.
    carried: Vec<u8>,
    /// Lengths around all of it are indefinite.
    indefinite: bool,
}

/// These certificates, or whatever they are, as `[0]` of definite length.
fn carrying(elements: &[&[u8]]) -> Beside {
    let carried = der::tlv(der::context_constructed(0), &elements.concat());
    Beside { version: der::integer(1), digests: Vec::new(), carried, indefinite: false }
}

/// A constructed value of indefinite length.
fn endless(tag: u8, content: &[u8]) -> Vec<u8> {
    [&[tag, 0x80], content, &[0, 0]].concat()
}

/// SignedData by the leaf over `content`, which is in it (`inside`) or is not.
fn signed_data(content: &[u8], inside: bool, beside: &Beside) -> Vec<u8> {
    let digest = DigestAlgorithm::Sha256;
    let ours =
        cms::sign_detached(digest, &digest.digest(content), &LEAF, SignatureScheme::Ecdsa, date(), false).unwrap();
    let mut outer = Fields::only(&ours, der::SEQUENCE).unwrap().fields();
    let kind = outer.expect(der::OID).unwrap().raw;
    let data = outer.expect(der::context_constructed(0)).unwrap().fields().expect(der::SEQUENCE).unwrap();
    let mut data = data.fields();
    data.expect(der::INTEGER).unwrap();
    let digests = data.expect(der::SET).unwrap().content;
    data.expect(der::SEQUENCE).unwrap();
    let signers = data.expect(der::SET).unwrap().raw;

    let value =
        |tag: u8, content: &[u8]| if beside.indefinite { endless(tag, content) } else { der::tlv(tag, content) };
    let content = match inside {
        true => value(der::context_constructed(0), &der::tlv(der::OCTET_STRING, content)),
        false => Vec::new(),
    };
    let content = value(der::SEQUENCE, &[der::object_identifier(oid::DATA), content].concat());
    let digests = der::tlv(der::SET, &[digests, &beside.digests].concat());
    let data = value(der::SEQUENCE, &[&beside.version, &digests, &content, &beside.carried, signers].concat());
    value(der::SEQUENCE, &[kind, &value(der::context_constructed(0), &data)].concat())
}

/// The entity that holds a signed payload, its header block this much longer.
fn entity(inside: bool, beside: &Beside, in_base64: bool, longer: usize) -> Vec<u8> {
    let part = payload_entity();
    let structure = signed_data(&part, inside, beside);
    let (encoding, structure) = match in_base64 {
        true => ("base64", STANDARD.encode(&structure).into_bytes()),
        false => ("binary", structure),
    };
    let comment = format!("X-Comment: x{}\r\n", "x".repeat(longer));
    let encoding = format!("Content-Transfer-Encoding: {encoding}\r\n\r\n");
    if inside {
        let head = "Content-Type: application/pkcs7-mime; smime-type=signed-data\r\n";
        return [head.as_bytes(), comment.as_bytes(), encoding.as_bytes(), &structure].concat();
    }
    let head =
        "Content-Type: multipart/signed; protocol=\"application/pkcs7-signature\"; micalg=sha-256; boundary=sep\r\n";
    let second = "\r\n--sep\r\nContent-Type: application/pkcs7-signature\r\n";
    let first = [head.as_bytes(), comment.as_bytes(), b"\r\n--sep\r\n", &part].concat();
    [first.as_slice(), second.as_bytes(), encoding.as_bytes(), &structure, b"\r\n--sep--\r\n"].concat()
}

/// The same as a message without an envelope.
fn posted(entity: &[u8]) -> Wire {
    let end = memchr::memmem::find(entity, b"\r\n\r\n").unwrap();
    let fields = std::str::from_utf8(&entity[..end]).unwrap();
    let fields: Vec<(&str, &str)> = fields.lines().map(|line| line.split_once(": ").unwrap()).collect();
    wire(&fields, &entity[end + 4..])
}

/// What the partner gets to see who has the leaf in its file.
fn told_of_leaf(wire: &Wire, policy: &AcceptPolicy) -> Result<(), (Disposition, &'static str)> {
    let trusted = std::slice::from_ref(&LEAF.certificate);
    let received = receive_with(wire, policy, KeyTransport::ALL, trusted, &Limits::default());
    received.map(|(_, payload)| assert_eq!(payload, PAYLOAD)).map_err(|failure| (failure.told, failure.explanation))
}

/// In every way of travelling: `in_cbc` in a binary structure in CBC, and accepted in any other.
fn is_read(what: &str, beside: &Beside, in_cbc: &Result<(), (Disposition, &'static str)>) {
    let strict = AcceptPolicy::default();
    for inside in [false, true] {
        let what = format!("{what}, content inside: {inside}");
        let [binary, base64] = [false, true].map(|in_base64| entity(inside, beside, in_base64, 0));
        assert_eq!(&told_of_leaf(&enveloped(&binary, CBC, V15), &strict), in_cbc, "{what}, in CBC");
        assert_eq!(told_of_leaf(&enveloped(&base64, CBC, V15), &strict), Ok(()), "{what}, in base64 in CBC");
        let short = enveloped(&base64, ContentCipher::DesEde3Cbc, V15);
        let waived = AcceptPolicy { ciphers: ContentCipher::ALL.to_vec(), ..lax() };
        assert_eq!(&told_of_leaf(&short, &waived), in_cbc, "{what}, in base64 in short blocks");
        assert_eq!(told_of_leaf(&enveloped(&binary, GCM, V15), &strict), Ok(()), "{what}, in GCM");
        for entity in [&binary, &base64] {
            assert_eq!(told_of_leaf(&posted(entity), &lax()), Ok(()), "{what}, without an envelope");
        }
    }
}

fn certificates() -> [&'static [u8]; 3] {
    [LEAF.certificate.der(), MIDDLE.certificate.der(), ROOT.certificate.der()]
}

#[test]
fn what_products_send_beside_a_signature_is_read_in_every_envelope() {
    let [leaf, middle, root] = certificates();
    let alone = carrying(&[leaf]);
    let of_bouncy_castle =
        Beside { carried: endless(der::context_constructed(0), leaf), indefinite: true, ..alone.clone() };
    let no_lists = [alone.carried.as_slice(), &[0xa1, 0]].concat();
    let chain = [leaf, middle, root].concat();
    for (what, beside) in [
        ("nothing", Beside { carried: Vec::new(), ..alone.clone() }),
        ("no certificate", carrying(&[])),
        ("the signer's certificate", alone.clone()),
        ("the same twice", carrying(&[leaf, leaf])),
        ("the signer's certificate, as Bouncy Castle writes it", of_bouncy_castle.clone()),
        ("a chain", carrying(&[leaf, middle, root])),
        ("a chain in another order", carrying(&[root, leaf, middle])),
        ("the issuers alone", carrying(&[middle, root])),
        (
            "a chain, as Bouncy Castle writes it",
            Beside { carried: endless(der::context_constructed(0), &chain), ..of_bouncy_castle },
        ),
        ("no revocation lists", Beside { carried: no_lists, ..alone }),
    ] {
        is_read(what, &beside, &Ok(()));
    }
}

#[test]
fn room_beside_a_signature_is_refused_in_binary_and_in_cbc_and_nowhere_else() {
    let [leaf, middle, root] = certificates();
    let stranger = ALICE.certificate.der();
    let alone = carrying(&[leaf]);
    let mut changed = middle.to_vec();
    let last = changed.len() - 1;
    changed[last] ^= 1;
    let [longer, indefinite] = {
        let content = Fields::only(leaf, der::SEQUENCE).unwrap().content;
        let len = u16::try_from(content.len()).unwrap().to_be_bytes();
        [[&[0x30, 0x83, 0, len[0], len[1]], content].concat(), endless(der::SEQUENCE, content)]
    };
    let other = der::tlv(der::OCTET_STRING, b"whatever this is");
    let attributes = der::tlv(der::context_constructed(2), &der::integer(1));
    let lists = |content: &[u8]| {
        let lists = der::tlv(der::context_constructed(1), content);
        Beside { carried: [alone.carried.as_slice(), &lists].concat(), ..alone.clone() }
    };
    let unknown = der::sequence(&[&der::object_identifier(&[0x2a, 0x03, 0x04])]);
    for (what, beside) in [
        ("a chain without its root", carrying(&[leaf, middle])),
        ("a chain without its middle", carrying(&[leaf, root])),
        ("a chain with a signature that is wrong", carrying(&[leaf, &changed, root])),
        ("a stranger's certificate", carrying(&[leaf, stranger])),
        ("something else", carrying(&[leaf, &other])),
        ("something else in front", carrying(&[&other, leaf])),
        ("an attribute certificate", carrying(&[leaf, &attributes])),
        ("a length in more octets", carrying(&[&longer])),
        ("an indefinite length", carrying(&[&indefinite])),
        ("a revocation list", lists(&der::sequence(&[&der::integer(1)]))),
        ("something else among the revocation lists", lists(&other)),
        ("a version of two octets", Beside { version: vec![2, 2, 0, 1], ..alone.clone() }),
        ("an unknown digest", Beside { digests: unknown, ..alone.clone() }),
    ] {
        is_read(what, &beside, &refusal());
    }
}

#[test]
fn certificates_that_the_partners_file_has_may_stand_beside_its_signature_whoever_signed_them() {
    let known = [&MIDDLE, &ALICE].map(|party| party.certificate.clone());
    let carried = carrying(&[LEAF.certificate.der(), MIDDLE.certificate.der(), ALICE.certificate.der()]);
    for inside in [false, true] {
        let wire = enveloped(&entity(inside, &carried, false, 0), CBC, V15);
        let (certificate, key) = (BOB.certificate.clone(), BOB.key.clone());
        let decryption = [DecryptionKey { certificate, key, transports: KeyTransport::ALL.to_vec() }];
        let trusted = std::slice::from_ref(&LEAF.certificate);
        for (known, accepted) in [(&known[..], true), (&known[1..], false), (&[], false)] {
            let keys = OpenKeys { decryption: &decryption, trusted, known };
            let (policy, limits, mut payload) = (AcceptPolicy::default(), Limits::default(), Vec::new());
            let opened = open(&request(&wire), &mut wire.body.as_slice(), &policy, &keys, &limits, &mut payload);
            assert_eq!(opened.is_ok(), accepted, "{inside}");
        }
    }
}

#[test]
fn room_around_what_is_compressed_is_refused_in_cbc_and_nowhere_else() {
    let signed = entity(false, &carrying(&[LEAF.certificate.der()]), false, 0);
    let whole = compressed_entity(&signed);
    let start = memchr::memmem::find(&whole, b"\r\n\r\n").unwrap() + 4;
    let mut outer = Fields::only(&whole[start..], der::SEQUENCE).unwrap().fields();
    let kind = outer.expect(der::OID).unwrap().raw;
    let data = outer.expect(der::context_constructed(0)).unwrap().fields().expect(der::SEQUENCE).unwrap();
    let mut data = data.fields();
    data.expect(der::INTEGER).unwrap();
    data.expect(der::SEQUENCE).unwrap();
    let content = data.expect(der::SEQUENCE).unwrap().raw;
    let zlib = |parameters: &[u8]| der::sequence(&[&der::object_identifier(oid::ZLIB), parameters]);
    let (null, other) = (der::tlv(der::NULL, &[]), der::tlv(der::OCTET_STRING, b"whatever this is"));
    for (what, version, algorithm, in_cbc) in [
        ("as it is written", der::integer(0), zlib(&[]), Ok(())),
        ("NULL", der::integer(0), zlib(&null), Ok(())),
        ("a version of two octets", vec![2, 2, 0, 0], zlib(&[]), refusal()),
        ("parameters", der::integer(0), zlib(&other), refusal()),
        ("more behind NULL", der::integer(0), zlib(&[null.as_slice(), &other].concat()), refusal()),
    ] {
        let data = der::tlv(der::context_constructed(0), &der::sequence(&[&version, &algorithm, content]));
        let entity = [&whole[..start], &der::sequence(&[kind, &data])].concat();
        assert_eq!(told_of_leaf(&enveloped(&entity, CBC, V15), &AcceptPolicy::default()), in_cbc, "{what}, in CBC");
        assert_eq!(told_of_leaf(&enveloped(&entity, GCM, V15), &AcceptPolicy::default()), Ok(()), "{what}, in GCM");
        assert_eq!(told_of_leaf(&posted(&entity), &lax()), Ok(()), "{what}, without an envelope");
    }
}

/// A captured message, and the block of it that the attacker wants to read: one of the payload, of which one octet is unknown.
struct Captured {
    wire: Wire,
    plain: Vec<u8>,
    wanted: usize,
}

impl Captured {
    /// The place that `mark` finds is made the fifth octet of a block.
    fn new(inside: bool, beside: &Beside, mark: &dyn Fn(&[u8]) -> usize) -> Captured {
        let unaligned = mark(&entity(inside, beside, false, 0));
        let plain = entity(inside, beside, false, (4 + BLOCK - unaligned % BLOCK) % BLOCK);
        assert_eq!(mark(&plain) % BLOCK, 4);
        let payload = memchr::memmem::find(&plain, PAYLOAD).unwrap();
        Captured { wire: enveloped(&plain, CBC, V15), plain, wanted: payload.div_ceil(BLOCK) }
    }

    /// The block to put in front of the wanted one, so that that decrypts to `octets` from its fifth octet on, if what stands in the
    /// place of the last of them is `guess`.
    fn chosen(&self, octets: &[u8], guess: u8) -> [u8; BLOCK] {
        let mut chosen = [0xa5; BLOCK];
        let before = &ciphertext(&self.wire)[(self.wanted - 1) * BLOCK..self.wanted * BLOCK];
        let known = &self.plain[self.wanted * BLOCK..(self.wanted + 1) * BLOCK];
        for (place, octet) in (4..).zip(octets) {
            let plain = if place == 3 + octets.len() { guess } else { known[place] };
            chosen[place] = plain ^ before[place] ^ octet;
        }
        chosen
    }

    /// Asks with every guess of the octet.
    fn is_never_told_the_octet(&self, octets: &[u8], forge: &Forge<'_>) {
        let (strict, blocks) = (AcceptPolicy::default(), ciphertext(&self.wire));
        assert_eq!(told_of_leaf(&self.wire, &strict), Ok(()));
        let wanted = &blocks[self.wanted * BLOCK..(self.wanted + 1) * BLOCK];
        for guess in 0..=255u8 {
            let forged = forge(blocks, &self.chosen(octets, guess), wanted);
            assert_eq!(told_of_leaf(&with_ciphertext(&self.wire, &forged), &strict), refusal(), "guess {guess}");
        }
    }
}

/// Puts the chosen block and the wanted one among the others.
type Forge<'f> = dyn Fn(&[u8], &[u8], &[u8]) -> Vec<u8> + 'f;

#[test]
fn blocks_spliced_in_behind_a_certificate_are_never_accepted() {
    let leaf = LEAF.certificate.der();
    let beside = Beside { carried: endless(der::context_constructed(0), leaf), indefinite: true, ..carrying(&[]) };
    for inside in [false, true] {
        let end = |plain: &[u8]| memchr::memmem::find(plain, leaf).unwrap() + leaf.len();
        let captured = Captured::new(inside, &beside, &end);
        // The certificate ends in the wanted block then. What stands there is a value, if it says that it is as long as everything
        // up to the end of the certificates: the rest of that block and of another, and what was the end of the certificate.
        let place = end(&captured.plain) / BLOCK - 1;
        captured.is_never_told_the_octet(&[der::OCTET_STRING, 46], &|blocks, chosen, wanted| {
            let (before, after) = blocks.split_at(place * BLOCK);
            [before, chosen, wanted, &before[before.len() - BLOCK..], after].concat()
        });
    }
}

#[test]
fn blocks_put_in_the_place_of_others_between_two_certificates_are_never_accepted() {
    let [leaf, middle, root] = certificates();
    for inside in [false, true] {
        let start = |plain: &[u8]| memchr::memmem::find(plain, middle).unwrap();
        let captured = Captured::new(inside, &carrying(&[leaf, middle, root]), &start);
        // The next certificate begins in the wanted block: its length must be what it was.
        let place = start(&captured.plain) / BLOCK - 1;
        captured.is_never_told_the_octet(&middle[..4], &|blocks, chosen, wanted| {
            let (before, after) = blocks.split_at(place * BLOCK);
            [before, chosen, wanted, &after[2 * BLOCK..]].concat()
        });
    }
}

#[test]
fn a_root_that_the_partners_file_has_ends_a_chain_that_comes_without_it() {
    let carried = carrying(&[LEAF.certificate.der(), MIDDLE.certificate.der()]);
    let trusted = std::slice::from_ref(&LEAF.certificate);
    for inside in [false, true] {
        let wire = enveloped(&entity(inside, &carried, false, 0), CBC, V15);
        let (certificate, key) = (BOB.certificate.clone(), BOB.key.clone());
        let decryption = [DecryptionKey { certificate, key, transports: KeyTransport::ALL.to_vec() }];
        for (known, accepted) in [([ROOT.certificate.clone()], true), ([ALICE.certificate.clone()], false)] {
            let keys = OpenKeys { decryption: &decryption, trusted, known: &known };
            let (policy, limits, mut payload) = (AcceptPolicy::default(), Limits::default(), Vec::new());
            let opened = open(&request(&wire), &mut wire.body.as_slice(), &policy, &keys, &limits, &mut payload);
            assert_eq!(opened.is_ok(), accepted, "{inside}");
        }
    }
}

#[test]
fn base64_is_named_as_a_remedy_only_where_it_is_one() {
    let beside = carrying(&[LEAF.certificate.der(), MIDDLE.certificate.der()]);
    let policy = AcceptPolicy { ciphers: ContentCipher::ALL.to_vec(), ..lax() };
    let (trusted, triple) = (std::slice::from_ref(&LEAF.certificate), ContentCipher::DesEde3Cbc);
    for (cipher, in_base64, helps) in [(CBC, false, true), (triple, false, false), (triple, true, false)] {
        let wire = enveloped(&entity(false, &beside, in_base64, 0), cipher, V15);
        let failure = receive_with(&wire, &policy, KeyTransport::ALL, trusted, &Limits::default()).unwrap_err();
        let text = failure.cause.to_string();
        assert_eq!(text.contains("or the signature in base64"), helps, "{cipher}: {text}");
    }
}

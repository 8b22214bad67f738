use std::path::Path;
use std::process::Command;

use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;

use super::*;
use crate::cms::Certificate;
use crate::ground::limits::Limits;
use crate::mime::BytesSource;

/// A key of the openssl command with a certificate of its own, as files and as a signer.
struct Party {
    dir: tempfile::TempDir,
    signer: KeySigner,
}

impl Party {
    fn new(key: &PKey<Private>, digest: &str) -> Party {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key.pem"), key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        run(
            dir.path(),
            "openssl",
            &[
                "req",
                "-x509",
                "-new",
                "-key",
                "key.pem",
                digest,
                "-subj",
                "/CN=Example",
                "-days",
                "3650",
                "-out",
                "cert.pem",
            ],
        );
        let certificate = Certificate::from_pem(&std::fs::read(dir.path().join("cert.pem")).unwrap()).unwrap();
        Party { dir, signer: KeySigner::new(key.clone(), certificate).unwrap() }
    }

    fn sm2() -> Party {
        let group = EcGroup::from_curve_name(Nid::SM2).unwrap();
        let pem = EcKey::generate(&group).unwrap().private_key_to_pem().unwrap();
        Party::new(&PKey::private_key_from_pem(&pem).unwrap(), "-sm3")
    }

    fn rsa() -> Party {
        Party::new(&PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap(), "-sha256")
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.dir.path().join(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.dir.path().join(name)).unwrap()
    }
}

fn run(dir: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(dir).output().expect("the program is installed");
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn check(document: &[u8]) -> Result<Verified, SignatureProblem> {
    verify(&BytesSource(document), &Limits::default())
}

fn try_sign(document: &[u8], party: &Party) -> Result<Vec<u8>, SignatureProblem> {
    sign(&BytesSource(document), &party.signer, &Limits::default()).map(|signed| signed.to_vec().unwrap())
}

fn signed(document: &str, party: &Party) -> String {
    String::from_utf8(try_sign(document.as_bytes(), party).unwrap()).unwrap()
}

fn digests(document: &str, digest: algorithm::ReferenceDigest, comments: bool) -> (Vec<u8>, Vec<u8>) {
    document::Document::whole(&BytesSource(document), &Limits::default()).digests(digest, comments).unwrap()
}

const IMPORT: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ceb:CEB621Message xmlns:ceb=\"http://www.chinaport.gov.cn/ceb\" \
    guid=\"G\" version=\"1.0\">\n<ceb:Inventory><ceb:note>海关 &amp; 商</ceb:note></ceb:Inventory>\n</ceb:CEB621Message>\n";

const EXPORT: &str = "<CEB603Message xmlns='http://www.chinaport.gov.cn/ceb' guid='G' version='1.0'><Inventory/>\
    <ExtendMessage><name/><version/><Message/></ExtendMessage></CEB603Message>";

#[test]
fn both_algorithms_sign_what_they_verify_without_any_deviation() {
    for (party, algorithm) in [(Party::sm2(), Algorithm::Sm2Sm3), (Party::rsa(), Algorithm::RsaSha1)] {
        for document in [IMPORT, EXPORT] {
            let signed = signed(document, &party);
            let verified = check(signed.as_bytes()).unwrap();
            assert_eq!((verified.algorithm, verified.variants.as_slice()), (algorithm, &[][..]));
            assert_eq!(verified.certificate.der(), party.signer.certificate().der());
        }
    }
}

#[test]
fn the_signature_stands_where_the_schema_wants_it_and_everything_else_stays() {
    let party = Party::sm2();
    let import = signed(IMPORT, &party);
    assert!(import.ends_with("</ds:KeyInfo></ds:Signature></ceb:CEB621Message>\n"));
    assert!(import.contains("<ceb:Inventory><ceb:note>海关 &amp; 商</ceb:note></ceb:Inventory>\n<ds:Signature>"));
    assert!(signed(EXPORT, &party).contains("</ds:Signature><ExtendMessage><name/>"));
}

#[test]
fn any_change_of_document_or_signature_is_noticed() {
    let signed = signed(IMPORT, &Party::sm2());
    assert_eq!(check(signed.replace("guid=\"G\"", "guid=\"H\"").as_bytes()).unwrap_err(), SignatureProblem::Digest);
    assert_eq!(check(signed.replace(" &amp; ", " &amp;  ").as_bytes()).unwrap_err(), SignatureProblem::Digest);
    let other = signed.replace("<ds:Reference URI=\"\">", "<ds:Reference URI=\"\" Id=\"x\">");
    assert_eq!(check(other.as_bytes()).unwrap_err(), SignatureProblem::Value);
    // What canonicalization levels out may differ.
    let same = signed.replace("guid=\"G\" version=\"1.0\"", "version='1.0'   guid='G'").replace('\n', "\r\n");
    assert!(check(same.as_bytes()).is_ok());
}

#[test]
fn a_signature_of_another_key_does_not_hold() {
    let (ours, theirs) = (signed(IMPORT, &Party::sm2()), signed(IMPORT, &Party::sm2()));
    let certificate = |text: &str| {
        let (_, rest) = text.split_once("<ds:X509Certificate>").unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    let swapped = ours.replace(&certificate(&ours), &certificate(&theirs));
    assert_eq!(check(swapped.as_bytes()).unwrap_err(), SignatureProblem::Value);
    let rsa = ours.replace(&certificate(&ours), &certificate(&signed(IMPORT, &Party::rsa())));
    assert_eq!(check(rsa.as_bytes()).unwrap_err(), SignatureProblem::Key);
}

#[test]
fn what_would_cover_less_than_the_document_is_refused() {
    let signed = signed(IMPORT, &Party::sm2());
    let refuse = |from: &str, to: &str| check(signed.replacen(from, to, 1).as_bytes()).unwrap_err();
    assert_eq!(refuse("URI=\"\"", "URI=\"#part\""), SignatureProblem::Reference);
    assert_eq!(refuse(ENVELOPED_TRANSFORM, &ENVELOPED_TRANSFORM.repeat(2)), SignatureProblem::Reference);
    assert_eq!(refuse(ENVELOPED_TRANSFORM, ""), SignatureProblem::Reference);
    assert_eq!(refuse("enveloped-signature", "other"), SignatureProblem::Reference);
    let (_, rest) = signed.split_once("<ds:Reference").unwrap();
    let reference = format!("<ds:Reference{}", rest.split_once("</ds:SignedInfo>").unwrap().0);
    assert_eq!(
        refuse("</ds:SignedInfo>", &format!("{reference}</ds:SignedInfo>")),
        SignatureProblem::Shape("Reference")
    );
    let (_, rest) = signed.split_once("<ds:Signature>").unwrap();
    let whole = format!("<ds:Signature>{}", rest.split_once("</ceb:").unwrap().0);
    assert_eq!(refuse("<ds:Signature>", &format!("{whole}<ds:Signature>")), SignatureProblem::Several);
    assert!(matches!(refuse("2022/04/xmldsig#sm2-sm3", "2022/04/xmldsig#none"), SignatureProblem::Algorithm(_)));
    assert!(matches!(refuse("xml-c14n-20010315", "xml-exc-c14n#"), SignatureProblem::Algorithm(_)));
    assert_eq!(refuse("<ds:SignatureValue>", "<ds:SignatureValue>!"), SignatureProblem::Shape("SignatureValue"));
    assert_eq!(check(IMPORT.as_bytes()).unwrap_err(), SignatureProblem::Missing);
    assert!(matches!(check(b"<!DOCTYPE a><a/>").unwrap_err(), SignatureProblem::Document(_)));
}

const ENVELOPED_TRANSFORM: &str =
    "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"></ds:Transform>";

/// Signs `document`, in which everything but digest and value stands, the way other signers do.
fn sign_template(document: &str, party: &Party, digest: algorithm::ReferenceDigest, comments: bool) -> String {
    let (value, _) = digests(document, digest, comments);
    let document = document.replace("DIGEST", &base64(&value));
    let (_, signed_info) = digests(&document, digest, document.contains("#WithComments"));
    document.replace("VALUE", &base64(&party.signer.sign(&signed_info).unwrap()))
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A signed document as a template: digest and value are to be filled in.
fn template(party: &Party) -> String {
    let signed = signed(&IMPORT.replace("</ceb:note>", "<!-- a remark --></ceb:note>"), party);
    let field = |name: &str| {
        let (_, rest) = signed.split_once(&format!("<ds:{name}>")).unwrap();
        rest.split_once('<').unwrap().0.to_owned()
    };
    signed.replace(&field("DigestValue"), "DIGEST").replace(&field("SignatureValue"), "VALUE")
}

#[test]
fn the_deviations_of_signers_in_the_field_are_accepted_and_named() {
    use algorithm::ReferenceDigest::{Sha1, Sm3};
    let party = Party::sm2();
    let template = template(&party);
    let sm3 = "http://www.chinaport.gov.cn/2022/04/xmldsig#sm3\"";
    let with_sha1 = template.replace(sm3, "http://www.w3.org/2000/09/xmldsig#sha1\"");
    let other_uri = template.replace("www.chinaport.gov.cn/2022/04/xmldsig#sm2", "www.w3.org/2000/09/xmldsig#sm2");
    let commented = template.replace("c14n-20010315\"", "c14n-20010315#WithComments\"");
    let (front, rest) = template.split_once("<ds:KeyName>").unwrap();
    let nameless = format!("{front}{}", rest.split_once("</ds:KeyName>").unwrap().1);
    for (document, digest, comments, expected) in [
        (&template, Sm3, false, vec![]),
        (&with_sha1, Sha1, false, vec![Variant::DigestMethod]),
        (&other_uri, Sm3, false, vec![Variant::MethodUri]),
        (&commented, Sm3, true, vec![Variant::WithComments]),
        (&template, Sm3, true, vec![Variant::CommentsCovered]),
        (&nameless, Sm3, false, vec![Variant::KeyName]),
    ] {
        let verified = check(sign_template(document, &party, digest, comments).as_bytes()).unwrap();
        assert_eq!(verified.variants, expected);
    }
}

#[test]
fn gb18030_becomes_utf8_and_a_signature_is_not_added_twice() {
    let party = Party::rsa();
    let document = IMPORT.replace("UTF-8", "GB18030");
    let (bytes, ..) = encoding_rs::GB18030.encode(&document);
    let signed = try_sign(&bytes, &party).unwrap();
    let text = String::from_utf8(signed.clone()).unwrap();
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>") && text.contains("海关"));
    assert!(check(&signed).is_ok());
    assert_eq!(try_sign(&signed, &party).unwrap_err(), SignatureProblem::Present);
    let marked = [b"\xEF\xBB\xBF".as_slice(), IMPORT.as_bytes()].concat();
    assert!(try_sign(&marked, &party).unwrap().starts_with(b"<?xml"));
}

#[test]
fn a_root_that_gives_ds_another_meaning_is_signed_all_the_same() {
    let document = IMPORT.replace(" guid", " xmlns:ds='urn:other' guid");
    assert!(check(signed(&document, &Party::sm2()).as_bytes()).is_ok());
}

#[test]
fn what_cannot_be_read_is_not_signed() {
    let party = Party::rsa();
    for document in ["", "<a/>", "<a><b></a>", "<a>", "text"] {
        assert!(try_sign(document.as_bytes(), &party).is_err(), "{document}");
    }
}

#[test]
fn key_and_certificate_must_belong_together() {
    let certificate = Party::rsa().signer.certificate().clone();
    let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
    assert_eq!(KeySigner::new(key, certificate).unwrap_err(), SignatureProblem::Key);
}

#[test]
fn xmlsec_verifies_our_rsa_signature() {
    let party = Party::rsa();
    for (name, document) in [("import.xml", IMPORT), ("export.xml", EXPORT)] {
        party.write(name, signed(document, &party).as_bytes());
        run(party.dir.path(), "xmlsec1", &["--verify", "--pubkey-cert-pem", "cert.pem", name]);
    }
}

#[test]
fn we_verify_an_rsa_signature_of_xmlsec() {
    let party = Party::rsa();
    let template = template(&party).replace("DIGEST", "").replace("VALUE", "");
    party.write("template.xml", template.as_bytes());
    let arguments = ["--sign", "--privkey-pem", "key.pem", "--output", "signed.xml", "template.xml"];
    run(party.dir.path(), "xmlsec1", &arguments);
    let verified = check(&party.read("signed.xml")).unwrap();
    assert_eq!((verified.algorithm, verified.variants), (Algorithm::RsaSha1, vec![]));
}

#[test]
fn the_openssl_command_verifies_our_sm2_value_over_the_canonical_signed_info() {
    use openssl::bn::BigNum;
    use openssl::ecdsa::EcdsaSig;
    let party = Party::sm2();
    let signed = signed(IMPORT, &party);
    let limits = Limits::default();
    let (_, signed_info) = digests(&signed, algorithm::ReferenceDigest::Sm3, false);
    let source = BytesSource(&signed);
    let fields = read::read(&document::Document::whole(&source, &limits)).unwrap();
    assert_eq!(fields.value.len(), 64, "r and s without any wrapping");
    let (r, s) = fields.value.split_at(32);
    let (r, s) = (BigNum::from_slice(r).unwrap(), BigNum::from_slice(s).unwrap());
    party.write("value", &EcdsaSig::from_private_components(r, s).unwrap().to_der().unwrap());
    party.write("signed-info", &signed_info);
    let arguments = [
        "pkeyutl",
        "-verify",
        "-rawin",
        "-digest",
        "sm3",
        "-pkeyopt",
        "distid:1234567812345678",
        "-certin",
        "-inkey",
        "cert.pem",
        "-in",
        "signed-info",
        "-sigfile",
        "value",
    ];
    run(party.dir.path(), "openssl", &arguments);
}

#[test]
fn the_same_document_in_another_encoding_or_writing_keeps_its_signature() {
    let party = Party::sm2();
    let signed = signed(IMPORT, &party);
    let encoded = |name: &str, encoding: &'static encoding_rs::Encoding| {
        encoding.encode(&signed.replace("UTF-8", name)).0.into_owned()
    };
    let utf16: Vec<u8> = "\u{FEFF}"
        .encode_utf16()
        .chain(signed.replace("UTF-8", "UTF-16").encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let rows: [(&str, Vec<u8>); 6] = [
        ("GB18030", encoded("GB18030", encoding_rs::GB18030)),
        ("GBK", encoded("GBK", encoding_rs::GBK)),
        ("UTF-16 with its mark", utf16),
        ("a byte order mark", [b"\xEF\xBB\xBF", signed.as_bytes()].concat()),
        ("CDATA and references", signed.replace("海关 &amp; 商", "<![CDATA[海关 & ]]>&#x5546;").into_bytes()),
        ("comments", signed.replace("<ceb:note>", "<ceb:note><!-- -->").into_bytes()),
    ];
    for (what, document) in rows {
        assert!(check(&document).is_ok(), "{what}: {:?}", check(&document));
    }
}

#[test]
fn what_two_readers_could_read_differently_is_refused_before_it_is_signed_or_verified() {
    let party = Party::sm2();
    let signed = signed(IMPORT, &party);
    let rows = [
        ("an attribute twice", "guid=\"G\"", "guid=\"G\" guid=\"H\""),
        ("twice under two prefixes", " guid=\"G\"", " xmlns:p='u' xmlns:q='u' p:a='1' q:a='2' guid=\"G\""),
        ("an unbound prefix", "<ceb:Inventory>", "<x:y/><ceb:Inventory>"),
        ("an unknown entity", "海关", "&customs;"),
        ("an entity of HTML", "海关", "&nbsp;"),
        ("a character that XML does not know", "海关", "\u{1}"),
        ("a reference to one", "海关", "&#0;"),
        ("the end of CDATA in text", "海关", "]]>"),
        ("a comment in a comment", "海关", "<!-- <!-- -->"),
        ("another end tag", "</ceb:note>", "</note>"),
        ("a document type", "<ceb:CEB621Message", "<!DOCTYPE x><ceb:CEB621Message"),
        ("a default attribute", "<ceb:CEB621Message", "<!DOCTYPE x [<!ATTLIST x a CDATA 'b'>]><ceb:CEB621Message"),
        ("a second root", "</ceb:CEB621Message>", "</ceb:CEB621Message><a/>"),
        ("text behind the root", "</ceb:CEB621Message>", "</ceb:CEB621Message>x"),
        ("the prefix xml elsewhere", " guid=\"G\"", " xmlns:xml='urn:other' guid=\"G\""),
        ("xmlns as a prefix", " guid=\"G\"", " xmlns:xmlns='urn:other' guid=\"G\""),
        ("another encoding than the bytes", "UTF-8", "US-ASCII-7"),
    ];
    for (what, from, to) in rows {
        for document in [IMPORT, &signed] {
            let bad = document.replacen(from, to, 1);
            assert_ne!(bad, document, "{what}");
            assert!(matches!(check(bad.as_bytes()), Err(SignatureProblem::Document(_))), "{what}");
        }
        let bad = IMPORT.replacen(from, to, 1);
        assert!(matches!(try_sign(bad.as_bytes(), &party), Err(SignatureProblem::Document(_))), "{what}");
    }
}

#[test]
fn a_value_with_an_element_inside_is_refused() {
    let signed = signed(IMPORT, &Party::sm2());
    for name in ["DigestValue", "SignatureValue", "X509Certificate"] {
        let bad = signed.replacen(&format!("<ds:{name}>"), &format!("<ds:{name}><x/>"), 1);
        assert!(matches!(check(bad.as_bytes()), Err(SignatureProblem::Shape(_))), "{name}");
    }
}

#[test]
fn a_signature_is_verified_inside_an_envelope_and_over_it() {
    use crate::declaration::envelope::{EnvelopeHead, wrap};
    let party = Party::sm2();
    let limits = Limits::default();
    let head = EnvelopeHead {
        cop_msg_id: "C1".into(),
        sender_id: "DXPENT0000012345".into(),
        receiver_ids: vec!["DXPEDCCEB0000002".into()],
        creat_time: "2026-03-01T09:30:00".into(),
        msg_type: "CEB621Message".into(),
        file_name: Some("a.xml".into()),
        ..EnvelopeHead::default()
    };
    let wrapped = |document: &str| {
        let mut envelope = Vec::new();
        wrap(&head, &mut document.as_bytes(), &mut envelope).unwrap();
        envelope
    };
    let inside = signed(IMPORT, &party);
    let envelope = wrapped(&inside);
    assert!(verify_enveloped(&BytesSource(&envelope), &limits).is_ok());
    assert_eq!(check(&envelope).unwrap_err(), SignatureProblem::Missing, "the envelope itself has none");
    let unsigned = wrapped(IMPORT);
    assert_eq!(verify_enveloped(&BytesSource(&unsigned), &limits).unwrap_err(), SignatureProblem::Missing);
    let changed = wrapped(&inside.replace("海关", "海 关"));
    assert_eq!(verify_enveloped(&BytesSource(&changed), &limits).unwrap_err(), SignatureProblem::Digest);

    let sealed = String::from_utf8(try_sign(&envelope, &party).unwrap()).unwrap();
    assert!(sealed.contains("</dxp:AddInfo>\n<ds:Signature>") && sealed.ends_with("</ds:Signature></dxp:DxpMsg>\n"));
    assert!(check(sealed.as_bytes()).is_ok() && verify_enveloped(&BytesSource(&sealed), &limits).is_ok());
    let rerouted = sealed.replace("DXPEDCCEB0000002", "DXPEDCCEB0000003");
    assert_eq!(check(rerouted.as_bytes()).unwrap_err(), SignatureProblem::Digest);
    // Line ends inside Data are levelled out like everywhere else, in whatever pieces it is read.
    let windows = sealed.replacen("<dxp:Data>", "<dxp:Data>\n", 1);
    assert_eq!(check(windows.as_bytes()).unwrap_err(), SignatureProblem::Digest);
    let big = wrapped(&IMPORT.replace("海关", &"海".repeat(15_000)).replace('\n', &"\n".repeat(40_000)));
    let text = String::from_utf8(big).unwrap();
    let (front, rest) = text.split_once("<dxp:Data>").unwrap();
    let (data, back) = rest.split_once("</dxp:Data>").unwrap();
    let broken = format!("{front}<dxp:Data>{}</dxp:Data>{back}", data.replace('A', "A\n"));
    let sealed = String::from_utf8(try_sign(broken.as_bytes(), &party).unwrap()).unwrap();
    assert!(check(sealed.replace('\n', "\r\n").as_bytes()).is_ok());
}

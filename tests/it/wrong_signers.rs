//! Signatures that are right in themselves and not by a certificate that counts: nothing is delivered of any of them.
//! (A revoked certificate: `revocation`; a signing time that lies: `oracle`.)

use std::path::Path;

use dxgate::as2::{As2Name, SendPlan};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::x509::X509;
use openssl::x509::extension::ExtendedKeyUsage;

use crate::support::correspondent::{letter, plan, receipt_in, signing};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::keys::{self, Party};
use crate::support::{eventually, http};

const DAY: i64 = 86_400;

/// A certificate with the name and, unless it is another, the serial number of that of `theirs`.
struct Made {
    /// Seconds from now.
    validity: (i64, i64),
    other_serial: bool,
    /// For TLS clients alone, and critical.
    usage: bool,
    key: Option<PKey<Private>>,
}

impl Made {
    fn party(self, folder: &Path, name: &str) -> &'static Party {
        let model = &keys::theirs().certificate;
        let key = self.key.unwrap_or_else(|| PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap());
        let now = jiff::Timestamp::now().as_second();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial =
            if self.other_serial { BigNum::from_u32(7).unwrap() } else { model.serial_number().to_bn().unwrap() };
        builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
        builder.set_subject_name(model.subject_name()).unwrap();
        builder.set_issuer_name(model.issuer_name()).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::from_unix(now + self.validity.0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(now + self.validity.1).unwrap()).unwrap();
        if self.usage {
            builder.append_extension(ExtendedKeyUsage::new().critical().client_auth().build().unwrap()).unwrap();
        }
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        keys::kept(folder, name, key, builder.build())
    }
}

fn valid() -> Made {
    Made { validity: (-DAY, 400 * DAY), other_serial: false, usage: false, key: None }
}

#[test]
fn a_signature_by_a_certificate_that_does_not_count_delivers_nothing() {
    let home = Home::ours();
    let folder = home.path("made");
    std::fs::create_dir_all(&folder).unwrap();
    let accept = "signature = true\nencryption = false";
    let agreement = "sign = \"rsa-pkcs1\"\nencrypt = \"none\"";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    home.partner("b", &PartnerFile { as2_name: "b", party: keys::stranger(), accept, ..PartnerFile::default() });
    // Partners whose own certificate's time is over, or has not come.
    let expired = Made { validity: (-400 * DAY, -DAY), ..valid() }.party(&folder, "expired");
    let early = Made { validity: (DAY, 400 * DAY), ..valid() }.party(&folder, "early");
    for (name, party) in [("expired", expired), ("early", early)] {
        home.partner(name, &PartnerFile { as2_name: name, party, accept, agreement, ..PartnerFile::default() });
    }
    let gateway = Gateway::start(&home);

    let impostor = valid().party(&folder, "impostor");
    let other_use = Made { other_serial: true, usage: true, ..valid() }.party(&folder, "other-use");
    let same_key = Some(keys::theirs().key.clone());
    let renewed = Made { other_serial: true, usage: true, key: same_key, ..valid() }.party(&folder, "renewed");
    let mut number = 0;
    let mut answer = |from: &str, signer: &Party, sealed: bool| {
        number += 1;
        let plan = SendPlan { from: As2Name::parse(from).unwrap(), signing: Some(signing(signer)), ..plan() };
        let plan = if sealed { plan } else { SendPlan { encryption: None, ..plan } };
        let letter = letter(&plan, &format!("<{number}@theirs>"), b"<a/>");
        receipt_in(&http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap()).disposition
    };
    for (what, from, signer) in [
        ("another partner", "theirs", keys::stranger()),
        ("nobody, under the name and number of the partner", "theirs", impostor),
        ("a certificate of the partner for another use that nobody pinned", "theirs", other_use),
        ("the same with the key of the pinned one", "theirs", renewed),
        ("the partner in the name of another", "b", keys::theirs()),
        ("a certificate whose time is over", "expired", expired),
        ("a certificate whose time has not come", "early", early),
    ] {
        for sealed in [false, true] {
            let told = answer(from, signer, sealed);
            assert!(!told.is_positive(), "{what}: {told}\n{}", gateway.log());
        }
    }
    let accepted = || gateway.api("/api/v1/messages?direction=inbound&state=accepted")["messages"].clone();
    assert_eq!(accepted(), serde_json::json!([]));
    for partner in ["theirs", "b", "expired", "early"] {
        assert_eq!(home.names(partner, "inbox"), Vec::<String>::new(), "{partner}");
    }
    // The control.
    assert!(answer("theirs", keys::theirs(), false).is_positive() && answer("b", keys::stranger(), true).is_positive());
    eventually("both are delivered", || (accepted().as_array().unwrap().len() == 2).then_some(()));
}

//! Every row of the dispositions of RFC 4130 7.5 and RFC 5402 5 as a partner gets it: with 200, signed where that was asked for,
//! also when it says no; and nothing at all where no receipt was asked for.

use dxgate::as2::{Compression, MdnAsk, SendPlan};

use crate::support::correspondent::{Letter, encryption, letter, plan, receipt_in, signing};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::{http, keys};

const PAYLOAD: &[u8] = b"<order>1</order>\n";

fn home() -> Home {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: "signature = true\nencryption = false", ..PartnerFile::default() });
    home
}

/// Signed, not encrypted: every failure may be told apart.
fn open_plan() -> SendPlan {
    SendPlan { encryption: None, ..plan() }
}

/// One octet of the body, found by what follows it, changed.
fn altered(mut letter: Letter, place: &[u8], to: u8) -> Letter {
    let at = letter.body.windows(place.len()).position(|window| window == place).unwrap();
    letter.body[at] = to;
    letter
}

/// What is asked for of the receipt, changed.
fn asking(options: &str, id: &str) -> Letter {
    let Letter { headers, body } = letter(&open_plan(), id, PAYLOAD);
    let fields = headers.lines().map(|line| match line.split_once(": ") {
        Some(("Disposition-Notification-Options", _)) => format!("Disposition-Notification-Options: {options}\r\n"),
        _ => format!("{line}\r\n"),
    });
    Letter { headers: fields.collect(), body }
}

#[test]
fn every_row_is_answered_as_it_was_asked_and_nothing_refused_is_delivered() {
    let home = home();
    let gateway = Gateway::start(&home);
    let signed_by = |party| SendPlan { signing: Some(signing(party)), ..open_plan() };
    let unsigned = SendPlan { signing: None, ..open_plan() };
    let sealed = |party| SendPlan { encryption: Some(encryption(party)), ..open_plan() };
    let packed = SendPlan { compression: Compression::AfterSigning, ..open_plan() };
    let required = "signed-receipt-protocol=required, ";
    let rows = [
        ("processed", letter(&open_plan(), "<1@theirs>", PAYLOAD), true),
        ("processed/error: authentication-failed", letter(&signed_by(keys::stranger()), "<2@theirs>", PAYLOAD), true),
        ("processed/error: decryption-failed", letter(&sealed(keys::stranger()), "<3@theirs>", PAYLOAD), true),
        (
            "processed/error: integrity-check-failed",
            altered(letter(&open_plan(), "<4@theirs>", PAYLOAD), b"1</order>", b'2'),
            true,
        ),
        ("processed/error: insufficient-message-security", letter(&unsigned, "<5@theirs>", PAYLOAD), true),
        (
            "failed/Failure: unsupported format",
            asking(&format!("{required}pgp-signature; signed-receipt-micalg=optional, sha-256"), "<6@theirs>"),
            false,
        ),
        (
            "failed/Failure: unsupported MIC-algorithms",
            asking(&format!("{required}pkcs7-signature; signed-receipt-micalg=required, ripemd160"), "<7@theirs>"),
            false,
        ),
        ("processed/error: unexpected-processing-error", letter(&open_plan(), "<1@theirs>", b"<another/>"), true),
        ("processed/error: decompression-failed", damaged(letter(&packed, "<8@theirs>", &PAYLOAD.repeat(9))), true),
    ];
    for (disposition, Letter { headers, body }, signed) in rows {
        let answer = http::post(home.as2, "/as2", &headers, &body).unwrap();
        let receipt = receipt_in(&answer);
        let expected = format!("automatic-action/MDN-sent-automatically; {disposition}");
        assert_eq!(receipt.disposition.to_string(), expected, "{}\n{}", answer.text(), gateway.log());
        assert_eq!(matches!(receipt.signature, Ok(Some(_))), signed, "{disposition}");
        assert_eq!(receipt.mic.is_some(), disposition == "processed", "{disposition}");
        assert!(!receipt.text.is_empty(), "{disposition}");
    }
    assert_eq!(gateway.wait_for("theirs", "inbox", "letter.xml"), PAYLOAD);
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox"), ["letter.xml", "letter.xml.meta.json"]);
}

/// The end of its compressed content changed, checksum included.
fn damaged(mut letter: Letter) -> Letter {
    let middle = letter.body.len() - 12;
    letter.body[middle..].iter_mut().for_each(|byte| *byte ^= 0x55);
    letter
}

#[test]
fn what_is_refused_and_asked_for_no_receipt_gets_an_empty_answer() {
    let home = home();
    let gateway = Gateway::start(&home);
    let silent = SendPlan { signing: Some(signing(keys::stranger())), mdn: MdnAsk::none(), ..open_plan() };
    let Letter { headers, body } = letter(&silent, "<silent@theirs>", PAYLOAD);
    let answer = http::post(home.as2, "/as2", &headers, &body).unwrap();
    assert_eq!((answer.status, answer.body.len()), (200, 0), "{}", answer.text());
    let messages = gateway.api("/api/v1/messages?direction=inbound");
    assert_eq!(messages["messages"][0]["state"], "declined", "{messages:#}");
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new());
}

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
        // What is demanded of the signature can be met; it is something else that cannot.
        (
            "failed/Failure: unsupported format",
            asking(
                &format!("{required}pkcs7-signature; signed-receipt-micalg=required, sha-256; x-new=required, y"),
                "<9@theirs>",
            ),
            true,
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
        // RFC 4130 7.3.1: unless it was not read to its end.
        let unread = ["decr", "decompr", "unsupported"].iter().any(|word| disposition.contains(word));
        let confirmed = signed && !unread;
        assert_eq!(receipt.mic.is_some(), confirmed, "{disposition}");
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

/// A field of a letter, changed or added.
fn with(letter: Letter, name: &str, value: &str) -> Letter {
    let Letter { headers, body } = letter;
    let others = headers.lines().filter(|line| !line.starts_with(&format!("{name}: ")));
    let others: String = others.map(|line| format!("{line}\r\n")).collect();
    Letter { headers: format!("{others}{name}: {value}\r\n"), body }
}

/// Disposition, signedness and `Original-Message-ID` of the receipt for a letter.
fn told(home: &Home, letter: &Letter) -> (String, bool, Option<String>) {
    let receipt = receipt_in(&http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap());
    let disposition = receipt.disposition.to_string();
    let disposition = disposition.strip_prefix("automatic-action/MDN-sent-automatically; ").unwrap().to_owned();
    let about = receipt.original_message_id.map(|id| id.as_str().to_owned());
    (disposition, matches!(receipt.signature, Ok(Some(_))), about)
}

#[test]
fn a_receipt_quotes_names_where_the_message_did() {
    let home = home();
    let gateway = Gateway::start(&home);
    let unsigned = SendPlan { signing: None, ..open_plan() };
    let spellings = [("theirs", "ours"), ("\"theirs\"", "ours"), ("theirs", "\"ours\""), ("\"theirs\"", "\"ours\"")];
    for (number, (from, to)) in spellings.into_iter().enumerate() {
        for (plan, disposition) in
            [(open_plan(), "processed"), (unsigned.clone(), "processed/error: insufficient-message-security")]
        {
            let payload = format!("<order>{number}</order>\n");
            let letter = letter(&plan, &format!("<{number}.{}@theirs>", disposition.len()), payload.as_bytes());
            let Letter { headers, body } = with(with(letter, "AS2-From", from), "AS2-To", to);
            let answer = http::post(home.as2, "/as2", &headers, &body).unwrap();
            let receipt = receipt_in(&answer);
            assert!(receipt.disposition.to_string().ends_with(&format!("; {disposition}")), "{}", answer.text());
            let names = [receipt.from, receipt.to].map(|name| name.map(|name| name.header_value()));
            assert_eq!(names, [Some(to.to_owned()), Some(from.to_owned())], "{}", answer.head);
        }
    }
    assert!(gateway.stop().success());
}

#[test]
fn names_that_nobody_agreed_on_are_told_in_an_unsigned_receipt_where_one_is_waited_for() {
    let home = home();
    let gateway = Gateway::start(&home);
    for (version, disposition) in [
        ("1.2", "processed/error: authentication-failed"),
        ("1.3", "processed/error: unknown-trading-relationship"),
        ("x", "processed/error: authentication-failed"),
    ] {
        for (field, value) in [("AS2-From", "nobody"), ("AS2-To", "nobody"), ("AS2-To", "\"no body\"")] {
            let letter = with(with(letter(&open_plan(), "<1@nobody>", PAYLOAD), "AS2-Version", version), field, value);
            let expected = (disposition.to_owned(), false, Some("<1@nobody>".to_owned()));
            assert_eq!(told(&home, &letter), expected, "{version} {field} {value}");
        }
    }
    for (from, disposition) in [
        ("ours", "failed/Failure: sender-equals-receiver"),
        ("\"ours\"", "failed/Failure: sender-equals-receiver"),
        ("OURS", "processed/error: authentication-failed"),
    ] {
        let letter = with(letter(&open_plan(), "<3@ours>", PAYLOAD), "AS2-From", from);
        let expected = (disposition.to_owned(), false, Some("<3@ours>".to_owned()));
        assert_eq!(told(&home, &letter), expected, "{from} to ours");
    }
    let nobody = |plan: &SendPlan| with(letter(plan, "<2@nobody>", PAYLOAD), "AS2-From", "nobody");
    let silent = SendPlan { mdn: MdnAsk::none(), ..open_plan() };
    let elsewhere = with(nobody(&open_plan()), "Receipt-Delivery-Option", &format!("http://{}/as2", home.as2));
    for Letter { headers, body } in [nobody(&silent), elsewhere] {
        assert_eq!(http::post(home.as2, "/as2", &headers, &body).unwrap().status, 403, "{headers}");
    }
    assert_eq!(gateway.api("/api/v1/messages")["messages"].as_array().unwrap().len(), 0, "nothing is kept of them");
    assert!(gateway.stop().success());
}

#[test]
fn a_message_id_that_is_none_is_told_in_a_receipt_as_it_was_asked_for() {
    let home = home();
    let gateway = Gateway::start(&home);
    let bis = "processed/error: invalid-message-id";
    let long = format!("<{}@theirs>", "x".repeat(998));
    for (id, version, disposition) in
        [("<>", "1.3", bis), (long.as_str(), "1.3", bis), ("<>", "1.2", "processed/error: unexpected-processing-error")]
    {
        let letter = with(with(letter(&open_plan(), "<1@theirs>", PAYLOAD), "AS2-Version", version), "Message-ID", id);
        let (said, signed, about) = told(&home, &letter);
        assert_eq!((said.as_str(), signed, about), (disposition, true, None), "{id}");
        let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
        let echoed = answer.text().contains(&format!("Original-Message-ID: {id}\r\n"));
        assert_eq!(echoed, id.len() < 255, "{id}: {}", answer.text());
    }
    let blank = "<1@ACME Co_gw>";
    let (said, _, about) = told(&home, &with(letter(&open_plan(), "<1@theirs>", PAYLOAD), "Message-ID", blank));
    assert_eq!((said.as_str(), about.as_deref()), ("processed", Some(blank)), "others put names into it");
    let missing = letter(&open_plan(), "<1@theirs>", PAYLOAD);
    let headers: String = missing
        .headers
        .lines()
        .filter(|line| !line.starts_with("Message-ID"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let (said, signed, about) = told(&home, &Letter { headers, body: missing.body });
    assert_eq!((said.as_str(), signed, about), ("processed/error: unexpected-processing-error", true, None));
    let silent = SendPlan { mdn: MdnAsk::none(), ..open_plan() };
    let Letter { headers, body } = with(letter(&silent, "<1@theirs>", PAYLOAD), "Message-ID", "<é@theirs>");
    assert_eq!(http::post(home.as2, "/as2", &headers, &body).unwrap().status, 400);
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox").len(), 2, "one file and what is said of it");
}

#[test]
fn where_it_is_agreed_a_file_name_is_taken_once_and_as_it_is() {
    let home = Home::ours();
    let accept = "signature = true\nencryption = false\nfile_names = \"unique\"";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let named = |name: Option<&str>, id: &str, payload: &[u8]| {
        told(&home, &letter(&SendPlan { file_name: name.map(str::to_owned), ..open_plan() }, id, payload)).0
    };
    let duplicate = "processed/error: duplicate-filename";
    assert_eq!(named(Some("订单 1.xml"), "<1@theirs>", PAYLOAD), "processed");
    assert_eq!(named(Some("订单 1.xml"), "<2@theirs>", PAYLOAD), duplicate);
    assert_eq!(named(Some("订单 1.xml"), "<3@theirs>", b"<order>3</order>"), duplicate);
    assert_eq!(named(Some("订单 1.xml"), "<1@theirs>", PAYLOAD), "processed", "a repetition gets its receipt again");
    assert_eq!(named(Some("订单 1"), "<4@theirs>", PAYLOAD), "processed", "the beginning of a name is another name");
    assert_eq!(named(Some("a/b:c.xml"), "<5@theirs>", PAYLOAD), "processed/error: illegal-filename");
    assert_eq!(named(None, "<6@theirs>", PAYLOAD), "processed", "without a name there is nothing to compare");
    let declined = gateway.api("/api/v1/messages?state=declined");
    let codes: Vec<_> =
        declined["messages"].as_array().unwrap().iter().map(|one| one["reason"]["code"].clone()).collect();
    assert_eq!(codes, ["file-name-illegal", "file-name-repeated", "file-name-repeated"], "{declined:#}");
    assert!(gateway.stop().success());
    let names = home.names("theirs", "inbox");
    assert_eq!(names.iter().filter(|name| !name.ends_with(".meta.json")).count(), 3, "{names:?}");
}

#[test]
fn where_it_is_agreed_what_a_stranger_signed_is_taken_as_unsigned_with_a_warning() {
    let home = Home::ours();
    let accept = "signature = false\nencryption = false\nunknown_signer = \"warning\"";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let strange = letter(&SendPlan { signing: Some(signing(keys::stranger())), ..open_plan() }, "<1@theirs>", PAYLOAD);
    let warning = "processed/warning: authentication-failed, processing continued";
    for _ in 0..2 {
        assert_eq!(told(&home, &strange), (warning.to_owned(), true, Some("<1@theirs>".to_owned())));
    }
    assert_eq!(told(&home, &letter(&open_plan(), "<2@theirs>", PAYLOAD)).0, "processed");
    assert_eq!(gateway.wait_for("theirs", "inbox", "letter.xml"), PAYLOAD);
    assert!(gateway.stop().success());
    let meta = home.names("theirs", "inbox").into_iter().filter(|name| name.ends_with(".meta.json"));
    let signed_by = meta.map(|name| {
        let meta = std::fs::read(home.exchange("theirs", "inbox").join(name)).unwrap();
        serde_json::from_slice::<serde_json::Value>(&meta).unwrap()["signed_by"].is_null()
    });
    let mut signed_by: Vec<bool> = signed_by.collect();
    signed_by.sort_unstable();
    assert_eq!(signed_by, [false, true], "only the one that a known key signed");
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

//! Several files in one message (RFC 6362): each arrives in the inbox as a file of its own.

use dxgate::as2::attachments::{Enclosure, Related};
use dxgate::as2::{self, MessageId, SendPlan, Stamp};
use dxgate::mime::{BytesSource, MemoryScratch};

use crate::support::correspondent::{Letter, letter, plan, receipt_in};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::{http, keys};

/// Two files with names and one without.
fn several_files() -> Letter {
    several_named(None)
}

/// The same in a multipart of this name.
fn several_named(name: Option<&str>) -> Letter {
    let contents = [&b"<invoice/>"[..], b"%PDF-1.7", b"UNA:+"].map(BytesSource);
    let [invoice, scan, edi] = &contents;
    let enclosures = [
        Enclosure {
            content_type: "application/xml",
            file_name: Some("invoice.xml"),
            content_id: None,
            content: invoice,
        },
        Enclosure { content_type: "application/pdf", file_name: Some("扫描.pdf"), content_id: None, content: scan },
        Enclosure { content_type: "application/EDIFACT", file_name: None, content_id: None, content: edi },
    ];
    let related = Related::new(&enclosures).unwrap();
    let plan =
        SendPlan { content_type: related.content_type().to_owned(), file_name: name.map(str::to_owned), ..plan() };
    let stamp = Stamp { message_id: MessageId::parse("<several@theirs>").unwrap(), date: jiff::Timestamp::now() };
    let mut body = Vec::new();
    let composed = as2::compose(&plan, &stamp, &related, &MemoryScratch, &mut body).unwrap();
    Letter { headers: String::from_utf8(composed.headers.to_bytes()).unwrap(), body }
}

#[test]
fn every_file_of_a_message_with_several_arrives_on_its_own() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { accept: "signature = true\nencryption = true", ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let letter = several_files();
    let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
    assert!(receipt_in(&answer).disposition.is_positive(), "{}", answer.text());
    assert_eq!(gateway.wait_for("theirs", "inbox", "invoice.xml"), b"<invoice/>");
    assert_eq!(gateway.wait_for("theirs", "inbox", "扫描.pdf"), b"%PDF-1.7");
    let meta = gateway.wait_for("theirs", "inbox", "扫描.pdf.meta.json");
    let meta = String::from_utf8(meta).unwrap();
    assert!(
        meta.contains("\"attachment\": \"2/3\"") && meta.contains("\"content_type\": \"application/pdf\""),
        "{meta}"
    );
    assert!(gateway.stop().success());
    let names = home.names("theirs", "inbox");
    assert_eq!(names.len(), 6, "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("-3.edi")), "{names:?}");
}

#[test]
fn several_files_stay_together_where_the_agreement_says_so() {
    let home = Home::ours();
    let accept = "signature = true\nencryption = true\nsplit_attachments = false";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let letter = several_files();
    let answer = http::post(home.as2, "/as2", &letter.headers, &letter.body).unwrap();
    assert!(receipt_in(&answer).disposition.is_positive(), "{}", answer.text());
    let arrived = || home.names("theirs", "inbox").into_iter().find(|name| name.ends_with(".bin"));
    let name = crate::support::eventually("the whole multipart", arrived);
    let content = gateway.wait_for("theirs", "inbox", &name);
    assert!(content.starts_with(b"--") && content.ends_with(b"--\r\n"));
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox").len(), 2);
}

#[test]
fn several_files_that_are_not_signed_arrive_on_their_own_in_the_wrapping_of_mendelson() {
    let files = "Content-Type: multipart/related; \r\n\tboundary=\"----=_Part_0_1.2\"\r\n\r\n------=_Part_0_1.2\r\n\
                 Content-Type: application/xml\r\nContent-Transfer-Encoding: binary\r\nContent-Disposition: attachment; \
                 filename=invoice.xml\r\n\r\n<invoice/>\r\n------=_Part_0_1.2\r\nContent-Type: application/pdf\r\n\
                 Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=scan.pdf\r\n\r\n\
                 JVBERi0xLjc=\r\n------=_Part_0_1.2--\r\n";
    let note = "\r\n------=_Part_1_2.3\r\nContent-Type: text/plain\r\n\r\na note";
    for (between, arrives) in [("", vec!["invoice.xml", "scan.pdf"]), (note, Vec::new())] {
        let body = format!(
            "Date: Sun, 22 Nov 2026 06:00:00 +0000\r\n\r\n------=_Part_1_2.3\r\n{files}{between}\r\n------=_Part_1_2.3--\r\n"
        );
        let home = Home::ours();
        home.partner("theirs", &PartnerFile::default());
        let gateway = Gateway::start(&home);
        let unsigned = SendPlan { signing: None, encryption: None, file_name: None, ..plan() };
        let fields = letter(&unsigned, "<wrapped@theirs>", b"").headers;
        let fields = fields.lines().filter(|line| !line.starts_with("Content-")).map(|line| format!("{line}\r\n"));
        let kind = "Content-Type: multipart/mixed;\tboundary=\"----=_Part_1_2.3\"\r\n".to_owned();
        let headers: String = fields.chain([kind]).collect();
        let answer = http::post(home.as2, "/as2", &headers, body.as_bytes()).unwrap();
        assert!(receipt_in(&answer).disposition.is_positive(), "{}", answer.text());
        for name in &arrives {
            let content = gateway.wait_for("theirs", "inbox", name);
            assert!(content == b"<invoice/>" || content == b"%PDF-1.7", "{name}");
        }
        let settled = || Some(home.names("theirs", "inbox")).filter(|names| names.len() == 2 * arrives.len().max(1));
        let names = crate::support::eventually("all files and what is told of them", settled);
        // With another part beside the files it is a payload of its own.
        assert_eq!(names.iter().any(|name| name.ends_with(".bin")), arrives.is_empty(), "{names:?}");
        assert!(gateway.stop().success());
    }
}

#[test]
fn a_folder_in_the_outbox_is_one_message_and_its_files_arrive_with_their_names() {
    let their_home = Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more: "" });
    their_home.partner("ours", &PartnerFile { as2_name: "ours", party: keys::ours(), ..PartnerFile::default() });
    let home = Home::ours();
    let delivery = "retry = [\"1s\"]\ngive_up_after = \"1h\"\njitter = 0.0\nfolders_as_messages = true";
    home.partner("theirs", &PartnerFile { url: their_home.url(), delivery, ..PartnerFile::default() });
    let (theirs, gateway) = (Gateway::start(&their_home), Gateway::start(&home));
    let files =
        [("a order.xml", &b"<order/>"[..]), ("b.bin", &[0u8, 13, 10, 255, 45, 45][..]), ("\u{8ba2}\u{5355}.txt", b"")];
    let outbox = home.exchange("theirs", "outbox");
    let aside = outbox.join(".batch 7");
    std::fs::create_dir_all(&aside).unwrap();
    for (name, content) in files {
        std::fs::write(aside.join(name), content).unwrap();
    }
    std::fs::rename(&aside, outbox.join("batch 7")).unwrap();
    for (name, content) in files {
        assert_eq!(theirs.wait_for("ours", "inbox", name), content, "{name}");
    }
    let kept = gateway.wait_for("theirs", "sent", "batch 7.mime");
    assert!(kept.starts_with(b"--dxgate-files-"));
    assert_eq!(home.names("theirs", "outbox"), Vec::<String>::new());
    let claimed = || std::fs::read_dir(home.exchange("theirs", ".claimed")).unwrap().count();
    crate::support::eventually(".claimed is empty", || (claimed() == 0).then_some(()));
    let messages = gateway.api("/api/v1/messages?partner=theirs")["messages"].clone();
    assert_eq!(messages.as_array().map(Vec::len), Some(1));

    // What was sent can be sent again: it is known for what it is.
    home.submit("theirs", "again.mime", &kept);
    gateway.wait_for("theirs", "sent", "again.mime");
    let arrived = || their_home.names("ours", "inbox").iter().filter(|name| name.ends_with(".bin")).count();
    crate::support::eventually("the files arrive once more", || (arrived() == 2).then_some(()));
}

#[test]
fn a_folder_that_was_claimed_before_a_crash_is_sent_once_and_what_is_left_of_it_goes() {
    let their_home = Home::of(&Station { as2_name: "theirs", party: keys::theirs(), more: "" });
    their_home.partner("ours", &PartnerFile { as2_name: "ours", party: keys::ours(), ..PartnerFile::default() });
    let home = Home::ours();
    let delivery = "retry = [\"1s\"]\ngive_up_after = \"1h\"\njitter = 0.0\nfolders_as_messages = true";
    home.partner("theirs", &PartnerFile { url: their_home.url(), delivery, ..PartnerFile::default() });
    // Claimed, and the process ended before it was recorded.
    let claimed = home.exchange("theirs", ".claimed").join("01920000000070008000000000000001~batch");
    let put = |names: &[&str]| {
        std::fs::create_dir_all(&claimed).unwrap();
        for name in names {
            std::fs::write(claimed.join(name), name).unwrap();
        }
    };
    put(&["a.txt", "b.txt"]);
    let theirs = Gateway::start(&their_home);
    let gateway = Gateway::start(&home);
    assert_eq!(theirs.wait_for("ours", "inbox", "b.txt"), b"b.txt");
    gateway.wait_for("theirs", "sent", "batch.mime");
    let messages = gateway.api("/api/v1/messages?partner=theirs")["messages"].clone();
    assert_eq!(messages[0]["id"], "01920000000070008000000000000001", "{messages:#}");
    assert!(gateway.stop().success());

    // Recorded, and the process ended while the files were being removed.
    put(&["b.txt"]);
    let gateway = Gateway::start(&home);
    crate::support::eventually("what is left is removed", || (!claimed.exists()).then_some(()));
    let messages = gateway.api("/api/v1/messages?partner=theirs")["messages"].clone();
    assert_eq!(messages.as_array().map(Vec::len), Some(1), "{messages:#}");
    let inbox = their_home.names("ours", "inbox");
    assert_eq!(inbox.iter().filter(|name| !name.ends_with(".meta.json")).count(), 2, "{inbox:?}");
}

#[test]
fn a_file_of_several_whose_name_came_before_is_refused_where_each_may_come_once() {
    let home = Home::ours();
    let accept = "signature = true\nencryption = true\nfile_names = \"unique\"";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let first = letter(&SendPlan { file_name: Some("invoice.xml".to_owned()), ..plan() }, "<one@theirs>", b"<a/>");
    let answer = http::post(home.as2, "/as2", &first.headers, &first.body).unwrap();
    assert!(receipt_in(&answer).disposition.is_positive(), "{}", answer.text());
    let several = several_files();
    let answer = http::post(home.as2, "/as2", &several.headers, &several.body).unwrap();
    assert!(receipt_in(&answer).disposition.says("duplicate-filename"), "{}", answer.text());
    assert_eq!(gateway.wait_for("theirs", "inbox", "invoice.xml"), b"<a/>");
    assert!(gateway.stop().success());
    assert_eq!(home.names("theirs", "inbox").len(), 2);
}

#[test]
fn a_multipart_that_is_named_like_a_file_in_it_holds_no_name_twice() {
    let home = Home::ours();
    let accept = "signature = true\nencryption = true\nfile_names = \"unique\"";
    home.partner("theirs", &PartnerFile { accept, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let several = several_named(Some("invoice.xml"));
    let answer = http::post(home.as2, "/as2", &several.headers, &several.body).unwrap();
    assert!(receipt_in(&answer).disposition.is_positive(), "{}", answer.text());
    assert_eq!(gateway.wait_for("theirs", "inbox", "invoice.xml"), b"<invoice/>");
    assert!(gateway.stop().success());
}

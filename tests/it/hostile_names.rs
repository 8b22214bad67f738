//! Names that are not what they look like: of the partner, of the file that a message brings, and of the message itself;
//! and of a file in the outbox that cannot be read as a name at all.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dxgate::as2::{MdnAsk, SendPlan};

use crate::support::correspondent::{self, Kind, Letter, receipt_for, receipt_in};
use crate::support::gateway::{Gateway, run};
use crate::support::home::{Home, PartnerFile};
use crate::support::inside::{self, Inside, pass};
use crate::support::scripted::{self, Scripted};
use crate::support::{eventually, http};

fn letter(number: usize) -> Letter {
    let mdn = MdnAsk::none();
    let plan = SendPlan { signing: None, encryption: None, file_name: None, mdn, ..correspondent::plan() };
    correspondent::letter(&plan, &format!("<{number}@theirs>"), format!("<order n=\"{number}\"/>").as_bytes())
}

fn with(headers: &str, name: &str, value: &str) -> String {
    let others = headers.lines().filter(|line| !line.starts_with(&format!("{name}:")));
    let others: String = others.map(|line| format!("{line}\r\n")).collect();
    format!("{others}{name}: {value}\r\n")
}

#[test]
fn thirty_spellings_find_the_partner_exactly_or_nobody() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { as2_name: "Trading Partner", ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let (known, nobody, unreadable) = (200, 403, 400);
    let table = [
        ("\"Trading Partner\"", known),
        ("Trading Partner", known),
        ("  Trading Partner  ", known),
        ("\"Trading Partner\" ", known),
        ("\t\"Trading Partner\"", known),
        ("Trading  Partner", nobody),
        ("\"Trading Partner \"", nobody),
        ("\"\\\"Trading Partner\\\"\"", nobody),
        ("\" Trading Partner\"", nobody),
        ("TradingPartner", nobody),
        ("Trading_Partner", nobody),
        ("Trading-Partner", nobody),
        ("trading partner", nobody),
        ("TRADING PARTNER", nobody),
        ("Trading partner", nobody),
        ("Trading Partne", nobody),
        ("Trading Partners", nobody),
        ("Trading Partner.", nobody),
        ("Trading%20Partner", nobody),
        ("Trading+Partner", nobody),
        ("=?UTF-8?Q?Trading_Partner?=", nobody),
        ("<Trading Partner>", nobody),
        ("Trading Partner, ours", nobody),
        ("Trading Partner; x=y", nobody),
        ("'Trading Partner'", nobody),
        ("theirs", nobody),
        ("ours", nobody),
        ("../Trading Partner", nobody),
        ("\"Trading Partner", unreadable),
        ("Trading Partner\"", unreadable),
        ("\"Trading\" Partner", unreadable),
        ("Trading\\ Partner", unreadable),
        ("\"\"Trading Partner\"\"", unreadable),
        ("Tr\u{430}ding Partner", unreadable),
        ("Trading\u{a0}Partner", unreadable),
        ("Trading\u{200b} Partner", unreadable),
        ("", unreadable),
    ];
    assert!(table.len() >= 30);
    for (number, (spelling, status)) in table.into_iter().enumerate() {
        let Letter { headers, body } = letter(number);
        let answer = http::post(home.as2, "/as2", &with(&headers, "AS2-From", spelling), &body).unwrap();
        assert_eq!(answer.status, status, "{spelling:?}: {}\n{}", answer.text(), gateway.log());
    }
    // Ours is compared in the same way.
    for (number, (spelling, status)) in
        [("\"ours\"", known), ("OURS", nobody), ("our", nobody), ("\"ours\\\"", unreadable)].into_iter().enumerate()
    {
        let Letter { headers, body } = letter(100 + number);
        let headers = with(&with(&headers, "AS2-From", "Trading Partner"), "AS2-To", spelling);
        assert_eq!(http::post(home.as2, "/as2", &headers, &body).unwrap().status, status, "{spelling:?}");
    }
}

/// Every piece with every other one: what leads out of a folder, what a shell or a system takes for something else.
fn hostile_names() -> Vec<String> {
    let before = [
        "",
        "../",
        "..\\",
        "../../../",
        "/",
        "C:",
        "C:\\",
        "\\\\host\\share\\",
        "./",
        "~/",
        "%2e%2e%2f",
        "inbox/../../",
    ];
    let names = [
        "passwd",
        ".",
        "..",
        "con",
        "NUL.txt",
        "-rf",
        ".bashrc",
        "a\u{202e}lmx.exe",
        "$(id)",
        "`id`.xml",
        "a;b|c&d",
        "订单.xml",
    ];
    let mut all: Vec<String> =
        before.iter().flat_map(|before| names.iter().map(move |name| format!("{before}{name}"))).collect();
    all.extend([
        "x".repeat(4096),
        format!("{}.xml", "订".repeat(400)),
        "name. . ".to_owned(),
        "same.xml".to_owned(),
        "same.xml".to_owned(),
        "same.xml.meta.json".to_owned(),
        ".staged".to_owned(),
        "a*?<>:\"b".replace('"', ""),
        "<script>alert(1)</script>".to_owned(),
        "％2e％2e／etc".to_owned(),
    ]);
    all
}

#[test]
fn a_hundred_and_fifty_hostile_file_names_make_files_in_the_inbox_alone() {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    let gateway = Gateway::start(&home);
    let around = home.path("").parent().unwrap().to_path_buf();
    let names = hostile_names();
    assert!(names.len() >= 150, "{}", names.len());
    let before = everything_but(&home, &around);
    for (number, name) in names.iter().enumerate() {
        let Letter { headers, body } = letter(number);
        let value = if number % 2 == 0 {
            format!("attachment; filename=\"{}\"", name.replace('\\', "\\\\"))
        } else {
            let escaped: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            format!("attachment; filename*=UTF-8''{escaped}")
        };
        let headers = with(&headers, "Content-Disposition", &value);
        let answer = http::post(home.as2, "/as2", &headers, &body).unwrap();
        assert_eq!(answer.status, 200, "{name:?}: {}\n{}", answer.text(), gateway.log());
    }
    let payloads = || {
        let names = home.names("theirs", "inbox").into_iter().filter(|name| !name.ends_with(".meta.json"));
        names.map(|name| fs::read(home.exchange("theirs", "inbox").join(name)).unwrap()).collect::<BTreeSet<_>>()
    };
    // Each has its own file: none was written over another, and none hides.
    eventually("all are published", || (payloads().len() == names.len()).then_some(()));
    assert_eq!(everything_but(&home, &around), before);
}

#[test]
fn a_name_in_the_outbox_that_is_not_utf_8_is_an_alert_until_the_file_is_renamed_and_sent() {
    let peer = Scripted::start(|_, posted| Some(correspondent::acknowledge(posted, Kind::default())));
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let clock = inside::clock();
    let gateway = Inside::start(&home, &clock);
    // 订单.xml in GBK, as a program of a Chinese Windows uploads it.
    let outbox = home.exchange("theirs", "outbox");
    fs::create_dir_all(&outbox).unwrap();
    let dropped = outbox.join(OsStr::from_bytes(b"\xb6\xa9\xb5\xa5.xml"));
    fs::write(&dropped, "<order/>").unwrap();
    let stuck = || {
        let open = gateway.api("/api/v1/alerts")["alerts"].clone();
        open.as_array().unwrap().iter().find(|alert| alert["code"] == "outbox-stuck").cloned()
    };
    let found = eventually("somebody is told", || {
        pass(&clock, Duration::from_secs(60));
        stuck()
    });
    assert_eq!(found["partner"], "theirs", "{found:#}");
    assert!(found["text"]["en"].as_str().unwrap().contains("is not UTF-8; it is not sent. Rename it."), "{found:#}");
    assert!(dropped.exists() && peer.posted().is_empty());
    fs::rename(&dropped, outbox.join("订单.xml")).unwrap();
    eventually("it is sent", || (home.names("theirs", "sent") == ["订单.xml"]).then_some(()));
    eventually("that is over", || stuck().is_none().then_some(()));
    assert_eq!(correspondent::open(&peer.posted()[0]).payload, b"<order/>");
}

/// Every path of the home but those of the inbox, the gateway's data and its log; and what lies beside the home.
fn everything_but(home: &Home, around: &Path) -> BTreeSet<PathBuf> {
    let inbox = home.exchange("theirs", "inbox");
    let mut found = BTreeSet::new();
    let mut folders = vec![home.path("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path == inbox || path.ends_with("data") || path.ends_with("gateway.log") {
                continue;
            }
            if path.is_dir() {
                folders.push(path.clone());
            }
            found.insert(path);
        }
    }
    let suspicious = ["passwd", "-rf", ".bashrc", "NUL.txt", "con", "订单.xml"];
    found.extend(suspicious.into_iter().map(|name| around.join(name)).filter(|path| path.exists()));
    found
}

/// In every Message-ID below; no file and no folder may have it in its name.
const ESCAPED: &str = "escaped";

/// Message-IDs that would be paths, or something else to a shell or a system, up to the longest there is.
fn hostile_ids() -> Vec<String> {
    let parts = [
        "../../../../../../escaped@theirs",
        "..\\..\\escaped@theirs",
        "/escaped",
        "//escaped/x@theirs",
        "./escaped",
        "~/escaped@theirs",
        "inbox/../../../escaped@theirs",
        "C:\\escaped@theirs",
        "\\\\host\\escaped@theirs",
        "%2e%2e%2fescaped@theirs",
        "%00escaped@theirs",
        "\\0escaped@theirs",
        ".escaped",
        "-rf escaped@theirs",
        "con.escaped@theirs",
        "escaped:stream@theirs",
        "$(touch escaped)@theirs",
        "`touch escaped`@theirs",
        "a;touch escaped|x&y@theirs",
        "file:///escaped@theirs",
    ];
    let mut all: Vec<String> = parts.iter().map(|part| format!("<{part}>")).collect();
    // Without brackets, and with as many characters as there may be.
    all.extend(["../escaped".to_owned(), "/../escaped/".to_owned()]);
    all.push(format!("<{}escaped@theirs>", "../".repeat(300)));
    all.push(format!("<{}/escaped>", "x".repeat(998 - "</escaped>".len())));
    all
}

#[test]
fn no_message_id_becomes_a_path_in_the_inbox_among_the_receipts_or_in_evidence() {
    let ids = hostile_ids();
    assert!(ids.len() >= 24 && ids.iter().all(|id| id.contains(ESCAPED)) && ids.iter().any(|id| id.len() == 998));
    // The receipts for what we send have such names as well.
    let theirs = ids.clone();
    let peer = Scripted::start(move |number, posted| {
        let Letter { headers, body } = receipt_for(posted, Kind::default());
        let headers = with(&headers, "Message-ID", &theirs[number % theirs.len()]);
        Some(scripted::answer(200, &headers, &body))
    });
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    for (number, id) in ids.iter().enumerate() {
        home.submit("theirs", &format!("{number}.xml"), b"<order/>");
        let plan = SendPlan { signing: None, encryption: None, file_name: None, ..correspondent::plan() };
        let Letter { headers, body } = correspondent::letter(&plan, id, format!("<order n=\"{number}\"/>").as_bytes());
        let answer = http::post(home.as2, "/as2", &headers, &body).unwrap();
        assert!(receipt_in(&answer).disposition.is_positive(), "{id}: {}\n{}", answer.text(), gateway.log());
    }
    // One character more is too many, and neither a NUL nor another control is one.
    let long = format!("<{}>", "x".repeat(997));
    for id in [long.as_str(), "<escaped\0@theirs>", "<escaped\t@theirs>"] {
        let Letter { headers, body } = letter(1000);
        let answer = http::post(home.as2, "/as2", &with(&headers, "Message-ID", id), &body).unwrap();
        assert_eq!(answer.status, 400, "{id:?}: {}", answer.text());
    }

    let mut sent: Vec<String> = (0..ids.len()).map(|number| format!("{number}.xml")).collect();
    sent.sort();
    eventually("all are delivered", || (home.names("theirs", "sent") == sent).then_some(()));
    let mut receipts: Vec<String> =
        sent.iter().flat_map(|name| [format!("{name}.mdn"), format!("{name}.mdn.json")]).collect();
    receipts.sort();
    eventually("all have their receipts", || (home.names("theirs", "receipts") == receipts).then_some(()));
    let inbound = gateway.api("/api/v1/messages?direction=inbound&limit=500")["messages"].as_array().unwrap().clone();
    let mut arrived = BTreeSet::new();
    for message in &inbound {
        let id = message["id"].as_str().unwrap();
        arrived.extend([format!("{id}.xml"), format!("{id}.xml.meta.json")]);
        // A folder of evidence each for some of them.
        if message["message_id"].as_str().unwrap().contains("..") {
            let (config, folder) = (home.config(), home.path(&format!("evidence-{id}")));
            let words = ["messages", "export", id, "--out", folder.to_str().unwrap()];
            let output = run(&[&["--config", config.to_str().unwrap()], &words[..]].concat());
            assert!(output.status.success(), "{message:#}: {}", String::from_utf8_lossy(&output.stderr));
            assert!(folder.join("payload.bin").exists());
        }
    }
    assert_eq!(inbound.len(), ids.len());
    let inbox = || home.names("theirs", "inbox").into_iter().collect::<BTreeSet<_>>();
    eventually("all are published", || (inbox() == arrived).then_some(()));
    assert_eq!(named(ESCAPED, &home), Vec::<PathBuf>::new());
    // The control.
    fs::write(home.path("data").join(ESCAPED), b"").unwrap();
    assert_eq!(named(ESCAPED, &home), [home.path("data").join(ESCAPED)]);
}

/// What has this in its name: anywhere below the home, and where one could get to from there.
fn named(part: &str, home: &Home) -> Vec<PathBuf> {
    let top = home.path("");
    let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut all: Vec<PathBuf> = top.ancestors().skip(1).flat_map(entries).collect();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for path in entries(&folder) {
            if path.is_dir() {
                folders.push(path.clone());
            }
            all.push(path);
        }
    }
    all.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().contains(part)));
    all
}

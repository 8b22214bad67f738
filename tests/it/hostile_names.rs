//! Names that are not what they look like: of the partner, and of the file that a message brings.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dxgate::as2::{MdnAsk, SendPlan};

use crate::support::correspondent::{self, Letter};
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
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

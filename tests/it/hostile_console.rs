//! What was tried against the consoles of other products, tried against ours: an AS2 header that becomes a session, script
//! in header fields and file names, files that run because of where they lie, paths that leave the pages, questions
//! without measure. The browser's part is the scene `hostile`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use dxgate::as2::SendPlan;
use serde_json::{Value, json};

use crate::console_browser;
use crate::support::correspondent::{self, Kind, acknowledge};
use crate::support::gateway::{Gateway, dxgate};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::scripted::Scripted;
use crate::support::{DEADLINE, eventually, http, keys};

/// Texts that were script, a path, an escape or a format somewhere. None may be more than text here.
const NAUGHTY: [&str; 14] = [
    "<script>window.pwned=1</script>",
    "\"><img src=x onerror=\"window.pwned=1\">",
    "'><svg onload=window.pwned=1>",
    "</title><iframe srcdoc='<script>parent.pwned=1</script>'>",
    "javascript:window.pwned=1//",
    "{{constructor.constructor('window.pwned=1')()}}",
    "${jndi:ldap://127.0.0.1:9/a}",
    "' OR 1=1; DROP TABLE messages; --",
    "%0d%0aSet-Cookie: dxgate=1",
    "%3Cscript%3Ewindow.pwned=1%3C/script%3E",
    "../../../../etc/passwd",
    "\u{202e}lmx.redro",
    "\u{feff}\u{2028}order",
    "=?utf-8?B?PHNjcmlwdD53aW5kb3cucHduZWQ9MTwvc2NyaXB0Pg==?=",
];

/// Fields of an AS2 request that a stranger fills, and that end somewhere in records, logs or pages.
const FIELDS: [&str; 14] = [
    "Host",
    "User-Agent",
    "Subject",
    "From",
    "Date",
    "Message-ID",
    "AS2-From",
    "AS2-Version",
    "EDIINT-Features",
    "Content-Type",
    "Content-Disposition",
    "Content-Description",
    "Disposition-Notification-To",
    "Receipt-Delivery-Option",
];

/// A partner that confirms whatever it gets, and may send unprotected messages.
fn home(peer: &Scripted) -> Home {
    let more = "[log]\nformat = \"json\"\n";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    home.partner("theirs", &PartnerFile { url: peer.url(), ..PartnerFile::default() });
    home
}

fn confirming() -> Scripted {
    Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())))
}

/// The letter's header lines with `field` saying `value`, as octets.
fn with_field(headers: &str, field: &str, value: &str) -> String {
    let other = |line: &&str| !line.to_ascii_lowercase().starts_with(&format!("{}:", field.to_ascii_lowercase()));
    let kept: String = headers.split_inclusive("\r\n").filter(other).collect();
    format!("{kept}{field}: {value}\r\n")
}

/// Every text in every field of a message, in names of files both ways, in reasons and in names of programs.
fn fill(home: &Home, gateway: &Gateway<'_>) {
    let plan = SendPlan { signing: None, encryption: None, ..correspondent::plan() };
    for (f, field) in FIELDS.iter().enumerate() {
        for (n, naughty) in NAUGHTY.iter().enumerate() {
            let letter = correspondent::letter(&plan, &format!("<{f}.{n}@theirs>"), b"<order/>");
            let value = match *field {
                "Content-Disposition" => format!("attachment; filename=\"{}\"", naughty.replace('"', "\\\"")),
                "Message-ID" => format!("<{naughty}@theirs>"),
                _ => (*naughty).to_owned(),
            };
            // Refused or taken: what matters is what becomes of the text.
            let host = if *field == "Host" { value.clone() } else { home.as2.to_string() };
            let headers = if *field == "Host" { letter.headers } else { with_field(&letter.headers, field, &value) };
            let length = letter.body.len();
            let head = format!(
                "POST /as2 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n"
            );
            let _ = http::exchange(home.as2, &[head.as_bytes(), &letter.body].concat());
        }
    }
    let files = NAUGHTY.map(|naughty| format!("{}.xml", naughty.replace('/', "\u{2215}")));
    files.iter().for_each(|name| home.submit("theirs", name, b"<order/>"));
    home.submit("theirs", "\u{1b}[31mred.xml", b"<order/>");
    let bearer = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", home.token().unwrap());
    let post = |path: &str, body: Value| http::post(home.console, path, &bearer, body.to_string().as_bytes()).unwrap();
    for naughty in NAUGHTY {
        for action in ["pause", "resume"] {
            let answer = post(&format!("/api/v1/partners/theirs/{action}"), json!({ "reason": naughty }));
            assert_eq!(answer.status, 200, "{naughty}");
        }
        post("/api/v1/tokens", json!({ "name": naughty, "scope": "read", "days": 1 }));
        post("/api/v1/users", json!({ "name": naughty, "role": "viewer", "password": "correct horse battery" }));
        let silence =
            json!({ "code": naughty, "partner": naughty, "until": "2099-01-01T00:00:00Z", "reason": naughty });
        post("/api/v1/alerts/silences", silence);
    }
    // Names that would be obeyed where they are shown stay where they are, and so do hidden ones.
    let sendable = |name: &&String| !name.starts_with('.') && dxgate::ground::text::printable(name) == **name;
    let sendable = files.iter().filter(sendable).count();
    eventually("every file was sent", || {
        let list = gateway.api("/api/v1/messages?direction=outbound&state=delivered&limit=500");
        (list["messages"].as_array()?.len() == sendable).then_some(())
    });
    assert_eq!(home.names("theirs", "outbox").len(), 3, "two with direction marks, one with an escape");
}

/// Every path of the API that is read, with what there is for its parameters.
fn readable(gateway: &Gateway<'_>) -> Vec<String> {
    let document = gateway.api("/api/v1/openapi.json");
    let messages = gateway.api("/api/v1/messages?limit=500")["messages"].clone();
    let id = messages[0]["id"].as_str().unwrap();
    let paths = document["paths"].as_object().unwrap().iter().filter(|(_, methods)| methods.get("get").is_some());
    let paths = paths.map(|(path, _)| path.as_str()).filter(|path| !path.ends_with("/events"));
    let filled = |path: &str| {
        let id = if path.contains("/messages/") { id } else { "theirs" };
        let path = path.replace("{id}", id).replace("{key}", "x").replace("{run}", "x");
        if path.starts_with("/api/v1") { path } else { format!("/api/v1{path}") }
    };
    paths.map(filled).collect()
}

#[test]
fn script_in_every_header_field_and_file_name_stays_text_in_answers_logs_and_on_terminals() {
    let peer = confirming();
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    fill(&home, &gateway);
    let paths = readable(&gateway);
    assert!(paths.len() > 20, "{paths:?}");
    for path in &paths {
        let answer = http::get(home.console, path, home.token().as_deref()).unwrap();
        let head = answer.head.to_ascii_lowercase();
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default().to_owned();
        let inert = ["application/json", "application/problem+json", "application/octet-stream", "application/pdf"];
        assert!(inert.iter().any(|inert| kind.starts_with(inert)), "{path} is {kind}");
        assert!(head.contains("x-content-type-options: nosniff"), "{path}: {head}");
        assert!(head.contains("content-security-policy: default-src 'none'"), "{path}: {head}");
        assert!(!head.lines().any(|line| line.starts_with("set-cookie")), "{path}: {head}");
    }
    let stored = gateway.api("/api/v1/messages?limit=500");
    let inbound = stored["messages"].as_array().unwrap().iter().filter(|line| line["direction"] == "inbound").count();
    assert!(inbound > FIELDS.len() * 4, "the texts did come in: {inbound} messages");
    assert!(stored.to_string().contains("onerror="), "and are shown as they are");
    let log = fs::read_to_string(home.log()).unwrap();
    // The last line may be in the making.
    let log = &log[..log.rfind('\n').unwrap()];
    for line in log.lines().filter(|line| line.starts_with('{')) {
        serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let raw = line.chars().find(|c| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{feff}'));
        assert_eq!(raw, None, "{line}");
    }
    let first = stored["messages"][0]["id"].as_str().unwrap();
    for command in [
        vec!["messages", "list", "--limit", "500"],
        vec!["messages", "show", first],
        vec!["alerts", "list"],
        vec!["alerts", "silences"],
        vec!["declarations", "list"],
        vec!["audit", "list", "--limit", "500"],
        vec!["partner", "status"],
        vec!["cert", "status"],
        vec!["token", "list"],
        vec!["user", "list"],
        vec!["queue"],
    ] {
        let output = dxgate().args(&command).args(["--lang", "en", "--config"]).arg(home.config()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{command:?}: {text}");
        let obeyed = |c: &char| (c.is_control() && *c != '\n') || matches!(c, '\u{2028}'..='\u{202e}' | '\u{feff}');
        assert_eq!(text.chars().find(obeyed), None, "{command:?}: {text:?}");
    }
}

#[test]
fn script_in_every_header_field_and_file_name_stays_text_on_every_page() {
    let peer = confirming();
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    fill(&home, &gateway);
    let facts = json!({ "console": format!("http://{}", home.console), "setup": home.path("console.setup") });
    console_browser::run("hostile", &facts, &gateway);
}

#[test]
fn no_field_of_as2_leads_to_a_session_even_in_a_race() {
    let peer = confirming();
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    let mut paths = readable(gateway_with_a_message(&home, &gateway));
    let open = ["/api/v1/openapi.json", "/api/v1/setup"];
    paths.retain(|path| !open.contains(&path.as_str()));
    let cookie = "Cookie: dxgate=0123456789abcdef; CrushAuth=1743113839577_vD96EZ70ONL6xAd1DAJhXMZYMn1111\r\n";
    let admin = "AS2-TO: \\crushadmin\r\nAS2-From: ours\r\nContent-Type: disposition-notification\r\n";
    let raced = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for worker in 0..4 {
            let (paths, home, raced) = (&paths, &home, &raced);
            scope.spawn(move || {
                for race in 0..250 {
                    let path = &paths[(race * 4 + worker) % paths.len()];
                    let console = home.console;
                    let head = |method: &str, more: &str| {
                        format!(
                            "{method} {path} HTTP/1.1\r\nHost: {console}\r\nConnection: close\r\n{cookie}{more}\r\n"
                        )
                    };
                    let wrong = head("POST", &format!("{admin}Content-Length: 0\r\n"));
                    let beside = http::post(home.as2, "/as2", &format!("{admin}{cookie}"), b"x").unwrap();
                    assert!(!(200..300).contains(&beside.status), "{}", beside.head);
                    for request in [wrong.as_str(), &head("GET", ""), &head("GET", admin)] {
                        let answer = http::exchange(console, request.as_bytes()).unwrap();
                        let refused = matches!(answer.status, 401 | 403 | 404 | 405 | 415);
                        assert!(refused, "{request}: {}", answer.head);
                        assert!(!answer.head.to_ascii_lowercase().contains("set-cookie"), "{}", answer.head);
                    }
                    raced.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(raced.into_inner(), 1000);
    // The other way round: what opens the console is nothing on the AS2 port.
    let token = home.token().unwrap();
    for path in paths {
        let answer = http::get(home.as2, &path, Some(&token)).unwrap();
        assert_eq!(answer.status, 404, "{path}");
    }
    assert!(gateway.is_ready());
}

/// The same gateway, which has a message by now.
fn gateway_with_a_message<'g, 'h>(home: &Home, gateway: &'g Gateway<'h>) -> &'g Gateway<'h> {
    home.submit("theirs", "order.xml", b"<order/>");
    gateway.wait_for("theirs", "sent", "order.xml");
    gateway
}

#[test]
fn nothing_that_lands_in_a_watched_folder_is_ever_run() {
    let peer = confirming();
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    gateway_with_a_message(&home, &gateway);
    let (mark, aside) = (home.path("it-ran"), home.path("aside"));
    let script = format!("#!/bin/sh\ntouch '{}'\n", mark.display());
    let kinds = [
        "sh", "bash", "py", "pl", "rb", "js", "mjs", "php", "jsp", "jar", "war", "class", "exe", "dll", "com", "bat",
        "cmd", "ps1", "vbs", "wsf", "hta", "msi", "scr", "lnk", "reg", "desktop", "service", "timer", "socket", "path",
        "so", "ko", "deb", "rpm", "apk", "run", "bin", "elf", "appimage", "toml", "xml", "xsl", "html", "svg",
        "htaccess", "cron", "rules", "conf", "lock", "wasm",
    ];
    assert_eq!(kinds.len(), 50);
    let exchange = home.path("exchange/theirs");
    let visible = ["outbox", "sent", "rejected", "failed", "receipts", "inbox"].map(|folder| exchange.join(folder));
    let ours = ["partners", "data", "data/tmp", "data/bodies", "exchange/theirs/.staged", "exchange/theirs/.claimed"];
    let folders: BTreeSet<_> = visible.into_iter().chain(ours.map(|folder| home.path(folder))).collect();
    for folder in folders.iter().filter(|folder| folder.is_dir()) {
        let autorun = folder.join("autorun");
        // Not where a folder would be taken for a message with several files.
        let places =
            if folder.ends_with("outbox") { vec![folder.clone()] } else { vec![folder.clone(), autorun.clone()] };
        for place in places {
            fs::create_dir_all(&place).unwrap();
            // A partner's file that is none keeps the gateway from starting, as it should.
            let kinds = kinds.iter().filter(|kind| **kind != "toml" || !place.ends_with("partners"));
            kinds.for_each(|kind| executable(&aside, &place.join(format!("autorun.{kind}")), &script));
        }
    }
    eventually("all of the outbox was sent as it is", || {
        (home.names("theirs", "sent").iter().filter(|name| name.starts_with("autorun")).count() >= kinds.len())
            .then_some(())
    });
    let children = fs::read_dir(format!("/proc/{}/task", gateway.pid())).unwrap();
    let children = children.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    assert_eq!(children.collect::<String>().trim(), "", "it started a program");
    assert!(gateway.stop().success());
    let gateway = Gateway::start(&home);
    assert!(gateway.is_ready() && !mark.exists(), "something that was dropped has run");
}

/// Made aside: what lies in a watched folder may be taken the next moment.
fn executable(aside: &Path, path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(aside).unwrap();
    file.write_all(text.as_bytes()).unwrap();
    fs::rename(aside, path).unwrap();
}

/// Ways to write "one up" and "further down" that some server took for it.
fn spellings() -> BTreeSet<String> {
    let ups = ["..", "%2e%2e", "%252e%252e", "..;", ".%2e", "%c0%ae%c0%ae", "..%00", "....", "%uff0e%uff0e"];
    let slashes = ["/", "\\", "%2f", "%5c", "%252f", "//", "/./", "%c0%af"];
    let starts = ["/", "/assets/", "/api/v1/", "/ui/", "/setup/"];
    let mut all = BTreeSet::new();
    for up in ups {
        for slash in slashes {
            let path = [format!("{up}{slash}").repeat(8).as_str(), "etc", slash, "passwd"].concat();
            all.extend(starts.map(|start| format!("{start}{path}")));
        }
    }
    for name in [
        "index.html",
        "src/console/pages.rs",
        "gateway.toml",
        "console.token",
        ".git/config",
        "console.css%00",
        "app.js/",
        "app.js;x",
        "APP.JS",
        "./app.js",
        "%61pp.js",
    ] {
        all.insert(format!("/assets/{name}"));
        all.insert(format!("/{name}"));
    }
    all
}

#[test]
fn two_hundred_spellings_of_a_path_find_nothing() {
    let peer = confirming();
    let home = home(&peer);
    let _gateway = Gateway::start(&home);
    let spellings = spellings();
    assert!(spellings.len() > 200, "{}", spellings.len());
    for path in &spellings {
        for token in [None, home.token()] {
            let answer = http::get(home.console, path, token.as_deref()).unwrap();
            assert!(matches!(answer.status, 400 | 401 | 404), "{path}: {}", answer.head);
            let text = answer.text();
            for secret in ["root:", "[station]", "include_bytes", &home.token().unwrap()] {
                assert!(!text.contains(secret), "{path} gave {text}");
            }
        }
    }
}

#[test]
fn pages_bodies_and_questions_without_measure_are_refused_and_harm_nothing() {
    let peer = confirming();
    let home = home(&peer);
    let gateway = Gateway::start(&home);
    let token = home.token().unwrap();
    let bearer = format!("Authorization: Bearer {token}\r\nContent-Type: application/json\r\n");
    for list in ["messages", "declarations", "alerts", "audit"] {
        for query in [
            "limit=0",
            "limit=501",
            "limit=-1",
            "limit=1e9",
            "limit=99999999999999999999999999999999",
            "limit=%00",
            "limit=",
            "limit=1&limit=500",
            "before=%2e%2e",
            "before=99999999999999999999999999999999999",
            "unknown=1",
        ] {
            let answer = http::get(home.console, &format!("/api/v1/{list}?{query}"), Some(&token)).unwrap();
            assert_eq!(answer.status, 400, "{list}?{query}: {}", answer.text());
        }
        let long = "x".repeat(200_000);
        let answer = http::get(home.console, &format!("/api/v1/{list}?partner={long}"), Some(&token)).unwrap();
        assert!(matches!(answer.status, 400 | 414 | 431), "{list}: {}", answer.head);
        let many = "%26".repeat(2_000);
        let answer = http::get(home.console, &format!("/api/v1/{list}?partner={many}"), Some(&token)).unwrap();
        assert!(matches!(answer.status, 200 | 400 | 404), "{list}: {}", answer.head);
    }
    let deep = ["[".repeat(30_000), "]".repeat(30_000)].concat();
    let wide = format!("{{{}\"reason\":\"x\"}}", "\"a\":1,".repeat(8_000));
    let endless = format!("{{\"reason\":\"{}\"}}", "x".repeat(10_000_000));
    for (body, what) in [(&deep, "deep"), (&wide, "wide"), (&endless, "endless")] {
        let answer = http::post(home.console, "/api/v1/partners/theirs/pause", &bearer, body.as_bytes()).unwrap();
        let taken = what == "wide" && answer.status == 200;
        assert!(taken || matches!(answer.status, 400 | 413), "{what}: {}", answer.head);
    }
    let fields = "X-A: b\r\n".repeat(20_000);
    let answer = http::post(home.console, "/api/v1/session", &fields, b"");
    assert!(answer.map_or(true, |answer| answer.status >= 400), "fields without end");
    assert!(gateway.is_ready(), "{}", gateway.log());
}

#[test]
fn files_for_the_pre_check_are_read_into_memory_a_few_at_a_time() {
    let peer = confirming();
    let home = home(&peer);
    let _gateway = Gateway::start(&home);
    let token = home.token().unwrap();
    let ask = || {
        let mut socket = TcpStream::connect(home.console).unwrap();
        let head = format!(
            "POST /api/v1/precheck?name=a.xml HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: 33000000\r\nExpect: 100-continue\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).unwrap();
        socket
    };
    let is_read = |socket: &mut TcpStream, within: Duration| {
        socket.set_read_timeout(Some(within)).unwrap();
        let mut begun = [0; 12];
        socket.read_exact(&mut begun).is_ok_and(|()| begun == *b"HTTP/1.1 100")
    };
    let mut open: Vec<TcpStream> = (0..4).map(|_| ask()).collect();
    assert!(open.iter_mut().all(|socket| is_read(socket, DEADLINE)));
    let mut next = ask();
    assert!(!is_read(&mut next, Duration::from_millis(700)), "it waits for its turn");
    let fields = format!("Authorization: Bearer {token}\r\n");
    let short = http::post(home.console, "/api/v1/precheck?name=a.xml", &fields, b"<a/>").unwrap();
    assert_eq!(short.status, 200, "what is short waits for none");
    drop(open.pop());
    assert!(is_read(&mut next, DEADLINE), "and has it when another has ended");
}

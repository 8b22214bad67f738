//! The console in front of many messages: what each of its first views asks for, in server time and bytes:
//! `cargo bench --bench console`.
//!
//! A gateway as it runs in production, with as many finished messages in its journal as `DXGATE_BENCH_MESSAGES` says
//! (1,000,000 by default) is asked for every answer over loopback, a connection each, so that
//! the time is that of the server and the socket. `-- --keep` leaves the gateway running and says where, to be looked at
//! in a browser.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, clippy::disallowed_methods, reason = "a bench")]
#![allow(clippy::cast_precision_loss, reason = "figures for people")]

#[allow(dead_code, missing_docs, reason = "shared with the tests, which use all of it")]
#[path = "../tests/it/support/mod.rs"]
mod support;

mod measure;

use std::io::Read as _;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use support::gateway::Gateway;
use support::home::{Home, PartnerFile};
use support::{http, population};

/// The program's own.
#[global_allocator]
static ALLOCATOR: dxgate::ground::allocator::Allocator = dxgate::ground::allocator::ALLOCATOR;

/// What a view asks for, besides the page's own files.
const ANSWERS: [(&str, &str); 15] = [
    ("now", "/api/v1/summary"),
    ("now", "/api/v1/queue"),
    ("now", "/api/v1/figures"),
    ("now", "/api/v1/alerts?limit=50"),
    ("now", "/api/v1/partners"),
    ("now", "/api/v1/certificates"),
    ("messages", "/api/v1/messages?limit=200"),
    ("messages, one partner", "/api/v1/messages?limit=200&partner=partner-3"),
    ("messages, one state", "/api/v1/messages?limit=200&state=delivered"),
    ("messages, rare state", "/api/v1/messages?limit=200&state=queued"),
    ("messages, one direction", "/api/v1/messages?limit=200&direction=inbound"),
    ("messages, a file name", "/api/v1/messages?limit=200&text=CEB311Message-7777"),
    ("messages, many of a word", "/api/v1/messages?limit=200&text=CEB311"),
    ("declarations", "/api/v1/declarations?limit=200"),
    ("audit", "/api/v1/audit?limit=200"),
];

fn main() {
    let smoke = measure::is_smoke();
    let default = if smoke { 400 } else { 1_000_000 };
    let messages = std::env::var("DXGATE_BENCH_MESSAGES").map_or(default, |text| text.parse().unwrap());
    let times = if smoke { 3 } else { 200 };
    let home = Home::ours();
    for number in 0..7 {
        let (id, url) = (format!("partner-{number}"), "http://127.0.0.1:9/as2".to_owned());
        home.partner(&id, &PartnerFile { as2_name: &id, url, ..PartnerFile::default() });
    }
    population::fill(&home.path("data"), Timestamp::now() - SignedDuration::from_hours(1), messages);
    let begun = Instant::now();
    let gateway = Gateway::start(&home);
    println!("start with {messages} messages: {:.2} s", begun.elapsed().as_secs_f64());
    println!("{:<26} | {:>9} | {:>9} | {:>9} | {:>9}", "view", "p50 ms", "p99 ms", "most ms", "bytes");
    for (view, path) in ANSWERS {
        print_line(view, &measured(&home, path, times));
    }
    let older = second_page(&gateway);
    print_line("messages, the next page", &measured(&home, &older, times));
    let one = gateway.api("/api/v1/messages?limit=1")["messages"][0]["id"].as_str().unwrap().to_owned();
    print_line("message", &measured(&home, &format!("/api/v1/messages/{one}"), times));
    print_line("message, its timeline", &measured(&home, &format!("/api/v1/messages/{one}/timeline"), times));
    let now: usize =
        ANSWERS.iter().filter(|(view, _)| *view == "now").map(|(_, path)| measured(&home, path, 1).bytes).sum();
    println!("the first view: {} bytes, {now} of them answers", page_bytes(&home) + now);
    if std::env::args().any(|argument| argument == "--keep") {
        println!(
            "http://{}/ is open until a line is entered; the one-time link is in {}",
            home.console,
            home.log().display()
        );
        let _ = std::io::stdin().read(&mut [0]);
    }
}

/// Times and bytes of one answer.
struct Measured {
    sorted: Vec<Duration>,
    bytes: usize,
}

fn measured(home: &Home, path: &str, times: usize) -> Measured {
    let token = home.token();
    let mut bytes = 0;
    let mut sorted: Vec<Duration> = (0..times)
        .map(|_| {
            let begun = Instant::now();
            let answer = http::get(home.console, path, token.as_deref()).unwrap();
            let took = begun.elapsed();
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
            bytes = answer.head.len() + answer.body.len();
            took
        })
        .collect();
    sorted.sort();
    Measured { sorted, bytes }
}

fn print_line(view: &str, measured: &Measured) {
    let at = |share| measure::percentile(&measured.sorted, share).as_secs_f64() * 1e3;
    println!("{view:<26} | {:>9.2} | {:>9.2} | {:>9.2} | {:>9}", at(0.5), at(0.99), at(1.0), measured.bytes);
}

fn second_page(gateway: &Gateway<'_>) -> String {
    let next = gateway.api("/api/v1/messages?limit=200")["next"].as_str().unwrap().to_owned();
    format!("/api/v1/messages?limit=200&before={next}")
}

/// What a browser fetches before it asks for anything: the page and every file that it names, as they are sent to one that
/// takes gzip, as all do.
fn page_bytes(home: &Home) -> usize {
    let mut known = vec!["/assets/app.js".to_owned(), "/assets/console.css".to_owned(), "/assets/icon.svg".to_owned()];
    let mut bytes = sent_bytes(home, "/");
    let mut at = 0;
    while let Some(path) = known.get(at).cloned() {
        let file = http::get(home.console, &path, None).unwrap();
        bytes += sent_bytes(home, &path);
        for name in imports(&file.text()) {
            let path = format!("/assets/{name}");
            if !known.contains(&path) {
                known.push(path);
            }
        }
        at += 1;
    }
    bytes
}

fn sent_bytes(home: &Home, path: &str) -> usize {
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n", home.console);
    let file = http::exchange(home.console, head.as_bytes()).unwrap();
    assert_eq!(file.status, 200, "{path}");
    file.head.len() + file.body.len()
}

/// The modules that a module names.
fn imports(text: &str) -> Vec<String> {
    let parts = text.split("from \"./").skip(1);
    parts.filter_map(|rest| rest.split_once('"')).map(|(name, _)| name.to_owned()).collect()
}

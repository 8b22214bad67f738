//! The pre-check beside libxml2: one CEB621 of 100 documents, and 10,000 small files.
//!
//! `cargo bench --bench precheck` prints megabytes a second of ours (structure and rules) and of `xmllint --schema`
//! (structure alone, under a schema made from the same tables), each on one core, and their ratio.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    unreachable_pub
)]

#[path = "../tests/it/support/xsd.rs"]
mod xsd;

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use dxgate::declaration::precheck::{Expectations, check};
use dxgate::declaration::schema::{self, Ns};
use dxgate::declaration::{DSIG_NS, sample};
use dxgate::ground::limits::Limits;

/// How often xmllint is given the file in one call, so that starting it weighs little.
const COPIES: usize = 200;
/// Rounds of each side, in turn; the best counts, since noise only slows.
const ROUNDS: usize = 5;
/// Small files.
const FILES: usize = 10_000;

fn main() {
    let test = std::env::args().any(|argument| argument == "--test");
    let (copies, rounds, files) = if test { (1, 1, 10) } else { (COPIES, ROUNDS, FILES) };
    let at = "2026-03-01T01:30:00Z".parse().unwrap();
    let large = in_form(sample::inventory(100, "DXPENT0000012345", at, 7));
    let folder = tempfile::tempdir().unwrap();
    let message = schema::current().find(Ns::Ceb, "CEB621Message").unwrap();
    let (main, signature) = xsd::write(message);
    std::fs::write(folder.path().join("message.xsd"), main).unwrap();
    std::fs::write(folder.path().join("ds.xsd"), signature.unwrap_or_else(|| DSIG_NS.to_owned())).unwrap();
    std::fs::write(folder.path().join("large.xml"), &large).unwrap();
    let (mut ours, mut theirs) = (Duration::MAX, None::<Duration>);
    for _ in 0..rounds {
        ours = ours.min(timed(|| (0..copies).for_each(|_| assert!(accepted(&large)))));
        if let Some(time) = xmllint(folder.path(), copies) {
            theirs = Some(theirs.map_or(time, |best| best.min(time)));
        }
    }
    let bytes = large.len() * copies;
    println!("CEB621, 100 documents, {} bytes", large.len());
    println!("  dxgate   {:7.1} MB/s", speed(bytes, ours));
    match theirs {
        Some(theirs) => {
            println!("  xmllint  {:7.1} MB/s", speed(bytes, theirs));
            println!("  ratio    {:7.2}", theirs.as_secs_f64() / ours.as_secs_f64());
        }
        None => println!("  xmllint is not installed (libxml2-utils)"),
    }
    small(files, folder.path(), at);
}

/// With a signature in form only, which the schema demands: structure is what both sides check here.
fn in_form(document: Vec<u8>) -> Vec<u8> {
    let document = String::from_utf8(document).unwrap();
    let (body, end) = document.rsplit_once("</").unwrap();
    format!("{body}{SIGNATURE}</{end}").into_bytes()
}

const SIGNATURE: &str = "<ds:Signature><ds:SignedInfo>\
    <ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/TR/2001/REC-xml-c14n-20010315\"/>\
    <ds:SignatureMethod Algorithm=\"http://www.chinaport.gov.cn/2022/04/xmldsig#sm2-sm3\"/>\
    <ds:Reference URI=\"\"><ds:Transforms>\
    <ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/></ds:Transforms>\
    <ds:DigestMethod Algorithm=\"http://www.chinaport.gov.cn/2022/04/xmldsig#sm3\"/>\
    <ds:DigestValue>AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=</ds:DigestValue></ds:Reference></ds:SignedInfo>\
    <ds:SignatureValue>AAAA</ds:SignatureValue><ds:KeyInfo><ds:KeyName>0001</ds:KeyName></ds:KeyInfo></ds:Signature>\n";

/// Small files, read from disk one after the other.
fn small(files: usize, folder: &Path, at: jiff::Timestamp) {
    let mut bytes = 0;
    let paths: Vec<_> = (0..files)
        .map(|number| {
            let xml = sample::order(1, "DXPENT0000012345", at, number as u64);
            bytes += xml.len();
            let path = folder.join(format!("{number}.xml"));
            std::fs::write(&path, xml).unwrap();
            path
        })
        .collect();
    let time = timed(|| paths.iter().for_each(|path| assert!(accepted(&std::fs::read(path).unwrap()))));
    let each = files as f64 / time.as_secs_f64();
    println!("{files} files of one CEB311 document: {each:.0} files/s, {:.1} MB/s", speed(bytes, time));
}

fn accepted(xml: &[u8]) -> bool {
    let report = check(&mut black_box(xml), &Expectations::default(), &Limits::default());
    black_box(report).findings.is_empty()
}

fn xmllint(folder: &Path, copies: usize) -> Option<Duration> {
    let mut command = Command::new("xmllint");
    command.current_dir(folder).args(["--noout", "--schema", "message.xsd"]).args(vec!["large.xml"; copies]);
    let start = Instant::now();
    let output = command.output().ok()?;
    let time = start.elapsed();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(time)
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn speed(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / time.as_secs_f64() / 1e6
}

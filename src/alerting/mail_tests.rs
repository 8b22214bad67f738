use std::time::Duration;

use jiff::Timestamp;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::*;
use crate::alerting::Notice;
use crate::config::AlertLevel;

/// Takes one mail, but for mailboxes that are `dead`; every line it was sent.
async fn take(listener: TcpListener, dead: &[&str]) -> Vec<String> {
    let (stream, _) = listener.accept().await.unwrap();
    let (mut stream, mut lines, mut content) = (BufReader::new(stream), Vec::new(), false);
    let mut answer = "220 peer.test";
    loop {
        if !answer.is_empty() {
            stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
        }
        let mut line = String::new();
        if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
            return lines;
        }
        let line = line.trim_end().to_owned();
        answer = match line.as_str() {
            "." => "250 kept",
            _ if content => "",
            "DATA" => "354 go on",
            "QUIT" => "221 bye",
            line if line.starts_with("RCPT") && dead.iter().any(|dead| line.contains(dead)) => "550 no such mailbox",
            _ => "250 well",
        };
        content = (content && line != ".") || line == "DATA";
        lines.push(line);
    }
}

/// What comes of a mail to `to`, and what the server was sent.
async fn told(to: &[&str], dead: &[&str]) -> (Result<Vec<Unreached>, Untold>, Vec<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mail = Mail::new(&MailSettings {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        security: MailSecurity::Plain,
        trusted: Vec::new(),
        credentials: None,
        from: "dxgate@ours.example".to_owned(),
        to: to.iter().map(|to| (*to).to_owned()).collect(),
        level: AlertLevel::Warning,
        batch: Duration::ZERO,
        timeout: Duration::from_secs(30),
    });
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let delivery = Delivery::new("OURS", vec![Notice::test(now)], now);
    tokio::join!(mail.tell(&delivery), take(listener, dead))
}

#[tokio::test]
async fn a_mailbox_that_is_refused_keeps_the_mail_from_nobody_else_and_is_named() {
    let (outcome, lines) =
        told(&["gone@ours.example", "Ops <ops@ours.example>", "night@ours.example"], &["gone@"]).await;
    let refused = outcome.unwrap();
    let [gone] = refused.as_slice() else { panic!("{refused:?}") };
    assert_eq!(gone.who, "gone@ours.example");
    assert!(gone.why.contains("no such mailbox"), "{gone}");
    let asked: Vec<&String> = lines.iter().filter(|line| line.starts_with("RCPT")).collect();
    assert_eq!(asked.len(), 3, "{lines:#?}");
    let count = |what: &str| lines.iter().filter(|line| line.as_str() == what).count();
    assert_eq!((count("DATA"), count(".")), (1, 1), "{lines:#?}");
}

#[tokio::test]
async fn a_mail_that_every_mailbox_is_refused_is_told_to_nobody_and_one_that_none_is_to_all() {
    let both = ["gone@ours.example", "lost@ours.example"];
    let (outcome, lines) = told(&both, &["gone@", "lost@"]).await;
    let untold = outcome.unwrap_err().to_string();
    assert!(
        both.iter().all(|who| untold.contains(who)) && !lines.iter().any(|line| line == "DATA"),
        "{untold} {lines:#?}"
    );
    let (outcome, lines) = told(&both, &[]).await;
    assert_eq!(outcome.unwrap(), []);
    assert!(lines.iter().any(|line| line == "."), "{lines:#?}");
}

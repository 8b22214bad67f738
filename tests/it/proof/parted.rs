//! A body whose connection broke off, and its sender, who goes on with it (AS2 Restart).

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};

use dxgate::as2::{As2Name, SendPlan};

use super::content;
use crate::support::correspondent::{Letter, letter, plan};
use crate::support::eventually;
use crate::support::gateway::Gateway;
use crate::support::home::{Home, PartnerFile};
use crate::support::http::{self, Answer};

/// Bytes that came before the connection broke off.
const CAME: usize = 900_000;
const ETAG: &str = "\"parted\"";

pub struct Parted {
    letter: Letter,
    payload: Vec<u8>,
}

impl Parted {
    /// The partner who sends so.
    pub fn add_sender(home: &Home) {
        let accept = "signature = true\nencryption = true\nrestart = true";
        home.partner("parted", &PartnerFile { as2_name: "parted", accept, ..PartnerFile::default() });
    }

    /// A message of its with so many bytes of payload.
    pub fn make(length: usize) -> Parted {
        let payload = content("parted", length);
        let from = As2Name::parse("parted").unwrap();
        let plan = SendPlan { from, file_name: Some("parted.bin".to_owned()), ..plan() };
        Parted { letter: letter(&plan, "<parted@theirs>", &payload), payload }
    }

    /// The beginning arrives; then the connection ends.
    pub fn break_off(&self, home: &Home) {
        self.begin(home).unwrap();
        eventually("what came is told", || (held(home) == Some(CAME)).then_some(()));
    }

    /// Sends the beginning and closes the connection.
    pub fn begin(&self, home: &Home) -> std::io::Result<()> {
        let (total, host) = (self.letter.body.len(), home.as2);
        let head = format!(
            "POST /as2 HTTP/1.1\r\nHost: {host}\r\nContent-Length: {total}\r\n{}{}\r\n",
            self.letter.headers,
            self.range(0)
        );
        let socket = TcpStream::connect(host)?;
        (&socket).write_all(&[head.as_bytes(), &self.letter.body[..CAME]].concat())?;
        socket.shutdown(Shutdown::Write)
    }

    /// Sends what is missing, once.
    pub fn send_rest(&self, home: &Home) -> std::io::Result<Answer> {
        let from = held(home).unwrap_or(0).min(self.letter.body.len() - 1);
        let headers = format!("{}{}", self.letter.headers, self.range(from));
        http::post(home.as2, "/as2", &headers, &self.letter.body[from..])
    }

    /// Goes on as long as it is asked to come again. How often it was; and the payload arrived once, as it was.
    pub fn go_on(&self, gateway: &Gateway<'_>) -> Result<usize, String> {
        for refused in 0..3 {
            let answer = self.send_rest(gateway.home).map_err(|error| error.to_string())?;
            match answer.status {
                200 => return self.arrived(gateway).map(|()| refused),
                503 => {}
                _ => return Err(format!("the parted message was answered {}: {}", answer.head, answer.text())),
            }
        }
        Err("the parted message never arrived".to_owned())
    }

    /// The payload is in the inbox, once, as it was.
    pub fn arrived(&self, gateway: &Gateway<'_>) -> Result<(), String> {
        if gateway.wait_for("parted", "inbox", "parted.bin") != self.payload {
            return Err("the parted payload has other bytes than it had".to_owned());
        }
        gateway.wait_for("parted", "inbox", "parted.bin.meta.json");
        let names = gateway.home.names("parted", "inbox");
        if names.len() == 2 { Ok(()) } else { Err(format!("{names:?} arrived")) }
    }

    /// The fields that make a body one that goes on.
    fn range(&self, from: usize) -> String {
        let total = self.letter.body.len();
        format!("ETag: {ETAG}\r\nContent-Range: bytes {from}-{}/{total}\r\n", total - 1)
    }
}

/// How much of the body the gateway says is here.
fn held(home: &Home) -> Option<usize> {
    let (host, names) = (home.as2, "AS2-From: parted\r\nAS2-To: ours\r\nAS2-Version: 1.2\r\n");
    let request = format!("HEAD /as2 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{names}ETag: {ETAG}\r\n\r\n");
    let answer = http::exchange(host, request.as_bytes()).ok()?;
    answer.head.lines().find_map(|line| line.strip_prefix("Content-Length: "))?.parse().ok()
}

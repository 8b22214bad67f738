//! What goes wrong in daily life: each gets a clear answer, loses nothing, and leaves the gateway working.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Output;
use std::time::Duration;

use crate::support::gateway::{Gateway, dxgate, run};
use crate::support::home::{Home, PartnerFile, Station};
use crate::support::peers::{Receiver, Sender};
use crate::support::{eventually, http, keys};

const PLAIN: &str = "AS2-Version: 1.2\r\nAS2-To: ours\r\nContent-Type: application/octet-stream\r\n";

#[test]
fn a_message_from_an_unknown_partner_is_refused_and_kept_out() {
    let home = home_with_partner();
    let gateway = Gateway::start(&home);
    let headers = format!("{PLAIN}AS2-From: nobody\r\nMessage-ID: <1@test>\r\n");
    let answer = http::post(home.as2, "/as2", &headers, b"hello").unwrap();
    assert!((400..500).contains(&answer.status), "{answer:?}");
    let headers =
        format!("{PLAIN}AS2-From: theirs\r\nMessage-ID: <2@test>\r\n").replace("AS2-To: ours", "AS2-To: other");
    let answer = http::post(home.as2, "/as2", &headers, b"hello").unwrap();
    assert!((400..500).contains(&answer.status), "{answer:?}");
    still_works(&home, &gateway);
}

#[test]
fn a_post_that_is_not_as2_is_refused() {
    let home = home_with_partner();
    let gateway = Gateway::start(&home);
    for headers in [
        "",
        "AS2-From: theirs\r\n",
        "AS2-Version: 1.2\r\nAS2-To: ours\r\nAS2-From: theirs\r\n",
        "AS2-Version: 1.2\r\nAS2-To: ours\r\nAS2-From: theirs\r\nAS2-From: other\r\nMessage-ID: <1@t>\r\n",
    ] {
        let answer = http::post(home.as2, "/as2", headers, b"hello").unwrap();
        assert_eq!(answer.status, 400, "{headers:?}: {answer:?}");
    }
    let answer = http::post(home.as2, "/elsewhere", "", b"hello").unwrap();
    assert_eq!(answer.status, 404, "{answer:?}");
    still_works(&home, &gateway);
}

#[test]
fn a_body_that_breaks_off_is_not_a_message() {
    let home = home_with_partner();
    let gateway = Gateway::start(&home);
    let mut socket = TcpStream::connect(home.as2).unwrap();
    let head = format!(
        "POST /as2 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n{PLAIN}AS2-From: theirs\r\nMessage-ID: <1@t>\r\n\r\n"
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.write_all(&[b'x'; 500]).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    let _ = socket.read_to_string(&mut answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    still_works(&home, &gateway);
}

#[test]
fn a_body_over_the_limit_is_refused_with_413() {
    let limits = "[limits]\nfree_space_floor = 0\nbody = \"64KiB\"";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: limits });
    home.partner("theirs", &PartnerFile::default());
    let gateway = Gateway::start(&home);
    let headers = format!("{PLAIN}AS2-From: theirs\r\nMessage-ID: <1@test>\r\n");
    let answer = http::post(home.as2, "/as2", &headers, &vec![b'x'; 200_000]).unwrap();
    assert_eq!(answer.status, 413, "{answer:?}");
    eventually("the log says so", || gateway.log().contains("body-too-large").then_some(()));
    still_works(&home, &gateway);
}

#[test]
fn on_a_disk_that_is_nearly_full_nothing_is_taken_and_all_goes_on_when_there_is_room() {
    const MIB: u64 = 1024 * 1024;
    let receiver = Receiver::start(&["theirs"], &[]);
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let free = dxgate::ground::durable::free_space(scratch.path()).unwrap();
    let limits = format!("[limits]\nfree_space_floor = \"{}MiB\"", (free / MIB).saturating_sub(768));
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &limits });
    home.partner("theirs", &PartnerFile { url: receiver.url.clone(), ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    let ballast = fs::File::create(scratch.path().join("ballast")).unwrap();
    rustix::fs::fallocate(&ballast, rustix::fs::FallocateFlags::empty(), 0, 1536 * MIB).unwrap();

    home.submit("theirs", "waits.txt", b"waits");
    let headers = format!("{PLAIN}AS2-From: theirs\r\nMessage-ID: <1@test>\r\n");
    let answer = http::post(home.as2, "/as2", &headers, b"hello").unwrap();
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.head.to_ascii_lowercase().contains("retry-after"), "{answer:?}");
    let vast = format!("POST /as2 HTTP/1.1\r\nHost: a\r\n{headers}Content-Length: 700000000\r\n\r\n");
    assert_eq!(http::exchange(home.as2, vast.as_bytes()).unwrap().status, 413, "nor will it be when there is room");
    let unready = http::get(home.console, "/readyz", None).unwrap();
    assert!(unready.status == 503 && unready.text().contains("disk-nearly-full"), "{unready:?}");
    eventually("the log says so", || gateway.log().contains("disk-nearly-full").then_some(()));
    let alerted = |gateway: &Gateway<'_>| {
        let open = gateway.api("/api/v1/alerts");
        open["alerts"].as_array().unwrap().iter().any(|alert| alert["code"] == "disk-nearly-full")
    };
    eventually("people are alerted", || alerted(&gateway).then_some(()));
    assert_eq!(home.names("theirs", "outbox"), ["waits.txt"], "it stays where its owner put it");

    drop(ballast);
    fs::remove_file(scratch.path().join("ballast")).unwrap();
    assert_eq!(gateway.wait_for("theirs", "sent", "waits.txt"), b"waits");
    assert!(gateway.is_ready(), "{}", gateway.log());
    eventually("the alert ends", || (!alerted(&gateway)).then_some(()));
}

#[test]
fn what_strangers_announce_in_a_partners_name_takes_no_room_before_it_comes() {
    const MIB: u64 = 1024 * 1024;
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let free = dxgate::ground::durable::free_space(scratch.path()).unwrap();
    let limits = format!("[limits]\nfree_space_floor = \"{}MiB\"", (free / MIB).saturating_sub(4096));
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &limits });
    home.partner("theirs", &PartnerFile::default());
    let gateway = Gateway::start(&home);
    let announced = |number: u32| {
        let mut socket = TcpStream::connect(home.as2).unwrap();
        let head = format!(
            "POST /as2 HTTP/1.1\r\nHost: a\r\n{PLAIN}AS2-From: theirs\r\nMessage-ID: <{number}@test>\r\n\
             Content-Length: 500000000\r\nExpect: 100-continue\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).unwrap();
        let mut begun = [0; 12];
        socket.read_exact(&mut begun).unwrap();
        (socket, String::from_utf8_lossy(&begun).into_owned())
    };
    // Sixteen gigabytes with what would come out of them.
    let open: Vec<_> = (0..16).map(announced).collect();
    assert!(open.iter().all(|(_, begun)| begun == "HTTP/1.1 100"), "{open:?}");
    still_works(&home, &gateway);
}

#[test]
fn what_cannot_be_read_in_an_outbox_stays_there_and_holds_up_nothing() {
    let receiver = Receiver::start(&["theirs"], &[]);
    let home = Home::ours();
    home.partner("theirs", &PartnerFile { url: receiver.url.clone(), ..PartnerFile::default() });
    let outbox = home.exchange("theirs", "outbox");
    fs::create_dir_all(outbox.join("folder.xml")).unwrap();
    symlink("/nonexistent", outbox.join("dangling.xml")).unwrap();
    symlink("/etc/passwd", outbox.join("elsewhere.xml")).unwrap();
    fs::write(outbox.join("locked.xml"), "secret").unwrap();
    fs::set_permissions(outbox.join("locked.xml"), fs::Permissions::from_mode(0o000)).unwrap();
    fs::write(outbox.join("unfinished.tmp"), "half").unwrap();
    let gateway = Gateway::start(&home);
    home.submit("theirs", "good.xml", b"good");
    gateway.wait_for("theirs", "sent", "good.xml");
    assert!(gateway.is_ready(), "{}", gateway.log());
    let received = receiver.received();
    let payloads: Vec<Vec<u8>> = received.iter().map(|one| receiver.payload(one)).collect();
    // Root can read the locked file; anybody else leaves it where it is. The link's target must never travel.
    assert!(payloads.iter().all(|payload| payload == b"good" || payload == b"secret"), "{received:#?}");
    for name in ["folder.xml", "unfinished.tmp"] {
        assert!(outbox.join(name).exists(), "{name}");
    }
    assert!(outbox.join("elsewhere.xml").is_symlink());
}

#[test]
fn a_partner_that_cannot_be_reached_costs_nothing_but_time() {
    let receiver_port = crate::support::free_port();
    let home = Home::ours();
    let url = format!("http://127.0.0.1:{receiver_port}/as2");
    home.partner("theirs", &PartnerFile { url, ..PartnerFile::default() });
    let gateway = Gateway::start(&home);
    home.submit("theirs", "patient.xml", b"patient");
    eventually("the first attempt failed", || {
        let listed = gateway.api("/api/v1/messages?name=patient.xml").to_string();
        (listed.contains("\"composed\"") && !listed.contains("\"attempts\":0")).then_some(())
    });
    let _receiver = Receiver::start(&["theirs"], &["--port", &receiver_port.to_string()]);
    assert_eq!(gateway.wait_for("theirs", "sent", "patient.xml"), b"patient");
}

#[test]
fn a_port_in_use_is_said_plainly() {
    let home = home_with_partner();
    let _taken = TcpListener::bind(home.as2).unwrap();
    let output = dxgate().args(["serve", "--config"]).arg(home.config()).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.contains(&home.as2.port().to_string()), "names the address: {said}");
}

#[test]
fn a_second_gateway_on_the_same_data_is_refused() {
    let home = home_with_partner();
    let gateway = Gateway::start(&home);
    let text = fs::read_to_string(home.config()).unwrap();
    let (as2, console) = (crate::support::free_port(), crate::support::free_port());
    let text = text
        .replace(&home.as2.to_string(), &format!("127.0.0.1:{as2}"))
        .replace(&home.console.to_string(), &format!("127.0.0.1:{console}"));
    fs::write(home.path("second.toml"), text).unwrap();
    let output = dxgate().args(["serve", "--config"]).arg(home.path("second.toml")).output().unwrap();
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    still_works(&home, &gateway);
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_file_and_line() {
    let home = home_with_partner();
    let good = fs::read_to_string(home.config()).unwrap();
    let stranger = keys::stranger().key_file.display().to_string();
    let cases = [
        (good.replace("[outbox]", "[outbox]\nsweeep = \"2s\""), "sweeep"),
        (good.replace("listen = \"127", "listen = \"here:"), "listen"),
        (good.replace(&keys::ours().key_file.display().to_string(), &stranger), "private_key"),
        (good.replace(&keys::ours().key_file.display().to_string(), "/nonexistent.key"), "nonexistent.key"),
        (good.replace("[station]", "[station"), "gateway.toml"),
    ];
    for (text, named) in cases {
        fs::write(home.config(), text).unwrap();
        let output = dxgate().args(["serve", "--config"]).arg(home.config()).output().unwrap();
        let said = said(&output);
        assert_eq!(output.status.code(), Some(2), "{named}: {said}");
        assert!(said.contains(named) && said.contains("gateway.toml:"), "{named}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
    fs::remove_file(home.config()).unwrap();
    let output = dxgate().args(["serve", "--config"]).arg(home.config()).output().unwrap();
    assert!([2, 3].contains(&output.status.code().unwrap()), "{}", said(&output));
}

#[test]
fn a_private_key_that_others_may_read_is_refused() {
    let home = home_with_partner();
    let exposed = home.path("exposed.key");
    fs::copy(&keys::ours().key_file, &exposed).unwrap();
    fs::set_permissions(&exposed, fs::Permissions::from_mode(0o644)).unwrap();
    let text = fs::read_to_string(home.config()).unwrap();
    let text = text.replace(&keys::ours().key_file.display().to_string(), &exposed.display().to_string());
    fs::write(home.config(), text).unwrap();
    let output = dxgate().args(["serve", "--config"]).arg(home.config()).output().unwrap();
    let said = said(&output);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("chmod 600"), "{said}");
}

#[test]
fn wrong_usage_exits_with_2_and_an_unreachable_gateway_with_3() {
    assert_eq!(run(&["no-such-command"]).status.code(), Some(2));
    assert_eq!(run(&["serve"]).status.code().map(|code| code == 2 || code == 3), Some(true));
    let home = home_with_partner();
    let list = || dxgate().args(["messages", "list", "--config"]).arg(home.config()).output().unwrap();
    let never_started = list();
    assert_eq!(never_started.status.code(), Some(3), "{}", said(&never_started));
    Gateway::start(&home).stop();
    let stopped = list();
    assert_eq!(stopped.status.code(), Some(3), "{}", said(&stopped));
}

fn home_with_partner() -> Home {
    let home = Home::ours();
    home.partner("theirs", &PartnerFile::default());
    home
}

/// Nothing of the bad input arrived, and a good message does.
fn still_works(home: &Home, gateway: &Gateway<'_>) {
    assert!(gateway.is_ready(), "{}", gateway.log());
    assert_eq!(home.names("theirs", "inbox"), Vec::<String>::new());
    let file = home.path("good");
    fs::write(&file, "good").unwrap();
    let result = Sender::to(&home.url()).send(&file, &["--sign", "--encrypt", "--file-name", "good.txt"]);
    assert_eq!(result["status"], "processed", "{result:#}\n{}", gateway.log());
    assert_eq!(gateway.wait_for("theirs", "inbox", "good.txt"), b"good");
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn a_submitted_file_without_a_length_is_refused_when_it_comes_to_the_floor() {
    const MIB: u64 = 1024 * 1024;
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let free = dxgate::ground::durable::free_space(scratch.path()).unwrap();
    let floor = (free / MIB).saturating_sub(768);
    let limits = format!("[limits]\nfree_space_floor = \"{floor}MiB\"\npayload = \"8GiB\"");
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more: &limits });
    home.partner("theirs", &PartnerFile::default());
    let _gateway = Gateway::start(&home);
    let mut socket = TcpStream::connect(home.console).unwrap();
    let head = format!(
        "POST /api/v1/partners/theirs/messages?name=vast.bin HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        home.token().unwrap()
    );
    socket.write_all(head.as_bytes()).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let chunk = [b"100000\r\n".to_vec(), vec![b'x'; 1 << 20], b"\r\n".to_vec()].concat();
    // Until it is answered, early or at the end of three gibibytes.
    let answered = |socket: &TcpStream| socket.peek(&mut [0; 1]).is_ok_and(|read| read > 0);
    let early = (0..3072).any(|_| socket.write_all(&chunk).is_err() || answered(&socket));
    if !early {
        let _ = socket.write_all(b"0\r\n\r\n");
    }
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let mut status = [0; 12];
    socket.read_exact(&mut status).unwrap();
    assert_eq!(String::from_utf8_lossy(&status), "HTTP/1.1 503");
}

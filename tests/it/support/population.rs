//! A store full of messages that have lived: what rebuilding and restarting are measured on.

use std::thread;

use dxgate::as2::SentMics;
use dxgate::bilingual;
use dxgate::ground::id::Id;
use dxgate::mime::Headers;
use dxgate::store::record::Said;
use dxgate::store::{
    Body, Content, DeclarationSummary, DedupKey, Fact, Folder, JobKind, Publication, Reason, Receipt, Store,
    Transaction,
};
use jiff::{SignedDuration, Timestamp};

/// Threads that commit at the same time; they share syncs.
const WRITERS: usize = 64;

/// Adds `count` finished messages, one in four inbound, each with payload, wire and MDN and its files published; one in
/// a hundred stays open. Instants count on from `start`, one millisecond a message.
pub(crate) fn populate(store: &Store, start: Timestamp, count: usize) {
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            scope.spawn(move || {
                for number in (writer..count).step_by(WRITERS) {
                    let at = start + SignedDuration::from_millis(i64::try_from(number).unwrap());
                    if number % 4 == 3 { receive(store, at, number) } else { send(store, at, number) }
                }
            });
        }
    });
}

fn send(store: &Store, at: Timestamp, number: usize) {
    let id = Id::new(at);
    let mut transaction = Transaction::new(at);
    let payload = transaction.body(bytes(number, 2048));
    let wire = transaction.body(bytes(number, 3072));
    let queued = Fact::Queued {
        kind: JobKind::Payload,
        partner: format!("partner-{}", number % 7),
        file_name: format!("CEB311Message-{number}.xml"),
        payload: Some(payload),
        declaration: declaration(number),
        about: None,
    };
    let message_id = format!("<{number}-{id}@station.example>");
    let headers = headers(&message_id);
    transaction.fact(id, queued);
    if number.is_multiple_of(2) {
        let keys = |document: usize| vec![("orderNo".to_owned(), format!("O{number}-{document}"))];
        transaction.fact(id, Fact::Declared { documents: (0..DOCUMENTS).map(keys).collect() });
    }
    transaction.fact(id, Fact::Composed { message_id, headers, wire, mics: SentMics::default(), due: at });
    commit(store, transaction);
    happen(store, id, at, Fact::Attempted { number: 1 });
    if number.is_multiple_of(100) {
        let reason =
            Reason { code: "connection-refused".to_owned(), text: bilingual!("无法连接", "cannot connect") };
        happen(store, id, at, Fact::RetryAt { due: at + SignedDuration::from_hours(1), reason });
        return;
    }
    let mut transaction = Transaction::new(at);
    let receipt = receipt(transaction.body(bytes(number, 1536)));
    let mdn = (".mdn".to_owned(), Content::Body(receipt.body));
    let report = (".mdn.json".to_owned(), Content::Text("{\"state\":\"delivered\"}".to_owned()));
    let files = vec![
        Publication { folder: Folder::Receipts, name: format!("{number}"), files: vec![mdn, report] },
        Publication { folder: Folder::Sent, name: format!("{number}.xml"), files: vec![principal(payload)] },
    ];
    transaction.fact(id, Fact::Delivered { receipt: Some(receipt), note: None, files });
    commit(store, transaction);
    publish(store, id, at, 2);
    if number.is_multiple_of(2) {
        happen(store, id, at, answered(number));
    }
}

/// Documents of every second message sent.
const DOCUMENTS: usize = 3;

fn declaration(number: usize) -> Option<DeclarationSummary> {
    number.is_multiple_of(2).then(|| DeclarationSummary {
        message_type: "CEB311Message".to_owned(),
        documents: 3,
        cop_msg_id: Some(format!("M{number}")),
        keys: vec![("orderNo".to_owned(), format!("O{number}-0"))],
        dxpid: None,
    })
}

/// Customs accepts the first document and refuses the second.
fn answered(number: usize) -> Fact {
    let said = |document: u32, status: &str| Said {
        document,
        status: status.to_owned(),
        time: "20260301093000123".to_owned(),
        info: "[Code:1800;Desc:逻辑校验通过]".to_owned(),
        given: vec![("preNo".to_owned(), format!("B{number}-{document}"))],
    };
    Fact::BusinessReceipt {
        receipt: Id::new(Timestamp::UNIX_EPOCH),
        message_type: "CEB312Message".to_owned(),
        entries: vec![said(1, "120"), said(2, "100")],
    }
}

fn receive(store: &Store, at: Timestamp, number: usize) {
    let id = Id::new(at);
    let mut transaction = Transaction::new(at);
    let wire = transaction.body(bytes(number, 3072));
    let payload = transaction.body(bytes(number, 2048));
    let message_id = format!("{number}-{id}@customs.example");
    let accepted = Fact::Accepted {
        partner: "customs".to_owned(),
        headers: headers(&message_id),
        key: DedupKey { from: "CUSTOMS".to_owned(), to: "STATION".to_owned(), message_id },
        wire,
        payload,
        file_name: format!("CEB312Message-{number}.xml"),
        declaration: None,
        signer: Some("ab".repeat(32)),
        files: vec![Publication {
            folder: Folder::Inbox,
            name: format!("{number}.xml"),
            files: vec![(".meta.json".to_owned(), Content::Text("{}".to_owned())), principal(payload)],
        }],
    };
    transaction.fact(id, accepted);
    commit(store, transaction);
    let mut transaction = Transaction::new(at);
    let mdn = receipt(transaction.body(bytes(number, 1536)));
    transaction.fact(id, Fact::Answered { mdn });
    commit(store, transaction);
    publish(store, id, at, 1);
}

fn publish(store: &Store, id: Id, at: Timestamp, publications: u32) {
    let mut staged = Transaction::new(at);
    let mut published = Transaction::new(at);
    for index in 0..publications {
        staged.fact(id, Fact::Staged { index });
        published.fact(id, Fact::Published { index, name: format!("{id}-{index}") });
    }
    commit(store, staged);
    commit(store, published);
}

fn happen(store: &Store, id: Id, at: Timestamp, fact: Fact) {
    let mut transaction = Transaction::new(at);
    transaction.fact(id, fact);
    commit(store, transaction);
}

fn commit(store: &Store, transaction: Transaction) {
    store.commit_blocking(transaction).unwrap();
}

fn principal(body: Body) -> (String, Content) {
    (String::new(), Content::Body(body))
}

fn receipt(body: Body) -> Receipt {
    Receipt {
        body,
        headers: headers("<mdn@customs.example>"),
        disposition: "automatic-action/MDN-sent-automatically; processed".to_owned(),
        mic: Some("XhV6jC9zwMBd8rTUjYYsRZkLWVqqSPn2cJKcyzX9pGE=, sha-256".to_owned()),
        mic_matches: Some(true),
        signer: Some("cd".repeat(32)),
    }
}

fn headers(message_id: &str) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in [
        ("AS2-Version", "1.2"),
        ("AS2-From", "DXPENT0000012345"),
        ("AS2-To", "CUSTOMS"),
        ("Message-ID", message_id),
        ("Content-Type", "application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m"),
        ("Disposition-Notification-To", "station@example.com"),
        ("Date", "Fri, 27 Nov 2026 00:00:00 +0000"),
    ] {
        headers.push(name, value).unwrap();
    }
    headers
}

/// Bytes that differ from message to message.
fn bytes(number: usize, len: usize) -> Vec<u8> {
    number.to_be_bytes().into_iter().cycle().take(len).collect()
}

//! What is opened, answered or repeated later than it came.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::time::Duration;

use super::asynchronous::Later;
use super::candidate::{Candidate, dedup_key};
use super::failures::{Admission, FailureLimits, Origin, Whose};
use super::receive::{MessageArrived, Reception};
use super::specimens::{Home, Letter, PAYLOAD, later};
use crate::as2::attachments::{Enclosure, Related};
use crate::as2::{MdnMode, Request};
use crate::cms::DigestAlgorithm;
use crate::declaration::envelope::{self, EnvelopeHead, Response, TransportResponse};
use crate::ground::clock::{Clock, customs_time};
use crate::ground::id::Id;
use crate::ground::space::NoRoom;
use crate::keys::CertificateSet;
use crate::mime::{BytesSource, Headers};
use crate::partner::{Profile, Waived, Waiver, Waivers};
use crate::store::draft::Draft;
use crate::store::record::{Body, Content, DeclarationSummary, DedupKey, Direction, Fact, JobKind, Receipt, State};
use crate::store::{Filter, Transaction};

const SHA256: DigestAlgorithm = DigestAlgorithm::Sha256;
const PROCESSED: &str = "automatic-action/MDN-sent-automatically; processed";

/// The disposition that a message was answered with.
fn told(home: &Home, id: &Id) -> Option<String> {
    home.message(id).receipt.map(|receipt| receipt.disposition)
}

/// Accepted by a program that recorded no terms.
fn accept_without_terms(transaction: &mut Transaction, id: Id, letter: &Letter, wire: Body) {
    let payload = transaction.body(PAYLOAD.to_vec());
    let accepted = Fact::Accepted {
        partner: "theirs".to_owned(),
        key: dedup_key(&letter.request),
        headers: letter.request.headers.clone(),
        wire,
        payload,
        file_name: "letter.xml".to_owned(),
        declaration: None,
        signer: None,
        files: Vec::new(),
    };
    transaction.fact(id, accepted);
}

#[tokio::test]
async fn what_was_taken_while_its_certificate_counted_is_accepted_when_it_is_opened_after_its_end() {
    let home = Home::new();
    home.end_certificate(home.in_hours(1));
    let in_time = home.take(&home.letter("<in-time@theirs>", later(), SHA256)).await;
    home.pass(2);
    let late = home.take(&home.letter("<late@theirs>", later(), SHA256)).await;
    home.resume().await;
    assert_eq!(home.message(&in_time.id).state, State::Accepted);
    assert_eq!(told(&home, &in_time.id).as_deref(), Some(PROCESSED));
    assert_eq!(home.message(&late.id).state, State::Declined, "its time was over when it came");
}

#[tokio::test]
async fn what_was_taken_under_a_waiver_is_accepted_when_it_is_opened_after_its_end() {
    let home = Home::new();
    let algorithm = Waived::Digest(DigestAlgorithm::Sha1);
    let waiver = Waiver { algorithm, until: home.in_hours(1), reason: "until their upgrade".to_owned() };
    home.change(|partner| partner.waivers = Waivers(vec![waiver]));
    let in_time = home.take(&home.letter("<in-time@theirs>", later(), DigestAlgorithm::Sha1)).await;
    home.pass(2);
    let late = home.take(&home.letter("<late@theirs>", later(), DigestAlgorithm::Sha1)).await;
    home.resume().await;
    assert_eq!(home.message(&in_time.id).state, State::Accepted);
    assert_eq!(home.message(&late.id).state, State::Declined);
}

#[tokio::test]
async fn what_was_taken_is_refused_when_its_certificate_was_taken_back_before_it_is_opened() {
    let home = Home::new();
    let taken = home.take(&home.letter("<taken@theirs>", later(), SHA256)).await;
    home.change(|partner| {
        let mut certificates = partner.certificates.certificates().to_vec();
        certificates.iter_mut().for_each(|one| one.revoked = true);
        partner.certificates = CertificateSet::new(certificates);
    });
    home.resume().await;
    let refused = home.message(&taken.id);
    assert_eq!((refused.state, refused.reason.unwrap().code.as_str()), (State::Declined, "certificate-revoked"));
}

#[tokio::test]
async fn what_is_owed_its_receipt_gets_it_without_the_certificate_and_the_key_of_its_time() {
    let home = Home::new();
    let letter = home.letter("<owed@theirs>", later(), SHA256);
    let owed = home.take(&letter).await;
    home.stop_signing();
    let why = home.flow.open_now(&owed, None).await.err().unwrap();
    assert_eq!((why.code(), home.message(&owed.id).state), ("no-signing-key", State::Accepted));
    assert!(home.message(&owed.id).owes_mdn());
    home.change(|partner| partner.certificates = CertificateSet::default());
    home.replace_key();
    home.pass(2);
    home.resume().await;
    let answered = home.message(&owed.id);
    let receipt = answered.receipt.unwrap();
    assert_eq!((answered.state, receipt.disposition.as_str()), (State::Accepted, PROCESSED));
    let sent: Vec<String> = letter.mics.expected.iter().map(|sent| sent.mic.to_string()).collect();
    assert!(sent.contains(&receipt.mic.unwrap()), "its MIC is that of what was sent");
    let jobs = Filter { direction: Some(Direction::Outbound), ..Filter::default() };
    let jobs = home.flow.store.messages(&jobs);
    let jobs: Vec<_> = jobs.iter().map(|job| (job.kind, job.about, job.state)).collect();
    assert_eq!(jobs, [(JobKind::Mdn, Some(owed.id), State::Composed)]);
}

#[tokio::test]
async fn what_was_accepted_and_does_not_open_any_more_is_never_refused_and_says_what_is_missing() {
    let home = Home::new();
    let letter = home.letter("<early@theirs>", later(), SHA256);
    let owed = home.take(&letter).await;
    let mut transaction = Transaction::new(home.clock.now());
    accept_without_terms(&mut transaction, owed.id, &letter, owed.wire);
    home.flow.store.commit(transaction).await.unwrap();
    home.replace_key();
    for _ in 0..2 {
        let why = home.flow.open_now(&owed, None).await.err().unwrap();
        assert_eq!(why.code(), "accepted-not-opened");
        assert!(why.text().en.contains("accepted and delivered"), "{}", why.text());
    }
    assert_eq!((home.message(&owed.id).state, told(&home, &owed.id)), (State::Accepted, None));
    home.restore_key();
    home.resume().await;
    assert_eq!(told(&home, &owed.id).as_deref(), Some(PROCESSED));
}

#[tokio::test]
async fn the_very_bytes_of_an_accepted_message_get_its_receipt_after_the_end_of_its_certificate() {
    let home = Home::new();
    home.end_certificate(home.in_hours(1));
    let letter = home.letter("<again@theirs>", MdnMode::Sync, SHA256);
    let (accepted, first) = home.send(&letter).await;
    let first = first.ok().unwrap().mdn.unwrap();
    assert_eq!(told(&home, &accepted).as_deref(), Some(PROCESSED));
    home.pass(2);
    let (again, second) = home.send(&letter).await;
    assert!(second.ok().unwrap().mdn.unwrap() == first, "byte for byte");
    assert!(home.flow.store.message(&again).is_none(), "nothing is recorded");
    // The same, to be answered later.
    let asking = home.letter("<again@theirs>", later(), SHA256);
    let taken = home.take(&Letter { body: letter.body.clone(), ..asking }).await;
    home.resume().await;
    let ended = home.message(&taken.id);
    assert_eq!((ended.state, ended.reason.unwrap().code.as_str()), (State::Declined, "repetition"));
    // Other bytes, and the same ones under another Message-ID, are judged by what counts now.
    let mut body = letter.body.clone();
    *body.last_mut().unwrap() ^= 1;
    let other_bytes = Letter { body, ..home.letter("<again@theirs>", MdnMode::Sync, SHA256) };
    let other_id = Letter { body: letter.body, ..home.letter("<other@theirs>", MdnMode::Sync, SHA256) };
    for other in [other_bytes, other_id] {
        let (refused, answer) = home.send(&other).await;
        assert!(answer.ok().unwrap().mdn.is_some());
        assert_eq!(home.message(&refused).state, State::Declined);
        assert!(told(&home, &refused).is_some_and(|told| told != PROCESSED));
    }
}

#[tokio::test]
async fn what_an_earlier_program_accepted_gets_what_it_was_answered_after_the_end_of_its_certificate() {
    let home = Home::new();
    home.end_certificate(home.in_hours(1));
    let letter = home.letter("<old@theirs>", MdnMode::Sync, SHA256);
    let (id, mut transaction) = (Id::new(home.clock.now()), Transaction::new(home.clock.now()));
    let wire = transaction.body(letter.body.clone());
    accept_without_terms(&mut transaction, id, &letter, wire);
    let mut headers = Headers::new();
    headers.push("Content-Type", "multipart/signed").unwrap();
    let raw = [headers.to_bytes().as_slice(), b"\r\n", b"the receipt of that time"].concat();
    let mic = letter.mics.expected.first().map(|sent| sent.mic.to_string());
    let (body, disposition) = (transaction.body(raw), PROCESSED.to_owned());
    let mdn = Receipt { body, headers, disposition, mic: mic.clone(), mic_matches: None, signer: None };
    transaction.fact(id, Fact::Answered { mdn });
    home.flow.store.commit(transaction).await.unwrap();
    home.pass(2);
    let (_, answer) = home.send(&letter).await;
    assert_eq!(answer.ok().unwrap().mdn.unwrap().1, b"the receipt of that time");
    // One of another kind says the same.
    let mut request = Request::clone(&letter.request);
    request.mdn.as_mut().unwrap().options.signed = false;
    let unsigned = Letter { request: Arc::new(request), ..letter };
    assert!(home.send(&unsigned).await.1.is_ok());
    let further = home.message(&id).further_receipts;
    let said: Vec<_> = further.iter().map(|receipt| (receipt.disposition.as_str(), receipt.mic.clone())).collect();
    assert_eq!(said, [(PROCESSED, mic)]);
}

#[tokio::test]
async fn a_failure_counts_and_waits_though_the_accepted_bytes_under_its_key_cannot_be_read() {
    for gone in [true, false] {
        let home = Home::under(FailureLimits { per_ip: 0, per_partner: 1 });
        let letter = home.letter("<unreadable@theirs>", MdnMode::Sync, SHA256);
        let (id, mut transaction) = (Id::new(home.clock.now()), Transaction::new(home.clock.now()));
        let len = u64::try_from(letter.body.len()).unwrap();
        let wire = Body { id: Id::new(home.in_hours(1)), len, sha256: None, crc32c: Some(0) };
        let file = home.body_file(&wire);
        File::create(&file).unwrap();
        accept_without_terms(&mut transaction, id, &letter, wire);
        home.flow.store.commit(transaction).await.unwrap();
        std::fs::remove_file(&file).unwrap();
        if !gone {
            // A link to itself is an error of the disk that may pass.
            symlink(&file, &file).unwrap();
        }
        home.replace_key();
        let now = home.clock.now();
        let candidate = Candidate::new(Id::new(now), home.partner(), letter.request, now);
        let admission = Some(strangers_place(&home).await);
        let begun = tokio::time::Instant::now();
        let reception = Reception { wire: Draft::Inline(letter.body), admission, remote: None, pieced: false };
        let answer = home.flow.settle(&candidate, reception).await;
        assert_eq!(answer.err().map(|why| why.code()), (!gone).then_some("storage-failed"), "gone: {gone}");
        assert!(begun.elapsed() >= Duration::from_millis(250), "gone: {gone}");
        assert_eq!(home.flow.pressed(), ["theirs"], "gone: {gone}");
        assert!(!home.flow.failures.keep("theirs", Whose::Strangers), "gone: {gone}");
    }
}

#[tokio::test]
async fn the_very_bytes_of_an_accepted_message_in_parts_are_taken_after_the_end_of_its_certificate() {
    let home = Home::under(FailureLimits { per_ip: 0, per_partner: 9 });
    home.end_certificate(home.in_hours(1));
    let letter = home.letter("<parts@theirs>", MdnMode::Sync, SHA256);
    assert!(home.send(&letter).await.1.is_ok());
    home.pass(2);
    let now = home.clock.now();
    let candidate = Candidate::new(Id::new(now), home.partner(), letter.request.clone(), now);
    let mut other = letter.body.clone();
    *other.last_mut().unwrap() ^= 1;
    for (body, taken) in [(letter.body, true), (other, false)] {
        let admission = strangers_place(&home).await;
        let proven = home.flow.proven(&candidate, (Draft::Inline(body.clone()), &mut None), admission, false).await;
        let same = proven.is_ok_and(|(wire, _)| matches!(wire, Draft::Inline(bytes) if bytes == body));
        assert_eq!(same, taken);
    }
}

/// Waits until so many are at a key.
async fn at_key(home: &Home, key: &DedupKey, many: usize) {
    let end = tokio::time::Instant::now() + Duration::from_secs(60);
    while home.flow.keys.at(key) < many {
        assert!(tokio::time::Instant::now() < end, "they wait for their turn");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_copy_that_does_not_open_any_more_waits_for_the_one_that_is_being_accepted() {
    let home = Home::new();
    home.end_certificate(home.in_hours(1));
    let letter = home.letter("<overtaken@theirs>", MdnMode::Sync, SHA256);
    let key = dedup_key(&letter.request);
    let turn = home.flow.keys.lock(key.clone()).await;
    let late = async {
        at_key(&home, &key, 2).await;
        home.pass(2);
        home.send(&letter).await
    };
    let both_wait = async {
        at_key(&home, &key, 3).await;
        drop(turn);
    };
    let ((_, first), (_, second), ()) = tokio::join!(home.send(&letter), late, both_wait);
    assert!(first.ok().unwrap().mdn.unwrap() == second.ok().unwrap().mdn.unwrap());
}

#[tokio::test]
async fn copies_that_come_at_once_wait_for_each_other_and_get_one_receipt() {
    let home = Home::new();
    let letter = home.letter("<copied@theirs>", MdnMode::Sync, SHA256);
    let key = dedup_key(&letter.request);
    let turn = home.flow.keys.lock(key.clone()).await;
    let both_wait = async {
        at_key(&home, &key, 3).await;
        drop(turn);
    };
    let ((_, first), (_, second), ()) = tokio::join!(home.send(&letter), home.send(&letter), both_wait);
    assert!(first.ok().unwrap().mdn.unwrap() == second.ok().unwrap().mdn.unwrap());
    let accepted = Filter { states: vec![State::Accepted], ..Filter::default() };
    assert_eq!(home.flow.store.messages(&accepted).len(), 1);
    assert_eq!(home.flow.keys.at(&key), 0, "nobody is at the key any more");
}

async fn strangers_place(home: &Home) -> Admission {
    let peer = "198.51.100.1:5000".parse().unwrap();
    let origin = Origin::new(peer, Some("198.51.100.1".parse().unwrap()), false);
    let mut admission = home.flow.failures.enter_kept("theirs", origin).await.ok().unwrap();
    admission.taken();
    admission
}

#[tokio::test]
async fn an_error_of_our_own_gives_a_strangers_place_among_what_is_kept_back() {
    let one = FailureLimits { per_ip: 0, per_partner: 1 };
    // What was taken cannot be read.
    let home = Home::under(one);
    let taken = home.take(&home.letter("<lost@theirs>", later(), SHA256)).await;
    let lost = Later { wire: Body { id: Id::new(home.in_hours(1)), ..taken.wire }, ..taken };
    let admission = strangers_place(&home).await;
    assert!(!home.flow.failures.keep("theirs", Whose::Strangers), "the place is taken");
    let why = home.flow.open_now(&lost, Some(admission)).await.err().unwrap();
    assert_eq!(why.code(), "storage-failed");
    assert!(home.flow.failures.keep("theirs", Whose::Strangers), "it was given back");
    // What opens cannot be recorded.
    let home = Home::under(one);
    let letter = home.letter("<unrecorded@theirs>", MdnMode::Sync, SHA256);
    let now = home.clock.now();
    let candidate = Candidate::new(Id::new(now), home.partner(), letter.request, now);
    let admission = Some(strangers_place(&home).await);
    home.flow.store.close().await;
    let reception = Reception { wire: Draft::Inline(letter.body), admission, remote: None, pieced: false };
    assert!(home.flow.settle(&candidate, reception).await.is_err());
    assert!(home.flow.failures.keep("theirs", Whose::Strangers), "it was given back");
    // The control: what is refused keeps its place.
    let home = Home::under(one);
    home.change(|partner| partner.certificates = CertificateSet::default());
    let taken = home.take(&home.letter("<refused@theirs>", later(), SHA256)).await;
    let admission = strangers_place(&home).await;
    assert!(home.flow.open_now(&taken, Some(admission)).await.is_ok());
    assert!(!home.flow.failures.keep("theirs", Whose::Strangers));
}

#[tokio::test]
async fn what_is_taken_keeps_the_room_for_its_payload_until_it_was_opened() {
    let home = Home::new();
    let letter = home.letter("<roomy@theirs>", later(), SHA256);
    let space = home.flow.settings.space.clone();
    let Err(NoRoom::Short { free, .. }) = space.promise(u64::MAX) else { panic!("nobody has as much room") };
    let key = dedup_key(&letter.request);
    let turn = home.flow.keys.lock(key.clone()).await;
    let arrived = MessageArrived {
        partner: home.partner(),
        request: Request::clone(&letter.request),
        wire: Draft::Inline(letter.body.clone()),
        origin: Origin::new("127.0.0.1:5000".parse().unwrap(), None, false),
        room: space.promise(free / 2).unwrap(),
        turn: None,
        pieced: false,
    };
    assert_eq!(home.flow.accept(arrived).await.status, 202);
    at_key(&home, &key, 2).await;
    assert!(space.promise(free / 8 * 5).is_err(), "its payload is still to be made");
    drop(turn);
    assert!(home.flow.tasks.join_all(Duration::from_secs(30)).await.is_empty());
    assert!(space.promise(free / 8 * 5).is_ok());
}

#[tokio::test]
async fn the_files_of_one_message_are_held_in_memory_together_about_as_far_as_one_body_is() {
    let home = Home::new();
    let content = vec![b'x'; 600 * 1024];
    let contents = [0, 1, 2, 3].map(|_| BytesSource(content.as_slice()));
    let enclosures: Vec<Enclosure<'_>> = contents
        .iter()
        .map(|content| Enclosure { content_type: "text/plain", file_name: None, content_id: None, content })
        .collect();
    let related = Related::new(&enclosures).unwrap();
    let letter = home.letter_of("<files@theirs>", (MdnMode::Sync, SHA256), (related.content_type(), &related));
    let now = home.clock.now();
    let candidate = Candidate::new(Id::new(now), home.partner(), letter.request.clone(), now);
    let (_, opened) = home.flow.open(&candidate, Draft::Inline(letter.body)).await;
    let files = opened.ok().unwrap().attachments;
    let in_memory: Vec<bool> = files.iter().map(|(_, draft)| !matches!(draft, Draft::File(_))).collect();
    assert_eq!(in_memory, [true, true, false, false]);
}

#[tokio::test]
async fn what_is_composed_anew_under_its_message_id_is_told_the_digest_that_its_sender_has_now() {
    let home = Home::new();
    let first = home.letter("<anew@theirs>", MdnMode::Sync, SHA256);
    let anew = home.letter_of("<anew@theirs>", (MdnMode::Sync, SHA256), ("text/xml", &BytesSource(PAYLOAD)));
    let (accepted, told) = home.send(&first).await;
    let told = told.ok().unwrap().mdn.unwrap();
    let (repetition, told_anew) = home.send(&anew).await;
    let told_anew = told_anew.ok().unwrap().mdn.unwrap();
    assert!(home.flow.store.message(&repetition).is_none(), "it is the same message");
    let further = home.message(&accepted).further_receipts;
    let said = further.first().and_then(|receipt| receipt.mic.clone()).expect("a receipt of its own");
    let mics = |letter: &Letter| letter.mics.expected.iter().map(|sent| sent.mic.to_string()).collect::<Vec<_>>();
    assert!(mics(&anew).contains(&said) && !mics(&first).contains(&said));
    for (letter, expected) in [(&first, told), (&anew, told_anew)] {
        assert!(home.send(letter).await.1.ok().unwrap().mdn.unwrap() == expected, "byte for byte");
    }
}

#[tokio::test]
async fn what_is_opened_later_says_when_it_was_received() {
    let home = Home::new();
    let received = home.clock.now();
    let taken = home.take(&home.letter("<waited@theirs>", later(), SHA256)).await;
    home.pass(2);
    home.resume().await;
    let message = home.message(&taken.id);
    let mut files = message.publications.iter().flat_map(|(publication, _)| &publication.files);
    let meta = files.find_map(|(_, content)| match content {
        Content::Text(text) => Some(text.as_str()),
        Content::Body(_) => None,
    });
    let meta = meta.expect("a meta file");
    assert!(meta.contains(&format!("\"received_at\": \"{}\"", customs_time(received))), "{meta}");
}

#[tokio::test]
async fn the_same_content_signed_twice_at_once_is_no_news_however_late_it_is_opened() {
    let home = Home::new();
    let first = home.take(&home.letter("<one@theirs>", later(), SHA256)).await;
    let second = home.take(&home.letter("<two@theirs>", later(), SHA256)).await;
    home.pass(2);
    home.resume().await;
    for taken in [first, second] {
        assert_eq!(home.message(&taken.id).state, State::Accepted);
    }
    assert!(home.flow.store.alerts().condition("gateway.signature-reused.theirs").is_none(), "nobody recorded it");
}

#[tokio::test]
async fn a_document_whose_envelope_has_an_empty_file_name_is_named_as_one_without() {
    let home = Home::new();
    home.change(|partner| partner.profile = Profile::Dxp);
    let head = EnvelopeHead {
        cop_msg_id: "M-1".to_owned(),
        sender_id: "DXPEDCCEB0000002".to_owned(),
        receiver_ids: vec!["DXPENT0000012345".to_owned()],
        creat_time: envelope::creat_time(home.clock.now()),
        msg_type: "CEB311Message".to_owned(),
        ..EnvelopeHead::default()
    };
    let mut bytes = Vec::new();
    envelope::wrap(&head, &mut &b"<order/>"[..], &mut bytes).unwrap();
    let nameless = "<dxp:AddInfo><dxp:FileName></dxp:FileName></dxp:AddInfo></dxp:DxpMsg>";
    let payload = String::from_utf8(bytes).unwrap().replace("</dxp:DxpMsg>", nameless);
    let payload = BytesSource(payload.as_bytes());
    let letter = home.letter_of("<nameless@theirs>", (MdnMode::Sync, SHA256), ("application/xml", &payload));
    let (id, answer) = home.send(&letter).await;
    assert!(answer.is_ok());
    assert_eq!(home.message(&id).file_name, "CEB311Message_M-1.xml");
}

#[tokio::test]
async fn several_responses_about_one_envelope_answer_one_message() {
    let home = Home::new();
    home.change(|partner| partner.profile = Profile::Dxp);
    let now = home.clock.now();
    let (sent, mut transaction) = (Id::new(now), Transaction::new(now));
    let declaration = DeclarationSummary {
        message_type: "CEB311Message".to_owned(),
        documents: 1,
        cop_msg_id: Some("M-1".to_owned()),
        keys: Vec::new(),
        dxpid: None,
    };
    let queued = Fact::Queued {
        kind: JobKind::Payload,
        partner: "theirs".to_owned(),
        file_name: "order.xml".to_owned(),
        payload: None,
        declaration: Some(declaration),
        about: None,
    };
    transaction.fact(sent, queued);
    home.flow.store.commit(transaction).await.unwrap();
    let original = EnvelopeHead {
        cop_msg_id: "M-1".to_owned(),
        sender_id: "DXPENT0000012345".to_owned(),
        receiver_ids: vec!["DXPEDCCEB0000002".to_owned()],
        creat_time: envelope::creat_time(now),
        msg_type: "CEB311Message".to_owned(),
        ..EnvelopeHead::default()
    };
    let one = |code: &str| Response { code: code.to_owned(), original: original.clone(), ..Response::default() };
    let responses = vec![one("0001"), one("2001")];
    let response = TransportResponse { receiver_id: "DXPENT0000012345".to_owned(), responses, left_out: 0 };
    let payload = BytesSource(envelope::write_response(&response));
    let letter = home.letter_of("<responses@theirs>", (MdnMode::Sync, SHA256), ("application/xml", &payload));
    let (id, answer) = home.send(&letter).await;
    assert!(answer.is_ok());
    let answered = home.message(&id).answered.expect("it answers something");
    assert_eq!((answered.messages, answered.of), (vec![sent], 1));
}

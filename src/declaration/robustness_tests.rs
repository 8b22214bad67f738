//! Whatever the bytes, an answer and no panic.

use jiff::Timestamp;
use proptest::prelude::*;

use super::precheck::{Expectations, check, check_for_ledger};
use super::receipt::{Outcome, answer, read};
use super::{envelope, sample};
use crate::ground::limits::Limits;

fn at() -> Timestamp {
    Timestamp::from_second(1_772_328_600).expect("in range")
}

/// Runs every reader over the bytes.
fn read_all(bytes: &[u8]) {
    let limits = Limits { findings: 20, ..Limits::default() };
    let report = check(&mut &bytes[..], &Expectations::default(), &limits);
    assert!(report.findings.len() <= 20);
    let _ = envelope::sniff(&mut &bytes[..], &limits);
    let _ = envelope::unwrap(&mut &bytes[..], &mut std::io::sink(), &limits);
    let _ = read(&mut &bytes[..], &limits);
    let _ = answer(&mut &bytes[..], at(), &Outcome::Accepted, &limits);
}

fn enveloped() -> Vec<u8> {
    let document = sample::order(1, "DXPENT0000012345", at(), 1);
    let head = envelope::EnvelopeHead {
        cop_msg_id: "1".into(),
        sender_id: "DXPENT0000012345".into(),
        receiver_ids: vec!["DXPEDCCEB0000002".into()],
        creat_time: envelope::creat_time(at()),
        msg_type: "CEB311Message".into(),
        file_name: None,
        ..envelope::EnvelopeHead::default()
    };
    let mut out = Vec::new();
    envelope::wrap(&head, &mut &document[..], &mut out).expect("a correct head");
    out
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        read_all(&bytes);
    }

    #[test]
    fn any_markup_is_read_without_panic(text in "[<>/&;#x!\\[\\]CDAT\\-? a-c:=\"'\u{6d77}\u{0}-\u{10}]{0,200}") {
        read_all(text.as_bytes());
    }

    #[test]
    fn a_declaration_with_damage_is_read_without_panic(at_byte in 0usize..6000, byte in any::<u8>(), cut in 0usize..9000) {
        for mut bytes in [enveloped(), sample::inventory(1, "D", at(), 3)] {
            if let Some(place) = bytes.get_mut(at_byte) {
                *place = byte;
            }
            bytes.truncate(cut.max(1));
            read_all(&bytes);
        }
    }

    #[test]
    fn any_document_survives_its_envelope(document in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let head = envelope::EnvelopeHead {
            cop_msg_id: "1".into(),
            sender_id: "S".into(),
            receiver_ids: vec!["R".into()],
            creat_time: envelope::creat_time(at()),
            ..envelope::EnvelopeHead::default()
        };
        let (mut wrapped, mut out) = (Vec::new(), Vec::new());
        envelope::wrap(&head, &mut &document[..], &mut wrapped).expect("a correct head");
        envelope::unwrap(&mut &wrapped[..], &mut out, &Limits::default()).expect("our own envelope");
        prop_assert_eq!(out, document);
    }
}

#[test]
fn documents_are_judged_while_a_large_file_is_read_and_nothing_of_them_is_kept() {
    // A declaration of 16 MiB that exists only while it is read: head, the same order again and again, tail.
    use std::cell::Cell;
    use std::io::{BufReader, Cursor, Read};
    let order = "<Order><OrderHead><guid>8D1C3A52-77C6-4F0E-9B0C-000000000001</guid></OrderHead></Order>\n";
    let start =
        format!("<CEB311Message xmlns='{}' version='1.0' guid='8D1C3A52-77C6-4F0E-9B0C-000000000000'>", super::CEB_NS);
    let repeat = 16 * 1024 * 1024 / order.len();
    let handed_out = Cell::new(0);
    let orders = std::iter::repeat_n(order, repeat);
    let middle = Orders { orders, rest: Cursor::new(""), handed_out: &handed_out };
    let input = Cursor::new(start).chain(middle).chain(Cursor::new("</CEB311Message>"));
    let (mut told, mut ahead) = (0, 0);
    let report =
        check_for_ledger(&mut BufReader::new(input), &Expectations::default(), &Limits::default(), &mut |facts| {
            told += order.len();
            ahead = ahead.max(handed_out.get() - told);
            drop(facts);
        });
    assert_eq!((u64::from(report.documents), told), (repeat as u64, repeat * order.len()));
    assert!(ahead < 128 * 1024, "{ahead} bytes were read before the document in front of them was judged");
    assert_eq!((report.findings.len(), report.keys.len()), (Limits::default().findings, 0));
}

/// Orders as bytes, one at a time.
struct Orders<'c, I> {
    orders: I,
    rest: std::io::Cursor<&'static str>,
    handed_out: &'c std::cell::Cell<usize>,
}

impl<I: Iterator<Item = &'static str>> std::io::Read for Orders<'_, I> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        loop {
            match self.rest.read(out)? {
                0 => match self.orders.next() {
                    Some(order) => self.rest = std::io::Cursor::new(order),
                    None => return Ok(0),
                },
                count => {
                    self.handed_out.set(self.handed_out.get() + count);
                    return Ok(count);
                }
            }
        }
    }
}

//! The cases themselves.

use super::{BODY, Case, OVERSIZED, Odd, PAYLOAD, Place, Travels};
use crate::grid::cells::Cell;
use crate::support::bend::Bend;
use crate::support::proxy::Fault;

/// Bytes after which a connection breaks: in the body of every message, and in the MDN of every answer.
const IN_THE_MESSAGE: usize = 1500;
const IN_THE_MDN: usize = 1000;

/// What we send to the peer, protected with this key transport.
pub fn sent(key_transport: &'static str) -> Vec<Case> {
    let (usual, mut cases) = shared(key_transport);
    let plain = Cell { sign: "none", encrypt: "none", compress: "before-signing", ..usual.cell.clone() };
    cases.extend([
        Case {
            what: "the end of compressed data missing",
            cell: plain,
            there: vec![Fault::Bent(Bend::CutZlib)],
            ..usual.clone()
        },
        Case { what: "to a name that the peer does not have", odd: Odd::Partner, ..usual.clone() },
        Case { what: "larger than the peer takes", size: OVERSIZED, ..usual },
    ]);
    for case in &mut cases {
        if case.odd == Odd::Signer {
            case.place = Place::Stranger;
        }
    }
    cases
}

/// What the peer sends to us.
pub fn received(key_transport: &'static str) -> Vec<Case> {
    let (usual, mut cases) = shared(key_transport);
    let compressed = Cell { compress: "before-signing", ..usual.cell.clone() };
    cases.extend([
        Case { what: "the end of compressed data missing", cell: compressed, odd: Odd::Zlib, ..usual.clone() },
        Case { what: "from a name that we do not know", odd: Odd::Partner, ..usual.clone() },
        Case { what: "a body over `limits.body`", size: BODY + 1, ..usual.clone() },
        Case { what: "a payload over `accept.max_payload`", size: PAYLOAD + 1, ..usual },
    ]);
    cases
}

/// What is the same in both directions, and a case with nothing odd about it.
fn shared(key_transport: &'static str) -> (Case, Vec<Case>) {
    let usual = Case {
        what: "",
        place: Place::Usual,
        name: "",
        cell: Cell::usual(key_transport),
        there: vec![],
        back: vec![],
        travels: Travels::Usually,
        odd: Odd::Nothing,
        size: 0,
    };
    let later = Cell { mdn: "async", ..usual.cell.clone() };
    let clear = Cell { encrypt: "none", ..usual.cell.clone() };
    let (blanks, quotes) = (Place::Blanks, Place::Quotes);
    let loses = |what, fault| Case { what, there: vec![fault], ..usual.clone() };
    let loses_later = |what, fault| Case { what, back: vec![fault], cell: later.clone(), ..usual.clone() };
    let cases = vec![
        Case { what: "names with blanks", place: blanks, name: "Their Station", ..usual.clone() },
        Case {
            what: "names with blanks, MDN later",
            place: blanks,
            name: "Their Other Station",
            cell: later.clone(),
            ..usual.clone()
        },
        Case {
            what: "names with quotes and a backslash",
            place: quotes,
            name: r#"their "own" \station"#,
            ..usual.clone()
        },
        Case {
            what: "names with quotes and a backslash, MDN later",
            place: quotes,
            name: r#"their "other" \station"#,
            cell: later.clone(),
            ..usual.clone()
        },
        Case { what: "in chunks", travels: Travels::Chunked, ..usual.clone() },
        Case { what: "`Expect: 100-continue`", travels: Travels::Expecting, ..usual.clone() },
        loses("64 bytes in 10 ms", Fault::SlowRequest),
        loses("cut off in the message", Fault::CutRequest(IN_THE_MESSAGE)),
        loses("cut off before the MDN", Fault::CutAnswer(0)),
        loses("cut off in the MDN", Fault::CutAnswer(IN_THE_MDN)),
        loses_later("cut off in an MDN that comes later", Fault::CutRequest(IN_THE_MDN)),
        loses_later("cut off after an MDN that comes later", Fault::CutAnswer(0)),
        loses("the same message twice", Fault::Bent(Bend::Twice)),
        Case {
            what: "signed with a key that the receiver does not know",
            odd: Odd::Signer,
            cell: clear.clone(),
            ..usual.clone()
        },
        Case { what: "encrypted to somebody else", odd: Odd::Recipient, ..usual.clone() },
        Case { cell: clear, ..loses("a byte of what is signed changed", Fault::Bent(Bend::Flip)) },
        loses("a byte of the envelope changed", Fault::Bent(Bend::Flip)),
    ];
    (usual, cases)
}

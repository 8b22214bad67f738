//! The history of a message as spans. Pure.
//!
//! | span | from | to |
//! |---|---|---|
//! | `message` | the first fact | the last |
//! | `compose` | `queued` | `composed`, or what came instead |
//! | `wait` | `composed`, `recomposed`, `retry-at`, `released` | the next attempt, or what came instead |
//! | `send` | `attempted` | what came of it |
//! | `await-mdn` | `awaiting-receipt` | the MDN, or what came instead |
//! | `hold` | `held`, `restored` | what a person did |
//! | `open` | `received` | `accepted`, `declined` |
//! | `publish` | `delivered`, `failed`, `cancelled`, `rejected`, `accepted` with files | `published` |

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use openssl::sha::sha256;

use crate::ground::text::printable;
use crate::store::record::{Direction, Event, JobKind, Message, State};

/// A step of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The message's id, 32 hex digits.
    pub trace: String,
    /// 16 hex digits; the same whenever the same step is exported.
    pub id: String,
    /// The span of the whole message; none for itself.
    pub parent: Option<String>,
    /// What was done.
    pub name: &'static str,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// About it.
    pub attributes: Vec<(&'static str, String)>,
    /// It ended badly.
    pub failed: bool,
}

/// The whole of a message, then its steps in order.
pub fn of(message: &Message) -> Vec<Span> {
    let (Some(first), Some(last)) = (message.timeline.first(), message.timeline.last()) else { return Vec::new() };
    let trace = HEXLOWER.encode(message.id.as_bytes());
    let root = span_id(&trace, "message", 0);
    let whole = Span {
        trace: trace.clone(),
        id: root.clone(),
        parent: None,
        name: "message",
        start: message.created.min(first.at),
        end: last.at,
        attributes: about(message),
        failed: matches!(message.state, State::Failed | State::Declined | State::Rejected),
    };
    let mut spans = vec![whole];
    let steps = message.timeline.iter().enumerate().filter_map(|(place, event)| Some((place, event, step(event)?)));
    for (place, event, name) in steps {
        let rest = message.timeline.iter().skip(place.saturating_add(1));
        let Some(end) = rest.into_iter().find(|next| ends(name, next)) else { continue };
        let mut attributes = vec![("dxgate.partner", message.partner.clone()), ("dxgate.outcome", end.fact.clone())];
        let detail = if name == "send" { ("dxgate.attempt", &event.detail) } else { ("dxgate.begin", &event.fact) };
        attributes.push((detail.0, printable(detail.1)));
        if matches!(end.fact.as_str(), "retry-at" | "failed" | "held" | "declined") {
            attributes.push(("dxgate.reason", printable(&end.detail)));
        }
        spans.push(Span {
            trace: trace.clone(),
            // Lines are dropped from the front of long histories: the instant tells steps apart, not the place.
            id: span_id(&trace, name, event.at.as_nanosecond()),
            parent: Some(root.clone()),
            name,
            start: event.at,
            end: end.at.max(event.at),
            attributes,
            failed: matches!(end.fact.as_str(), "retry-at" | "failed" | "held" | "declined"),
        });
    }
    spans
}

/// The step that begins with a fact.
fn step(event: &Event) -> Option<&'static str> {
    Some(match event.fact.as_str() {
        "queued" => "compose",
        "composed" | "recomposed" | "retry-at" | "released" => "wait",
        "attempted" => "send",
        "awaiting-receipt" => "await-mdn",
        "held" | "restored" => "hold",
        "received" => "open",
        "delivered" | "failed" | "cancelled" | "rejected" | "accepted" => "publish",
        _ => return None,
    })
}

/// Facts that end no step.
const BESIDE: [&str; 12] = [
    "stray-receipt",
    "acknowledged",
    "evidence",
    "staged",
    "published",
    "legal-held",
    "legal-released",
    "declared",
    "prechecked",
    "business-receipt",
    "platform-answered",
    "matched",
];

/// Whether a later fact ends a step.
fn ends(step: &str, event: &Event) -> bool {
    if step == "publish" {
        return event.fact == "published";
    }
    !BESIDE.contains(&event.fact.as_str())
}

fn about(message: &Message) -> Vec<(&'static str, String)> {
    let direction = if message.direction == Direction::Outbound { "outbound" } else { "inbound" };
    let kind = if message.kind == JobKind::Payload { "payload" } else { "mdn" };
    let state = serde_json::to_value(message.state).ok().and_then(|state| Some(state.as_str()?.to_owned()));
    let mut attributes = vec![
        ("dxgate.message", message.id.to_string()),
        ("dxgate.partner", message.partner.clone()),
        ("dxgate.direction", direction.to_owned()),
        ("dxgate.kind", kind.to_owned()),
        ("dxgate.state", state.unwrap_or_default()),
        ("dxgate.attempts", message.attempts.to_string()),
    ];
    let bytes = message.wire.map(|wire| ("dxgate.wire_bytes", wire.len.to_string()));
    let reason = message.reason.as_ref().map(|reason| ("dxgate.reason", reason.code.clone()));
    let kind = message.declaration.as_ref().map(|one| ("dxgate.message_type", printable(&one.message_type)));
    attributes.extend(bytes.into_iter().chain(reason).chain(kind));
    attributes
}

/// Eight bytes that are always the same for the same step.
fn span_id(trace: &str, name: &str, at: i128) -> String {
    let digest = sha256(format!("{trace} {name} {at}").as_bytes());
    digest.first_chunk::<8>().map(|id| HEXLOWER.encode(id)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bilingual;
    use crate::ground::id::Id;
    use crate::store::apply;
    use crate::store::record::{Came, Fact, Reason};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_retried_message_is_one_trace_of_its_steps() {
        let reason = || Reason { code: "http-503".into(), text: bilingual!("忙", "busy") };
        let id = Id::from_bytes([7; 16]);
        let queued = Fact::Queued {
            kind: JobKind::Payload,
            partner: "customs".into(),
            file_name: "a.xml".into(),
            payload: None,
            declaration: None,
            about: None,
        };
        let body = crate::store::record::Body { id, len: 9, sha256: Some([0; 32]), crc32c: None };
        let composed = Fact::Composed {
            message_id: "<a@b>".into(),
            headers: Default::default(),
            wire: body,
            mics: Default::default(),
            due: at(1),
        };
        let facts = [
            (0, queued),
            (0, Fact::Declared { documents: Vec::new() }),
            (1, composed),
            (2, Fact::Attempted { number: 1 }),
            (5, Fact::RetryAt { due: at(60), reason: reason(), came: Came::Unknown }),
            (60, Fact::Attempted { number: 2 }),
            (61, Fact::AwaitingReceipt { deadline: at(900), came: Came::Answered }),
            (70, Fact::Delivered { receipt: None, note: None, files: Vec::new() }),
        ];
        let message = facts
            .iter()
            .fold(None, |message, (second, fact)| Some(apply(message, id, at(*second), fact).expect("lawful")));
        let spans = of(&message.unwrap());
        let told: Vec<(&str, i64, i64, bool)> =
            spans.iter().map(|span| (span.name, span.start.as_second(), span.end.as_second(), span.failed)).collect();
        let wanted = [
            ("message", 0, 70, false),
            ("compose", 0, 1, false),
            ("wait", 1, 2, false),
            ("send", 2, 5, true),
            ("wait", 5, 60, false),
            ("send", 60, 61, false),
            ("await-mdn", 61, 70, false),
        ];
        assert_eq!(told, wanted);
        assert!(spans.iter().all(|span| span.trace == "07".repeat(16) && span.id.len() == 16));
        assert!(spans.iter().skip(1).all(|span| span.parent.as_ref() == Some(&spans[0].id)));
        let ids: std::collections::BTreeSet<&String> = spans.iter().map(|span| &span.id).collect();
        assert_eq!(ids.len(), spans.len());
        assert!(spans[3].attributes.contains(&("dxgate.reason", "http-503".to_owned())), "{:?}", spans[3]);
    }
}

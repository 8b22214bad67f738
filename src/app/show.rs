//! What the console shows of messages and queue beside the messages themselves.

use std::io;
use std::sync::Arc;

use super::backend::{GatewayBackend, refusal};
use crate::as2::{self, mdn};
use crate::bilingual;
use crate::console::wire::traffic::{
    FindingWire, KeyWire, OldestWire, PartnerQueueWire, PrecheckWire, QueueWire, TableWire,
};
use crate::console::{Download, Part, Refusal};
use crate::declaration::precheck::{Level, Report};
use crate::ground::id::Id;
use crate::ground::limits::Limits;
use crate::partner::{Dxp, Partner, Profile};
use crate::store::Store;
use crate::store::record::{Body, JobKind, Message, State};

/// Bytes of a file that somebody brings to the pre-check: what a page can show.
pub(super) const PRECHECK_LIMIT: u64 = 32 * 1024 * 1024;
/// Messages of one partner that are counted.
const COUNTED: usize = 10_000;

/// Runs blocking work.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    crate::ground::drain::blocking(work).await.map_err(|error| {
        let text = bilingual!("未能完成：{error}", "it broke off: {error}");
        refusal(503, "internal-error", text)
    })?
}

/// Bytes of a message.
pub(super) fn download(store: &Store, id: Id, part: Part) -> Result<Download, Refusal> {
    let message = find(store, id)?;
    let body = body_of(&message, part)?;
    if part == Part::SealedWire && message.kind == JobKind::Payload {
        let mut bytes = store.read(&body).map_err(|error| unreadable(&error))?;
        if !as2::is_enveloped(&message.headers, &mut bytes, &Limits::default()) {
            return Err(wire_is_payload());
        }
    }
    let file_name = match part {
        Part::Payload if !message.file_name.is_empty() => message.file_name.clone(),
        Part::Payload => format!("{id}.payload"),
        Part::Wire | Part::SealedWire => format!("{id}.wire"),
        Part::Mdn => format!("{id}.mdn"),
    };
    let bytes = store.read(&body).map_err(|error| unreadable(&error))?;
    Ok(Download { file_name, len: body.len, bytes })
}

fn body_of(message: &Message, part: Part) -> Result<Body, Refusal> {
    let body = match part {
        Part::Wire | Part::SealedWire => message.wire,
        Part::Payload => message.payload,
        Part::Mdn => message.receipt.as_ref().map(|receipt| receipt.body),
    };
    let body = body.ok_or_else(|| {
        let text = bilingual!("该报文没有这部分内容。", "the message has no such part.");
        refusal(404, "body-unknown", text)
    })?;
    let purged = message.payload_purged.as_ref().is_some_and(|purge| purge.bodies.contains(&body.id));
    if purged {
        let text =
            bilingual!("载荷的保存期限已过，只保留其摘要。", "the payload's time is over; only its digest is kept.");
        return Err(refusal(410, "payload-purged", text));
    }
    Ok(body)
}

fn wire_is_payload() -> Refusal {
    let text = bilingual!(
        "该报文未加密，传输字节即业务内容：需要操作员权限。",
        "the message is not encrypted, so its wire bytes show the payload: an operator may see them."
    );
    refusal(403, "forbidden", text)
}

/// What an MDN says to people.
pub(super) fn mdn_text(store: &Store, id: Id, limits: &Limits) -> Result<String, Refusal> {
    let message = find(store, id)?;
    let body = body_of(&message, Part::Mdn)?;
    let headers = message.receipt.as_ref().map(|receipt| receipt.headers.clone()).unwrap_or_default();
    let most = u64::try_from(limits.mdn.saturating_add(limits.header_block)).unwrap_or(u64::MAX);
    let raw = store.read_all(&body, most).map_err(|error| unreadable(&error))?;
    let end = memchr::memmem::find(&raw, b"\r\n\r\n").map_or(0, |end| end.saturating_add(4));
    let content = raw.get(end..).unwrap_or_default();
    let parsed = mdn::parse(&headers, content, &[], limits);
    parsed.map(|mdn| mdn.text).map_err(|error| refusal(422, error.code(), error.text()))
}

fn find(store: &Store, id: Id) -> Result<Message, Refusal> {
    store
        .message(&id)
        .ok_or_else(|| refusal(404, "message-unknown", bilingual!("没有这个报文", "there is no such message")))
}

fn unreadable(error: &io::Error) -> Refusal {
    tracing::error!(%error, code = "body-unreadable", "kept bytes cannot be read");
    let text = bilingual!("无法读取保存的内容：{error}", "the kept bytes cannot be read: {error}");
    refusal(503, "body-unreadable", text)
}

/// What waits.
pub(super) fn queue(backend: &GatewayBackend) -> QueueWire {
    let (store, now) = (&backend.store, backend.clock.now());
    let waiting = [State::Queued, State::Composed, State::Sending, State::AwaitingReceipt];
    let counts = store.counts();
    let pauses = store.pauses();
    let partners: Vec<PartnerQueueWire> = store
        .queued_partners()
        .into_iter()
        .map(|partner| {
            let queue = store.queue_of(&partner, now, COUNTED);
            let (paused, down) = (pauses.contains_key(&partner), backend.outbound.is_down(&partner));
            PartnerQueueWire { waiting: queue.waiting, due: queue.due, paused, down, partner }
        })
        .collect();
    let oldest = store.oldest_in(&waiting).map(|message| OldestWire { id: message.id, since: message.created });
    QueueWire {
        waiting: waiting.iter().map(|state| counts.state(*state)).sum(),
        due: partners.iter().map(|partner| partner.due).sum(),
        oldest,
        held: counts.state(State::Held),
        failed: counts.state(State::Failed),
        unpublished: u64::try_from(store.pending_publications(COUNTED).len()).unwrap_or(u64::MAX),
        partners,
    }
}

/// Checks a file as the outbox of `partner` would; `None`: there is no such customs partner.
pub(super) fn precheck(
    backend: &GatewayBackend,
    name: String,
    partner: Option<&str>,
    bytes: &[u8],
) -> Option<PrecheckWire> {
    let (_, directory) = backend.settings();
    let customs = |partner: &&Arc<Partner>| partner.profile == Profile::Dxp && partner.dxp.is_some();
    let partner = match partner {
        Some(id) => Some(directory.by_id(id).filter(customs)?),
        None => {
            let mut all = directory.all().filter(customs);
            all.next().filter(|_| all.next().is_none())
        }
    };
    let dxp = partner.and_then(|partner| partner.dxp.clone());
    let dxp = dxp.unwrap_or_else(|| Dxp::usual(backend.reloading.levels()));
    let report = backend.outbound.would_find(partner.map(AsRef::as_ref), &dxp, bytes, backend.now());
    let tables = backend.outbound.tables();
    let tables = tables.loaded().into_iter().map(|(list, codes)| TableWire { table: list.name().to_owned(), codes });
    Some(precheck_wire(name, partner.map(|partner| partner.id.clone()), tables.collect(), report))
}

fn precheck_wire(name: String, partner: Option<String>, tables: Vec<TableWire>, report: Report) -> PrecheckWire {
    let refused = report.findings.iter().any(|finding| finding.level == Level::Error);
    let keys = report.keys.into_iter().map(|key| KeyWire { document: key.document, name: key.name, value: key.value });
    let findings = report.findings.into_iter().map(|finding| FindingWire {
        rule: finding.rule,
        level: if finding.level == Level::Error { "error" } else { "warning" }.to_owned(),
        code: finding.code,
        path: finding.path,
        line: finding.line,
        column: finding.column,
        document: finding.document,
        key: finding.key,
        value: finding.value,
        customs_code: finding.customs_code,
        source: finding.source,
        message_zh: finding.message_zh,
        message_en: finding.message_en,
    });
    PrecheckWire {
        name,
        partner,
        tables,
        verdict: if refused { "refused" } else { "accepted" }.to_owned(),
        message_type: report.message_type,
        documents: report.documents,
        keys: keys.collect(),
        findings: findings.collect(),
        findings_left_out: report.findings_left_out,
    }
}

//! What became of each declaration, as a table and as JSON.

use std::io;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, ContentArrangement, Table};
use jiff::Timestamp;
use serde::Serialize;

use crate::bilingual;
use crate::cli::voice::Voice;
use crate::ground::text::{Bilingual, Language, printable};
use crate::store::record::{Message, State};

/// One declaration's road.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    file: String,
    message_type: Option<String>,
    documents: Option<u32>,
    id: Option<String>,
    message_id: Option<String>,
    state: Option<State>,
    mdn: Option<String>,
    mdn_signed_by: Option<String>,
    mic: Option<String>,
    mic_matches: Option<bool>,
    business_receipt: Option<String>,
    business_receipt_file: Option<String>,
    milliseconds: Option<i128>,
    reason: Option<Bilingual>,
}

impl Row {
    pub(super) fn new(
        file: &str,
        message: Option<&Message>,
        receipt: Option<&Message>,
        published: Option<(String, Timestamp)>,
    ) -> Row {
        let declaration = message.and_then(|message| message.declaration.as_ref());
        let mdn = message.and_then(|message| message.receipt.as_ref());
        let arrived = published.as_ref().map(|(_, at)| *at);
        Row {
            file: file.to_owned(),
            message_type: declaration.map(|declaration| declaration.message_type.clone()),
            documents: declaration.map(|declaration| declaration.documents),
            id: message.map(|message| message.id.to_string()),
            message_id: message.and_then(|message| message.message_id.clone()),
            state: message.map(|message| message.state),
            mdn: mdn.map(|mdn| mdn.disposition.clone()),
            mdn_signed_by: mdn.and_then(|mdn| mdn.signer.clone()),
            mic: mdn.and_then(|mdn| mdn.mic.clone()),
            mic_matches: mdn.and_then(|mdn| mdn.mic_matches),
            business_receipt: receipt.and_then(|receipt| Some(receipt.declaration.as_ref()?.message_type.clone())),
            business_receipt_file: published.map(|(name, _)| name),
            milliseconds: message.zip(arrived).map(|(message, at)| at.duration_since(message.created).as_millis()),
            reason: message.and_then(|message| Some(message.reason.as_ref()?.text.clone())),
        }
    }

    /// Verified positive MDN with our MIC, and the business receipt lies in the inbox.
    pub(super) fn is_complete(&self) -> bool {
        self.is_delivered() && self.business_receipt_file.is_some()
    }

    fn is_delivered(&self) -> bool {
        self.state == Some(State::Delivered) && self.mic_matches == Some(true) && self.mdn_signed_by.is_some()
    }

    /// Nothing more will come.
    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state, Some(State::Failed | State::Held | State::Rejected | State::Cancelled))
    }

    /// Where it is now, in a few words.
    pub(super) fn step(&self) -> Bilingual {
        if self.is_complete() {
            return bilingual!("已收到业务回执 ✓", "business receipt received ✓");
        }
        match self.state {
            None => bilingual!("等待取走", "waiting to be taken"),
            Some(State::Delivered) => {
                bilingual!("MDN 已验证，等待业务回执", "MDN verified, waiting for the business receipt")
            }
            Some(state) => {
                let state = state_name(state);
                bilingual!("{state}", "{state}")
            }
        }
    }
}

/// Totals and rows, the shape of `--format json`.
#[derive(Serialize)]
struct Summary<'a> {
    sent: usize,
    delivered: usize,
    receipts: usize,
    failed: usize,
    messages: &'a [Row],
}

/// Prints the outcome.
pub(super) fn show(rows: &[Row], voice: &mut Voice<'_>) -> io::Result<()> {
    let summary = Summary {
        sent: rows.iter().filter(|row| row.message_id.is_some()).count(),
        delivered: rows.iter().filter(|row| row.is_delivered()).count(),
        receipts: rows.iter().filter(|row| row.business_receipt_file.is_some()).count(),
        failed: rows.iter().filter(|row| !row.is_complete()).count(),
        messages: rows,
    };
    if voice.json {
        return voice.value(&summary);
    }
    let language = voice.language;
    table(rows, language).lines().try_for_each(|line| voice.line(&line))?;
    for row in rows.iter().filter(|row| row.has_failed()) {
        if let Some(reason) = &row.reason {
            voice.line(&format!("{}: {}", printable(&row.file), reason.text(language)))?;
        }
    }
    let (sent, delivered, receipts, failed) = (summary.sent, summary.delivered, summary.receipts, summary.failed);
    voice.say(&bilingual!(
        "已发送 {sent}，已确认 {delivered}，业务回执 {receipts}，未完成 {failed}",
        "sent {sent}, delivered {delivered}, business receipts {receipts}, incomplete {failed}"
    ))
}

fn table(rows: &[Row], language: Language) -> Table {
    let titles = match language {
        Language::Chinese => ["文件", "类型", "单证", "Message-ID", "MDN", "MIC 一致", "业务回执", "毫秒"],
        Language::English => ["file", "type", "docs", "Message-ID", "MDN", "MIC match", "business receipt", "ms"],
    };
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled).set_header(titles);
    for row in rows {
        let text = |value: &Option<String>| Cell::new(printable(value.as_deref().unwrap_or("–")));
        let state = row.state.map(state_name).unwrap_or_default();
        table.add_row([
            Cell::new(printable(&row.file)),
            text(&row.message_type.as_ref().map(|kind| kind.trim_end_matches("Message").to_owned())),
            Cell::new(row.documents.map_or_else(|| "–".to_owned(), |count| count.to_string())),
            text(&row.message_id.as_ref().map(|id| shortened(id))),
            Cell::new(
                row.mdn.as_deref().and_then(|mdn| mdn.split(';').nth(1)).map_or(state, |mdn| mdn.trim().to_owned()),
            ),
            Cell::new(match row.mic_matches {
                Some(true) => "✓",
                Some(false) => "✗",
                None => "–",
            }),
            text(&row.business_receipt_file.as_ref().and(row.business_receipt.clone())),
            Cell::new(row.milliseconds.map_or_else(|| "–".to_owned(), |ms| ms.to_string())),
        ]);
    }
    table
}

/// `<0192…c4f1@host>`: enough to recognise it in a terminal.
fn shortened(id: &str) -> String {
    match id.split_once('@') {
        Some((left, right)) if left.len() > 14 && left.is_ascii() => {
            let (head, tail) =
                (left.get(..5).unwrap_or(left), left.get(left.len().saturating_sub(4)..).unwrap_or_default());
            format!("{head}…{tail}@{right}")
        }
        _ => id.to_owned(),
    }
}

fn state_name(state: State) -> String {
    serde_json::to_value(state).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

//! The envelope around a bare declaration: its head by the partner's settings and by what the pre-check saw.

use std::io;

use jiff::Timestamp;

use super::Outbound;
use crate::bilingual;
use crate::declaration::envelope::{self, AddInfo, BizKey, EnvelopeHead};
use crate::declaration::family::{self, Family};
use crate::declaration::precheck::Report;
use crate::ground::id::Id;
use crate::ground::text::Bilingual;
use crate::partner::{AddInfoSettings, Dxp, EnvelopeName, KeyRule};
use crate::store::draft::{Draft, Sink};

impl Outbound {
    /// The head of the envelope of a bare declaration: of this type, in a file of this name.
    pub(super) fn envelope_head(
        &self,
        dxp: &Dxp,
        (message_type, name): (&str, &str),
        report: &Report,
        id: Id,
        now: Timestamp,
    ) -> Result<EnvelopeHead, Bilingual> {
        let receiver = match family::receiver_for(message_type) {
            Some(Family::Import) => &dxp.import_receiver,
            Some(Family::Export) => &dxp.export_receiver,
            None => {
                return Err(bilingual!(
                    "不知道 {message_type} 应发往进口还是出口系统，未发送。请自行封装为 DxpMsg 后再放入发件箱。",
                    "{message_type} belongs neither to the import nor to the export system and was not sent. Wrap it in a DxpMsg yourself."
                ));
            }
        };
        let Some(dxpid) = self.station.dxpid.clone() else {
            return Err(bilingual!(
                "未配置 DXPID，无法封装。请在 gateway.toml 的 [station] 中设置 dxpid。",
                "no DXPID is configured, so no envelope can be made. Set dxpid in [station] of gateway.toml."
            ));
        };
        let cop_msg_id = id.hyphenated().to_uppercase();
        Ok(EnvelopeHead {
            file_name: file_name(dxp.add_info.file_name, name, || generated_name(message_type, &cop_msg_id)),
            add_info: Box::new(add_info(&dxp.add_info, report)),
            cop_msg_id,
            sender_id: dxpid,
            receiver_ids: receivers(receiver, &dxp.more_receivers),
            creat_time: envelope::creat_time(now),
            msg_type: message_type.to_owned(),
        })
    }

    /// The envelope's bytes.
    pub(super) fn wrap(&self, head: &EnvelopeHead, payload: &Draft) -> io::Result<Draft> {
        let mut sink = Sink::new(&self.store);
        let mut document = payload.open(&self.store)?;
        envelope::wrap(head, &mut document, &mut sink).map_err(io::Error::other)?;
        sink.finish()
    }
}

/// The receiver of the family and the others, none of them twice.
fn receivers(first: &str, more: &[String]) -> Vec<String> {
    let others = more.iter().filter(|other| *other != first).cloned();
    std::iter::once(first.to_owned()).chain(others).collect()
}

/// The name that an envelope travels under.
pub(super) fn name_of(head: &EnvelopeHead) -> String {
    head.file_name.clone().unwrap_or_else(|| generated_name(&head.msg_type, &head.cop_msg_id))
}

fn generated_name(message_type: &str, cop_msg_id: &str) -> String {
    format!("{message_type}_{cop_msg_id}.xml")
}

/// `FileName`: a name of the user's that the schema would refuse gives way to a generated one.
fn file_name(rule: EnvelopeName, original: &str, generated: impl FnOnce() -> String) -> Option<String> {
    match rule {
        EnvelopeName::Absent => None,
        EnvelopeName::Original if envelope::is_file_name(original) => Some(original.to_owned()),
        EnvelopeName::Original | EnvelopeName::Generated => Some(generated()),
    }
}

/// The rest of `AddInfo`. A key that the first document does not have, or that is too long for the schema, is left out: it
/// is no reason not to send.
fn add_info(settings: &AddInfoSettings, report: &Report) -> AddInfo {
    let key = |rule: &KeyRule| {
        let (name, value) = match rule {
            KeyRule::Always(name, value) => (name, value),
            KeyRule::Field(name) => {
                let mut keys = report.keys.iter().filter(|key| key.document == 1);
                (name, &keys.find(|key| key.name == *name)?.value)
            }
        };
        let key = BizKey { name: Some(name.clone()), value: value.clone() };
        key.fits().then_some(key)
    };
    AddInfo {
        ic_card: settings.ic_card.clone(),
        keys: settings.keys.iter().filter_map(key).collect(),
        encoding: report.encoding.as_deref().filter(|_| settings.is_text).map(str::to_ascii_uppercase),
        map_id: settings.map_id.clone(),
    }
}

//! `[dxp.add_info]` of a partner file: what the envelopes of declarations say beside sender and receivers.

use super::document::Section;
use super::station::one_of;
use crate::bilingual;
use crate::declaration::family;
use crate::ground::text::Bilingual;
use crate::partner::{AddInfoSettings, EnvelopeName, KeyRule};

/// Keys of one envelope, and characters of a key's name and value (the schema's).
const MOST_KEYS: usize = 5;
const NAME: usize = 32;
const VALUE: usize = 64;
const IC_CARD: usize = 13;
/// Characters of `RecMapId`, for which the schema has no bound.
const MAP_ID: usize = 255;

/// Reads the table; an absent one means a generated file name and nothing else.
pub(super) fn read(section: &Section<'_>) -> AddInfoSettings {
    let file_name = section.parsed("file_name", |text| one_of(text, &["generated", "original", "none"]));
    AddInfoSettings {
        file_name: match file_name {
            Some("original") => EnvelopeName::Original,
            Some("none") => EnvelopeName::Absent,
            _ => EnvelopeName::Generated,
        },
        ic_card: section.parsed("ic_card", |text| plain(text, IC_CARD)),
        keys: keys(section),
        is_text: section.boolean("is_text", false),
        map_id: section.parsed("rec_map_id", |text| plain(text, MAP_ID)),
    }
}

fn keys(section: &Section<'_>) -> Vec<KeyRule> {
    let keys = section.parsed_list("biz_keys", key).unwrap_or_default();
    if keys.len() > MOST_KEYS {
        let text = bilingual!("最多 {MOST_KEYS} 个业务关键字。", "at most {MOST_KEYS} keys.");
        section.error("biz_keys", "value-invalid", text);
        return Vec::new();
    }
    keys
}

/// `field`, or `name=value`.
fn key(text: &str) -> Result<KeyRule, Bilingual> {
    if let Some((name, value)) = text.split_once('=') {
        return Ok(KeyRule::Always(plain(name.trim_end(), NAME)?, plain(value.trim_start(), VALUE)?));
    }
    if family::all().any(|message| message.keys.contains(&text)) {
        return Ok(KeyRule::Field(text.to_owned()));
    }
    Err(bilingual!(
        "不是报文的业务主键字段。应为 orderNo、copNo、invtNo、logisticsNo 等字段名，或“名称=值”。",
        "no message has this key field. Name one such as orderNo, copNo, invtNo or logisticsNo, or write name=value."
    ))
}

/// 1 to `most` characters without blanks around them and without control characters.
fn plain(text: &str, most: usize) -> Result<String, Bilingual> {
    let fits = (1..=most).contains(&text.chars().count()) && text.trim() == text && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned()).ok_or_else(|| {
        bilingual!(
            "应为 1 至 {most} 个字符，首尾无空白，无控制字符。",
            "it has 1 to {most} characters, no blanks around them and no control characters."
        )
    })
}

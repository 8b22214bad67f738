//! Rules about one field, whatever the message: R02, R04 to R06, R08, R13 to R15, R21, R23, R25, R27, R28, R34 to R37.
//!
//! Which field has which form is said in the schema tables.

use jiff::civil::{Date, DateTime, Time};

use super::super::checkdigit::{is_credit_code, is_customs_code, is_identity};
use super::super::schema::value::{Type, characters, trim};
use super::super::schema::{Content, Format, Must, Node, Spec};
use super::codes::List;
use super::disagree;
use super::finding::Say;
use super::judge::Judge;
use super::record::Record;
use crate::bilingual;

/// Looks at the value of the field that just ended and that the schema accepts.
pub(super) fn check(node: &Node, value: &str, head: &Record, judge: &mut Judge<'_, '_, '_>) {
    let Content::Value(kind, _) = &node.content else { return };
    let bare = trim(value);
    // Where nothing has to be said, what only looks blank is text, and of the same form as any other.
    if is_blank(bare) && (bare.is_empty() || node.notes.must == Must::Yes) {
        return blank(node, *kind, value, judge);
    }
    match *kind {
        Type::Text { max, collapse, .. } => {
            if !collapse && bare.len() != value.len() {
                blanks(node, value, judge);
            }
            check_length(node, max, value, judge);
        }
        Type::Int { .. } => check_digits(node, bare, judge),
        _ => {}
    }
    match &node.notes.format {
        Format::Free | Format::Gnum => {}
        Format::OneOf(values) => one_of(node, *kind, values, bare, judge),
        Format::Guid => guid(node, bare, judge),
        Format::Time14 => time(node, bare, 14, judge),
        Format::Time17 => time(node, bare, 17, judge),
        Format::Date8 => time(node, bare, 8, judge),
        Format::Enterprise(word) => enterprise(node, word.as_deref(), bare, judge),
        Format::Identity => identity(node, bare, head, judge),
        Format::GoodsCode => goods_code(node, bare, head, judge),
        Format::Positive => positive(node, bare, judge),
        Format::Amount => amount(node, bare, judge),
        Format::BarCode => bar_code(node, bare, judge),
        Format::ImportList => list_number(node, bare, 'I', 9, judge),
        Format::ExportList => list_number(node, bare, 'E', 11, judge),
        Format::PreNo => pre_no(node, bare, head, judge),
        Format::Status => status(node, bare, judge),
        Format::Customs | Format::Unit | Format::Country | Format::Currency => coded(node, bare, judge),
        Format::TrafMode | Format::Port | Format::District => coded(node, bare, judge),
    }
}

/// An optional element that the schema refuses only because it is empty (R05).
pub(super) fn empty_optional(node: &Node, judge: &mut Judge<'_, '_, '_>) {
    let (name, zh) = (&node.name, &node.notes.name_zh);
    let text = bilingual!(
        "{name}（{zh}）没有值时应省略整个元素，不能留空",
        "leave {name} out when it has no value; an empty element is refused"
    );
    judge.here(node, Say::error("R05", "empty-optional", text), "");
}

/// A required field that the schema lets be absent (R04): the text of the specification demands it.
pub(super) fn absent(node: &Node, judge: &mut Judge<'_, '_, '_>) {
    let (name, zh) = (&node.name, &node.notes.name_zh);
    let text = bilingual!(
        "缺少 {name}（{zh}）：规范正文为必填，XSD 为选填，请补充",
        "{name} is missing: the specification's text requires it, its XSD does not; add it"
    );
    judge.at_group(Say::error("R04", "field-required", text));
}

fn blanks(node: &Node, value: &str, judge: &mut Judge<'_, '_, '_>) {
    let name = &node.name;
    let text =
        bilingual!("{name} 的值首尾有空白字符，请删除", "the value of {name} begins or ends with blanks; remove them");
    judge.here(node, Say::error("R04", "field-blanks", text), value);
}

/// Nothing to read: a full-width space (U+3000) and its kin fill no field.
fn is_blank(bare: &str) -> bool {
    let unseen = |c: char| c.is_whitespace() || matches!(c, '\u{200B}' | '\u{FEFF}');
    bare.as_bytes().first().is_none_or(|byte| !byte.is_ascii()) && bare.chars().all(unseen)
}

fn blank(node: &Node, kind: Type, value: &str, judge: &mut Judge<'_, '_, '_>) {
    let (name, zh) = (&node.name, &node.notes.name_zh);
    if node.notes.must != Must::Yes {
        if !value.is_empty() && matches!(kind, Type::Text { collapse: false, .. }) {
            blanks(node, value, judge);
        }
        return;
    }
    if node.notes.format == Format::BarCode {
        let text = bilingual!("没有条码时 {name} 应填“无”", "{name} is empty; write 无 when there is no bar code");
        return judge.here(node, Say::warning("R25", "bar-code-missing", text), "");
    }
    let text = bilingual!(
        "{name}（{zh}）为必填，不能为空（规范正文要求，XSD 允许空值）",
        "{name} is required and must not be empty (the specification's text says so, its XSD lets it pass)"
    );
    judge.here(node, Say::error("R04", "field-blank", text), "");
}

fn check_length(node: &Node, max: u32, value: &str, judge: &mut Judge<'_, '_, '_>) {
    // Neither has more characters, nor more bytes in GBK, than bytes in UTF-8.
    let short = u32::try_from(value.len()).is_ok_and(|bytes| bytes <= max);
    if node.notes.spec == Spec::Same && (short || value.is_ascii()) {
        return;
    }
    let count = characters(value);
    if let Spec::Characters(least, most) = node.notes.spec
        && !(least..=most).contains(&count)
    {
        let (name, note) = (&node.name, disagree::about(node));
        let (note_zh, note_en) = (note.zh, note.en);
        let text = bilingual!("{name} 有 {count} 个字符{note_zh}", "{name} has {count} characters{note_en}");
        return judge.here(node, Say::warning("R04", "spec-length", text), value);
    }
    // Some readers count the bytes of GBK, two for every Chinese character.
    if max == u32::MAX || value.is_ascii() {
        return;
    }
    let ascii = value.bytes().filter(u8::is_ascii).count();
    let wide = count.saturating_sub(u32::try_from(ascii).unwrap_or(u32::MAX));
    let bytes = count.saturating_add(wide);
    if bytes > max {
        let name = &node.name;
        let text = bilingual!(
            "{name} 按 GBK 计 {bytes} 字节，超过 {max}；XSD 按字符计数可以通过，部分系统按字节计数会拒收",
            "{name} has {bytes} bytes in GBK, more than {max}; the XSD counts characters, some systems count bytes"
        );
        judge.here(node, Say::warning("R04", "bytes-over-length", text), value);
    }
}

/// The text of the specification allows fewer digits than a whole number may have.
fn check_digits(node: &Node, value: &str, judge: &mut Judge<'_, '_, '_>) {
    let Spec::Digits(most) = node.notes.spec else { return };
    let count = characters(value.trim_start_matches(['+', '-']).trim_start_matches('0'));
    if count > most {
        let (name, note) = (&node.name, disagree::about(node));
        let (note_zh, note_en) = (note.zh, note.en);
        let text = bilingual!("{name} 有 {count} 位数字{note_zh}", "{name} has {count} digits{note_en}");
        judge.here(node, Say::warning("R04", "spec-length", text), value);
    }
}

fn one_of(node: &Node, kind: Type, values: &[(String, String)], value: &str, judge: &mut Judge<'_, '_, '_>) {
    let canonical = match kind {
        Type::Int { .. } => value.trim_start_matches('+').trim_start_matches('0'),
        _ => value,
    };
    if values.iter().any(|(listed, _)| listed == canonical) {
        if canonical == "1239" {
            let text = bilingual!(
                "贸易方式 1239 只见于 XSD 注释，规范正文没有",
                "trade mode 1239 stands in a comment of the XSD only, not in the specification's text"
            );
            judge.here(node, Say::warning("R26", "trade-mode-unlisted", text), value);
        }
        return;
    }
    let name = &node.name;
    if disagree::in_samples(judge.row.name, name, canonical) {
        let text = bilingual!(
            "{name} 的值 {canonical} 只见于官方样例，规范正文没有列出",
            "the value {canonical} of {name} stands in the official samples only, not in the specification's text"
        );
        return judge.here(node, Say::warning("R06", "value-of-samples", text), value);
    }
    let list: Vec<String> = values.iter().map(|(listed, meaning)| format!("{listed} {meaning}")).collect();
    let list = list.join("，");
    let text = bilingual!("{name} 的值不在允许范围：{list}", "{name} must be one of: {list}");
    let (rule, code) = judge.list_rule(node);
    judge.here(node, Say::error(rule, code, text), value);
}

/// R02 for one guid of 36 characters.
pub(super) fn guid_form(guid: &str) -> Option<Say<'static>> {
    if uuid::Uuid::try_parse(guid).is_err() {
        let text = bilingual!(
            "guid 不是 UUID 形式，建议使用大写 UUID 以保证唯一",
            "guid is not a UUID; an upper-case UUID keeps it unique"
        );
        return Some(Say::warning("R02", "guid-not-uuid", text));
    }
    guid.chars().any(|c| c.is_ascii_lowercase()).then(|| {
        let text = bilingual!(
            "guid 含小写字母，规范要求大写",
            "guid has lower-case letters; the specification wants upper case"
        );
        Say::warning("R02", "guid-lower-case", text)
    })
}

fn guid(node: &Node, value: &str, judge: &mut Judge<'_, '_, '_>) {
    if let Some(say) = guid_form(value) {
        judge.here(node, say, value);
    }
}

/// Times of what has happened. Days of shipping and the ends of periods may lie ahead.
const PAST: [&str; 7] =
    ["appTime", "payTime", "logisticsTime", "leaveTime", "accountingDate", "declTime", "returnTime"];

/// A point in time of fourteen digits.
pub(super) fn time14(value: &str) -> Option<DateTime> {
    let (day, time) = value.split_at_checked(8)?;
    let small = |from: usize, to: usize| time.get(from..to)?.parse::<i8>().ok();
    let digits = value.len() == 14 && value.bytes().all(|b| b.is_ascii_digit());
    let day = day8(day).filter(|_| digits)?;
    day.date().to_datetime(Time::new(small(0, 2)?, small(2, 4)?, small(4, 6)?, 0).ok()?).into()
}

/// The start of a day of eight digits.
fn day8(value: &str) -> Option<DateTime> {
    let part = |from: usize, to: usize| value.get(from..to)?.parse::<i16>().ok();
    let small = |from, to| part(from, to).and_then(|number| i8::try_from(number).ok());
    let digits = value.len() == 8 && value.bytes().all(|b| b.is_ascii_digit());
    let day = Date::new(part(0, 4)?, small(4, 6)?, small(6, 8)?).ok().filter(|_| digits)?;
    Some(day.to_datetime(Time::midnight()))
}

fn time(node: &Node, value: &str, digits: usize, judge: &mut Judge<'_, '_, '_>) {
    let fits = value.len() == digits && value.bytes().all(|b| b.is_ascii_digit());
    let at = match digits {
        8 => day8(value),
        _ => value.get(..14).and_then(time14),
    };
    let name = &node.name;
    let Some(at) = at.filter(|_| fits) else {
        let wanted = match digits {
            8 => "YYYYMMDD",
            17 => "YYYYMMDDhhmmssfff",
            _ => "YYYYMMDDhhmmss",
        };
        let text = bilingual!(
            "{name} 不是存在的日期时间，格式应为 {wanted}",
            "{name} is no date that exists; its form is {wanted}"
        );
        return judge.here(node, Say::error("R08", "time-form", text), value);
    };
    if PAST.contains(&name.as_str()) && judge.latest().is_some_and(|latest| at > latest) {
        let text = bilingual!(
            "{name} 晚于当前时间（北京时间），请核对系统时钟",
            "{name} lies in the future (China time); check the clock of the system that wrote it"
        );
        judge.here(node, Say::warning("R08", "time-in-future", text), value);
    }
}

fn enterprise(node: &Node, word: Option<&str>, value: &str, judge: &mut Judge<'_, '_, '_>) {
    let name = &node.name;
    if word == Some(value) || is_customs_code(value) || is_credit_code(value) {
        return;
    }
    if matches!(value, "无" | "NO" | "no" | "No") {
        let text = match word {
            Some(word) => bilingual!("{name} 没有代码时应填“{word}”", "write {word} in {name} when there is no code"),
            None => bilingual!("{name} 必须填写企业代码", "{name} must be the code of an enterprise"),
        };
        return judge.here(node, Say::warning("R27", "enterprise-word", text), value);
    }
    if value.chars().count() == 18 {
        let text = bilingual!(
            "{name} 有 18 位，但不是有效的统一社会信用代码（GB 32100 校验不符），请核对",
            "{name} has 18 characters but is no valid unified social credit code (GB 32100); check it"
        );
        return judge.here(node, Say::error("R37", "credit-code-check", text), value);
    }
    let text = bilingual!(
        "{name} 既不是 10 位海关注册编码，也不是 18 位统一社会信用代码",
        "{name} is neither a customs code of 10 characters nor a credit code of 18"
    );
    judge.here(node, Say::warning("R37", "enterprise-code-form", text), value);
}

fn identity(node: &Node, value: &str, head: &Record, judge: &mut Judge<'_, '_, '_>) {
    let kind = head.get("buyerIdType").or_else(|| head.get("payerIdType"));
    if kind.is_some_and(|kind| kind != "1") || is_identity(value) {
        return;
    }
    let name = &node.name;
    let text = bilingual!(
        "{name} 不是有效的居民身份证号码（18 位、出生日期、校验码，GB 11643），请核对",
        "{name} is no valid citizen's number (18 characters, date of birth, check character; GB 11643); check it"
    );
    judge.here(node, Say::error("R14", "identity-number", text), value);
}

fn goods_code(node: &Node, value: &str, head: &Record, judge: &mut Judge<'_, '_, '_>) {
    let name = &node.name;
    if value.len() != 10 || !value.bytes().all(|b| b.is_ascii_digit()) {
        let text = bilingual!("{name} 应为 10 位数字的商品编码", "{name} must be a tariff number of ten digits");
        return judge.here(node, Say::error("R23", "goods-code-form", text), value);
    }
    let simplified = head.is("statisticsFlag", "A");
    let tables = judge.expect.tables;
    let known = match value.get(..4).filter(|_| simplified) {
        Some(heading) => tables.has_heading(heading),
        None => tables.has(List::Goods, value),
    };
    let chapter: u8 = value.get(..2).and_then(|chapter| chapter.parse().ok()).unwrap_or(0);
    if known == Some(false) || !(1..=99).contains(&chapter) || chapter == 77 {
        let text = bilingual!(
            "{name} 不在税则表中（简化申报只看前 4 位），请核对",
            "{name} is not in the tariff (the first four digits count for a simplified declaration); check it"
        );
        judge.here(node, Say::warning("R23", "goods-code-unknown", text), value);
    }
}

fn positive(node: &Node, value: &str, judge: &mut Judge<'_, '_, '_>) {
    if value.trim_start_matches('+').parse::<i64>().is_ok_and(|number| number >= 1) {
        return;
    }
    let name = &node.name;
    let text = bilingual!("{name} 应为大于等于 1 的整数", "{name} must be a whole number from 1");
    let (rule, code) = if name == "packNo" { ("R21", "pack-count") } else { ("R31", "message-number") };
    judge.here(node, Say::error(rule, code, text), value);
}

fn amount(node: &Node, value: &str, judge: &mut Judge<'_, '_, '_>) {
    if !value.starts_with('-') {
        return;
    }
    let name = &node.name;
    let text = bilingual!("{name} 不应为负数", "{name} should not be negative");
    judge.here(node, Say::warning("R11", "amount-negative", text), value);
}

fn bar_code(node: &Node, value: &str, judge: &mut Judge<'_, '_, '_>) {
    if value.chars().any(|c| c.is_ascii_digit()) || value == "无" {
        return;
    }
    let name = &node.name;
    let text = bilingual!("没有条码时 {name} 应填“无”", "write 无 in {name} when there is no bar code");
    judge.here(node, Say::warning("R25", "bar-code-word", text), value);
}

/// `4 关区 + 4 年 + I/E + 9` (export up to 11) digits.
fn list_number(node: &Node, value: &str, flag: char, most: usize, judge: &mut Judge<'_, '_, '_>) {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let fits = value.split_at_checked(8).is_some_and(|(front, rest)| {
        let serial = rest.strip_prefix(flag).unwrap_or("x");
        digits(front) && digits(serial) && (9..=most).contains(&serial.len())
    });
    if fits {
        return;
    }
    let name = &node.name;
    let text = bilingual!(
        "{name} 的形式应为 4 位关区 + 4 位年份 + {flag} + 9 至 {most} 位数字",
        "{name} must be four digits of the customs office, the year, {flag}, and 9 to {most} digits"
    );
    judge.here(node, Say::error("R34", "list-number-form", text), value);
}

fn pre_no(node: &Node, value: &str, head: &Record, judge: &mut Judge<'_, '_, '_>) {
    let name = &node.name;
    if judge.is_request() && head.is("appType", "1") {
        let text = bilingual!(
            "{name} 由电子口岸生成，新增申报时应不填",
            "{name} is given by the platform; leave it out of a new declaration"
        );
        return judge.here(node, Say::warning("R35", "pre-no-given", text), value);
    }
    let (letter, digits) = value.split_at_checked(1).unwrap_or(("", value));
    let fits = letter.bytes().all(|b| b.is_ascii_alphabetic())
        && digits.len() == 17
        && digits.bytes().all(|b| b.is_ascii_digit())
        && digits.get(..8).and_then(day8).is_some();
    if !fits {
        let text = bilingual!("{name} 的形式应为 B + 年月日 + 9 位数字", "{name} must be B, the day, and nine digits");
        judge.here(node, Say::warning("R35", "pre-no-form", text), value);
    }
}

fn status(node: &Node, value: &str, judge: &mut Judge<'_, '_, '_>) {
    if value.parse::<i64>().is_ok() {
        return;
    }
    let text = bilingual!("回执状态应为整数", "the status of a receipt is a whole number");
    judge.here(node, Say::warning("R06", "status-form", text), value);
}

/// R36: codes of the customs tables.
fn coded(node: &Node, value: &str, judge: &mut Judge<'_, '_, '_>) {
    let digits = |count: usize| value.len() == count && value.bytes().all(|b| b.is_ascii_digit());
    let one = value.len() == 1 && value.bytes().all(|b| b.is_ascii_alphanumeric());
    let port = (3..=4).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_alphanumeric());
    let (list, fits, (zh, en)) = match node.notes.format {
        Format::Customs => (Some(List::Customs), digits(4), ("4 位关区代码", "a customs office of four digits")),
        Format::Unit => (Some(List::Unit), digits(3), ("3 位计量单位代码", "a unit of three digits")),
        Format::Country => (Some(List::Country), digits(3), ("3 位国家（地区）代码", "a country of three digits")),
        Format::Currency => (Some(List::Currency), digits(3), ("3 位货币代码", "a currency of three digits")),
        Format::TrafMode => (Some(List::TrafMode), one, ("1 位运输方式代码", "a transport mode of one character")),
        Format::Port => (Some(List::Port), port, ("3 或 4 位港口代码", "a port of three or four characters")),
        _ => (None, digits(6), ("6 位行政区划代码", "a district of six digits")),
    };
    let name = &node.name;
    if !fits {
        let text = bilingual!("{name} 应为{zh}", "{name} must be {en}");
        return judge.here(node, Say::error("R36", "code-form", text), value);
    }
    if list.and_then(|list| judge.expect.tables.has(list, value)) == Some(false) {
        let text = bilingual!(
            "{name} 的代码不在代码表中，请核对",
            "{name} has a code that is not in the code table; check it"
        );
        judge.here(node, Say::warning("R36", "code-unknown", text), value);
    }
}

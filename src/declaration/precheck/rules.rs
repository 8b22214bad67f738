//! Rules about one line, one document and one message: R07, R09, R11, R12, R18 to R20, R22, R24, R26, R29 to R33, R39, R40.

use super::amount::Amount;
use super::fields::time14;
use super::finding::Say;
use super::judge::Judge;
use super::record::Record;
use crate::bilingual;
use crate::ground::text::Bilingual;

/// Largest value of one import order, in yuan (公告 2018 第 194 号 as reported; the error code -621005 proves a limit).
const SINGLE_LIMIT: Amount = Amount::whole(5000);

/// Messages whose `gnum` counts from 1. In returns it repeats the original's number.
const COUNTED: [&str; 8] = [
    "CEB311Message",
    "CEB621Message",
    "CEB711Message",
    "CEB303Message",
    "CEB603Message",
    "CEB507Message",
    "CEB509Message",
    "CEB607Message",
];

/// What the lines of a document add up to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sums {
    pub(super) lines: u32,
    /// Sum of `totalPrice`; `None` when one is missing or beyond reckoning.
    pub(super) total: Option<Amount>,
    /// `gnum` of the last line.
    last: i64,
}

impl Default for Sums {
    fn default() -> Sums {
        Sums { lines: 0, total: Some(Amount::ZERO), last: 0 }
    }
}

/// The line that just ended.
pub(super) fn line(head: &Record, line: &Record, sums: &mut Sums, judge: &mut Judge<'_, '_, '_>) {
    sums.lines = sums.lines.saturating_add(1);
    if COUNTED.contains(&judge.row.name) {
        number(line, sums, judge);
    }
    line_total(line, judge);
    second_unit(line, judge);
    sums.total = sums.total.zip(line.amount("totalPrice")).and_then(|(sum, total)| sum.plus(total));
    let bonded = head.is("tradeMode", "1210");
    if bonded && line.lacks("itemRecordNo") {
        let text = bilingual!(
            "贸易方式 1210 时每项商品必须填写 itemRecordNo（账册备案料号）",
            "trade mode 1210 needs itemRecordNo in every line"
        );
        match judge.row.name {
            "CEB621Message" => judge.about(line, "itemRecordNo", Say::error("R19", "bonded-field-missing", text)),
            "CEB603Message" => judge.about(line, "itemRecordNo", Say::error("R26", "zone-field-missing", text)),
            _ => {}
        }
    }
}

/// R18: from 1, without gap or repetition.
fn number(line: &Record, sums: &mut Sums, judge: &mut Judge<'_, '_, '_>) {
    let expected = sums.last.saturating_add(1);
    let Some(number) = line.number("gnum") else {
        // Its place is taken, whatever it says: the lines after it are not wrong for that.
        sums.last = expected;
        return;
    };
    if number != expected {
        let text = bilingual!(
            "gnum 为 {number}，应为 {expected}：序号从 1 开始连续递增，不得重复或跳号",
            "gnum is {number} but {expected} comes next: lines count from 1 without gap or repetition"
        );
        judge.about(line, "gnum", Say::error("R18", "line-number", text));
    }
    sums.last = number;
}

/// R11: `totalPrice = price × qty`, to the cent. A price has five digits behind the point, so of very many pieces the product may be
/// further away without anybody's fault.
fn line_total(line: &Record, judge: &mut Judge<'_, '_, '_>) {
    let (Some(price), Some(quantity), Some(total)) =
        (line.amount("price"), line.amount("qty"), line.amount("totalPrice"))
    else {
        return;
    };
    let Some(off) = total.off_product(price, quantity) else { return };
    if off <= Amount::CENT {
        return;
    }
    let text = bilingual!(
        "totalPrice 为 {total}，与 price {price} × qty {quantity} 相差 {off}",
        "totalPrice is {total}, which is {off} away from price {price} × qty {quantity}"
    );
    if off <= Amount::UNIT.max(quantity.of_last_digits()) {
        judge.about(line, "totalPrice", Say::warning("R11", "line-total-rounding", text));
    } else {
        judge.about(line, "totalPrice", Say::error("R11", "line-total", text));
    }
}

/// R22: second quantity and second unit come together.
fn second_unit(line: &Record, judge: &mut Judge<'_, '_, '_>) {
    if line.is_refused("qty2") || line.is_refused("unit2") {
        return;
    }
    let (quantity, unit) = (line.get("qty2"), line.get("unit2"));
    let positive = line.amount("qty2").is_some_and(|quantity| quantity > Amount::ZERO);
    if quantity.is_some() == unit.is_some() && (quantity.is_none() || positive) {
        return;
    }
    let text = bilingual!(
        "qty2（第二数量）与 unit2（第二单位）必须同时填写且 qty2 大于 0，或同时省略",
        "give qty2 (above 0) and unit2 together, or neither"
    );
    let field = if quantity.is_some() { "qty2" } else { "unit2" };
    judge.about(line, field, Say::error("R22", "second-unit", text));
}

/// The document that just ended.
pub(super) fn document(head: &Record, sums: &Sums, judge: &mut Judge<'_, '_, '_>) {
    match judge.row.name {
        "CEB311Message" => import_order(head, sums, judge),
        "CEB303Message" => goods_value(head, sums, judge),
        "CEB621Message" => import_list(head, sums, judge),
        "CEB603Message" => export_list(head, judge),
        "CEB403Message" => collection(head, judge),
        "CEB507Message" => mail_only(head, &["billNo"], judge),
        "CEB509Message" => mail_only(head, &["billNo", "trafName", "voyageNo"], judge),
        "CEB701Message" => summary(head, sums, judge),
        "CEB213Message" => export_return(head, judge),
        _ => {}
    }
    weights(head, judge);
    message_number(head, judge);
    signer(head, judge);
}

fn import_order(head: &Record, sums: &Sums, judge: &mut Judge<'_, '_, '_>) {
    let sum = || head.amount("goodsValue")?.plus(head.amount("freight")?)?.plus(head.amount("taxTotal")?);
    let due = sum().and_then(|sum| sum.minus(head.amount("discount")?));
    if let (Some(paid), Some(due)) = (head.amount("acturalPaid"), due)
        && paid != due
    {
        let text = bilingual!(
            "acturalPaid 为 {paid}，应等于 goodsValue + freight + taxTotal - discount = {due}",
            "acturalPaid is {paid}; goodsValue + freight + taxTotal - discount is {due}"
        );
        judge.about(head, "acturalPaid", Say::error("R09", "amount-paid", text));
    }
    goods_value(head, sums, judge);
    if let Some(value) = head.amount("goodsValue") {
        limit(head, "goodsValue", value, judge);
    }
}

/// R12: the lines add up to the goods' value.
fn goods_value(head: &Record, sums: &Sums, judge: &mut Judge<'_, '_, '_>) {
    let (Some(value), Some(total)) = (head.amount("goodsValue"), sums.total) else { return };
    if sums.lines > 0 && value.distance(total).is_some_and(|off| off > Amount::CENT) {
        let text = bilingual!(
            "goodsValue 为 {value}，与表体 totalPrice 合计 {total} 不一致",
            "goodsValue is {value} but the lines add up to {total}"
        );
        judge.about(head, "goodsValue", Say::warning("R12", "goods-value", text));
    }
}

/// R40.
fn limit(head: &Record, field: &'static str, value: Amount, judge: &mut Judge<'_, '_, '_>) {
    if value > SINGLE_LIMIT {
        let text = bilingual!(
            "金额 {value} 超过跨境零售进口单次交易限值 {SINGLE_LIMIT} 元",
            "{value} is more than the limit of {SINGLE_LIMIT} yuan for one retail import"
        );
        judge.about(head, field, Say::warning("R40", "single-limit", text));
    }
}

fn import_list(head: &Record, sums: &Sums, judge: &mut Judge<'_, '_, '_>) {
    if head.lacks("copNo") {
        let text = bilingual!(
            "缺少 copNo（企业内部编号）：XSD 和规范正文为选填，但回执必有的企业编号只有它，请填写，且每份清单不同",
            "copNo is missing: XSD and text make it optional, but it is the one number of yours that every receipt names; give \
             each list its own"
        );
        judge.about(head, "copNo", Say::error("R04", "receipt-key-missing", text));
    }
    match head.get("tradeMode") {
        Some("9610") => {
            let text = |field: &str| bilingual!("直购进口（9610）必须填写 {field}", "trade mode 9610 needs {field}");
            demand(head, &["trafNo", "voyageNo", "billNo"], ("R19", "direct-field-missing"), &text, judge);
        }
        Some("1210") => bonded(head, judge),
        _ => {}
    }
    guarantor(head, judge);
    if let Some(total) = sums.total {
        limit(head, "orderNo", total, judge);
    }
}

fn bonded(head: &Record, judge: &mut Judge<'_, '_, '_>) {
    let text = |field: &str| bilingual!("保税进口（1210）必须填写 {field}", "trade mode 1210 needs {field}");
    demand(head, &["emsNo", "areaCode", "areaName"], ("R19", "bonded-field-missing"), &text, judge);
    if !head.is("country", "142") && head.has("country") {
        let text = bilingual!("保税进口（1210）的起运国应为 142（中国）", "trade mode 1210 departs from 142 (China)");
        judge.about(head, "country", Say::error("R19", "bonded-country", text));
    }
    for field in ["trafNo", "voyageNo", "billNo"] {
        if head.get(field).is_some() {
            let text = bilingual!("保税进口（1210）免填 {field}", "trade mode 1210 leaves {field} empty");
            judge.about(head, field, Say::warning("R19", "bonded-field-given", text));
        }
    }
}

/// Each of `fields` must be there.
fn demand(
    head: &Record,
    fields: &[&str],
    (rule, code): (&'static str, &'static str),
    text: &dyn Fn(&str) -> Bilingual,
    judge: &mut Judge<'_, '_, '_>,
) {
    for field in fields {
        if head.lacks(field) {
            judge.about(head, field, Say::error(rule, code, text(field)));
        }
    }
}

/// R20: who guarantees is one of the parties.
fn guarantor(head: &Record, judge: &mut Judge<'_, '_, '_>) {
    let Some(code) = head.get("assureCode") else { return };
    if ["ebpCode", "ebcCode", "logisticsCode"].iter().any(|field| head.is(field, code)) {
        return;
    }
    if head.is("agentCode", code) {
        let text = bilingual!(
            "担保企业为申报企业：规范正文只列电商平台、电商企业、物流企业，XSD 注释另列申报企业",
            "the agent guarantees: the specification's text lists platform, shop and carrier, a comment of its XSD the agent too"
        );
        return judge.about(head, "assureCode", Say::warning("R20", "guarantor-agent", text));
    }
    let text = bilingual!(
        "assureCode 必须是本单的电商平台、电商企业或物流企业",
        "assureCode must be the platform, the shop or the carrier of this document"
    );
    judge.about(head, "assureCode", Say::error("R20", "guarantor-unknown", text));
}

fn export_list(head: &Record, judge: &mut Judge<'_, '_, '_>) {
    if head.is("tradeMode", "1210") {
        let text = |field: &str| bilingual!("特殊区域出口（1210）必须填写 {field}", "trade mode 1210 needs {field}");
        demand(head, &["iacCode", "iacName", "emsNo"], ("R26", "zone-field-missing"), &text, judge);
    }
}

/// R29.
fn collection(head: &Record, judge: &mut Judge<'_, '_, '_>) {
    if head.lacks("payCode") && head.get("payName").is_some() && !head.is("payName", "现金支付") {
        let text = bilingual!(
            "境内支付企业必须填写 payCode；非线上支付时 payName 应填“现金支付”",
            "a domestic payment company needs payCode; without online payment write 现金支付 in payName"
        );
        judge.about(head, "payCode", Say::warning("R29", "pay-code-missing", text));
    }
}

/// R30: may be empty for mail only.
fn mail_only(head: &Record, fields: &[&str], judge: &mut Judge<'_, '_, '_>) {
    if !head.is("trafMode", "6") && !head.is_refused("trafMode") {
        let text = |field: &str| {
            bilingual!(
                "只有邮件运输（trafMode 6）时 {field} 可以为空",
                "{field} may be empty for mail only (trafMode 6)"
            )
        };
        demand(head, fields, ("R30", "transport-field-missing"), &text, judge);
    }
}

/// R32.
fn summary(head: &Record, sums: &Sums, judge: &mut Judge<'_, '_, '_>) {
    if head.is_refused("startTime") || head.is_refused("endTime") {
        return;
    }
    match (head.get("startTime"), head.get("endTime")) {
        (Some(start), Some(end)) => {
            if let (Some(start), Some(end)) = (time14(start), time14(end))
                && end < start
            {
                let text = bilingual!("endTime 早于 startTime", "endTime lies before startTime");
                judge.about(head, "endTime", Say::error("R32", "summary-range", text));
            }
            if sums.lines > 0 {
                let text = bilingual!(
                    "已指定时间范围，表体中的清单将被忽略",
                    "a time range is given, so the lists in the body are ignored"
                );
                judge.about(head, "startTime", Say::warning("R32", "summary-list-ignored", text));
            }
        }
        // A deletion is about an application that was made, whatever it held.
        (None, None) if sums.lines == 0 && !head.is("appType", "3") => {
            let text = bilingual!(
                "既没有时间范围也没有清单，请填写 startTime 和 endTime，或列出清单编号",
                "neither a time range nor a list; give startTime and endTime, or list the numbers"
            );
            judge.about(head, "startTime", Say::error("R32", "summary-empty", text));
        }
        (None, None) => {}
        _ => {
            let text = bilingual!("startTime 与 endTime 必须成对填写", "give startTime and endTime together");
            judge.about(head, "startTime", Say::error("R32", "summary-pair", text));
        }
    }
}

/// R33.
fn export_return(head: &Record, judge: &mut Judge<'_, '_, '_>) {
    if head.is("country", "142") {
        let text = bilingual!("退货的启运国不能是 142（中国）", "a return cannot depart from 142 (China)");
        judge.about(head, "country", Say::error("R33", "return-country", text));
    }
}

/// R24.
fn weights(head: &Record, judge: &mut Judge<'_, '_, '_>) {
    let gross_field = if head.has("weight") { "weight" } else { "grossWeight" };
    let (gross, net) = (head.amount(gross_field), head.amount("netWeight"));
    for (field, weight) in [(gross_field, gross), ("netWeight", net)] {
        if weight.is_some_and(|weight| weight <= Amount::ZERO) {
            let text = bilingual!("{field} 应大于 0", "{field} should be above 0");
            judge.about(head, field, Say::warning("R24", "weight-not-positive", text));
        }
    }
    if let (Some(gross), Some(net)) = (gross, net)
        && net > gross
    {
        let text =
            bilingual!("净重 {net} 大于毛重 {gross}", "the net weight {net} is more than the gross weight {gross}");
        judge.about(head, "netWeight", Say::warning("R24", "net-above-gross", text));
    }
}

/// R31 within one document.
fn message_number(head: &Record, judge: &mut Judge<'_, '_, '_>) {
    let (Some(count), Some(number)) = (head.number("msgCount"), head.number("msgSeqNo")) else { return };
    if judge.is_request() && number > count {
        let text =
            bilingual!("msgSeqNo {number} 大于 msgCount {count}", "msgSeqNo {number} is more than msgCount {count}");
        judge.about(head, "msgSeqNo", Say::error("R31", "message-number", text));
    }
}

/// R39.
fn signer(head: &Record, judge: &mut Judge<'_, '_, '_>) {
    let Some((code, name)) = judge.expect.signer else { return };
    for (field, wanted) in [("agentCode", code), ("agentName", name)] {
        if judge.is_request() && head.get(field).is_some_and(|given| given != wanted) {
            let text = bilingual!(
                "{field} 与签名证书中的企业“{wanted}”不一致",
                "{field} is not the enterprise of the signing certificate, {wanted:?}"
            );
            judge.about(head, field, Say::warning("R39", "agent-not-signer", text));
        }
    }
}

/// R31 over the documents of one message: the parts of one `copNo` follow each other.
#[derive(Debug, Default)]
pub(super) struct Parts(Vec<(String, i64)>);

/// Different `copNo` remembered.
const MAX_PARTS: usize = 1000;

impl Parts {
    pub(super) fn next(&mut self, head: &Record, judge: &mut Judge<'_, '_, '_>) {
        let (Some(cop), Some(number)) = (head.get("copNo"), head.number("msgSeqNo")) else { return };
        // Of parts that were sent before, any may be changed or deleted.
        if !judge.is_request() || head.get("appType").is_some_and(|kind| kind != "1") {
            return;
        }
        if let Some((_, last)) = self.0.iter_mut().find(|(known, _)| known == cop) {
            let expected = last.saturating_add(1);
            *last = number;
            if number != expected {
                let text = bilingual!(
                    "同一 copNo 的报文序号应连续：此处应为 {expected}，实际为 {number}",
                    "parts of one copNo follow each other: {expected} comes next, not {number}"
                );
                judge.about(head, "msgSeqNo", Say::error("R31", "message-number-gap", text));
            }
            return;
        }
        if self.0.len() < MAX_PARTS {
            self.0.push((cop.to_owned(), number));
        }
    }
}

/// R07: whether a document of this message must be signed.
pub(super) fn wants_signature(head: &Record, row: &super::super::family::MessageType) -> bool {
    match row.name {
        "CEB621Message" | "CEB623Message" | "CEB625Message" | "CEB507Message" => head.is("appStatus", "2"),
        "CEB509Message" | "CEB603Message" | "CEB605Message" | "CEB607Message" | "CEB701Message" | "CEB711Message" => {
            true
        }
        _ => false,
    }
}

//! The rules, the codes of their findings, and what customs would have answered.

use super::super::family::{self, Role};

/// One rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// `R01` to `R44`.
    pub id: &'static str,
    /// Where it stands.
    pub source: &'static str,
    /// What it demands, in Chinese.
    pub zh: &'static str,
    /// The same in English.
    pub en: &'static str,
    /// Codes of its findings.
    pub codes: &'static [&'static str],
}

/// Every rule.
pub fn all() -> &'static [Rule] {
    RULES
}

/// The rule with this id.
pub fn rule(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id == id)
}

/// Whether this is a rule or the code of a finding.
pub fn knows(name: &str) -> bool {
    RULES.iter().any(|rule| rule.id == name || rule.codes.contains(&name))
}

/// Where a rule stands.
pub(super) fn source(id: &str) -> &'static str {
    rule(id).map_or("", |rule| rule.source)
}

/// The error code with which customs answers this finding in a message of this type, where it is known.
pub(super) fn customs_code(message: &str, code: &str) -> Option<&'static str> {
    let row = CUSTOMS
        .iter()
        .find(|(messages, codes, _)| (messages.is_empty() || messages.contains(&message)) && codes.contains(&code));
    let of_form = || {
        let is_request = family::find(message).is_some_and(|row| matches!(row.role, Role::Request { .. }));
        (is_request && SCHEMA.contains(&code)).then_some("CEB900")
    };
    row.map(|(_, _, customs)| *customs).or_else(of_form)
}

/// The same for an element that a message of this type must have.
pub(super) fn customs_code_of_missing(message: &str, element: &str) -> Option<&'static str> {
    match (message, element) {
        ("CEB311Message", "OrderList") => Some("-301001"),
        ("CEB621Message", "InventoryList") => Some("-621000"),
        ("CEB625Message", "InvtRefundList") => Some("-625006"),
        ("CEB711Message", "DeliveryList") => Some("-800000"),
        (_, "Signature") => customs_code(message, "signature-missing"),
        _ => None,
    }
}

const SPEC: &str = "企业对接报文规范 202205";
const XSD: &str = "企业对接报文规范 202205 XSD";
const PRACTICE: &str = "经验规则（规范未明文）";

macro_rules! rules {
    ($($id:literal, $source:expr, $zh:literal, $en:literal, [$($code:literal),* $(,)?];)*) => {
        &[$(Rule { id: $id, source: $source, zh: $zh, en: $en, codes: &[$($code),*] }),*]
    };
}

const RULES: &[Rule] = rules![
    "R01", SPEC, "根元素、命名空间、版本、报文类型与接收方", "root, namespace, version, message type and receiver",
        ["root-unknown", "namespace-wrong", "version-unusual", "from-customs", "encoding-not-utf8", "msg-type-mismatch",
         "receiver-mismatch", "not-a-declaration", "node-message"];
    "R02", SPEC, "guid 为大写 UUID 且不重复", "guid is an upper-case UUID and not repeated",
        ["guid-not-uuid", "guid-lower-case", "guid-repeated"];
    "R03", XSD, "符合 XSD 的结构、长度和类型", "structure, lengths and types of the XSD",
        ["root-undeclared", "element-missing", "element-unexpected", "element-order", "element-repeated", "element-namespace",
         "too-many-documents", "attribute-missing", "attribute-unexpected", "text-between-elements", "value-empty",
         "value-too-short", "value-too-long", "value-form", "value-digits", "value-fraction", "value-range", "value-fixed",
         "value-length-by-xsd", "element-required-by-xsd", "id-repeated",
         "read-failed", "document-too-large", "encoding-mismatch", "encoding-unknown", "encoding-conflict", "xml-malformed",
         "xml-doctype", "xml-entity-unknown", "xml-prefix-unbound", "xml-too-deep", "xml-too-many-attributes",
         "xml-item-too-long", "xml-empty", "envelope-root", "envelope-field", "envelope-base64",
         "envelope-base64-truncated", "message-type-wrong"];
    "R04", SPEC, "必填字段不为空、首尾无空白、长度符合规范正文", "required fields are filled, without blanks around, as long as the text says",
        ["field-blank", "field-blanks", "field-required", "spec-length", "bytes-over-length", "receipt-key-missing"];
    "R05", XSD, "没有值的选填字段应省略", "optional fields without value are left out", ["empty-optional"];
    "R06", SPEC, "appType、appStatus、ieFlag 等取值", "values of appType, appStatus, ieFlag and the like", ["value-not-listed", "value-of-samples", "status-form"];
    "R07", SPEC, "申报时必须有有效的数字签名", "a declaration is signed, and its signature holds",
        ["signature-missing", "signature-twice", "signature-shape", "signature-reference", "signature-algorithm",
         "signature-certificate", "signature-key", "signature-digest", "signature-value", "signature-expired",
         "signature-method-uri", "signature-digest-method", "signature-with-comments", "signature-comments-covered",
         "signature-key-name"];
    "R08", SPEC, "时间真实存在且不晚于当前", "times exist and are not in the future", ["time-form", "time-in-future"];
    "R09", SPEC, "311 实际支付金额 = 商品价格 + 运杂费 + 税款 - 抵扣", "311: paid = goods + freight + tax - discount", ["amount-paid"];
    "R10", SPEC, "支付单金额 = 订单实际支付金额", "the payment's amount is the order's", ["payment-amount"];
    "R11", SPEC, "总价 = 单价 × 数量", "total = price × quantity", ["line-total", "line-total-rounding", "amount-negative"];
    "R12", PRACTICE, "商品金额 = 表体总价合计", "goods value = sum of the lines", ["goods-value"];
    "R13", SPEC, "进口币制为 142", "imports are in currency 142", ["currency-not-cny"];
    "R14", "企业对接报文规范 202205；GB 11643", "证件类型为 1，身份证号码有效", "identity type 1, a valid citizen's number", ["identity-type", "identity-number"];
    "R15", SPEC, "订单类型：311 为 I，303 为 E/B/W", "order type: I for 311, E, B or W for 303", ["order-type"];
    "R16", SPEC, "订单编号、运单编号唯一", "order and waybill numbers are unique", ["waybill-reused", "order-number-reused"];
    "R17", SPEC, "运单收货人与订单一致", "the waybill's consignee is the order's", ["consignee-differs"];
    "R18", SPEC, "表体序号从 1 连续，清单与订单一一对应", "lines count from 1; list and order correspond", ["line-number", "lines-differ"];
    "R19", SPEC, "621 贸易方式及其必填字段", "621: trade mode and the fields it needs",
        ["trade-mode", "direct-field-missing", "bonded-field-missing", "bonded-country", "bonded-field-given"];
    "R20", SPEC, "担保企业为本单的一方", "the guarantor is a party", ["guarantor-unknown", "guarantor-agent"];
    "R21", SPEC, "件数", "number of packages", ["pack-count"];
    "R22", SPEC, "第二数量与第二单位成对", "second quantity and unit come together", ["second-unit"];
    "R23", SPEC, "商品编码为 10 位数字", "tariff numbers have ten digits", ["goods-code-form", "goods-code-unknown"];
    "R24", PRACTICE, "重量大于 0，净重不大于毛重", "weights are above 0, net not above gross", ["weight-not-positive", "net-above-gross"];
    "R25", SPEC, "没有条码填“无”", "without a bar code: 无", ["bar-code-missing", "bar-code-word"];
    "R26", SPEC, "603 贸易方式及其必填字段", "603: trade mode and the fields it needs",
        ["trade-mode-export", "trade-mode-unlisted", "zone-field-missing"];
    "R27", SPEC, "没有企业代码时的填法", "what to write without an enterprise code", ["enterprise-word"];
    "R28", SPEC, "申报业务类型、运费和保费标志", "flags of statistics, freight and insurance", ["flag-unknown"];
    "R29", SPEC, "403 支付企业代码", "403: code of the payment company", ["pay-code-missing"];
    "R30", SPEC, "507/509 运输字段只有邮件可空", "507, 509: transport fields may be empty for mail only", ["transport-field-missing"];
    "R31", SPEC, "报文总数和序号", "count and number of parts", ["message-number", "message-number-gap", "message-part-missing"];
    "R32", SPEC, "701 时间范围与清单", "701: time range and list",
        ["summary-range", "summary-list-ignored", "summary-empty", "summary-pair"];
    "R33", SPEC, "退货的贸易方式、启运国和数量", "returns: trade mode, country, quantities", ["trade-mode-return", "return-country", "return-quantity"];
    "R34", SPEC, "清单编号的形式", "form of list numbers", ["list-number-form"];
    "R35", SPEC, "预录入编号由电子口岸生成", "pre-entry numbers come from the platform", ["pre-no-given", "pre-no-form"];
    "R36", "企业对接报文规范 202205；JGS-20", "关区、单位、国家、币制、运输方式代码", "codes of offices, units, countries, currencies, transport",
        ["code-form", "code-unknown"];
    "R37", "企业对接报文规范 202205；GB 32100", "企业代码的形式和校验码", "form and check character of enterprise codes", ["credit-code-check", "enterprise-code-form"];
    "R38", SPEC, "传输企业与 DXPID 为本企业", "the sender and the DXPID are ours",
        ["sender-id-mismatch", "dxpid-mismatch", "cop-code-mismatch", "dxp-mode", "environment-foreign-dxpid"];
    "R39", "企业对接报文规范 202205 表7-2", "申报企业与签名证书一致", "the agent is the signer", ["agent-not-signer"];
    "R40", "海关总署公告 2018 年第 194 号（转述）", "单次和年度交易限值", "limits of one transaction and of a year", ["single-limit", "annual-limit"];
    "R41", "海关回执代码 1327、13127", "支付人、清单订购人与订购人一致", "payer and list's buyer are the buyer", ["payer-not-buyer", "buyer-differs"];
    "R42", "海关回执代码 13035", "支付企业和交易编号与订单一致", "payment company and transaction are the order's", ["payment-company", "payment-transaction"];
    "R43", "企业对接报文规范 202205 表7-2", "业务主键不重复新增", "a business key is new once", ["key-repeated"];
    "R44", "企业对接报文规范 202205 表7-2", "变更、删除要有可变更的原单证", "changes and deletions follow their document",
        ["change-before-new", "change-without-original", "change-before-acceptance", "change-after-release", "change-after-deletion",
         "change-behind-list"];
];

/// Message types (none: any), finding codes, and the code of the official tables or of receipts seen.
type CustomsRow = (&'static [&'static str], &'static [&'static str], &'static str);

const SCHEMA: &[&str] = &[
    "root-undeclared",
    "element-missing",
    "element-unexpected",
    "element-order",
    "element-repeated",
    "element-namespace",
    "attribute-missing",
    "attribute-unexpected",
    "text-between-elements",
    "value-empty",
    "value-too-short",
    "value-too-long",
    "value-form",
    "value-digits",
    "value-fraction",
    "value-range",
    "value-fixed",
    "value-length-by-xsd",
    "element-required-by-xsd",
    "xml-malformed",
];

const CUSTOMS: &[CustomsRow] = &[
    (&["DxpMsg", "DxpMsgSv", "DxpRep"], SCHEMA, "0002"),
    (&["DxpMsg"], &["signature-value", "signature-key", "signature-shape", "signature-twice"], "1001"),
    (&["DxpMsg"], &["signature-expired"], "1002"),
    (&["DxpMsg"], &["signature-digest"], "1004"),
    (&["CEB311Message"], &["too-many-documents"], "-301015"),
    (&["CEB411Message"], &["too-many-documents"], "-401013"),
    (&["CEB511Message"], &["too-many-documents"], "-504013"),
    (&["CEB513Message"], &["too-many-documents"], "-505017"),
    (&["CEB621Message"], &["too-many-documents"], "-621030"),
    (&["CEB623Message"], &["too-many-documents"], "-623008"),
    (&["CEB711Message"], &["too-many-documents"], "-800006"),
    (&["CEB311Message"], &["line-number"], "-301002"),
    (&["CEB621Message"], &["line-number"], "-621027"),
    (&["CEB621Message"], &["lines-differ"], "1322"),
    (&["CEB311Message"], &["key-repeated"], "-301010"),
    (&["CEB411Message"], &["key-repeated"], "-401007"),
    (&["CEB511Message"], &["key-repeated"], "-504015"),
    (&["CEB621Message"], &["key-repeated"], "-621004"),
    (&["CEB623Message"], &["key-repeated"], "-623009"),
    (&["CEB625Message"], &["key-repeated"], "-625022"),
    (&["CEB711Message"], &["key-repeated"], "-800003"),
    (&["CEB513Message"], &["key-repeated"], "-505012"),
    (&["CEB511Message"], &["waybill-reused"], "-504012"),
    (&["CEB311Message"], &["change-before-new"], "-301014"),
    (&["CEB411Message"], &["change-before-new"], "-401012"),
    (&["CEB513Message"], &["change-before-new"], "-505016"),
    (&["CEB711Message"], &["change-before-new"], "-800005"),
    (&["CEB311Message"], &["change-without-original"], "-301009"),
    (&["CEB411Message"], &["change-without-original"], "-401006"),
    (&["CEB511Message"], &["change-without-original"], "-504014"),
    (&["CEB621Message"], &["change-without-original"], "-621011"),
    (&["CEB311Message"], &["change-after-release", "change-behind-list"], "-301011"),
    (&["CEB411Message"], &["change-after-release", "change-behind-list"], "-401008"),
    (&["CEB511Message"], &["change-after-release", "change-behind-list"], "-504016"),
    (&["CEB621Message"], &["change-after-release", "change-before-acceptance"], "-621012"),
    (&["CEB625Message"], &["change-after-release", "change-before-acceptance"], "-625022"),
    (&["CEB311Message"], &["change-after-deletion"], "-301009"),
    (&["CEB411Message"], &["change-after-deletion"], "-401006"),
    (&["CEB511Message"], &["change-after-deletion"], "-504014"),
    (&["CEB621Message"], &["change-after-deletion"], "-621011"),
    (&["CEB621Message"], &["signature-value"], "-621029"),
    (&["CEB621Message"], &["signature-digest"], "-621028"),
    (&["CEB623Message"], &["signature-value", "signature-digest"], "-623029"),
    (&["CEB625Message"], &["signature-value", "signature-digest"], "-625208"),
    (&["CEB303Message"], &["signature-value", "signature-digest"], "-301020"),
    (&[], &["credit-code-check"], "-10102"),
    (&["CEB621Message"], &["signature-missing"], "-621026"),
    (&["CEB623Message"], &["signature-missing"], "-623017"),
    (&["CEB625Message"], &["signature-missing"], "-625028"),
    (&["CEB621Message"], &["agent-not-signer"], "-621015"),
    (&["CEB623Message"], &["agent-not-signer"], "-623021"),
    (&["CEB625Message"], &["agent-not-signer"], "-625013"),
    (&["CEB311Message", "CEB621Message"], &["single-limit"], "-621005"),
    (&["CEB311Message", "CEB621Message"], &["annual-limit"], "-621018"),
    (&["CEB411Message"], &["payer-not-buyer"], "1327"),
    (&["CEB621Message"], &["buyer-differs"], "13127"),
    (&["CEB411Message"], &["payment-company"], "13035"),
    (&["CEB625Message"], &["pre-no-given"], "-625008"),
    (&["CEB625Message"], &["second-unit"], "-625009"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_44_rules_and_no_code_belongs_to_two() {
        let ids: Vec<String> = (1..=44).map(|number| format!("R{number:02}")).collect();
        assert_eq!(RULES.iter().map(|rule| rule.id).collect::<Vec<_>>(), ids);
        let mut codes: Vec<_> = RULES.iter().flat_map(|rule| rule.codes).collect();
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
        assert!(CUSTOMS.iter().all(|(_, codes, _)| codes.iter().all(|code| knows(code))));
    }

    #[test]
    fn every_code_that_a_rule_says_stands_in_the_catalogue() {
        let mut folders =
            vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src/declaration/precheck"))];
        let mut said = 0;
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).expect("the sources") {
                let path = entry.expect("an entry").path();
                match path.is_dir() {
                    true if path.ends_with("tests") => {}
                    true => folders.push(path),
                    false if path.ends_with("catalogue.rs") || path.ends_with("tests.rs") => {}
                    false => said += said_in(&std::fs::read_to_string(path).expect("a source")),
                }
            }
        }
        assert!(said > 80, "{said}");
    }

    /// How many codes a source says, each of which is one of its rule's.
    fn said_in(text: &str) -> usize {
        let mut said = 0;
        for (at, _) in text.match_indices("\", \"") {
            let (before, after) = (&text[..at], &text[at + 4..]);
            let rule = before.get(before.len().saturating_sub(4)..).and_then(|it| it.strip_prefix('"'));
            let Some(known) = rule.and_then(|rule| RULES.iter().find(|known| known.id == rule)) else { continue };
            let code = after.split('"').next().expect("a code");
            assert!(known.codes.contains(&code), "{} says {code}", known.id);
            said += 1;
        }
        said
    }
}

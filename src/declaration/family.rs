//! Every message type of the unified cross-border system (统一版, 报文规范 202205), as data.
//!
//! Names, nodes and fields are the schema's; which receiver takes which type follows the two schema sets (进口业务节点,
//! 出口业务节点). CEB213 to CEB216 are part of the export set.

use self::Fill::{Copied, Generated, IfGiven, OnceKnown, OnceKnownOrEmpty};

/// The two businesses; each has its own receiver on the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// 进口.
    Import,
    /// 出口.
    Export,
}

/// Who sends a message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// From the enterprise; customs answers with this receipt type.
    Request {
        /// Message type of the receipt.
        receipt: &'static str,
    },
    /// From customs, answering a request.
    Receipt,
    /// From customs, on its own account (tax bills, summary results).
    Notice,
}

/// How a field of a receipt gets its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fill {
    /// The request's field of the same name; always written.
    Copied,
    /// The same, left out when the request has none.
    IfGiven,
    /// A number of the system (`preNo`), always written.
    Generated,
    /// A number customs gives once it took the document (`invtNo`, `rkdNo`, `sumNo`); left out before.
    OnceKnown,
    /// The same, written empty before.
    OnceKnownOrEmpty,
}

/// One row of the table of message types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessageType {
    /// Local name of the root, such as `CEB311Message`.
    pub name: &'static str,
    /// Chinese name.
    pub zh: &'static str,
    /// English name.
    pub en: &'static str,
    /// Import, export, or `None` for the one that serves both (CEB900).
    pub family: Option<Family>,
    /// Who sends it.
    pub role: Role,
    /// Local name of the business node, a child of the root.
    pub node: &'static str,
    /// Local name of the node's head, when its fields are not direct children.
    pub head: Option<&'static str>,
    /// Fields that identify one document, most telling first.
    pub keys: &'static [&'static str],
    /// How many documents one message may hold; `u32::MAX` when the schema sets no bound.
    pub max_documents: u32,
    /// The specification or the schema demands an XML signature inside.
    pub signed: bool,
    /// Of a receipt: the fields between `guid` and `returnStatus`, in the schema's order.
    pub fields: &'static [(&'static str, Fill)],
    /// Of a receipt: the statuses that end well, the first one the usual.
    pub good: &'static [&'static str],
}

impl MessageType {
    const fn import(name: &'static str, zh: &'static str, en: &'static str, receipt: &'static str) -> MessageType {
        MessageType {
            name,
            zh,
            en,
            family: Some(Family::Import),
            role: Role::Request { receipt },
            node: "",
            head: None,
            keys: &[],
            max_documents: 100,
            signed: false,
            fields: &[],
            good: &[],
        }
    }

    const fn export(name: &'static str, zh: &'static str, en: &'static str, receipt: &'static str) -> MessageType {
        let mut row = MessageType::import(name, zh, en, receipt);
        row.family = Some(Family::Export);
        row
    }

    const fn at(
        mut self,
        node: &'static str,
        head: Option<&'static str>,
        keys: &'static [&'static str],
    ) -> MessageType {
        self.node = node;
        self.head = head;
        self.keys = keys;
        self
    }

    const fn signed(mut self) -> MessageType {
        self.signed = true;
        self
    }

    const fn at_most(mut self, documents: u32) -> MessageType {
        self.max_documents = documents;
        self
    }

    const fn sent_by_customs(mut self, role: Role) -> MessageType {
        self.role = role;
        self
    }

    const fn filled(mut self, fields: &'static [(&'static str, Fill)], good: &'static [&'static str]) -> MessageType {
        self.role = Role::Receipt;
        self.fields = fields;
        self.good = good;
        self
    }
}

/// The row of a message type.
pub fn find(name: &str) -> Option<&'static MessageType> {
    REQUESTS.iter().chain(&RECEIPTS).find(|row| row.name == name)
}

/// All rows: requests first, then what comes from customs.
pub fn all() -> impl Iterator<Item = &'static MessageType> {
    REQUESTS.iter().chain(&RECEIPTS)
}

/// The family whose receiver takes this request type.
pub fn receiver_for(message_type: &str) -> Option<Family> {
    find(message_type).filter(|row| matches!(row.role, Role::Request { .. })).and_then(|row| row.family)
}

/// The receipt type of a request type.
pub fn receipt_type(request: &str) -> Option<&'static str> {
    match find(request)?.role {
        Role::Request { receipt } => Some(receipt),
        Role::Receipt | Role::Notice => None,
    }
}

/// Whether this type comes from customs as the answer to a request (CEB900 included).
pub fn is_receipt(message_type: &str) -> bool {
    find(message_type).is_some_and(|row| row.role == Role::Receipt)
}

const REQUESTS: [MessageType; 19] = [
    MessageType::import("CEB311Message", "进口电子订单", "import order", "CEB312Message").at(
        "Order",
        Some("OrderHead"),
        &["orderNo", "ebpCode", "ebcCode"],
    ),
    MessageType::import("CEB411Message", "支付凭证", "payment voucher", "CEB412Message").at(
        "Payment",
        Some("PaymentHead"),
        &["payTransactionId", "payCode", "orderNo"],
    ),
    MessageType::import("CEB511Message", "进口物流运单", "import waybill", "CEB512Message").at(
        "Logistics",
        Some("LogisticsHead"),
        &["logisticsNo", "logisticsCode", "orderNo"],
    ),
    MessageType::import("CEB513Message", "物流运单状态", "waybill status", "CEB514Message").at(
        "LogisticsStatus",
        None,
        &["logisticsNo", "logisticsCode", "logisticsStatus"],
    ),
    MessageType::import("CEB621Message", "进口清单", "import inventory list", "CEB622Message")
        .at("Inventory", Some("InventoryHead"), &["copNo", "orderNo", "logisticsNo", "invtNo", "preNo", "agentCode"])
        .signed(),
    MessageType::import("CEB623Message", "进口撤销申请单", "import cancellation", "CEB624Message")
        .at("InvtCancel", None, &["copNo", "invtNo", "orderNo", "agentCode"])
        .signed(),
    MessageType::import("CEB625Message", "进口退货申请单", "import return", "CEB626Message")
        .at("InvtRefund", Some("InvtRefundHead"), &["copNo", "invtNo", "orderNo", "agentCode"])
        .signed(),
    MessageType::import("CEB711Message", "入库明细单", "warehouse entry list", "CEB712Message")
        .at("Delivery", Some("DeliveryHead"), &["copNo", "rkdNo", "operatorCode"])
        .signed()
        .at_most(1),
    MessageType::export("CEB303Message", "出口电子订单", "export order", "CEB304Message").at(
        "Order",
        Some("OrderHead"),
        &["orderNo", "ebpCode", "ebcCode"],
    ),
    MessageType::export("CEB403Message", "收款单", "collection of payment", "CEB404Message").at(
        "Receipts",
        None,
        &["orderNo", "payNo", "ebcCode"],
    ),
    MessageType::export("CEB505Message", "出口物流运单", "export waybill", "CEB506Message").at(
        "Logistics",
        None,
        &["logisticsNo", "logisticsCode"],
    ),
    MessageType::export("CEB507Message", "物流运抵单", "arrival list", "CEB508Message").at(
        "Arrival",
        Some("ArrivalHead"),
        &["copNo", "billNo", "msgSeqNo", "operatorCode", "logisticsCode"],
    ),
    MessageType::export("CEB509Message", "物流离境单", "departure list", "CEB510Message")
        .at("Departure", Some("DepartureHead"), &["copNo", "msgSeqNo", "logisticsCode"])
        .signed(),
    MessageType::export("CEB603Message", "出口清单", "export inventory list", "CEB604Message")
        .at(
            "Inventory",
            Some("InventoryHead"),
            &["copNo", "orderNo", "logisticsNo", "invtNo", "preNo", "agentCode", "ebcCode", "ebpCode"],
        )
        .signed(),
    MessageType::export("CEB605Message", "出口撤销申请单", "export cancellation", "CEB606Message")
        .at("InvtCancel", None, &["copNo", "invtNo", "agentCode"])
        .signed(),
    MessageType::export("CEB607Message", "清单总分单", "waybill breakdown", "CEB608Message")
        .at("WayBill", Some("WayBillHead"), &["copNo", "billNo", "msgSeqNo", "agentCode", "logisticsCode"])
        .signed(),
    MessageType::export("CEB213Message", "零售出口退货申请单", "export return", "CEB214Message").at(
        "InvtRefund",
        Some("InvtRefundHead"),
        &["coElNo", "invtNo", "agentCode"],
    ),
    MessageType::export("CEB215Message", "出口退运理货明细单", "returned goods tally", "CEB216Message").at(
        "InvtRefundDetail",
        None,
        &["coElNo", "logisticsNo", "operatorCode", "logisticsCode"],
    ),
    MessageType::export("CEB701Message", "汇总申请单", "summary application", "CEB702Message")
        .at("SummaryApply", Some("SummaryApplyHead"), &["copNo", "msgSeqNo", "agentCode", "ebcCode"])
        .signed(),
];

const RECEIPTS: [MessageType; 23] = [
    MessageType::import("CEB312Message", "进口电子订单回执", "receipt of an import order", "")
        .at("OrderReturn", None, &["orderNo", "ebpCode", "ebcCode"])
        .filled(&[("ebpCode", Copied), ("ebcCode", Copied), ("orderNo", Copied)], &["120"]),
    MessageType::import("CEB412Message", "支付凭证回执", "receipt of a payment voucher", "")
        .at("PaymentReturn", None, &["payTransactionId", "payCode"])
        .filled(&[("payCode", Copied), ("payTransactionId", Copied)], &["120"]),
    MessageType::import("CEB512Message", "进口物流运单回执", "receipt of an import waybill", "")
        .at("LogisticsReturn", None, &["logisticsNo", "logisticsCode"])
        .filled(&[("logisticsCode", Copied), ("logisticsNo", Copied)], &["120"]),
    MessageType::import("CEB514Message", "物流运单状态回执", "receipt of a waybill status", "")
        .at("LogisticsStatusReturn", None, &["logisticsNo", "logisticsCode", "logisticsStatus"])
        .filled(&[("logisticsCode", Copied), ("logisticsNo", Copied), ("logisticsStatus", Copied)], &["120"]),
    MessageType::import("CEB622Message", "进口清单回执", "receipt of an import inventory list", "")
        .at("InventoryReturn", None, &["copNo", "preNo", "invtNo", "agentCode", "ebpCode", "ebcCode", "customsCode"])
        .filled(
            &[
                ("customsCode", IfGiven),
                ("ebpCode", IfGiven),
                ("ebcCode", IfGiven),
                ("agentCode", IfGiven),
                ("copNo", Copied),
                ("preNo", Generated),
                ("invtNo", OnceKnown),
            ],
            &["800", "899"],
        ),
    MessageType::import("CEB624Message", "进口撤销申请单回执", "receipt of an import cancellation", "")
        .at("InvtCancelReturn", None, &["copNo", "preNo", "invtNo", "agentCode", "ebpCode", "ebcCode", "customsCode"])
        .filled(CHANGE_FIELDS, &["399", "430"]),
    MessageType::import("CEB626Message", "进口退货申请单回执", "receipt of an import return", "")
        .at("InvtRefundReturn", None, &["copNo", "preNo", "invtNo", "agentCode", "ebpCode", "ebcCode", "customsCode"])
        .filled(CHANGE_FIELDS, &["399"]),
    MessageType::import("CEB712Message", "入库明细单回执", "receipt of a warehouse entry list", "")
        .at("DeliveryReturn", None, &["copNo", "preNo", "rkdNo", "operatorCode", "customsCode"])
        .filled(
            &[
                ("customsCode", IfGiven),
                ("operatorCode", IfGiven),
                ("copNo", Copied),
                ("preNo", Generated),
                ("rkdNo", OnceKnown),
            ],
            &["399"],
        ),
    MessageType::import("CEB816Message", "电子税单", "tax bill", "")
        .at("Tax", Some("TaxHeadRd"), &["invtNo", "taxNo", "entDutyNo"])
        .sent_by_customs(Role::Notice)
        .at_most(u32::MAX),
    MessageType::import("CEB818Message", "电子税单状态", "tax bill status", "")
        .at("Tax", Some("TaxHeadStatus"), &["invtNo", "taxNo", "entDutyNo"])
        .sent_by_customs(Role::Notice)
        .at_most(u32::MAX),
    MessageType {
        family: None,
        ..MessageType::import("CEB900Message", "报文格式校验回执", "format check receipt", "")
            .at("MessageReturn", None, &["oriCopMsgId", "oriMessageType"])
            .sent_by_customs(Role::Receipt)
            .at_most(1)
    },
    MessageType::export("CEB304Message", "出口电子订单回执", "receipt of an export order", "")
        .at("OrderReturn", None, &["orderNo", "ebpCode", "ebcCode"])
        .filled(&[("ebpCode", Copied), ("ebcCode", Copied), ("orderNo", Copied)], &["120"]),
    MessageType::export("CEB404Message", "收款单回执", "receipt of a collection of payment", "")
        .at("ReceiptsReturn", None, &["orderNo", "payNo", "ebcCode"])
        .filled(&[("ebcCode", Copied), ("orderNo", Copied), ("payNo", IfGiven)], &["120"]),
    MessageType::export("CEB506Message", "出口物流运单回执", "receipt of an export waybill", "")
        .at("LogisticsReturn", None, &["logisticsNo", "logisticsCode"])
        .filled(&[("logisticsCode", Copied), ("logisticsNo", Copied)], &["399"]),
    MessageType::export("CEB508Message", "物流运抵单回执", "receipt of an arrival list", "")
        .at("ArrivalReturn", None, &["copNo", "preNo", "billNo", "msgSeqNo", "operatorCode", "logisticsCode"])
        .filled(
            &[
                ("operatorCode", Copied),
                ("logisticsCode", Copied),
                ("preNo", Generated),
                ("copNo", Copied),
                ("billNo", Copied),
                ("msgSeqNo", Copied),
            ],
            &["399"],
        ),
    MessageType::export("CEB510Message", "物流离境单回执", "receipt of a departure list", "")
        .at("DepartureReturn", None, &["copNo", "preNo", "msgSeqNo", "logisticsCode"])
        .filled(&[("logisticsCode", Copied), ("copNo", Copied), ("preNo", Generated), ("msgSeqNo", Copied)], &["399"]),
    MessageType::export("CEB604Message", "出口清单回执", "receipt of an export inventory list", "")
        .at(
            "InventoryReturn",
            None,
            &["copNo", "preNo", "invtNo", "orderNo", "agentCode", "ebcCode", "ebpCode", "statisticsFlag"],
        )
        .filled(
            &[
                ("agentCode", Copied),
                ("copNo", Copied),
                ("preNo", Generated),
                ("invtNo", OnceKnownOrEmpty),
                ("ebcCode", Copied),
                ("ebpCode", Copied),
                ("orderNo", Copied),
                ("statisticsFlag", Copied),
            ],
            &["800", "899"],
        ),
    MessageType::export("CEB606Message", "出口撤销申请单回执", "receipt of an export cancellation", "")
        .at("InvtCancelReturn", None, &["copNo", "preNo", "invtNo", "agentCode"])
        .filled(&[("agentCode", Copied), ("copNo", Copied), ("preNo", Generated), ("invtNo", Copied)], &["399", "430"]),
    MessageType::export("CEB608Message", "清单总分单回执", "receipt of a waybill breakdown", "")
        .at("WayBillReturn", None, &["copNo", "preNo", "billNo", "msgSeqNo", "agentCode", "logisticsCode"])
        .filled(
            &[
                ("agentCode", Copied),
                ("logisticsCode", Copied),
                ("copNo", Copied),
                ("preNo", Generated),
                ("billNo", Copied),
                ("msgSeqNo", Copied),
            ],
            &["120"],
        ),
    MessageType::export("CEB214Message", "零售出口退货申请单回执", "receipt of an export return", "")
        .at("RefundReturn", None, &["coElNo", "invtNo", "preNo", "agentCode", "ebpCode", "ebcCode"])
        .filled(
            &[
                ("ebpCode", IfGiven),
                ("ebcCode", IfGiven),
                ("agentCode", Copied),
                ("coElNo", Copied),
                ("preNo", Generated),
                ("invtNo", Copied),
            ],
            &["800"],
        ),
    MessageType::export("CEB216Message", "出口退运理货明细单回执", "receipt of a returned goods tally", "")
        .at("InvtRefundDetailReturn", None, &["coElNo", "logisticsNo", "preNo", "operatorCode", "logisticsCode"])
        .filled(
            &[
                ("operatorCode", Copied),
                ("logisticsCode", Copied),
                ("logisticsNo", Copied),
                ("coElNo", Copied),
                ("preNo", Generated),
            ],
            &["399"],
        ),
    MessageType::export("CEB702Message", "汇总申请单回执", "receipt of a summary application", "")
        .at("SummaryReturn", None, &["copNo", "preNo", "sumNo", "msgSeqNo", "agentCode", "ebcCode"])
        .filled(
            &[
                ("agentCode", Copied),
                ("ebcCode", Copied),
                ("copNo", Copied),
                ("preNo", Generated),
                ("sumNo", OnceKnown),
                ("msgSeqNo", Copied),
            ],
            &["399"],
        ),
    MessageType::export("CEB792Message", "汇总结果单", "summary result", "")
        .at("SummaryResult", Some("SummaryResultHead"), &["sumNo", "msgSeqNo", "agentCode", "ebcCode"])
        .sent_by_customs(Role::Notice),
];

/// Fields of the receipts of cancellations and returns.
const CHANGE_FIELDS: &[(&str, Fill)] = &[
    ("customsCode", IfGiven),
    ("agentCode", IfGiven),
    ("ebpCode", IfGiven),
    ("ebcCode", IfGiven),
    ("copNo", Copied),
    ("preNo", Generated),
    ("invtNo", IfGiven),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_has_a_receipt_of_its_family() {
        for request in REQUESTS {
            let receipt = receipt_type(request.name).and_then(find).expect("a receipt type");
            assert_eq!((receipt.role, receipt.family), (Role::Receipt, request.family), "{}", request.name);
            assert_eq!(receiver_for(request.name), request.family);
            assert!(!receipt.good.is_empty() && !receipt.fields.is_empty());
        }
    }

    #[test]
    fn every_row_names_a_node_and_keys_and_no_type_twice() {
        let mut names: Vec<_> = all().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), REQUESTS.len() + RECEIPTS.len());
        assert!(all().all(|row| !row.node.is_empty() && !row.keys.is_empty()));
        assert!(find("CEB999Message").is_none());
    }

    #[test]
    fn the_first_key_of_a_request_comes_back_in_its_receipt() {
        for request in REQUESTS {
            let receipt = receipt_type(request.name).and_then(find).expect("a receipt type");
            assert!(receipt.keys.contains(&request.keys[0]), "{}", request.name);
            assert!(receipt.keys.iter().all(|key| receipt.fields.iter().any(|(name, _)| name == key)));
        }
    }

    #[test]
    fn receipts_and_notices_are_told_apart() {
        assert!(is_receipt("CEB900Message") && is_receipt("CEB622Message"));
        assert!(!is_receipt("CEB816Message") && !is_receipt("CEB621Message"));
        assert_eq!(receiver_for("CEB622Message"), None);
    }
}

//! What else belongs to an export: collection, waybill, arrival, departure, cancellation, breakdown, return, tally and
//! summary (CEB403, CEB505, CEB507, CEB509, CEB605, CEB607, CEB213, CEB215, CEB701).

use super::super::markup::Markup;
use super::deal::{Deal, amount, kilograms};
use super::import::{enterprise, report_head};
use super::party::{
    EXPORT_AGENT, EXPORT_CARRIER, EXPORT_PAYMENT, EXPORT_PLATFORM, EXPORT_SHOP, EXPORT_TERMINAL, Enterprise,
};

/// 美元, and 美国.
const STATES: &str = "502";
/// 人民币.
const YUAN: &str = "142";
/// The customs office of the lists.
const OFFICE: &str = "5300";
/// How the goods leave and come back.
const FLIGHT: (&str, &str) = ("B-8866", "HJ3017");

/// 收款单: the money for the order has come.
pub(super) fn collection(markup: &mut Markup, deal: &Deal) {
    markup.open("Receipts");
    report_head(markup, deal);
    enterprise(markup, "ebp", &EXPORT_PLATFORM);
    enterprise(markup, "ebc", &EXPORT_SHOP);
    markup.leaf("orderNo", &deal.order_no);
    enterprise(markup, "pay", &EXPORT_PAYMENT);
    markup.leaf("payNo", &deal.payment_no);
    markup.leaf("charge", &amount(deal.goods_value()));
    markup.leaf("currency", STATES);
    markup.leaf("accountingDate", &deal.time);
    markup.close("Receipts");
}

/// 物流运单: one parcel abroad.
pub(super) fn waybill(markup: &mut Markup, deal: &Deal) {
    markup.open("Logistics");
    report_head(markup, deal);
    enterprise(markup, "logistics", &EXPORT_CARRIER);
    markup.leaf("logisticsNo", &deal.logistics_no);
    markup.leaf("freight", &amount(deal.freight));
    markup.leaf("insuredFee", "0");
    markup.leaf("currency", YUAN);
    markup.leaf("grossWeight", &kilograms(deal.gross()));
    markup.leaf("packNo", "1");
    markup.leaf("goodsInfo", deal.items.first().map_or("跨境电商商品", |item| item.article.name));
    enterprise(markup, "ebc", &EXPORT_SHOP);
    markup.close("Logistics");
}

/// 物流运抵单: the parcel has come to the terminal.
pub(super) fn arrival(markup: &mut Markup, deal: &Deal) {
    markup.open("Arrival");
    markup.open("ArrivalHead");
    report_head(markup, deal);
    markup.leaf("customsCode", OFFICE);
    markup.leaf("copNo", &deal.own_number("YK"));
    enterprise(markup, "operator", &EXPORT_TERMINAL);
    markup.leaf("ieFlag", "E");
    markup.leaf("trafMode", "5");
    markup.leaf("billNo", &deal.bill_no);
    markup.leaf("domesticTrafNo", "粤BD8866");
    enterprise(markup, "logistics", &EXPORT_CARRIER);
    only_part(markup);
    markup.close("ArrivalHead");
    parcel(markup, deal, "ArrivalList");
    markup.close("Arrival");
}

/// 物流离境单: the flight has left.
pub(super) fn departure(markup: &mut Markup, deal: &Deal) {
    markup.open("Departure");
    markup.open("DepartureHead");
    report_head(markup, deal);
    markup.leaf("customsCode", OFFICE);
    markup.leaf("copNo", &deal.own_number("LJ"));
    enterprise(markup, "logistics", &EXPORT_CARRIER);
    markup.leaf("trafMode", "5");
    markup.leaf("trafName", FLIGHT.0);
    markup.leaf("voyageNo", FLIGHT.1);
    markup.leaf("billNo", &deal.bill_no);
    markup.leaf("leaveTime", &deal.time);
    only_part(markup);
    markup.close("DepartureHead");
    parcel(markup, deal, "DepartureList");
    markup.close("Departure");
}

/// 撤销申请单: the list is to be cancelled.
pub(super) fn cancellation(markup: &mut Markup, deal: &Deal) {
    markup.open("InvtCancel");
    report_head(markup, deal);
    markup.leaf("customsCode", OFFICE);
    markup.leaf("copNo", &deal.own_number("CX"));
    markup.leaf("invtNo", &deal.list_number(OFFICE, 'E'));
    markup.leaf("reason", "订单取消，货物未出运");
    enterprise(markup, "agent", &EXPORT_AGENT);
    enterprise(markup, "ebc", &EXPORT_SHOP);
    markup.close("InvtCancel");
}

/// 清单总分单: which lists travel under one waybill.
pub(super) fn breakdown(markup: &mut Markup, deal: &Deal) {
    markup.open("WayBill");
    markup.open("WayBillHead");
    report_head(markup, deal);
    markup.leaf("customsCode", OFFICE);
    markup.leaf("copNo", &deal.own_number("ZF"));
    enterprise(markup, "agent", &EXPORT_AGENT);
    markup.leaf("trafMode", "5");
    markup.leaf("trafName", FLIGHT.0);
    markup.leaf("voyageNo", FLIGHT.1);
    markup.leaf("billNo", &deal.bill_no);
    markup.leaf("grossWeight", &kilograms(deal.gross()));
    enterprise(markup, "logistics", &EXPORT_CARRIER);
    only_part(markup);
    markup.close("WayBillHead");
    markup.open("WayBillList");
    markup.leaf("gnum", "1");
    markup.leaf("logisticsNo", &deal.logistics_no);
    markup.leaf("invtNo", &deal.list_number(OFFICE, 'E'));
    markup.close("WayBillList");
    markup.close("WayBill");
}

/// 退货申请单: the goods come back.
pub(super) fn refund(markup: &mut Markup, deal: &Deal) {
    markup.open("InvtRefund");
    markup.open("InvtRefundHead");
    report_head(markup, deal);
    markup.leaf("customsCode", OFFICE);
    enterprise(markup, "ebp", &EXPORT_PLATFORM);
    enterprise(markup, "ebc", &EXPORT_SHOP);
    markup.leaf("logisticsNo", &deal.logistics_no);
    enterprise(markup, "logistics", &EXPORT_CARRIER);
    markup.leaf("coElNo", &deal.own_number("TH"));
    markup.leaf("invtNo", &deal.list_number(OFFICE, 'E'));
    markup.leaf("tradeMode", "9661");
    enterprise(markup, "agent", &EXPORT_AGENT);
    markup.leaf("billNo", &deal.bill_no);
    markup.leaf("ieFlag", "I");
    markup.leaf("trafMode", "5");
    markup.leaf("trafName", FLIGHT.0);
    markup.leaf("portCode", OFFICE);
    markup.leaf("reason", "消费者退货");
    markup.leaf("country", STATES);
    markup.leaf("voyageNo", FLIGHT.1);
    markup.close("InvtRefundHead");
    for (gnum, item) in (1u32..).zip(&deal.items) {
        markup.open("InvtRefundList");
        markup.leaf("gnum", &gnum.to_string());
        markup.leaf("gcode", item.article.hs);
        markup.leaf("gname", item.article.name);
        markup.leaf("gmodel", item.article.model);
        markup.leaf("qty", &item.quantity.to_string());
        markup.leaf("qty1", &item.quantity_in(item.article.unit1));
        markup.leaf("unit", item.article.unit);
        markup.leaf("unit1", item.article.unit1);
        if let Some(unit2) = item.article.unit2 {
            markup.leaf("qty2", &item.quantity_in(unit2));
            markup.leaf("unit2", unit2);
        }
        markup.close("InvtRefundList");
    }
    markup.close("InvtRefund");
}

/// 理货明细单: what came back was counted.
pub(super) fn tally(markup: &mut Markup, deal: &Deal) {
    markup.open("InvtRefundDetail");
    report_head(markup, deal);
    markup.leaf("customsCode", OFFICE);
    enterprise(markup, "operator", &EXPORT_TERMINAL);
    enterprise(markup, "logistics", &EXPORT_CARRIER);
    markup.leaf("logisticsNo", &deal.logistics_no);
    markup.leaf("invtNo", &deal.list_number(OFFICE, 'E'));
    markup.leaf("coElNo", &deal.own_number("LH"));
    markup.leaf("billNo", &deal.bill_no);
    markup.leaf("ieFlag", "I");
    markup.leaf("trafMode", "5");
    markup.leaf("trafName", FLIGHT.0);
    markup.leaf("voyageNo", FLIGHT.1);
    markup.close("InvtRefundDetail");
}

/// 汇总申请单: lists that are to be summarised in one customs declaration.
pub(super) fn summary(markup: &mut Markup, deal: &Deal) {
    markup.open("SummaryApply");
    markup.open("SummaryApplyHead");
    report_head(markup, deal);
    markup.leaf("customsCode", OFFICE);
    markup.leaf("copNo", &deal.own_number("HZ"));
    let roles: [(&str, &Enterprise); 3] =
        [("agent", &EXPORT_AGENT), ("ebc", &EXPORT_SHOP), ("declAgent", &EXPORT_AGENT)];
    for (role, party) in roles {
        enterprise(markup, role, party);
    }
    markup.leaf("summaryFlag", "1");
    markup.leaf("itemNameFlag", "1");
    only_part(markup);
    markup.close("SummaryApplyHead");
    markup.open("SummaryApplyList");
    markup.leaf("invtNo", &deal.list_number(OFFICE, 'E'));
    markup.close("SummaryApplyList");
    markup.close("SummaryApply");
}

/// The document is told in one part.
fn only_part(markup: &mut Markup) {
    markup.leaf("msgCount", "1");
    markup.leaf("msgSeqNo", "1");
}

/// The one line of a document about parcels.
fn parcel(markup: &mut Markup, deal: &Deal, list: &str) {
    markup.open(list);
    markup.leaf("gnum", "1");
    markup.leaf("logisticsNo", &deal.logistics_no);
    markup.close(list);
}

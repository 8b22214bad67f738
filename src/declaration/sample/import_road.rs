//! What else belongs to an import: payment, waybill, its status, cancellation, return, entry into the warehouse
//! (CEB411, CEB511, CEB513, CEB623, CEB625, CEB711).

use super::super::markup::Markup;
use super::deal::{Deal, amount, kilograms};
use super::import::{enterprise, paid, report_head};
use super::party::{
    IMPORT_AGENT, IMPORT_CARRIER, IMPORT_PAYMENT, IMPORT_PLATFORM, IMPORT_SHOP, IMPORT_WAREHOUSE, Person,
};

/// 人民币.
const YUAN: &str = "142";
/// The customs office of the lists.
const OFFICE: &str = "0400";

/// 支付凭证: the buyer has paid what the order says.
pub(super) fn payment(markup: &mut Markup, deal: &Deal) {
    markup.open("Payment");
    markup.open("PaymentHead");
    report_head(markup, deal);
    enterprise(markup, "pay", &IMPORT_PAYMENT);
    markup.leaf("payTransactionId", &deal.payment_no);
    markup.leaf("orderNo", &deal.order_no);
    enterprise(markup, "ebp", &IMPORT_PLATFORM);
    markup.leaf("payerIdType", "1");
    markup.leaf("payerIdNumber", &deal.buyer.identity);
    markup.leaf("payerName", &deal.buyer.name);
    markup.leaf("telephone", &deal.buyer.telephone);
    markup.leaf("amountPaid", &amount(paid(deal).paid));
    markup.leaf("currency", YUAN);
    markup.leaf("payTime", &deal.time);
    markup.close("PaymentHead");
    markup.close("Payment");
}

/// 物流运单: one parcel to the buyer.
pub(super) fn waybill(markup: &mut Markup, deal: &Deal) {
    markup.open("Logistics");
    markup.open("LogisticsHead");
    report_head(markup, deal);
    enterprise(markup, "logistics", &IMPORT_CARRIER);
    markup.leaf("logisticsNo", &deal.logistics_no);
    markup.leaf("billNo", &deal.bill_no);
    markup.leaf("orderNo", &deal.order_no);
    markup.leaf("freight", &amount(deal.freight));
    markup.leaf("insuredFee", "0");
    markup.leaf("currency", YUAN);
    markup.leaf("weight", &kilograms(deal.gross()));
    markup.leaf("packNo", "1");
    markup.leaf("consignee", &deal.buyer.name);
    markup.leaf("consigneeAddress", &deal.buyer.address);
    markup.leaf("consigneeTelephone", &deal.buyer.telephone);
    markup.close("LogisticsHead");
    markup.close("Logistics");
}

/// 物流运单状态: the parcel was handed over.
pub(super) fn waybill_status(markup: &mut Markup, deal: &Deal) {
    markup.open("LogisticsStatus");
    report_head(markup, deal);
    enterprise(markup, "logistics", &IMPORT_CARRIER);
    markup.leaf("logisticsNo", &deal.logistics_no);
    markup.leaf("logisticsStatus", "S");
    markup.leaf("logisticsTime", &deal.time);
    markup.close("LogisticsStatus");
}

/// 撤销申请单: the list is to be cancelled.
pub(super) fn cancellation(markup: &mut Markup, deal: &Deal) {
    markup.open("InvtCancel");
    report_head(markup, deal);
    parties(markup, deal, "CX");
    markup.leaf("reason", "订购人取消订单");
    markup.close("InvtCancel");
}

/// 退货申请单: the buyer sends everything back.
pub(super) fn refund(markup: &mut Markup, deal: &Deal) {
    markup.open("InvtRefund");
    markup.open("InvtRefundHead");
    report_head(markup, deal);
    parties(markup, deal, "TH");
    markup.leaf("reason", "七天无理由退货");
    markup.close("InvtRefundHead");
    for (gnum, item) in (1u32..).zip(&deal.items) {
        markup.open("InvtRefundList");
        markup.leaf("gnum", &gnum.to_string());
        markup.leaf("gcode", item.article.hs);
        markup.leaf("gname", item.article.name);
        markup.leaf("qty", &item.quantity.to_string());
        markup.leaf("unit", item.article.unit);
        markup.close("InvtRefundList");
    }
    markup.close("InvtRefund");
}

/// What cancellation and return say of the list that they are about.
fn parties(markup: &mut Markup, deal: &Deal, prefix: &str) {
    markup.leaf("customsCode", OFFICE);
    markup.leaf("orderNo", &deal.order_no);
    enterprise(markup, "ebp", &IMPORT_PLATFORM);
    enterprise(markup, "ebc", &IMPORT_SHOP);
    markup.leaf("logisticsNo", &deal.logistics_no);
    enterprise(markup, "logistics", &IMPORT_CARRIER);
    markup.leaf("copNo", &deal.own_number(prefix));
    markup.leaf("invtNo", &deal.list_number(OFFICE, 'I'));
    let Person { identity, name, telephone, .. } = &deal.buyer;
    markup.leaf("buyerIdType", "1");
    markup.leaf("buyerIdNumber", identity);
    markup.leaf("buyerName", name);
    markup.leaf("buyerTelephone", telephone);
    enterprise(markup, "agent", &IMPORT_AGENT);
}

/// 入库明细单: the parcel has come into the supervised warehouse.
pub(super) fn warehouse_entry(markup: &mut Markup, deal: &Deal) {
    markup.open("Delivery");
    markup.open("DeliveryHead");
    report_head(markup, deal);
    markup.leaf("customsCode", OFFICE);
    markup.leaf("copNo", &deal.own_number("RK"));
    enterprise(markup, "operator", &IMPORT_WAREHOUSE);
    markup.leaf("ieFlag", "I");
    markup.leaf("trafMode", "5");
    markup.leaf("trafNo", "B-8899");
    markup.leaf("voyageNo", "JH8026");
    markup.leaf("billNo", &deal.bill_no);
    enterprise(markup, "logistics", &IMPORT_CARRIER);
    markup.close("DeliveryHead");
    markup.open("DeliveryList");
    markup.leaf("gnum", "1");
    markup.leaf("logisticsNo", &deal.logistics_no);
    markup.close("DeliveryList");
    markup.close("Delivery");
}

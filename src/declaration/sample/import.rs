//! CEB311 and CEB621: an order of a consumer in China, and the list that declares it.

use super::super::markup::Markup;
use super::deal::{Deal, amount, kilograms};
use super::party::{
    Enterprise, IMPORT_AGENT, IMPORT_CARRIER, IMPORT_PAYMENT, IMPORT_PLATFORM, IMPORT_SHOP, IMPORT_WAREHOUSE,
};

/// 人民币, and 中国.
const CHINA: &str = "142";

/// Tax on cross-border retail imports: 70 % of 13 % VAT, in tenths of a percent.
const TAX_PER_MILLE: u64 = 91;

/// What an order comes to, in cents.
pub(super) struct Paid {
    goods: u64,
    tax: u64,
    discount: u64,
    pub(super) paid: u64,
}

/// What the order of a purchase comes to.
pub(super) fn paid(deal: &Deal) -> Paid {
    let goods = deal.goods_value();
    let tax = goods.saturating_mul(TAX_PER_MILLE).saturating_add(500) / 1000;
    let discount = if deal.index % 3 == 2 { 500 } else { 0 };
    let paid = goods.saturating_add(deal.freight).saturating_add(tax).saturating_sub(discount);
    Paid { goods, tax, discount, paid }
}

/// 电子订单.
pub(super) fn order(markup: &mut Markup, deal: &Deal) {
    let Paid { goods, tax, discount, paid } = paid(deal);
    markup.open("Order");
    markup.open("OrderHead");
    report_head(markup, deal);
    markup.leaf("orderType", "I");
    markup.leaf("orderNo", &deal.order_no);
    enterprise(markup, "ebp", &IMPORT_PLATFORM);
    enterprise(markup, "ebc", &IMPORT_SHOP);
    markup.leaf("goodsValue", &amount(goods));
    markup.leaf("freight", &amount(deal.freight));
    markup.leaf("discount", &amount(discount));
    markup.leaf("taxTotal", &amount(tax));
    markup.leaf("acturalPaid", &amount(paid));
    markup.leaf("currency", CHINA);
    markup.leaf("buyerRegNo", &deal.buyer.account);
    markup.leaf("buyerName", &deal.buyer.name);
    markup.leaf("buyerTelephone", &deal.buyer.telephone);
    markup.leaf("buyerIdType", "1");
    markup.leaf("buyerIdNumber", &deal.buyer.identity);
    enterprise(markup, "pay", &IMPORT_PAYMENT);
    markup.leaf("payTransactionId", &deal.payment_no);
    markup.leaf("consignee", &deal.buyer.name);
    markup.leaf("consigneeTelephone", &deal.buyer.telephone);
    markup.leaf("consigneeAddress", &deal.buyer.address);
    markup.leaf("consigneeDistrict", deal.buyer.district);
    markup.close("OrderHead");
    for (gnum, item) in (1u32..).zip(&deal.items) {
        markup.open("OrderList");
        markup.leaf("gnum", &gnum.to_string());
        markup.leaf("itemNo", item.article.item_no);
        markup.leaf("itemName", item.article.name);
        markup.leaf("gmodel", item.article.model);
        markup.leaf("barCode", &item.barcode());
        markup.leaf("unit", item.article.unit);
        markup.leaf("qty", &item.quantity.to_string());
        markup.leaf("price", &amount(item.article.price));
        markup.leaf("totalPrice", &amount(item.total()));
        markup.leaf("currency", CHINA);
        markup.leaf("country", item.article.origin);
        markup.close("OrderList");
    }
    markup.close("Order");
}

/// 进口清单: bonded goods (1210) and direct purchases (9610) in turn.
pub(super) fn inventory(markup: &mut Markup, deal: &Deal) {
    let bonded = is_bonded(deal);
    markup.open("Inventory");
    markup.open("InventoryHead");
    report_head(markup, deal);
    markup.leaf("orderNo", &deal.order_no);
    enterprise(markup, "ebp", &IMPORT_PLATFORM);
    enterprise(markup, "ebc", &IMPORT_SHOP);
    markup.leaf("logisticsNo", &deal.logistics_no);
    enterprise(markup, "logistics", &IMPORT_CARRIER);
    markup.leaf("copNo", &deal.cop_no);
    markup.leaf("assureCode", &IMPORT_SHOP.code());
    if bonded {
        markup.leaf("emsNo", "T0400W000012");
    }
    markup.leaf("ieFlag", "I");
    markup.leaf("declTime", &deal.day);
    markup.leaf("customsCode", "0400");
    markup.leaf("portCode", if bonded { "0400" } else { "0100" });
    markup.leaf("ieDate", &deal.day);
    markup.leaf("buyerIdType", "1");
    markup.leaf("buyerIdNumber", &deal.buyer.identity);
    markup.leaf("buyerName", &deal.buyer.name);
    markup.leaf("buyerTelephone", &deal.buyer.telephone);
    markup.leaf("consigneeAddress", &deal.buyer.address);
    enterprise(markup, "agent", &IMPORT_AGENT);
    transport(markup, deal, bonded);
    markup.leaf("freight", &amount(deal.freight));
    markup.leaf("insuredFee", "0");
    markup.leaf("currency", CHINA);
    markup.leaf("wrapType", "2");
    markup.leaf("packNo", "1");
    markup.leaf("grossWeight", &kilograms(deal.gross()));
    markup.leaf("netWeight", &kilograms(deal.net()));
    markup.close("InventoryHead");
    inventory_lines(markup, deal, bonded);
    markup.close("Inventory");
}

/// How the goods come: out of the bonded zone, or by air from their country.
fn transport(markup: &mut Markup, deal: &Deal, bonded: bool) {
    if bonded {
        enterprise(markup, "area", &IMPORT_WAREHOUSE);
        markup.leaf("tradeMode", "1210");
        markup.leaf("trafMode", "Y");
        markup.leaf("country", CHINA);
    } else {
        markup.leaf("tradeMode", "9610");
        markup.leaf("trafMode", "5");
        markup.leaf("trafNo", "B-8899");
        markup.leaf("voyageNo", "JH8026");
        markup.leaf("billNo", &deal.bill_no);
        markup.leaf("country", deal.items.first().map_or("116", |item| item.article.origin));
    }
}

fn inventory_lines(markup: &mut Markup, deal: &Deal, bonded: bool) {
    for (gnum, item) in (1u32..).zip(&deal.items) {
        markup.open("InventoryList");
        markup.leaf("gnum", &gnum.to_string());
        if bonded {
            markup.leaf("itemRecordNo", &format!("BA-{}", item.article.item_no));
        }
        markup.leaf("itemNo", item.article.item_no);
        markup.leaf("itemName", item.article.name);
        markup.leaf("gcode", item.article.hs);
        markup.leaf("gname", item.article.name);
        markup.leaf("gmodel", item.article.model);
        markup.leaf("barCode", &item.barcode());
        markup.leaf("country", item.article.origin);
        markup.leaf("currency", CHINA);
        markup.leaf("qty", &item.quantity.to_string());
        markup.leaf("unit", item.article.unit);
        markup.leaf("qty1", &item.quantity_in(item.article.unit1));
        markup.leaf("unit1", item.article.unit1);
        if let Some(unit2) = item.article.unit2 {
            markup.leaf("qty2", &item.quantity_in(unit2));
            markup.leaf("unit2", unit2);
        }
        markup.leaf("price", &amount(item.article.price));
        markup.leaf("totalPrice", &amount(item.total()));
        markup.close("InventoryList");
    }
}

fn is_bonded(deal: &Deal) -> bool {
    deal.index % 2 == 1
}

/// The four fields that begin every head: new (1), declared (2).
pub(super) fn report_head(markup: &mut Markup, deal: &Deal) {
    markup.leaf("guid", &deal.guid);
    markup.leaf("appType", "1");
    markup.leaf("appTime", &deal.time);
    markup.leaf("appStatus", "2");
}

/// Code and name of an enterprise: `<role>Code`, `<role>Name`.
pub(super) fn enterprise(markup: &mut Markup, role: &str, enterprise: &Enterprise) {
    markup.leaf(&format!("{role}Code"), &enterprise.code());
    markup.leaf(&format!("{role}Name"), enterprise.name);
}

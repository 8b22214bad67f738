//! CEB303 and CEB603: an order of a consumer abroad, and the list that declares it.

use super::super::markup::Markup;
use super::deal::{Deal, amount, kilograms};
use super::import::{enterprise, report_head};
use super::party::{EXPORT_AGENT, EXPORT_CARRIER, EXPORT_PLATFORM, EXPORT_SHOP};

/// 美元, and 美国.
const STATES: &str = "502";
/// 人民币.
const YUAN: &str = "142";

/// 电子订单, B2C.
pub(super) fn order(markup: &mut Markup, deal: &Deal) {
    markup.open("Order");
    markup.open("OrderHead");
    report_head(markup, deal);
    markup.leaf("orderType", "E");
    markup.leaf("orderNo", &deal.order_no);
    enterprise(markup, "ebp", &EXPORT_PLATFORM);
    enterprise(markup, "ebc", &EXPORT_SHOP);
    markup.leaf("goodsValue", &amount(deal.goods_value()));
    markup.leaf("freight", "0");
    markup.leaf("currency", STATES);
    markup.close("OrderHead");
    for (gnum, item) in (1u32..).zip(&deal.items) {
        markup.open("OrderList");
        markup.leaf("gnum", &gnum.to_string());
        markup.leaf("itemNo", item.article.item_no);
        markup.leaf("itemName", item.article.name);
        markup.leaf("barCode", &item.barcode());
        markup.leaf("unit", item.article.unit);
        markup.leaf("currency", STATES);
        markup.leaf("qty", &item.quantity.to_string());
        markup.leaf("price", &amount(item.article.price));
        markup.leaf("totalPrice", &amount(item.total()));
        markup.close("OrderList");
    }
    markup.close("Order");
}

/// 出口清单: general export (9610), simplified declaration, by air.
pub(super) fn inventory(markup: &mut Markup, deal: &Deal) {
    markup.open("Inventory");
    markup.open("InventoryHead");
    report_head(markup, deal);
    markup.leaf("customsCode", "5300");
    enterprise(markup, "ebp", &EXPORT_PLATFORM);
    markup.leaf("orderNo", &deal.order_no);
    enterprise(markup, "logistics", &EXPORT_CARRIER);
    markup.leaf("logisticsNo", &deal.logistics_no);
    markup.leaf("copNo", &deal.cop_no);
    markup.leaf("ieFlag", "E");
    markup.leaf("portCode", "5300");
    markup.leaf("ieDate", &deal.day);
    markup.leaf("statisticsFlag", "A");
    enterprise(markup, "agent", &EXPORT_AGENT);
    enterprise(markup, "ebc", &EXPORT_SHOP);
    enterprise(markup, "owner", &EXPORT_SHOP);
    markup.leaf("tradeMode", "9610");
    markup.leaf("trafMode", "5");
    markup.leaf("trafName", "B-8866");
    markup.leaf("voyageNo", "HJ3017");
    markup.leaf("billNo", &deal.bill_no);
    markup.leaf("country", STATES);
    markup.leaf("POD", STATES);
    markup.leaf("freight", &amount(deal.freight));
    markup.leaf("fCurrency", YUAN);
    markup.leaf("fFlag", "3");
    markup.leaf("insuredFee", "0");
    markup.leaf("iCurrency", YUAN);
    markup.leaf("iFlag", "3");
    markup.leaf("wrapType", "2");
    markup.leaf("packNo", "1");
    markup.leaf("grossWeight", &kilograms(deal.gross()));
    markup.leaf("netWeight", &kilograms(deal.net()));
    markup.close("InventoryHead");
    inventory_lines(markup, deal);
    markup.close("Inventory");
}

fn inventory_lines(markup: &mut Markup, deal: &Deal) {
    for (gnum, item) in (1u32..).zip(&deal.items) {
        markup.open("InventoryList");
        markup.leaf("gnum", &gnum.to_string());
        markup.leaf("itemNo", item.article.item_no);
        markup.leaf("itemName", item.article.name);
        markup.leaf("gcode", item.article.hs);
        markup.leaf("gname", item.article.name);
        markup.leaf("gmodel", item.article.model);
        markup.leaf("barCode", &item.barcode());
        markup.leaf("country", STATES);
        markup.leaf("currency", STATES);
        markup.leaf("qty", &item.quantity.to_string());
        markup.leaf("qty1", &item.quantity_in(item.article.unit1));
        if let Some(unit2) = item.article.unit2 {
            markup.leaf("qty2", &item.quantity_in(unit2));
        }
        markup.leaf("unit", item.article.unit);
        markup.leaf("unit1", item.article.unit1);
        if let Some(unit2) = item.article.unit2 {
            markup.leaf("unit2", unit2);
        }
        markup.leaf("price", &amount(item.article.price));
        markup.leaf("totalPrice", &amount(item.total()));
        markup.close("InventoryList");
    }
}

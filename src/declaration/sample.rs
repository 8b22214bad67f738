//! Realistic declarations to try the gateway with: invented enterprises, people and goods, correct check digits and sums.
//!
//! There is one of every type that an enterprise sends ([`of`]), and those made with the same arguments belong together:
//! a list declares its order, with the same numbers, parties, goods and prices; a payment pays it, a waybill carries it, a
//! cancellation is about its list. Amounts are counted in cents and grams, so that every
//! sum is exact. They are unsigned, as an enterprise's system writes them: [`dsig::sign`](super::dsig::sign) adds the
//! signature, with a key that belongs to the one who declares. [`IMPORT_DECLARANT`] and [`EXPORT_DECLARANT`] say who that is.

use jiff::Timestamp;

use super::family::{self, Family};
use super::markup::Markup;
use super::serial::Serials;
use super::{CEB_NS, DSIG_NS};

mod catalogue;
mod deal;
mod export;
mod export_road;
mod import;
mod import_road;
mod party;

use deal::Deal;
use party::Enterprise;

/// Name of the enterprise that declares the imports.
pub const IMPORT_DECLARANT: &str = party::IMPORT_AGENT.name;
/// Name of the enterprise that declares the exports.
pub const EXPORT_DECLARANT: &str = party::EXPORT_AGENT.name;

/// A message of this type with `count` documents (1 to as many as the type may hold), the same bytes for the same
/// arguments; none when the enterprise does not send the type.
pub fn of(message_type: &str, count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Option<Vec<u8>> {
    let (name, document) = DOCUMENTS.iter().find(|(name, _)| *name == message_type)?;
    Some(Batch { name, count, dxpid, at, seed }.write(*document))
}

/// CEB311: `count` import orders (1 to 100), the same bytes for the same arguments.
pub fn order(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    Batch { name: "CEB311Message", count, dxpid, at, seed }.write(import::order)
}

/// CEB621: the import inventory lists of the orders of [`order`] with the same arguments.
pub fn inventory(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    Batch { name: "CEB621Message", count, dxpid, at, seed }.write(import::inventory)
}

/// CEB303: `count` export orders (1 to 100).
pub fn export_order(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    Batch { name: "CEB303Message", count, dxpid, at, seed }.write(export::order)
}

/// CEB603: the export inventory lists of the orders of [`export_order`] with the same arguments.
pub fn export_inventory(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    Batch { name: "CEB603Message", count, dxpid, at, seed }.write(export::inventory)
}

/// Writes one document of a purchase.
type Document = fn(&mut Markup, &Deal);

/// Every type that an enterprise sends.
const DOCUMENTS: [(&str, Document); 19] = [
    ("CEB311Message", import::order),
    ("CEB411Message", import_road::payment),
    ("CEB511Message", import_road::waybill),
    ("CEB513Message", import_road::waybill_status),
    ("CEB621Message", import::inventory),
    ("CEB623Message", import_road::cancellation),
    ("CEB625Message", import_road::refund),
    ("CEB711Message", import_road::warehouse_entry),
    ("CEB303Message", export::order),
    ("CEB403Message", export_road::collection),
    ("CEB505Message", export_road::waybill),
    ("CEB507Message", export_road::arrival),
    ("CEB509Message", export_road::departure),
    ("CEB603Message", export::inventory),
    ("CEB605Message", export_road::cancellation),
    ("CEB607Message", export_road::breakdown),
    ("CEB213Message", export_road::refund),
    ("CEB215Message", export_road::tally),
    ("CEB701Message", export_road::summary),
];

/// One message to make.
struct Batch<'a> {
    name: &'static str,
    count: usize,
    dxpid: &'a str,
    at: Timestamp,
    seed: u64,
}

impl Batch<'_> {
    fn write(&self, document: Document) -> Vec<u8> {
        let (shop, goods): (&Enterprise, _) = match family::receiver_for(self.name) {
            Some(Family::Export) => (&party::EXPORT_SHOP, catalogue::EXPORTS),
            _ => (&party::IMPORT_SHOP, catalogue::IMPORTS),
        };
        let most = family::find(self.name).map_or(1, |row| row.max_documents);
        let mut markup = Markup::new("ceb:");
        let guid = Serials::new(self.at, &[self.name.as_bytes(), &self.seed.to_be_bytes(), b"message"]).guid();
        let namespaces = [("xmlns:ceb", CEB_NS), ("xmlns:ds", DSIG_NS)];
        markup.open_with(self.name, &[namespaces.as_slice(), &[("guid", &guid), ("version", "1.0")]].concat());
        for index in 0..self.count.clamp(1, usize::try_from(most).unwrap_or(1).max(1)) {
            document(&mut markup, &Deal::new(self.name, goods, self.at, self.seed, index));
        }
        markup.open("BaseTransfer");
        markup.leaf("copCode", &shop.code());
        markup.leaf("copName", shop.name);
        markup.leaf("dxpMode", "DXP");
        markup.leaf("dxpId", self.dxpid);
        markup.close("BaseTransfer");
        markup.close(self.name);
        markup.into_bytes()
    }
}

#[cfg(test)]
mod tests;

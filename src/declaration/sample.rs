//! Realistic declarations to try the gateway with: invented enterprises, people and goods, correct check digits and sums.
//!
//! The lists of [`inventory`] and [`export_inventory`] belong to the orders of [`order`] and [`export_order`] made with the
//! same arguments: same order numbers, parties, goods and prices. Amounts are counted in cents and grams, so that every
//! sum is exact. They are unsigned, as an enterprise's system writes them: [`dsig::sign`](super::dsig::sign) adds the
//! signature, with a key that belongs to the one who declares. [`IMPORT_DECLARANT`] and [`EXPORT_DECLARANT`] say who that is.

use jiff::Timestamp;

use super::markup::Markup;
use super::serial::Serials;
use super::{CEB_NS, DSIG_NS};

mod catalogue;
mod deal;
mod export;
mod import;
mod party;

use deal::Deal;
use party::Enterprise;

/// Name of the enterprise that declares the imports.
pub const IMPORT_DECLARANT: &str = party::IMPORT_AGENT.name;
/// Name of the enterprise that declares the exports.
pub const EXPORT_DECLARANT: &str = party::EXPORT_AGENT.name;

/// CEB311: `count` import orders (1 to 100), the same bytes for the same arguments.
pub fn order(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    let batch = Batch { name: "CEB311Message", count, dxpid, at, seed };
    batch.write(&party::IMPORT_SHOP, catalogue::IMPORTS, &|markup, deal| import::order(markup, deal))
}

/// CEB621: the import inventory lists of the orders of [`order`] with the same arguments.
pub fn inventory(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    let batch = Batch { name: "CEB621Message", count, dxpid, at, seed };
    batch.write(&party::IMPORT_SHOP, catalogue::IMPORTS, &|markup, deal| import::inventory(markup, deal))
}

/// CEB303: `count` export orders (1 to 100).
pub fn export_order(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    let batch = Batch { name: "CEB303Message", count, dxpid, at, seed };
    batch.write(&party::EXPORT_SHOP, catalogue::EXPORTS, &|markup, deal| export::order(markup, deal))
}

/// CEB603: the export inventory lists of the orders of [`export_order`] with the same arguments.
pub fn export_inventory(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    let batch = Batch { name: "CEB603Message", count, dxpid, at, seed };
    batch.write(&party::EXPORT_SHOP, catalogue::EXPORTS, &|markup, deal| export::inventory(markup, deal))
}

/// One message to make.
struct Batch<'a> {
    name: &'static str,
    count: usize,
    dxpid: &'a str,
    at: Timestamp,
    seed: u64,
}

impl Batch<'_> {
    fn write(
        &self,
        shop: &Enterprise,
        goods: &'static [catalogue::Article],
        document: &dyn Fn(&mut Markup, &Deal),
    ) -> Vec<u8> {
        let mut markup = Markup::new("ceb:");
        let guid = Serials::new(self.at, &[self.name.as_bytes(), &self.seed.to_be_bytes(), b"message"]).guid();
        let namespaces = [("xmlns:ceb", CEB_NS), ("xmlns:ds", DSIG_NS)];
        markup.open_with(self.name, &[namespaces.as_slice(), &[("guid", &guid), ("version", "1.0")]].concat());
        for index in 0..self.count.clamp(1, 100) {
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

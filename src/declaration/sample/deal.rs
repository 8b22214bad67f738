//! One purchase, drawn from a seed: what order and inventory list have in common.

use jiff::Timestamp;

use super::super::checkdigit::barcode_check;
use super::super::envelope::shanghai;
use super::super::serial::Serials;
use super::catalogue::Article;
use super::party::Person;

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub(super) struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: u64, high: u64) -> u64 {
        low.saturating_add(self.next() % high.saturating_sub(low).saturating_add(1))
    }

    /// One of the list, or `otherwise` when it is empty.
    pub(super) fn one_of<T: Copy>(&mut self, list: &[T], otherwise: T) -> T {
        let last = u64::try_from(list.len().saturating_sub(1)).unwrap_or(0);
        let index = usize::try_from(self.between(0, last)).unwrap_or(0);
        list.get(index).copied().unwrap_or(otherwise)
    }
}

/// One line of a purchase.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) article: Article,
    pub(super) quantity: u64,
}

impl Item {
    /// Price of the line in cents.
    pub(super) fn total(&self) -> u64 {
        self.article.price.saturating_mul(self.quantity)
    }

    /// Net weight of the line in grams.
    pub(super) fn grams(&self) -> u64 {
        self.article.grams.saturating_mul(self.quantity)
    }

    /// Quantity in this legal unit.
    pub(super) fn quantity_in(&self, unit: &str) -> String {
        if unit == "035" { kilograms(self.grams()) } else { self.quantity.to_string() }
    }

    /// EAN-13.
    pub(super) fn barcode(&self) -> String {
        self.article.barcode.chars().chain(barcode_check(self.article.barcode)).collect()
    }
}

/// One purchase.
pub(super) struct Deal {
    /// Position in the message, from 0.
    pub(super) index: usize,
    /// `guid` of this document.
    pub(super) guid: String,
    /// Now, fourteen digits.
    pub(super) time: String,
    /// Today, eight digits.
    pub(super) day: String,
    pub(super) order_no: String,
    pub(super) logistics_no: String,
    /// Number of the document at the enterprise, twenty characters.
    pub(super) cop_no: String,
    pub(super) bill_no: String,
    pub(super) payment_no: String,
    pub(super) buyer: Person,
    pub(super) items: Vec<Item>,
    /// In cents.
    pub(super) freight: u64,
    /// What customs would number the list with; follows the position, so that none repeats within a message.
    list: u64,
}

impl Deal {
    /// The purchase at `index`; only its guid depends on the message type.
    pub(super) fn new(name: &str, goods: &[Article], at: Timestamp, seed: u64, index: usize) -> Deal {
        let place = u64::try_from(index).unwrap_or(0);
        let time = at.as_second().unsigned_abs();
        let mut draw = Draw(seed.rotate_left(17) ^ time.rotate_left(40) ^ place.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let guid = Serials::new(at, &[name.as_bytes(), &seed.to_be_bytes(), &place.to_be_bytes()]).guid();
        let day = shanghai(at, "%Y%m%d");
        // The position is part of every number, so that none repeats within a message; the rest is long enough that none
        // repeats among many messages, since the same number sent twice is an error to customs and to the gateway.
        let number = |draw: &mut Draw| format!("{:09}{:03}", draw.between(0, 999_999_999), place);
        Deal {
            index,
            guid,
            time: shanghai(at, "%Y%m%d%H%M%S"),
            order_no: format!("DD{day}{}", number(&mut draw)),
            logistics_no: format!("YD{}{}", day, number(&mut draw)),
            cop_no: format!("QD{}{}", shanghai(at, "%y%m%d"), number(&mut draw)),
            bill_no: format!("999-{:08}", draw.between(10_000_000, 99_999_999)),
            payment_no: format!("ZF{day}{}", number(&mut draw)),
            buyer: Person::new(&mut draw),
            items: items(goods, &mut draw),
            freight: draw.between(8, 30).saturating_mul(100),
            list: Draw(seed.rotate_left(29) ^ time.rotate_left(11)).between(0, LISTS - 1).wrapping_add(place) % LISTS,
            day,
        }
    }

    /// Number of another document about the same purchase at the enterprise, twenty characters; the prefix has two.
    pub(super) fn own_number(&self, prefix: &str) -> String {
        format!("{prefix}{}", self.cop_no.get(2..).unwrap_or_default())
    }

    /// 清单编号 that customs has given the list of the purchase: office, year, `I` or `E`, nine digits.
    pub(super) fn list_number(&self, office: &str, flag: char) -> String {
        format!("{office}{}{flag}{:09}", self.day.get(..4).unwrap_or_default(), self.list)
    }

    /// Sum of the lines in cents.
    pub(super) fn goods_value(&self) -> u64 {
        self.items.iter().fold(0, |sum, item| sum.saturating_add(item.total()))
    }

    /// Net weight in grams.
    pub(super) fn net(&self) -> u64 {
        self.items.iter().fold(0, |sum, item| sum.saturating_add(item.grams()))
    }

    /// Gross weight in grams: the parcel weighs 180 g and a twentieth of its content.
    pub(super) fn gross(&self) -> u64 {
        self.net().saturating_add(self.net() / 20).saturating_add(180)
    }
}

/// Numbers of lists in a year at one office.
const LISTS: u64 = 1_000_000_000;

/// One to three different articles.
fn items(goods: &[Article], draw: &mut Draw) -> Vec<Item> {
    let count = usize::try_from(draw.between(1, 3)).unwrap_or(1);
    let first = usize::try_from(draw.between(0, 1000)).unwrap_or(0);
    let chosen = goods.iter().cycle().skip(first % goods.len().max(1)).take(count.min(goods.len()));
    chosen.map(|article| Item { article: *article, quantity: draw.between(1, 3) }).collect()
}

/// Cents as a decimal amount.
pub(super) fn amount(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

/// Grams as kilograms.
pub(super) fn kilograms(grams: u64) -> String {
    format!("{}.{:03}", grams / 1000, grams % 1000)
}

//! Realistic declarations to try the gateway with: invented enterprises, people and goods, correct check digits and sums.

use jiff::Timestamp;

/// CEB311: `count` import orders (1 to 100), the same bytes for the same arguments.
pub fn order(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    let _ = (count, dxpid, at, seed);
    unimplemented!()
}

/// CEB621: the import inventory lists of the orders of [`order`] with the same arguments. Unsigned.
pub fn inventory(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    let _ = (count, dxpid, at, seed);
    unimplemented!()
}

/// CEB303: `count` export orders.
pub fn export_order(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    let _ = (count, dxpid, at, seed);
    unimplemented!()
}

/// CEB603: the export inventory lists of the orders of [`export_order`] with the same arguments. Unsigned.
pub fn export_inventory(count: usize, dxpid: &str, at: Timestamp, seed: u64) -> Vec<u8> {
    let _ = (count, dxpid, at, seed);
    unimplemented!()
}

//! Receipts of other products.

//! The codes below zero that a receipt may carry, by its own type: the same code means one thing in an import and
//! another in an export. The table is `codes.tsv`, for customs specialists to read and to compare.

use std::sync::LazyLock;

use crate::ground::text::Bilingual;

/// One line of the table.
struct Row {
    /// Digits of the receipt's type, or `*` for all types.
    of: &'static str,
    /// The codes without their minus, both ends included.
    codes: std::ops::RangeInclusive<u32>,
    zh: &'static str,
    en: &'static str,
}

/// Lines that cannot be read are left out; a test insists that there are none.
static TABLE: LazyLock<Vec<Row>> =
    LazyLock::new(|| include_str!("codes.tsv").lines().filter_map(row).collect::<Vec<Row>>());

fn row(line: &'static str) -> Option<Row> {
    let mut fields = line.split('\t');
    let of = fields.next().filter(|of| !of.starts_with('#'))?;
    let (from, to) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Row { of, codes: from..=to, zh: fields.next()?, en: fields.next()? })
}

/// What a code below zero means in receipts of this type; none when no table has it.
pub(super) fn meaning(message_type: &str, status: &str) -> Option<Bilingual> {
    let code: u32 = status.strip_prefix('-')?.parse().ok()?;
    let digits = message_type.strip_prefix("CEB")?.strip_suffix("Message")?;
    let fits = |row: &&Row| (row.of == digits || row.of == "*") && row.codes.contains(&code);
    // A code of its own is more telling than a range.
    let row = TABLE.iter().filter(fits).min_by_key(|row| row.codes.end().abs_diff(*row.codes.start()))?;
    Some(Bilingual { zh: row.zh.to_owned(), en: row.en.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::declaration::family::{self, Role};

    #[test]
    fn every_line_of_the_table_is_read_and_belongs_to_a_receipt() {
        let lines = include_str!("codes.tsv").lines().filter(|line| !line.starts_with('#'));
        assert_eq!(TABLE.len(), lines.count());
        assert!(TABLE.len() > 190);
        for row in TABLE.iter() {
            let receipt = family::find(&format!("CEB{}Message", row.of)).map(|row| row.role);
            assert!(row.of == "*" || receipt == Some(Role::Receipt), "{}", row.of);
            assert!(!row.codes.is_empty() && !row.zh.trim().is_empty() && !row.en.trim().is_empty());
        }
    }

    #[test]
    fn the_same_code_means_one_thing_in_an_import_and_another_in_an_export() {
        let import = meaning("CEB312Message", "-301001").expect("import");
        let export = meaning("CEB304Message", "-301001").expect("export");
        assert_eq!(import.zh, "订单商品表体信息不存在");
        assert_eq!(export.en, "the signature is not valid");
        assert_eq!(meaning("CEB412Message", "-301001"), None);
        assert_eq!(meaning("CEB304Message", "-305001"), None);
    }

    #[test]
    fn a_code_with_two_meanings_in_the_table_of_customs_tells_both() {
        assert!(meaning("CEB622Message", "-621027").expect("known").zh.contains("gnum"));
        assert!(meaning("CEB626Message", "-625022").expect("known").zh.contains("改单"));
    }

    #[test]
    fn the_code_of_an_enterprise_is_in_no_type_alone_and_one_of_its_own_beats_a_range() {
        assert_eq!(meaning("CEB622Message", "-10101").expect("known").zh, "无效企业类型");
        assert_eq!(meaning("CEB304Message", "-10150").expect("known").zh, "无效企业类型、类型");
        for code in ["-", "--1", "100", "-99999999999999"] {
            assert_eq!(meaning("CEB622Message", code), None, "{code}");
        }
    }
}

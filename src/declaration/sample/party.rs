//! Who trades: invented enterprises and people.

use super::super::checkdigit::{credit_check, identity_check};
use super::deal::Draw;

/// An enterprise by its unified social credit code.
#[derive(Debug, Clone, Copy)]
pub(super) struct Enterprise {
    /// First seventeen characters of the code.
    stem: &'static str,
    pub(super) name: &'static str,
}

impl Enterprise {
    /// 统一社会信用代码, eighteen characters.
    pub(super) fn code(&self) -> String {
        // Every stem below is of the alphabet (checked by a test), so there is a check character.
        self.stem.chars().chain(credit_check(self.stem)).collect()
    }
}

pub(super) const IMPORT_PLATFORM: Enterprise =
    Enterprise { stem: "91130108MA0K40011", name: "冀海优选电子商务平台有限公司" };
pub(super) const IMPORT_SHOP: Enterprise =
    Enterprise { stem: "91130108MA0K40022", name: "石家庄云栈跨境贸易有限公司" };
pub(super) const IMPORT_PAYMENT: Enterprise =
    Enterprise { stem: "91110105MA0K40033", name: "北京汇川支付服务有限公司" };
pub(super) const IMPORT_CARRIER: Enterprise =
    Enterprise { stem: "91130109MA0K40044", name: "河北迅程速递有限公司" };
pub(super) const IMPORT_AGENT: Enterprise =
    Enterprise { stem: "91130108MA0K40055", name: "石家庄通衢报关有限公司" };
pub(super) const IMPORT_WAREHOUSE: Enterprise =
    Enterprise { stem: "91130109MA0K40066", name: "石家庄综保区恒仓供应链管理有限公司" };

pub(super) const EXPORT_PLATFORM: Enterprise =
    Enterprise { stem: "91440300MA5F40017", name: "深圳远帆电子商务平台有限公司" };
pub(super) const EXPORT_SHOP: Enterprise =
    Enterprise { stem: "91440300MA5F40028", name: "深圳市嘉屿跨境电商有限公司" };
pub(super) const EXPORT_CARRIER: Enterprise =
    Enterprise { stem: "91440300MA5F40039", name: "深圳航捷国际货运有限公司" };
pub(super) const EXPORT_AGENT: Enterprise =
    Enterprise { stem: "91440300MA5F4004A", name: "深圳市联岸报关有限公司" };
pub(super) const EXPORT_PAYMENT: Enterprise =
    Enterprise { stem: "91440300MA5F4005B", name: "深圳汇岭支付服务有限公司" };
pub(super) const EXPORT_TERMINAL: Enterprise =
    Enterprise { stem: "91440300MA5F4006C", name: "深圳南屿国际货运站有限公司" };

/// A buyer, who is the consignee too.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) name: String,
    pub(super) telephone: String,
    /// 居民身份证 number.
    pub(super) identity: String,
    pub(super) address: String,
    /// 行政区划代码 of the address.
    pub(super) district: &'static str,
    /// Account at the platform.
    pub(super) account: String,
}

impl Person {
    pub(super) fn new(draw: &mut Draw) -> Person {
        let name = format!("{}{}", draw.one_of(SURNAMES, "李"), draw.one_of(GIVEN, "文"));
        let (district, street) = draw.one_of(PLACES, ("130102", "河北省石家庄市长安区中山东路"));
        let (building, flat) = (draw.between(1, 40), draw.between(101, 2806));
        let (born_in, _) = draw.one_of(PLACES, ("130102", ""));
        let (year, month, day) = (draw.between(1965, 2003), draw.between(1, 12), draw.between(1, 28));
        let first = format!("{born_in}{year}{month:02}{day:02}{:03}", draw.between(1, 999));
        Person {
            name,
            telephone: format!("1{}{:09}", draw.one_of(&["3", "5", "7", "8"], "3"), draw.between(0, 999_999_999)),
            identity: first.chars().chain(identity_check(&first)).collect(),
            address: format!("{street}{}号{building}栋{flat}室", draw.between(1, 299)),
            district,
            account: format!("u{:08}", draw.between(10_000_000, 99_999_999)),
        }
    }
}

const SURNAMES: &[&str] = &["王", "李", "张", "刘", "陈", "杨", "赵", "黄", "周", "吴", "欧阳", "孙"];
const GIVEN: &[&str] = &["子涵", "雨桐", "建国", "思远", "静怡", "浩然", "晓梅", "志强", "若曦", "伟", "芳", "俊杰"];
const PLACES: &[(&str, &str)] = &[
    ("130102", "河北省石家庄市长安区中山东路"),
    ("130104", "河北省石家庄市桥西区裕华西路"),
    ("110108", "北京市海淀区知春路"),
    ("310115", "上海市浦东新区张杨路"),
    ("330106", "浙江省杭州市西湖区文三路"),
    ("440305", "广东省深圳市南山区科苑路"),
    ("510107", "四川省成都市武侯区人民南路四段"),
];

#[cfg(test)]
mod tests {
    use super::super::super::checkdigit::is_credit_code;
    use super::*;

    #[test]
    fn every_enterprise_has_a_valid_code_of_its_own() {
        let all = [
            IMPORT_PLATFORM,
            IMPORT_SHOP,
            IMPORT_PAYMENT,
            IMPORT_CARRIER,
            IMPORT_AGENT,
            IMPORT_WAREHOUSE,
            EXPORT_PLATFORM,
            EXPORT_SHOP,
            EXPORT_CARRIER,
            EXPORT_AGENT,
            EXPORT_PAYMENT,
            EXPORT_TERMINAL,
        ];
        let mut codes: Vec<String> = all.iter().map(Enterprise::code).collect();
        assert!(codes.iter().all(|code| is_credit_code(code)), "{codes:?}");
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all.len());
    }
}

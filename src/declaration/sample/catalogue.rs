//! Goods, with the codes and units under which they are declared.

/// One article. Codes are those of the customs tariff and unit tables in the numeric form of JGS-20.
#[derive(Debug, Clone, Copy)]
pub(super) struct Article {
    /// SKU of the shop.
    pub(super) item_no: &'static str,
    pub(super) name: &'static str,
    /// 规格型号.
    pub(super) model: &'static str,
    /// Tariff number, ten digits.
    pub(super) hs: &'static str,
    /// Unit of sale.
    pub(super) unit: &'static str,
    /// First legal unit; `035` is kilogram, anything else counts pieces.
    pub(super) unit1: &'static str,
    /// Second legal unit, when the tariff has one.
    pub(super) unit2: Option<&'static str>,
    /// Price of one in cents of the order's currency.
    pub(super) price: u64,
    /// Net weight of one in grams.
    pub(super) grams: u64,
    /// Country of origin.
    pub(super) origin: &'static str,
    /// First twelve digits of the bar code.
    pub(super) barcode: &'static str,
}

/// Sold from abroad to consumers in China; prices in yuan.
pub(super) const IMPORTS: &[Article] = &[
    Article {
        item_no: "NF-3-900",
        name: "婴幼儿配方奶粉3段900克",
        model: "婴幼儿配方奶粉|青麓牌|3段（12-36月龄）|900克/罐|乳固体含量18%",
        hs: "1901101010",
        unit: "122",
        unit1: "035",
        unit2: None,
        price: 23_800,
        grams: 900,
        origin: "609",
        barcode: "941500000117",
    },
    Article {
        item_no: "MK-HA-10",
        name: "玻尿酸保湿面膜10片装",
        model: "面膜|汀澜牌|25毫升/片，10片/盒|护肤|零售包装",
        hs: "3304990039",
        unit: "140",
        unit1: "035",
        unit2: Some("011"),
        price: 12_650,
        grams: 300,
        origin: "133",
        barcode: "880100000228",
    },
    Article {
        item_no: "VC-500-120",
        name: "维生素C咀嚼片120片",
        model: "膳食补充剂|南屿牌|维生素C 500毫克/片|120片/瓶",
        hs: "2106909090",
        unit: "142",
        unit1: "035",
        unit2: None,
        price: 9_990,
        grams: 180,
        origin: "601",
        barcode: "930000000339",
    },
    Article {
        item_no: "TB-S20-W",
        name: "声波电动牙刷S20白色",
        model: "电动牙刷|柏衡牌|S20|声波振动|充电式|功率2瓦",
        hs: "8509809000",
        unit: "012",
        unit1: "001",
        unit2: Some("035"),
        price: 45_900,
        grams: 350,
        origin: "304",
        barcode: "400000000445",
    },
    Article {
        item_no: "NP-L-54",
        name: "婴儿纸尿裤L号54片",
        model: "纸尿裤|绵芽牌|L号（9-14公斤）|54片/包|无纺布、高分子吸收体",
        hs: "9619001100",
        unit: "125",
        unit1: "035",
        unit2: None,
        price: 10_875,
        grams: 1_890,
        origin: "116",
        barcode: "490000000556",
    },
];

/// Sold from China to consumers abroad; prices in US dollars.
pub(super) const EXPORTS: &[Article] = &[
    Article {
        item_no: "EB-T5-BK",
        name: "蓝牙耳机T5黑色",
        model: "耳机|声砾牌|T5|蓝牙5.3|入耳式|带充电盒",
        hs: "8518300000",
        unit: "007",
        unit1: "007",
        unit2: Some("035"),
        price: 2_399,
        grams: 60,
        origin: "142",
        barcode: "692000000113",
    },
    Article {
        item_no: "PC-15-CL",
        name: "透明手机保护壳",
        model: "手机壳|无牌|热塑性聚氨酯（TPU）制|6.1英寸手机用",
        hs: "3926909090",
        unit: "007",
        unit1: "035",
        unit2: None,
        price: 649,
        grams: 35,
        origin: "142",
        barcode: "692000000224",
    },
    Article {
        item_no: "TS-W-M",
        name: "女式棉制针织T恤衫M码",
        model: "T恤衫|禾织牌|针织|女式|100%棉|M码",
        hs: "6109100010",
        unit: "011",
        unit1: "011",
        unit2: Some("035"),
        price: 1_275,
        grams: 160,
        origin: "142",
        barcode: "692000000335",
    },
    Article {
        item_no: "MS-W2-GY",
        name: "无线鼠标W2灰色",
        model: "鼠标器|磐点牌|W2|2.4G无线|光学|自动数据处理设备用",
        hs: "8471607200",
        unit: "007",
        unit1: "001",
        unit2: Some("035"),
        price: 1_150,
        grams: 85,
        origin: "142",
        barcode: "692000000446",
    },
];

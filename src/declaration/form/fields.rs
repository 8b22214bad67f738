//! The fields of the form, as data.

/// One field.
pub(super) struct Field {
    /// Key path in the file.
    pub(super) path: &'static str,
    /// Name on the portal.
    pub(super) zh: &'static str,
    pub(super) en: &'static str,
    /// Where it is demanded.
    pub(super) source: &'static str,
    pub(super) required: bool,
    /// Personal data, shown masked.
    pub(super) personal: bool,
    pub(super) kind: Kind,
}

/// What a field takes.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    /// Digits only.
    Digits,
    /// Digits only, above 0.
    Volume,
    /// This value.
    Fixed(&'static str),
    /// This number, which the instructions print with a hyphen.
    FixedPhone {
        printed: &'static str,
        digits: &'static str,
    },
    /// All of these.
    Choices(&'static [&'static str]),
    Code(Code),
    Email,
    /// One or more files.
    Pdf,
    Jpeg,
}

#[derive(Clone, Copy)]
pub(super) enum Code {
    /// 统一社会信用代码.
    Credit,
    /// 组织机构代码.
    Organisation,
    /// 海关十位编码.
    Customs,
}

/// 步骤 4: the enterprise.
const COMPANY: &str = "DXPID 网上申请流程 步骤 4";
/// 步骤 8: the application for the connectivity test.
const TEST: &str = "DXPID 网上申请流程 步骤 8";
/// 步骤 11: the transport identity.
const ACCESS: &str = "DXPID 网上申请流程 步骤 11";
/// The vendor that the instructions name, twice.
const VENDOR: &str = "河北省电子口岸发展股份有限公司";

const fn field(path: &'static str, (zh, en): (&'static str, &'static str), source: &'static str, kind: Kind) -> Field {
    Field { path, zh, en, source, required: true, personal: false, kind }
}

impl Field {
    /// The portal fills it in itself, or has it without demanding it.
    const fn optional(mut self) -> Field {
        self.required = false;
        self
    }

    const fn personal(mut self) -> Field {
        self.personal = true;
        self
    }
}

/// Every field, in the portal's order.
pub(super) const ALL: &[Field] = &[
    field("company.department", ("申请部门", "the department"), COMPANY, Kind::Fixed("石家庄分中心")),
    field("company.name", ("企业名称", "the company's name"), COMPANY, Kind::Text).optional(),
    field("company.customs_code", ("海关十位编码", "the customs code"), COMPANY, Kind::Code(Code::Customs)).optional(),
    field("company.credit_code", ("统一社会信用代码", "the credit code"), COMPANY, Kind::Code(Code::Credit)).optional(),
    field(
        "company.organisation_code",
        ("组织机构代码", "the organisation code"),
        COMPANY,
        Kind::Code(Code::Organisation),
    )
    .optional(),
    field("company.legal_representative", ("法人代表", "the legal representative"), COMPANY, Kind::Text)
        .optional()
        .personal(),
    field("company.monthly_volume", ("预计传输业务量（票/月）", "the expected volume a month"), COMPANY, Kind::Volume),
    field("company.address", ("企业通信地址", "the postal address"), COMPANY, Kind::Text),
    field("company.phone", ("联系电话", "the company's telephone"), COMPANY, Kind::Digits).optional(),
    field("company.email", ("电子邮箱地址", "the e-mail address"), COMPANY, Kind::Email).optional(),
    field("company.handler", ("经办人", "the handler"), COMPANY, Kind::Text).optional().personal(),
    field("company.business_contact", ("业务负责人", "the person for business"), COMPANY, Kind::Text).personal(),
    field("company.business_phone", ("业务负责人联系方式", "the telephone for business"), COMPANY, Kind::Digits)
        .personal(),
    field("company.technical_contact", ("技术负责人", "the person for technology"), COMPANY, Kind::Text).personal(),
    field("company.technical_phone", ("技术负责人联系方式", "the telephone for technology"), COMPANY, Kind::Digits)
        .personal(),
    field("vendor.name", ("厂商名称", "the vendor's name"), COMPANY, Kind::Fixed(VENDOR)),
    field(
        "vendor.organisation_code",
        ("厂商组织机构代码", "the vendor's organisation code"),
        COMPANY,
        Kind::Fixed("34801880X"),
    ),
    field("vendor.credit_code", ("厂商社会信用代码", "the vendor's credit code"), COMPANY, Kind::Fixed("34801880X")),
    field("vendor.contact", ("厂商联系人", "the vendor's contact"), COMPANY, Kind::Fixed("王天琦")),
    field(
        "vendor.phone",
        ("厂商联系方式", "the vendor's telephone"),
        COMPANY,
        Kind::FixedPhone { printed: "0311-86950230", digits: "031186950230" },
    ),
    field("attachments.authorisation", ("企业法人授权书", "the power of attorney"), COMPANY, Kind::Pdf),
    field("attachments.identity", ("经办人身份证", "the handler's identity card"), COMPANY, Kind::Jpeg),
    field("attachments.commitment", ("安全承诺书", "the security commitment"), COMPANY, Kind::Pdf).optional(),
    field("test.applicant", ("申请人", "the applicant"), TEST, Kind::Text).personal(),
    field("test.phone", ("申请人联系电话", "the applicant's telephone"), TEST, Kind::Digits).personal(),
    field("test.ic_card", ("电子口岸 IC 卡", "the IC card"), TEST, Kind::Text),
    field("test.product_type", ("接入产品类型", "the product's type"), TEST, Kind::Fixed("其他客户端")),
    field("test.product_name", ("接入产品名称", "the product's name"), TEST, Kind::Fixed("安易通客户端")),
    field("test.product_version", ("产品版本号", "the product's version"), TEST, Kind::Fixed("V1.0")),
    field("test.support_provider", ("第三方支持服务商名称", "the support provider"), TEST, Kind::Fixed(VENDOR)),
    field(
        "test.categories",
        ("申请业务类别", "the kinds of business"),
        TEST,
        Kind::Choices(&["跨境电子商务出口统一版", "跨境电子商务进口统一版"]),
    ),
    field("access.new_identity", ("申请新传输身份", "a new transport identity"), ACCESS, Kind::Fixed("是")).optional(),
    field("access.protocol", ("接入协议", "the access protocol"), ACCESS, Kind::Fixed("AS2/AS3")).optional(),
];

//! What the forms ask about the enterprise, each value checked when it is set.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Refused;
use crate::bilingual;
use crate::declaration::checkdigit::{is_credit_code, is_customs_code, is_organisation_code};
use crate::ground::text::{Bilingual, printable};

/// A field of the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// 企业名称.
    Name,
    /// 联系地址.
    Address,
    /// 海关十位编码.
    CustomsCode,
    /// 统一社会信用代码 (GB 32100).
    CreditCode,
    /// 组织机构代码 (GB 11714), of those that have no credit code yet.
    OrganisationCode,
    /// 法定代表人.
    LegalRepresentative,
    /// 代理人, who does the paperwork (经办人).
    Agent,
    /// 代理人所在单位; the enterprise itself when it is not set.
    AgentEmployer,
    /// 业务负责人.
    BusinessContact,
    /// 业务负责人联系方式.
    BusinessPhone,
    /// 技术负责人.
    TechnicalContact,
    /// 技术负责人联系方式.
    TechnicalPhone,
    /// 电子邮箱.
    Email,
    /// 测试人员.
    Tester,
    /// 测试地点.
    TestPlace,
    /// The data centre that answers, when it is not 石家庄.
    DataCentre,
    /// Its telephone.
    DataCentrePhone,
}

/// How long a value is, in characters at most.
const SHORT: usize = 40;
/// Of an address.
const LONG: usize = 100;

/// What a field takes.
#[derive(Clone, Copy)]
enum Kind {
    Text(usize),
    Digits,
    Phone,
    Email,
    Credit,
    Organisation,
    Customs,
}

impl Field {
    /// Every field, in the order of the forms.
    pub const ALL: [Field; 17] = [
        Field::Name,
        Field::Address,
        Field::CustomsCode,
        Field::CreditCode,
        Field::OrganisationCode,
        Field::LegalRepresentative,
        Field::Agent,
        Field::AgentEmployer,
        Field::BusinessContact,
        Field::BusinessPhone,
        Field::TechnicalContact,
        Field::TechnicalPhone,
        Field::Email,
        Field::Tester,
        Field::TestPlace,
        Field::DataCentre,
        Field::DataCentrePhone,
    ];

    /// The field of a stable name.
    pub fn named(name: &str) -> Option<Field> {
        Field::ALL.into_iter().find(|field| field.name() == name)
    }

    /// Stable name.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    /// Its name on the forms.
    pub fn text(self) -> Bilingual {
        let (_, zh, en, _) = self.row();
        bilingual!("{zh}", "{en}")
    }

    /// The key path of the application form (`config/form.example.toml`) that has the same value.
    pub fn form_path(self) -> Option<&'static str> {
        Some(match self {
            Field::Name => "company.name",
            Field::Address => "company.address",
            Field::CustomsCode => "company.customs_code",
            Field::CreditCode => "company.credit_code",
            Field::OrganisationCode => "company.organisation_code",
            Field::LegalRepresentative => "company.legal_representative",
            Field::Agent => "company.handler",
            Field::BusinessContact => "company.business_contact",
            Field::BusinessPhone => "company.business_phone",
            Field::TechnicalContact => "company.technical_contact",
            Field::TechnicalPhone => "company.technical_phone",
            Field::Email => "company.email",
            _ => return None,
        })
    }

    fn row(self) -> (&'static str, &'static str, &'static str, Kind) {
        match self {
            Field::Name => ("name", "企业名称", "the enterprise's name", Kind::Text(SHORT)),
            Field::Address => ("address", "联系地址", "its address", Kind::Text(LONG)),
            Field::CustomsCode => ("customs-code", "海关十位编码", "its customs code", Kind::Customs),
            Field::CreditCode => ("credit-code", "统一社会信用代码", "its credit code", Kind::Credit),
            Field::OrganisationCode => {
                ("organisation-code", "组织机构代码", "its organisation code", Kind::Organisation)
            }
            Field::LegalRepresentative => {
                ("legal-representative", "法定代表人", "the legal representative", Kind::Text(SHORT))
            }
            Field::Agent => ("agent", "代理人（经办人）", "the agent", Kind::Text(SHORT)),
            Field::AgentEmployer => ("agent-employer", "代理人单位", "the agent's employer", Kind::Text(SHORT)),
            Field::BusinessContact => ("business-contact", "业务负责人", "the person for business", Kind::Text(SHORT)),
            Field::BusinessPhone => {
                ("business-phone", "业务负责人联系方式", "the telephone for business", Kind::Digits)
            }
            Field::TechnicalContact => {
                ("technical-contact", "技术负责人", "the person for technology", Kind::Text(SHORT))
            }
            Field::TechnicalPhone => {
                ("technical-phone", "技术负责人联系方式", "the telephone for technology", Kind::Digits)
            }
            Field::Email => ("email", "电子邮箱", "the e-mail address", Kind::Email),
            Field::Tester => ("tester", "测试人员", "who tests", Kind::Text(SHORT)),
            Field::TestPlace => ("test-place", "测试地点", "where the tests are run", Kind::Text(SHORT)),
            Field::DataCentre => ("data-centre", "数据分中心", "the data centre", Kind::Text(SHORT)),
            Field::DataCentrePhone => {
                ("data-centre-phone", "数据分中心电话", "the data centre's telephone", Kind::Phone)
            }
        }
    }
}

/// What is known about the enterprise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Profile {
    values: BTreeMap<Field, String>,
}

impl Profile {
    /// The value of a field.
    pub fn get(&self, field: Field) -> Option<&str> {
        self.values.get(&field).map(String::as_str)
    }

    /// Sets a field; blanks around the value are dropped, an empty one removes it.
    ///
    /// # Errors
    /// The value is not of the field's form, or its check character is wrong.
    pub fn set(&mut self, field: Field, value: &str) -> Result<(), Refused> {
        let value = value.trim();
        if value.is_empty() {
            self.values.remove(&field);
            return Ok(());
        }
        check(field, value)?;
        self.values.insert(field, value.to_owned());
        Ok(())
    }

    /// The code that the report form asks for: the credit code, or the organisation code of those that have none.
    pub fn enterprise_code(&self) -> Option<&str> {
        self.get(Field::CreditCode).or_else(|| self.get(Field::OrganisationCode))
    }

    /// What the annexes need and is not known yet.
    pub fn missing(&self) -> Vec<Field> {
        let needed = [
            Field::Name,
            Field::Address,
            Field::CustomsCode,
            Field::CreditCode,
            Field::LegalRepresentative,
            Field::Agent,
            Field::BusinessContact,
            Field::BusinessPhone,
            Field::TechnicalContact,
            Field::TechnicalPhone,
        ];
        let known = |field: Field| match field {
            Field::CreditCode => self.enterprise_code().is_some(),
            field => self.get(field).is_some(),
        };
        needed.into_iter().filter(|field| !known(*field)).collect()
    }
}

fn check(field: Field, value: &str) -> Result<(), Refused> {
    let (name, zh, en, kind) = field.row();
    let (good, want) = match kind {
        Kind::Text(most) => {
            let fits = value.chars().count() <= most && printable(value) == value;
            (fits, bilingual!("不超过 {most} 个字符的一行文字", "one line of at most {most} characters"))
        }
        Kind::Digits => {
            (is_phone(value, false), bilingual!("5 至 20 位数字，不加横线", "5 to 20 digits without hyphens"))
        }
        Kind::Phone => (is_phone(value, true), bilingual!("5 至 20 位数字，可加横线", "5 to 20 digits or hyphens")),
        Kind::Email => (is_email(value), bilingual!("电子邮箱地址", "an e-mail address")),
        Kind::Credit => (
            is_credit_code(value),
            bilingual!(
                "18 位统一社会信用代码，校验码须正确（GB 32100）",
                "18 characters with the right check character (GB 32100)"
            ),
        ),
        Kind::Organisation => (
            is_organisation_code(value),
            bilingual!(
                "9 位组织机构代码，校验码须正确（GB 11714）",
                "9 characters with the right check character (GB 11714)"
            ),
        ),
        Kind::Customs => (
            is_customs_code(value),
            bilingual!(
                "10 位：4 位关区数字加 6 位数字或大写字母",
                "10 characters: 4 digits of the region, 6 digits or capitals"
            ),
        ),
    };
    if good {
        return Ok(());
    }
    let (value, want_zh, want_en) = (printable(value), want.zh, want.en);
    let text = bilingual!(
        "“{zh}”（{name}）不能是“{value}”：应为{want_zh}",
        "{en} ({name}) cannot be {value:?}: it is {want_en}"
    );
    Err(Refused::new("profile-value", text))
}

fn is_phone(value: &str, hyphens: bool) -> bool {
    (5..=20).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_digit() || (hyphens && byte == b'-'))
}

fn is_email(value: &str) -> bool {
    let plain = value.len() <= LONG && value.chars().all(|c| c.is_ascii_graphic());
    plain && value.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_when_they_are_set() {
        let mut profile = Profile::default();
        for (field, good, bad) in [
            (Field::Name, "示例贸易有限公司", "甲\n乙"),
            (Field::Address, "河北省石家庄市示例路 1 号", "\u{202e}x"),
            (Field::CustomsCode, "1301960001", "13019600"),
            (Field::CreditCode, "91350100M000100Y43", "91350100M000100Y44"),
            (Field::OrganisationCode, "D2143569X", "D21435691"),
            (Field::BusinessPhone, "13800000000", "0311-66709979"),
            (Field::DataCentrePhone, "0311-66709979", "电话"),
            (Field::Email, "it@example.com", "it.example.com"),
        ] {
            assert_eq!(profile.set(field, &format!(" {good} ")), Ok(()), "{field:?}");
            assert_eq!(profile.get(field), Some(good));
            let refused = profile.set(field, bad).expect_err("refused");
            assert!(refused.code == "profile-value" && refused.text.en.contains(field.name()), "{refused:?}");
            assert_eq!(profile.get(field), Some(good), "what was there stays");
        }
        assert!(profile.set(Field::Name, &"长".repeat(SHORT + 1)).is_err());
        assert_eq!((profile.set(Field::Email, ""), profile.get(Field::Email)), (Ok(()), None));
    }

    #[test]
    fn either_code_will_do_and_names_are_unique() {
        let mut profile = Profile::default();
        assert!(profile.missing().contains(&Field::CreditCode));
        profile.set(Field::OrganisationCode, "D2143569X").expect("good");
        assert!(!profile.missing().contains(&Field::CreditCode));
        for field in Field::ALL {
            assert_eq!(Field::named(field.name()), Some(field));
            assert_eq!(serde_json::to_value(field).expect("written"), field.name());
        }
    }
}

//! What is handed in as files, judged by content as the application form judges its attachments (rules F05 and F06).

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::bilingual;
use crate::declaration::form::{self, Answer, Attachment, Content, Form, Value};
use crate::declaration::precheck::{Finding, Level};
use crate::ground::text::Bilingual;

/// A file that somebody at the other side wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Material {
    /// 企业法人授权书, signed: PDF.
    Authorization,
    /// 经办人身份证: JPEG.
    Identity,
    /// 安全承诺书, signed: PDF.
    Commitment,
    /// 测试报告 with the enterprise's stamp: PDF.
    StampedReport,
}

impl Material {
    /// In the order of the road.
    pub const ALL: [Material; 4] =
        [Material::Authorization, Material::Identity, Material::Commitment, Material::StampedReport];

    /// The material of a stable name.
    pub fn named(name: &str) -> Option<Material> {
        Material::ALL.into_iter().find(|material| material.name() == name)
    }

    /// Stable name.
    pub fn name(self) -> &'static str {
        match self {
            Material::Authorization => "authorization",
            Material::Identity => "identity",
            Material::Commitment => "commitment",
            Material::StampedReport => "stamped-report",
        }
    }

    /// Its name on the portal.
    pub fn text(self) -> Bilingual {
        match self {
            Material::Authorization => bilingual!("企业法人授权书（PDF）", "power of attorney (PDF)"),
            Material::Identity => bilingual!("经办人身份证（jpg）", "the agent's identity card (jpg)"),
            Material::Commitment => bilingual!("安全承诺书（PDF）", "security commitment (PDF)"),
            Material::StampedReport => bilingual!("盖章的测试报告（PDF）", "stamped test report (PDF)"),
        }
    }

    /// The field of the application form whose rules hold for it.
    fn path(self) -> &'static str {
        match self {
            Material::Authorization => "attachments.authorisation",
            Material::Identity => "attachments.identity",
            Material::Commitment | Material::StampedReport => "attachments.commitment",
        }
    }

    /// Judges a file that was read.
    pub fn judge(self, name: &str, content: Content) -> Vec<Finding> {
        let mut form = Form::default();
        form.put(self.path(), Answer { value: Value::Text(name.to_owned()), line: 0, column: 0 });
        let attachment = Attachment { path: self.path(), name: name.to_owned(), content };
        let mut findings = form::check(&form, &[attachment]);
        findings.retain(|finding| finding.path == self.path());
        findings
    }
}

/// A file that was taken into the dossier: its name and what it is, not its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filed {
    /// Which material.
    pub material: Material,
    /// The file as it was given.
    pub file: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// When it was looked at.
    pub on: Date,
    /// What is wrong with it.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

impl Filed {
    /// Whether nothing is wrong with it that would send it back.
    pub fn is_good(&self) -> bool {
        self.findings.iter().all(|finding| finding.level != Level::Error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(material: Material, name: &str, bytes: &[u8]) -> Vec<String> {
        let content = Content::Bytes { size: bytes.len().try_into().expect("small"), bytes: bytes.to_vec() };
        material.judge(name, content).into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_material_is_judged_by_its_content_and_by_nothing_else_of_the_form() {
        let pdf = b"%PDF-1.4\n1 0 obj\n<<>>\nendobj\nxref\n0 1\ntrailer\n<<>>\nstartxref\n29\n%%EOF\n";
        for material in [Material::Authorization, Material::Commitment, Material::StampedReport] {
            assert_eq!(judged(material, "a.pdf", pdf), Vec::<String>::new(), "{material:?}");
            assert_eq!(judged(material, "a.pdf", b"text"), ["not-a-pdf"]);
        }
        assert_eq!(judged(Material::Identity, "i.jpg", pdf), ["not-a-jpeg"]);
        for material in Material::ALL {
            assert_eq!(Material::named(material.name()), Some(material));
        }
    }
}

//! Where the official documents disagree: the text of the specification, its XSD, and the samples beside it
//! (企业对接报文规范 202205). The XSD decides (R03); what is said here tells the reader that it is not the whole story.

use super::super::schema::value::Type;
use super::super::schema::{Content, Must, Node, Spec};
use super::structure::describe;
use crate::bilingual;
use crate::ground::text::Bilingual;

/// Names as the text spells them, and as the XSD does.
const SPELLINGS: [(&str, &str); 6] = [
    ("consigneeTelephon", "consigneeTelephone"),
    ("consigneeDitrict", "consigneeDistrict"),
    ("consingee", "consignee"),
    ("agengName", "agentName"),
    ("declagAgentCode", "declAgentCode"),
    ("InvtRefound", "InvtRefund"),
];

/// Messages whose samples have `BaseTransfer` twice.
const TRANSFER_TWICE: [&str; 8] = [
    "CEB303Message",
    "CEB403Message",
    "CEB505Message",
    "CEB507Message",
    "CEB509Message",
    "CEB603Message",
    "CEB605Message",
    "CEB607Message",
];

/// Values that the text does not list and the samples have: message, field, value.
const SAMPLED: [(&str, &str, &str); 2] =
    [("CEB513Message", "logisticsStatus", "R"), ("CEB604Message", "statisticsFlag", "1")];

/// The right name of an element that is written as the text misspells it.
pub(super) fn spelling(written: &str) -> Option<&'static str> {
    SPELLINGS.iter().find(|(wrong, _)| *wrong == written).map(|(_, right)| *right)
}

/// Whether a value outside of its list stands in the samples of customs.
pub(super) fn in_samples(message: &str, field: &str, value: &str) -> bool {
    SAMPLED.contains(&(message, field, value))
}

/// The text takes a value of this length although the XSD does not.
pub(super) fn text_takes(node: &Node, length: u32) -> bool {
    matches!(node.notes.spec, Spec::Characters(least, most) if (least..=most).contains(&length))
}

/// Whether the XSD alone demands this element.
pub(super) fn only_the_schema_demands(node: &Node) -> bool {
    node.min > 0 && (node.notes.must == Must::No || node.notes.spec == Spec::Absent)
}

/// About an element that is missing.
pub(super) fn about_missing(message: &str, node: &Node) -> Bilingual {
    match (message, node.name.as_str()) {
        ("CEB792Message", "gseqno") => {
            bilingual!("（官方样例也缺此元素，XSD 为必填）", " (the official sample lacks it too, the XSD requires it)")
        }
        _ => about(node),
    }
}

/// About an element that stands there too often.
pub(super) fn about_repeated(message: &str, node: &Node) -> Bilingual {
    if node.name == "BaseTransfer" && TRANSFER_TWICE.contains(&message) {
        return bilingual!(
            "（官方样例写了两次，XSD 只允许一次）",
            " (the official sample has it twice, the XSD allows it once)"
        );
    }
    bilingual!("", "")
}

/// About a root that no schema declares.
pub(super) fn about_root(name: &str) -> Bilingual {
    if name == "CEB214" {
        return bilingual!(
            "（官方样例的根元素即为 CEB214，XSD 为 CEB214Message，请按 XSD 填写）",
            " (the official sample has CEB214, the XSD CEB214Message; write what the XSD says)"
        );
    }
    bilingual!("", "")
}

/// About a field, in words to append; empty when the documents agree.
pub(super) fn about(node: &Node) -> Bilingual {
    let kind = match &node.content {
        Content::Value(kind, _) => describe(*kind),
        _ => return bilingual!("", ""),
    };
    match node.notes.spec {
        Spec::Same if only_the_schema_demands(node) => {
            bilingual!(
                "（规范正文写作选填，XSD 为必填）",
                " (optional in the specification's text, required by its XSD)"
            )
        }
        Spec::Same => bilingual!("", ""),
        Spec::Absent => {
            bilingual!("（规范正文没有此字段，XSD 有）", " (not in the specification's text, but in its XSD)")
        }
        Spec::Characters(min, max) => {
            let spec = describe(Type::Text { min, max, collapse: false });
            let ((spec_zh, spec_en), (kind_zh, kind_en)) = ((spec.zh, spec.en), (kind.zh, kind.en));
            bilingual!(
                "（规范正文为{spec_zh}，XSD 为{kind_zh}）",
                " (the specification's text says {spec_en}, its XSD {kind_en})"
            )
        }
        Spec::Digits(digits) => {
            let (zh, en) = (kind.zh, kind.en);
            bilingual!(
                "（规范正文为最多 {digits} 位数字，XSD 为{zh}）",
                " (the specification's text says at most {digits} digits, its XSD {en})"
            )
        }
    }
}

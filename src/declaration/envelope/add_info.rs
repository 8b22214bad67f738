//! `AddInfo` of a `DxpMsg`, beside the file name: what sender and receiver agree on.

use serde::{Deserialize, Serialize};

use super::{EnvelopeHead, Fault, field_fault};
use crate::declaration::markup::Markup;

/// Keys of one `BizKey`.
pub(super) const MAX_KEYS: usize = 5;

/// `AddInfo` without its file name; every part may be absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct AddInfo {
    /// `IcCard`, 1 to 13 characters: the card of who sends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ic_card: Option<String>,
    /// `BizKey/Key`, up to five.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<BizKey>,
    /// `IsText/@Encode`, up to 50 characters: `Data` is text in this character set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encoding: Option<String>,
    /// `RecMapId`: how the receiver converts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_id: Option<String>,
}

/// One `Key` of a `BizKey`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BizKey {
    /// `@name`, 1 to 32 characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its value, 1 to 64 characters.
    pub value: String,
}

impl BizKey {
    /// Whether the schema takes it.
    pub fn fits(&self) -> bool {
        let name = self.name.iter().all(|name| field_fault("name", name).is_none());
        name && field_fault("Key", &self.value).is_none()
    }
}

impl AddInfo {
    /// Nothing is in it.
    pub fn is_empty(&self) -> bool {
        *self == AddInfo::default()
    }

    /// What the schema has against it.
    pub(super) fn fault(&self) -> Option<Fault> {
        if self.keys.len() > MAX_KEYS {
            let expected = format!("1..{MAX_KEYS} Key");
            return Some(Fault::BadField { element: "BizKey".into(), expected });
        }
        let names = self.keys.iter().filter_map(|key| Some(("name", key.name.as_ref()?)));
        let values = self.keys.iter().map(|key| ("Key", &key.value));
        let single = [("IcCard", &self.ic_card), ("Encode", &self.encoding)];
        let single = single.into_iter().filter_map(|(element, value)| Some((element, value.as_ref()?)));
        single.chain(names).chain(values).find_map(|(element, value)| field_fault(element, value))
    }
}

/// Writes `AddInfo` in the schema's order, when the head has any of it.
pub(super) fn write(markup: &mut Markup, head: &EnvelopeHead) {
    let AddInfo { ic_card, keys, encoding, map_id } = &*head.add_info;
    if head.file_name.is_none() && head.add_info.is_empty() {
        return;
    }
    markup.open("AddInfo");
    for (name, value) in [("FileName", &head.file_name), ("IcCard", ic_card)] {
        if let Some(value) = value {
            markup.leaf(name, value);
        }
    }
    if !keys.is_empty() {
        markup.open("BizKey");
        for key in keys {
            let name = key.name.as_ref().map(|name| ("name", name.as_str()));
            markup.attributed("Key", name.as_slice(), &key.value);
        }
        markup.close("BizKey");
    }
    if let Some(encoding) = encoding {
        markup.attributed("IsText", &[("Encode", encoding)], "");
    }
    if let Some(map_id) = map_id {
        markup.leaf("RecMapId", map_id);
    }
    markup.close("AddInfo");
}

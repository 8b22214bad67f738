//! Finding a partner by id or by the pair of AS2 names in a message.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Partner;

/// All partners. Immutable; a reload makes a new one.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    by_id: BTreeMap<String, Arc<Partner>>,
}

impl Directory {
    /// A directory of these partners. Of two with the same id the later one stays; of two with the same AS2 name the
    /// first by id is found: the configuration refuses both cases.
    pub fn new(partners: impl IntoIterator<Item = Arc<Partner>>) -> Directory {
        Directory { by_id: partners.into_iter().map(|partner| (partner.id.clone(), partner)).collect() }
    }

    /// The partner with this id.
    pub fn by_id(&self, id: &str) -> Option<&Arc<Partner>> {
        self.by_id.get(id)
    }

    /// The partner with this AS2 name, compared byte for byte (RFC 4130 6.2: names are case-sensitive). Our own name
    /// in `AS2-To` is the caller's to compare.
    pub fn by_as2_name(&self, as2_name: &str) -> Option<&Arc<Partner>> {
        self.by_id.values().find(|partner| partner.as2_name.as_str() == as2_name)
    }

    /// All partners in the order of their ids.
    pub fn all(&self) -> impl ExactSizeIterator<Item = &Arc<Partner>> {
        self.by_id.values()
    }
}

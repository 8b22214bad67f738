//! Finding a partner by id or by the pair of AS2 names in a message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Partner;
use crate::cms::SignatureScheme;

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

    /// How what we send to the enabled partners is signed, messages and receipts alike. `None`: by any of our keys, as the
    /// receipts are of those who get messages without a signature, and as nothing more is known of where there is no
    /// partner.
    pub fn signed_by(&self) -> BTreeSet<Option<SignatureScheme>> {
        let schemes = self.all().filter(|partner| partner.enabled).map(|partner| partner.agreement.sign);
        let mut schemes: BTreeSet<Option<SignatureScheme>> = schemes.collect();
        if schemes.is_empty() {
            schemes.insert(None);
        }
        schemes
    }
}

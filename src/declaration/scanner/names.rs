//! Names met in a document, each judged once: a message has a hundred different ones and repeats them a hundred times.

use std::rc::Rc;

/// Names remembered at a time; another one of the same place takes it over.
const PLACES: usize = 256;

/// A name as it is written in tags.
#[derive(Debug, Default)]
pub(in crate::declaration) struct Name {
    qualified: Box<str>,
    /// Where the local part begins: behind the colon, or at the start.
    local: usize,
    mark: u64,
    prefix_mark: Option<u64>,
}

impl Name {
    pub(super) fn qualified(&self) -> &str {
        &self.qualified
    }

    pub(in crate::declaration) fn local(&self) -> &str {
        self.qualified.get(self.local..).unwrap_or_default()
    }

    /// The same for names of the same local part, and for no others as far as 64 bits can tell.
    pub(super) fn mark(&self) -> u64 {
        self.mark
    }

    /// The same for names of the same prefix and for no others; `None` for long ones.
    pub(super) fn prefix_mark(&self) -> Option<u64> {
        self.prefix_mark
    }

    pub(super) fn prefix(&self) -> &str {
        self.qualified.get(..self.local.saturating_sub(1)).unwrap_or_default()
    }
}

/// The memory of names.
pub(super) struct Names {
    places: Vec<Option<Rc<Name>>>,
}

impl Names {
    pub(super) fn new() -> Names {
        Names { places: vec![None; PLACES] }
    }

    /// A name that was met before.
    pub(super) fn known(&self, qualified: &[u8]) -> Option<Rc<Name>> {
        let name = self.places.get(place(qualified))?.as_ref()?;
        same(name.qualified.as_bytes(), qualified).then(|| name.clone())
    }

    /// The name of a tag; `None` when it is none.
    pub(super) fn learn(&mut self, qualified: &str) -> Option<Rc<Name>> {
        if let Some(known) = self.known(qualified.as_bytes()) {
            return Some(known);
        }
        let (prefix, local_part) = split_name(qualified)?;
        let local = if prefix.is_empty() { 0 } else { prefix.len().saturating_add(1) };
        // FNV-1a.
        let mark = local_part
            .bytes()
            .fold(0xCBF2_9CE4_8422_2325u64, |mark, byte| (mark ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3));
        // No name has a zero byte, so the bytes alone tell prefixes of up to eight apart.
        let prefix_mark =
            (prefix.len() <= 8).then(|| prefix.bytes().fold(0u64, |mark, byte| (mark << 8) | u64::from(byte)));
        let name = Rc::new(Name { qualified: qualified.into(), local, mark, prefix_mark });
        if let Some(place) = self.places.get_mut(place(qualified.as_bytes())) {
            *place = Some(name.clone());
        }
        Some(name)
    }
}

/// Whether two names are equal, without a call for those of usual length: there are several comparisons for each tag.
pub(in crate::declaration) fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let ends = |name: &[u8]| -> Option<[u64; 2]> {
        Some([u64::from_le_bytes(*name.first_chunk()?), u64::from_le_bytes(*name.last_chunk()?)])
    };
    match (ends(one), ends(other)) {
        (Some(these), Some(those)) => these == those && (one.len() <= 16 || one == other),
        _ => one.iter().eq(other),
    }
}

/// Names differ in their last bytes or their length.
fn place(name: &[u8]) -> usize {
    let tail = match name.last_chunk::<8>() {
        Some(tail) => u64::from_le_bytes(*tail),
        None => name.iter().fold(0u64, |sum, byte| (sum << 8) | u64::from(*byte)),
    };
    let mixed = (tail ^ u64::try_from(name.len()).unwrap_or(0)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    usize::from(mixed.to_be_bytes().first().copied().unwrap_or(0))
}

/// Prefix and local part (Namespaces in XML, production 7), with every character beyond ASCII taken as a letter.
pub(super) fn split_name(name: &str) -> Option<(&str, &str)> {
    let (prefix, local) = match memchr::memchr(b':', name.as_bytes()) {
        None => ("", name),
        Some(at) => {
            let (prefix, rest) = name.split_at_checked(at)?;
            if !is_part(prefix) {
                return None;
            }
            (prefix, rest.get(1..)?)
        }
    };
    is_part(local).then_some((prefix, local))
}

fn is_part(part: &str) -> bool {
    part.bytes().all(|b| class(b) > 0) && part.bytes().next().is_some_and(|b| class(b) > 1)
}

/// What a byte is in a name: 2 may begin one, 1 may go on, 0 may not stand in it.
const fn class(byte: u8) -> u8 {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'_' | 0x80..=0xFF => 2,
        b'0'..=b'9' | b'-' | b'.' => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_split_at_its_colon_and_met_again() {
        let mut names = Names::new();
        assert!(names.known(b"ceb:orderNo").is_none());
        let name = names.learn("ceb:orderNo").expect("a name");
        assert_eq!((name.prefix(), name.local()), ("ceb", "orderNo"));
        assert!(names.known(b"ceb:orderNo").is_some_and(|known| Rc::ptr_eq(&known, &name)));
        let plain = names.learn("海关").expect("a name");
        assert_eq!((plain.prefix(), plain.local(), plain.qualified()), ("", "海关", "海关"));
        for bad in ["", ":", "a:", ":a", "a:b:c", "1a", "a b", "a\"", "-a", "a:1"] {
            assert!(names.learn(bad).is_none() && names.known(bad.as_bytes()).is_none(), "{bad}");
        }
    }

    #[test]
    fn names_are_the_same_when_every_byte_is() {
        for length in 0..40 {
            let name: Vec<u8> = (0..length).collect();
            assert!(same(&name, &name.clone()) && !same(&name, &[&name[..], b"x"].concat()));
            for at in 0..name.len() {
                let mut other = name.clone();
                other[at] ^= 1;
                assert!(!same(&name, &other) && !same(&other, &name), "{length}: {at}");
            }
        }
    }

    #[test]
    fn names_of_one_place_take_turns() {
        let mut names = Names::new();
        let all: Vec<String> = (0..2000).map(|number| format!("field{number}")).collect();
        for name in all.iter().chain(&all) {
            assert_eq!(names.learn(name).expect("a name").local(), name);
        }
    }
}

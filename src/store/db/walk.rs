//! The entries of a part of the map, as sled and what is gathered have them together.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Bytes, DbError, Layers};

/// Entries of the first look: most callers want one or two.
const FIRST: usize = 2;
/// Entries of a look at most; meanwhile nothing can be applied.
const MOST: usize = 128;

/// A key and its value, none if it was removed, or what sled said instead.
type Entry = Result<(Bytes, Option<Bytes>), DbError>;

/// Goes through a part of the map, a few entries at a look. Each look sees the map as it is then.
pub(super) struct Walk {
    layers: Layers,
    from: Bound<Vec<u8>>,
    to: Bound<Vec<u8>>,
    back: bool,
    seen: VecDeque<(Bytes, Bytes)>,
    look: usize,
    ended: bool,
}

impl Walk {
    pub(super) fn new(layers: Layers, from: Bound<Vec<u8>>, to: Bound<Vec<u8>>) -> Walk {
        Walk { layers, from, to, back: false, seen: VecDeque::new(), look: FIRST, ended: false }
    }

    /// The last entry first.
    pub(super) fn backwards(self) -> Walk {
        Walk { back: true, ..self }
    }

    /// The next entries; fewer than were wanted are the last.
    fn look(&mut self) -> Result<(), DbError> {
        let wanted = self.look;
        self.look = wanted.saturating_mul(4).min(MOST);
        let gathered = self.layers.gathered();
        let first = match (&self.from, self.back) {
            (Bound::Included(first), false) => Some(first.clone()),
            _ => None,
        };
        if let Some(end) = first.as_ref().and_then(|first| gathered.end_of_gap(first)) {
            self.from = Bound::Included(end);
        }
        if is_empty(&self.from, &self.to) {
            self.ended = true;
            return Ok(());
        }
        let (from, to) = (bound(&self.from), bound(&self.to));
        let under = self.layers.sled.range::<&[u8], _>((from, to));
        let over = gathered.range(from, to);
        let found = if self.back {
            take(wanted, under.rev().map(stored), over.rev().map(changed), Ordering::reverse)
        } else {
            take(wanted, under.map(stored), over.map(changed), |order| order)
        };
        let (found, passed) = found?;
        if let Some(first) = &first {
            match (found.front(), &self.to) {
                (Some((key, _)), _) => gathered.note_gap(first, key, passed),
                (None, Bound::Excluded(to)) => gathered.note_gap(first, to, passed),
                (None, _) => {}
            }
        }
        drop(gathered);
        self.ended = found.len() < wanted;
        if let Some((last, _)) = found.back() {
            let last = Bound::Excluded(last.to_vec());
            if self.back { self.to = last } else { self.from = last }
        }
        self.seen = found;
        Ok(())
    }
}

impl Iterator for Walk {
    type Item = Result<(Bytes, Bytes), DbError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.seen.is_empty() && !self.ended {
            let looked = catch_unwind(AssertUnwindSafe(|| self.look())).unwrap_or_else(|_| Err(DbError::panicked()));
            if let Err(error) = looked {
                self.ended = true;
                return Some(Err(error));
            }
        }
        self.seen.pop_front().map(Ok)
    }
}

/// The first `wanted` entries of two ordered lists, the second of which has the last word, and how many removed ones stood
/// before the first.
fn take(
    wanted: usize,
    under: impl Iterator<Item = Entry>,
    over: impl Iterator<Item = Entry>,
    direction: impl Fn(Ordering) -> Ordering,
) -> Result<(VecDeque<(Bytes, Bytes)>, usize), DbError> {
    let (mut under, mut over) = (under.peekable(), over.peekable());
    let (mut found, mut passed) = (VecDeque::with_capacity(wanted), 0usize);
    while found.len() < wanted {
        let order = match (under.peek(), over.peek()) {
            (None, None) => break,
            (Some(Ok((below, _))), Some(Ok((above, _)))) => direction(below.cmp(above)),
            (None, _) => Ordering::Greater,
            (Some(_), _) => Ordering::Less,
        };
        let next = match order {
            Ordering::Less => under.next(),
            Ordering::Greater => over.next(),
            Ordering::Equal => {
                under.next();
                over.next()
            }
        };
        match next.transpose()? {
            Some((key, Some(value))) => found.push_back((key, value)),
            Some(_) if found.is_empty() => passed = passed.saturating_add(1),
            _ => {}
        }
    }
    Ok((found, passed))
}

fn stored(entry: sled::Result<(Bytes, Bytes)>) -> Entry {
    let (key, value) = entry?;
    Ok((key, Some(value)))
}

fn changed((key, value): (&Bytes, &Option<Bytes>)) -> Entry {
    Ok((key.clone(), value.clone()))
}

fn bound(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}

/// No key can lie between.
fn is_empty(from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    match (from, to) {
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => from >= to,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Db, DbBatch};

    /// A map in which `under` is sled's and `over` was applied later: `Some` is inserted, `None` removed.
    fn map(under: &[&str], over: &[(&str, bool)]) -> (tempfile::TempDir, Db) {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("index"), 1 << 20).unwrap();
        let mut batch = DbBatch::default();
        under.iter().for_each(|key| batch.insert(key.as_bytes(), b"under"));
        db.apply(batch).unwrap();
        db.flush().unwrap();
        let mut batch = DbBatch::default();
        for (key, there) in over {
            if *there { batch.insert(key.as_bytes(), b"over") } else { batch.remove(key.as_bytes()) }
        }
        db.apply(batch).unwrap();
        (dir, db)
    }

    fn keys(entries: impl Iterator<Item = Result<(super::Bytes, super::Bytes), super::DbError>>) -> Vec<String> {
        entries.map(|entry| String::from_utf8(entry.unwrap().0.to_vec()).unwrap()).collect()
    }

    #[test]
    fn what_was_applied_last_is_read_whether_sled_has_it_or_not() {
        let (_dir, db) =
            map(&["a", "b1", "b2", "b4", "c"], &[("b2", false), ("b3", true), ("b4", true), ("b9", false)]);
        assert_eq!(keys(db.scan(b"b")), ["b1", "b3", "b4"]);
        assert_eq!(keys(db.from(b"b3")), ["b3", "b4", "c"]);
        assert_eq!(keys(db.between(b"a", Some(b"b4"))), ["a", "b1", "b3"]);
        assert_eq!(keys(db.back_from(b"b", b"b4")), ["b3", "b1"]);
        assert_eq!(db.last(b"b").unwrap().unwrap().0, b"b4");
        let values = [db.get(b"b1"), db.get(b"b2"), db.get(b"b4")].map(|value| value.unwrap().map(|v| v.to_vec()));
        assert_eq!(values, [Some(b"under".to_vec()), None, Some(b"over".to_vec())]);
        let before = keys(db.scan(b""));
        db.flush().unwrap();
        assert_eq!(keys(db.scan(b"")), before);
    }

    #[test]
    fn what_comes_into_an_emptied_part_is_found() {
        let names: Vec<String> = (10..60).map(|number| format!("u{number}")).collect();
        let stored: Vec<&str> = names.iter().map(String::as_str).collect();
        let removed: Vec<(&str, bool)> = stored.iter().take(40).map(|name| (*name, false)).collect();
        let (_dir, db) = map(&stored, &removed);
        for _ in 0..2 {
            assert_eq!(keys(db.scan(b"u")), names[40..], "the front is empty and stays so");
        }
        let mut batch = DbBatch::default();
        batch.insert(b"u30", b"again");
        db.apply(batch).unwrap();
        assert_eq!(keys(db.scan(b"u")).first().map(String::as_str), Some("u30"));
        db.flush().unwrap();
        let mut batch = DbBatch::default();
        batch.insert(b"u20", b"again");
        db.apply(batch).unwrap();
        assert_eq!(keys(db.scan(b"u"))[..2], ["u20", "u30"]);
        let mut batch = DbBatch::default();
        names.iter().for_each(|name| batch.remove(name.as_bytes()));
        db.apply(batch).unwrap();
        for _ in 0..2 {
            assert_eq!(keys(db.scan(b"u")).len(), 0);
        }
        db.flush().unwrap();
        let mut batch = DbBatch::default();
        batch.insert(b"u11", b"again");
        db.apply(batch).unwrap();
        assert_eq!(keys(db.scan(b"u")), ["u11"]);
    }

    #[test]
    fn a_walk_goes_on_over_what_sled_was_given_meanwhile() {
        let names: Vec<String> = (100..900).map(|number| format!("m{number}")).collect();
        let even: Vec<&str> = names.iter().step_by(2).map(String::as_str).collect();
        let odd: Vec<(&str, bool)> = names.iter().skip(1).step_by(2).map(|name| (name.as_str(), true)).collect();
        let (_dir, db) = map(&even, &odd);
        let walk = db.scan(b"m");
        let mut seen = Vec::new();
        for entry in walk {
            seen.push(String::from_utf8(entry.unwrap().0.to_vec()).unwrap());
            if seen.len() == 37 {
                db.flush().unwrap();
            }
        }
        assert_eq!(seen, names);
        let backwards = keys(db.back_from(b"m", b"n"));
        assert!(backwards.iter().eq(names.iter().rev()));
    }
}

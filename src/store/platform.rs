//! What the transport platform's responses (`DxpRep`) to one envelope say together.
//!
//! An envelope may be answered more than once: the node splits it, one for each receiver, a node that could not reach the
//! next tries again, and responses are repeated and overtake each other (报文规范 202205, section 8.1.2). For each receiver the
//! word of the newest `NoticeTime` counts, which is a day; among those of one day a refusal for good (format, signature,
//! receiver) before "passed on", and "passed on" before a passing trouble (3xxx), which was over then. A response that names
//! no receiver is about all of them. The envelope stands as its worst receiver does. None of this depends on the order in
//! which the same responses come, and a repetition changes nothing.

use std::collections::BTreeMap;

use super::record::{PlatformAnswer, PlatformResult};
use crate::declaration::envelope::{response_is_success, response_is_transient};
use crate::ground::clock::customs_time;

/// Receivers of one envelope that are told apart, that of "all of them" included; the schema allows five.
const RECEIVERS: usize = 16;
/// Stands for a response that names no receiver.
const ALL: &str = "";

/// What one response says about one receiver.
#[derive(Debug, Clone)]
struct Word<'a> {
    of: &'a PlatformAnswer,
    day: String,
    code: &'a str,
    info: Option<&'a str>,
}

impl<'a> Word<'a> {
    fn words(of: &'a PlatformAnswer) -> impl Iterator<Item = (&'a str, Word<'a>)> {
        let day = of.notice.clone().unwrap_or_else(|| customs_time(of.at).chars().take(DAY).collect());
        let own = !of.results.iter().any(|result| result.receiver == ALL || result.code == of.code);
        let own = own.then(|| (ALL, Word { of, day: day.clone(), code: &of.code, info: of.info.as_deref() }));
        let results = of.results.iter().map(move |result| {
            let day = result.notice.clone().unwrap_or_else(|| day.clone());
            (result.receiver.as_str(), Word { of, day, code: &result.code, info: result.info.as_deref() })
        });
        own.into_iter().chain(results)
    }

    /// Of two words about one receiver the greater one counts.
    fn rank(&self) -> (&str, u8, &str) {
        let class = match (response_is_success(self.code), response_is_transient(self.code)) {
            (false, true) => 0,
            (true, _) => 1,
            (false, false) => 2,
        };
        (&self.day, class, self.code)
    }

    /// Of two receivers the envelope stands as the greater one does.
    fn trouble(&self) -> (bool, bool, &str) {
        (!response_is_success(self.code), !response_is_transient(self.code), self.code)
    }
}

/// Characters of a day: `2026-03-01`.
const DAY: usize = 10;

/// What two responses say together; `known` may be such a sum itself.
pub(super) fn together(known: &PlatformAnswer, new: &PlatformAnswer) -> PlatformAnswer {
    let mut words: BTreeMap<&str, Word<'_>> = BTreeMap::new();
    for (receiver, word) in Word::words(known).chain(Word::words(new)) {
        let room = words.len() < RECEIVERS;
        match words.get_mut(receiver) {
            Some(other) if word.rank() > other.rank() => *other = word,
            None if room => drop(words.insert(receiver, word)),
            _ => {}
        }
    }
    let all = words.get(ALL);
    let standing = |word| all.filter(|all: &&Word<'_>| all.rank() > Word::rank(word)).unwrap_or(word);
    let named = words.iter().filter(|(receiver, _)| **receiver != ALL).map(|(_, word)| standing(word));
    let Some(worst) = named.max_by(|one, other| one.trouble().cmp(&other.trouble())).or(all) else {
        return known.clone();
    };
    let results = words.iter().filter(|_| words.len() > 1 || all.is_none()).map(|(receiver, word)| PlatformResult {
        receiver: (*receiver).to_owned(),
        code: word.code.to_owned(),
        info: word.info.map(str::to_owned),
        notice: Some(word.day.clone()),
    });
    PlatformAnswer {
        at: worst.of.at,
        response: worst.of.response,
        node: worst.of.node.clone(),
        code: worst.code.to_owned(),
        info: worst.info.map(str::to_owned),
        refused: !response_is_success(worst.code),
        notice: Some(worst.day.clone()),
        results: results.collect(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::ground::id::Id;

    /// A response on a day of March, about receivers or, with none, about all.
    fn answer(number: u8, day: u8, code: &str, results: &[(&str, &str)]) -> PlatformAnswer {
        let result = |(receiver, code): &(&str, &str)| PlatformResult {
            receiver: (*receiver).to_owned(),
            code: (*code).to_owned(),
            info: None,
            notice: None,
        };
        PlatformAnswer {
            at: Timestamp::UNIX_EPOCH,
            response: Id::from_bytes([number; 16]),
            node: None,
            code: code.to_owned(),
            info: None,
            refused: !response_is_success(code),
            notice: Some(format!("2026-03-{day:02}")),
            results: results.iter().map(result).collect(),
        }
    }

    fn sum(answers: &[&PlatformAnswer]) -> (String, bool, Vec<(String, String)>) {
        let (first, rest) = answers.split_first().expect("some");
        let sum = rest.iter().fold((*first).clone(), |sum, next| together(&sum, next));
        let results = sum.results.iter().filter(|result| result.receiver != ALL);
        let results = results.map(|result| (result.receiver.clone(), result.code.clone())).collect();
        (sum.code, sum.refused, results)
    }

    /// What they come to, in whatever order they come and however often.
    fn comes_to<'a>(answers: &'a [PlatformAnswer], code: &str) {
        let mut orders: Vec<Vec<&'a PlatformAnswer>> = vec![Vec::new()];
        for answer in answers {
            let spread = |order: &Vec<&'a PlatformAnswer>| {
                let with = |at| [&order[..at], &[answer], &order[at..]].concat();
                (0..=order.len()).map(with).collect::<Vec<_>>()
            };
            orders = orders.iter().flat_map(spread).collect();
        }
        let expected = sum(&orders[0]);
        assert_eq!((expected.0.as_str(), expected.1), (code, !response_is_success(code)), "{answers:#?}");
        for order in &orders {
            assert_eq!(sum(order), expected, "{order:#?}");
            assert_eq!(sum(&[&order[..], &order[..]].concat()), expected, "repeated: {order:#?}");
        }
    }

    #[test]
    fn the_newest_notice_counts_and_within_a_day_refusal_before_passage_before_trouble() {
        let on = |day, code: &str| answer(day, day, code, &[]);
        comes_to(&[on(1, "3002"), on(1, "0000")], "0000");
        comes_to(&[on(1, "3002"), on(1, "0002"), on(1, "0000")], "0002");
        comes_to(&[on(1, "0002"), on(2, "0000")], "0000");
        comes_to(&[on(1, "0000"), on(2, "3003")], "3003");
        comes_to(&[on(1, "1001"), on(1, "2001")], "2001");
        comes_to(&[on(1, "3001"), on(1, "3003")], "3003");
    }

    #[test]
    fn an_envelope_stands_as_its_worst_receiver_does() {
        let passed = answer(1, 1, "0000", &[("A", "0000")]);
        let refused = answer(2, 1, "2001", &[("B", "2001")]);
        let later = answer(3, 2, "0000", &[("B", "0000")]);
        comes_to(&[passed.clone(), refused.clone()], "2001");
        comes_to(&[passed.clone(), refused.clone(), later.clone()], "0000");
        comes_to(&[passed.clone(), answer(4, 2, "3002", &[("A", "3002"), ("B", "0000")]), refused.clone()], "3002");
        // What names nobody is about everybody.
        comes_to(&[answer(5, 1, "0002", &[]), passed.clone(), later.clone()], "0002");
        comes_to(&[answer(5, 2, "0000", &[]), refused, passed.clone()], "0000");
        comes_to(&[answer(5, 1, "3002", &[]), passed], "0000");
        let both = sum(&[&answer(1, 1, "0000", &[("A", "0000")]), &answer(2, 1, "2001", &[("B", "2001")])]).2;
        assert_eq!(both, [("A".to_owned(), "0000".to_owned()), ("B".to_owned(), "2001".to_owned())]);
    }

    #[test]
    fn a_repetition_changes_nothing_at_all() {
        for one in [answer(1, 1, "0002", &[]), answer(1, 1, "2001", &[("A", "0000"), ("B", "2001")])] {
            let once = together(&one, &one);
            assert_eq!(
                (once.code.as_str(), once.response, once.refused),
                (one.code.as_str(), one.response, one.refused)
            );
            assert_eq!(
                together(&once, &answer(2, 1, &one.code, &[])).response,
                one.response,
                "the first one that said it"
            );
            assert_eq!(together(&once, &once), once);
        }
    }
}

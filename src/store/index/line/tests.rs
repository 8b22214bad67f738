use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

use proptest::prelude::*;

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn id(number: u16) -> Id {
    let [high, low] = number.to_be_bytes();
    Id::from_bytes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, high, low])
}

/// Looks at a map of these places at once.
fn look(line: &mut Line, map: &BTreeMap<Id, Timestamp>, now: Timestamp, anew: bool) {
    let Some(look) = line.begin_look(now, anew) else { return };
    let mut places: Vec<Place> = map.iter().map(|(id, due)| (*due, *id)).collect();
    places.retain(|place| look.behind.is_none_or(|behind| *place > behind) && !look.held.contains(&place.1));
    places.sort_unstable();
    let is_all = places.len() <= LOOKED;
    places.truncate(LOOKED);
    line.end_look(Some(Seen { places, is_all }));
}

/// Takes all that are due, and counts the looks.
fn take_all(line: &mut Line, map: &BTreeMap<Id, Timestamp>, now: Timestamp) -> (Vec<Id>, usize) {
    let (mut taken, mut looks) = (Vec::new(), 0);
    loop {
        match line.take(now) {
            Next::Taken(id) => taken.push(id),
            Next::Nothing => return (taken, looks),
            Next::Look => {
                look(line, map, now, looks == 0);
                looks += 1;
            }
        }
    }
}

#[test]
fn the_map_is_asked_once_for_many_that_are_taken_however_many_are_held() {
    let map: BTreeMap<Id, Timestamp> = (0..1_000).map(|number| (id(number), at(i64::from(number / 10)))).collect();
    let mut line = Line::default();
    let (taken, looks) = take_all(&mut line, &map, at(1_000));
    assert_eq!(taken, (0..1_000).map(id).collect::<Vec<Id>>());
    assert_eq!(looks, 4, "each takes in {LOOKED}");
    // What comes and goes from there on needs no look.
    for number in 0..1_000 {
        line.note(id(number), Some(map[&id(number)]), None);
        line.release(&id(number));
        line.note(id(1_000 + number), None, Some(at(2_000)));
        assert_eq!(line.take(at(2_000)), Next::Taken(id(1_000 + number)));
        assert_eq!(line.take(at(2_000)), Next::Nothing);
    }
}

#[test]
fn what_is_due_earlier_is_taken_before_what_was_known_already() {
    let mut line = Line::default();
    let map: BTreeMap<Id, Timestamp> = (1..600).map(|number| (id(number), at(10))).collect();
    look(&mut line, &map, at(10), true);
    line.note(id(700), None, Some(at(5)));
    assert_eq!(line.take(at(10)), Next::Taken(id(700)));
    assert_eq!(line.take(at(10)), Next::Taken(id(1)));
    // One that is given back comes before those behind it, and one that was put off does not come at all.
    line.note(id(700), Some(at(5)), Some(at(90)));
    line.release(&id(700));
    line.release(&id(1));
    assert_eq!(line.take(at(10)), Next::Taken(id(1)));
    assert_eq!(line.take(at(10)), Next::Taken(id(2)));
    // When the clock goes back nothing is due, and nothing is lost.
    assert_eq!(line.take(at(9)), Next::Nothing);
    assert_eq!(line.take(at(10)), Next::Taken(id(3)));
}

#[test]
fn what_is_taken_and_was_not_due_does_not_come_again_unless_it_was_noted_meanwhile() {
    let mut line = Line::default();
    look(&mut line, &BTreeMap::from([(id(1), at(1)), (id(2), at(1))]), at(1), true);
    assert_eq!(line.take(at(1)), Next::Taken(id(1)));
    line.reject(&id(1));
    assert_eq!(line.take(at(1)), Next::Taken(id(2)), "the other one has not come again");
    line.note(id(1), Some(at(1)), Some(at(1)));
    assert_eq!(line.take(at(1)), Next::Taken(id(1)), "with what was still to be noted it has");
    line.note(id(2), Some(at(1)), Some(at(0)));
    line.reject(&id(2));
    assert_eq!(line.take(at(1)), Next::Taken(id(2)), "what was noted is newer than what was read");
}

#[test]
fn of_a_line_that_grows_long_the_last_are_looked_for_again() {
    let mut line = Line::default();
    look(&mut line, &BTreeMap::new(), at(0), true);
    let mut map = BTreeMap::new();
    for number in 0..5_000 {
        map.insert(id(number), at(i64::from(5_000 - number)));
        line.note(id(number), None, Some(map[&id(number)]));
        assert!(line.free.len() <= KEPT);
    }
    let (taken, looks) = take_all(&mut line, &map, at(5_000));
    assert_eq!(taken, (0..5_000).rev().map(id).collect::<Vec<Id>>());
    assert!((15..=20).contains(&looks), "{looks} looks");
}

#[test]
fn where_all_that_is_known_is_yet_to_come_nothing_is_due_and_no_look_is_needed() {
    let map: BTreeMap<Id, Timestamp> = (0..600).map(|number| (id(number), at(100 + i64::from(number)))).collect();
    let mut line = Line::default();
    look(&mut line, &map, at(1), true);
    assert_eq!((line.take(at(99)), line.first()), (Next::Nothing, Some(at(100))));
    for number in 0..256 {
        line.note(id(number), Some(map[&id(number)]), None);
    }
    assert_eq!((line.take(at(99)), line.first()), (Next::Nothing, Some(at(355))), "the last that was known");
    assert_eq!(line.first_due(at(99)), None, "what comes behind it the map has");
    assert_eq!(line.take(at(355)), Next::Look);
}

#[test]
fn after_the_map_was_changed_as_a_whole_the_line_is_looked_at_anew_and_who_holds_what_stays() {
    let map = BTreeMap::from([(id(1), at(1)), (id(2), at(1))]);
    let mut line = Line::default();
    look(&mut line, &map, at(1), true);
    assert_eq!(line.take(at(1)), Next::Taken(id(1)));
    line.forget();
    assert_eq!(take_all(&mut line, &map, at(1)), (vec![id(2)], 1));
    line.release(&id(1));
    assert_eq!(line.take(at(1)), Next::Taken(id(1)));
}

/// What may happen, in any order.
#[derive(Debug, Clone)]
enum Step {
    /// A change becomes visible: this message is due then, or no more.
    Change(u16, Option<i64>),
    /// The oldest change that is visible and was not noted is noted.
    Note,
    /// Somebody asks at this instant.
    Take(i64),
    /// Whoever holds this message gives it back.
    Release(u16),
    /// Another one begins to look at this instant, sees the next place, or is done.
    Begin(i64, bool),
    See,
    End,
}

const MESSAGES: u16 = 7;
/// Places of one look here.
const FEW: usize = 3;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let second = || 0i64..6;
    let step = prop_oneof![
        4 => (0..MESSAGES, prop::option::of(second())).prop_map(|(number, due)| Step::Change(number, due)),
        4 => Just(Step::Note),
        4 => second().prop_map(Step::Take),
        3 => (0..MESSAGES).prop_map(Step::Release),
        2 => (second(), any::<bool>()).prop_map(|(now, anew)| Step::Begin(now, anew)),
        4 => Just(Step::See),
        2 => Just(Step::End),
    ];
    prop::collection::vec(step, 1..120)
}

/// A map, a line that is told of its changes late, and those who hold something.
#[derive(Default)]
struct World {
    line: Line,
    map: BTreeMap<Id, Timestamp>,
    unnoted: VecDeque<(Id, Option<Timestamp>, Option<Timestamp>)>,
    held: HashSet<Id>,
    /// Who looks: where they are, what they have seen, and whether there was nobody behind it.
    looking: Option<(Look, Vec<Place>, bool)>,
}

impl World {
    fn happen(&mut self, step: &Step) {
        match step {
            Step::Change(number, due) => {
                let (id, to) = (id(*number), due.map(at));
                let from = match to {
                    Some(due) => self.map.insert(id, due),
                    None => self.map.remove(&id),
                };
                self.unnoted.push_back((id, from, to));
            }
            Step::Note => self.note(),
            Step::Take(second) => {
                self.take(at(*second));
            }
            Step::Release(number) => {
                if self.held.remove(&id(*number)) {
                    self.line.release(&id(*number));
                }
            }
            Step::Begin(second, anew) if self.looking.is_none() => {
                self.looking = self.line.begin_look(at(*second), *anew).map(|look| (look, Vec::new(), false));
            }
            Step::Begin(..) => {}
            Step::See => self.see(),
            Step::End => self.end(),
        }
    }

    fn note(&mut self) {
        if let Some((id, from, to)) = self.unnoted.pop_front() {
            self.line.note(id, from, to);
        }
    }

    /// As the queue does it; without a look of its own while another one looks.
    fn take(&mut self, now: Timestamp) -> Option<Id> {
        loop {
            match self.line.take(now) {
                Next::Taken(id) => {
                    assert!(!self.held.contains(&id), "nobody gets what somebody holds");
                    if self.map.get(&id).is_some_and(|due| *due <= now) {
                        self.held.insert(id);
                        return Some(id);
                    }
                    self.line.reject(&id);
                }
                Next::Nothing => {
                    let free = self.due(now);
                    assert!(!self.unnoted.is_empty() || free.is_empty(), "{free:?} are due and were not found");
                    return None;
                }
                Next::Look if self.looking.is_some() => return None,
                Next::Look => {
                    self.happen(&Step::Begin(now.as_second(), false));
                    while self.looking.as_ref().is_some_and(|(_, places, is_all)| places.len() < FEW && !is_all) {
                        self.see();
                    }
                    self.end();
                }
            }
        }
    }

    fn see(&mut self) {
        let Some((look, places, is_all)) = &mut self.looking else { return };
        if *is_all || places.len() == FEW {
            return;
        }
        let from = places.last().copied().or(look.behind).map_or(Bound::Unbounded, Bound::Excluded);
        let map: BTreeSet<Place> = self.map.iter().map(|(id, due)| (*due, *id)).collect();
        match map.range((from, Bound::Unbounded)).find(|(_, id)| !look.held.contains(id)) {
            Some(place) => places.push(*place),
            None => *is_all = true,
        }
    }

    fn end(&mut self) {
        match self.looking.take() {
            Some((_, places, is_all)) if places.is_empty() && !is_all => self.line.end_look(None),
            Some((_, places, is_all)) => self.line.end_look(Some(Seen { places, is_all })),
            None => {}
        }
    }

    /// What is due and nobody holds, in its order.
    fn due(&self, now: Timestamp) -> Vec<Id> {
        let mut due: Vec<Place> = self.map.iter().map(|(id, due)| (*due, *id)).collect();
        due.retain(|(due, id)| *due <= now && !self.held.contains(id));
        due.sort_unstable();
        due.into_iter().map(|(_, id)| id).collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_comes_and_goes_while_somebody_looks_what_is_due_is_taken_once_and_in_its_order(
        steps in steps(), now in 0i64..6
    ) {
        let mut world = World::default();
        steps.iter().for_each(|step| world.happen(step));
        while !world.unnoted.is_empty() {
            world.note();
        }
        for from in 0..7 {
            let first = world.map.values().copied().filter(|due| *due >= at(from)).min();
            let known = world.line.first_due(at(from));
            prop_assert!(known.is_none_or(|known| known == first), "{:?} and not {:?} from {}", known, first, from);
        }
        world.end();
        let due = world.due(at(now));
        let taken: Vec<Id> = std::iter::from_fn(|| world.take(at(now))).collect();
        prop_assert_eq!(&taken, &due);
        // All that are held are given back, and come again.
        for id in std::mem::take(&mut world.held) {
            world.line.release(&id);
        }
        let due = world.due(at(now));
        let taken: Vec<Id> = std::iter::from_fn(|| world.take(at(now))).collect();
        prop_assert_eq!(taken, due);
    }
}

//! What a run adds up to.

use super::*;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

fn case(id: &str, state: CaseState) -> CaseRecord {
    CaseRecord {
        id: id.to_owned(),
        kind: Kind::Interface,
        subject: "mic".to_owned(),
        title: bilingual!("用例", "case"),
        state,
        started: None,
        ended: None,
        steps: Vec::new(),
        failure: None,
        evidence: Evidence::default(),
    }
}

fn run(cases: Vec<CaseRecord>) -> Run {
    Run {
        id: Id::from_bytes([1; 16]),
        plan: "p".to_owned(),
        title: bilingual!("计划", "plan"),
        environment: "test".to_owned(),
        rehearsal: false,
        station: StationOfRun::default(),
        partner: PartnerOfRun::default(),
        software: "dxgate".to_owned(),
        started: at(1),
        ended: None,
        resumed: Vec::new(),
        tester: None,
        place: None,
        cases,
    }
}

fn ended(states: &[CaseState]) -> Conclusion {
    let cases = states.iter().enumerate().map(|(number, state)| case(&number.to_string(), *state)).collect();
    let mut run = run(cases);
    run.ended = Some(at(9));
    run.conclusion()
}

#[test]
fn a_conclusion_is_never_better_than_the_cases() {
    use CaseState::{Failed, Passed, Pending, Skipped};
    assert_eq!(ended(&[Passed, Passed]), Conclusion::Passed);
    assert_eq!(ended(&[]), Conclusion::Incomplete, "nothing was proven");
    assert_eq!(ended(&[Passed, Skipped]), Conclusion::Incomplete);
    assert_eq!(ended(&[Passed, Pending]), Conclusion::Incomplete);
    assert_eq!(ended(&[Passed, Failed, Skipped, Pending]), Conclusion::Failed);
    let unended = run(vec![case("a", Passed)]);
    assert_eq!(unended.conclusion(), Conclusion::Incomplete, "its end is no fact yet");
}

#[test]
fn a_run_is_the_sum_of_its_facts_and_an_interrupted_one_knows_what_is_left() {
    let begun = run(vec![case("a", CaseState::Pending), case("b", CaseState::Pending)]);
    let mut facts = vec![
        RunFact::Started { run: Box::new(begun) },
        RunFact::CaseEnded { case: Box::new(case("a", CaseState::Passed)) },
        RunFact::CaseEnded { case: Box::new(case("unknown", CaseState::Failed)) },
    ];
    let interrupted = Run::of(facts.clone()).expect("a run");
    assert_eq!((interrupted.counts().passed, interrupted.counts().pending), (1, 1));
    assert_eq!(interrupted.conclusion(), Conclusion::Incomplete);
    facts.extend([
        RunFact::Resumed { at: at(5) },
        RunFact::CaseEnded { case: Box::new(case("b", CaseState::Passed)) },
        RunFact::Ended { at: at(6) },
    ]);
    let whole = Run::of(facts.clone()).expect("a run");
    assert_eq!(
        (whole.conclusion(), whole.ended, whole.resumed.clone()),
        (Conclusion::Passed, Some(at(6)), vec![at(5)])
    );
    assert_eq!(Run::of(facts.drain(1..)), None, "without its beginning it is no run");
}

#[test]
fn a_fact_written_today_can_be_read_for_ever() {
    // As the first version wrote them; fields are only added, with a default.
    let written = r#"[
        {"fact":"started","run":{"id":"01010101010101010101010101010101","plan":"p","title":{"zh":"计划","en":"plan"},
         "environment":"test","station":{"as2_name":"A"},"partner":{"id":"customs","as2_name":"B","url":"http://b/"},
         "software":"dxgate 0.1.0","started":"2026-01-01T00:00:00Z",
         "cases":[{"id":"a","kind":"interface","subject":"mic","title":{"zh":"用例","en":"case"},"state":"pending"}]}},
        {"fact":"case-ended","case":{"id":"a","kind":"interface","subject":"mic","title":{"zh":"用例","en":"case"},
         "state":"failed","failure":{"code":"mdn-mic-mismatch","layer":"mdn","seen":{"zh":"a","en":"a"},
         "cause":{"zh":"b","en":"b"},"ask":{"zh":"c","en":"c"}},
         "evidence":{"messages":[{"id":"02020202020202020202020202020202","file_name":"x.xml"}]}}},
        {"fact":"resumed","at":"2026-01-01T00:01:00Z"},
        {"fact":"ended","at":"2026-01-01T00:02:00Z"}
    ]"#;
    let facts: Vec<RunFact> = serde_json::from_str(written).expect("readable");
    let read = Run::of(facts).expect("a run");
    assert_eq!((read.conclusion(), read.counts().failed), (Conclusion::Failed, 1));
    let told = serde_json::to_value(read.told()).expect("written");
    assert_eq!((&told["conclusion"], &told["counts"]["failed"]), (&"failed".into(), &1.into()));
    let again: Run = serde_json::from_value(told).expect("what is told can be read");
    assert_eq!(again, read);
}

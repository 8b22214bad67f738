//! What the dossier takes, and in which order.

use jiff::Timestamp;
use jiff::civil::date;

use super::super::may_go_to_production;
use super::super::production::{Missing, Waiver, may_work_as};
use super::super::specimens::run;
use super::*;
use crate::connectivity::run::CaseState;

fn report(run: u8) -> FiledReport {
    FiledReport {
        run: Id::from_bytes([run; 16]),
        file: "report.pdf".to_owned(),
        sha256: "00".repeat(32),
        on: date(2026, 11, 27),
    }
}

fn shown(state: State, on: Date) -> Shown {
    Shown { state, on, note: None }
}

const TODAY: Date = date(2026, 11, 27);

#[test]
fn the_road_is_recorded_in_its_order_and_with_its_days() {
    let mut dossier = Dossier::default();
    let early = dossier.advance(Stage::Test, shown(State::Applied, TODAY), TODAY).expect_err("not yet");
    assert_eq!(early.code, "stage-out-of-order");
    // A Friday: three working days end on Wednesday.
    dossier.advance(Stage::Opening, shown(State::Applied, TODAY), TODAY).expect("applied");
    assert_eq!(dossier.due(Stage::Opening), Some(date(2026, 12, 2)));
    let later = date(2026, 12, 30);
    for (on, code) in [(date(2026, 11, 26), "day-out-of-order"), (date(2026, 12, 31), "day-out-of-order")] {
        let refused = dossier.advance(Stage::Opening, shown(State::Passed, on), later).expect_err("no");
        assert_eq!(refused.code, code);
    }
    dossier.advance(Stage::Opening, shown(State::Returned, date(2026, 11, 30)), later).expect("returned");
    assert_eq!(dossier.due(Stage::Opening), None, "the ball is with the enterprise");
    dossier.advance(Stage::Opening, shown(State::Applied, date(2026, 12, 1)), later).expect("again");
    dossier.advance(Stage::Opening, shown(State::Reviewed, date(2026, 12, 2)), later).expect("reviewed");
    assert_eq!(dossier.due(Stage::Opening), Some(date(2026, 12, 4)), "it counts from the second time");
    dossier.advance(Stage::Opening, shown(State::Passed, date(2026, 12, 3)), later).expect("passed");
    assert_eq!((dossier.due(Stage::Opening), dossier.is_granted(Stage::Opening)), (None, true));
    for state in [State::Applied, State::Passed] {
        dossier.advance(Stage::Test, shown(state, date(2026, 12, 7)), later).expect("test");
    }
    let early = dossier.advance(Stage::Access, shown(State::Applied, date(2026, 12, 8)), later);
    assert_eq!(early.expect_err("the report first").code, "stage-out-of-order");
    dossier.advance(Stage::Report, shown(State::Applied, date(2026, 12, 14)), later).expect("handed in");
    dossier.advance(Stage::Report, shown(State::Returned, date(2026, 12, 14)), later).expect("given back");
    let early = dossier.advance(Stage::Access, shown(State::Applied, date(2026, 12, 15)), later);
    assert_eq!(early.expect_err("it has to be mended").code, "stage-out-of-order");
    dossier.advance(Stage::Report, shown(State::Applied, date(2026, 12, 15)), later).expect("handed in again");
    dossier.advance(Stage::Access, shown(State::Applied, date(2026, 12, 15)), later).expect("access");
    assert_eq!(dossier.due(Stage::Access), Some(date(2026, 12, 24)));
    let again: Dossier = serde_json::from_str(&serde_json::to_string(&dossier).expect("written")).expect("read");
    assert_eq!(again, dossier);
}

#[test]
fn the_window_has_five_working_days_and_production_an_id_of_its_own() {
    let mut dossier = Dossier::default();
    dossier.lend("DXPTEST000000001", date(2026, 11, 26), None).expect("lent");
    assert_eq!(dossier.test.as_ref().map(|test| test.to), Some(date(2026, 12, 2)));
    assert_eq!(dossier.issue("DXPTEST000000001", TODAY).expect_err("no").code, "dxpid-of-test");
    assert_eq!(dossier.issue("DXP-1", TODAY).expect_err("no").code, "dxpid-form");
    let reversed = dossier.lend("A", date(2026, 11, 26), Some(date(2026, 11, 25))).expect_err("no");
    assert_eq!(reversed.code, "window-reversed");
    dossier.issue("DXPENT0000012345", TODAY).expect("issued");
}

#[test]
fn production_waits_for_a_passed_run_its_report_and_a_dxpid() {
    let mut dossier = Dossier::default();
    let all = Missing { run: true, report: true, dxpid: true, foreign: false };
    assert_eq!(may_go_to_production(&dossier), Err(all));
    assert!(all.text().zh.contains("正式 DXPID") && all.text().en.contains("a report of it"));
    for (id, change) in [
        (1u8, (|run: &mut Run| run.rehearsal = true) as fn(&mut Run)),
        (2, |run| run.environment = "production".to_owned()),
        (3, |run| run.ended = None),
        (4, |run| run.cases.iter_mut().for_each(|case| case.state = CaseState::Failed)),
        (5, |run| run.cases.clear()),
    ] {
        let mut proves_nothing = run(id, &[CaseState::Passed]);
        change(&mut proves_nothing);
        dossier.file_run(&proves_nothing, TODAY);
        dossier.file_report(report(id));
        assert_eq!(may_go_to_production(&dossier), Err(all), "{id}");
    }
    dossier.file_run(&run(9, &[CaseState::Passed]), TODAY);
    assert_eq!(may_go_to_production(&dossier), Err(Missing { run: false, ..all }), "a report of another run is none");
    dossier.file_report(report(9));
    assert_eq!(may_go_to_production(&dossier), Err(Missing { run: false, report: false, ..all }));
    dossier.waiver = Waiver::new("演练", Timestamp::UNIX_EPOCH).ok();
    assert!(may_go_to_production(&dossier).is_err(), "a waiver is no proof");
    dossier.issue("DXPENT0000012345", TODAY).expect("issued");
    assert_eq!(may_go_to_production(&dossier), Ok(()));
    assert_eq!(may_work_as(&dossier, Some("DXPENT0000012345")), Ok(()));
    assert_eq!(may_work_as(&dossier, None), Ok(()), "a station without one speaks no DXP");
    let foreign = may_work_as(&dossier, Some("DXPENT0000054321")).expect_err("another one");
    assert_eq!(foreign, Missing { foreign: true, ..Missing::default() });
    assert!(Waiver::new(" ", Timestamp::UNIX_EPOCH).is_err() && Waiver::new("a\nb", Timestamp::UNIX_EPOCH).is_err());
}

#[test]
fn a_run_that_proves_something_is_kept_however_many_do_not() {
    let mut dossier = Dossier::default();
    dossier.file_run(&run(255, &[CaseState::Passed]), TODAY);
    for number in 0..=254u8 {
        dossier.file_run(&run(number, &[CaseState::Failed]), TODAY);
    }
    assert!(dossier.runs.len() == MOST && dossier.passed_run().is_some());
    dossier.file_run(&run(255, &[CaseState::Passed]), TODAY);
    assert_eq!(dossier.runs.iter().filter(|filed| filed.id == Id::from_bytes([255; 16])).count(), 1);
}

#[test]
fn a_dossier_written_today_can_be_read_for_ever() {
    let written = include_str!("../../tests/golden/dossier.json");
    let dossier: Dossier = serde_json::from_str(written).expect("readable");
    assert_eq!(may_go_to_production(&dossier), Ok(()));
    assert_eq!(dossier.shown(Stage::Access).map(|shown| shown.state), Some(State::Applied));
    assert_eq!(dossier.test.as_ref().map(|test| test.dxpid.as_str()), Some("DXPTEST000000001"));
    let bare: Dossier = serde_json::from_str("{\"version\":1}").expect("fields have defaults");
    assert_eq!(bare, Dossier::default());
}

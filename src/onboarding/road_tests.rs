//! The checklist at each place of the road.

use jiff::civil::date;

use super::super::dossier::{FiledReport, Shown};
use super::super::materials::Filed;
use super::*;
use crate::connectivity::run::CaseState;

fn standings(dossier: &Dossier, today: Date) -> Vec<(&'static str, Standing)> {
    of(dossier, today).steps.into_iter().map(|step| (step.code, step.standing)).collect()
}

/// The one step that the enterprise can take, or that it waits for.
fn current(dossier: &Dossier, today: Date) -> (&'static str, Standing) {
    let open = standings(dossier, today).into_iter().find(|(_, standing)| *standing != Standing::Done);
    open.expect("the road is not over")
}

fn file(dossier: &mut Dossier, material: Material) {
    let filed = Filed {
        material,
        file: "a.pdf".to_owned(),
        sha256: "00".repeat(32),
        bytes: 1,
        on: date(2026, 11, 2),
        findings: Vec::new(),
    };
    dossier.materials.insert(material, filed);
}

fn show(dossier: &mut Dossier, stage: Stage, states: &[State], on: Date) {
    for state in states {
        dossier.advance(stage, Shown { state: *state, on, note: None }, date(2026, 12, 31)).expect("recorded");
    }
}

fn complete_profile(dossier: &mut Dossier) {
    for field in dossier.profile.missing() {
        let value = match field {
            Field::CustomsCode => "1301960001",
            Field::CreditCode => "91350100M000100Y43",
            Field::BusinessPhone | Field::TechnicalPhone => "13800000000",
            _ => "张三",
        };
        dossier.profile.set(field, value).expect("good");
    }
}

#[test]
fn each_step_opens_the_next_one_until_production() {
    let mut dossier = Dossier::default();
    let today = date(2026, 11, 27);
    assert_eq!(current(&dossier, today), ("profile", Standing::Next));
    let road = of(&dossier, today);
    assert!(road.steps[0].details.iter().any(|detail| detail.zh == "缺少海关十位编码（customs-code）"));
    assert_eq!(road.steps.iter().filter(|step| step.standing == Standing::Next).count(), 1, "{road:?}");
    assert!(!road.is_open());
    complete_profile(&mut dossier);
    assert_eq!(current(&dossier, today), ("materials", Standing::Next));
    file(&mut dossier, Material::Authorization);
    file(&mut dossier, Material::Identity);
    assert_eq!(current(&dossier, today), ("opening", Standing::Next));
    show(&mut dossier, Stage::Opening, &[State::Applied], today);
    assert_eq!(current(&dossier, date(2026, 12, 2)), ("opening", Standing::Waiting));
    assert_eq!(current(&dossier, date(2026, 12, 3)), ("opening", Standing::Overdue));
    show(&mut dossier, Stage::Opening, &[State::Passed], today);
    assert_eq!(current(&dossier, today), ("commitment", Standing::Next));
    file(&mut dossier, Material::Commitment);
    assert_eq!(current(&dossier, today), ("test-application", Standing::Next));
    show(&mut dossier, Stage::Test, &[State::Applied, State::Unassigned], today);
    assert_eq!(current(&dossier, today), ("test-account", Standing::Waiting));
    dossier.lend("DXPTEST000000001", today, None).expect("lent");
    assert_eq!(current(&dossier, today), ("run", Standing::Next));
    assert_eq!(current(&dossier, date(2026, 12, 4)), ("test-account", Standing::Overdue), "the window closed");
    let run = super::super::specimens::run(1, &[CaseState::Passed]);
    dossier.file_run(&run, today);
    assert_eq!(current(&dossier, date(2026, 12, 30)), ("report", Standing::Next));
    dossier.file_report(FiledReport { run: run.id, file: "r.pdf".into(), sha256: String::new(), on: today });
    assert_eq!(current(&dossier, today), ("stamped-report", Standing::Next));
    file(&mut dossier, Material::StampedReport);
    show(&mut dossier, Stage::Report, &[State::Applied, State::Passed], today);
    show(&mut dossier, Stage::Access, &[State::Applied], today);
    let waits = of(&dossier, today);
    let access = waits.steps.iter().find(|step| step.code == "access").expect("there");
    assert_eq!((access.standing, access.due), (Standing::Waiting, Some(date(2026, 12, 8))));
    show(&mut dossier, Stage::Access, &[State::Passed], today);
    assert_eq!(current(&dossier, today), ("dxpid", Standing::Next));
    dossier.issue("DXPENT0000012345", today).expect("issued");
    assert!(of(&dossier, today).is_open());
}

#[test]
fn what_was_sent_back_is_next_again_and_a_bad_file_is_missing() {
    let mut dossier = Dossier::default();
    complete_profile(&mut dossier);
    file(&mut dossier, Material::Authorization);
    file(&mut dossier, Material::Identity);
    show(&mut dossier, Stage::Opening, &[State::Applied, State::Returned], date(2026, 11, 27));
    assert_eq!(current(&dossier, date(2026, 12, 30)), ("opening", Standing::Next));
    let filed = dossier.materials.get_mut(&Material::Identity).expect("filed");
    filed.findings = Material::Identity.judge("i.jpg", crate::declaration::form::Content::Unreadable("gone".into()));
    assert_eq!(current(&dossier, date(2026, 11, 27)), ("materials", Standing::Next));
}

#[test]
fn the_hotlines_are_those_of_the_documents_unless_another_centre_answers() {
    let mut dossier = Dossier::default();
    let phones = |dossier: &Dossier| hotlines(dossier).into_iter().map(|line| line.phone).collect::<Vec<_>>();
    assert_eq!(phones(&dossier), ["0311-66709979", "0311-86950230", "12360"]);
    dossier.profile.set(Field::DataCentre, "杭州海关数据分中心").expect("good");
    assert_eq!(phones(&dossier), ["—", "12360"]);
    dossier.profile.set(Field::DataCentrePhone, "0571-12345").expect("good");
    assert_eq!(phones(&dossier), ["0571-12345", "12360"]);
}

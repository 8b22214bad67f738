use super::*;

fn id(number: u8) -> Id {
    Id::derived(at(i64::from(number)), &[number; 10])
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn certificate(fingerprint: &str, usage: CertUsage) -> AskedCertificate {
    let (issuer, serial) = ("CN=acme".to_owned(), "1".to_owned());
    AskedCertificate { fingerprint: fingerprint.to_owned(), usages: vec![usage], respond_by: None, issuer, serial }
}

fn asked(direction: Direction, fingerprints: &[&str]) -> ExchangeStep {
    let one = |one: &&str| certificate(one, CertUsage::DigitalSignature);
    asked_for(direction, fingerprints.iter().map(one).collect())
}

fn asked_for(direction: Direction, certificates: Vec<AskedCertificate>) -> ExchangeStep {
    ExchangeStep::Asked { partner: "acme".to_owned(), direction, request_id: "r".to_owned(), certificates }
}

fn said(fingerprint: &str, accepted: bool) -> ExchangeStep {
    let words = vec![Word { fingerprint: fingerprint.to_owned(), accepted, reason: None }];
    ExchangeStep::Answered { answer: id(200), words }
}

/// The sum of these steps, each of the exchange with that number.
fn sum(steps: &[(u8, ExchangeStep)]) -> Exchanges {
    let mut exchanges = Exchanges::default();
    for (place, (number, step)) in steps.iter().enumerate() {
        let sequence = u64::try_from(place).unwrap();
        let change = step.change(id(*number), Change { who: "ann".to_owned(), ..Change::default() });
        exchanges.follow(&Entry { sequence, part: 0, at: at(1000), change });
    }
    exchanges
}

fn all(exchanges: &Exchanges) -> Vec<&CertificateExchange> {
    exchanges.0.values().flatten().collect()
}

#[test]
fn a_request_of_a_partner_is_open_until_it_is_answered_and_answered_once() {
    let steps = [(1, asked(Direction::Inbound, &["aa"])), (1, said("aa", false)), (1, said("aa", true))];
    assert!(all(&sum(&steps[..1]))[0].is_open());
    let answered = sum(&steps);
    let exchange = all(&answered)[0];
    assert!(!exchange.is_open());
    assert!(!exchange.word("aa").unwrap().accepted, "the first word stands");
    assert_eq!(exchange.answer.as_ref().map(|answer| answer.by.as_str()), Some("ann"));
}

#[test]
fn a_partner_may_answer_in_parts_and_its_last_word_counts() {
    let steps = [
        (1, asked(Direction::Outbound, &["aa", "bb"])),
        (1, said("aa", true)),
        (1, said("bb", false)),
        (1, said("aa", false)),
        (1, said("aa", true)),
    ];
    assert!(all(&sum(&steps[..2]))[0].is_open());
    assert_eq!(sum(&steps[..2]).awaited("acme"), ["bb"]);
    assert!(!all(&sum(&steps[..3]))[0].is_open());
    assert_eq!(sum(&steps[..4]).awaited("acme"), ["aa", "bb"], "it takes its word back");
    assert_eq!(sum(&steps).awaited("acme"), ["bb"]);
}

#[test]
fn an_answer_about_something_else_changes_nothing() {
    let asked = asked(Direction::Outbound, &["aa"]);
    for steps in [[(1, asked.clone()), (1, said("bb", true))], [(1, asked.clone()), (2, said("aa", true))]] {
        assert!(all(&sum(&steps))[0].is_open());
    }
}

#[test]
fn a_later_request_for_the_same_certificates_takes_the_place_of_an_open_one() {
    let steps = [
        (1, asked(Direction::Inbound, &["aa"])),
        (2, asked(Direction::Inbound, &["aa", "bb"])),
        (3, asked(Direction::Inbound, &["aa"])),
        (4, asked(Direction::Outbound, &["aa", "bb"])),
    ];
    let sum = sum(&steps);
    let superseded: Vec<Option<Id>> = all(&sum).iter().map(|exchange| exchange.superseded_by).collect();
    assert_eq!(superseded, [Some(id(2)), None, None, None]);
}

#[test]
fn a_key_waits_for_the_partners_word_and_for_no_other() {
    let ours = |fingerprint| asked(Direction::Outbound, &[fingerprint]);
    let awaited = |steps: &[(u8, ExchangeStep)]| sum(steps).awaited("acme");
    assert_eq!(awaited(&[(1, ours("aa"))]), ["aa"]);
    assert!(awaited(&[(1, asked(Direction::Inbound, &["aa"]))]).is_empty(), "the partner's own");
    assert!(sum(&[(1, ours("aa"))]).awaited("other").is_empty());
    assert_eq!(awaited(&[(1, ours("aa")), (1, said("aa", false))]), ["aa"], "refused is not accepted");
    assert!(awaited(&[(1, ours("aa")), (1, said("aa", true))]).is_empty());
    let again = [(1, ours("aa")), (1, said("aa", false)), (2, ours("aa")), (2, said("aa", true))];
    assert!(awaited(&again).is_empty(), "accepted when it was asked for again");
    let accepted_before = [(1, ours("aa")), (1, said("aa", true)), (2, ours("aa"))];
    assert!(awaited(&accepted_before).is_empty(), "once accepted, asking again takes nothing back");
    let encrypting = || asked_for(Direction::Outbound, vec![certificate("aa", CertUsage::KeyEncipherment)]);
    assert!(awaited(&[(1, encrypting())]).is_empty(), "it signs nothing");
    let accepted_otherwise = [(1, ours("aa")), (1, said("aa", false)), (2, encrypting()), (2, said("aa", true))];
    assert_eq!(awaited(&accepted_otherwise), ["aa"], "accepted to be encrypted to, it does not sign");
    let refused_otherwise = [(1, ours("aa")), (1, said("aa", true)), (2, encrypting()), (2, said("aa", false))];
    assert!(awaited(&refused_otherwise).is_empty());
}

#[test]
fn a_request_for_another_use_takes_no_ones_place() {
    let asked = |usages: &[CertUsage]| {
        asked_for(Direction::Inbound, usages.iter().map(|usage| certificate("aa", *usage)).collect())
    };
    let (signing, encrypting) = (CertUsage::DigitalSignature, CertUsage::KeyEncipherment);
    let steps = [(1, asked(&[signing])), (2, asked(&[encrypting])), (3, asked(&[encrypting, signing]))];
    let superseded = |steps: &[(u8, ExchangeStep)]| -> Vec<Option<Id>> {
        all(&sum(steps)).iter().map(|exchange| exchange.superseded_by).collect()
    };
    assert_eq!(superseded(&steps[..2]), [None, None]);
    assert_eq!(superseded(&steps), [Some(id(3)), Some(id(3)), None]);
}

#[test]
fn the_view_is_bounded_and_passes_over_what_it_cannot_read() {
    let steps: Vec<(u8, ExchangeStep)> =
        (1..101).map(|number| (number, asked(Direction::Inbound, &[&format!("{number:02x}")]))).collect();
    let steps = [vec![(0, asked(Direction::Outbound, &["ours"]))], steps].concat();
    let sum = sum(&steps);
    let kept: Vec<Id> = all(&sum).iter().map(|exchange| exchange.id).collect();
    assert_eq!((kept.len(), kept[0], kept[1]), (KEPT + 1, id(0), id(37)), "a partner's requests do not push out ours");
    let mut none = Exchanges::default();
    let newer = serde_json::json!({"step": "postponed", "until": "never"});
    let change = Change { on: format!("{ON}{}", id(1)), after: Some(newer), ..Change::default() };
    none.follow(&Entry { sequence: 0, part: 0, at: at(0), change });
    assert!(all(&none).is_empty());
}

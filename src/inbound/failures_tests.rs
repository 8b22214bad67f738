use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::ground::clock::ManualClock;

const LIMITS: FailureLimits = FailureLimits { per_ip: 3, per_partner: 5 };

fn rule(limits: FailureLimits) -> (Arc<Failures>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).unwrap()));
    (Arc::new(Failures::new(limits, clock.clone())), clock)
}

fn from(address: &str) -> Origin {
    let address: IpAddr = address.parse().unwrap();
    Origin::new(SocketAddr::new(address, 50_000), Some(address), false)
}

async fn fail(failures: &Arc<Failures>, partner: &str, address: &str) {
    failures.enter(partner, from(address)).await.unwrap().failed();
}

async fn prove(failures: &Arc<Failures>, partner: &str, address: &str) {
    failures.enter(partner, from(address)).await.unwrap().accepted(true);
}

fn refused(failures: &Arc<Failures>, partner: &str, address: &str) -> Option<(&'static str, u64)> {
    failures.refusal(partner, &from(address)).map(|refusal| (refusal.limit, refusal.seconds))
}

fn pass(clock: &ManualClock, seconds: i64) {
    clock.set(clock.now().checked_add(SignedDuration::from_secs(seconds)).unwrap());
}

#[tokio::test]
async fn an_address_that_failed_too_often_waits_until_the_hour_of_its_first_failure_is_over() {
    let (failures, clock) = rule(LIMITS);
    for _ in 0..3 {
        assert_eq!(refused(&failures, "p", "198.51.100.1"), None);
        fail(&failures, "p", "198.51.100.1").await;
        pass(&clock, 100);
    }
    assert_eq!(refused(&failures, "p", "198.51.100.1"), Some(("ip", 3300)));
    assert_eq!(refused(&failures, "q", "::ffff:198.51.100.1"), Some(("ip", 3300)), "whoever it claims to be");
    assert_eq!(refused(&failures, "p", "198.51.100.2"), None);
    let entered = failures.enter("p", from("198.51.100.1")).await;
    assert_eq!(entered.unwrap_err(), TooMany { limit: "ip", seconds: 3300 });
    pass(&clock, 3299);
    assert_eq!(refused(&failures, "p", "198.51.100.1"), Some(("ip", 1)));
    pass(&clock, 1);
    assert_eq!(refused(&failures, "p", "198.51.100.1"), None);
    fail(&failures, "p", "198.51.100.1").await;
    assert_eq!(refused(&failures, "p", "198.51.100.1"), Some(("ip", 100)), "the second one's hour is not over");
    let counted = failures.figures().get_or_create(&LimitLabels { limit: "ip" }).get();
    assert_eq!(counted, 5);
}

#[tokio::test]
async fn a_subscriber_of_ipv6_is_one_address() {
    let (failures, _) = rule(LIMITS);
    for host in 1..=3 {
        fail(&failures, "p", &format!("2001:db8:0:7::{host}")).await;
    }
    assert!(refused(&failures, "p", "2001:db8:0:7:ffff::1").is_some());
    assert_eq!(refused(&failures, "p", "2001:db8:0:8::1"), None);
}

#[tokio::test]
async fn failures_in_a_partners_name_keep_out_strangers_and_neither_it_nor_others() {
    let (failures, clock) = rule(LIMITS);
    prove(&failures, "p", "203.0.113.1").await;
    for host in 1..=5 {
        fail(&failures, "p", &format!("198.51.100.{host}")).await;
    }
    assert_eq!(failures.pressed(), ["p"]);
    assert_eq!(refused(&failures, "p", "198.51.100.9"), Some(("partner", 3600)));
    assert_eq!(refused(&failures, "p", "203.0.113.1"), None, "it is at home there");
    assert_eq!(refused(&failures, "q", "198.51.100.9"), None, "another partner");
    let shown = Origin { shown: true, ..from("198.51.100.9") };
    assert_eq!(failures.refusal("p", &shown), None, "its certificate was shown");
    let unknown = Origin::new("127.0.0.1:1".parse().unwrap(), None, false);
    assert_eq!(failures.refusal("p", &unknown), None, "who cannot be told apart");
    failures.at_home("p", shown.address);
    assert_eq!(refused(&failures, "p", "198.51.100.9"), None, "and is at home there from then on");
    pass(&clock, 3600);
    assert_eq!(failures.pressed(), Vec::<String>::new());
    assert_eq!(refused(&failures, "p", "198.51.100.10"), None);
}

#[tokio::test]
async fn where_a_partner_is_at_home_its_own_failures_are_told_and_keep_out_others_only() {
    let (failures, _) = rule(LIMITS);
    prove(&failures, "p", "203.0.113.1").await;
    for _ in 0..9 {
        fail(&failures, "p", "203.0.113.1").await;
    }
    assert_eq!(failures.pressed(), ["p"]);
    assert_eq!(refused(&failures, "p", "203.0.113.1"), None, "its new key may be in its next message");
    assert_eq!(refused(&failures, "q", "203.0.113.1"), Some(("ip", 3600)));
}

#[tokio::test(start_paused = true)]
async fn who_could_be_one_too_many_waits_for_the_outcome_of_the_others() {
    let (failures, _) = rule(LIMITS);
    let enter = || failures.enter("p", from("198.51.100.1"));
    let mut open = vec![enter().await.unwrap(), enter().await.unwrap(), enter().await.unwrap()];
    assert_eq!(refused(&failures, "p", "198.51.100.1"), None, "nothing has failed yet");
    let mut fourth = Box::pin(enter());
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut fourth).await.is_err(), "it waits");
    // One opened: there is a place.
    drop(open.pop());
    open.push(fourth.await.unwrap());
    let waiting: Vec<_> = (0..4).map(|_| Box::pin(enter())).collect();
    open.into_iter().for_each(Admission::failed);
    for waiter in waiting {
        assert_eq!(waiter.await.unwrap_err(), TooMany { limit: "ip", seconds: 3600 });
    }
    assert!(failures.tables().counts.values().all(|count| count.open == 0));
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_and_who_is_at_home_not_at_all() {
    let (failures, _) = rule(LIMITS);
    let enter = || failures.enter("p", from("198.51.100.1"));
    let _open = [enter().await.unwrap(), enter().await.unwrap(), enter().await.unwrap()];
    assert_eq!(enter().await.unwrap_err().seconds, AFTER_WAITING);
    prove_at(&failures, "198.51.100.1");
    assert!(enter().await.is_ok());
}

fn prove_at(failures: &Arc<Failures>, address: &str) {
    failures.at_home("p", from(address).address);
}

async fn keep(failures: &Arc<Failures>, host: usize) -> Result<Admission, TooMany> {
    let mut admission = failures.enter_kept("p", from(&format!("198.51.100.{host}"))).await?;
    admission.taken();
    Ok(admission)
}

#[tokio::test]
async fn what_is_kept_of_strangers_before_it_is_opened_counts_once_unless_it_turns_out_to_be_new() {
    let (failures, clock) = rule(LIMITS);
    for host in 0..20 {
        keep(&failures, host).await.unwrap().accepted(false);
        drop(failures.enter_kept("p", from(&format!("198.51.100.{host}"))).await.unwrap());
    }
    assert!(failures.tables().counts.is_empty(), "what is new is no burden, and what could not be kept is none either");
    keep(&failures, 1).await.unwrap().failed();
    for host in 2..=5 {
        drop(keep(&failures, host).await.unwrap());
    }
    assert_eq!(keep(&failures, 9).await.unwrap_err(), TooMany { limit: "kept", seconds: 3600 });
    assert!(!failures.keep("p", Whose::Strangers) && !failures.keep("p", Whose::SignedElsewhere));
    assert!(failures.enter("p", from("198.51.100.9")).await.is_ok(), "it may be answered at once");
    assert!(failures.enter_kept("q", from("198.51.100.9")).await.is_ok(), "another partner");
    prove(&failures, "p", "203.0.113.1").await;
    let own = failures.enter_kept("p", from("203.0.113.1")).await;
    own.unwrap().taken();
    assert_eq!(failures.pressed(), Vec::<String>::new(), "one failure is none too many");
    pass(&clock, 3600);
    assert!(keep(&failures, 9).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_place_among_what_is_kept_is_waited_for_while_its_outcome_is_open() {
    let (failures, _) = rule(FailureLimits { per_ip: 0, per_partner: 2 });
    assert!(failures.keep("p", Whose::Strangers));
    let mut open = keep(&failures, 1).await.unwrap();
    assert!(!failures.keep("p", Whose::Strangers), "there is no place");
    let mut second = Box::pin(keep(&failures, 2));
    assert!(tokio::time::timeout(Duration::from_secs(1), &mut second).await.is_err(), "it waits");
    open.accepted(false);
    drop(open);
    drop(second.await.unwrap());
    assert_eq!(keep(&failures, 3).await.unwrap_err().limit, "kept", "both places are taken");
}

#[tokio::test]
async fn what_could_not_be_judged_for_a_reason_of_our_own_leaves_its_place_to_others() {
    let (failures, _) = rule(LIMITS);
    for host in 0..20 {
        keep(&failures, host).await.unwrap().undecided();
    }
    assert!(failures.tables().counts.is_empty(), "nothing counts of it, and no place is held");
}

async fn whose_signed(failures: &Arc<Failures>, address: &str) -> Whose {
    let admission = failures.enter("p", from(address)).await.unwrap();
    Admission::whose(Some(&admission)).and_signed()
}

#[tokio::test]
async fn what_the_partner_signed_and_sends_from_elsewhere_is_kept_as_often_as_what_strangers_send() {
    let (failures, clock) = rule(LIMITS);
    prove(&failures, "p", "203.0.113.1").await;
    assert_eq!(whose_signed(&failures, "198.51.100.1").await, Whose::SignedElsewhere);
    assert_eq!(whose_signed(&failures, "203.0.113.1").await, Whose::Partners);
    assert_eq!(Admission::whose(None).and_signed(), Whose::Partners, "what was taken before");
    let kept = (0..9).filter(|_| failures.keep("p", Whose::SignedElsewhere)).count();
    assert_eq!((kept, failures.keep("p", Whose::Strangers), failures.keep("p", Whose::Partners)), (5, false, true));
    pass(&clock, 3600);
    assert!(failures.keep("p", Whose::SignedElsewhere));
}

#[tokio::test]
async fn an_accepted_message_makes_a_home_only_where_it_shows_one() {
    let (failures, _) = rule(LIMITS);
    let shown = Origin { shown: true, ..from("198.51.100.2") };
    let untold = Origin::new("127.0.0.1:1".parse().unwrap(), None, false);
    for (origin, fresh, shows) in [
        (from("198.51.100.1"), false, false),
        (from("198.51.100.1"), true, true),
        (shown, false, true),
        (untold, true, false),
    ] {
        let mut admission = failures.enter("p", origin.clone()).await.unwrap();
        assert_eq!(admission.shows_home(fresh), shows, "{origin:?}");
        admission.accepted(false);
    }
    assert!(failures.tables().homes.is_empty());
    prove(&failures, "p", "198.51.100.1").await;
    assert_eq!(failures.tables().homes["p"], ["198.51.100.1".parse::<IpAddr>().unwrap()]);
}

#[tokio::test]
async fn the_table_is_bounded_and_a_flood_of_addresses_does_not_hide_a_partners_count() {
    let (failures, clock) = rule(FailureLimits { per_ip: 3, per_partner: 5 });
    prove(&failures, "p", "203.0.113.1").await;
    for number in 0..2 * COUNTS {
        let address = IpAddr::from(((0x2001_0db8_u128 << 96) | (number as u128) << 64).to_be_bytes());
        let origin = Origin { address: Some(address), shown: true, remote: String::new() };
        failures.enter("p", origin).await.unwrap().failed();
    }
    let count = failures.tables().counts.len();
    assert!(count <= COUNTS, "{count}");
    assert_eq!(failures.pressed(), ["p"]);
    pass(&clock, 3600);
    fail(&failures, "p", "198.51.100.1").await;
    assert_eq!(failures.tables().counts.len(), 2, "what is over gives way first");
}

#[tokio::test]
async fn a_partner_has_so_many_homes_and_keeps_the_latest() {
    let (failures, _) = rule(LIMITS);
    for host in 0..=HOMES {
        prove(&failures, "p", &format!("203.0.113.{host}")).await;
        prove(&failures, "p", "203.0.113.200").await;
    }
    let homes = failures.tables().homes["p"].clone();
    assert_eq!(homes.len(), HOMES);
    assert!(homes.contains(&"203.0.113.200".parse().unwrap()) && !homes.contains(&"203.0.113.1".parse().unwrap()));
}

#[tokio::test]
async fn a_clock_that_is_set_back_keeps_nobody_out_and_zero_is_no_limit() {
    let (failures, clock) = rule(LIMITS);
    for _ in 0..3 {
        fail(&failures, "p", "198.51.100.1").await;
    }
    pass(&clock, -86_400);
    assert_eq!(refused(&failures, "p", "198.51.100.1"), None);
    let (failures, _) = rule(FailureLimits { per_ip: 0, per_partner: 0 });
    for _ in 0..50 {
        fail(&failures, "p", "198.51.100.1").await;
    }
    assert_eq!((refused(&failures, "p", "198.51.100.1"), failures.pressed()), (None, Vec::new()));
    assert!(failures.tables().counts.is_empty());
}

#[test]
fn the_address_in_evidence_is_read_back() {
    let peer = |text: &str| text.parse::<SocketAddr>().unwrap();
    let client = |text: &str| Some(text.parse::<IpAddr>().unwrap());
    let origins = [
        (Origin::new(peer("203.0.113.1:5000"), client("203.0.113.1"), false), "203.0.113.1:5000"),
        (Origin::new(peer("[::ffff:203.0.113.1]:5000"), client("203.0.113.1"), false), "[::ffff:203.0.113.1]:5000"),
        (Origin::new(peer("127.0.0.1:80"), client("2001:db8::7"), false), "2001:db8::7 via 127.0.0.1:80"),
        (Origin::new(peer("127.0.0.1:80"), None, false), "127.0.0.1:80"),
    ];
    for (origin, remote) in origins {
        assert_eq!((origin.remote.as_str(), Origin::read(&origin.remote)), (remote, origin.address));
    }
    assert_eq!(Origin::read("https://example.com/as2"), None);
}

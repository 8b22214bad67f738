//! What is found for a partner holds exactly as long as its file says the same.

use std::path::PathBuf;

use super::*;
use crate::http::{SendBody, Timeouts};
use crate::keys::{CertificateSet, CertificateUses, PartnerCertificate, Window};
use crate::outbound::specimens::{Home, PARTNER, URL, customs, now};
use crate::partner::{Accept, Delivery, HttpAccess, Waived, Waiver, Waivers};

fn credentials(road: &Road) -> &str {
    road.credentials.as_ref().unwrap().expose()
}

#[test]
fn a_changed_partner_file_or_secret_is_in_force_for_the_next_message_and_what_it_replaces_is_forgotten() {
    let home = Home::new();
    let file = |more: &str| format!("{PARTNER}[http]\ntoken_file = \"keys/token\"\n{more}");
    home.write("keys/token", b"first\n");
    home.write("partners/customs.toml", file("").as_bytes());
    let config = home.load();
    let clients = Clients::default();

    let partner = customs(&config.partners);
    let first = clients.road(&partner, URL, now()).unwrap();
    assert_eq!(credentials(&first), "Bearer first");
    assert!(Arc::ptr_eq(&first, &clients.road(&partner, URL, now()).unwrap()), "it is found once");

    home.write("keys/token", b"second\n");
    let read = home.reload(&config, &config.partners);
    let second = clients.road(&customs(&read), URL, now()).unwrap();
    assert_eq!(credentials(&second), "Bearer second");
    let replaced = Arc::downgrade(&first);
    drop(first);
    assert!(replaced.upgrade().is_none());

    home.write("partners/customs.toml", file("chunked = true\n").as_bytes());
    let read = home.reload(&config, &read);
    let third = clients.road(&customs(&read), URL, now()).unwrap();
    assert!(third.route.settings().chunked && !second.route.settings().chunked);

    clients.forget(&read);
    assert!(Arc::ptr_eq(&third, &clients.road(&customs(&read), URL, now()).unwrap()), "it is as the file says");
    clients.forget(&config.partners);
    assert!(clients.lock().is_empty(), "the partner is another one there");
}

/// A partner whose pins and waiver begin and end, and when they do.
fn with_edges(partner: &Partner) -> (Arc<Partner>, [Timestamp; 5]) {
    let at = |day: i64| now() + SignedDuration::from_hours(24 * day);
    let pin = |from: i64, until: i64| PartnerCertificate {
        certificate: partner.certificates.certificates()[0].certificate.clone(),
        uses: CertificateUses { verify: false, encrypt: false, tls: true, client: false },
        window: Window { from: at(from), until: at(until) },
        file: PathBuf::new(),
        revoked: false,
    };
    let waiver = Waiver { algorithm: Waived::OldTls, until: at(4), reason: "until their upgrade".to_owned() };
    let changed = Partner {
        certificates: CertificateSet::new(vec![pin(1, 3), pin(2, 5)]),
        waivers: Waivers(vec![waiver]),
        http: HttpAccess { old_tls: true, ..partner.http.clone() },
        ..partner.clone()
    };
    (Arc::new(changed), [1, 2, 3, 4, 5].map(at))
}

#[test]
fn at_each_edge_of_a_pins_window_or_a_waiver_the_next_message_goes_as_the_file_says_then() {
    let (partner, edges) = with_edges(&customs(&Home::new().load().partners));
    let clients = Clients::default();
    let moment = SignedDuration::from_nanos(1);
    let instants: Vec<Timestamp> = edges.iter().flat_map(|edge| [*edge - moment, *edge, *edge + moment]).collect();
    // Backwards as well: a clock may be set.
    for now in instants.iter().chain(instants.iter().rev()) {
        let road = clients.road(&partner, URL, *now).unwrap();
        let wanted = client_settings(&partner, URL, *now).unwrap();
        assert_eq!(format!("{:?}", road.route.settings()), format!("{wanted:?}"), "{now}");
    }
    let pins = |now: Timestamp| match &clients.road(&partner, URL, now).unwrap().route.settings().trust {
        Trust::Pinned(pinned) => pinned.len(),
        Trust::System => panic!("the system's CAs do not step in"),
    };
    let [first, second, third, _, last] = edges;
    assert_eq!(
        [first - moment, first, second, third, third + moment, last, last + moment].map(pins),
        [0, 1, 2, 2, 1, 1, 0]
    );
    let road = clients.road(&partner, URL, first).unwrap();
    assert!(Arc::ptr_eq(&road, &clients.road(&partner, URL, second - moment).unwrap()), "nothing changes between");
}

#[test]
fn urls_for_mdns_that_differ_with_each_message_do_not_pile_up() {
    let partner = customs(&Home::new().load().partners);
    let clients = Clients::default();
    for number in 0..100 {
        clients.road(&partner, &format!("{URL}?id={number}"), now()).unwrap();
    }
    assert_eq!(clients.lock().values().map(Vec::len).sum::<usize>(), ROADS);
}

/// A partner with this URL and this one for its MDNs, outside.
fn outside(url: &str, mdns: &str) -> Arc<Partner> {
    let partner = customs(&Home::new().load().partners);
    Arc::new(Partner {
        url: PartnerUrl::parse(url).unwrap(),
        delivery: Delivery { private_network: false, ..partner.delivery.clone() },
        accept: Accept { async_mdn_urls: vec![PartnerUrl::parse(mdns).unwrap()], ..partner.accept.clone() },
        ..Partner::clone(&partner)
    })
}

async fn failure(partner: &Arc<Partner>, url: &str) -> PostErrorKind {
    match Clients::default().road(partner, url, now()) {
        Ok(road) => road.route.post(&[], SendBody::empty(), Timeouts::default()).await.unwrap_err().kind,
        Err(error) => error.kind,
    }
}

#[tokio::test]
async fn a_partner_is_reached_at_any_port_that_its_file_names_and_its_address_is_judged_all_the_same() {
    let (own, listed) = ("https://no-such-host.invalid:444/as2", "https://no-such-host.invalid:26/mdn");
    let partner = outside(own, listed);
    for url in [own, listed, "https://no-such-host.invalid:26/named-in-a-message"] {
        assert_eq!(failure(&partner, url).await, PostErrorKind::Resolve, "{url}");
    }
    let elsewhere = "https://no-such-host.invalid:25/named-in-a-message";
    assert_eq!(failure(&partner, elsewhere).await, PostErrorKind::Forbidden);
    let inside = "http://127.0.0.1:444/as2";
    assert_eq!(failure(&outside(inside, listed), inside).await, PostErrorKind::Forbidden);
}

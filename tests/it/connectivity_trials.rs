//! Cases of the connectivity test whose messages are retried, outlast their case, or are answered another way than asked.

use serde_json::Value;

use crate::connectivity::{Desk, HEAD, case, json};
use crate::support::correspondent::{Kind, acknowledge};
use crate::support::gateway::run;
use crate::support::home::{Home, PartnerFile, Station, names};
use crate::support::keys;
use crate::support::scripted::{Scripted, answer};

const RETRY: &str = "retry = [\"1s\"]\ngive_up_after = \"1h\"\njitter = 0.0";

/// What a run of these cases against this peer says.
fn tried(peer: &Scripted, delivery: &str, cases: &str) -> Value {
    let more = "[environment]\nname = \"test\"\n";
    let home = Home::of(&Station { as2_name: "ours", party: keys::ours(), more });
    home.partner("theirs", &PartnerFile { url: peer.url(), delivery, ..PartnerFile::default() });
    let (desk, head) = (Desk::new(), HEAD.replace("customs", "theirs"));
    let plan = desk.file("plan.toml", &format!("name = 'own'\nwait = '5s'\n{head}{cases}"));
    let config = home.config().display().to_string();
    json(&run(&["connectivity", "run", &plan, "--config", &config, "--format", "json"]))
}

fn interface(id: &str) -> String {
    format!("[[case]]\nid = '{id}'\nkind = 'interface'\ncheck = '{id}'\n")
}

#[test]
fn a_message_whose_attempt_outlasts_its_case_ends_with_it() {
    let desk = Desk::new();
    let plan = desk.file("plan.toml", &format!("name = 'slow'\nwait = '3s'\n{HEAD}{}", interface("sync-mdn")));
    let scenario = desk.file("scenario.toml", "receipts = 'none'\n[[fault]]\nfault = 'late'\ndelay = '8s'\n");
    let homes = desk.path("homes").display().to_string();
    let words = ["connectivity", "rehearse", &plan, "--scenario", &scenario, "--dir", &homes, "--format", "json"];
    let said = json(&run(&words));
    assert_eq!(case(&said, "sync-mdn")["failure"]["code"], "timeout", "{said:#}");
    // The gateway has waited for what was on its way, so the answer has come by now.
    let exchange = desk.path("homes/enterprise/exchange/customs");
    let there = |folder: &str| names(&exchange.join(folder)).iter().any(|name| name.ends_with("-sync-mdn.xml"));
    assert_eq!((there("sent"), there("failed")), (false, true));
}

#[test]
fn what_is_signed_with_a_foreign_key_stays_so_when_it_is_sent_again() {
    let mut first: Option<String> = None;
    // Whatever comes under another Message-ID is confirmed.
    let peer = Scripted::start(move |_, posted| {
        let id = posted.header("Message-ID").to_owned();
        let is_first = *first.get_or_insert_with(|| id.clone()) == id;
        Some(if is_first { answer(503, "", b"") } else { acknowledge(posted, Kind::default()) })
    });
    let said = tried(&peer, &format!("{RETRY}\nfresh_message_id = true"), &interface("wrong-certificate"));
    assert_eq!(case(&said, "wrong-certificate")["failure"]["code"], "http-503", "{said:#}");
    let posted = peer.posted();
    assert!(posted.len() > 1 && posted.iter().all(|one| one.body == posted[0].body), "{} times", posted.len());
}

#[test]
fn an_mdn_in_the_answer_is_no_asynchronous_one() {
    let peer = Scripted::start(|_, posted| Some(acknowledge(posted, Kind::default())));
    let said = tried(&peer, RETRY, &format!("{}{}", interface("async-mdn"), interface("sync-mdn")));
    let failure = &case(&said, "async-mdn")["failure"];
    assert_eq!((&failure["layer"], &failure["code"]), (&"mdn".into(), &"mdn-other-way".into()), "{said:#}");
    assert_eq!(case(&said, "sync-mdn")["state"], "passed", "{said:#}");
}

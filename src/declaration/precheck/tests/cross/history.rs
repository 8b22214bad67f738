//! Documents beside what was sent before, which the journal knows.

use super::*;

#[test]
fn a_document_is_compared_with_what_was_sent_before_whichever_came_first() {
    let order = orders();
    let cheap = with(&payment(&order), "amountPaid", "0.01");
    assert_eq!(after(facts_of(&order), &payment(&order)), []);
    assert_eq!(after(facts_of(&order), &cheap), said("R10", "payment-amount", ""));
    assert_eq!(after(facts_of(&cheap), &order), said("R10", "payment-amount", ""), "the order is the new one");
    let other = with(&payment(&order), "payerName", "别人");
    assert_eq!(after(facts_of(&other), &order), said("R41", "payer-not-buyer", "1327"));
    let both = [facts_of(&order), facts_of(&cheap)].concat();
    assert_eq!(after(both, &waybill(&order)), [], "earlier ones are not compared with each other again");
}

#[test]
fn of_several_documents_of_a_type_the_latest_counts() {
    let order = orders();
    let change = with(&with(&order, "appType", "2"), "consigneeAddress", "新地址");
    let change = with(&change, "appTime", "20991231235959");
    let moved = with(&waybill(&order), "consigneeAddress", "新地址");
    assert_eq!(after([facts_of(&order), facts_of(&change)].concat(), &moved), []);
    assert_eq!(after(facts_of(&order), &moved), said("R17", "consignee-differs", ""));
    let deleted = with(&change, "appType", "3");
    assert_eq!(after([facts_of(&order), facts_of(&deleted)].concat(), &waybill(&order)), []);
}

#[test]
fn r43_and_r44_know_what_was_sent_before_by_its_keys_alone() {
    let order = orders();
    let of_keys = || {
        let keys = ["orderNo", "ebpCode", "ebcCode"].map(|name| (name, value_of(&order, name)));
        Facts::of_keys("CEB311Message", keys).expect("a known type")
    };
    assert_eq!(after([of_keys()], &order), said("R43", "key-repeated", "-301010"));
    assert_eq!(after([of_keys()], &payment(&order)), [], "keys alone say nothing about amounts");
    let change = with(&order, "appType", "2");
    assert_eq!(after([of_keys()], &change), []);
    assert_eq!(after([], &change), said("R44", "change-without-original", "-301009"));
    assert_eq!(
        after([of_keys().standing(Standing::Released, Some("800"))], &change),
        said("R44", "change-after-release", "-301011")
    );
    assert_eq!(judged(&[change]), [], "one call does not know everything that was sent");
}

#[test]
fn r43_lets_what_was_only_saved_be_declared_under_its_key() {
    let declared = orders();
    let saved = with(&declared, "appStatus", "1");
    let repeated = |found| assert_eq!(found, said("R43", "key-repeated", "-301010"));
    assert_eq!(after(facts_of(&saved), &declared), []);
    assert_eq!(after(facts_of(&saved), &saved), [], "it is saved again");
    assert_eq!(judged(&[saved.clone(), declared.clone()]), []);
    repeated(after(facts_of(&declared), &saved));
    repeated(after([facts_of(&saved), facts_of(&declared)].concat(), &declared));
    let told = |xml: &str, status| {
        let facts = facts_of(xml).into_iter().map(|facts| facts.standing(Standing::InProgress, Some(status)));
        facts.collect::<Vec<_>>()
    };
    assert_eq!(after(told(&saved, "1"), &declared), []);
    assert_eq!(after(told(&declared, "1"), &declared), [], "the receipt says what became of it");
    repeated(after(told(&saved, "2"), &declared));
    let waiting = facts_of(&declared).into_iter().map(|facts| facts.standing(Standing::Waiting, None));
    let sent: Vec<Facts> = told(&saved, "1").into_iter().chain(waiting).collect();
    let found = after(sent, &with(&declared, "appType", "2"));
    assert_eq!(found.first().map(|(rule, code, _)| (&**rule, &**code)), Some(("R44", "change-before-acceptance")));
}

#[test]
fn r44_wants_an_original_that_customs_has_accepted_and_that_may_still_be_changed() {
    let order = orders();
    let change = with(&order, "appType", "2");
    let at = |standing, status| {
        let sent = facts_of(&order).into_iter().map(|facts| facts.standing(standing, status));
        let codes = after(sent, &change).into_iter().map(|(rule, code, _)| (rule, code));
        codes.collect::<Vec<_>>()
    };
    let told = |code: &str| vec![("R44".to_owned(), code.to_owned())];
    assert_eq!(at(Standing::Waiting, None), told("change-before-acceptance"));
    assert_eq!(at(Standing::InProgress, Some("2")), told("change-before-acceptance"));
    assert_eq!(at(Standing::InProgress, Some("1")), [], "what is only stored may be changed");
    assert_eq!(at(Standing::Accepted, Some("120")), []);
    assert_eq!(at(Standing::Released, Some("800")), told("change-after-release"));
    let list = lists();
    let sent = facts_of(&list).into_iter().map(|facts| facts.standing(Standing::Waiting, None));
    assert_eq!(after(sent, &with(&list, "appType", "3")), said("R44", "change-before-acceptance", "-621012"));
}

#[test]
fn r44_knows_what_was_deleted_and_r43_that_it_may_be_declared_anew() {
    let order = orders();
    let later = |kind: &str, minute: u8| {
        let guid = format!("{minute:0>36}");
        let xml = with(&with(&order, "appType", kind), "appTime", &format!("202603010{minute:03}00"));
        with(&xml, "guid", &guid)
    };
    let (new, deletion, again, change) = (later("1", 100), later("3", 110), later("1", 120), later("2", 130));
    assert_eq!(judged(&[new.clone(), deletion.clone(), again.clone(), change.clone()]), []);
    assert_eq!(
        judged(&[change.clone(), again.clone(), deletion.clone(), new.clone()]),
        [],
        "in whatever order they are named"
    );
    let gone = || [facts_of(&new), facts_of(&deletion)].concat();
    assert_eq!(after(gone(), &again), []);
    assert_eq!(after(gone(), &change), said("R44", "change-after-deletion", "-301009"));
    assert_eq!(
        judged(&[new.clone(), deletion, change.clone()]),
        [(2, "R44".to_owned(), "change-after-deletion".to_owned())]
    );
    let repeated = judged(&[new, change, again]);
    assert!(repeated.contains(&(2, "R43".to_owned(), "key-repeated".to_owned())), "{repeated:?}");
}

#[test]
fn r44_leaves_what_is_behind_a_declared_list_until_it_is_cancelled() {
    let (order, list) = (orders(), lists());
    let later = |xml: &str| with(&with(xml, "appType", "2"), "appTime", "20260301220000");
    let codes = |earlier: Vec<Facts>, new: &str| -> Vec<(String, String)> {
        let found = after(earlier, new).into_iter().filter(|(rule, ..)| rule == "R44");
        found.map(|(_, code, customs)| (code, customs)).collect()
    };
    let sent = |xml: &[&str]| -> Vec<Facts> {
        let facts = xml.iter().flat_map(|xml| facts_of(xml));
        facts.map(|facts| facts.standing(Standing::Accepted, Some("120"))).collect()
    };
    let behind = |customs: &str| vec![("change-behind-list".to_owned(), customs.to_owned())];
    let paid = with(&payment(&order), "appTime", "20260301093000");
    let carried = with(&waybill(&order), "appTime", "20260301093000");
    for (document, customs) in [(&order, "-301011"), (&paid, "-401008"), (&carried, "-504016")] {
        assert_eq!(codes(sent(&[document, &list]), &later(document)), behind(customs));
        assert_eq!(codes(sent(&[document]), &later(document)), [], "without a list");
        let files = [(**document).to_owned(), list.clone(), later(document)];
        let found: Vec<_> = judged(&files).into_iter().filter(|(_, rule, _)| rule == "R44").collect();
        assert_eq!(found, [(2, "R44".to_owned(), "change-behind-list".to_owned())], "inside one call");
    }
    let cancelled = beside("CEB623Message", "InvtCancel", &order, ORDER);
    let cancelled = with(&cancelled, "appTime", "20260301200000");
    assert_eq!(codes(sent(&[&order, &list, &cancelled]), &later(&order)), []);
    assert_eq!(codes(sent(&[&order, &with(&list, "appType", "3")]), &later(&order)), [], "the list was deleted");
    let early = with(&later(&order), "appTime", "20260101000000");
    assert!(!codes(sent(&[&order, &list]), &early).contains(&behind("-301011")[0]), "it was before the list");
}

#[test]
fn a_waybills_number_is_free_after_six_months() {
    let order = orders();
    let before = facts_of(&waybill(&order));
    assert_eq!(after(before.clone(), &waybill(&order)), said("R43", "key-repeated", "-504015"));
    let anew = with(&waybill(&order), "guid", &"0".repeat(36));
    assert_eq!(after(before.into_iter().map(Facts::with_free_waybill), &anew), []);
}

#[test]
fn documents_lead_to_others_about_the_same_thing() {
    let order = orders();
    let leads: Vec<_> = facts_of(&order)[0].leads().map(|(name, _)| name).collect();
    assert_eq!(leads, ["orderNo", "payTransactionId"]);
}

#[test]
fn one_order_number_of_two_platforms_is_two_orders() {
    let order = orders();
    let other =
        ["ebpCode", "buyerName", "consignee"].iter().fold(order.clone(), |xml, field| with(&xml, field, "另一家"));
    let other = with(&with(&other, "acturalPaid", "77.77"), "appTime", "20991231235959");
    let both = || [facts_of(&order), facts_of(&other)].concat();
    for document in [payment(&order), payment(&other), waybill(&order)] {
        assert_eq!(after(both(), &document), []);
        assert_eq!(after(facts_of(&other), &payment(&order)), [], "its own order is still to come");
    }
    let cheap = with(&payment(&order), "amountPaid", "0.01");
    assert_eq!(after(both(), &cheap), said("R10", "payment-amount", ""));
}

#[test]
fn r16_lets_a_change_correct_the_order_and_a_deletion_free_the_number() {
    let waybill = waybill(&orders());
    let accepted = |xml: &str| facts_of(xml).into_iter().map(|facts| facts.standing(Standing::Accepted, Some("120")));
    let other = |kind: &str| with(&with(&waybill, "orderNo", "another"), "appType", kind);
    let reused = |earlier: Vec<Facts>, new: &str| after(earlier, new).iter().any(|(rule, ..)| rule == "R16");
    assert!(reused(accepted(&waybill).collect(), &other("1")));
    assert!(!reused(accepted(&waybill).collect(), &other("2")));
    let corrected = accepted(&waybill).chain(accepted(&other("2")));
    assert!(!reused(corrected.clone().collect(), &other("2")));
    assert!(reused(corrected.collect(), &waybill), "it is of the other order now");
    let deleted = accepted(&waybill).chain(accepted(&with(&waybill, "appType", "3")));
    assert!(!reused(deleted.collect(), &other("1")));
}

#[test]
fn r16_goes_by_the_time_of_documents_in_whatever_order_they_are_named() {
    let waybill = waybill(&orders());
    let at = |xml: &str, hour: u8| with(xml, "appTime", &format!("20260301{hour:02}0000"));
    let (new, gone) = (at(&waybill, 10), at(&with(&waybill, "appType", "3"), 11));
    let anew = at(&with(&waybill, "orderNo", "another"), 12);
    // A deletion that was submitted with a key has the identifier of the full hour, before that of what it deletes.
    let found = after([facts_of(&gone), facts_of(&new)].concat(), &anew);
    assert!(found.iter().all(|(rule, ..)| rule != "R16"), "{found:?}");
    let found = judged(&[gone, new.clone(), anew.clone()]);
    assert!(found.iter().all(|(_, rule, _)| rule != "R16"), "{found:?}");
    let found = judged(&[anew, new]);
    assert!(found.contains(&(0, "R16".to_owned(), "waybill-reused".to_owned())), "the later one is told: {found:?}");
}

#[test]
fn what_was_deleted_or_cancelled_need_not_agree_with_what_comes_after_it() {
    let (order, list) = (orders(), lists());
    let at = |xml: &str, hour: u8| with(xml, "appTime", &format!("20260301{hour:02}0000"));
    let differs = |earlier: &[&str], new: &str| {
        let found = after(earlier.iter().flat_map(|xml| facts_of(xml)), new);
        found.into_iter().map(|(rule, ..)| rule).filter(|rule| rule != "R43" && rule != "R44").collect::<Vec<_>>()
    };
    let cheap = at(&with(&payment(&order), "amountPaid", "0.01"), 10);
    let gone = at(&with(&cheap, "appType", "3"), 11);
    let moved = at(&with(&order, "consigneeAddress", "新地址"), 12);
    assert_eq!(differs(&[&cheap], &moved), ["R10"]);
    assert_eq!(differs(&[&cheap, &gone], &moved), [] as [&str; 0], "the payment was deleted");
    let again = at(&cheap, 13);
    assert_eq!(differs(&[&cheap, &gone, &again], &at(&moved, 14)), ["R10"], "and declared anew");
    let buyer = at(&with(&list, "buyerName", "别人"), 10);
    let cancelled = at(&beside("CEB623Message", "InvtCancel", &order, ORDER), 11);
    let undone = at(&with(&cancelled, "appType", "3"), 12);
    let change = at(&with(&order, "appType", "2"), 13);
    assert!(differs(&[&buyer], &change).contains(&"R41".to_owned()));
    assert_eq!(differs(&[&buyer, &cancelled], &change), [] as [&str; 0], "the list was cancelled");
    assert!(
        differs(&[&buyer, &cancelled, &undone], &change).contains(&"R41".to_owned()),
        "its cancellation was deleted"
    );
}

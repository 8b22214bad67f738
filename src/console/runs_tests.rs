//! What the routes of the connectivity test take and pass on.

use serde_json::json;

use crate::console::rig::*;

#[tokio::test]
async fn runs_are_listed_by_pages_and_one_is_shown_with_what_follows_from_it() {
    let mut rig = rig(Fake::default());
    let first = rig.get("/api/v1/connectivity/runs?limit=2").await;
    assert_eq!((first.status, &first.json["next"]), (200, &json!(id(2))), "{}", first.text);
    let rest = rig.get(&format!("/api/v1/connectivity/runs?limit=2&before={}", id(2))).await;
    assert_eq!((rest.json["runs"].as_array().map(Vec::len), rest.json.get("next")), (Some(1), None), "{}", rest.text);
    let shown = rig.get(&format!("/api/v1/connectivity/runs/{}", id(1))).await;
    assert_eq!((&shown.json["conclusion"], &shown.json["running"]), (&json!("incomplete"), &json!(false)));
    assert_eq!((&shown.json["counts"]["pending"], &shown.json["cases"][0]["id"]), (&json!(1), &json!("tcp")));
    assert_eq!(rig.get("/api/v1/connectivity/runs?limit=0").await.status, 400);
}

#[tokio::test]
async fn a_run_is_started_by_one_plan_and_not_by_none_or_two() {
    let mut rig = rig(Fake::default());
    for body in ["{}", r#"{"plan":"a","text":"b"}"#, r#"{"plan":"a","tester":"a\nb"}"#, r#"{"plan":"a","window":1}"#] {
        assert_eq!(rig.post("/api/v1/connectivity/runs", body).await.status, 400, "{body}");
    }
    assert!(rig.asked().is_empty());
    let started = rig.post("/api/v1/connectivity/runs", r#"{"plan":"transport","tester":" 张三 ","place":""}"#).await;
    assert_eq!(started.status, 202, "{}", started.text);
    let asked = rig.asked();
    assert!(
        asked[0].contains(r#"Named("transport")"#) && asked[0].contains(r#"Some("张三"), place: None"#),
        "{asked:?}"
    );
    let resumed = rig.post(&format!("/api/v1/connectivity/runs/{}/resume", id(1)), "{}").await;
    assert_eq!(resumed.status, 202, "{}", resumed.text);
    assert!(rig.asked()[0].contains("plan: None, resume: Some("));
}

#[tokio::test]
async fn a_report_is_a_download_of_the_format_that_is_asked_for() {
    let mut rig = rig(Fake::default());
    let report = |format: &str| format!("/api/v1/connectivity/runs/{}/report{format}", id(1));
    for (asked, ending) in
        [("", ".pdf"), ("?format=docx", ".docx"), ("?format=html", ".html"), ("?format=json", ".json")]
    {
        let answered = rig.get(&report(asked)).await;
        let named = answered.headers["content-disposition"].to_str().expect("text");
        assert!(answered.status == 200 && named.starts_with("attachment") && named.ends_with(ending), "{named}");
        assert_eq!(answered.headers["content-type"], "application/octet-stream");
    }
    assert_eq!(rig.get(&report("?format=exe")).await.status, 400);
    assert_eq!(rig.get("/api/v1/connectivity/runs/none/report").await.code(), (404, "run-unknown"));
}

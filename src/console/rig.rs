//! For tests: the console over a gateway that only remembers what it was asked, with users of every role.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Method, Request as HttpRequest, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use serde_json::{Value, json};
use tower_service::Service;

use super::*;
use crate::alerting::{NewSilence, Silence, Tested};
use crate::bilingual;
use crate::console::runs::Order;
use crate::console::wire::partners::{
    CertificateWire, PartnerCheck, PartnerDetail, PartnerWire, PauseWire, StationWire,
};
use crate::console::wire::runs::{PlanWire, RunDetail};
use crate::console::wire::traffic::{FiguresWire, PrecheckWire, QueueWire};
use crate::evidence::Exported;
use crate::ground::clock::{Clock, ManualClock};
use crate::ground::drain::Shutdown;
use crate::ground::id::Id;
use crate::http::RequestBody;
use crate::report::Format;
use crate::store::alert::{Alert, Level};
use crate::store::record::{Fact, JobKind, Message, State};
use crate::store::trail::{Change, Entry, PAUSED, RESUMED, TrailFilter, TrailPage};
use crate::store::{Declared, DeclaredFilter, DeclaredPage, JournalReport, MessagePage, Raised};

pub(super) const TOKEN: &str = "0123456789abcdef0123456789abcdef";
pub(super) const PASSWORD: &str = "correct horse battery";
pub(super) const PEOPLE: [(&str, access::Role); 3] =
    [("vera", access::Role::Viewer), ("otto", access::Role::Operator), ("ada", access::Role::Admin)];

/// Remembers what it was asked.
#[derive(Default)]
pub(super) struct Fake {
    pub(super) unready: Vec<Unready>,
    pub(super) stored: Vec<Message>,
    pub(super) asked: Mutex<Vec<String>>,
    pub(super) recorded: Mutex<Vec<Change>>,
    pub(super) paused: Mutex<Option<PauseWire>>,
    /// The journal takes nothing.
    pub(super) full: std::sync::atomic::AtomicBool,
}

impl Fake {
    fn note(&self, what: String) {
        self.asked.lock().expect("sound").push(what);
    }

    /// A gateway records what it carries out with it.
    fn carry_out(&self, asked: Change) {
        self.recorded.lock().expect("sound").push(asked);
    }
}

/// Why and who.
fn by(asked: &Change) -> String {
    format!("{} {}", asked.reason.clone().unwrap_or_default(), asked.who)
}

pub(super) fn refused(status: u16, code: &str) -> Refusal {
    Refusal { status, code: code.into(), text: bilingual!("不行", "no") }
}

impl Runs for Fake {
    async fn plans(&self) -> Vec<PlanWire> {
        vec![PlanWire { name: "transport".into(), title: None, partner: None, cases: 1, problem: None }]
    }

    async fn runs(&self) -> Vec<RunDetail> {
        vec![run(3), run(2), run(1)]
    }

    async fn run(&self, id: Id) -> Option<RunDetail> {
        self.runs().await.into_iter().find(|detail| detail.run.id == id)
    }

    async fn start_run(&self, order: Order, asked: Change) -> Result<RunDetail, Refusal> {
        self.note(format!("{order:?} {}", asked.who));
        self.carry_out(Change { on: "run:1".into(), ..asked });
        Ok(run(1))
    }

    async fn run_report(&self, id: Id, format: Format) -> Result<Download, Refusal> {
        let file_name = format!("{id}.{}", format.extension());
        Ok(Download { file_name, len: 6, bytes: Box::new(std::io::Cursor::new(b"<b>x</")) })
    }
}

/// A run that has not come to its only case.
pub(super) fn run(n: u8) -> RunDetail {
    let run = json!({ "id": id(n), "plan": "transport", "title": bilingual!("测", "test"), "environment": "test",
        "station": { "as2_name": "STATION" }, "partner": { "id": "customs", "as2_name": "CUSTOMS", "url": "https://x/" },
        "software": "dxgate", "started": Timestamp::UNIX_EPOCH, "cases": [{ "id": "tcp", "kind": "interface",
        "subject": "tcp", "title": bilingual!("测", "test"), "state": "pending" }] });
    RunDetail::of(serde_json::from_value(run).expect("a run"), None)
}

impl Backend for Fake {
    async fn readiness(&self) -> Vec<Unready> {
        self.unready.clone()
    }

    async fn messages(&self, query: Query) -> MessagePage {
        self.note(format!("{query:?}"));
        let messages: Vec<Message> = self.stored.iter().take(query.limit).cloned().collect();
        let next = messages.last().map(|message| message.id).filter(|_| self.stored.len() > query.limit);
        MessagePage { messages, next }
    }

    async fn message(&self, id: Id) -> Option<Message> {
        self.stored.iter().find(|message| message.id == id).cloned()
    }

    async fn download(&self, id: Id, part: Part) -> Result<Download, Refusal> {
        let message = self.message(id).await.ok_or_else(|| refused(404, "message-unknown"))?;
        self.note(format!("download {part:?}"));
        let bytes = std::io::Cursor::new(b"<script>alert(1)</script>");
        Ok(Download { file_name: message.file_name, len: 25, bytes: Box::new(bytes) })
    }

    async fn mdn_text(&self, _: Id) -> Result<String, Refusal> {
        Ok("received".to_owned())
    }

    async fn record(&self, change: Change) -> Result<(), Refusal> {
        if self.full.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(refused(503, "journal-full"));
        }
        let pause = PauseWire {
            at: Timestamp::UNIX_EPOCH,
            by: change.who.clone(),
            reason: change.reason.clone().unwrap_or_default(),
        };
        match change.what.as_str() {
            PAUSED => *self.paused.lock().expect("sound") = Some(pause),
            RESUMED => *self.paused.lock().expect("sound") = None,
            _ => {}
        }
        self.recorded.lock().expect("sound").push(change);
        Ok(())
    }

    async fn trail(&self, filter: TrailFilter) -> TrailPage {
        self.note(format!("{filter:?}"));
        let recorded = self.recorded.lock().expect("sound");
        let entries = recorded.iter().map(|change| Entry {
            sequence: 1,
            part: 0,
            at: Timestamp::UNIX_EPOCH,
            change: change.clone(),
        });
        TrailPage { entries: entries.collect(), next: None }
    }

    async fn act(&self, id: Id, action: Action, asked: Change) -> Result<Message, Refusal> {
        self.note(format!("{} {}", action.name(), by(&asked)));
        self.carry_out(asked);
        let message = self.message(id).await.ok_or_else(|| refused(404, "message-unknown"))?;
        if action == Action::Release { Err(refused(409, "message-state")) } else { Ok(message) }
    }

    async fn submit(
        &self,
        partner: String,
        name: String,
        mut body: RequestBody,
        key: Option<String>,
        change: Change,
    ) -> Result<Id, Refusal> {
        let bytes = body.read_all(10).await.map_err(|error| refused(413, error.code()))?;
        let key = key.map(|key| format!(" {key}")).unwrap_or_default();
        self.note(format!("{partner} {name} {}{key} {}", bytes.len(), change.who));
        self.carry_out(change);
        Ok(id(7))
    }

    async fn release_restored(&self, asked: Change) -> Result<u64, Refusal> {
        self.note(format!("release-restored {}", by(&asked)));
        self.carry_out(Change { what: "message-released".into(), on: "message:7".into(), ..asked });
        Ok(2)
    }

    async fn start_backup(&self, dir: PathBuf, keys: bool) -> Result<(), Refusal> {
        self.note(format!("backup {} {keys}", dir.display()));
        Ok(())
    }

    async fn backup(&self) -> BackupStatus {
        BackupStatus { running: true, ..BackupStatus::default() }
    }

    async fn export(&self, id: Id, dir: PathBuf) -> Result<Exported, Refusal> {
        self.note(format!("export {id} {}", dir.display()));
        Ok(Exported { files: Vec::new(), signed: true, mdn_signed: false })
    }

    async fn verify_message(&self, id: Id) -> Result<Exported, Refusal> {
        self.note(format!("verify {id}"));
        Ok(Exported { files: Vec::new(), signed: true, mdn_signed: true })
    }

    async fn verify_journal(&self) -> Result<JournalReport, Refusal> {
        Ok(JournalReport { frames: 3, ..JournalReport::default() })
    }

    async fn alerts(&self, query: AlertQuery) -> Vec<Raised> {
        self.note(format!("{query:?}"));
        let open = |message: &Message| Raised::of_message(message.id, &message.partner, alert("http-404"));
        self.stored.iter().map(open).take(query.limit).collect()
    }

    async fn acknowledge(&self, name: String, asked: Change) -> Result<Raised, Refusal> {
        self.note(format!("acknowledge {name} {}", by(&asked)));
        self.carry_out(asked);
        let known = name == "gateway.disk-nearly-full";
        let raised =
            Raised { message: None, partner: None, subjects: BTreeSet::new(), alert: alert("disk-nearly-full") };
        if known { Ok(raised) } else { Err(refused(404, "alert-unknown")) }
    }

    async fn declarations(&self, filter: DeclaredFilter) -> DeclaredPage {
        self.note(format!("{filter:?}"));
        let all =
            self.stored.iter().flat_map(|message| (1..=2).filter_map(|n| Declared::of(Arc::new(message.clone()), n)));
        let documents: Vec<Declared> = all.take(filter.limit).collect();
        DeclaredPage { next: documents.last().map(Declared::place), documents }
    }

    async fn metrics(&self) -> String {
        "dxgate_ready 1\n".to_owned()
    }

    async fn silences(&self) -> Vec<Silence> {
        let until = Timestamp::UNIX_EPOCH;
        vec![Silence {
            id: "0b".into(),
            code: None,
            partner: None,
            since: until,
            until,
            reason: "r".into(),
            by: "x".into(),
        }]
    }

    async fn silence(&self, new: NewSilence) -> Result<Silence, Refusal> {
        self.note(format!("{new:?}"));
        let NewSilence { code, partner, until, reason, by } = new;
        Ok(Silence { id: "0a".into(), code, partner, since: Timestamp::UNIX_EPOCH, until, reason, by })
    }

    async fn end_silence(&self, id: String, reason: String, by: String) -> Result<Silence, Refusal> {
        self.note(format!("end-silence {id} {reason} {by}"));
        Err(refused(404, "silence-unknown"))
    }

    async fn test_alerts(&self, channel: Option<String>) -> Result<Vec<Tested>, Refusal> {
        self.note(format!("test {channel:?}"));
        Ok(vec![Tested { channel: "mail".into(), failed: Some("refused".into()) }])
    }

    async fn partners(&self) -> Vec<PartnerWire> {
        let partner = |id: &str| PartnerWire {
            id: id.into(),
            as2_name: id.to_uppercase(),
            profile: "plain".into(),
            url: "https://example.com/as2".into(),
            enabled: true,
            paused: self.paused.lock().expect("sound").clone(),
            ..PartnerWire::default()
        };
        vec![partner("customs"), partner("acme")]
    }

    async fn partner(&self, id: String) -> Option<PartnerDetail> {
        let line = self.partners().await.into_iter().find(|partner| partner.id == id)?;
        Some(PartnerDetail { line, agreement: Vec::new(), certificates: Vec::new(), waivers: Vec::new() })
    }

    async fn check_partner(&self, id: String) -> Option<PartnerCheck> {
        self.partner(id).await.map(|_| PartnerCheck { ok: true, partners: 1, findings: Vec::new() })
    }

    async fn reload_partners(&self, _: Change) -> Result<PartnerCheck, Refusal> {
        self.note("reload".to_owned());
        Ok(PartnerCheck { ok: true, partners: 2, findings: Vec::new() })
    }

    async fn certificates(&self) -> Vec<CertificateWire> {
        Vec::new()
    }

    async fn station(&self) -> StationWire {
        StationWire {
            as2_name: "STATION".into(),
            dxpid: None,
            name: None,
            as2_url: None,
            environment: crate::partner::EnvironmentName::Test,
            environment_from: None,
            environment_until: None,
            version: "0".into(),
            started: Timestamp::UNIX_EPOCH,
        }
    }

    async fn queue(&self) -> QueueWire {
        QueueWire::default()
    }

    async fn figures(&self) -> FiguresWire {
        FiguresWire { now: Timestamp::UNIX_EPOCH, complete: true, hours: Vec::new() }
    }

    async fn precheck(
        &self,
        name: String,
        _partner: Option<String>,
        mut body: RequestBody,
    ) -> Result<PrecheckWire, Refusal> {
        body.read_all(1000).await.map_err(|error| refused(413, error.code()))?;
        Ok(PrecheckWire {
            name,
            partner: None,
            tables: Vec::new(),
            verdict: "accepted".into(),
            message_type: None,
            documents: 0,
            keys: Vec::new(),
            findings: Vec::new(),
            findings_left_out: 0,
        })
    }

    async fn summary(&self) -> Vec<StateCount> {
        vec![StateCount { state: State::Queued, count: 3 }]
    }
}

fn alert(code: &str) -> Alert {
    Alert {
        code: code.into(),
        level: Level::Error,
        text: bilingual!("坏了", "broken"),
        raised: Timestamp::UNIX_EPOCH,
        times: 1,
        acknowledged: None,
        resolved: None,
    }
}

pub(super) fn id(n: u8) -> Id {
    Id::from_bytes([n; 16])
}

/// A queued message with a name for which somebody meant harm.
pub(super) fn queued_message(n: u8) -> Message {
    let queued = Fact::Queued {
        kind: JobKind::Payload,
        partner: "customs".into(),
        file_name: format!("{n}\"><img src=x onerror=alert(1)>.xml"),
        payload: None,
        declaration: None,
        about: None,
    };
    crate::store::apply(None, id(n), Timestamp::UNIX_EPOCH, &queued).expect("a first fact")
}

/// The console, a clock to be set, and sessions of every role.
pub(super) struct Rig {
    pub(super) backend: Arc<Fake>,
    pub(super) access: Arc<Access>,
    pub(super) clock: Arc<ManualClock>,
    router: Router,
    pub(super) home: tempfile::TempDir,
}

/// An answer.
pub(super) struct Answered {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) json: Value,
    pub(super) text: String,
}

impl Answered {
    pub(super) fn code(&self) -> (u16, &str) {
        (self.status, self.json["code"].as_str().unwrap_or_default())
    }
}

pub(super) fn settings(home: &std::path::Path) -> AccessSettings {
    AccessSettings {
        token_file: home.join("console.token"),
        users_file: home.join("console.users"),
        url: "http://127.0.0.1:4081".to_owned(),
        tls: false,
        hosts: vec!["console.example".to_owned()],
        certificate_names: Arc::default(),
        open_metrics: false,
        token_rate: 600,
        cost: Cost { memory: 64, passes: 1 },
    }
}

pub(super) fn rig(backend: Fake) -> Rig {
    let home = tempfile::tempdir().expect("temporary folder");
    let settings = settings(home.path());
    crate::keys::save::private(&settings.token_file, TOKEN.as_bytes()).expect("written");
    let clock = Arc::new(ManualClock::new(Timestamp::from_second(1_800_000_000).expect("in range")));
    let access = Arc::new(Access::open(settings, clock.clone()).expect("opens"));
    let events = Events::new(clock.now(), Shutdown::new());
    let backend = Arc::new(backend);
    let router = router(backend.clone(), access.clone(), events);
    Rig { backend, access, clock, router, home }
}

impl Rig {
    /// With a user of every role.
    pub(super) async fn with_people(self) -> Rig {
        for (name, role) in PEOPLE {
            let password = crate::ground::secret::Secret::new(PASSWORD.to_owned());
            self.access.add_user(name, role, password, async { Ok(()) }).await.expect("added");
        }
        self
    }

    pub(super) async fn send(&mut self, mut request: HttpRequest<Body>) -> Answered {
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, "127.0.0.1:4081".parse().expect("a value"));
        }
        let peer: SocketAddr = "127.0.0.1:5555".parse().expect("literal");
        request.extensions_mut().insert(ConnectInfo(peer));
        let response = self.router.call(request).await.expect("infallible");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        assert_eq!(headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert!(headers.contains_key(header::CONTENT_SECURITY_POLICY));
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        let json = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Answered { status, headers, json, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    /// Asks with these headers.
    pub(super) async fn ask(&mut self, method: Method, path: &str, headers: &[(&str, &str)], body: &str) -> Answered {
        let mut request = HttpRequest::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
            request = request.header("Content-Type", "application/json");
        }
        self.send(request.body(Body::from(body.to_owned())).expect("a request")).await
    }

    pub(super) async fn get(&mut self, path: &str) -> Answered {
        self.ask(Method::GET, path, &[("Authorization", &format!("Bearer {TOKEN}"))], "").await
    }

    pub(super) async fn post(&mut self, path: &str, body: &str) -> Answered {
        self.ask(Method::POST, path, &[("Authorization", &format!("Bearer {TOKEN}"))], body).await
    }

    pub(super) async fn sign_in(&mut self, name: &str, password: &str, code: Option<&str>) -> Answered {
        let body = json!({ "name": name, "password": password, "code": code }).to_string();
        self.ask(Method::POST, "/api/v1/session", &[], &body).await
    }

    /// Cookie and secret of a new session.
    pub(super) async fn session(&mut self, name: &str) -> (String, String) {
        let answered = self.sign_in(name, PASSWORD, None).await;
        assert_eq!(answered.status, 200, "{}", answered.text);
        cookie_and_csrf(&answered)
    }

    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.backend.asked.lock().expect("sound"))
    }

    pub(super) fn recorded(&self) -> Vec<Change> {
        std::mem::take(&mut *self.backend.recorded.lock().expect("sound"))
    }
}

pub(super) fn cookie_and_csrf(answered: &Answered) -> (String, String) {
    let set = answered.headers[header::SET_COOKIE].to_str().expect("text");
    let cookie = set.split(';').next().expect("a cookie").to_owned();
    (cookie, answered.json["csrf"].as_str().expect("a secret").to_owned())
}

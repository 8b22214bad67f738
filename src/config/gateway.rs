//! What `gateway.toml` may say.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::access;
use super::document::{Place, Section, Sheet};
use super::environment;
use super::listeners::{self, collide, identity};
use super::material::Reading;
use super::partners::{self, Surroundings};
use super::station::{self, StationDraft};
use super::text::read_text;
use super::*;
use crate::bilingual;
use crate::ground::text::Bilingual;

/// Where the console listens when `[console]` does not say it.
pub(super) const CONSOLE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4081);
/// The file of the API token when `[console]` does not name it.
pub(super) const TOKEN_FILE: &str = "keys/console.token";
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// Everything of `gateway.toml`, with defaults where something is missing or wrong.
struct Draft {
    station: StationDraft,
    folders: Folders,
    as2: As2Settings,
    console: ConsoleSettings,
    proxy: Option<Proxy>,
    revocation: Option<PathBuf>,
    outbox: OutboxSettings,
    limits: Limits,
    server: ServerSettings,
    precheck: PrecheckSettings,
    /// Where the code tables are named.
    tables: Place,
    delivery: DeliverySettings,
    retention: RetentionSettings,
    alerts: AlertSettings,
    telemetry: TelemetrySettings,
    onboarding: OnboardingSettings,
    log: LogSettings,
}

pub(super) fn load(file: &Path, environment: Environment<'_>, now: Timestamp) -> Result<Config, Problems> {
    let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let home = file.parent().map(Path::to_owned).unwrap_or_default();
    let reading = Reading { home: &home, environment, now };
    // Each file is looked at before it is read: what changes later shows.
    let mut stamps = Stamps::of([file.clone()]);
    let text = read_text(&file).map_err(|problem| Problems { problems: vec![*problem] })?;
    let sheet = Sheet::new(&file, &text);
    let Some(table) = sheet.parse(&text) else {
        return Err(Problems { problems: sheet.finish().0 });
    };
    let mut draft = read(&sheet.root(&table), &reading, &sheet);
    draft.precheck.stamps = Stamps::of(tables::files(&draft.precheck.tables).map(|(_, file)| file));
    match tables::load_if_there(&draft.precheck.tables) {
        Ok(codes) => draft.precheck.codes = Arc::new(codes),
        Err(error) => sheet.push_at(Severity::Error, error.code(), &draft.tables, error.text()),
    }
    let mut files = sheet.files();
    stamps.join(sheet.stamps());
    let mut problems = sheet.finish().0;
    stamps.add([draft.folders.partners.clone()]);
    let read = partners::read_all(&draft.folders.partners, &reading, &surroundings(&draft), &Directory::default());
    problems.extend(read.problems);
    files.extend(read.files);
    stamps.join(read.stamps);
    let Some(station) = draft.station.station else { return Err(Problems { problems }) };
    if problems.iter().any(|problem| problem.severity == Severity::Error) {
        return Err(Problems { problems });
    }
    Ok(Config {
        file,
        home,
        station: Arc::new(station),
        folders: draft.folders,
        as2: draft.as2,
        console: draft.console,
        proxy: draft.proxy,
        revocation: draft.revocation,
        outbox: draft.outbox,
        limits: draft.limits,
        server: draft.server,
        precheck: draft.precheck,
        delivery: draft.delivery,
        retention: draft.retention,
        alerts: draft.alerts,
        telemetry: draft.telemetry,
        onboarding: draft.onboarding,
        log: draft.log,
        partners: Directory::new(read.partners),
        warnings: problems,
        files,
        stamps,
    })
}

/// Reads everything again; see [`super::reload`].
pub(super) fn reload(
    config: &Config,
    (old, standing): (&Directory, Option<&GatewayReload>),
    environment: Environment<'_>,
    now: Timestamp,
    judge: Judge<'_>,
) -> Reload {
    let reading = Reading { home: &config.home, environment, now };
    let (draft, mut problems, mut files) = read_again(&config.file, &reading);
    let sound = draft.filter(|_| problems.iter().all(|problem| problem.severity != Severity::Error));
    let (draft, station) = match sound.map(|mut draft| (draft.station.station.take(), draft)) {
        Some((Some(station), draft)) => (Some(draft), Some(station)),
        _ => (None, None),
    };
    let gateway = draft.zip(station).map(|(draft, station)| GatewayReload {
        restart: needs_restart(config, &draft, &station),
        // What counts after a restart only does not come into partners before it.
        station: Station { keys: station.keys, ..Station::clone(&config.station) },
        as2: draft.as2,
        console_tls: draft.console.tls,
        proxy: draft.proxy,
        revocation: draft.revocation,
        levels: draft.precheck.levels,
    });
    let unfit = gateway.as_ref().and_then(judge);
    let gateway = gateway.filter(|_| unfit.is_none());
    problems.extend(unfit);
    let surroundings = match gateway.as_ref().or(standing) {
        Some(gateway) => Surroundings {
            station: Some(&gateway.station),
            exposed: gateway.as2.is_exposed(),
            max_payload: config.limits.payload,
            levels: &gateway.levels,
            asks_clients: gateway.as2.asks_clients(),
            proxy: gateway.proxy.as_ref(),
            revocation: gateway.revocation.as_deref(),
        },
        None => partners::surroundings_of(config),
    };
    let (partners, read) = partners::read_again(&config.folders.partners, &reading, &surroundings, old);
    problems.extend(read.problems);
    files.extend(read.files);
    Reload { gateway, partners, problems, files }
}

fn read_again(file: &Path, reading: &Reading<'_>) -> (Option<Draft>, Vec<Problem>, BTreeSet<PathBuf>) {
    let text = match read_text(file) {
        Ok(text) => text,
        Err(problem) => return (None, vec![*problem], BTreeSet::new()),
    };
    let sheet = Sheet::new(file, &text);
    let draft = sheet.parse(&text).map(|table| read(&sheet.root(&table), reading, &sheet));
    let files = sheet.files();
    (draft, sheet.finish().0, files)
}

/// Tables whose changes count at the next start only. Every field is named here, so that none is forgotten.
fn needs_restart(config: &Config, draft: &Draft, station: &Station) -> Vec<&'static str> {
    let Config {
        // Found anew by every reading, or taken at once.
        file: _,
        home: _,
        partners: _,
        warnings: _,
        files: _,
        stamps: _,
        proxy: _,
        revocation: _,
        station: ours,
        folders,
        as2,
        console,
        outbox,
        limits,
        server,
        precheck: PrecheckSettings { tables: code_tables, codes: _, levels: _, stamps: _ },
        delivery,
        retention,
        alerts,
        telemetry,
        onboarding,
        log,
    } = config;
    let identity = |station: &Station| {
        let Station { dxpid, as2_name, name, environment: _, keys: _, message_id_host, receipt_url } = station;
        format!("{dxpid:?} {as2_name:?} {name:?} {message_id_host:?} {receipt_url:?}")
    };
    let addresses = |as2: &As2Settings| {
        let As2Settings { listen: _, path, public_url, tls: _, clients: _, listeners: _, trusted_proxies } = as2;
        let listeners: Vec<_> = as2.all_listeners().iter().map(|one| (one.listen, one.tls.is_some())).collect();
        format!("{listeners:?} {path} {public_url:?} {trusted_proxies:?}")
    };
    let doors = |console: &ConsoleSettings| {
        let ConsoleSettings { listen, token_file, users_file, hosts, open_metrics, token_rate, tls } = console;
        format!("{listen} {token_file:?} {users_file:?} {hosts:?} {open_metrics} {token_rate} {}", tls.is_some())
    };
    let tables = [
        ("station", identity(ours) == identity(station)),
        ("environment", ours.environment == station.environment),
        ("folders", *folders == draft.folders),
        ("as2", addresses(as2) == addresses(&draft.as2)),
        ("console", doors(console) == doors(&draft.console)),
        ("outbox", *outbox == draft.outbox),
        ("limits", (limits, server) == (&draft.limits, &draft.server)),
        ("precheck", *code_tables == draft.precheck.tables),
        ("delivery", *delivery == draft.delivery),
        ("retention", *retention == draft.retention),
        ("log", *log == draft.log),
        ("alerts", alerts.says_the_same(&draft.alerts)),
        ("onboarding", *onboarding == draft.onboarding),
        ("telemetry", format!("{telemetry:?}") == format!("{:?}", draft.telemetry)),
    ];
    tables.into_iter().filter(|(_, same)| !same).map(|(table, _)| table).collect()
}

/// The keys that `gateway.toml` knows, for the test of its example.
#[cfg(test)]
pub(super) fn known_keys(file: &Path, text: &str, reading: &Reading<'_>) -> std::collections::BTreeSet<String> {
    let sheet = Sheet::new(file, text);
    if let Some(table) = sheet.parse(text) {
        read(&sheet.root(&table), reading, &sheet);
    }
    sheet.finish().1
}

/// What partner files are judged by.
fn surroundings(draft: &Draft) -> Surroundings<'_> {
    Surroundings {
        station: draft.station.station.as_ref(),
        exposed: draft.as2.is_exposed(),
        max_payload: draft.limits.payload,
        levels: &draft.precheck.levels,
        asks_clients: draft.as2.asks_clients(),
        proxy: draft.proxy.as_ref(),
        revocation: draft.revocation.as_deref(),
    }
}

fn read(root: &Section<'_>, reading: &Reading<'_>, sheet: &Sheet) -> Draft {
    let as2_section = root.section("as2");
    let message_id_host = as2_section.parsed("message_id_host", host_name);
    let as2 = listeners::as2(&as2_section, reading);
    let host = message_id_host.or_else(|| {
        let url = as2.public_url.as_deref().and_then(|url| PartnerUrl::parse(url).ok());
        url.map(|url| url.host().to_owned()).filter(|host| host_name(host).is_ok())
    });
    let (precheck, tables) = precheck(&root.section("precheck"), reading);
    let environment_section = root.section("environment");
    let environment = environment::read(&environment_section);
    let station = station::read(&root.section("station"), reading, as2.public_url.clone(), host, environment);
    station.station.iter().for_each(|station| environment::check(&environment_section, station));
    let limits_section = root.section("limits");
    let draft = Draft {
        folders: folders(&root.section("folders"), reading),
        console: console(&root.section("console"), reading, &as2),
        proxy: access::gateway_proxy(&root.section("proxy"), reading),
        revocation: reading.path(&root.section("revocation"), "lists"),
        outbox: outbox(&root.section("outbox")),
        limits: limits(&limits_section),
        server: server(&limits_section),
        precheck,
        tables,
        delivery: DeliverySettings { workers: root.section("delivery").count("workers", 16, 1, 1024) },
        retention: retention(&root.section("retention")),
        alerts: super::alerts::read(&root.section("alerts"), reading),
        telemetry: TelemetrySettings { otlp: root.section("telemetry").parsed("otlp", PartnerUrl::parse) },
        onboarding: onboarding(&root.section("onboarding"), reading),
        log: log(&root.section("log")),
        station,
        as2,
    };
    if draft.as2.is_exposed() || !draft.console.listen.ip().is_loopback() {
        refuse_specimens(sheet, &draft.station.specimens);
    }
    draft
}

fn refuse_specimens(sheet: &Sheet, places: &[Place]) {
    for place in places {
        let text = bilingual!(
            "这是 certs-example 中公开的示例密钥，只能用于本机回环地址。请用 dxgate cert generate 生成自己的密钥。",
            "this is a published key of certs-example, for loopback addresses only. Make your own with dxgate cert generate."
        );
        sheet.push_at(Severity::Error, "example-key", place, text);
    }
}

fn onboarding(section: &Section<'_>, reading: &Reading<'_>) -> OnboardingSettings {
    OnboardingSettings { home: reading.path_or(section, "home", "."), required: section.boolean("required", false) }
}

fn folders(section: &Section<'_>, reading: &Reading<'_>) -> Folders {
    let folders = Folders {
        data: reading.path_or(section, "data", "data"),
        exchange: reading.path_or(section, "exchange", "exchange"),
        partners: reading.path_or(section, "partners", "partners"),
        allow_any_filesystem: section.boolean("allow_any_filesystem", false),
    };
    let nested = |inner: &PathBuf, outer: &PathBuf| inner.starts_with(outer);
    if nested(&folders.data, &folders.exchange) || nested(&folders.exchange, &folders.data) {
        let text = bilingual!(
            "data 与 exchange 不能是同一文件夹，也不能互相包含：用户文件夹不得触及网关自己的数据。",
            "data and exchange must be separate folders, neither inside the other: users work in one of them."
        );
        section.error("data", "folders-overlap", text);
    }
    folders
}

fn precheck(section: &Section<'_>, reading: &Reading<'_>) -> (PrecheckSettings, Place) {
    let tables = reading.path_or(section, "tables", "tables");
    let levels = levels::table(&section.section("levels"));
    let precheck = PrecheckSettings { tables, codes: Arc::default(), levels, stamps: Stamps::default() };
    (precheck, section.place("tables"))
}

fn console(section: &Section<'_>, reading: &Reading<'_>, as2: &As2Settings) -> ConsoleSettings {
    let listen = listeners::listen(section).unwrap_or(CONSOLE);
    let token_file = reading.path_or(section, "token_file", TOKEN_FILE);
    let users_file = reading.path_or(section, "users_file", "keys/console.users");
    let hosts = section.texts("hosts").unwrap_or_default();
    let tls_section = section.section("tls");
    let tls = identity(&tls_section, reading, listen);
    if as2.all_listeners().iter().any(|other| collide(listen, other.listen)) {
        let text = bilingual!(
            "控制台与 AS2 监听了同一端口。两者必须分开。",
            "the console listens on the AS2 port. The two listeners must be separate."
        );
        section.error("listen", "listen-conflict", text);
    }
    if !listen.ip().is_loopback() && !tls_section.is_present() {
        let text = bilingual!(
            "控制台在回环地址之外以明文监听，密码和令牌会被窃听。请配置 [console.tls] 或改为 127.0.0.1。",
            "the console listens beyond this machine without TLS: passwords and tokens can be overheard. Add [console.tls] or listen on 127.0.0.1."
        );
        section.error("listen", "console-in-clear", text);
    }
    let open_metrics = section.boolean("open_metrics", false);
    if open_metrics && !listen.ip().is_loopback() {
        let text = bilingual!(
            "控制台在回环地址之外监听时，/metrics 不能免令牌开放。请删除此项，并让 Prometheus 使用令牌。",
            "/metrics cannot be open while the console listens beyond this machine. Remove the key and give Prometheus the token."
        );
        section.error("open_metrics", "metrics-exposed", text);
    }
    let token_rate = u32::try_from(section.count("token_rate", 600, 1, 1_000_000)).unwrap_or(u32::MAX);
    ConsoleSettings { listen, token_file, users_file, hosts, open_metrics, token_rate, tls }
}

fn outbox(section: &Section<'_>) -> OutboxSettings {
    let ignored = ["*.tmp", "*.part", "*.partial", "*.swp", "*.filepart", "*.crdownload", "~*", "*~"];
    OutboxSettings {
        sweep: section.duration("sweep", 2 * SECOND, Duration::from_millis(100), HOUR),
        settle: section.duration("settle", SECOND, Duration::ZERO, HOUR),
        ignore: section.texts("ignore").unwrap_or_else(|| ignored.map(str::to_owned).to_vec()),
    }
}

fn limits(section: &Section<'_>) -> Limits {
    let standard = Limits::default();
    Limits {
        body: section.size("body", standard.body, 64 * KIB, 1024 * GIB),
        payload: section.size("payload", standard.payload, 64 * KIB, 1024 * GIB),
        inflate_ratio: section.size("inflate_ratio", standard.inflate_ratio, 10, 1100),
        ..standard
    }
}

fn server(section: &Section<'_>) -> ServerSettings {
    let connections = section.count("connections", 1024, 1, 100_000);
    ServerSettings {
        inline: section.size("inline", MIB, 0, 16 * MIB),
        connections,
        connections_per_ip: section.count("connections_per_ip", 64, 1, 100_000).min(connections),
        failures_per_ip: section.count("failures_per_ip", 10, 0, 1000),
        failures_per_partner: section.count("failures_per_partner", 20, 0, 1000),
        header_timeout: section.duration("header_timeout", 10 * SECOND, SECOND, 5 * MINUTE),
        idle_timeout: section.duration("idle_timeout", 60 * SECOND, SECOND, HOUR),
        body_min_rate: section.size("body_min_rate", KIB, 0, GIB),
        body_timeout: section.duration("body_timeout", 30 * MINUTE, MINUTE, DAY),
        free_space_floor: section.size("free_space_floor", GIB, 0, 1024 * GIB),
        reserve: section.size("reserve", 64 * MIB, 0, 64 * GIB),
        shutdown: section.duration("shutdown", 30 * SECOND, SECOND, HOUR),
    }
}

/// Evidence for at least 90 days: a message's dedup key goes with it, and no schedule repeats a message for longer than
/// 30 days.
fn retention(section: &Section<'_>) -> RetentionSettings {
    RetentionSettings {
        evidence: section.duration("evidence", 1095 * DAY, 90 * DAY, 36_500 * DAY),
        payload: section.duration("payload", 90 * DAY, DAY, 36_500 * DAY),
    }
}

fn log(section: &Section<'_>) -> LogSettings {
    let format = section.parsed("format", |text| station::one_of(text, &["human", "json"]));
    let level = section.parsed("level", |text| station::one_of(text, &["error", "warn", "info", "debug", "trace"]));
    LogSettings {
        format: if format == Some("json") { LogFormat::Json } else { LogFormat::Human },
        level: level.unwrap_or("info").to_owned(),
    }
}

fn host_name(text: &str) -> Result<String, Bilingual> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let fits = text.len() <= 255 && text.bytes().all(plain) && !text.starts_with('.') && !text.ends_with('.');
    fits.then(|| text.to_owned()).ok_or_else(|| {
        bilingual!(
            "不是主机名。只能包含字母、数字、连字符和点。",
            "not a host name. Use letters, digits, hyphens and dots."
        )
    })
}

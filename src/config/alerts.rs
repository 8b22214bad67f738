//! `[alerts]`: when conditions become alerts, and who is told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::document::Section;
use super::material::{Reading, note};
use super::station::one_of;
use crate::bilingual;
use crate::cms::Certificate;
use crate::ground::secret::Secret;
use crate::ground::text::Bilingual;
use crate::keys::load;
use crate::partner::PartnerUrl;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Shortest shared secret of a webhook, in characters.
const SECRET: usize = 16;

/// `[alerts]`
#[derive(Debug, Clone)]
pub struct AlertSettings {
    /// How often an alert that goes on is told again; zero: never.
    pub reminder: Duration,
    /// Age of the oldest open message that is an alert; zero: never.
    pub queue_age: Duration,
    /// Time between two checks of the whole journal; zero: none.
    pub journal_check: Duration,
    /// `[[alerts.webhook]]`
    pub webhooks: Vec<WebhookSettings>,
    /// `[alerts.mail]`
    pub mail: Option<MailSettings>,
    /// `[alerts.command]`
    pub command: Option<CommandSettings>,
}

impl AlertSettings {
    /// Whether nothing differs: in what can be printed of both, and in the secrets, which no form of them shows.
    pub(super) fn says_the_same(&self, other: &AlertSettings) -> bool {
        format!("{self:?}") == format!("{other:?}") && self.secrets().eq(other.secrets())
    }

    fn secrets(&self) -> impl Iterator<Item = &str> {
        let passwords = self.mail.iter().filter_map(|mail| mail.credentials.as_ref()).map(|(_, password)| password);
        let secrets = self.webhooks.iter().map(|webhook| &webhook.secret);
        secrets.chain(passwords).map(|secret| secret.expose().as_str())
    }
}

/// The least grave alert that a channel tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AlertLevel {
    /// Everything.
    Warning,
    /// What a person has to act on.
    Error,
    /// Only where somebody may be pretending or altering.
    Security,
}

/// `[[alerts.webhook]]`
#[derive(Debug, Clone)]
pub struct WebhookSettings {
    /// Names it in logs, metrics and commands.
    pub name: String,
    /// Where to POST.
    pub url: PartnerUrl,
    /// Shared with the receiver; signs every delivery.
    pub secret: Secret<String>,
    /// Certificates to trust instead of the machine's roots.
    pub trusted: Vec<Certificate>,
    /// What it tells.
    pub level: AlertLevel,
    /// For one delivery.
    pub timeout: Duration,
}

/// How the connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS after STARTTLS, and never without.
    StartTls,
    /// TLS from the first byte.
    Tls,
    /// None: for a server on this machine.
    Plain,
}

/// `[alerts.mail]`
#[derive(Debug, Clone)]
pub struct MailSettings {
    /// Host of the server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Protection.
    pub security: MailSecurity,
    /// Certificates to trust instead of the machine's roots.
    pub trusted: Vec<Certificate>,
    /// User and password.
    pub credentials: Option<(String, Secret<String>)>,
    /// Sender.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
    /// What it tells.
    pub level: AlertLevel,
    /// Alerts that come within this time are one mail.
    pub batch: Duration,
    /// For one mail.
    pub timeout: Duration,
}

/// `[alerts.command]`
#[derive(Debug, Clone)]
pub struct CommandSettings {
    /// The program, an absolute path.
    pub program: PathBuf,
    /// Its arguments, always the same.
    pub arguments: Vec<String>,
    /// What it is told.
    pub level: AlertLevel,
    /// Then it is killed.
    pub timeout: Duration,
}

pub(super) fn read(section: &Section<'_>, reading: &Reading<'_>) -> AlertSettings {
    let webhooks: Vec<WebhookSettings> =
        section.sections("webhook").iter().filter_map(|section| webhook(section, reading)).collect();
    let names: BTreeSet<&str> = webhooks.iter().map(|webhook| webhook.name.as_str()).collect();
    if names.len() < webhooks.len() {
        let text =
            bilingual!("webhook 的 name 重复。请各取其名。", "two webhooks have the same name. Give each its own.");
        section.error("webhook", "webhook-name-taken", text);
    }
    AlertSettings {
        reminder: section.duration("reminder", DAY, Duration::ZERO, 30 * DAY),
        queue_age: section.duration("queue_age", 4 * HOUR, Duration::ZERO, 30 * DAY),
        journal_check: section.duration("journal_check", 7 * DAY, Duration::ZERO, 365 * DAY),
        webhooks,
        mail: mail(&section.section("mail"), reading),
        command: command(&section.section("command"), reading),
    }
}

fn webhook(section: &Section<'_>, reading: &Reading<'_>) -> Option<WebhookSettings> {
    let name = section.required("name", name);
    let url = section.required("url", PartnerUrl::parse);
    forbid_inline(section, "secret");
    let secret = reading.secret(section, "secret_file", "secret_env");
    if !section.has("secret_file") && !section.has("secret_env") {
        section.missing("secret_file");
    }
    if secret.as_ref().is_some_and(|secret| secret.expose().chars().count() < SECRET) {
        let text = bilingual!(
            "密钥过短：至少 {SECRET} 个字符。",
            "the secret is too short: it needs {SECRET} characters or more."
        );
        section.error("secret_file", "secret-weak", text);
    }
    let trusted = trusted(section, reading);
    let (level, timeout) = (level(section), section.duration("timeout", 10 * SECOND, SECOND, 5 * MINUTE));
    if url.as_ref().is_some_and(|url| !url.is_secure() && !url.is_loopback()) {
        let text = bilingual!(
            "告警将经 http:// 明文发送。请使用 https://。",
            "alerts would travel over http:// in the clear. Use https://."
        );
        section.warning("url", "alerts-in-clear", text);
    }
    Some(WebhookSettings { name: name?, url: url?, secret: secret?, trusted, level, timeout })
}

fn mail(section: &Section<'_>, reading: &Reading<'_>) -> Option<MailSettings> {
    let present = section.is_present();
    let need = |key: &'static str| present && !section.has(key);
    ["server", "from", "to"].into_iter().filter(|key| need(key)).for_each(|key| section.missing(key));
    let server = section.parsed("server", server);
    let security = section.parsed("security", |text| one_of(text, &["starttls", "tls", "plain"]));
    let security = match security {
        Some("tls") => MailSecurity::Tls,
        Some("plain") => MailSecurity::Plain,
        _ => MailSecurity::StartTls,
    };
    let trusted = trusted(section, reading);
    forbid_inline(section, "password");
    let user = section.text("user");
    let password = reading.secret(section, "password_file", "password_env");
    let from = section.parsed("from", mailbox);
    let to = section.parsed_list("to", mailbox);
    if to.as_ref().is_some_and(Vec::is_empty) {
        let text = bilingual!("列表为空。请填写至少一个收件人。", "is an empty list. Name at least one recipient.");
        section.error("to", "value-empty", text);
    }
    let to = to.unwrap_or_default();
    let level = level(section);
    let batch = section.duration("batch", 30 * SECOND, Duration::ZERO, HOUR);
    let timeout = section.duration("timeout", 30 * SECOND, SECOND, 5 * MINUTE);
    let (host, port) = server?;
    if security == MailSecurity::Plain && !is_here(&host) {
        let text = bilingual!(
            "不加密的连接只能用于本机的邮件服务器。请使用 \"starttls\" 或 \"tls\"。",
            "a connection without TLS is for a mail server on this machine. Use \"starttls\" or \"tls\"."
        );
        section.error("security", "mail-in-clear", text);
    }
    if user.is_some() != password.is_some() {
        section.missing(if user.is_some() { "password_file" } else { "user" });
    }
    let credentials = user.zip(password);
    Some(MailSettings { host, port, security, trusted, credentials, from: from?, to, level, batch, timeout })
}

fn command(section: &Section<'_>, reading: &Reading<'_>) -> Option<CommandSettings> {
    let present = section.is_present();
    if present && !section.has("program") {
        section.missing("program");
    }
    let program = reading.path(section, "program");
    let arguments = section.texts("arguments").unwrap_or_default();
    let level = level(section);
    let timeout = section.duration("timeout", 30 * SECOND, SECOND, HOUR);
    Some(CommandSettings { program: program?, arguments, level, timeout })
}

fn level(section: &Section<'_>) -> AlertLevel {
    match section.parsed("level", |text| one_of(text, &["warning", "error", "security"])) {
        Some("error") => AlertLevel::Error,
        Some("security") => AlertLevel::Security,
        _ => AlertLevel::Warning,
    }
}

fn trusted(section: &Section<'_>, reading: &Reading<'_>) -> Vec<Certificate> {
    let Some(file) = reading.path(section, "trusted_certificate") else { return Vec::new() };
    let certificate = note(section, "trusted_certificate", load::certificate(&file));
    if let Some(certificate) = &certificate {
        reading.report_expiry(section, "trusted_certificate", certificate, &file);
    }
    certificate.into_iter().collect()
}

fn forbid_inline(section: &Section<'_>, key: &'static str) {
    let advice = bilingual!(
        "密钥和口令不能写在配置文件中。请改用以 _file 或 _env 结尾的配置项。",
        "secrets must not stand in a configuration file. Use the keys that end in _file or _env."
    );
    section.forbid(key, "secret-inline", &advice);
}

fn name(text: &str) -> Result<String, Bilingual> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let reserved = ["mail", "command"].contains(&text);
    let fits = text.len() <= 40 && text.bytes().all(plain) && !reserved;
    fits.then(|| text.to_owned()).ok_or_else(|| {
        bilingual!(
            "不是可用的名称。只能包含小写字母、数字和连字符，最长 40 个字符，且不能是 mail 或 command。",
            "not a usable name. Use lower-case letters, digits and hyphens, at most 40, and neither mail nor command."
        )
    })
}

/// `host:port`; port 587 (RFC 6409) when none is given.
fn server(text: &str) -> Result<(String, u16), Bilingual> {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()),
        None => (text, Some(587)),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    let fits = !host.is_empty() && host.len() <= 255 && host.bytes().all(plain);
    port.filter(|port| fits && *port > 0).map(|port| (host.to_owned(), port)).ok_or_else(|| {
        bilingual!(
            "不是邮件服务器。应为 \"主机:端口\"，例如 \"smtp.example.com:587\"。",
            "not a mail server. Write host:port, such as \"smtp.example.com:587\"."
        )
    })
}

/// `name@host`, nothing around it (RFC 5321 4.1.2, without quoted local parts).
fn mailbox(text: &str) -> Result<String, Bilingual> {
    let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>()[]\\,;:\"@".contains(&byte));
    let fits = text.split_once('@').is_some_and(|(local, domain)| {
        !local.is_empty() && !domain.is_empty() && plain(local) && plain(domain) && text.len() <= 254
    });
    fits.then(|| text.to_owned()).ok_or_else(|| {
        bilingual!("不是邮箱地址，例如 \"ops@example.com\"。", "not a mail address such as \"ops@example.com\".")
    })
}

fn is_here(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

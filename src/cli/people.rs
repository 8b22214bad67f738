//! `dxgate user`, `dxgate token` and `dxgate audit`: who may do what, and who did what, through the API.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use super::Context;
use super::api_client::{ApiClient, block_on, encoded};
use super::arguments::kebab;
use super::exit_code::ExitCode;
use super::failure::Failure;
use super::output;
use super::pages;
use super::voice::Voice;
use crate::bilingual;
use crate::console::access::{Role, Scope};
use crate::console::wire::JournalWire;
use crate::console::wire::people::{EntryWire, MadeToken, NewToken, TokenList, TrailList, UserList, UserWire};
use crate::ground::random;
use crate::keys::load;

/// `user …`.
#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// List the console's users
    List,
    /// Add a user; without --password-file a password is made and shown once
    Add {
        /// 1 to 64 lower-case letters, digits or . - _ @
        name: String,
        /// viewer, operator or admin
        #[arg(long, value_parser = kebab::<Role>)]
        role: Role,
        /// File whose first line is the password; nobody else may read it
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Why; kept in the journal
        #[arg(long, short)]
        reason: Option<String>,
    },
    /// Change role or password of a user, or end its one-time codes; its sessions end
    Change {
        /// The user
        name: String,
        /// viewer, operator or admin
        #[arg(long, value_parser = kebab::<Role>)]
        role: Option<Role>,
        /// File whose first line is the new password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Ask for one-time codes no longer
        #[arg(long)]
        no_totp: bool,
        /// Why; kept in the journal
        #[arg(long, short)]
        reason: Option<String>,
    },
    /// Remove a user; its sessions end
    Remove {
        /// The user
        name: String,
    },
}

/// `token …`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// List API tokens
    List,
    /// Make an API token; it is shown once
    Create {
        /// 1 to 64 lower-case letters, digits or . - _ @
        name: String,
        /// read, operate or admin
        #[arg(long, value_parser = kebab::<Scope>)]
        scope: Scope,
        /// It ends after so many days
        #[arg(long, default_value_t = 365, value_parser = clap::value_parser!(u16).range(1..=3650))]
        days: u16,
        /// Why; kept in the journal
        #[arg(long, short)]
        reason: Option<String>,
    },
    /// Revoke an API token
    Revoke {
        /// Its id, as listed
        id: String,
    },
}

/// `audit …`.
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// List changes, newest first
    List(AuditArguments),
    /// Check the whole journal and every body: nothing was altered, removed or put in another order
    Verify,
}

/// `audit list`.
#[derive(Debug, Args)]
pub struct AuditArguments {
    /// Only those made by this one: a user, token:NAME or api-token
    #[arg(long)]
    pub who: Option<String>,
    /// Only those of this kind, such as partner-paused
    #[arg(long)]
    pub what: Option<String>,
    /// Only those on this object, such as partner:customs; a trailing colon stands for all of the kind
    #[arg(long)]
    pub on: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    pub limit: u16,
    /// Only those before this frame of the journal
    #[arg(long)]
    pub before: Option<u64>,
    /// Show it again and again, every 2 seconds or as given
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2")]
    pub watch: Option<u16>,
}

/// Runs `user …`.
pub fn user(context: &mut Context<'_>, command: &UserCommand) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let voice = &mut context.voice;
    match command {
        UserCommand::List => users(voice, &api)?,
        UserCommand::Add { name, role, password_file, reason } => {
            let given = password_file.as_deref().map(password).transpose()?;
            let made = given.is_none().then(|| random::hex(12));
            let password = given.or_else(|| made.clone());
            let body = json!({ "name": name, "role": role, "password": password, "reason": reason });
            let user: UserWire = block_on(api.post("/api/v1/users", &body))?;
            if voice.json {
                voice.value(&json!({ "user": user, "password": made }))?;
            } else {
                voice.say(&bilingual!("已添加用户 {name}", "user {name} is added"))?;
                if let Some(made) = made {
                    voice.say(&bilingual!("密码（仅显示这一次）：{made}", "password, shown this once: {made}"))?;
                }
            }
        }
        UserCommand::Change { name, role, password_file, no_totp, reason } => {
            let password = password_file.as_deref().map(password).transpose()?;
            let mut body = json!({ "role": role, "password": password, "reason": reason });
            if *no_totp {
                body["totp"] = json!(false);
            }
            let user: UserWire = block_on(api.patch(&format!("/api/v1/users/{}", encoded(name)), &body))?;
            tell(voice, &user, &bilingual!("已修改用户 {name}", "user {name} is changed"))?;
        }
        UserCommand::Remove { name } => {
            block_on(api.delete(&format!("/api/v1/users/{}", encoded(name))))?;
            let body = json!({ "removed": name });
            tell(voice, &body, &bilingual!("已删除用户 {name}", "user {name} is removed"))?;
        }
    }
    Ok(ExitCode::Done)
}

fn password(file: &std::path::Path) -> Result<String, Failure> {
    let line = load::secret_line(file);
    let line = line.map_err(|error| Failure::new(ExitCode::Usage, error.code(), error.text()))?;
    Ok(line.expose().clone())
}

fn tell(
    voice: &mut Voice<'_>,
    value: &impl serde::Serialize,
    text: &crate::ground::text::Bilingual,
) -> std::io::Result<()> {
    if voice.json { voice.value(value) } else { voice.say(text) }
}

fn users(voice: &mut Voice<'_>, api: &ApiClient) -> Result<(), Failure> {
    let list: UserList = block_on(api.get("/api/v1/users"))?;
    if voice.json {
        return Ok(voice.value(&list)?);
    }
    let headings = [
        bilingual!("用户", "user"),
        bilingual!("角色", "role"),
        bilingual!("动态码", "codes"),
        bilingual!("创建", "created"),
        bilingual!("最近登录", "last sign-in"),
    ];
    let rows: Vec<Vec<String>> = list.users.iter().map(|user| user_row(voice, user)).collect();
    Ok(output::table(voice, &headings, &rows)?)
}

fn user_row(voice: &Voice<'_>, user: &UserWire) -> Vec<String> {
    let role = match user.role {
        Role::Viewer => bilingual!("查看者", "viewer"),
        Role::Operator => bilingual!("操作员", "operator"),
        Role::Admin => bilingual!("管理员", "admin"),
    };
    vec![
        user.name.clone(),
        role.text(voice.language).to_owned(),
        if user.totp { "✓" } else { "" }.to_owned(),
        output::local_time(user.created),
        user.last_login.map(output::local_time).unwrap_or_default(),
    ]
}

/// Runs `token …`.
pub fn token(context: &mut Context<'_>, command: &TokenCommand) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let voice = &mut context.voice;
    match command {
        TokenCommand::List => tokens(voice, &api)?,
        TokenCommand::Create { name, scope, days, reason } => {
            let body = NewToken { name: name.clone(), scope: *scope, days: *days, reason: reason.clone() };
            let made: MadeToken = block_on(api.post("/api/v1/tokens", &body))?;
            if voice.json {
                voice.value(&made)?;
            } else {
                let until = output::local_time(made.line.expires);
                voice.say(&bilingual!(
                    "令牌 {name} 有效至 {until}，仅显示这一次：",
                    "token {name} works until {until}, shown this once:"
                ))?;
                voice.line(&made.token)?;
            }
        }
        TokenCommand::Revoke { id } => {
            block_on(api.delete(&format!("/api/v1/tokens/{}", encoded(id))))?;
            tell(voice, &json!({ "revoked": id }), &bilingual!("已吊销令牌 {id}", "token {id} is revoked"))?;
        }
    }
    Ok(ExitCode::Done)
}

fn tokens(voice: &mut Voice<'_>, api: &ApiClient) -> Result<(), Failure> {
    let list: TokenList = block_on(api.get("/api/v1/tokens"))?;
    if voice.json {
        return Ok(voice.value(&list)?);
    }
    let headings = [
        bilingual!("编号", "id"),
        bilingual!("名称", "name"),
        bilingual!("权限", "scope"),
        bilingual!("有效至", "until"),
        bilingual!("最近使用", "last used"),
        bilingual!("创建者", "by"),
    ];
    let row = |token: &crate::console::wire::people::TokenWire| {
        let scope = match token.scope {
            Scope::Read => "read",
            Scope::Operate => "operate",
            Scope::Admin => "admin",
        };
        let used = token.last_used.map(output::local_time).unwrap_or_default();
        let until = output::local_time(token.expires);
        vec![token.id.clone(), token.name.clone(), scope.to_owned(), until, used, token.by.clone()]
    };
    let rows: Vec<Vec<String>> = list.tokens.iter().map(row).collect();
    Ok(output::table(voice, &headings, &rows)?)
}

/// Runs `audit …`.
pub fn audit(context: &mut Context<'_>, command: &AuditCommand) -> Result<ExitCode, Failure> {
    let api = ApiClient::from_config(context)?;
    let voice = &mut context.voice;
    match command {
        AuditCommand::List(arguments) => output::watched(voice, arguments.watch, |voice| trail(voice, &api, arguments)),
        AuditCommand::Verify => {
            let report: JournalWire = block_on(api.post("/api/v1/journal/verify", &json!({})))?;
            let JournalWire { frames, bodies, head, .. } = &report;
            let text = bilingual!(
                "日志完好：{frames} 帧首尾相连，{bodies} 份内容与其摘要一致；末帧哈希 {head}",
                "the journal holds: {frames} frames in one chain, {bodies} bodies as their digests say; the last hash is {head}"
            );
            tell(voice, &report, &text)?;
            Ok(ExitCode::Done)
        }
    }
}

fn trail(voice: &mut Voice<'_>, api: &ApiClient, arguments: &AuditArguments) -> Result<ExitCode, Failure> {
    let AuditArguments { who, what, on, limit, before, .. } = arguments;
    let narrowing = [("who", who.clone()), ("what", what.clone()), ("on", on.clone())];
    let before = before.map(|before| before.to_string());
    let list: TrailList = block_on(pages::read(api, "/api/v1/audit", &narrowing, *limit, before))?;
    if voice.json {
        voice.value(&list)?;
        return Ok(ExitCode::Done);
    }
    print_trail(voice, &list)?;
    Ok(ExitCode::Done)
}

/// The trail as a table.
pub(super) fn print_trail(voice: &mut Voice<'_>, list: &TrailList) -> std::io::Result<()> {
    if list.entries.is_empty() {
        return voice.say(&bilingual!("没有符合条件的记录", "no change fits"));
    }
    let headings = [
        bilingual!("序号", "frame"),
        bilingual!("时间", "when"),
        bilingual!("谁", "who"),
        bilingual!("操作", "what"),
        bilingual!("对象", "on"),
        bilingual!("变化", "change"),
        bilingual!("原因", "why"),
    ];
    let rows: Vec<Vec<String>> = list.entries.iter().map(entry_row).collect();
    output::table(voice, &headings, &rows)?;
    if let Some(next) = list.next {
        voice.say(&bilingual!("还有更多：--before {next}", "there are more: --before {next}"))?;
    }
    Ok(())
}

fn entry_row(entry: &EntryWire) -> Vec<String> {
    let shown = |value: &Option<serde_json::Value>| match value {
        None => String::new(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    };
    let (before, after) = (shown(&entry.before), shown(&entry.after));
    let change = if before.is_empty() { after } else { format!("{before} → {after}") };
    vec![
        entry.sequence.to_string(),
        output::local_time(entry.at),
        entry.who.clone(),
        entry.what.clone(),
        entry.on.clone(),
        change,
        entry.reason.clone().unwrap_or_default(),
    ]
}

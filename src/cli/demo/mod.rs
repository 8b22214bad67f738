//! `dxgate demo`: the whole road on one machine. A gateway and a testbed on loopback; real declarations dropped into the
//! outbox as an ERP would; MDNs verified; business receipts in the inbox; a table at the end.

pub(super) mod homes;
mod progress;
mod table;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use self::homes::{DXPID, Homes, HomesPlan};
use self::progress::Progress;
use self::table::Row;
use super::exit_code::ExitCode;
use super::voice::Voice;
use crate::app::{self, Role, Running};
use crate::bilingual;
use crate::config::{self, Config};
use crate::declaration::{family, sample};
use crate::ground::clock::{Clock, SystemClock};
use crate::ground::text::Bilingual;
use crate::store::Filter;
use crate::store::record::{Direction, Message, State};
use crate::testbed::{Scenario, Setting};

/// Longest time the demonstration may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Options of the command.
#[derive(Debug, Clone, clap::Args)]
pub struct DemoOptions {
    /// Stay up afterwards and say where to drop files; end with Ctrl-C.
    #[arg(long)]
    pub keep: bool,
    /// Make the two homes below this (new or empty) folder instead of a temporary one.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Business documents in each declaration, 1 to 100.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub documents: u32,
}

/// Why the demonstration could not run.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    /// Files or ports.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A home that we wrote ourselves has problems.
    #[error("{0}")]
    Config(#[from] config::Problems),
    /// One of the two gateways did not start.
    #[error("{0}")]
    Start(#[from] app::StartError),
}

impl DemoError {
    /// What is wrong and what to do.
    pub fn text(&self) -> Bilingual {
        match self {
            DemoError::Start(error) => error.text(),
            DemoError::Config(problems) => {
                bilingual!("演示配置有误：{problems}", "the demonstration's configuration is wrong: {problems}")
            }
            DemoError::Io(error) => bilingual!(
                "演示所需的文件或端口不可用：{error}。可用 --dir 指定一个空文件夹。",
                "a file or port that the demonstration needs is not usable: {error}. Name an empty folder with --dir."
            ),
        }
    }
}

/// Runs the demonstration; [`ExitCode::Done`] only if every declaration got its MDN and its business receipt.
pub async fn run(options: &DemoOptions, voice: &mut Voice<'_>) -> Result<ExitCode, DemoError> {
    let temporary = tempfile::Builder::new().prefix("dxgate-demo-").tempdir()?;
    let root = options.dir.clone().unwrap_or_else(|| temporary.path().to_owned());
    let homes = Homes::create(&root, &HomesPlan::default(), SystemClock.now())?;
    let customs = start(&homes.customs, Role::Testbed(Setting { scenario: Scenario::brief(), control: None })).await?;
    let enterprise = start(&homes.enterprise, Role::Gateway).await?;
    if !voice.json {
        introduce(&homes, &enterprise, &customs, voice)?;
    }
    let files = drop_samples(&homes, options.documents, SystemClock.now())?;
    let rows = watch(&homes, &enterprise, &files, voice).await;
    table::show(&rows, voice)?;
    if options.keep {
        stay(&homes, &enterprise, voice).await?;
    }
    enterprise.stop().await;
    customs.stop().await;
    let all = rows.len() == files.len() && rows.iter().all(Row::is_complete);
    Ok(if all { ExitCode::Done } else { ExitCode::No })
}

async fn start(home: &Path, role: Role) -> Result<Running, DemoError> {
    let config: Config = config::load(&home.join("gateway.toml"), &|_| None, SystemClock.now())?;
    app::start_logging(&config.log);
    Ok(app::start(config, role, Arc::new(SystemClock)).await?)
}

/// Writes the declarations beside the outbox and renames them into it, as a careful ERP does.
fn drop_samples(homes: &Homes, documents: u32, now: Timestamp) -> io::Result<Vec<String>> {
    let count = usize::try_from(documents).unwrap_or(1);
    let seed = u64::try_from(now.as_second()).unwrap_or(1);
    let samples = [
        ("import-order.CEB311.xml", sample::order(count, DXPID, now, seed)),
        ("import-list.CEB621.xml", sample::inventory(count, DXPID, now, seed)),
        ("export-order.CEB303.xml", sample::export_order(count, DXPID, now, seed)),
        ("export-list.CEB603.xml", sample::export_inventory(count, DXPID, now, seed)),
    ];
    let outbox = homes.folder("outbox");
    crate::ground::durable::create_dir_all(&outbox)?;
    for (name, bytes) in &samples {
        crate::ground::durable::write_new(&outbox.join(name), bytes)?;
    }
    Ok(samples.iter().map(|(name, _)| (*name).to_owned()).collect())
}

/// Looks until every declaration has its MDN and receipt, one of them failed, or patience ends.
async fn watch(homes: &Homes, gateway: &Running, files: &[String], voice: &Voice<'_>) -> Vec<Row> {
    let begun = Instant::now();
    let mut progress = Progress::new(files, voice);
    loop {
        let filter = Filter { direction: Some(Direction::Outbound), limit: 100, ..Filter::default() };
        let sent = gateway.backend.list(&filter);
        let filter = Filter { direction: Some(Direction::Inbound), limit: 100, ..Filter::default() };
        let received = gateway.backend.list(&filter);
        let row = |file: &String| row(homes, file, sent.iter().find(|message| message.file_name == *file), &received);
        let rows: Vec<Row> = files.iter().map(row).collect();
        progress.show(&rows);
        let settled = rows.iter().all(|row| row.is_complete() || row.has_failed());
        if settled || begun.elapsed() > PATIENCE {
            progress.finish();
            return rows;
        }
        tokio::time::sleep(LOOK).await;
    }
}

fn row(homes: &Homes, file: &str, message: Option<&Message>, received: &[Message]) -> Row {
    let receipt = message.and_then(|message| received.iter().find(|answer| answers(message, answer)));
    let published = receipt.and_then(|receipt| {
        let path = homes.folder("inbox").join(&receipt.file_name);
        path.is_file().then(|| (receipt.file_name.clone(), receipt.created))
    });
    Row::new(file, message, receipt, published)
}

/// A business receipt answers a declaration when it has the receipt's type and shares a business key with it.
fn answers(sent: &Message, received: &Message) -> bool {
    let (Some(declaration), Some(receipt)) = (&sent.declaration, &received.declaration) else { return false };
    received.state == State::Accepted
        && family::receipt_type(&declaration.message_type) == Some(receipt.message_type.as_str())
        && receipt.keys.iter().any(|key| declaration.keys.contains(key))
}

fn introduce(homes: &Homes, enterprise: &Running, customs: &Running, voice: &mut Voice<'_>) -> io::Result<()> {
    let (ours, theirs, home) = (enterprise.as2, customs.as2, homes.enterprise.display());
    voice.paragraph(&bilingual!(
        "企业网关 {ours}  ⇄  海关测试端 {theirs}（AS2，签名 + 加密，同步签名 MDN；报文由网关用 SM2 签名）\n目录：{home}",
        "enterprise gateway {ours}  <->  customs testbed {theirs} (AS2, signed + encrypted, synchronous signed MDN; the gateway signs each declaration with SM2)\nhome: {home}"
    ))
}

async fn stay(homes: &Homes, gateway: &Running, voice: &mut Voice<'_>) -> io::Result<()> {
    let (outbox, inbox, receipts) = (homes.folder("outbox"), homes.folder("inbox"), homes.folder("receipts"));
    let (outbox, inbox, receipts) = (outbox.display(), inbox.display(), receipts.display());
    let (config, console) = (homes.enterprise.join("gateway.toml"), gateway.console);
    let config = config.display();
    voice.paragraph(&bilingual!(
        "\n继续运行。把 CEB 报文放入：\n  {outbox}\n回执出现在：\n  {receipts}\n  {inbox}\n查看报文：dxgate messages list --config {config}（API {console}）\n按 Ctrl-C 结束。",
        "\nStaying up. Drop CEB messages into\n  {outbox}\nReceipts appear in\n  {receipts}\n  {inbox}\nLook at messages: dxgate messages list --config {config} (API {console})\nCtrl-C ends it."
    ))?;
    voice.out.flush()?;
    tokio::signal::ctrl_c().await
}

//! The loop around [`scan`](super::scan): every outbox is swept periodically; a folder watcher only wakes it earlier.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, CreateKind, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::intake::{Claimed, IntakeError, NotTaken};
use super::scan::{self, Claim, Hint, Hints, Moment, Outbox, Sweep};
use super::{Outbound, disk_nearly_full};
use crate::ground::drain::{self, Shutdown};
use crate::ground::durable::{self, DurableError};
use crate::ground::id::Id;
use crate::store::publisher::{STAGING, prepare_staging};
use crate::store::record::Reason;

/// Claims in work at a time: enough to share group commits, few enough to bound memory.
const IN_WORK: usize = 64;
/// Files about which something is remembered; beyond, each waits for its settle time.
const HINTS: usize = 200_000;
/// Files already claimed are looked at again this often, should an earlier try have failed.
const LEFTOVERS_EVERY: Duration = Duration::from_secs(30);
/// The same after one could not be taken.
const LEFTOVERS_SOON: Duration = Duration::from_secs(3);

/// Watches folders and remembers what it saw until the next sweep.
struct Watch {
    watcher: Option<RecommendedWatcher>,
    hints: Hints,
    news: Arc<Mutex<News>>,
    wake: Arc<Notify>,
}

/// What was seen since the last sweep.
#[derive(Default)]
struct News {
    /// `None` takes back what was seen before.
    seen: HashMap<PathBuf, Option<Hint>>,
    /// Events were lost, so nothing that was seen before the last sweep holds any more.
    lost: bool,
}

impl Watch {
    fn new() -> Watch {
        let news: Arc<Mutex<News>> = Arc::default();
        let wake = Arc::new(Notify::new());
        let (known, waker) = (news.clone(), wake.clone());
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Our own looks raise events too: only news about a file wakes, or that events were lost.
            if remember(&known, &event) {
                waker.notify_one();
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, "no folder notifications; outboxes are swept periodically");
        }
        Watch { watcher: watcher.ok(), hints: Hints::new(), news, wake }
    }

    fn add(&mut self, folder: &Path) {
        if let Some(watcher) = &mut self.watcher
            && let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive)
        {
            tracing::warn!(%error, folder = %folder.display(), "no notifications for this outbox; it is swept periodically");
        }
    }

    /// Everything that is known, to be [given back](Watch::give_back) after the sweep.
    fn take(&mut self) -> Hints {
        let news = std::mem::take(&mut *self.news.lock().unwrap_or_else(PoisonError::into_inner));
        if news.lost {
            self.hints.clear();
        }
        for (path, hint) in news.seen {
            match hint {
                Some(hint) => drop(self.hints.insert(path, hint)),
                None => drop(self.hints.remove(&path)),
            }
        }
        std::mem::take(&mut self.hints)
    }

    fn give_back(&mut self, hints: Hints) {
        self.hints = hints;
    }

    fn forget(&mut self, claims: &[Claim], folder: &Path) {
        for claim in claims {
            self.hints.remove(&folder.join(&claim.file_name));
        }
        if self.hints.len() > HINTS {
            self.hints.clear();
        }
    }
}

/// Whether a file became complete, or nobody knows what happened.
fn remember(news: &Mutex<News>, event: &notify::Result<notify::Event>) -> bool {
    let Some(event) = event.as_ref().ok().filter(|event| !event.need_rescan()) else {
        *news.lock().unwrap_or_else(PoisonError::into_inner) = News { lost: true, ..News::default() };
        return true;
    };
    let hint = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(Hint::Closed),
        EventKind::Modify(ModifyKind::Name(RenameMode::To)) => Some(Hint::MovedIn),
        // Gone, or being written (again): what was said before no longer holds.
        EventKind::Create(CreateKind::File | CreateKind::Folder)
        | EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Name(RenameMode::From))
        | EventKind::Remove(_) => None,
        _ => return false,
    };
    let mut known = news.lock().unwrap_or_else(PoisonError::into_inner);
    let mut complete = false;
    for path in event.paths.iter().filter(|path| scan::is_candidate(path)) {
        known.seen.insert(path.clone(), hint);
        complete |= hint.is_some();
    }
    complete
}

/// Claims in work; each ends with its id and whether it was taken.
type InWork = JoinSet<(Id, bool)>;
/// Files that may be taken, by partner; partners that are not named share the places in work.
type Rooms = HashMap<String, usize>;

/// Leaves the places that these claims will take.
fn take_places(rooms: &mut Rooms, claims: &[Claim]) {
    for claim in claims {
        if let Some(room) = rooms.get_mut(&claim.partner) {
            *room = room.saturating_sub(1);
        }
    }
}

/// The outboxes as last swept.
type Outboxes = HashMap<String, Outbox>;

impl Outbound {
    /// Sweeps until shutdown; returns when every claim in work is recorded.
    pub async fn run_sweeps(self, shutdown: Shutdown) {
        let mut watch = Watch::new();
        let mut outboxes = Outboxes::new();
        let mut in_work: InWork = JoinSet::new();
        let mut ids = HashSet::new();
        let permits = Arc::new(Semaphore::new(IN_WORK));
        let mut leftovers_at = Instant::now();
        while !shutdown.is_triggered() && self.store.poisoned().is_none() {
            self.renew(&mut outboxes, &mut watch);
            let mut claims = Vec::new();
            let mut rooms = self.rooms();
            if leftovers_at <= Instant::now() {
                let mut left;
                (outboxes, left) = self.leftovers(outboxes).await;
                left.retain(|claim| !ids.contains(&claim.id));
                leftovers_at = Instant::now() + LEFTOVERS_EVERY;
                take_places(&mut rooms, &left);
                claims.extend(left.into_iter().map(|claim| (claim, Claimed::Before)));
            }
            if self.is_short_of_space() {
                self.rest(&watch, false, &shutdown).await;
                continue;
            }
            let (swept, hints);
            (outboxes, hints, swept) = self.sweep_all(outboxes, watch.take(), rooms).await;
            watch.give_back(hints);
            let (mut more, mut unsettled) = (false, false);
            for (partner, folder, sweep) in swept {
                watch.forget(&sweep.claims, &folder);
                if let Some(cause) = sweep.failed_sync {
                    self.store.poison(cause);
                }
                sweep.troubles.iter().for_each(|trouble| self.remember_trouble(Some(&partner), trouble));
                sweep.mended.iter().for_each(|path| self.troubles.forget(path));
                claims.extend(sweep.claims.into_iter().map(|claim| (claim, Claimed::Now)));
                more |= sweep.more;
                unsettled |= sweep.unsettled;
            }
            ids.extend(claims.iter().map(|(claim, _)| claim.id));
            for left in self.start_work(claims, &permits, &mut in_work).await {
                ids.remove(&left);
                leftovers_at = leftovers_at.min(Instant::now() + LEFTOVERS_SOON);
            }
            while let Some(finished) = in_work.try_join_next() {
                match finished {
                    Ok((id, taken)) => {
                        ids.remove(&id);
                        if !taken {
                            leftovers_at = leftovers_at.min(Instant::now() + LEFTOVERS_SOON);
                        }
                    }
                    Err(error) => tracing::error!(%error, "taking up a file ended unexpectedly; it stays claimed"),
                }
            }
            if in_work.is_empty() {
                ids.clear();
            }
            if !more {
                self.rest(&watch, unsettled, &shutdown).await;
            }
        }
        self.signing.stop();
        while in_work.join_next().await.is_some() {}
    }

    /// Starts work on claims as places come free; those that found none among their partner's are left claimed.
    async fn start_work(
        &self,
        claims: Vec<(Claim, Claimed)>,
        permits: &Arc<Semaphore>,
        in_work: &mut InWork,
    ) -> Vec<Id> {
        let mut left = Vec::new();
        for (claim, claimed) in claims {
            let own = self.enabled_partner(&claim.partner).ok().and_then(|partner| self.signing.places(&partner));
            let permit = match &own {
                Some(places) => places.clone().try_acquire_owned().ok(),
                None => permits.clone().acquire_owned().await.ok(),
            };
            let Some(permit) = permit else {
                left.push(claim.id);
                continue;
            };
            let flow = self.clone();
            in_work.spawn(async move {
                let taken = flow.take(claim.clone(), claimed).await;
                match &taken {
                    Ok(()) => {
                        flow.troubles.forget(&claim.path);
                        flow.signing.resume(&claim.partner);
                    }
                    Err(error) => {
                        if matches!(error, NotTaken::Unrecorded(IntakeError::Signing(_))) {
                            flow.signing.pause(&claim.partner);
                        }
                        flow.remember_trouble(Some(&claim.partner), &error.trouble(&claim));
                    }
                }
                flow.signing.leave(permit);
                (claim.id, taken.is_ok())
            });
        }
        left
    }

    /// How many more files may be taken of partners whose declarations wait for a key.
    fn rooms(&self) -> Rooms {
        let directory = self.directory.load();
        directory.all().filter_map(|partner| Some((partner.id.clone(), self.signing.room(partner)?))).collect()
    }

    /// Below the floor nothing new is taken; files wait in their outboxes.
    fn is_short_of_space(&self) -> bool {
        let (data, free) = (&self.settings.data, durable::free_space(&self.settings.data).unwrap_or(u64::MAX));
        if free >= self.settings.free_space_floor && !self.store.is_full() {
            self.troubles.forget(data);
            return false;
        }
        self.remember_trouble(None, &scan::Trouble { path: data.clone(), reason: disk_nearly_full(free) });
        true
    }

    async fn rest(&self, watch: &Watch, unsettled: bool, shutdown: &Shutdown) {
        let pause = if unsettled { self.settings.settle / 5 } else { self.settings.sweep };
        tokio::select! {
            () = watch.wake.notified() => {}
            () = self.signing.freed() => {}
            () = tokio::time::sleep(pause.max(Duration::from_millis(20))) => {}
            () = shutdown.triggered() => {}
        }
    }

    /// One outbox per enabled partner of the current directory.
    fn renew(&self, outboxes: &mut Outboxes, watch: &mut Watch) {
        let directory = self.directory.load();
        let is_swept = |id: &str| directory.by_id(id).is_some_and(|partner| partner.enabled);
        outboxes.retain(|id, _| is_swept(id));
        self.troubles.keep_partners(is_swept);
        for partner in directory.all().filter(|partner| partner.enabled) {
            let folders = partner.delivery.folders_as_messages.then_some(self.limits.attachments);
            if let Some(outbox) = outboxes.get_mut(&partner.id) {
                outbox.take_folders(folders);
                continue;
            }
            let home = self.settings.exchange.join(&partner.id);
            let prepared = prepare_folders(&home).and_then(|()| prepare_staging(&self.store, &home, &partner.id));
            if let Err(error) = prepared {
                let trouble = Reason { code: error.code().to_owned(), text: error.text() };
                self.store.judge_sync(error.into());
                self.remember_trouble(Some(&partner.id), &scan::Trouble { path: home, reason: trouble });
                continue;
            }
            self.troubles.forget(&home);
            let mut outbox = Outbox::new(&partner.id, &home, self.settings.settle, &self.settings.ignore);
            outbox.take_folders(folders);
            watch.add(outbox.folder());
            outboxes.insert(partner.id.clone(), outbox);
        }
    }

    async fn sweep_all(
        &self,
        mut outboxes: Outboxes,
        mut hints: Hints,
        rooms: Rooms,
    ) -> (Outboxes, Hints, Vec<(String, PathBuf, Sweep)>) {
        let clock = self.clock.clone();
        let work = move || {
            let mut swept = Vec::with_capacity(outboxes.len());
            let now = || Moment { time: clock.now(), instant: Instant::now() };
            for (partner, outbox) in &mut outboxes {
                let sweep = match rooms.get(partner) {
                    // What is there is looked at when there is room again.
                    Some(0) => continue,
                    Some(room) => outbox.sweep_at_most(*room, now(), &mut hints),
                    None => outbox.sweep(now(), &mut hints),
                };
                swept.push((partner.clone(), outbox.folder().to_owned(), sweep));
            }
            (outboxes, hints, swept)
        };
        drain::blocking(work).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a sweep ended unexpectedly; the outboxes are read anew");
            (Outboxes::new(), Hints::new(), Vec::new())
        })
    }

    /// What earlier tries left claimed. Two folders of each partner are synced for that.
    async fn leftovers(&self, outboxes: Outboxes) -> (Outboxes, Vec<Claim>) {
        let work = move || {
            let look = |(partner, outbox): (&String, &Outbox)| {
                (partner.clone(), outbox.folder().with_file_name(scan::CLAIMED), outbox.leftovers())
            };
            let looked: Vec<(String, PathBuf, io::Result<Vec<Claim>>)> = outboxes.iter().map(look).collect();
            (outboxes, looked)
        };
        let (outboxes, looked) = drain::blocking(work).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a look for claimed files ended unexpectedly; the outboxes are read anew");
            (Outboxes::new(), Vec::new())
        });
        let mut claims = Vec::new();
        for (partner, folder, found) in looked {
            match found {
                Ok(found) => {
                    self.troubles.forget(&folder);
                    self.troubles.keep_claimed(&folder, &found);
                    claims.extend(found);
                }
                Err(error) => {
                    let error = self.store.judge_sync(error);
                    tracing::error!(%error, folder = %folder.display(), "claimed files cannot be listed");
                    let reason = scan::folder_unreadable(&folder, &error);
                    self.remember_trouble(Some(&partner), &scan::Trouble { path: folder, reason });
                }
            }
        }
        (outboxes, claims)
    }
}

/// Makes every folder of the contract with users in a partner's `home`, and the hidden one of claims. They must lie on
/// one filesystem, since files move between them by rename. The staging folder is not made here: what is in it counts, and
/// what is missing ([`prepare_staging`]).
///
/// # Errors
/// One cannot be made, or lies on another filesystem.
pub fn prepare_folders(home: &Path) -> Result<(), DurableError> {
    for name in ["outbox", "sent", "rejected", "failed", "receipts", "inbox", scan::CLAIMED] {
        let folder = home.join(name);
        durable::create_dir_all(&folder)?;
        durable::require_same_filesystem(home, &folder)?;
    }
    let staging = home.join(STAGING);
    if staging.is_dir() { durable::require_same_filesystem(home, &staging) } else { Ok(()) }
}

#[cfg(test)]
#[path = "sweep_tests.rs"]
mod tests;

//! What a watcher's events say of files until the next sweep, event by event.

use notify::Event;
use notify::event::{DataChange, Flag, RemoveKind};

use super::*;

/// Without a watcher: the tests tell what happens.
fn watch() -> Watch {
    Watch { watcher: None, hints: Hints::new(), news: Arc::default(), wake: Arc::default() }
}

/// Whether it wakes the sweeps.
fn wakes(watch: &Watch, kind: EventKind, path: &str) -> bool {
    remember(&watch.news, &Ok(Event::new(kind).add_path(path.into())))
}

const MOVED_IN: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));

#[test]
fn what_is_gone_or_written_anew_is_not_known_as_complete_any_more() {
    let path = "/x/customs/outbox/batch";
    let moved_in = Hints::from([(PathBuf::from(path), Hint::MovedIn)]);
    for kind in [
        EventKind::Create(CreateKind::File),
        EventKind::Create(CreateKind::Folder),
        EventKind::Modify(ModifyKind::Data(DataChange::Any)),
        EventKind::Modify(ModifyKind::Name(RenameMode::From)),
        EventKind::Remove(RemoveKind::File),
        EventKind::Remove(RemoveKind::Folder),
    ] {
        let mut watch = watch();
        assert!(wakes(&watch, MOVED_IN, path));
        // A sweep could not take it.
        let hints = watch.take();
        assert_eq!(hints, moved_in);
        watch.give_back(hints);
        assert!(!wakes(&watch, kind, path), "{kind:?}");
        assert_eq!(watch.take(), Hints::new(), "{kind:?}");
        // Between two sweeps the last word counts.
        wakes(&watch, kind, path);
        wakes(&watch, MOVED_IN, path);
        assert_eq!(watch.take(), moved_in, "{kind:?}");
        wakes(&watch, MOVED_IN, path);
        wakes(&watch, kind, path);
        assert_eq!(watch.take(), Hints::new(), "{kind:?}");
    }
}

#[test]
fn once_events_were_lost_nothing_that_was_seen_before_counts() {
    let overflow = || Event::new(EventKind::Other).set_flag(Flag::Rescan);
    for lost in [Ok(overflow()), Err(notify::Error::generic("unreadable"))] {
        let mut watch = watch();
        wakes(&watch, MOVED_IN, "/x/customs/outbox/known");
        let hints = watch.take();
        watch.give_back(hints);
        wakes(&watch, MOVED_IN, "/x/customs/outbox/before");
        assert!(remember(&watch.news, &lost), "it has to look: {lost:?}");
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert!(wakes(&watch, closed, "/x/customs/outbox/after"));
        assert_eq!(watch.take(), Hints::from([("/x/customs/outbox/after".into(), Hint::Closed)]));
    }
}

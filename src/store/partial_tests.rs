use super::*;

struct Folder {
    dir: tempfile::TempDir,
    partials: Partials,
}

impl Folder {
    fn new() -> Folder {
        let dir = tempfile::tempdir().unwrap();
        for name in ["partial", "bodies"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        let partials = Partials::new(&dir.path().join("partial"), Arc::new(DirSync::new(&dir.path().join("bodies"))));
        Folder { dir, partials }
    }

    fn files(&self, folder: &str) -> usize {
        fs::read_dir(self.dir.path().join(folder)).unwrap().count()
    }

    /// Writes `bytes` from `from` on, and breaks off there unless that is all.
    fn write(&self, mark: &Mark, from: u64, bytes: &[u8], total: u64) -> Option<super::super::record::Body> {
        let wanted = Wanted { mark, message_id: "<1@a>", total, from, room: 1000 };
        let Taken { mut writer, turn: _turn } = self.partials.take(&wanted, id()).ok().unwrap();
        writer.write_all(bytes).unwrap();
        (from + bytes.len() as u64 == total).then(|| writer.finish().unwrap())
    }
}

fn id() -> Id {
    Id::new(Timestamp::UNIX_EPOCH)
}

fn mark(etag: &str) -> Mark {
    Mark::new(&["them", "us"], etag)
}

#[test]
fn a_body_goes_on_where_its_connection_broke_off_and_has_the_digest_of_the_whole() {
    let folder = Folder::new();
    assert_eq!(folder.partials.held(&mark("a")), Some(0));
    assert!(folder.write(&mark("a"), 0, b"hello ", 11).is_none());
    assert_eq!(folder.partials.held(&mark("a")), Some(6));
    // The sender may go back behind what is here.
    assert!(folder.write(&mark("a"), 3, b"lo", 11).is_none());
    assert_eq!(folder.partials.held(&mark("a")), Some(5));
    let body = folder.write(&mark("a"), 5, b" world", 11).unwrap();
    assert_eq!((body.len, body.sha256), (11, Some(Sha256::digest(b"hello world").into())));
    let path = super::super::body::path(&folder.dir.path().join("bodies"), &body.id);
    assert_eq!(fs::read(&path).unwrap(), b"hello world");
    // The answer was lost: the last byte comes again, and the body that a fact may name by now stays as it is.
    assert_eq!(folder.partials.held(&mark("a")), Some(11));
    let again = folder.write(&mark("a"), 10, b"D", 11).unwrap();
    assert_eq!(again.sha256, Some(<[u8; 32]>::from(Sha256::digest(b"hello worlD"))));
    assert_eq!(fs::read(&path).unwrap(), b"hello world");
    assert_eq!(folder.files("bodies"), 2);
}

#[test]
fn nothing_is_found_under_another_mark_owner_length_or_message_id() {
    let folder = Folder::new();
    folder.write(&mark("a"), 0, b"hello ", 11);
    for other in [mark("b"), Mark::new(&["others", "us"], "a"), Mark::new(&["them", "usa"], "")] {
        assert_eq!(folder.partials.held(&other), Some(0));
    }
    let own = mark("a");
    let wanted = |message_id, total| Wanted { mark: &own, message_id, total, from: 6, room: 1000 };
    for wanted in [wanted("<2@a>", 11), wanted("<1@a>", 12)] {
        folder.write(&own, 0, b"hello ", 11);
        assert!(matches!(folder.partials.take(&wanted, id()), Err(NotTaken::Beyond(0))));
        assert_eq!(folder.partials.held(&own), Some(0), "it is another body, so the earlier one is given up");
    }
    folder.write(&own, 0, b"hello ", 11);
    let beyond = Wanted { from: 7, ..wanted("<1@a>", 11) };
    assert!(matches!(folder.partials.take(&beyond, id()), Err(NotTaken::Beyond(6))));
}

#[test]
fn a_body_is_written_by_one_request_at_a_time() {
    let folder = Folder::new();
    let own = mark("a");
    let wanted = Wanted { mark: &own, message_id: "<1@a>", total: 11, from: 0, room: 1000 };
    let taken = folder.partials.take(&wanted, id()).ok().unwrap();
    assert!(matches!(folder.partials.take(&wanted, id()), Err(NotTaken::Busy)));
    folder.partials.give_way(0);
    assert_eq!((folder.partials.held(&own), folder.files("partial")), (None, 1));
    drop(taken.writer);
    taken.turn.forget();
    assert_eq!((folder.partials.held(&own), folder.files("partial")), (Some(0), 0));
}

#[test]
fn parts_give_way_to_whole_bodies_only_where_that_makes_room_enough() {
    let folder = Folder::new();
    folder.write(&mark("a"), 0, b"hello ", 11);
    folder.write(&mark("b"), 0, b"world", 11);
    folder.write(&mark("c"), 0, b"all of it", 9).unwrap();
    folder.partials.give_way(12);
    assert_eq!(folder.files("partial"), 3, "removing them would free eleven bytes");
    folder.partials.give_way(11);
    assert_eq!(folder.files("partial"), 0);
}

#[test]
fn a_whole_part_makes_room_once_its_body_is_gone() {
    let folder = Folder::new();
    let body = folder.write(&mark("a"), 0, b"all of it", 9).unwrap();
    fs::remove_file(super::super::body::path(&folder.dir.path().join("bodies"), &body.id)).unwrap();
    folder.partials.give_way(9);
    assert_eq!(folder.files("partial"), 0);
}

#[test]
fn an_owners_files_are_counted_and_weighed_and_the_oldest_give_way() {
    let folder = Folder::new();
    for number in 0..40 {
        folder.write(&mark(&number.to_string()), 0, b"x", 2);
    }
    assert_eq!(folder.files("partial"), MOST);
    let other = Mark::new(&["others", "us"], "a");
    folder.write(&other, 0, b"x", 2);
    assert_eq!(folder.files("partial"), MOST + 1, "one owner does not push out another");
    folder.write(&mark("large"), 0, b"x", 1000);
    assert_eq!((folder.files("partial"), folder.partials.held(&other)), (2, Some(1)));
}

#[test]
fn bodies_that_were_written_at_a_time_keep_to_the_room_of_one_once_they_are_left() {
    let folder = Folder::new();
    let marks: Vec<Mark> = (0..4).map(|number| mark(&number.to_string())).collect();
    let wanted = |mark| Wanted { mark, message_id: "<1@a>", total: 900, from: 0, room: 1000 };
    let mut taken: Vec<Taken> =
        marks.iter().map(|mark| folder.partials.take(&wanted(mark), id()).ok().unwrap()).collect();
    for taken in &mut taken {
        taken.writer.write_all(&[0; 400]).unwrap();
    }
    assert_eq!(folder.files("partial"), 4);
    drop(taken);
    assert_eq!(folder.files("partial"), 2, "three would be more than one body may be");
    // Nor does it push itself out by what is here of it already.
    let kept = marks.iter().find(|mark| folder.partials.held(mark) == Some(400)).unwrap();
    let Taken { mut writer, turn } = folder.partials.take(&Wanted { from: 400, ..wanted(kept) }, id()).ok().unwrap();
    assert_eq!(folder.files("partial"), 1);
    writer.write_all(&[0; 500]).unwrap();
    writer.finish().unwrap();
    drop(turn);
    assert_eq!(folder.partials.held(kept), Some(900));
}

#[test]
fn what_is_whole_gives_way_to_what_is_not() {
    let folder = Folder::new();
    folder.write(&mark("a"), 0, &[0; 400], 900);
    folder.write(&mark("whole"), 0, &[0; 400], 400);
    folder.write(&mark("b"), 0, &[0; 400], 500);
    let held = ["a", "whole", "b"].map(|etag| folder.partials.held(&mark(etag)));
    assert_eq!(held, [Some(400), Some(0), Some(400)]);
}

#[test]
fn what_nobody_goes_on_with_expires() {
    let folder = Folder::new();
    folder.write(&mark("a"), 0, b"x", 2);
    let now = Timestamp::try_from(folder.partials.of("")[0].changed).unwrap();
    let later = |hours| now.checked_add(SignedDuration::from_hours(hours)).unwrap();
    assert_eq!(folder.partials.expire(later(23)), 0);
    assert_eq!(folder.partials.expire(later(25)), 1);
    assert_eq!(folder.files("partial"), 0);
}

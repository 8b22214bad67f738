use super::*;

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_new_file_refuses_a_taken_name_and_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    write_new(&path, b"first").unwrap();
    let error = write_new(&path, b"second").unwrap_err();
    assert_eq!((error.kind(), error.code()), (io::ErrorKind::AlreadyExists, "file-exists"));
    assert!(error.to_string().contains(path.to_str().unwrap()));
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn replace_gives_the_new_content() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a");
    replace(&path, b"first").unwrap();
    replace(&path, b"second").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(names(dir.path()), ["a"]);
}

#[test]
fn an_unpublished_file_disappears() {
    let dir = tempfile::tempdir().unwrap();
    let mut file = NewFile::create_in(dir.path()).unwrap();
    file.write_all(b"half").unwrap();
    assert_eq!(names(dir.path()).len(), 1);
    drop(file);
    assert!(names(dir.path()).is_empty());
}

#[test]
fn a_rename_refuses_or_replaces_as_it_says() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (dir.path().join("a"), dir.path().join("sub/b"));
    create_dir_all(b.parent().unwrap()).unwrap();
    create_dir_all(b.parent().unwrap()).unwrap();
    write_new(&a, b"a").unwrap();
    write_new(&b, b"b").unwrap();
    assert_eq!(rename_noreplace(&a, &b).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    assert_eq!(fs::read(&b).unwrap(), b"b");
    rename(&a, &b).unwrap();
    assert_eq!(fs::read(&b).unwrap(), b"a");
    remove(&b).unwrap();
    assert_eq!(remove(&b).unwrap_err().code(), "file-not-found");
}

#[test]
fn the_second_to_lock_a_directory_is_refused_until_the_first_lets_go() {
    let dir = tempfile::tempdir().unwrap();
    let lock = DirLock::acquire(dir.path()).unwrap();
    let error = DirLock::acquire(dir.path()).unwrap_err();
    assert_eq!(error.code(), "directory-in-use");
    assert!(error.text().en.contains("another dxgate process"));
    drop(lock);
    DirLock::acquire(dir.path()).unwrap();
}

#[test]
fn a_lock_is_let_go_although_a_child_that_is_being_started_still_has_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let lock = DirLock::acquire(dir.path()).unwrap();
    let of_the_child = lock.file.try_clone().unwrap();
    drop(lock);
    DirLock::acquire(dir.path()).unwrap();
    drop(of_the_child);
}

#[test]
fn a_directory_tells_what_it_can_do() {
    let dir = tempfile::tempdir().unwrap();
    probe(dir.path()).unwrap();
    sync_filesystem(dir.path()).unwrap();
    assert!(names(dir.path()).is_empty());
    assert!(same_filesystem(dir.path(), dir.path()).unwrap());
    assert!(free_space(dir.path()).unwrap() > 0);
    filesystem_kind(dir.path()).unwrap();
    assert_eq!(probe(&dir.path().join("absent")).unwrap_err().code(), "file-not-found");
}

#[cfg(target_os = "linux")]
#[test]
fn memory_filesystems_are_not_trusted() {
    let shared = Path::new("/dev/shm");
    if shared.is_dir() && filesystem_kind(shared).unwrap() == FilesystemKind::Memory {
        assert!(!filesystem_kind(shared).unwrap().is_trusted());
    }
}

#[cfg(unix)]
#[test]
fn a_directory_that_cannot_be_opened_is_no_failed_sync_whatever_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (file, endless) = (dir.path().join("a"), dir.path().join("endless"));
    write_new(&file, b"a").unwrap();
    std::os::unix::fs::symlink(&endless, &endless).unwrap();
    // The kinds of the last two are none of those that say that it is not there.
    for unopened in ["absent".to_owned(), "a/below".to_owned(), "x".repeat(300), "endless".to_owned()] {
        let unopened = dir.path().join(unopened);
        let errors = [
            fsync_dir(&unopened).unwrap_err(),
            sync_filesystem(&unopened).unwrap_err(),
            rename(&file, &unopened.join("b")).unwrap_err(),
            rename_noreplace(&file, &unopened.join("b")).unwrap_err(),
            remove(&unopened.join("b")).unwrap_err(),
        ];
        for error in errors {
            assert_eq!((error.step, error.is_failed_sync()), ("open directory", false), "{error}");
        }
    }
    assert_eq!(names(dir.path()), ["a", "endless"]);
    let failed = DurableError { step: "sync directory", path: file, source: io::ErrorKind::NotFound.into() };
    assert!(failed.is_failed_sync());
}

#[test]
fn a_file_that_is_shorter_than_it_is_said_to_be_is_not_gone_on_with() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("part");
    write_new(&path, b"came").unwrap();
    let mut seen = Vec::new();
    let error = NewFile::resume(&path, 5, &mut |bytes| seen.extend_from_slice(bytes)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert_eq!((fs::read(&path).unwrap(), seen.len()), (b"came".to_vec(), 0));
    drop(NewFile::resume(&path, 3, &mut |bytes| seen.extend_from_slice(bytes)).unwrap());
    assert_eq!((fs::read(&path).unwrap(), seen), (b"cam".to_vec(), b"cam".to_vec()));
}

#[cfg(unix)]
#[test]
fn only_regular_files_are_opened() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("a"), dir.path().join("b"));
    write_new(&file, b"a").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    open_regular(&file).unwrap();
    open_regular(&link).unwrap_err();
    assert_eq!(open_regular(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn the_disk_begins_with_a_long_file_before_its_end_and_the_bytes_stay_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let bytes: Vec<u8> = (0..5 * 1024 * 1024u32).flat_map(u32::to_le_bytes).collect();
    let mut file = NewFile::create_in(dir.path()).unwrap();
    for piece in bytes.chunks(300_001) {
        file.write_all(piece).unwrap();
        assert!(file.written - file.begun < WRITTEN_BACK, "{} of {}", file.begun, file.written);
    }
    assert!(file.begun >= 2 * WRITTEN_BACK, "{}", file.begun);
    file.publish(&dir.path().join("long")).unwrap();
    assert!(fs::read(dir.path().join("long")).unwrap() == bytes);
}

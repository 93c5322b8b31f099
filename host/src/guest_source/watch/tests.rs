use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// So long may a busy machine take to tell.
const SOON: Duration = Duration::from_secs(20);
/// Never in a test.
const RARELY: Duration = Duration::from_secs(3_600);

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

async fn told(watcher: &mut Watcher) -> Cause {
    tokio::time::timeout(SOON, watcher.changed()).await.unwrap()
}

/// Whether all that has happened is told already.
async fn is_quiet(watcher: &mut Watcher) -> bool {
    tokio::time::timeout(3 * QUIET, watcher.changed())
        .await
        .is_err()
}

type Change = fn(&TempDir);

fn replace(folder: &TempDir) {
    let next = write(folder, "next", b"2");
    std::fs::rename(next, folder.path().join("guest.wasm")).unwrap();
}

fn rewrite(folder: &TempDir) {
    write(folder, "guest.wasm", b"2");
}

fn remove(folder: &TempDir) {
    std::fs::remove_file(folder.path().join("guest.wasm")).unwrap();
}

fn add(folder: &TempDir) {
    write(folder, "another.wasm", b"2");
}

fn read(folder: &TempDir) {
    std::fs::read(folder.path().join("guest.wasm")).unwrap();
}

async fn is_told_once(what: &str, change: Change, is_folder: bool, expected: bool) {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder, "guest.wasm", b"1");
    let path = if is_folder {
        folder.path().to_owned()
    } else {
        file
    };
    let mut watcher = Watcher::new(&path.into(), RARELY).unwrap();
    change(&folder);
    if expected {
        assert_eq!(told(&mut watcher).await, Cause::Event, "{what} {is_folder}");
    }
    assert!(is_quiet(&mut watcher).await, "{what} {is_folder}");
}

#[tokio::test]
async fn each_change_is_told_once() {
    let cases = [
        ("replace", replace as Change, true, true),
        ("rewrite", rewrite, true, true),
        ("remove", remove, true, true),
        ("add", add, false, true),
        ("read", read, false, false),
    ];
    let cases = cases.into_iter().flat_map(|(what, change, file, folder)| {
        [
            is_told_once(what, change, false, file),
            is_told_once(what, change, true, folder),
        ]
    });
    futures::future::join_all(cases).await;
}

#[tokio::test]
async fn a_file_may_appear_later_and_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.wasm");
    let mut watcher = Watcher::new(&path.into(), RARELY).unwrap();
    for _ in 0..2 {
        rewrite(&folder);
        assert_eq!(told(&mut watcher).await, Cause::Event);
        remove(&folder);
        assert_eq!(told(&mut watcher).await, Cause::Event);
    }
}

#[tokio::test]
async fn a_folder_may_appear_later_and_again() {
    let parent = tempfile::tempdir().unwrap();
    let guests = parent.path().join("guests");
    let mut watcher = Watcher::new(&guests.clone().into(), RARELY).unwrap();
    for _ in 0..2 {
        std::fs::create_dir(&guests).unwrap();
        assert_eq!(told(&mut watcher).await, Cause::Event);
        std::fs::write(guests.join("guest.wasm"), b"1").unwrap();
        assert_eq!(told(&mut watcher).await, Cause::Event);
        std::fs::remove_dir_all(&guests).unwrap();
        assert_eq!(told(&mut watcher).await, Cause::Event);
    }
}

#[tokio::test]
async fn links_that_a_file_stands_behind_count() {
    let folder = tempfile::tempdir().unwrap();
    for version in ["..1", "..2"] {
        std::fs::create_dir(folder.path().join(version)).unwrap();
        write(
            &folder,
            &format!("{version}/guest.wasm"),
            version.as_bytes(),
        );
    }
    let data = folder.path().join("..data");
    symlink("..1", &data).unwrap();
    let path = folder.path().join("guest.wasm");
    symlink("..data/guest.wasm", &path).unwrap();
    let mut watcher = Watcher::new(&path.into(), RARELY).unwrap();
    let next = folder.path().join("..data_tmp");
    symlink("..2", &next).unwrap();
    std::fs::rename(next, data).unwrap();
    assert_eq!(told(&mut watcher).await, Cause::Event);
    assert!(is_quiet(&mut watcher).await);
}

#[tokio::test]
async fn a_slow_copy_is_told_when_it_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.wasm");
    let mut watcher = Watcher::new(&path.clone().into(), RARELY).unwrap();
    let copy = tokio::task::spawn_blocking(move || {
        use std::io::Write as _;
        let mut file = std::fs::File::create(path).unwrap();
        for _ in 0..20 {
            file.write_all(b"part").unwrap();
            std::thread::sleep(QUIET / 10);
        }
        std::time::Instant::now()
    });
    assert_eq!(told(&mut watcher).await, Cause::Event);
    assert!(copy.is_finished());
    assert!(is_quiet(&mut watcher).await);
}

#[tokio::test]
async fn a_wait_that_is_given_up_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("guest.wasm");
    let mut watcher = Watcher::new(&path.into(), RARELY).unwrap();
    rewrite(&folder);
    // The event has come, and its time is not over.
    while watcher.burst.is_none() {
        let _ = tokio::time::timeout(QUIET / 10, watcher.changed()).await;
    }
    assert_eq!(told(&mut watcher).await, Cause::Event);
}

#[tokio::test]
async fn every_source_is_polled_even_where_there_are_no_events() {
    for source in ["/nowhere/at/all/guest.wasm", "oci://localhost/guest:1"] {
        let mut watcher =
            Watcher::new(&source.parse().unwrap(), Duration::from_millis(10)).unwrap();
        for _ in 0..2 {
            assert_eq!(told(&mut watcher).await, Cause::Poll, "{source}");
            assert!(watcher.files.as_ref().is_none_or(|files| files.warned));
        }
    }
}

use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::super::found::MAX_BYTES;
use super::*;

fn finder(path: &Path, pin: Option<Digest>) -> Finder {
    Finder::new(path.to_owned().into(), pin, Registry::default())
}

fn write(folder: &TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Candidates by file name and bytes, then refusals in words; none where nothing has changed.
async fn look(finder: &mut Finder) -> Option<Vec<String>> {
    let found = finder.look().await.unwrap()?;
    let candidates = found.candidates.iter().map(|candidate| {
        assert_eq!(candidate.digest, Digest::of(&candidate.bytes));
        let name = Path::new(&candidate.origin).file_name().unwrap();
        let bytes = String::from_utf8_lossy(&candidate.bytes);
        format!("{}={bytes}", name.display())
    });
    let refused = found.refused.iter().map(|refused| {
        let name = Path::new(&refused.origin).file_name().unwrap();
        format!("{}: {}", name.display(), refused.reason)
    });
    Some(candidates.chain(refused).collect())
}

fn some(found: &[&str]) -> Option<Vec<String>> {
    Some(found.iter().map(|text| (*text).to_owned()).collect())
}

#[tokio::test]
async fn a_file_is_read_again_only_when_it_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let path = write(&folder, "guest", b"one");
    let mut finder = finder(&path, None);
    assert_eq!(look(&mut finder).await, some(&["guest=one"]));
    assert_eq!(look(&mut finder).await, None);

    let next = write(&folder, "next", b"two");
    std::fs::rename(next, &path).unwrap();
    assert_eq!(look(&mut finder).await, some(&["guest=two"]));
    assert_eq!(look(&mut finder).await, None);

    finder.forget();
    assert_eq!(look(&mut finder).await, some(&["guest=two"]));

    std::fs::remove_file(&path).unwrap();
    let error = finder.look().await.unwrap_err().to_string();
    assert!(error.starts_with("cannot read the guest /"), "{error}");
    write(&folder, "guest", b"three");
    assert_eq!(look(&mut finder).await, some(&["guest=three"]));
}

#[tokio::test]
async fn every_component_of_a_folder_is_a_candidate() {
    let folder = tempfile::tempdir().unwrap();
    let mut finder = finder(folder.path(), None);
    let error = finder.look().await.unwrap_err().to_string();
    assert!(error.ends_with("holds no file *.wasm"), "{error}");

    write(&folder, "b.wasm", b"2");
    write(&folder, "a.wasm", b"1");
    write(&folder, "c.wasm.part", b"3");
    assert_eq!(look(&mut finder).await, some(&["a.wasm=1", "b.wasm=2"]));
    assert_eq!(look(&mut finder).await, None);

    write(&folder, "other", b"");
    assert_eq!(look(&mut finder).await, None);
    std::fs::remove_file(folder.path().join("a.wasm")).unwrap();
    assert_eq!(look(&mut finder).await, some(&["b.wasm=2"]));
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_refused_alone_and_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "a.wasm", b"1");
    symlink("nowhere", folder.path().join("b.wasm")).unwrap();
    std::fs::create_dir(folder.path().join("c.wasm")).unwrap();
    let mut finder = finder(folder.path(), None);
    let expected = some(&[
        "a.wasm=1",
        "b.wasm: cannot be read: No such file or directory (os error 2)",
        "c.wasm: cannot be read: it is no regular file",
    ]);
    assert_eq!(look(&mut finder).await, expected);
    assert_eq!(look(&mut finder).await, expected);
}

#[tokio::test]
async fn a_file_of_too_many_bytes_is_refused_once() {
    let folder = tempfile::tempdir().unwrap();
    for (bytes, expected) in [(MAX_BYTES, 1), (MAX_BYTES + 1, 0)] {
        let path = folder.path().join("guest.wasm");
        std::fs::File::create(&path)
            .unwrap()
            .set_len(bytes)
            .unwrap();
        let mut finder = finder(&path, None);
        let found = finder.look().await.unwrap().unwrap();
        assert_eq!(found.candidates.len(), expected);
        assert_eq!(found.refused.len(), 1 - expected);
        assert!(finder.look().await.unwrap().is_none());
    }
}

#[tokio::test]
async fn a_configuration_map_is_followed_over_its_links() {
    let folder = tempfile::tempdir().unwrap();
    for (version, bytes) in [("..1", "one"), ("..2", "two")] {
        std::fs::create_dir(folder.path().join(version)).unwrap();
        write(&folder, &format!("{version}/guest.wasm"), bytes.as_bytes());
    }
    let data = folder.path().join("..data");
    symlink("..1", &data).unwrap();
    let path = folder.path().join("guest.wasm");
    symlink("..data/guest.wasm", &path).unwrap();
    let mut finders = [finder(&path, None), finder(folder.path(), None)];
    for finder in &mut finders {
        assert_eq!(look(finder).await, some(&["guest.wasm=one"]));
    }
    let next = folder.path().join("..data_tmp");
    symlink("..2", &next).unwrap();
    std::fs::rename(next, data).unwrap();
    for finder in &mut finders {
        assert_eq!(look(finder).await, some(&["guest.wasm=two"]));
    }
}

#[tokio::test]
async fn a_pin_lets_only_its_own_bytes_through() {
    let folder = tempfile::tempdir().unwrap();
    write(&folder, "a.wasm", b"1");
    write(&folder, "b.wasm", b"2");
    let (other, pin) = (Digest::of(b"1"), Digest::of(b"2"));
    let mut finder = finder(folder.path(), Some(pin));
    let refused = format!(
        "a.wasm: its bytes have the SHA-256 {other}; CONNECTOR_GUEST_DIGEST allows {pin} only"
    );
    assert_eq!(look(&mut finder).await, some(&["b.wasm=2", &refused]));
    assert_eq!(look(&mut finder).await, None);
}

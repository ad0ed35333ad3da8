use std::sync::Arc;

use object_store::memory::InMemory;
use sha2::{Digest as _, Sha256};

use super::*;

fn sum(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn conforms(bucket: &Bucket) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    // One call, exactly one part, and several.
    for bytes in [0, 10, 64, 65, 1_000] {
        let content: Vec<u8> = (0..bytes).map(|at| at as u8).collect();
        // What is appended meanwhile is no part of it.
        std::fs::write(&file, [content.as_slice(), b"more"].concat()).unwrap();
        let is = (bytes, sum(&content));
        let path = format!("a/x=1/{bytes}");
        let sent = std::cell::Cell::new(0);
        let tick = |bytes| {
            sent.set(sent.get() + bytes);
            Ok(())
        };
        bucket
            .put_file(&path, &file, (is.0, &is.1), &tick)
            .await
            .unwrap();
        assert_eq!(sent.get(), bytes);
        let read = bucket.read(&path, 2_000).await.unwrap();
        assert_eq!(read.as_deref(), Some(content.as_slice()), "{bytes}");
        assert_eq!(
            bucket.fetch(&path, Vec::new(), &|_| Ok(())).await.unwrap(),
            content
        );
    }
    // A file that is another one leaves what was there.
    std::fs::write(&file, [1; 1_000]).unwrap();
    for bytes in [64, 1_000, 2_000] {
        let other = bucket
            .put_file("a/x=1/64", &file, (bytes, &sum(b"another")), &|_| Ok(()))
            .await;
        assert!(matches!(other, Err(ObjectError::Changed(_))), "{other:?}");
    }
    // Nor does one of which nobody wants more after its first part.
    let is = sum(&[1; 1_000]);
    let stop = |_| Err(ObjectError::Stopped);
    let stopped = bucket
        .put_file("a/x=1/1000", &file, (1_000, &is), &stop)
        .await;
    assert_eq!(stopped, Err(ObjectError::Stopped));
    assert_ne!(
        bucket.read("a/x=1/1000", 2_000).await.unwrap().unwrap(),
        [1; 1_000]
    );
    let gone = bucket
        .put_file(
            "a/x=1/64",
            &folder.path().join("gone"),
            (1, ""),
            &|_| Ok(()),
        )
        .await;
    assert!(matches!(gone, Err(ObjectError::Changed(_))), "{gone:?}");
    assert_eq!(
        bucket.read("a/x=1/64", 64).await.unwrap().unwrap().len(),
        64
    );
    let long = bucket.read("a/x=1/64", 63).await;
    assert!(matches!(long, Err(ObjectError::TooLarge { max: 63, .. })));

    bucket.put("a/x=2/one", b"1".to_vec()).await.unwrap();
    bucket.put("a/x=2/one", b"22".to_vec()).await.unwrap();
    bucket.put("ab/other", b"1".to_vec()).await.unwrap();
    assert_eq!(bucket.folders("a").await.unwrap(), ["x=1", "x=2"]);
    let mut listed = bucket.list("a").await.unwrap();
    listed.sort_by(|a, b| a.path.cmp(&b.path));
    let listed: Vec<_> = listed
        .iter()
        .map(|one| (one.path.as_str(), one.bytes))
        .collect();
    let of = |path, bytes| (path, bytes);
    assert_eq!(
        listed,
        [
            of("a/x=1/0", 0),
            of("a/x=1/10", 10),
            of("a/x=1/1000", 1_000),
            of("a/x=1/64", 64),
            of("a/x=1/65", 65),
            of("a/x=2/one", 2)
        ]
    );
    bucket.delete("a/x=2/one").await.unwrap();
    bucket.delete("a/x=2/one").await.unwrap();
    assert_eq!(bucket.read("a/x=2/one", 9).await.unwrap(), None);
    assert_eq!(bucket.list("none").await.unwrap(), []);
    let none = bucket.fetch("none", Vec::new(), &|_| Ok(())).await;
    assert!(
        matches!(none, Err(ObjectError::NotFound { .. })),
        "{none:?}"
    );
}

#[tokio::test]
async fn folders_and_memory_keep_whole_objects() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/below/it", folder.path().display());
    conforms(&Bucket::open(&url).unwrap()).await;
    assert!(folder.path().join("below/it/ab/other").is_file());
    let memory = Arc::new(InMemory::new());
    for prefix in ["", "pre/fix", "/other/"] {
        conforms(&Bucket::of(memory.clone(), prefix)).await;
    }
}

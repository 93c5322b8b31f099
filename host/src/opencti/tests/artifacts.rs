//! Files.

use bytes::Bytes;
use futures::stream;

use super::*;

async fn import(platform: &Platform) -> Result<String, Error> {
    let client = platform.client();
    client.read_version().await.unwrap();
    let chunks = (0..1000).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(&[0; 4096])));
    let upload = ArtifactUpload {
        name: "näme.exe",
        mime_type: "application/octet-stream",
        size: Some(1000 * 4096),
        description: "d",
        author: "author--1",
        markings: &["marking--1".to_owned()],
    };
    let body = reqwest::Body::wrap_stream(stream::iter(chunks));
    client.artifact_import(upload, body).await
}

#[tokio::test]
async fn a_file_is_streamed_with_all_that_belongs_to_it() {
    for (version, marks_file) in [("6.0.0", false), ("6.9.7", true), ("7.260817.0", true)] {
        let platform = Platform::start(version).await;
        assert_eq!(import(&platform).await.unwrap(), "artifact--2");
        let request = &platform.received("artifactImport")[0];
        let (size, name, media_type) = request.file.clone().unwrap();
        assert_eq!(size, 1000 * 4096);
        assert_eq!(name, "näme.exe");
        assert_eq!(media_type, "application/octet-stream");
        assert_eq!(request.headers["opencti-retry-number"], "0");
        assert_eq!(
            request.query.contains("fileMarkings"),
            marks_file,
            "{version}"
        );
        assert_eq!(
            request.variables,
            json!({
                "file": null, "description": "d", "createdBy": "author--1",
                "markings": ["marking--1"],
            })
        );
    }
}

#[tokio::test]
async fn a_missing_author_is_told() {
    let platform = Platform::start("7.260817.0").await;
    platform.instead(
        "artifactImport",
        [Instead::Error(
            "MISSING_REFERENCE_ERROR",
            "missing author--1",
        )],
    );
    assert!(import(&platform).await.unwrap_err().is_missing_reference());
    assert_eq!(platform.received("artifactImport").len(), 1);
}

#[tokio::test]
async fn an_artifact_is_found_by_its_hash() {
    let platform = Platform::start("7.260817.0").await;
    let found = platform.client().artifact_known("00ff").await.unwrap();
    assert_eq!(found.as_deref(), Some("artifact--1"));
    let filter = &platform.received("stixCyberObservables")[0].variables["filters"];
    assert_eq!(
        filter["filters"][0],
        json!({"key": ["hashes.SHA-256"], "values": ["00ff"]})
    );
}

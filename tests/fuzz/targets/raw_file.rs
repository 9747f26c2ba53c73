//! A file that somebody dropped into raw/: every byte belongs to exactly one document.
#![no_main]

use bytes::Bytes;
use fgd_sync::domain::kind::Catalogue;
use fgd_sync::domain::names::Oid;
use fgd_sync::domain::path::RepoPath;
use fgd_sync::plan::raw::take_apart;

libfuzzer_sys::fuzz_target!(|content: &[u8]| {
    let path = RepoPath::new("lab/raw/drop.yaml").expect("a plain path");

    let file = take_apart(Catalogue::hedgehog(), &path, &Oid::of_blob(content), Bytes::copy_from_slice(content));

    let mut next = 0;
    let mut index = None;
    for document in &file.documents {
        assert!(document.line >= 1);
        // The items of one list share its range.
        if index.replace(document.index) == Some(document.index) {
            assert_eq!(document.bytes.end, next, "items of one list have different ranges");
            continue;
        }
        assert_eq!(document.bytes.start, next, "documents overlap or leave a gap");
        next = document.bytes.end;
    }
    assert_eq!(next, content.len(), "bytes at the end belong to no document");
});

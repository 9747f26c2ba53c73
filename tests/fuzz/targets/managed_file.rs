//! A file under managed/, and the round trip of whatever document it holds through our own rendering.
#![no_main]

use fgd_sync::domain::kind::Catalogue;
use fgd_sync::plan::managed::{ManagedFile, read_document};
use fgd_sync::plan::render::{Provenance, render};
use fgd_sync::plan::rewrite::rewrite;

libfuzzer_sys::fuzz_target!(|content: &[u8]| {
    let catalogue = Catalogue::hedgehog();
    let ManagedFile::Document(document) = read_document(catalogue, content) else { return };
    let spec = catalogue.get(&document.key.kind).expect("it was recognised");

    let written = render(&document.shared(), spec, Some(&document), &Provenance::Kept);

    match read_document(catalogue, &written) {
        ManagedFile::Document(again) => assert_eq!(again.shared().digest(), document.shared().digest()),
        other => panic!("what we wrote is read as {other:?}: {}", String::from_utf8_lossy(&written)),
    }

    let mut wanted = document.body.clone();
    wanted.insert("spec".to_owned(), "another".into());
    if let Some(edited) = rewrite(content, &wanted) {
        match read_document(catalogue, &edited) {
            ManagedFile::Document(again) => assert_eq!(again.body, wanted),
            other => panic!("what we edited is read as {other:?}: {}", String::from_utf8_lossy(&edited)),
        }
    }
});

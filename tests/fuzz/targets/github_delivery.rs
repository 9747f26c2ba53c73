//! Both encodings of a push event, and whatever else calls itself one.
#![no_main]

use fgd_sync::webhook::github::{Encoding, parse};

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    for encoding in [Encoding::Json, Encoding::Form] {
        for event in ["push", "ping", "release"] {
            if let Err(refused) = parse(event, encoding, body) {
                assert!(!refused.to_string().is_empty());
            }
        }
    }
});

//! A settings file: whatever is wrong is reported, never with a secret's text.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use fgd_sync::config::{Environment, load};

/// One file of this process, in memory where the machine has such a place.
static FILE: LazyLock<PathBuf> = LazyLock::new(|| {
    let shared = PathBuf::from("/dev/shm");
    let place = if shared.is_dir() { shared } else { std::env::temp_dir() };
    place.join(format!("fgd-sync-fuzz-{}.yaml", std::process::id()))
});

libfuzzer_sys::fuzz_target!(|content: &[u8]| {
    std::fs::write(&*FILE, content).expect("the file can be written");

    if let Err(problems) = load(Some(&FILE), &Environment::new()) {
        assert!(!problems.is_empty(), "refused without a reason");
        for problem in problems {
            assert!(!problem.message.is_empty() && !problem.remedy.is_empty(), "{problem:?}");
        }
    }
});

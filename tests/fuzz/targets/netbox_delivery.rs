//! Any bytes may be signed by somebody who holds the secret: NetBox of any version, or a script.
#![no_main]

use fgd_sync::domain::kind::Catalogue;
use fgd_sync::domain::names::NetBoxName;
use fgd_sync::webhook::netbox;

libfuzzer_sys::fuzz_target!(|body: &[u8]| {
    // The message of a refusal goes to the sender.
    if let Err(refused) = netbox::parse(Catalogue::hedgehog(), &NetBoxName::new("main"), body) {
        assert!(!refused.to_string().is_empty());
    }
});

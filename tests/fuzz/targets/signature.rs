//! The one part of a delivery that is read before anybody is trusted.
#![no_main]

use fgd_sync::webhook::signature::{Keyring, Signature};
use secrecy::SecretString;

libfuzzer_sys::fuzz_target!(|header: &str| {
    let keys = Keyring::new([("somebody", SecretString::from("a secret that nobody guesses"))]);
    if let Ok(signature) = Signature::from_netbox(header) {
        assert!(keys.signers_sha512(&signature, b"a body").is_empty(), "a guess was taken for a signature");
    }
    if let Ok(signature) = Signature::from_github(header) {
        assert!(keys.signers_sha256(&signature, b"a body").is_empty(), "a guess was taken for a signature");
    }
});

//! Who signed a body: HMAC over the raw bytes, compared in constant time, with several secrets active at once.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Sha256, Sha512};

/// NetBox's header: lowercase hex HMAC-SHA512, no prefix.
pub const NETBOX_HEADER: &str = "X-Hook-Signature";
/// GitHub's header: `sha256=` and hex HMAC-SHA256.
pub const GITHUB_HEADER: &str = "X-Hub-Signature-256";
/// GitHub's older header, HMAC-SHA1; never enough.
pub const GITHUB_LEGACY_HEADER: &str = "X-Hub-Signature";

/// A signature as it came, decoded; not yet compared with anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature(Vec<u8>);

/// The header does not hold a signature of the sender's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{header} is not {wants}")]
pub struct Malformed {
    header: &'static str,
    wants: &'static str,
}

impl Signature {
    /// Reads `X-Hook-Signature`.
    pub fn from_netbox(header: &str) -> Result<Self, Malformed> {
        let malformed = Malformed { header: NETBOX_HEADER, wants: "128 hex digits (HMAC-SHA512)" };
        decode(header, 64).ok_or(malformed)
    }

    /// Reads `X-Hub-Signature-256`.
    pub fn from_github(header: &str) -> Result<Self, Malformed> {
        let malformed = Malformed { header: GITHUB_HEADER, wants: "`sha256=` and 64 hex digits (HMAC-SHA256)" };
        header.strip_prefix("sha256=").and_then(|hex| decode(hex, 32)).ok_or(malformed)
    }
}

fn decode(text: &str, length: usize) -> Option<Signature> {
    hex::decode(text).ok().filter(|bytes| bytes.len() == length).map(Signature)
}

/// The secrets of all senders of one kind, each with whose it is. A sender may have several: that is rotation.
#[derive(Debug, Clone)]
pub struct Keyring<Id> {
    keys: Vec<(Id, SecretString)>,
}

impl<Id: Clone + PartialEq> Keyring<Id> {
    /// Takes secrets in any order. Empty ones are dropped: everybody could sign with them.
    pub fn new(keys: impl IntoIterator<Item = (Id, SecretString)>) -> Self {
        Self { keys: keys.into_iter().filter(|(_, secret)| !secret.expose_secret().is_empty()).collect() }
    }

    /// Whose secrets made this HMAC-SHA512; each once, in the keyring's order. Empty when nobody's did.
    pub fn signers_sha512(&self, signature: &Signature, body: &[u8]) -> Vec<Id> {
        self.signers::<Hmac<Sha512>>(signature, body)
    }

    /// Whose secrets made this HMAC-SHA256; each once, in the keyring's order. Empty when nobody's did.
    pub fn signers_sha256(&self, signature: &Signature, body: &[u8]) -> Vec<Id> {
        self.signers::<Hmac<Sha256>>(signature, body)
    }

    /// Every secret is tried, so that the time does not tell which one matched.
    fn signers<M: Mac + KeyInit>(&self, signature: &Signature, body: &[u8]) -> Vec<Id> {
        let mut signers = Vec::new();
        for (id, secret) in &self.keys {
            if made_by::<M>(secret, signature, body) && !signers.contains(id) {
                signers.push(id.clone());
            }
        }
        signers
    }
}

fn made_by<M: Mac + KeyInit>(secret: &SecretString, signature: &Signature, body: &[u8]) -> bool {
    let mac = <M as KeyInit>::new_from_slice(secret.expose_secret().as_bytes()).expect("HMAC takes keys of any length");
    mac.chain_update(body).verify_slice(&signature.0).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"Hello, World!";
    const SIGNED: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn keyring(keys: &[(&'static str, &str)]) -> Keyring<&'static str> {
        Keyring::new(keys.iter().map(|&(id, secret)| (id, SecretString::from(secret))))
    }

    #[test]
    fn githubs_own_example_verifies() {
        let keys = keyring(&[("lab", "It's a Secret to Everybody")]);

        let signers = keys.signers_sha256(&Signature::from_github(SIGNED).unwrap(), BODY);

        assert_eq!(signers, ["lab"]);
    }

    #[test]
    fn any_of_several_secrets_will_do_and_its_owner_is_named() {
        let keys = keyring(&[("a", "old"), ("a", "new"), ("b", "It's a Secret to Everybody")]);

        let signers = keys.signers_sha256(&Signature::from_github(SIGNED).unwrap(), BODY);

        assert_eq!(signers, ["b"]);
    }

    #[test]
    fn a_secret_that_two_share_names_both_and_one_that_is_listed_twice_names_its_owner_once() {
        let secret = "It's a Secret to Everybody";
        let keys = keyring(&[("a", secret), ("b", secret), ("a", secret)]);

        let signers = keys.signers_sha256(&Signature::from_github(SIGNED).unwrap(), BODY);

        assert_eq!(signers, ["a", "b"]);
    }

    #[test]
    fn another_body_or_another_secret_is_nobodys() {
        let signature = Signature::from_github(SIGNED).unwrap();

        assert!(
            keyring(&[("a", "It's a Secret to Everybody")]).signers_sha256(&signature, b"Hello, World?").is_empty()
        );
        assert!(keyring(&[("a", "another")]).signers_sha256(&signature, BODY).is_empty());
    }

    #[test]
    fn an_empty_secret_signs_nothing() {
        let mac = <Hmac<Sha512> as KeyInit>::new_from_slice(b"").unwrap().chain_update(BODY).finalize().into_bytes();
        let signature = Signature::from_netbox(&hex::encode(mac)).unwrap();

        assert!(keyring(&[("a", "")]).signers_sha512(&signature, BODY).is_empty());
    }

    #[test]
    fn a_header_of_another_form_is_no_signature() {
        for header in ["", "757107", "sha1=757107ea", "sha256=", "sha256=zz", &SIGNED[..40]] {
            assert!(Signature::from_github(header).is_err(), "{header}");
            assert!(Signature::from_netbox(header).is_err(), "{header}");
        }
    }

    #[test]
    fn a_keyring_does_not_show_its_secrets() {
        assert!(!format!("{:?}", keyring(&[("a", "hunter2")])).contains("hunter2"));
    }
}

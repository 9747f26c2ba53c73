//! The signed word of a GitHub App, with which it asks for tokens.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app>

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;

/// Our clock may be ahead of GitHub's, which refuses a token from the future.
const BACKDATED: Duration = Duration::from_secs(60);
/// GitHub takes at most ten minutes.
const LIFETIME: Duration = Duration::from_secs(9 * 60);

/// A token of the App, valid for minutes. Fails with what is wrong with the key, never with the key.
pub(super) fn sign(app: &str, pem: &[u8], now: SystemTime) -> Result<String, String> {
    let key = key_of(pem)?;
    let seconds = |at: SystemTime| at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let claims = json!({ "iat": seconds(now - BACKDATED), "exp": seconds(now + LIFETIME), "iss": app });
    let header = json!({ "alg": "RS256", "typ": "JWT" });
    let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let mut signature = vec![0; key.public().modulus_len()];
    key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)
        .map_err(|_| "the key cannot sign".to_owned())?;
    Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
}

/// Both forms that GitHub's keys have or get: `BEGIN RSA PRIVATE KEY` and `BEGIN PRIVATE KEY`.
fn key_of(pem: &[u8]) -> Result<RsaKeyPair, String> {
    let unusable = |why: &dyn std::fmt::Display| format!("it is not an RSA key that can sign: {why}");
    match PrivateKeyDer::from_pem_slice(pem).map_err(|_| "it holds no private key in PEM form".to_owned())? {
        PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(|why| unusable(&why)),
        PrivateKeyDer::Pkcs8(der) => RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|why| unusable(&why)),
        _ => Err("it is a key of another kind; an App has an RSA key".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use ring::signature::{KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

    use super::*;

    fn openssl(args: &[&str]) -> Vec<u8> {
        let output = Command::new("openssl").args(args).output().expect("openssl starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[test]
    fn both_forms_of_a_key_sign_what_the_public_key_verifies() {
        let dir = tempfile::tempdir().unwrap();
        let (pkcs8, pkcs1) = (dir.path().join("8"), dir.path().join("1"));
        let (eight, one) = (pkcs8.to_str().unwrap(), pkcs1.to_str().unwrap());
        openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", eight]);
        openssl(&["rsa", "-traditional", "-in", eight, "-out", one]);
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);

        let jwts = [&pkcs8, &pkcs1].map(|file| sign("1234", &std::fs::read(file).unwrap(), now).unwrap());

        assert_eq!(jwts[0], jwts[1]);
        let public = key_of(&std::fs::read(&pkcs8).unwrap()).unwrap().public_key().as_ref().to_vec();
        let (signed, signature) = jwts[0].rsplit_once('.').unwrap();
        let verifier = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public);
        verifier.verify(signed.as_bytes(), &BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap()).unwrap();
        let claims = BASE64_URL_SAFE_NO_PAD.decode(signed.split_once('.').unwrap().1).unwrap();
        assert_eq!(claims, br#"{"iat":999940,"exp":1000540,"iss":"1234"}"#);
    }

    #[test]
    fn a_key_that_cannot_sign_is_explained_and_not_shown() {
        let broken = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";

        for pem in ["", "hunter2", broken] {
            let error = sign("1", pem.as_bytes(), UNIX_EPOCH + Duration::from_secs(100)).unwrap_err();

            assert!(!error.contains("hunter2") && !error.contains("c2VjcmV0"), "{error}");
        }
    }
}

//! The signature of a request to the gateway.
//!
//! `Dispatchd-Signature: t=<Unix seconds>,v1=<hex>`, where hex is HMAC-SHA-256 of `<t>.<body>` with the shared secret.
//! The signature covers the time, so that the receiver can refuse a replayed request.

use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;

use crate::clock::Timestamp;

/// The name of the signature's header.
pub(super) const HEADER: &str = "dispatchd-signature";

/// Signs request bodies with the shared secret.
pub(super) struct Signer(hmac::Key);

impl Signer {
    pub(super) fn new(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// The header's value for a body sent at `now`.
    pub(super) fn sign(&self, body: &[u8], now: Timestamp) -> String {
        let time = now.as_secs().to_string();
        let mut context = hmac::Context::with_key(&self.0);
        context.update(time.as_bytes());
        context.update(b".");
        context.update(body);
        format!("t={time},v1={}", HEXLOWER.encode(context.sign().as_ref()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_what_openssl_computes() {
        // printf '1795423267.{"to":"+14155550123"}' | openssl dgst -sha256 -hmac 'a secret of the tests'
        let signer = Signer::new("a secret of the tests");
        let body = br#"{"to":"+14155550123"}"#;
        let at = Timestamp::from_secs(1_795_423_267);
        assert_eq!(
            signer.sign(body, at),
            "t=1795423267,v1=d491604c4d7223a937f975c23cb6f8ce6dd17a37a465321337007b4b66b134e0"
        );
        assert_ne!(signer.sign(body, at), signer.sign(body, Timestamp::from_secs(1_795_423_268)));
        assert_ne!(signer.sign(body, at), Signer::new("another secret").sign(body, at));
    }
}

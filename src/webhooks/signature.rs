//! Secrets and signatures, by the Standard Webhooks specification.

use base64::{Engine, prelude::BASE64_STANDARD};
use entity::webhook_values::SigningSecret;
use hmac::{Hmac, KeyInit, Mac};
use sea_orm::DbErr;
use sha2::Sha256;

use crate::error::Error;

/// The start of every secret.
const PREFIX: &str = "whsec_";

/// A new secret of 32 random bytes.
pub(super) fn new_secret() -> Result<SigningSecret, Error> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(Error::Randomness)?;
    let text = format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes));
    Ok(SigningSecret::new(text))
}

/// The signature of a message with one secret.
pub(super) fn signature(
    secret: &SigningSecret,
    message_id: &str,
    timestamp: i64,
    body: &[u8],
) -> Result<String, Error> {
    let key = secret.reveal().strip_prefix(PREFIX);
    let key = key.and_then(|text| BASE64_STANDARD.decode(text).ok());
    let mac = key.and_then(|key| Hmac::<Sha256>::new_from_slice(&key).ok());
    let mut mac = mac.ok_or_else(|| DbErr::Type("a webhook's secret has no key".to_owned()))?;
    mac.update(format!("{message_id}.{timestamp}.").as_bytes());
    mac.update(body);
    Ok(format!(
        "v1,{}",
        BASE64_STANDARD.encode(mac.finalize().into_bytes())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_has_its_signature() {
        let secret = SigningSecret::new("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned());
        let signed = signature(
            &secret,
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(
            signed.expect("a signature"),
            "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        );
    }

    #[test]
    fn a_new_secret_has_32_bytes_and_is_another_each_time() {
        let [one, other] = [(), ()].map(|()| new_secret().expect("randomness"));
        assert_ne!(one, other);
        let key = one.reveal().strip_prefix(PREFIX).expect("the prefix");
        assert_eq!(BASE64_STANDARD.decode(key).expect("Base64").len(), 32);
    }
}

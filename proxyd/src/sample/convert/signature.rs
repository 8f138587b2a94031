//! Signatures of certificates (RFC 7518, sections 3.3 to 3.5): the public key of a PEM file and what is signed with it.

use super::pem;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};

/// How something is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `RS256`
    Rs256,
    /// `RS384`
    Rs384,
    /// `RS512`
    Rs512,
    /// `ES256`
    Es256,
    /// `ES384`
    Es384,
    /// `ES512`
    Es512,
    /// `PS256`
    Ps256,
    /// `PS384`
    Ps384,
    /// `PS512`
    Ps512,
}

impl Scheme {
    /// From its name in RFC 7518.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"RS256" => Self::Rs256,
            b"RS384" => Self::Rs384,
            b"RS512" => Self::Rs512,
            b"ES256" => Self::Es256,
            b"ES384" => Self::Es384,
            b"ES512" => Self::Es512,
            b"PS256" => Self::Ps256,
            b"PS384" => Self::Ps384,
            b"PS512" => Self::Ps512,
            _ => return None,
        })
    }

    /// `PS…`, which came late to haproxy.
    pub fn is_pss(self) -> bool {
        matches!(self, Self::Ps256 | Self::Ps384 | Self::Ps512)
    }

    fn algorithm(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
            Self::Es256 => &ECDSA_P256_SHA256_FIXED,
            Self::Es384 => &ECDSA_P384_SHA384_FIXED,
            Self::Es512 => &ECDSA_P521_SHA512_FIXED,
            Self::Ps256 => &RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &RSA_PSS_2048_8192_SHA512,
        }
    }
}

/// A public key, as the `SubjectPublicKeyInfo` of RFC 5280 has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Box<[u8]>);

impl PublicKey {
    /// The first public key or certificate in a text of PEM (RFC 7468).
    pub fn from_pem(text: &str) -> Option<Self> {
        let (label, der) = pem::blocks(text).next()?;
        match label {
            "PUBLIC KEY" => Some(Self(der.into())),
            "CERTIFICATE" => of_certificate(&der).map(|key| Self(key.into())),
            _ => None,
        }
    }

    /// Whether this signed the message.
    pub fn verifies(&self, scheme: Scheme, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(scheme.algorithm(), &self.0).verify(message, signature).is_ok()
    }
}

const SEQUENCE: u8 = 0x30;
/// `[0]`, under which a certificate has its version.
const VERSION: u8 = 0xa0;

/// The key of a certificate: in what is signed, the sixth after the version.
fn of_certificate(der: &[u8]) -> Option<&[u8]> {
    let (certificate, _) = inside(der, SEQUENCE)?;
    let (mut rest, _) = inside(certificate, SEQUENCE)?;
    if let Some((_, after)) = inside(rest, VERSION) {
        rest = after;
    }
    // Serial number, algorithm, issuer, validity, subject.
    for _ in 0..5 {
        let (whole, _) = element(rest)?;
        rest = rest.get(whole..)?;
    }
    let (whole, _) = element(rest)?;
    rest.first().filter(|tag| **tag == SEQUENCE)?;
    rest.get(..whole)
}

/// What is inside an element of that tag, and what follows it.
fn inside(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    der.first().filter(|first| **first == tag)?;
    let (whole, head) = element(der)?;
    Some((der.get(head..whole)?, der.get(whole..)?))
}

/// How long an element is (X.690, 8.1.3), and its head alone.
fn element(der: &[u8]) -> Option<(usize, usize)> {
    let first = usize::from(*der.get(1)?);
    let (head, length) = match first {
        0..=0x7f => (2, first),
        0x81..=0x84 => {
            let bytes = der.get(2..2 + (first & 0x7f))?;
            (2 + bytes.len(), bytes.iter().fold(0, |length, &byte| length << 8 | usize::from(byte)))
        }
        _ => return None,
    };
    let whole = head.checked_add(length)?;
    (whole <= der.len()).then_some((whole, head))
}

#[cfg(test)]
mod tests {
    use super::super::encode::base64_decode;
    use super::*;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

    const CERTIFICATE: &str = include_str!("signature/ec.crt");
    const KEY: &str = include_str!("signature/ec.pub");

    #[test]
    fn a_certificate_has_the_key_that_its_file_has() {
        let key = PublicKey::from_pem(KEY).unwrap();
        assert_eq!(PublicKey::from_pem(CERTIFICATE), Some(key));
        for text in ["", "-----BEGIN PUBLIC KEY-----", "-----BEGIN X-----\nAAAA\n-----END X-----"] {
            assert_eq!(PublicKey::from_pem(text), None, "{text}");
        }
    }

    #[test]
    fn a_broken_certificate_has_none() {
        let body: String = CERTIFICATE.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64_decode(body.as_bytes()).unwrap();
        assert!(of_certificate(&der).is_some());
        for length in 0..der.len() {
            assert_eq!(of_certificate(&der[..length]), None, "{length}");
        }
        for index in 0..der.len() {
            let mut changed = der.clone();
            changed[index] ^= 0x85;
            let _ = of_certificate(&changed);
        }
    }

    #[test]
    fn only_what_was_signed_verifies() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let signature = pair.sign(&SystemRandom::new(), b"message").unwrap();
        let key = PublicKey(pair.public_key().as_ref().into());
        assert!(key.verifies(Scheme::Es256, b"message", signature.as_ref()));
        assert!(!key.verifies(Scheme::Es256, b"massage", signature.as_ref()));
        assert!(!key.verifies(Scheme::Es384, b"message", signature.as_ref()));
        assert!(!key.verifies(Scheme::Rs256, b"message", signature.as_ref()));
        assert!(!key.verifies(Scheme::Es256, b"message", b""));
    }
}

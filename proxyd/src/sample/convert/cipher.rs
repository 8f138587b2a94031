//! `aes_gcm_…` and `aes_cbc_…`: bytes encrypted and decrypted with a key that the configuration or a variable holds.

use super::encode::{base64, base64_decode};
use super::jwt::Source;
use crate::sample::context::Context;
use crate::sample::value::Value;
use crate::sample::variable::Name;
use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    self, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::FixedLength;
use std::borrow::Cow;

/// The length of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bits {
    /// 16 bytes.
    Aes128,
    /// 24 bytes.
    Aes192,
    /// 32 bytes.
    Aes256,
}

impl Bits {
    /// 128, 192 or 256.
    pub fn from_number(bits: i64) -> Option<Self> {
        Some(match bits {
            128 => Self::Aes128,
            192 => Self::Aes192,
            256 => Self::Aes256,
            _ => return None,
        })
    }

    fn gcm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128 => &aead::AES_128_GCM,
            Self::Aes192 => &aead::AES_192_GCM,
            Self::Aes256 => &aead::AES_256_GCM,
        }
    }

    fn cbc(self) -> &'static cipher::Algorithm {
        match self {
            Self::Aes128 => &cipher::AES_128,
            Self::Aes192 => &cipher::AES_192,
            Self::Aes256 => &cipher::AES_256,
        }
    }
}

/// What is done with the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `aes_gcm_dec`: with the tag that the text must have.
    GcmDecrypt(Source),
    /// `aes_gcm_enc`: the tag is put into that variable.
    GcmEncrypt(Name),
    /// `aes_cbc_dec`
    CbcDecrypt,
    /// `aes_cbc_enc`
    CbcEncrypt,
}

/// One of the converters. Nonce, key, tag and additional data are written in base64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aes {
    /// The length of the key.
    pub bits: Bits,
    /// The nonce: 12 bytes for GCM, 16 for CBC.
    pub nonce: Source,
    /// The key.
    pub key: Source,
    /// What is done.
    pub mode: Mode,
    /// Data that belongs to the text without being part of it.
    pub additional: Option<Source>,
}

impl Aes {
    /// The bytes afterwards; nothing where a parameter is not what it should be or the text is not genuine.
    pub(super) fn apply(&self, context: &Context<'_>, text: &[u8]) -> Option<Value<'static>> {
        let decoded = |source: &Source| base64_decode(&source.text(context)?);
        let (nonce, key) = (decoded(&self.nonce)?, decoded(&self.key)?);
        let additional = match &self.additional {
            Some(source) => decoded(source)?,
            None => Vec::new(),
        };
        let mut bytes = text.to_vec();
        match &self.mode {
            Mode::GcmDecrypt(tag) => {
                bytes.extend_from_slice(&decoded(tag)?);
                let (key, nonce) = self.sealing(&key, &nonce)?;
                let opened = key.open_in_place(nonce, Aad::from(additional), &mut bytes).ok()?.len();
                bytes.truncate(opened);
            }
            Mode::GcmEncrypt(tag) => {
                let (key, nonce) = self.sealing(&key, &nonce)?;
                let made = key.seal_in_place_separate_tag(nonce, Aad::from(additional), &mut bytes).ok()?;
                context.stream.set_variable(tag, Value::Str(Cow::Owned(base64(made.as_ref()))));
            }
            Mode::CbcDecrypt => {
                let key = PaddedBlockDecryptingKey::cbc_pkcs7(self.unbound(&key)?).ok()?;
                let vector = DecryptionContext::Iv128(FixedLength::try_from(&*nonce).ok()?);
                let opened = key.decrypt(&mut bytes, vector).ok()?.len();
                bytes.truncate(opened);
            }
            Mode::CbcEncrypt => {
                let key = PaddedBlockEncryptingKey::cbc_pkcs7(self.unbound(&key)?).ok()?;
                let vector = EncryptionContext::Iv128(FixedLength::try_from(&*nonce).ok()?);
                key.less_safe_encrypt(&mut bytes, vector).ok()?;
            }
        }
        Some(Value::Bin(Cow::Owned(bytes)))
    }

    fn sealing(&self, key: &[u8], nonce: &[u8]) -> Option<(LessSafeKey, Nonce)> {
        let key = UnboundKey::new(self.bits.gcm(), key).ok()?;
        Some((LessSafeKey::new(key), Nonce::try_assume_unique_for_key(nonce).ok()?))
    }

    fn unbound(&self, key: &[u8]) -> Option<UnboundCipherKey> {
        UnboundCipherKey::new(self.bits.cbc(), key).ok()
    }
}

//! `aes_gcm_…` and `aes_cbc_…`: bytes encrypted and decrypted with a key that the configuration or a variable holds.

use super::encode::{base64, base64_decode};
use super::jwt::Source;
use crate::sample::context::Context;
use crate::sample::value::Value;
use crate::sample::variable::Name;
use aws_lc_rs::aead::{self, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::cipher::{
    self, DecryptingKey, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey,
    UnboundCipherKey,
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

    /// The length in bytes.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    fn gcm(self) -> &'static aead::Algorithm {
        match self {
            Self::Aes128 => &aead::AES_128_GCM,
            Self::Aes192 => &aead::AES_192_GCM,
            Self::Aes256 => &aead::AES_256_GCM,
        }
    }

    fn block(self) -> &'static cipher::Algorithm {
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
                bytes = open_gcm(self.bits, &key, &nonce, &additional, bytes, &decoded(tag)?)?;
            }
            Mode::GcmEncrypt(tag) => {
                let (key, nonce) = sealing(self.bits, &key, &nonce)?;
                let made = key.seal_in_place_separate_tag(nonce, Aad::from(additional), &mut bytes).ok()?;
                context.stream.set_variable(tag, Value::Str(Cow::Owned(base64(made.as_ref()))));
            }
            Mode::CbcDecrypt => bytes = decrypt_cbc(self.bits, &key, &nonce, bytes)?,
            Mode::CbcEncrypt => {
                let key = PaddedBlockEncryptingKey::cbc_pkcs7(unbound(self.bits, &key)?).ok()?;
                let vector = EncryptionContext::Iv128(FixedLength::try_from(&*nonce).ok()?);
                key.less_safe_encrypt(&mut bytes, vector).ok()?;
            }
        }
        Some(Value::Bin(Cow::Owned(bytes)))
    }
}

fn sealing(bits: Bits, key: &[u8], nonce: &[u8]) -> Option<(LessSafeKey, Nonce)> {
    let key = UnboundKey::new(bits.gcm(), key).ok()?;
    Some((LessSafeKey::new(key), Nonce::try_assume_unique_for_key(nonce).ok()?))
}

fn unbound(bits: Bits, key: &[u8]) -> Option<UnboundCipherKey> {
    UnboundCipherKey::new(bits.block(), key).ok()
}

/// Decrypts what has that tag.
pub(super) fn open_gcm(
    bits: Bits,
    key: &[u8],
    nonce: &[u8],
    additional: &[u8],
    mut bytes: Vec<u8>,
    tag: &[u8],
) -> Option<Vec<u8>> {
    // The border between the two must be where the sender drew it.
    if tag.len() != bits.gcm().tag_len() {
        return None;
    }
    bytes.extend_from_slice(tag);
    let (key, nonce) = sealing(bits, key, nonce)?;
    let opened = key.open_in_place(nonce, Aad::from(additional), &mut bytes).ok()?.len();
    bytes.truncate(opened);
    Some(bytes)
}

/// Decrypts and takes the padding away.
pub(super) fn decrypt_cbc(bits: Bits, key: &[u8], vector: &[u8], mut bytes: Vec<u8>) -> Option<Vec<u8>> {
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(unbound(bits, key)?).ok()?;
    let vector = DecryptionContext::Iv128(FixedLength::try_from(vector).ok()?);
    let opened = key.decrypt(&mut bytes, vector).ok()?.len();
    bytes.truncate(opened);
    Some(bytes)
}

/// To decrypt single blocks.
pub(super) fn block_decrypting(bits: Bits, key: &[u8]) -> Option<DecryptingKey> {
    DecryptingKey::ecb(unbound(bits, key)?).ok()
}

/// Decrypts a block in its place.
pub(super) fn decrypt_block(key: &DecryptingKey, block: &mut [u8]) -> Option<()> {
    key.decrypt(block, DecryptionContext::None).ok().map(|_| ())
}

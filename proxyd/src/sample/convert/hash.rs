//! Hashes and message digests.

use crate::balance::hash::{Function, mix};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use xxhash_rust::{xxh3::xxh3_64_with_seed, xxh32::xxh32, xxh64::xxh64};

/// A hash that gives a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// `crc32c`
    Crc32c,
    /// `crc32`, `djb2`, `sdbm`, `wt6`
    Balance(Function),
    /// `xxh32`
    Xxh32(u32),
    /// `xxh64`
    Xxh64(u64),
    /// `xxh3`
    Xxh3(u64),
}

impl Hash {
    /// The number; `avalanche`: spread once more over 32 bits.
    pub(super) fn number(self, bytes: &[u8], avalanche: bool) -> i64 {
        let number = match self {
            Self::Crc32c => crc32c(bytes.iter().copied()),
            Self::Balance(function) => function.apply(bytes),
            Self::Xxh32(seed) => return xxh32(bytes, seed).into(),
            Self::Xxh64(seed) => return xxh64(bytes, seed).cast_signed(),
            Self::Xxh3(seed) => return xxh3_64_with_seed(bytes, seed).cast_signed(),
        };
        i64::from(if avalanche { mix(number) } else { number })
    }
}

/// The reflected CRC with Castagnoli's polynomial.
pub fn crc32c(bytes: impl IntoIterator<Item = u8>) -> u32 {
    !bytes.into_iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 })
    })
}

/// A message digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the algorithms' own names")]
pub enum Algorithm {
    Md5,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512Of224,
    Sha512Of256,
}

impl Algorithm {
    /// From OpenSSL's name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name.to_ascii_lowercase().as_str() {
            "md5" => Self::Md5,
            "sha1" | "sha-1" => Self::Sha1,
            "sha224" | "sha-224" | "sha2-224" => Self::Sha224,
            "sha256" | "sha-256" | "sha2-256" => Self::Sha256,
            "sha384" | "sha-384" | "sha2-384" => Self::Sha384,
            "sha512" | "sha-512" | "sha2-512" => Self::Sha512,
            "sha512-224" | "sha-512/224" | "sha2-512/224" => Self::Sha512Of224,
            "sha512-256" | "sha-512/256" | "sha2-512/256" => Self::Sha512Of256,
            _ => return None,
        })
    }

    pub(super) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => Md5::digest(bytes).to_vec(),
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha224 => Sha224::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
            Self::Sha512Of224 => Sha512_224::digest(bytes).to_vec(),
            Self::Sha512Of256 => Sha512_256::digest(bytes).to_vec(),
        }
    }

    pub(super) fn authenticate(self, key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        fn code<M: Mac + KeyInit>(key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
            let mut mac = <M as KeyInit>::new_from_slice(key).ok()?;
            mac.update(bytes);
            Some(mac.finalize().into_bytes().to_vec())
        }
        match self {
            Self::Md5 => code::<Hmac<Md5>>(key, bytes),
            Self::Sha1 => code::<Hmac<Sha1>>(key, bytes),
            Self::Sha224 => code::<Hmac<Sha224>>(key, bytes),
            Self::Sha256 => code::<Hmac<Sha256>>(key, bytes),
            Self::Sha384 => code::<Hmac<Sha384>>(key, bytes),
            Self::Sha512 => code::<Hmac<Sha512>>(key, bytes),
            Self::Sha512Of224 => code::<Hmac<Sha512_224>>(key, bytes),
            Self::Sha512Of256 => code::<Hmac<Sha512_256>>(key, bytes),
        }
    }
}

//! Hashes and message digests.

use crate::balance::hash::{Function, mix};
use blake2::{Blake2b512, Blake2s256};
use md5::Md5;
use ripemd::Ripemd160;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};
use sha3::digest::{ExtendableOutput, XofReader};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512, Shake128, Shake256};
use sm3::Sm3;
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
    Md5Sha1,
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    Sha512Of224,
    Sha512Of256,
    Sha3Of224,
    Sha3Of256,
    Sha3Of384,
    Sha3Of512,
    Shake128,
    Shake256,
    Blake2b,
    Blake2s,
    Ripemd160,
    Sm3,
    /// One that OpenSSL knows the name of and no longer computes.
    Retired,
}

/// OpenSSL's names: of the digest itself, of signatures with it, and its number.
const NAMES: [(Algorithm, &[&str]); 20] = [
    (Algorithm::Md5, &["md5", "ssl3-md5", "rsa-md5", "md5withrsaencryption", "1.2.840.113549.2.5"]),
    (Algorithm::Md5Sha1, &["md5-sha1"]),
    (
        Algorithm::Sha1,
        &["sha1", "sha-1", "ssl3-sha1", "rsa-sha1", "rsa-sha1-2", "sha1withrsaencryption", "1.3.14.3.2.26"],
    ),
    (
        Algorithm::Sha224,
        &["sha224", "sha-224", "sha2-224", "rsa-sha224", "sha224withrsaencryption", "2.16.840.1.101.3.4.2.4"],
    ),
    (
        Algorithm::Sha256,
        &["sha256", "sha-256", "sha2-256", "rsa-sha256", "sha256withrsaencryption", "2.16.840.1.101.3.4.2.1"],
    ),
    (
        Algorithm::Sha384,
        &["sha384", "sha-384", "sha2-384", "rsa-sha384", "sha384withrsaencryption", "2.16.840.1.101.3.4.2.2"],
    ),
    (
        Algorithm::Sha512,
        &["sha512", "sha-512", "sha2-512", "rsa-sha512", "sha512withrsaencryption", "2.16.840.1.101.3.4.2.3"],
    ),
    (
        Algorithm::Sha512Of224,
        &[
            "sha512-224",
            "sha-512/224",
            "sha2-512/224",
            "rsa-sha512/224",
            "sha512-224withrsaencryption",
            "2.16.840.1.101.3.4.2.5",
        ],
    ),
    (
        Algorithm::Sha512Of256,
        &[
            "sha512-256",
            "sha-512/256",
            "sha2-512/256",
            "rsa-sha512/256",
            "sha512-256withrsaencryption",
            "2.16.840.1.101.3.4.2.6",
        ],
    ),
    (
        Algorithm::Sha3Of224,
        &["sha3-224", "rsa-sha3-224", "id-rsassa-pkcs1-v1_5-with-sha3-224", "2.16.840.1.101.3.4.2.7"],
    ),
    (
        Algorithm::Sha3Of256,
        &["sha3-256", "rsa-sha3-256", "id-rsassa-pkcs1-v1_5-with-sha3-256", "2.16.840.1.101.3.4.2.8"],
    ),
    (
        Algorithm::Sha3Of384,
        &["sha3-384", "rsa-sha3-384", "id-rsassa-pkcs1-v1_5-with-sha3-384", "2.16.840.1.101.3.4.2.9"],
    ),
    (
        Algorithm::Sha3Of512,
        &["sha3-512", "rsa-sha3-512", "id-rsassa-pkcs1-v1_5-with-sha3-512", "2.16.840.1.101.3.4.2.10"],
    ),
    (Algorithm::Shake128, &["shake128", "shake-128", "2.16.840.1.101.3.4.2.11"]),
    (Algorithm::Shake256, &["shake256", "shake-256", "2.16.840.1.101.3.4.2.12"]),
    (Algorithm::Blake2b, &["blake2b512", "blake2b-512", "1.3.6.1.4.1.1722.12.2.1.16"]),
    (Algorithm::Blake2s, &["blake2s256", "blake2s-256", "1.3.6.1.4.1.1722.12.2.2.8"]),
    (
        Algorithm::Ripemd160,
        &["ripemd", "ripemd160", "rmd160", "ripemd-160", "rsa-ripemd160", "ripemd160withrsa", "1.3.36.3.2.1"],
    ),
    (Algorithm::Sm3, &["sm3", "rsa-sm3", "sm3withrsaencryption", "1.2.156.10197.1.401"]),
    (Algorithm::Retired, &["md4", "rsa-md4", "md4withrsaencryption", "whirlpool"]),
];

impl Algorithm {
    /// From OpenSSL's name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        let named = |names: &[&str]| names.iter().any(|other| other.eq_ignore_ascii_case(name));
        NAMES.iter().find(|(_, names)| named(names)).map(|(algorithm, _)| *algorithm)
    }

    /// The digest; nothing where the algorithm is none any more.
    pub(super) fn digest(self, bytes: &[u8]) -> Option<Vec<u8>> {
        Some(match self {
            Self::Md5 => Md5::digest(bytes).to_vec(),
            Self::Md5Sha1 => [Md5::digest(bytes).as_slice(), Sha1::digest(bytes).as_slice()].concat(),
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha224 => Sha224::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
            Self::Sha512Of224 => Sha512_224::digest(bytes).to_vec(),
            Self::Sha512Of256 => Sha512_256::digest(bytes).to_vec(),
            Self::Sha3Of224 => Sha3_224::digest(bytes).to_vec(),
            Self::Sha3Of256 => Sha3_256::digest(bytes).to_vec(),
            Self::Sha3Of384 => Sha3_384::digest(bytes).to_vec(),
            Self::Sha3Of512 => Sha3_512::digest(bytes).to_vec(),
            // They have no length of their own; these are OpenSSL's.
            Self::Shake128 => extended::<Shake128>(bytes, 16),
            Self::Shake256 => extended::<Shake256>(bytes, 32),
            Self::Blake2b => Blake2b512::digest(bytes).to_vec(),
            Self::Blake2s => Blake2s256::digest(bytes).to_vec(),
            Self::Ripemd160 => Ripemd160::digest(bytes).to_vec(),
            Self::Sm3 => Sm3::digest(bytes).to_vec(),
            Self::Retired => return None,
        })
    }

    /// What it works on at a time, in bytes; nothing where no code of authentication is made with it.
    fn block(self) -> Option<usize> {
        Some(match self {
            Self::Md5
            | Self::Md5Sha1
            | Self::Sha1
            | Self::Sha224
            | Self::Sha256
            | Self::Blake2s
            | Self::Ripemd160
            | Self::Sm3 => 64,
            Self::Sha384 | Self::Sha512 | Self::Sha512Of224 | Self::Sha512Of256 | Self::Blake2b => 128,
            Self::Sha3Of224 => 144,
            Self::Sha3Of256 => 136,
            Self::Sha3Of384 => 104,
            Self::Sha3Of512 => 72,
            Self::Shake128 | Self::Shake256 | Self::Retired => return None,
        })
    }

    /// The code of RFC 2104. It is put together here, since the list has digests that no crate makes codes with.
    pub(super) fn authenticate(self, key: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
        let block = self.block()?;
        let mut padded = if key.len() > block { self.digest(key)? } else { key.to_vec() };
        padded.resize(block, 0);
        let with = |pad: u8, rest: &[u8]| -> Vec<u8> {
            padded.iter().map(|byte| byte ^ pad).chain(rest.iter().copied()).collect()
        };
        self.digest(&with(0x5c, &self.digest(&with(0x36, bytes))?))
    }
}

fn extended<F: ExtendableOutput + Default + sha3::digest::Update>(bytes: &[u8], length: usize) -> Vec<u8> {
    let mut function = F::default();
    function.update(bytes);
    let mut out = vec![0; length];
    function.finalize_xof().read(&mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test cases 1 and 6: a short key, and one that is longer than a block. `samples.txt` has haproxy's for the others.
    #[test]
    fn codes_are_those_of_the_rfc() {
        let code = |key: &[u8], text: &[u8]| Algorithm::Sha256.authenticate(key, text).map(|code| code[..4].to_vec());
        assert_eq!(code(&[0x0b; 20], b"Hi There"), Some(vec![0xb0, 0x34, 0x4c, 0x61]));
        let text = b"Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(code(&[0xaa; 131], text), Some(vec![0x60, 0xe4, 0x31, 0x59]));
    }

    #[test]
    fn a_name_means_one_digest() {
        let mut names: Vec<&str> = NAMES.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        assert_eq!(Algorithm::from_name("SHA2-512/256"), Some(Algorithm::Sha512Of256));
        assert_eq!(Algorithm::from_name("sha"), None);
    }
}

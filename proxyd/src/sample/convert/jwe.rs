//! JSON Web Encryption in its compact form (RFC 7516): five parts of base64, header, encrypted key, nonce, text and tag, with
//! points between them. Algorithms are those of RFC 7518; keys are a secret, a JSON Web Key (RFC 7517) or in a file of PEM.

use super::cipher::{self, Bits};
use super::encode::url_base64_decode;
use super::hash::Algorithm;
use super::json::{self, Step};
use super::jwt::Source;
use super::pem;
use crate::proxy::userlist::same;
use crate::sample::context::Context;
use crate::sample::value::Value;
use aws_lc_rs::agreement::{self, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand;
use aws_lc_rs::rsa::{
    KeyPair, KeyPairComponents, OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey,
    Pkcs1PrivateDecryptingKey, PrivateDecryptingKey, PublicKeyComponents,
};

/// How the key that the text is encrypted with comes to who may read it (RFC 7518, section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Management {
    /// Encrypted for a key of RSA.
    Rsa(Padding),
    /// Wrapped with a secret.
    Wrapped(Bits),
    /// It is the secret itself.
    Direct,
    /// Agreed on with a key on a curve, to be the key, or to wrap one.
    Agreed(Option<Bits>),
    /// Encrypted with a secret.
    Sealed(Bits),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Padding {
    Pkcs1,
    OaepSha1,
    OaepSha256,
}

const MANAGEMENT: [(&str, Management); 14] = [
    ("RSA1_5", Management::Rsa(Padding::Pkcs1)),
    ("RSA-OAEP", Management::Rsa(Padding::OaepSha1)),
    ("RSA-OAEP-256", Management::Rsa(Padding::OaepSha256)),
    ("A128KW", Management::Wrapped(Bits::Aes128)),
    ("A192KW", Management::Wrapped(Bits::Aes192)),
    ("A256KW", Management::Wrapped(Bits::Aes256)),
    ("dir", Management::Direct),
    ("ECDH-ES", Management::Agreed(None)),
    ("ECDH-ES+A128KW", Management::Agreed(Some(Bits::Aes128))),
    ("ECDH-ES+A192KW", Management::Agreed(Some(Bits::Aes192))),
    ("ECDH-ES+A256KW", Management::Agreed(Some(Bits::Aes256))),
    ("A128GCMKW", Management::Sealed(Bits::Aes128)),
    ("A192GCMKW", Management::Sealed(Bits::Aes192)),
    ("A256GCMKW", Management::Sealed(Bits::Aes256)),
];

/// How the text is encrypted (RFC 7518, section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encryption {
    /// With a code of authentication by this digest; the first half of the key is for that.
    Cbc(Bits, Algorithm),
    Gcm(Bits),
}

const ENCRYPTION: [(&str, Encryption); 6] = [
    ("A128CBC-HS256", Encryption::Cbc(Bits::Aes128, Algorithm::Sha256)),
    ("A192CBC-HS384", Encryption::Cbc(Bits::Aes192, Algorithm::Sha384)),
    ("A256CBC-HS512", Encryption::Cbc(Bits::Aes256, Algorithm::Sha512)),
    ("A128GCM", Encryption::Gcm(Bits::Aes128)),
    ("A192GCM", Encryption::Gcm(Bits::Aes192)),
    ("A256GCM", Encryption::Gcm(Bits::Aes256)),
];

impl Encryption {
    /// The length of its key, in bytes.
    fn key_bytes(self) -> usize {
        match self {
            Self::Cbc(bits, _) => 2 * bits.bytes(),
            Self::Gcm(bits) => bits.bytes(),
        }
    }

    fn open(self, key: &[u8], parts: &Parts<'_>) -> Option<Vec<u8>> {
        let [nonce, text, tag] = [parts.nonce, parts.text, parts.tag].map(url_base64_decode);
        let (nonce, text, tag) = (nonce?, text?, tag?);
        let additional = parts.header;
        match self {
            Self::Gcm(bits) => cipher::open_gcm(bits, key, &nonce, additional, text, &tag),
            Self::Cbc(bits, digest) => {
                let (authentic, key) = key.split_at_checked(bits.bytes())?;
                let length = (additional.len() as u64 * 8).to_be_bytes();
                let code = digest.authenticate(authentic, &[additional, &nonce, &text, &length].concat())?;
                same(code.get(..bits.bytes())?, &tag).then(|| cipher::decrypt_cbc(bits, key, &nonce, text))?
            }
        }
    }
}

/// What tokens may be encrypted with (`jwt.decrypt_alg_list`, `jwt.decrypt_enc_list`): a bit for each name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    management: u16,
    encryption: u16,
}

impl Default for Allowed {
    /// All but `RSA1_5`, from which RFC 8725 advises.
    fn default() -> Self {
        Self { management: !1, encryption: !0 }
    }
}

impl Allowed {
    /// `jwt.decrypt_alg_list`; the name that is none, if there is one.
    pub fn set_management<'l>(&mut self, list: &'l str) -> Result<(), &'l str> {
        self.management = listed(list, &MANAGEMENT.map(|(name, _)| name))?;
        Ok(())
    }

    /// `jwt.decrypt_enc_list`, likewise.
    pub fn set_encryption<'l>(&mut self, list: &'l str) -> Result<(), &'l str> {
        self.encryption = listed(list, &ENCRYPTION.map(|(name, _)| name))?;
        Ok(())
    }
}

/// A list like `ALL:!ECDH-ES`.
fn listed<'l>(list: &'l str, names: &[&str]) -> Result<u16, &'l str> {
    let mut bits = 0;
    for item in list.split(':') {
        let (name, without) = item.strip_prefix('!').map_or((item, false), |name| (name, true));
        let bit = match names.iter().position(|other| *other == name) {
            Some(index) => 1_u16 << index,
            None if name == "ALL" => !0,
            None => return Err(name),
        };
        bits = if without { bits & !bit } else { bits | bit };
    }
    Ok(bits)
}

/// A key that tokens are decrypted with.
#[derive(Clone, PartialEq, Eq)]
pub enum Key {
    /// `oct`
    Secret(Box<[u8]>),
    /// `RSA`: as PKCS #8 has it.
    Rsa(Box<[u8]>),
    /// `EC`: its number.
    Curve(Curve, Box<[u8]>),
}

/// It is a secret.
impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key")
    }
}

/// A curve of elliptic keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// `P-256`
    P256,
    /// `P-384`
    P384,
    /// `P-521`
    P521,
}

impl Curve {
    fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"P-256" => Self::P256,
            b"P-384" => Self::P384,
            b"P-521" => Self::P521,
            _ => return None,
        })
    }

    fn algorithm(self) -> &'static agreement::Algorithm {
        match self {
            Self::P256 => &agreement::ECDH_P256,
            Self::P384 => &agreement::ECDH_P384,
            Self::P521 => &agreement::ECDH_P521,
        }
    }
}

impl Key {
    /// A secret as base64.
    pub fn from_secret(text: &[u8]) -> Option<Self> {
        url_base64_decode(text).map(|secret| Self::Secret(secret.into()))
    }

    /// The first private key of RSA in a text of PEM, alone (PKCS #1) or in an envelope (PKCS #8).
    pub fn from_pem(text: &str) -> Option<Self> {
        let pair = pem::blocks(text).find_map(|(label, der)| match label {
            "PRIVATE KEY" => KeyPair::from_pkcs8(&der).ok(),
            "RSA PRIVATE KEY" => KeyPair::from_der(&der).ok(),
            _ => None,
        })?;
        Some(Self::Rsa(pair.as_der().ok()?.as_ref().into()))
    }

    /// A JSON Web Key.
    pub fn from_jwk(text: &[u8]) -> Option<Self> {
        let decoded = |name| url_base64_decode(&member(text, &[name])?);
        match member(text, &["kty"])?.as_slice() {
            b"oct" => decoded("k").map(|secret| Self::Secret(secret.into())),
            b"EC" => Some(Self::Curve(Curve::from_name(&member(text, &["crv"])?)?, decoded("d")?.into())),
            b"RSA" => {
                let components = KeyPairComponents {
                    public_key: PublicKeyComponents { n: decoded("n")?, e: decoded("e")? },
                    d: decoded("d")?,
                    p: decoded("p")?,
                    q: decoded("q")?,
                    dP: decoded("dp")?,
                    dQ: decoded("dq")?,
                    qInv: decoded("qi")?,
                };
                let pair = KeyPair::from_components(&components).ok()?;
                Some(Self::Rsa(pair.as_der().ok()?.as_ref().into()))
            }
            _ => None,
        }
    }
}

/// The text at a path of members.
fn member(text: &[u8], path: &[&str]) -> Option<Vec<u8>> {
    let path: Vec<Step> = path.iter().map(|name| Step::Member((*name).to_owned())).collect();
    match json::query(text, &path, false)? {
        Value::Str(text) => Some(text.into_owned()),
        _ => None,
    }
}

/// How a key is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// `jwt_decrypt_secret`
    Secret,
    /// `jwt_decrypt_jwk`
    Jwk,
}

impl Written {
    fn read(self, text: &[u8]) -> Option<Key> {
        match self {
            Self::Secret => Key::from_secret(text),
            Self::Jwk => Key::from_jwk(text),
        }
    }
}

/// `jwt_decrypt_secret`, `jwt_decrypt_jwk`, `jwt_decrypt_cert`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decrypter {
    key: Given,
    allowed: Allowed,
}

/// Where a key is had from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Given {
    /// It is known, if it is one.
    Known(Option<Key>),
    /// A variable holds it.
    Variable(Source, Written),
}

impl Decrypter {
    /// One with a key that a text or a variable holds.
    pub fn new(source: Source, written: Written, allowed: Allowed) -> Self {
        let key = match source {
            Source::Text(text) => Given::Known(written.read(&text)),
            variable @ Source::Variable(_) => Given::Variable(variable, written),
        };
        Self { key, allowed }
    }

    /// One with a key that a file holds.
    pub fn with(key: Key, allowed: Allowed) -> Self {
        Self { key: Given::Known(Some(key)), allowed }
    }

    /// The text in the token; empty where it cannot be had. Nothing where a variable is not set.
    pub(super) fn decrypt(&self, context: &Context<'_>, token: &[u8]) -> Option<Vec<u8>> {
        let read;
        let key = match &self.key {
            Given::Known(key) => key.as_ref(),
            Given::Variable(variable, written) => {
                read = written.read(&variable.text(context)?);
                read.as_ref()
            }
        };
        Some(key.and_then(|key| decrypt(token, key, self.allowed)).unwrap_or_default())
    }
}

/// The parts of a token as they are written.
struct Parts<'t> {
    header: &'t [u8],
    key: &'t [u8],
    nonce: &'t [u8],
    text: &'t [u8],
    tag: &'t [u8],
}

fn decrypt(token: &[u8], key: &Key, allowed: Allowed) -> Option<Vec<u8>> {
    let mut parts = token.split(|&byte| byte == b'.');
    let mut next = || parts.next();
    let read = Parts { header: next()?, key: next()?, nonce: next()?, text: next()?, tag: next()? };
    if parts.next().is_some() {
        return None;
    }
    let header = url_base64_decode(read.header)?;
    // What must be understood is not, and compressed texts are none here.
    if ["crit", "zip"].iter().any(|name| json::has(&header, name)) {
        return None;
    }
    let (name, management) = chosen(&member(&header, &["alg"])?, &MANAGEMENT, allowed.management)?;
    let (content, encryption) = chosen(&member(&header, &["enc"])?, &ENCRYPTION, allowed.encryption)?;
    let encrypted = url_base64_decode(read.key)?;
    let length = encryption.key_bytes();
    let content_key = match (management, key) {
        (Management::Direct, Key::Secret(secret)) => encrypted.is_empty().then(|| secret.to_vec())?,
        (Management::Wrapped(bits), Key::Secret(secret)) => unwrap(bits, secret, &encrypted)?,
        (Management::Sealed(bits), Key::Secret(secret)) => {
            let decoded = |name| url_base64_decode(&member(&header, &[name])?);
            cipher::open_gcm(bits, secret, &decoded("iv")?, &[], encrypted, &decoded("tag")?)?
        }
        (Management::Agreed(None), Key::Curve(curve, number)) => {
            let agreed = agree(*curve, number, &header, content, length)?;
            encrypted.is_empty().then_some(agreed)?
        }
        (Management::Agreed(Some(bits)), Key::Curve(curve, number)) => {
            let wrapping = agree(*curve, number, &header, name, bits.bytes())?;
            unwrap(bits, &wrapping, &encrypted)?
        }
        (Management::Rsa(padding), Key::Rsa(pkcs8)) => decrypt_key(padding, pkcs8, &encrypted, length)?,
        _ => return None,
    };
    if content_key.len() == length { encryption.open(&content_key, &read) } else { None }
}

/// What a name means, if it is allowed.
fn chosen<T: Copy>(name: &[u8], known: &[(&'static str, T)], allowed: u16) -> Option<(&'static str, T)> {
    let index = known.iter().position(|(other, _)| other.as_bytes() == name)?;
    known.get(index).copied().filter(|_| allowed >> index & 1 == 1)
}

/// What the check of a wrapped key must be.
const WRAP_CHECK: [u8; 8] = [0xa6; 8];

/// Takes a key out of its wrapping (RFC 3394, section 2.2.2), with wrapping keys of all lengths.
fn unwrap(bits: Bits, key: &[u8], wrapped: &[u8]) -> Option<Vec<u8>> {
    if key.len() != bits.bytes() || wrapped.len() < 24 || !wrapped.len().is_multiple_of(8) {
        return None;
    }
    let cipher = cipher::block_decrypting(bits, key)?;
    let (mut check, mut blocks) = (*wrapped.first_chunk::<8>()?, wrapped.get(8..)?.to_vec());
    let count = blocks.len() / 8;
    for round in (0..6).rev() {
        for (index, block) in blocks.chunks_exact_mut(8).enumerate().rev() {
            let step = u64::try_from(count * round + index + 1).ok()?;
            let head = (u64::from_be_bytes(check) ^ step).to_be_bytes();
            let mut both = [head, *block.first_chunk::<8>()?].concat();
            cipher::decrypt_block(&cipher, &mut both)?;
            check = *both.first_chunk::<8>()?;
            block.copy_from_slice(both.get(8..)?);
        }
    }
    same(&check, &WRAP_CHECK).then_some(blocks)
}

/// The key that follows from our key, that of the header, and what it is for (RFC 7518, section 4.6).
fn agree(curve: Curve, number: &[u8], header: &[u8], purpose: &str, length: usize) -> Option<Vec<u8>> {
    let theirs = |name| member(header, &["epk", name]);
    if Curve::from_name(&theirs("crv")?) != Some(curve) {
        return None;
    }
    let point = [&[4][..], &url_base64_decode(&theirs("x")?)?, &url_base64_decode(&theirs("y")?)?].concat();
    let party = |name| member(header, &[name]).map_or(Some(Vec::new()), |text| url_base64_decode(&text));
    let (producer, consumer) = (party("apu")?, party("apv")?);
    let counted = |bytes: &[u8]| Some([&u32::try_from(bytes.len()).ok()?.to_be_bytes(), bytes].concat());
    let bits = u32::try_from(length * 8).ok()?.to_be_bytes();
    let about = [counted(purpose.as_bytes())?, counted(&producer)?, counted(&consumer)?, bits.to_vec()].concat();
    let ours = PrivateKey::from_private_key(curve.algorithm(), number).ok()?;
    let peer = UnparsedPublicKey::new(curve.algorithm(), point);
    agreement::agree(&ours, peer, (), |secret| {
        let mut derived = Vec::new();
        for round in 1_u32.. {
            derived.extend(Algorithm::Sha256.digest(&[&round.to_be_bytes(), secret, &about].concat()).ok_or(())?);
            if derived.len() >= length {
                break;
            }
        }
        derived.truncate(length);
        Ok(derived)
    })
    .ok()
}

/// Decrypts a key with RSA. Where the older padding is wrong a key of chance takes the place of that in the token, so that
/// nobody learns that from the answer (RFC 7516, section 11.5).
fn decrypt_key(padding: Padding, pkcs8: &[u8], encrypted: &[u8], length: usize) -> Option<Vec<u8>> {
    let key = PrivateDecryptingKey::from_pkcs8(pkcs8).ok()?;
    let mut out = vec![0; key.key_size_bytes()];
    let oaep = match padding {
        Padding::OaepSha1 => &OAEP_SHA1_MGF1SHA1,
        Padding::OaepSha256 => &OAEP_SHA256_MGF1SHA256,
        Padding::Pkcs1 => {
            let mut chance = vec![0; length];
            rand::fill(&mut chance).ok()?;
            let key = Pkcs1PrivateDecryptingKey::new(key).ok()?;
            let found = key.decrypt(encrypted, &mut out).ok().filter(|found| found.len() == length);
            return Some(found.map_or(chance, |found| found.to_vec()));
        }
    };
    let key = OaepPrivateDecryptingKey::new(key).ok()?;
    key.decrypt(oaep, encrypted, &mut out, None).ok().map(|found| found.to_vec())
}

#[cfg(test)]
mod tests;

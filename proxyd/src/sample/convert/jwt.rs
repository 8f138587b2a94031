//! JSON Web Tokens: three parts of base64, header, payload and signature, with points between them (RFC 7515, RFC 7519).
//! Signatures with a secret and those of certificates are verified.

use super::hash::Algorithm;
use super::signature::{PublicKey, Scheme};
use super::{encode, json};
use crate::proxy::userlist::same;
use crate::sample::context::Context;
use crate::sample::value::Value;
use crate::sample::variable::Name;
use std::borrow::Cow;

/// What is asked of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// `jwt_header_query`
    Header,
    /// `jwt_payload_query`
    Payload,
}

/// A value in the decoded JSON text: a path, and whether it is made an integer.
pub type Query = (Box<[json::Step]>, bool);

/// A text as written, or of a variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// As written.
    Text(Box<[u8]>),
    /// The variable of that name.
    Variable(Name),
}

impl Source {
    pub(super) fn text(&self, context: &Context<'_>) -> Option<Cow<'_, [u8]>> {
        Some(match self {
            Self::Text(text) => Cow::Borrowed(text),
            Self::Variable(name) => Cow::Owned(context.stream.variable(name)?.into_text().into_owned()),
        })
    }
}

/// How a token is signed (RFC 7518, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// `none`
    Not,
    /// `HS256`, `HS384`, `HS512`
    Secret(Algorithm),
    /// `RS…`, `ES…`, `PS…`
    Certificate(Scheme),
}

impl Signed {
    /// From the name, as it is written.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"none" => Self::Not,
            b"HS256" => Self::Secret(Algorithm::Sha256),
            b"HS384" => Self::Secret(Algorithm::Sha384),
            b"HS512" => Self::Secret(Algorithm::Sha512),
            other => Self::Certificate(Scheme::from_name(other)?),
        })
    }
}

/// The parts of a token, if it has three.
fn parts(token: &[u8]) -> Option<[&[u8]; 3]> {
    let mut parts = token.split(|&byte| byte == b'.');
    let three = [parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(three)
}

/// `jwt_header_query`, `jwt_payload_query`: the part itself, or a value in it.
pub(super) fn query(token: &[u8], part: Part, query: Option<&Query>) -> Option<Value<'static>> {
    let [header, payload, _] = parts(token)?;
    let encoded = match part {
        Part::Header => header,
        Part::Payload => payload,
    };
    let text = encode::url_base64_decode(encoded)?;
    match query {
        None => Some(Value::Str(Cow::Owned(text))),
        Some((path, integer)) => json::query(&text, path, *integer).map(Value::into_owned),
    }
}

// What `jwt_verify` gives besides 0 and 1.
const UNKNOWN_ALGORITHM: i64 = -1;
const UNMANAGED_ALGORITHM: i64 = -2;
const INVALID_TOKEN: i64 = -3;
const UNKNOWN_CERTIFICATE: i64 = -5;

/// What `jwt_verify` verifies with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    /// The algorithm's name.
    pub algorithm: Source,
    /// The secret, or the name of a file.
    pub key: Source,
    /// The key in that file, if there is one: files are read with the configuration.
    pub public: Option<PublicKey>,
}

impl Verifier {
    /// `jwt_verify`; nothing where a variable is not set.
    pub(super) fn verify(&self, context: &Context<'_>, token: &[u8]) -> Option<i64> {
        let (algorithm, key) = (self.algorithm.text(context)?, self.key.text(context)?);
        Some(match Signed::from_name(&algorithm) {
            None => UNKNOWN_ALGORITHM,
            Some(signed) => verify_as(token, signed, &key, self.public.as_ref()),
        })
    }
}

fn verify_as(token: &[u8], signed: Signed, key: &[u8], public: Option<&PublicKey>) -> i64 {
    if let (Signed::Certificate(scheme), None) = (signed, public)
        && scheme.is_pss()
    {
        return UNMANAGED_ALGORITHM;
    }
    let Some([header, payload, encoded]) = parts(token) else { return INVALID_TOKEN };
    if header.is_empty() || payload.is_empty() {
        return INVALID_TOKEN;
    }
    match (signed, public) {
        (Signed::Not, _) => return i64::from(encoded.is_empty()),
        (Signed::Certificate(_), None) => return UNKNOWN_CERTIFICATE,
        (Signed::Certificate(_), Some(_)) | (Signed::Secret(_), _) => {}
    }
    let signature = Some(encoded).filter(|encoded| !encoded.is_empty()).and_then(encode::url_base64_decode);
    let Some(signature) = signature else { return INVALID_TOKEN };
    if encoded.contains(&b'=') {
        // RFC 7515 section 2 leaves the padding away, so this is another signature.
        return 0;
    }
    let signing = token.get(..=header.len() + payload.len()).unwrap_or_default();
    i64::from(match (signed, public) {
        (Signed::Secret(algorithm), _) => {
            algorithm.authenticate(key, signing).is_some_and(|wanted| same(&wanted, &signature))
        }
        (Signed::Certificate(scheme), Some(public)) => public.verifies(scheme, signing, &signature),
        (Signed::Certificate(_), None) | (Signed::Not, _) => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_given_whole_without_a_path() {
        let token = b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJqb2UifQ.";
        let text = |part| query(token, part, None).map(|value| value.into_text().into_owned());
        assert_eq!(text(Part::Header).as_deref(), Some(b"{\"alg\":\"none\"}".as_slice()));
        assert_eq!(text(Part::Payload).as_deref(), Some(b"{\"sub\":\"joe\"}".as_slice()));
        assert_eq!(query(b"a.b", Part::Header, None), None);
    }

    #[test]
    fn a_changed_byte_or_another_algorithm_is_no_success() {
        let signing = b"e30.e30";
        let code = Algorithm::Sha256.authenticate(b"key", signing).unwrap();
        let token = [signing.as_slice(), b".", &encode::url_base64(&code)].concat();
        let (signed, other) = (Signed::Secret(Algorithm::Sha256), Signed::Secret(Algorithm::Sha512));
        assert_eq!(verify_as(&token, signed, b"key", None), 1);
        assert_eq!(verify_as(&token, signed, b"kez", None), 0);
        assert_eq!(verify_as(&token, other, b"key", None), 0);
        assert_eq!(verify_as(&token, Signed::Not, b"key", None), 0);
        for index in 0..token.len() - 1 {
            let mut changed = token.clone();
            changed[index] ^= 1;
            assert!(verify_as(&changed, signed, b"key", None) <= 0, "{index}");
        }
    }

    /// haproxy 2.6 does not know the scheme; `samples.txt` asks it about the others.
    #[test]
    fn pss_signatures_verify() {
        const TOKEN: &[u8] = b"eyJhbGciOiJQUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJqb2UifQ.kABRKN04kE2zqE2U3alUuHvtPgL_FsHJ1tOrSPO818xvwcx5puTsd1WbNdmlX1jqfxUTB_T2UkUQux3cqHAebRxJjN9Qi4hoLTVIe4mRNOHGQ4Avxci2gHACVqQY_QfV3VdH5euSuXxSWY74ZW0AI6RdzCmyF8Fje0jtiAopu-uf4_6dvhLxeW1T9bdDcDscIeC1qHw9RUPulrCYagnt9CUpmSmVeF5xVkHBHf0_A2xwiSMj5e1Zg3s-fuwpVa2M7-ZObDxrD1pZjfzg-KBpIAsloQpqIA2UgC57PeQpiycl6B1gpZSkgwknt9INcFUf687bbU61GWiAI0Y8QX7MDQ";
        let public = PublicKey::from_pem(include_str!("signature/rsa.pub"));
        let signed = |name: &[u8]| Signed::from_name(name).unwrap();
        assert_eq!(verify_as(TOKEN, signed(b"PS256"), b"", public.as_ref()), 1);
        assert_eq!(verify_as(TOKEN, signed(b"PS384"), b"", public.as_ref()), 0);
        assert_eq!(verify_as(TOKEN, signed(b"RS256"), b"", public.as_ref()), 0);
        assert_eq!(verify_as(TOKEN, signed(b"PS256"), b"", None), UNMANAGED_ALGORITHM);
        assert_eq!(verify_as(b"e30.e30.", signed(b"PS256"), b"", public.as_ref()), INVALID_TOKEN);
    }
}

//! Who a request says it is from (RFC 9110, section 11).

use crate::http::{Head, header};
use crate::sample::convert::base64_decode;
use crate::sample::value::Value;
use std::borrow::Cow;

/// A part of the `authorization` header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AuthPart {
    /// The scheme.
    Type,
    /// The user of `Basic`.
    User,
    /// The password of `Basic`.
    Password,
}

/// User and password of a `Basic` authorization.
pub(super) fn basic(request: &Head) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, credentials) = authorization(request)?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    let mut user = base64_decode(credentials)?;
    let colon = user.iter().position(|&byte| byte == b':')?;
    let password = user.split_off(colon + 1);
    user.pop();
    Some((user, password))
}

/// Scheme and credentials. A request with an absolute target is one to a proxy and carries them in a header of its own.
pub(super) fn authorization(request: &Head) -> Option<(&[u8], &[u8])> {
    let absolute = !request.target().starts_with(b"/");
    let value = if absolute { request.value(b"proxy-authorization") } else { request.value(b"authorization") }?;
    let space = value.iter().position(|&byte| byte == b' ')?;
    Some((&value[..space], header::trim(&value[space..])))
}

/// `http_auth_type` and so on.
pub(super) fn auth(request: &Head, part: AuthPart) -> Option<Value<'_>> {
    Some(match part {
        AuthPart::Type => Value::text(authorization(request)?.0),
        AuthPart::User => Value::Str(Cow::Owned(basic(request)?.0)),
        AuthPart::Password => Value::Str(Cow::Owned(basic(request)?.1)),
    })
}

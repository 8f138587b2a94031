//! The parts of a request's target (RFC 9112 section 3.2).

use super::header;

/// Where the authority of a target in absolute form begins: behind its scheme (RFC 3986 section 3.1) and `://`.
pub fn authority_start(target: &[u8]) -> Option<usize> {
    if !target.first()?.is_ascii_alphabetic() {
        return None;
    }
    let scheme = header::find(target, b"://")?;
    let valid = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    target[..scheme].iter().all(valid).then_some(scheme + 3)
}

/// Where the path begins, and where it would where there is none: at the end.
pub fn path_start(target: &[u8]) -> Option<usize> {
    if target.first() == Some(&b'/') {
        return Some(0);
    }
    let authority = authority_start(target)?;
    let path = target[authority..].iter().position(|&byte| byte == b'/');
    Some(path.map_or(target.len(), |path| authority + path))
}

/// From the path to the end of a target; nothing of `*` and the authority form.
pub fn from_path(target: &[u8]) -> &[u8] {
    path_start(target).map_or(b"", |start| &target[start..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_begins_behind_a_scheme_and_an_authority() {
        let table: &[(&[u8], &[u8])] = &[
            (b"/a://b", b"/a://b"),
            (b"http://h/a?b", b"/a?b"),
            (b"a+b-c.1://h/", b"/"),
            (b"http://h", b""),
            (b"http://h?/a", b"/a"),
            (b"*", b""),
            (b"h:80", b""),
            (b"1http://h/a", b""),
            (b"ft\xf0://h/a", b""),
            (b"htt;p://h/a", b""),
            (b"://h/a", b""),
            (b"", b""),
        ];
        for (target, path) in table {
            assert_eq!(from_path(target), *path, "{}", String::from_utf8_lossy(target));
        }
    }
}

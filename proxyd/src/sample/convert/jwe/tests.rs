use super::*;

const PROSPER: &[u8] = b"Live long and prosper.";
const FRODO: &str = "You can trust us to stick with you through thick and thin\u{2013}to the bitter end. And you can trust us to \
    keep any secret of yours\u{2013}closer than you keep it yourself. But you cannot trust us to let you face trouble alone, \
    and go off without a word. We are your friends, Frodo.";

fn everything() -> Allowed {
    let mut allowed = Allowed::default();
    allowed.set_management("ALL").unwrap();
    allowed
}

fn with_jwk(key: &str, token: &str, allowed: Allowed) -> Option<Vec<u8>> {
    decrypt(token.as_bytes(), &Key::from_jwk(key.as_bytes())?, allowed)
}

/// RFC 7516, appendix A.3.
#[test]
fn a_token_with_a_secret() {
    const TOKEN: &str = "eyJhbGciOiJBMTI4S1ciLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.6KB707dM9YTIgHtLvtgWQ8mKwboJW3of9locizkDTHzBC2IlrT1oOQ.AxY8DCtDaGlsbGljb3RoZQ.KDlTtXchhZTGufMYmOYGS4HffxPSUrfmqCHXaI9wOGY.U0m_YmjN04DJvceFICbCVQ";
    let key = Key::from_secret(b"GawgguFyGrWKav7AX4VKUg").unwrap();
    let read = |token: &[u8]| decrypt(token, &key, Allowed::default());
    assert_eq!(read(TOKEN.as_bytes()).as_deref(), Some(PROSPER));
    // No byte of it may change, and none may be missing.
    for index in 0..TOKEN.len() {
        let mut changed = TOKEN.as_bytes().to_vec();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        // The last digits of a part may have bits that mean nothing.
        let last = TOKEN.as_bytes().get(index + 1).is_none_or(|next| *next == b'.');
        assert!(last || read(&changed).is_none(), "{index}");
        assert_eq!(read(&TOKEN.as_bytes()[..index]), None, "{index}");
    }
    assert_eq!(read(&[TOKEN.as_bytes(), b".AA"].concat()), None);
}

/// RFC 7520, sections 5.4 to 5.8.
#[test]
fn tokens_of_the_cookbook() {
    for line in include_str!("cookbook.txt").lines().filter(|line| !line.starts_with('#')) {
        let (key, token) = line.split_once(' ').unwrap();
        let text = with_jwk(key, token, Allowed::default());
        assert_eq!(text.as_deref(), Some(FRODO.as_bytes()), "{token}");
    }
}

#[test]
fn every_algorithm_is_understood() {
    let mut seen = 0;
    for line in include_str!("vectors.txt").lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split(' ');
        let (name, key, token) = (words.next().unwrap(), words.next().unwrap(), words.next().unwrap());
        assert_eq!(with_jwk(key, token, everything()).as_deref(), Some(PROSPER), "{name}");
        assert_eq!(with_jwk(key, token, Allowed::default()).is_some(), name != "RSA1_5", "{name}");
        let mut without = everything();
        without.set_management(&format!("ALL:!{name}")).unwrap();
        assert_eq!(with_jwk(key, token, without), None, "{name}");
        // The same token with a key of another kind, or another one of the kind.
        for other in [r#"{"kty":"oct","k":"GawgguFyGrWKav7AX4VKUg"}"#, OTHER_CURVE] {
            assert_eq!(with_jwk(other, token, everything()), None, "{name}");
        }
        seen += 1;
    }
    assert!(seen > MANAGEMENT.len());
}

/// Of RFC 7520, section 5.5.
const OTHER_CURVE: &str = r#"{"kty":"EC","crv":"P-256","d":"r_kHyZ-a06rmxM3yESK84r1otSg-aQcVStkRhA-iCM8"}"#;

#[test]
fn a_file_has_a_key() {
    let (with_certificate, alone) = (include_str!("rsa.pem"), include_str!("rsa.key"));
    let tokens = include_str!("vectors.txt").lines().filter(|line| line.starts_with("RSA"));
    for token in tokens.map(|line| line.rsplit_once(' ').unwrap().1) {
        for text in [with_certificate, alone, &format!("{}{alone}", include_str!("../signature/ec.crt"))] {
            let key = Key::from_pem(text).unwrap();
            assert_eq!(decrypt(token.as_bytes(), &key, everything()).as_deref(), Some(PROSPER), "{token}");
        }
    }
    for text in [include_str!("../signature/ec.crt"), "", &alone.replace("BEGIN RSA", "BEGIN EC"), &alone[..400]] {
        assert_eq!(Key::from_pem(text), None, "{text}");
    }
}

#[test]
fn lists_name_what_is_allowed() {
    let bits = |list| listed(list, &["a", "b", "c"]);
    assert_eq!(bits("a:c"), Ok(0b101));
    assert_eq!(bits("ALL:!b").map(|bits| bits & 0b111), Ok(0b101));
    assert_eq!(bits("!b"), Ok(0));
    assert_eq!(bits("a:x"), Err("x"));
    assert_eq!(bits("a:"), Err(""));
}

#[test]
fn what_is_no_key_decrypts_nothing() {
    for text in ["", "{}", r#"{"kty":"oct"}"#, r#"{"kty":"oct","k":"~"}"#, r#"{"kty":"RSA","n":"AQ","e":"AQAB"}"#] {
        assert_eq!(Key::from_jwk(text.as_bytes()), None, "{text}");
    }
    let short = Key::from_jwk(br#"{"kty":"EC","crv":"P-256","d":"AQ"}"#).unwrap();
    let token = include_str!("cookbook.txt").lines().nth(2).unwrap().split_once(' ').unwrap().1;
    assert_eq!(decrypt(token.as_bytes(), &short, everything()), None);
}

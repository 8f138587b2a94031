//! What sections take over from `defaults`, on both programs.

use super::rig::{Rig, answering, talk};
use std::time::Duration;

const QUIET: Duration = Duration::from_secs(1);
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

/// What the server saw of a request to `/a`, and the status that its client got.
fn asked(name: &str, config: &str) -> (Option<String>, String) {
    let rig = Rig::start(name, config, answering(RESPONSE));
    let (answer, _) = talk(&rig, b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false, QUIET);
    let status = answer.split(' ').nth(1).unwrap_or_default().to_owned();
    ((status == "200").then(|| rig.origin.message()), status)
}

/// An ACL of `defaults` is for the rules there; one of the same name in the section is another one.
#[test]
fn acls_belong_to_their_section() {
    let config = "
defaults shared
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    acl here path_beg /a
    http-request set-header x-shared 1 if here
frontend f from shared
    bind {front}
    acl here path_beg /elsewhere
    http-request deny if here
    default_backend b
defaults
    mode http
    timeout server 5s
    timeout connect 1s
backend b
    server s {server}
";
    let (seen, status) = asked("inheritance-acls", config);
    assert_eq!(status, "200");
    assert!(seen.unwrap().contains("x-shared: 1"));
}

/// A `defaults` section begins without anything, unless it names another one.
#[test]
fn defaults_start_anew() {
    let config = "
defaults first
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    option forwardfor
    errorfile 403 /dev/null
defaults FROM
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend f
    bind {front}
    http-request deny deny_status 403 if { url_param(deny) 1 }
    default_backend b
backend b
    server s {server}
";
    let (seen, _) = asked("inheritance-anew", &config.replace(" FROM", ""));
    assert!(!seen.unwrap().contains("x-forwarded-for"));
    let (seen, _) = asked("inheritance-from", &config.replace("FROM", "second from first"));
    assert!(seen.unwrap().contains("x-forwarded-for"));
}

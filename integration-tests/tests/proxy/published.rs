//! Backends that rules pass over: those that are disabled or not published (haproxy 3.4).

use super::rig::{Rig, answering, command, talk};
use integration_tests::subject::Subject;
use std::path::PathBuf;
use std::time::Duration;

const QUIET: Duration = Duration::from_millis(100);

const CONFIG: &str = "
global
    stats socket {runtime} level admin
    stats socket {runtime}-user level user
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend fe
    bind {front}
    acl forced path_end .forced
    force-be-switch if forced
    use_backend hidden if { path_beg /a }
    use_backend off if { path_beg /b }
    use_backend %[path,field(3,/)] if { path_beg /name/ }
    use_backend hidden if { path_beg /1 }
    use_backend off if { path_beg /2 }
    use_backend plain if { path_beg /1 }
    use_backend plain if { path_beg /2 }
    use_backend plain if { path_beg /a/next } || { path_beg /b/next } || { path_beg /name/ }
    default_backend default
backend hidden
    be-unpublished
    http-request return status 200 content-type text/plain string hidden
backend off
    disabled
    http-request return status 200 content-type text/plain string off
backend plain
    http-request return status 200 content-type text/plain string plain
backend default
    http-request return status 200 content-type text/plain string default
";

/// What is answered to a path: a backend's name, or a status.
fn answered(rig: &Rig, path: &str) -> String {
    let (answer, _) = talk(rig, format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes(), false, QUIET);
    let status = answer.split(' ').nth(1).unwrap_or_default();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    if status == "200" { body.to_owned() } else { status.to_owned() }
}

#[test]
fn rules_pass_over_what_is_disabled_or_not_published() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let rig = Rig::start("published", CONFIG, Vec::new());
    let ask = |cases: &[(&str, &str)]| {
        for (path, expected) in cases {
            assert_eq!(answered(&rig, path), *expected, "{path}");
        }
    };
    ask(&[
        ("/", "default"),
        ("/a", "default"),
        ("/a/next", "plain"),
        ("/b", "default"),
        ("/b/next", "plain"),
        // A run of rules that one look-up decides is walked from there on.
        ("/1", "plain"),
        ("/2", "plain"),
        ("/name/hidden", "plain"),
        ("/name/default", "default"),
        // Where it is forced both are there.
        ("/a.forced", "hidden"),
        ("/b.forced", "off"),
        ("/name/off/.forced", "off"),
    ]);
    assert_eq!(rig.command("publish backend hidden"), "Backend published.\n\n");
    ask(&[("/a", "hidden"), ("/1", "hidden"), ("/2", "plain"), ("/name/hidden", "hidden")]);
    assert_eq!(
        rig.command("unpublish backend hidden; unpublish backend default"),
        "Backend unpublished.\n\nBackend unpublished.\n\n"
    );
    // Without a default backend that takes requests there is none.
    ask(&[("/a", "503"), ("/", "503"), ("/a/next", "plain"), ("/.forced", "default")]);
    // A disabled one stays away whatever is published.
    rig.command("publish backend off; publish backend default");
    ask(&[("/b", "default"), ("/", "default")]);
    let user = PathBuf::from(format!("{}-user", rig.runtime().display()));
    assert_eq!(command(&user, "publish backend hidden"), "Permission denied\n\n");
    assert_eq!(rig.command("publish backend"), "A backend name is expected.\n\n");
    assert_eq!(rig.command("publish backend none"), "No such backend.\n\n");
}

/// What an operator has said holds as long as the section says the same.
#[test]
fn a_reload_keeps_what_is_published() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let rig = Rig::start("published-reload", CONFIG, Vec::new());
    rig.command("publish backend hidden");
    let changed = |text: &str| text.replace("string default", "string changed");
    rig.reload(changed, |rig| answered(rig, "/") == "changed");
    assert_eq!(answered(&rig, "/a"), "hidden");
    // Another word in the file is the last word again.
    rig.command("unpublish backend hidden");
    assert_eq!(answered(&rig, "/a"), "changed");
    rig.reload(|text| text.replace("    be-unpublished\n", ""), |rig| answered(rig, "/a") == "hidden");
}

/// Whose default backend is not there keeps to its own servers.
#[test]
fn a_listen_section_has_servers_of_its_own() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let config = CONFIG
        .replace("frontend fe", "listen fe")
        .replace("    bind {front}", "    bind {front}\n    server s {server}");
    let config = config.replace("\nbackend default\n", "\nbackend default\n    disabled\n");
    let rig = Rig::start("published-listen", &config, answering(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nown"));
    assert_eq!(answered(&rig, "/"), "own");
    assert_eq!(answered(&rig, "/.forced"), "default");
    assert_eq!(answered(&rig, "/a/next"), "plain");
}

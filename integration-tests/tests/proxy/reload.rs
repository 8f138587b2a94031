//! What a reload keeps and what it forgets.

use std::io::{Read, Write};

use crate::rig::Rig;

const CONFIG: &str = "\
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend front
    bind {front}
    http-request set-map({folder}/words.map) %[path] changed if { method PUT }
    http-request del-map({folder}/words.map) %[path] if { method DELETE }
    http-request add-acl({folder}/words.acl) %[path] if { method PUT }
    http-request return status 200 hdr x-generation first hdr x-map %[path,map({folder}/words.map,none)] hdr x-acl yes if { path -f {folder}/words.acl }
    http-request return status 200 hdr x-generation first hdr x-map %[path,map({folder}/words.map,none)] hdr x-acl no
";

/// `x-generation`, `x-map` and `x-acl` of an answer.
fn ask(rig: &Rig, method: &str, path: &str) -> [String; 3] {
    let mut client = rig.connect();
    write!(client, "{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let value = |name: &str| answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
    [value("x-generation: "), value("x-map: "), value("x-acl: ")]
}

/// Files of maps and patterns are read again by a reload: what rules have changed in them since is lost, what was written into
/// the files holds. haproxy, whose reload is a new process, does the same.
#[test]
fn files_of_patterns_are_read_again() {
    let words = |rig: &str, map: &str, acl: &str| {
        std::fs::write(format!("{rig}/words.map"), map).unwrap();
        std::fs::write(format!("{rig}/words.acl"), acl).unwrap();
    };
    let folder = std::env::temp_dir().join(format!("proxy-words-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let folder = folder.display().to_string();
    words(&folder, "/a one\n/b two\n", "/b\n");
    let rig = Rig::start_as("-W", "reload", &CONFIG.replace("{folder}", &folder), Vec::new());
    assert_eq!(ask(&rig, "GET", "/a"), ["first", "one", "no"]);
    assert_eq!(ask(&rig, "GET", "/b"), ["first", "two", "yes"]);
    ask(&rig, "PUT", "/a");
    ask(&rig, "DELETE", "/b");
    assert_eq!(ask(&rig, "GET", "/a"), ["first", "changed", "yes"]);
    assert_eq!(ask(&rig, "GET", "/b"), ["first", "none", "yes"]);
    // The files themselves were left alone by the rules.
    assert_eq!(std::fs::read_to_string(format!("{folder}/words.map")).unwrap(), "/a one\n/b two\n");
    words(&folder, "/b two\n/a one\n/c three\n", "/c\n");
    let second = |text: &str| text.replace("x-generation first", "x-generation second");
    rig.reload(second, |rig| ask(rig, "GET", "/a")[0] == "second");
    assert_eq!(ask(&rig, "GET", "/a"), ["second", "one", "no"]);
    assert_eq!(ask(&rig, "GET", "/b"), ["second", "two", "no"]);
    assert_eq!(ask(&rig, "GET", "/c"), ["second", "three", "yes"]);
    std::fs::remove_dir_all(folder).unwrap();
}

//! Maps and ACLs in files, and what the process tells of itself, on the runtime socket.

use super::rig::{Rig, talk};
use integration_tests::subject::Subject;
use std::path::PathBuf;
use std::time::Duration;

const QUIET: Duration = Duration::from_millis(100);

const CONFIG: &str = "
global
    stats socket {runtime} level admin
    stats socket {runtime}-user level user
    set-var proc.a int(5)
    set-var proc.b str(hello)
    set-var proc.c bool(true)
    set-var proc.d ipv4(1.2.3.4)
    set-var proc.e bin(616263)
defaults
    mode http
    timeout client 5s
frontend f
    bind {front}
    acl blocked dst_port -m int -f FILES/int.acl
    acl blocked hdr(x-path) -m str -i -f FILES/paths.acl
    acl blocked hdr_ip(x-ip) -f FILES/ip.acl
    acl blocked hdr(x-reg) -m reg -f FILES/reg.acl
    http-request set-header x-n %[path,map_str_int(FILES/numbers.map)]
    http-request set-header x-d %[dst_port,map_int(FILES/ports.map)]
    http-request set-header x-r %[path,map_reg(FILES/reg.map)]
    http-request deny if blocked
    http-request return status 200 content-type text/plain lf-string \"%[path,map(FILES/a.map,none)] %[path,map_beg(FILES/a.map,none)] %[hdr_ip(x-ip),map_ip(FILES/ip.map,none)]\"
";

/// What the files have.
const FILES: [(&str, &str); 9] = [
    ("a.map", "# a comment\n/a 1\n\n/b two words  here \n/a 9\n"),
    ("ip.map", "10.0.0.0/8 ten\n127.0.0.1 lo\n"),
    ("numbers.map", "/a 1\n/b 22\n"),
    ("ports.map", "80 eighty\n1:10 low\n"),
    ("reg.map", "^/a(.*) v\n"),
    ("int.acl", "5\n"),
    ("paths.acl", "Abc\nxyz\n"),
    ("ip.acl", "192.168.0.0/16\n1.2.3.4\n"),
    ("reg.acl", "^/x\n"),
];

/// Commands in their order, and what haproxy 2.6 answers; `REF` stands for the name of a line.
const DIALOGUE: &[(&str, &str)] = &[
    ("show map a.map", "REF /a 1\nREF /b two words  here\nREF /a 9\n"),
    ("show acl ip.acl", "REF 192.168.0.0/16\nREF 1.2.3.4\n"),
    ("show map none", "Unknown map identifier. Please use #<id> or <file>.\n"),
    ("show map #9999", "Unknown map identifier. Please use #<id> or <file>.\n"),
    ("show acl none", "Unknown ACL identifier. Please use #<id> or <file>.\n"),
    (
        "get map a.map /a",
        "type=str, case=sensitive, found=yes, idx=tree, key=\"/a\", value=\"1\", type=\"str\"\n\
         type=beg, case=sensitive, found=yes, idx=tree, key=\"/a\", value=\"1\", type=\"str\"\n",
    ),
    ("get map a.map /zzz", "type=str, case=sensitive, found=no\ntype=beg, case=sensitive, found=no\n"),
    (
        "get map ip.map 10.1.2.3",
        "type=ip, case=sensitive, found=yes, idx=tree, key=\"10.0.0.0/8\", value=\"ten\", type=\"str\"\n",
    ),
    (
        "get map numbers.map /a",
        "type=str, case=sensitive, found=yes, idx=tree, key=\"/a\", value=\"1\", type=\"sint\"\n",
    ),
    (
        "get map ports.map 5",
        "type=int, case=sensitive, found=yes, idx=list, key=\"1:10\", value=\"low\", type=\"str\"\n",
    ),
    ("get map ports.map junk", "type=int, case=sensitive, found=no\n"),
    (
        "get map reg.map /ab",
        "type=reg, case=sensitive, found=yes, idx=list, key=\"^/a(.*)\", value=\"v\", type=\"str\"\n",
    ),
    ("get acl ip.acl 192.168.3.4", "type=ip, case=sensitive, match=yes, idx=tree, pattern=\"192.168.0.0/16\"\n"),
    ("get acl ip.acl junk", "type=ip, case=sensitive, match=no\n"),
    ("get acl paths.acl aBC", "type=str, case=insensitive, match=yes, idx=list, pattern=\"Abc\"\n"),
    ("get acl int.acl 5", "type=int, case=sensitive, match=yes, idx=list, pattern=\"5\"\n"),
    ("get map a.map", "Missing map identifier and/or key.\n"),
    ("get acl", "Missing ACL identifier and/or key.\n"),
    ("add map a.map /new val", ""),
    ("get map none x", "Unknown map identifier. Please use #<id> or <file>.\n"),
    (
        "add map a.map /new",
        "'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload\n",
    ),
    ("add acl", "'add acl' expects two parameters: ACL identifier and pattern.\n"),
    ("add map none a b", "Unknown map identifier. Please use #<id> or <file>.\n"),
    ("add acl none a", "Unknown ACL identifier. Please use #<id> or <file>.\n"),
    ("add map numbers.map /c abc", "unable to parse 'abc'.\n"),
    ("add map ip.map junk val", "'junk' is not a valid IPv4 or IPv6 address.\n"),
    ("add map ports.map junk x", "'junk' is not a number.\n"),
    ("add acl int.acl junk", "'junk' is not a number.\n"),
    ("add acl ip.acl junk", "'junk' is not a valid IPv4 or IPv6 address.\n"),
    ("add acl ip.acl 5.6.7.8", ""),
    ("get acl ip.acl 5.6.7.8", "type=ip, case=sensitive, match=yes, idx=tree, pattern=\"5.6.7.8\"\n"),
    ("del acl ip.acl 5.6.7.8", ""),
    ("del acl ip.acl 5.6.7.8", "Key not found.\n"),
    ("set map a.map /a 77", ""),
    ("set map a.map /none 77", "entry not found.\n"),
    ("set map a.map /a", "'set map' expects three parameters: map identifier, key and value.\n"),
    ("set map none a b", "Unknown map identifier. Please use #<id> or <file>.\n"),
    ("show map a.map", "REF /a 77\nREF /b two words  here\nREF /a 77\nREF /new val\n"),
    ("del map a.map /b", ""),
    ("del map a.map /b", "Key not found.\n"),
    ("del map a.map", "This command expects two parameters: map identifier and key.\n"),
    ("clear acl paths.acl", ""),
    ("show acl paths.acl", ""),
    ("clear map", "Missing map identifier.\n"),
    ("clear acl", "Missing ACL identifier.\n"),
    ("clear map none", "Unknown map identifier. Please use #<id> or <file>.\n"),
    ("get var proc.none", "Variable not found.\n"),
    ("get var txn.a", "Variable not found.\n"),
    ("get var", "Missing process-wide variable identifier.\n"),
    ("show cli level", "admin\n"),
    ("show env NO_SUCH_NAME", "Variable not found\n"),
];

/// What has no line end of its own.
const VARIABLES: [(&str, &str); 5] = [
    ("proc.a", "type=sint value=<5>"),
    ("proc.b", "type=str value=<hello>"),
    ("proc.c", "type=bool value=<1>"),
    ("proc.d", "type=ipv4 value=<1.2.3.4>"),
    ("proc.e", "type=bin value=<abc>"),
];

struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("proxy-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (file, text) in FILES {
            std::fs::write(path.join(file), text).unwrap();
        }
        Self(path)
    }

    /// A command with the files' whole names.
    fn whole(&self, command: &str) -> String {
        let word = |word: &str| {
            let is_file = FILES.iter().any(|(file, _)| *file == word);
            if is_file { self.0.join(word).display().to_string() } else { word.to_owned() }
        };
        command.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Names of lines are whatever they are.
fn blurred(answer: &str) -> String {
    let line = |line: &str| match line.split_once(' ') {
        Some((name, rest)) if name.starts_with("0x") => format!("REF {rest}\n"),
        _ => format!("{line}\n"),
    };
    answer.lines().map(line).collect()
}

fn start(name: &str, folder: &Folder) -> Rig {
    Rig::start(name, &CONFIG.replace("FILES", &folder.0.display().to_string()), Vec::new())
}

fn asked(rig: &Rig, fields: &str) -> String {
    let (answer, _) = talk(rig, format!("GET {fields}\r\n\r\n").as_bytes(), false, QUIET);
    let status = answer.split(' ').nth(1).unwrap_or_default();
    if status == "200" { answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned() } else { status.to_owned() }
}

#[test]
fn commands_answer_as_haproxys_do() {
    let folder = Folder::new("patterns");
    let rig = start("patterns", &folder);
    let mut differences = Vec::new();
    for (command, expected) in DIALOGUE {
        let answer = blurred(&rig.command(&folder.whole(command)));
        if answer != format!("{expected}\n") {
            differences.push(format!("{command}: {answer:?} and not {expected:?}"));
        }
    }
    for (name, expected) in VARIABLES {
        let answer = rig.command(&format!("get var {name}"));
        if answer != format!("{name}: {expected}\n") {
            differences.push(format!("{name}: {answer:?} and not {expected:?}"));
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    let path = rig.command("show env PATH");
    assert_eq!(path, format!("PATH={}\n\n", std::env::var("PATH").unwrap()));
    let runtime = rig.runtime().display().to_string();
    let sockets = rig.command("show cli sockets");
    assert_eq!(sockets, format!("# socket lvl processes\nunix@{runtime} admin all\nunix@{runtime}-user user all\n\n"));
    let user = PathBuf::from(format!("{runtime}-user"));
    for command in ["get var proc.a", "show env PATH"] {
        assert_eq!(super::rig::command(&user, command), "Permission denied\n\n", "{command}");
    }
    assert_eq!(super::rig::command(&user, "show cli level"), "user\n\n");
}

#[test]
fn changes_count_from_the_next_request_on() {
    let folder = Folder::new("patterns-live");
    let rig = start("patterns-live", &folder);
    let run = |command: &str| assert_eq!(rig.command(&folder.whole(command)), "\n", "{command}");
    let plain = "/a HTTP/1.1\r\nHost: h\r\nX-Ip: 10.1.1.1";
    assert_eq!(asked(&rig, plain), "1 1 ten");
    run("set map a.map /a changed");
    run("add map ip.map 10.1.0.0/16 nearer");
    assert_eq!(asked(&rig, plain), "changed changed nearer");
    assert_eq!(asked(&rig, "/ab HTTP/1.1\r\nHost: h"), "none changed ");
    run("add acl ip.acl 10.0.0.0/8");
    assert_eq!(asked(&rig, plain), "403");
    run("del acl ip.acl 10.0.0.0/8");
    run("del map a.map /a");
    assert_eq!(asked(&rig, plain), "none none nearer");
    assert_eq!(asked(&rig, "/ HTTP/1.1\r\nHost: h\r\nX-Path: aBC"), "403");
    run("clear acl paths.acl");
    assert_eq!(asked(&rig, "/ HTTP/1.1\r\nHost: h\r\nX-Path: aBC"), "none none ");
    // A line may be named by what the list calls it.
    run("add map a.map /x one");
    run("add map a.map /x two");
    let list = rig.command(&folder.whole("show map a.map"));
    let names: Vec<&str> =
        list.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).collect();
    run(&format!("del map a.map #{}", names[names.len() - 2]));
    assert_eq!(asked(&rig, "/x HTTP/1.1\r\nHost: h"), "two two ");
}

#[test]
fn files_are_listed_with_their_numbers() {
    let folder = Folder::new("patterns-list");
    let rig = start("patterns-list", &folder);
    for (command, kind, file, count) in [("show map", "map", "numbers.map", 2), ("show acl", "acl", "ip.acl", 2)] {
        let list = rig.command(command);
        assert!(list.starts_with("# id (file) description\n"), "{list}");
        let name = folder.0.join(file).display().to_string();
        let line = list.lines().find(|line| line.contains(&format!("({name})"))).unwrap_or_else(|| panic!("{list}"));
        assert!(line.contains(&format!(") pattern loaded from file '{name}' used by {kind}")), "{line}");
        assert!(line.ends_with(&format!(". curr_ver=0 next_ver=0 entry_cnt={count}")), "{line}");
        let (number, _) = line.split_once(' ').unwrap();
        let by_number = rig.command(&format!("{command} #{number}"));
        assert_eq!(by_number, rig.command(&format!("{command} {name}")));
        assert_eq!(by_number.lines().filter(|line| !line.is_empty()).count(), count, "{by_number}");
    }
}

/// ACLs of many kinds.
const WRITTEN: &str = "
global
    stats socket {runtime} level admin
defaults
    mode http
    timeout client 5s
    timeout server 5s
    timeout connect 1s
frontend f
    bind {front}
    acl one path_beg /a /b
    acl one path_beg -i /c
    acl two hdr(host) -m str -i -f FILES/paths.acl x \"y z\"
    acl three src_port gt 1024
    acl four src_port 5 7:9 le 3
    acl five hdr(x) -m found
    acl six src 10.0.0.0/8 1.2.3.4 ::1
    acl seven hdr(x),lower -m reg ^a b$
    http-request deny if one TRUE
    http-request deny if METH_GET !two { path /z } { src 10.0.0.0/8 }
    http-request set-path %[path,map(FILES/a.map)] if three four five six seven
    default_backend be
backend be
    http-request deny if { path_end .x }
    server s {server}
";

/// Patterns in the configuration itself: each test of an ACL has a number, after that of its files.
#[test]
fn patterns_in_the_configuration_are_listed() {
    let folder = Folder::new("patterns-written");
    let rig = Rig::start("patterns-written", &WRITTEN.replace("FILES", &folder.0.display().to_string()), Vec::new());
    let file = rig.file();
    let all = rig.command("show acl");
    let lines = all.lines().skip(1).take_while(|line| !line.contains("'httpclient'") && !line.is_empty());
    // haproxy says on which line a file is used.
    let lines =
        lines.map(|line| if line.contains("()") { line } else { line.split(" pattern").next().unwrap_or(line) });
    let lines: Vec<_> = lines.map(|line| line.replace(&format!("file '{file}' "), "")).collect();
    let name = folder.0.join("paths.acl").display().to_string();
    let written = |number: usize, keyword: &str, line: usize, count: usize| {
        format!("{number} () acl '{keyword}' line {line}. curr_ver=0 next_ver=0 entry_cnt={count}")
    };
    let expected = [
        written(0, "path_beg", 11, 2),
        written(1, "path_beg", 12, 1),
        format!("2 ({name})"),
        written(3, "hdr", 13, 2),
        written(4, "src_port", 14, 1),
        written(5, "src_port", 15, 3),
        written(6, "hdr", 16, 0),
        written(7, "src", 17, 3),
        written(8, "req.hdr", 18, 2),
        written(9, "always_true", 19, 0),
        written(10, "method", 20, 2),
        written(11, "path", 20, 1),
        written(12, "src", 20, 1),
        written(14, "path_end", 24, 1),
    ];
    assert_eq!(lines, expected);
    assert!(rig.command("show map").contains("\n13 ("), "a map has a number of its own");
    for (number, patterns) in [
        (0, "REF /a\nREF /b\n\n"),
        (3, "REF x\nREF y z\n\n"),
        (4, "REF 1025:\n\n"),
        (5, "REF 5\nREF 7:9\nREF :3\n\n"),
        (6, "\n"),
        (8, "REF ^a\nREF b$\n\n"),
        (10, "REF GET\nREF HEAD\n\n"),
    ] {
        assert_eq!(blurred(&rig.command(&format!("show acl #{number}"))), patterns, "{number}");
    }
    if Subject::from_env() == Subject::Ours {
        for command in ["add acl #0 /x", "del acl #0 /a", "clear acl #0", "get acl #0 /a", "prepare acl #0"] {
            let answer = rig.command(command);
            assert!(
                answer.starts_with("The patterns of this ACL stand in the configuration itself"),
                "{command}: {answer}"
            );
        }
    }
}

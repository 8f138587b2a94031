//! The runtime socket as a conversation: several commands of a connection, what is agreed on for the rest of it, payloads.

use super::rig::{BOUND, Rig};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

const CONFIG: &str = "
global
    stats socket {runtime} level admin
defaults
    mode http
    timeout client 1s
    timeout server 1s
    timeout connect 1s
frontend fe
    bind {front}
    http-request set-header x %[path,map(MAP)]
    default_backend be
backend be
    server s {server}
";

/// All that comes back of a connection on which this is sent.
fn converse(rig: &Rig, text: &str) -> String {
    let connected = || UnixStream::connect(rig.runtime()).ok();
    let mut socket = wait::until("the runtime socket answers", BOUND, connected).unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    socket.write_all(text.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

/// What is sent, and what haproxy 2.6 answers. `REF` stands for the name of a line, `MAP` for the map.
const CONVERSATIONS: &[(&str, &str)] = &[
    ("quit\n", ""),
    ("show backend;quit;show backend\n", "# name\nbe\n\n"),
    ("show backend foo\n", "# name\nbe\n\n"),
    ("prompt\nprompt\nshow backend\nshow backend\n", "\n> \n# name\nbe\n\n# name\nbe\n\n"),
    ("prompt\nshow backend;quit\nshow backend\n", "\n> # name\nbe\n\n> "),
    (
        "show cli level;operator;show cli level;user x;show cli level;operator;show cli level\n",
        "admin\n\n\noperator\n\n\nuser\n\nPermission denied\n\nuser\n\n",
    ),
    ("user;expert-mode;experimental-mode on\n", "\nPermission denied\n\nPermission denied\n\n"),
    (
        "experimental-mode;experimental-mode on;experimental-mode\n",
        "experimental-mode is OFF\n\n\nexperimental-mode is ON\n\n",
    ),
    ("experimental-mode on;experimental-mode x;experimental-mode\n", "\n\nexperimental-mode is OFF\n\n"),
    ("expert-mode on;expert-mode\n", "\nexpert-mode is ON\n\n"),
    ("set timeout\n", "'set timeout' only supports 'cli'.\n\n"),
    ("set timeout cli\n", "Expects an integer value.\n\n"),
    ("set timeout cli 0;set timeout cli 5x\n", "Invalid timeout value.\n\nInvalid timeout value.\n\n"),
    ("user;set timeout cli 5s;set timeout cli 5\n", "\n\n\n"),
    ("set var proc.x int(3)\n", "This command is restricted to experimental mode only.\n\n"),
    (
        "experimental-mode on;operator;set var proc.x int(3)\n",
        "\n\nThis command is restricted to experimental mode only.\n\n",
    ),
    ("experimental-mode on;set var\n", "\nMissing process-wide variable identifier.\n\n"),
    ("experimental-mode on;set var proc.x\n", "\nMissing either 'expr', 'fmt' or expression.\n\n"),
    ("experimental-mode on;set var proc.x int(3);get var proc.x\n", "\n\nproc.x: type=sint value=<3>\n"),
    ("experimental-mode on;set var proc.x str(a\\ b),upper;get var proc.x\n", "\n\nproc.x: type=str value=<A B>\n"),
    (
        "experimental-mode on;set var proc.x expr var(proc.x),length;get var proc.x\n",
        "\n\nproc.x: type=sint value=<3>\n",
    ),
    (
        "experimental-mode on;set var proc.x fmt a%%b-%[int(3)] c;get var proc.x\n",
        "\n\nproc.x: type=str value=<a%b-3>\n",
    ),
    ("experimental-mode on;set var proc.x,ifnotset int(4);get var proc.x\n", "\n\nproc.x: type=str value=<a%b-3>\n"),
    (
        "experimental-mode on;set var txn.x int(3)\n",
        "\n'set var': cannot set variable 'txn.x', only scope 'proc' is permitted here.\n",
    ),
    ("experimental-mode on;set var proc.x foo\n", "\nunknown fetch method 'foo'\n"),
    ("experimental-mode on;set var proc.x fmt\n", "\nunknown fetch method 'fmt'\n"),
    ("experimental-mode on;set var proc.x int(3),foo\n", "\nunknown converter 'foo'\n"),
    (
        "experimental-mode on;set var proc.x path\n",
        "\nfetch method 'set-var(proc.x)' extracts information from 'HTTP request headers', none of which is available here\n",
    ),
    (
        "experimental-mode on;set var proc.x int(3) if TRUE\n",
        "\n'set var': arg type must be either 'expr' or 'fmt' but got 'int(3)'.\n",
    ),
    (
        "experimental-mode on;set var x int(3)\n",
        "\ninvalid variable name 'x'. A variable name must be start by its scope. The scope can be 'proc', 'sess', 'txn', 'req', 'res' or 'check'\n",
    ),
    (
        "prompt\nadd map MAP <<\nq 9\nr 10 11\n\nshow map MAP;quit\n",
        "\n> + + + \n> REF a 1\nREF q 9\nREF r 10 11\n\n> ",
    ),
    ("show backend;add map MAP x <<\ns  1\n\n", "# name\nbe\n\n\n"),
    ("add map MAP <<;t 1\nu 2\n\n", "\n"),
    ("add map MAP <<\r\nv 1\r\n\r\n", "\n"),
    (
        "add map MAP << \n",
        "'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload\n\n",
    ),
    (
        "add map <<\n\n",
        "'add map' expects three parameters (map identifier, key and value) or one parameter (map identifier) and a payload\n\n",
    ),
    ("add map MAP <<\n\n", "Missing value for key '\n'.\n\n"),
    ("add map MAP <<\nw 1\nx\n\n", "Missing value for key 'x'.\n\n"),
    ("show backend <<\nabc\n\n", "# name\nbe\n\n"),
    ("show map MAP\n", "REF a 1\nREF q 9\nREF r 10 11\nREF s 1\nREF t 1\nREF u 2\nREF v 1\nREF w 1\n\n"),
    ("add map @1 MAP a b\n", "Version number in the future, please use 'prepare map' before.\n\n"),
    ("prepare map\n", "Unknown map identifier. Please use #<id> or <file>.\n\n"),
    ("user;prepare map MAP;prepare map MAP\n", "\nNew version created: 1\n\nNew version created: 2\n\n"),
    ("add map @1 MAP a v1;add map @2 MAP a v2;add map @2 MAP <<\nb v2\n\n", "\n\n\n"),
    ("show map @2 MAP;show map @1 MAP;show map @9 MAP\n", "REF a v2\nREF b v2\n\nREF a v1\n\n\n"),
    ("get map MAP a\n", "type=str, case=sensitive, found=yes, idx=tree, key=\"a\", value=\"1\", type=\"str\"\n\n"),
    ("clear map @1 MAP;clear map @9 MAP;show map @1 MAP\n", "\n\n\n"),
    (
        "commit map MAP;commit map @9 MAP;commit map @x MAP\n",
        "Missing version number.\n\nVersion number out of range.\n\nVersion number out of range.\n\n",
    ),
    ("commit map @2\n", "Missing map identifier.\n\n"),
    ("clear map @2\n", "Missing map identifier.\n\n"),
    ("show map @2\n", "Unknown map identifier. Please use #<id> or <file>.\n\n"),
    ("del map @2 MAP a\n", "Unknown map identifier. Please use #<id> or <file>.\n\n"),
    ("commit map @2 MAP;show map MAP;commit map @1 MAP\n", "\nREF a v2\nREF b v2\n\nVersion number out of range.\n\n"),
    ("add map @2 MAP c 3;clear map MAP;show map MAP\n", "\n\n\n"),
];

#[test]
fn conversations() {
    let map = std::env::temp_dir().join(format!("proxy-dialogue-{}.map", std::process::id()));
    std::fs::write(&map, "a 1\n").unwrap();
    let name = map.display().to_string();
    let rig = Rig::start("dialogue", &CONFIG.replace("MAP", &name), Vec::new());
    let mut differences = Vec::new();
    for (sent, expected) in CONVERSATIONS {
        let answer = converse(&rig, &sent.replace("MAP", &name));
        let blurred = answer.split_inclusive('\n').map(|line| match line.split_once("0x") {
            Some((before, named)) if named.contains(' ') => {
                format!("{before}REF {}", named.split_once(' ').map_or("", |(_, rest)| rest.trim_start_matches(' ')))
            }
            _ => line.to_owned(),
        });
        let answer: String = blurred.collect();
        if answer != *expected {
            differences.push(format!("{sent:?}: {answer:?} and not {expected:?}"));
        }
    }
    std::fs::remove_file(&map).unwrap();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A client that leaves before its payload is complete changes nothing, and one that is silent is let go.
#[test]
fn unfinished_commands() {
    let map = std::env::temp_dir().join(format!("proxy-unfinished-{}.map", std::process::id()));
    std::fs::write(&map, "a 1\n").unwrap();
    let name = map.display().to_string();
    let rig = Rig::start("unfinished", &CONFIG.replace("MAP", &name), Vec::new());
    assert!(converse(&rig, &format!("show map {name}\n")).ends_with(" a 1\n\n"));
    let mut socket = UnixStream::connect(rig.runtime()).unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    socket.write_all(format!("add map {name} <<\nb 2\nc 3\n").as_bytes()).unwrap();
    socket.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "");
    assert!(converse(&rig, &format!("show map {name}\n")).ends_with(" a 1\n\n"));
    let begun = integration_tests::clock::now();
    assert_eq!(converse(&rig, "set timeout cli 100ms;prompt\n"), "\n\n> ");
    assert!(begun.elapsed() < Duration::from_secs(5));
    std::fs::remove_file(&map).unwrap();
}

/// A word of 3.x: what is longer than that is not obeyed.
#[test]
fn payloads_have_a_limit() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let map = std::env::temp_dir().join(format!("proxy-payloads-{}.map", std::process::id()));
    std::fs::write(&map, "a 1\n").unwrap();
    let name = map.display().to_string();
    let global = "global\n    tune.cli.max-payload-size 10";
    let rig = Rig::start("payloads", &CONFIG.replace("MAP", &name).replace("global", global), Vec::new());
    for (payload, answer, last) in [("b 2\nc 3\n\n", "\n", " c 3\n\n"), ("d 4\ne 5\nf 6\n\n", "", " c 3\n\n")] {
        assert_eq!(converse(&rig, &format!("add map {name} <<\n{payload}")), answer, "{payload}");
        let lines = converse(&rig, &format!("show map {name}\n"));
        assert!(lines.ends_with(last), "{payload}: {lines}");
    }
    std::fs::remove_file(&map).unwrap();
}

/// The commands that the table of words says to work are those that are answered.
#[test]
fn the_table_of_commands_is_right() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let config = CONFIG.replace("    http-request set-header x %[path,map(MAP)]\n", "");
    let rig = Rig::start("commands", &config, Vec::new());
    let table =
        Command::new(Subject::from_env().proxy().unwrap()).args(["-dKcli", "-c", "-f"]).arg(rig.file()).output();
    let table = String::from_utf8(table.unwrap().stdout).unwrap();
    let rows = table.lines().filter_map(|line| line.split_once(" [").filter(|(_, marks)| marks.contains("WORKER]")));
    let mut seen = 0;
    for (command, marks) in rows {
        let missing = marks.contains("# not yet");
        let unknown = converse(&rig, &format!("{command};quit\n")).starts_with("Unknown command");
        assert_eq!(unknown, missing, "{command}");
        seen += 1;
    }
    assert!(seen > 100, "{table}");
}

//! What rules and logs can ask of an exchange besides its messages, and actions that act on the connection: which rule had the last
//! word, what a sample shows to who looks for a mistake, hints that come early.

use super::rig::{Rig, Step, answering, talk};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::fmt::Write as _;
use std::time::Duration;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const QUIET: Duration = Duration::from_millis(150);

const CONFIG: &str = "
global
    stats socket {runtime} level admin
defaults
    mode http
    log {log} local0
    log-format \"[x] - - - FORMAT\"
    timeout client 3s
    timeout server 3s
    timeout connect 2s
    timeout tarpit 50ms
frontend fe
    bind {front}
RULES
    default_backend be
backend be
    server s1 {server}
";

fn config(format: &str, rules: &str) -> String {
    CONFIG.replace("FORMAT", format).replace("RULES", rules)
}

fn get(rig: &Rig, path: &str) -> String {
    talk(rig, format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes(), false, QUIET).0
}

/// What the format of a test says; the rig blurs a word before it.
fn logged(rig: &Rig) -> String {
    let line = rig.log_line();
    line.strip_prefix("- - - ").unwrap_or(&line).to_owned()
}

fn is_theirs() -> bool {
    Subject::from_env() == Subject::Theirs
}

/// Each rule says in its own line what it is asked by.
const LAST_WORDS: &str = "    tcp-request content accept if { path /accept }
    http-request deny if { path /deny }
    http-request return status 200 if { path /return }
    http-request set-header x y if { path /nothing }
    http-request redirect location / if { path /redirect }
    http-request tarpit if { path /tarpit }
    http-request reject if { path /reject }
    http-request allow if { path /allow }
    redirect location / if { path /old }
    http-response deny if { status 200 } { capture.req.uri /answer }
    http-after-response allow if { capture.req.uri /after }";

#[test]
fn the_rule_with_the_last_word_is_known() {
    let text = config("%[last_rule_line] %[last_rule_file]", LAST_WORDS);
    let rig = Rig::start("last-rule", &text, answering(OK));
    for path in
        ["accept", "deny", "return", "nothing", "redirect", "tarpit", "reject", "allow", "old", "answer", "after"]
    {
        let _ = talk(&rig, format!("GET /{path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes(), false, QUIET);
        let line = logged(&rig);
        let rule = text.lines().position(|line| line.contains(&format!(" /{path} "))).map_or(0, |index| index + 1);
        if matches!(path, "nothing" | "old") {
            assert_eq!(line, "- -", "{path}");
        } else {
            let (number, file) = line.split_once(' ').unwrap();
            assert_eq!(number.parse(), Ok(rule), "{path}: {line}");
            assert!(file.ends_with("/haproxy.cfg"), "{path}: {line}");
        }
    }
}

/// Of 3.x: the same in one word, and the rule that something waits for.
#[test]
fn entities_are_rules() {
    if is_theirs() {
        return;
    }
    let rules = "    http-request wait-for-body time 5s if { path /wait }\n    http-request deny if { path /deny }";
    let rig = Rig::start("entities", &config("%[last_entity] %[waiting_entity]", rules), answering(OK));
    let _ = get(&rig, "/deny");
    let denied = logged(&rig);
    assert!(denied.ends_with("/haproxy.cfg:15 -"), "{denied}");
    let _ = talk(&rig, b"POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n1234", true, QUIET);
    let waited = logged(&rig);
    assert!(waited.starts_with("- /") && waited.ends_with("/haproxy.cfg:14"), "{waited}");
    let _ = get(&rig, "/");
    assert_eq!(logged(&rig), "- -");
}

#[test]
fn samples_are_shown_to_who_looks_for_a_mistake() {
    let shown = "    http-request set-var(txn.a) path,debug(p,stdout),length,debug(l,stdout)
    http-request set-var(txn.b) bin(41ff4200),debug(b,stdout)
    http-request set-var(txn.c) src,debug(,stderr)";
    let rig = Rig::start("debug", &config("%[var(txn.a)]", shown), answering(OK));
    let _ = get(&rig, "/abc");
    assert_eq!(logged(&rig), "4");
    let written = || rig.output(false);
    let expected = "[debug] p: type=str </abc>\n[debug] l: type=sint <4>\n[debug] b: type=bin <A.B>\n";
    let same = || (written() == expected).then_some(());
    wait::until("the lines", Duration::from_secs(5), same).unwrap_or_else(|_| panic!("{}", written()));
    assert!(rig.output(true).contains("[debug] : type=ipv4 <127.0.0.1>\n"), "{}", rig.output(true));
}

/// haproxy 2.6 keeps no such lines in its ring where nobody follows it.
#[test]
fn a_ring_keeps_what_is_shown() {
    if is_theirs() {
        return;
    }
    let rig = Rig::start("debug-ring", &config("x", "    http-request set-var(txn.a) path,debug(p)"), answering(OK));
    let _ = get(&rig, "/abc");
    let events = rig.command("show events buf0");
    assert!(events.contains(" [debug] p: type=str </abc>\n"), "{events}");
}

/// The hints come at once, and once, however many rules make them.
#[test]
fn hints_come_before_the_response() {
    let rules = "    http-request early-hint link \"<%[path]>; rel=preload\"
    http-request early-hint Link </b>
    http-request early-hint Link </c> if { path /three }";
    let rig = Rig::start("hints", &config("%ST %B", rules), answering(OK));
    let mut client = rig.connect();
    let sent = b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\n";
    std::io::Write::write_all(&mut client, sent).unwrap();
    let (early, _) = super::rig::read_all(&mut client, QUIET);
    assert_eq!(early, "HTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\nlink: </b>\r\n\r\n");
    std::io::Write::write_all(&mut client, b"go").unwrap();
    let (answer, _) = super::rig::read_all(&mut client, QUIET);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert_eq!(logged(&rig), "200 123");
    // One with a condition of its own begins another message.
    let three = get(&rig, "/three");
    assert_eq!(three.matches("HTTP/1.1 103 ").count(), 2, "{three}");
    assert_eq!(logged(&rig), "200 178");
    let old = talk(&rig, b"GET /c HTTP/1.0\r\n\r\n", false, QUIET).0;
    assert!(!old.contains("103"), "{old}");
}

/// A server that closes without a word has got the request.
#[test]
fn a_request_may_be_one_that_is_sent_once() {
    let rules = "    http-request disable-l7-retry if { path /once }";
    let text = config("%ts %rc", rules)
        .replace("    server s1", "    retries 2\n    retry-on all-retryable-errors\n    server s1");
    let rig = Rig::start("once", &text, vec![Step::ReadMessage, Step::Close]);
    let _ = get(&rig, "/once");
    assert_eq!((logged(&rig), rig.origin.connections()), ("SH 0".to_owned(), 1));
    let _ = get(&rig, "/again");
    assert_eq!((logged(&rig), rig.origin.connections()), ("SH 2".to_owned(), 4));
}

#[test]
fn distcc_is_read_as_its_tokens_say() {
    let names = ["DIST", "ARGC", "ARGV", "DOTI", "NHDR", "NAME"];
    let mut rules = "    tcp-request inspect-delay 5s
    tcp-request content set-var(txn.z) int(1) if { distcc_body(DOTI) -m found }
"
    .to_owned();
    let mut format = String::new();
    for name in names {
        let _ = writeln!(rules, "    tcp-request content set-var(txn.p{name}) distcc_param({name})");
        let _ = writeln!(rules, "    tcp-request content set-var(txn.b{name}) distcc_body({name})");
        let _ = write!(format, "%[var(txn.p{name})]/%[var(txn.b{name})],");
    }
    rules += "    tcp-request content set-var(txn.second) distcc_body(ARGV,2)\n    tcp-request content reject\n";
    let text = config(&format!("{format}%[var(txn.second)]"), &rules).replace("mode http", "mode tcp");
    let rig = Rig::start("distcc", &text, answering(OK));
    let sent = b"DIST00000002ARGC00000002ARGV00000002ccARGV00000001xDOTI0000000512345NHDR00000001NAME00000003abc";
    let _ = talk(&rig, sent, false, QUIET);
    // What is no token ends it: NHDR is taken for one with a body.
    assert_eq!(logged(&rig), "2/-,2/-,2/cc,5/12345,1/N,-/-,x");
}

/// Of 3.x.
#[test]
fn samples_pass_under_a_condition() {
    if is_theirs() {
        return;
    }
    let format = "%[var(txn.p),when(normal)]|%[var(txn.p),when(error)]|%[var(txn.p),when(forwarded)]|%[var(txn.p),when(processed)]|\
                  %[var(txn.p),when(toapplet)]|%[var(txn.p),when(stopping)]|%[var(txn.p),when(acl,deep)]|%[var(txn.p),when(!acl,deep)]";
    let rules = "    http-request set-var(txn.p) path\n    acl deep var(txn.p) -m beg /a/\n    stats uri /stats\n    http-request deny if { path /deny }";
    let rig = Rig::start("when", &config(format, rules), answering(OK));
    for (path, expected) in [
        ("/a/b", "/a/b|-|/a/b|/a/b|-|-|/a/b|-"),
        ("/c", "/c|-|/c|/c|-|-|-|/c"),
        ("/deny", "-|/deny|-|-|-|-|-|/deny"),
        ("/stats", "/stats|-|-|/stats|/stats|-|-|/stats"),
    ] {
        let _ = get(&rig, path);
        assert_eq!(logged(&rig), expected);
    }
}

/// Of 3.x: both connections from inside, all variables, the status as it came.
#[test]
fn an_exchange_is_known_from_inside() {
    if is_theirs() {
        return;
    }
    let format = "%[fs.id] %[bs.id] %[fs.aborted]%[bs.aborted] %[fc_glitches]%[bc_glitches] \
                  %[fc_settings_streams_limit]%[bc_settings_streams_limit] %[server_status] %[status] %[fs.rst_code] \
                  %[dump_all_vars(txn,,;)] %[dump_all_vars(sess)] %[bc_err_name] %[fs.debug_str(3)] %[term_events] \
                  %[tgroup]%[quic_enabled]";
    let rules = "    http-request set-var(txn.text) path
    http-request set-var(txn.number) int(-3)
    http-request set-var(txn.bytes) bin(00ff)
    http-request set-var(txn.holds) bool(true)
    http-request set-var(sess.who) src
    http-response set-status 299";
    let rig = Rig::start("inside", &config(format, rules), answering(OK));
    let first = talk(&rig, b"GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n", false, QUIET).0;
    assert!(first.contains("HTTP/1.1 299 "), "{first}");
    let vars = |path: &str| format!(r#"txn.text="{path}";txn.number=-3;txn.bytes=x00ff;txn.holds=true"#);
    for (number, path) in [(1, "/a"), (2, "/b")] {
        let line = logged(&rig);
        let expected = format!(
            "{number} {number} 00 00 11 200 299 - {} sess.who=127.0.0.1 - id={number} proto=h1 {{-,-,-,-,-,-,-}} 00",
            vars(path)
        );
        assert_eq!(line, expected);
    }
}

/// Of 3.x.
#[test]
fn the_packet_that_a_connection_began_with() {
    if is_theirs() {
        return;
    }
    let rules = "    tcp-request connection set-var(sess.syn) fc_saved_syn";
    let format = "%[var(sess.syn),ip.src] %[var(sess.syn),ip.data,tcp.dst] %[var(sess.syn),ip.proto] \
                  %[var(sess.syn),ip.data,tcp.flags,and(2)] %[var(sess.syn),ip.data,tcp.options_list,length,bool]";
    let text = config(format, rules).replace("bind {front}", "bind {front} tcp-ss 1");
    let rig = Rig::start("saved-syn", &text, answering(OK));
    let _ = get(&rig, "/");
    assert_eq!(logged(&rig), format!("127.0.0.1 {} 6 2 1", rig.front.port()));
}

/// Of 3.x.
#[test]
fn fields_come_and_go_in_lists() {
    if is_theirs() {
        return;
    }
    let rules = "    http-request set-var(txn.old) req.hdrs_bin
    http-request set-header x-a changed
    http-request del-header x-b
    http-request set-headers-bin var(txn.old) prefix x-
    http-request add-headers-bin bin(03792d31023131000a) if { path /add }
    http-request del-headers-bin bin(03782d6100) if { path /del }
    http-request del-headers-bin bin(02782d) -m beg if { path /all }";
    let rig = Rig::start("lists", &config("x", rules), answering(OK));
    let rest = "x-a: 1\r\nx-a: 2\r\nx-b: 3\r\n";
    for (path, expected) in [
        ("/", format!("host: h\r\n{rest}")),
        ("/add", format!("host: h\r\n{rest}y-1: 11\r\n")),
        ("/del", "host: h\r\nx-b: 3\r\n".to_owned()),
        ("/all", "host: h\r\n".to_owned()),
    ] {
        let sent = format!("GET {path} HTTP/1.1\r\nHost: h\r\nX-A: 1\r\nX-A: 2\r\nX-B: 3\r\n\r\n");
        let _ = talk(&rig, sent.as_bytes(), false, QUIET);
        assert_eq!(rig.origin.message(), format!("GET {path} HTTP/1.1\r\n{expected}\r\n"));
    }
}

/// Of 3.x: times that one request has for itself.
#[test]
fn rules_set_times_of_one_request() {
    if is_theirs() {
        return;
    }
    let text = "
defaults
    mode http
    log {log} local0
    log-format \"[x] - - - %[cur_connect_timeout] %[cur_queue_timeout] %[cur_tarpit_timeout] \
                %[cur_max_retries] %[fc_err_name]\"
    timeout client 3s
    timeout server 3s
    timeout connect 2s
listen l
    bind {front}
    http-request set-timeout connect 1500ms
    http-request set-timeout queue int(700)
    http-request set-timeout tarpit 60ms
    http-request set-retries 1
    http-request set-bc-tos 0x20
    http-request set-bc-mark int(7)
    http-request strict-mode off
    http-request tarpit if { path /tarpit }
    server s1 {server}
";
    let rig = Rig::start("times", text, answering(OK));
    for path in ["/", "/tarpit"] {
        let _ = get(&rig, path);
        assert_eq!(logged(&rig), "1500 700 60 1 -");
    }
}

/// As long as no backend is chosen, a log says the frontend's name in its place.
#[test]
fn a_frontend_takes_the_backends_place() {
    let rules = "    http-request return status 200 if { path /here }";
    let rig = Rig::start("be-name", &config("%[be_name] %[be_id] %[fe_id]", rules), answering(OK));
    for (path, expected) in [("/here", "fe 2 2"), ("/there", "be 3 2")] {
        let _ = get(&rig, path);
        assert_eq!(logged(&rig), expected);
    }
}

/// Of 3.x: bytes that are no request are counted, for the connection and for who sent them.
#[test]
fn a_broken_request_is_a_glitch() {
    if is_theirs() {
        return;
    }
    let rules = "    stick-table type ip size 10 store glitch_cnt,glitch_rate(10s)
    tcp-request connection track-sc0 src
    http-request set-var(txn.skip) int(2)
    http-request set-var(txn.cut) path,bytes(1,txn.skip)";
    let format = "%[fc_glitches] %[sc0_glitch_cnt] %[src,table_glitch_rate(fe)] %[var(txn.cut)]";
    let rig = Rig::start("glitch", &config(format, rules), answering(OK));
    let _ = get(&rig, "/abc");
    assert_eq!(logged(&rig), "0 0 0 ab");
    let _ = talk(&rig, b"GET\x01/ HTTP/1.1\r\n\r\n", false, QUIET);
    assert_eq!(logged(&rig), "1 1 1 -");
    let _ = get(&rig, "/def");
    assert_eq!(logged(&rig), "0 1 1 de");
}

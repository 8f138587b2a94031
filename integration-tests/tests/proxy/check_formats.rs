//! Texts and variables in `tcp-check` and `http-check`: what a server is told by checks that put together what they say, and what is
//! said of it. `check_formats.txt` is what haproxy 2.6 does (`SUBJECT=theirs BLESS=1` writes it).

use super::health::Proxy;
use super::rig::{BOUND, answering};
use integration_tests::subject::Subject;
use integration_tests::wait;
use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

const FRONT: &str = "
global
    log {log} local0
    stats socket {socket} level admin
    set-var proc.given str(given)
defaults
    mode tcp
    timeout client 5s
    timeout server 5s
    timeout connect 1s
    timeout check 300ms
listen fe
    bind {front}
    server s {server}
";

/// The options each case begins with, by the first word of its lines, and the checks it takes to see everything.
struct Case {
    /// The lines of the backend; `{b}` is a second port of the server.
    lines: &'static str,
    /// What the server says to each thing that it is told.
    says: &'static str,
    /// Checks that are looked at.
    checks: usize,
}

const fn case(lines: &'static str, says: &'static str) -> Case {
    Case { lines, says, checks: 1 }
}

const HTTP: &str = "HTTP/1.1 200 Fine\r\nX-One: first, second\r\nX-Two: third\r\nContent-Length: 5\r\n\r\nhello";

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("tcp-check send-lf <%[int(3),add(4)]>\\r\\n\n tcp-check expect string ok", "ok"),
    case("tcp-check send-lf <%b|%f|%ft|%s|%ci|%cp|%fi|%fp|%ID|%%>", ""),
    case("tcp-check send-lf <%{+Q}b|%{+X}ci|%{+E}b>", ""),
    case("tcp-check send-lf <%[be_name]|%[be_id]|%[srv_name]|%[srv_id]|%[nbsrv]|%[srv_is_up(s0)]>", ""),
    case("tcp-check send-lf <%[src]|%[src_port]|%[dst]|%[bc_src]|%[bc_dst]|%[bc_http_major]|%[bc_err]|%[bc_err_str]|%[be_server_timeout]>", ""),
    case("tcp-check send-lf <%[str(a\\tb)]|%[bin(0102)]|%[bool(true)]|%[ipv4(1.2.3.4)]|%[var(proc.given)]>", ""),
    case("tcp-check send-lf %[var(check.none)]\n tcp-check expect string ok", "ok"),
    case("tcp-check send-lf %[var(check.none)]\n tcp-check send two\n tcp-check expect string ok", "ok"),
    case("tcp-check send-lf %[bin(00)]%[str(x)]\n tcp-check expect string ok", "ok"),
    case("tcp-check send-binary-lf %[str(6162)]63\n tcp-check expect string ok", "ok"),
    case("tcp-check send-binary-lf %[str(6162)]6\n tcp-check expect string ok", "ok"),
    case("tcp-check send-binary-lf %[str(zz)]\n tcp-check expect string ok", "ok"),
    case("tcp-check send-binary-lf %[var(check.none)]\n tcp-check expect string ok", "ok"),
    case("tcp-check send-binary-lf %[str(6162),hex]\n tcp-check expect string ok", "ok"),
    case("tcp-check send one\n tcp-check expect string-lf o%[str(k)]", "ok"),
    case("tcp-check send one\n tcp-check expect string-lf o%[str(x)]", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 string-lf o%[str(x)]", "ok"),
    case("tcp-check send one\n tcp-check expect comment c min-recv 2 string-lf o%[str(x)]", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 ! string-lf o%[str(k)]", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 ! string-lf o%[str(x)]", "ok"),
    case("tcp-check send one\n tcp-check expect string-lf %[var(check.none)]", "ok"),
    case("tcp-check send one\n tcp-check expect binary-lf 6f%[str(6b)]", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 binary-lf 6f%[str(6c)]", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 ! binary-lf 6f%[str(6b)]", "ok"),
    case("tcp-check send one\n tcp-check expect binary-lf 6%[str(z)]", "ok"),
    case("tcp-check send one\n tcp-check expect binary-lf %[var(check.none)]", "ok"),
    case("tcp-check send one\n tcp-check expect rbinary ^6F6B$", "ok"),
    case("tcp-check send one\n tcp-check expect rbinary 6f6b", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 rbinary 6F6C", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 ! rbinary 6F6B", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 comment why string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 on-error bad-%[int(5)]-%b string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 comment c on-error bad string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 on-error %[var(check.none)] string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 on-error <%[res.payload(0,0)]> string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 on-error <%[res.len]> status-code res.len string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 status-code int(7) string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 error-status L7STS status-code int(7) string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 error-status L7STS string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 error-status L7OKC string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 error-status L6RSP string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 error-status L4CON string no", "ok"),
    case("tcp-check send one\n tcp-check expect min-recv 2 error-status L7STS status-code res.payload(0,0) string no", "25 is wrong"),
    case("tcp-check send one\n tcp-check expect on-success good-%[int(5)]-%b string ok", "ok"),
    case("tcp-check send one\n tcp-check expect on-success <%[res.payload(0,0)]> string ok", "ok"),
    case("tcp-check send one\n tcp-check expect comment c on-success good string ok", "ok"),
    case("tcp-check send one\n tcp-check expect on-success %[var(check.none)] string ok", "ok"),
    case("tcp-check send one\n tcp-check expect status-code int(7) string ok", "ok"),
    case("tcp-check send one\n tcp-check expect status-code str(a) string ok", "ok"),
    case("tcp-check send one\n tcp-check expect status-code var(check.none) string ok", "ok"),
    case("tcp-check send one\n tcp-check expect ok-status L7OKC string ok", "ok"),
    case("tcp-check send one\n tcp-check expect ok-status L6OK string ok", "ok"),
    case("tcp-check send one\n tcp-check expect ok-status L4OK on-success well string ok", "ok"),
    case("tcp-check send one\n tcp-check expect on-success first string ok\n tcp-check send two\n tcp-check expect on-success second string ok", "ok"),
    case("tcp-check send one\n tcp-check expect on-success first string ok\n tcp-check send two", "ok"),
    case("tcp-check send one\n tcp-check expect on-success first string ok\n tcp-check set-var(check.a) int(1)", "ok"),
    case("tcp-check send one\n tcp-check expect on-success first status-code int(9) string ok\n tcp-check send two\n tcp-check expect string ok", "ok"),
    case("tcp-check send one\n tcp-check expect tout-status L7TOUT string ok", ""),
    case("tcp-check send one\n tcp-check expect tout-status L6TOUT string ok", ""),
    case("tcp-check send one\n tcp-check expect tout-status L4TOUT on-error late status-code int(4) comment c string ok", ""),
    case("tcp-check set-var(check.a) int(5)\n tcp-check send-lf <%[var(check.a)]>", ""),
    case("tcp-check set-var(check.a) str(x)\n tcp-check connect\n tcp-check send-lf <%[var(check.a)]>", ""),
    case("tcp-check set-var(sess.a) int(1)\n tcp-check set-var(txn.a) int(2)\n tcp-check set-var(req.a) int(3)\n tcp-check set-var(res.a) int(4)\n tcp-check set-var(proc.other) int(5)\n tcp-check send-lf <%[var(sess.a)]|%[var(txn.a)]|%[var(req.a)]|%[var(res.a)]|%[var(proc.other)]>", ""),
    case("tcp-check set-var-fmt(check.a) a%[int(1)]-%b\n tcp-check send-lf <%[var(check.a)]>", ""),
    case("tcp-check set-var(check.a) int(1)\n tcp-check unset-var(check.a)\n tcp-check send-lf <%[var(check.a)]>", ""),
    case("tcp-check set-var(check.a) int(1)\n tcp-check set-var(check.a,ifexists) int(2)\n tcp-check set-var(check.b,ifexists) int(3)\n tcp-check set-var(check.a,ifgt) int(4)\n tcp-check set-var(check.c,ifnotempty) str()\n tcp-check send-lf <%[var(check.a)]|%[var(check.b)]|%[var(check.c)]>", ""),
    case("tcp-check set-var(check.p) int({b})\n tcp-check connect port var(check.p)\n tcp-check send-lf <%[var(check.p),sub(check.p)]>", ""),
    case("tcp-check connect port str(abc)\n tcp-check send x", ""),
    case("tcp-check connect port var(check.none)\n tcp-check send x", ""),
    case("tcp-check connect port int(0)\n tcp-check send x", ""),
    case("tcp-check connect port int({b}) linger\n tcp-check send x", ""),
    case("tcp-check send one\n tcp-check expect string ok\n tcp-check set-var(check.a) res.payload(0,1)\n tcp-check set-var(check.n) res.len\n tcp-check send-lf <%[var(check.a)]|%[var(check.n)]>", "ok"),
    Case { lines: "tcp-check set-var(sess.n,ifnotset) int(1)\n tcp-check set-var(sess.n) var(sess.n),add(1)\n tcp-check set-var(check.n,ifnotset) int(1)\n tcp-check set-var(check.n) var(check.n),add(1)\n tcp-check set-var(proc.n,ifnotset) int(1)\n tcp-check set-var(proc.n) var(proc.n),add(1)\n tcp-check send-lf <%[var(sess.n)]|%[var(check.n)]|%[var(proc.n)]>", says: "", checks: 3 },
    case("http-check send uri-lf /a-%[int(1)]?%b", HTTP),
    case("http-check send uri-lf %[var(check.none)]", HTTP),
    case("http-check send uri /x hdr A <%[int(1)]> hdr B %b hdr C %[var(check.none)] hdr D %%", HTTP),
    case("http-check send meth POST uri / body-lf <%[int(12)]>", HTTP),
    case("http-check send meth POST uri / body-lf %[var(check.none)]", HTTP),
    case("http-check send meth POST uri / body <%[int(12)]>", HTTP),
    case("http-check send ver HTTP/1.1 uri-lf /a%[str(\\ b)] hdr Host h", HTTP),
    case("http-check send uri / hdr X-A %[str(a\\tb)]", HTTP),
    case("http-check send uri /a uri-lf /b", HTTP),
    case("http-check send uri-lf /b uri /a", HTTP),
    case("option httpchk PUT /base\n http-check send hdr X-A %[int(4)]", HTTP),
    case("http-check set-var(check.u) str(/one)\n http-check send uri-lf %[var(check.u)]", HTTP),
    case("http-check set-var-fmt(check.u) /%b\n http-check send uri-lf %[var(check.u)]\n http-check expect status 200", HTTP),
    case("http-check expect string-lf h%[str(ell)]o", HTTP),
    case("http-check expect string-lf h%[str(all)]o", HTTP),
    case("http-check expect ! string-lf h%[str(ell)]o", HTTP),
    case("http-check expect string-lf %[var(check.none)]", HTTP),
    case("http-check expect on-success <%[status]|%[res.hdr(x-two)]|%[res.body]> status 200", HTTP),
    case("http-check expect on-error <%[status]|%[res.hdr(x-two)]> status 201", HTTP),
    case("http-check expect on-error bad status-code int(42) status 201", HTTP),
    case("http-check expect status-code res.hdr_cnt(x-one) status 200", HTTP),
    case("http-check expect on-error bad comment c string nothing", HTTP),
    case("http-check expect error-status L7RSP status 201", HTTP),
    case("http-check expect ok-status L7OKC status 200", HTTP),
    case("http-check expect tout-status L6TOUT status 200", ""),
    case("http-check expect comment c status 201", HTTP),
    case("http-check expect comment c rstatus ^3", HTTP),
    case("http-check expect hdr name x-two", HTTP),
    case("http-check expect hdr name x-three", HTTP),
    case("http-check expect ! hdr name x-two", HTTP),
    case("http-check expect hdr name X-TWO value third", HTTP),
    case("http-check expect hdr name x-two value THIRD", HTTP),
    case("http-check expect hdr name x-one value second", HTTP),
    case("http-check expect fhdr name x-one value second", HTTP),
    case("http-check expect fhdr name x-one value -m sub second", HTTP),
    case("http-check expect fhdr name x-one value -m end second", HTTP),
    case("http-check expect hdr name -m beg x- value -m beg thi", HTTP),
    case("http-check expect hdr name -m end two value -m reg ^t.*d$", HTTP),
    case("http-check expect hdr name -m reg ^x-t value -m str third", HTTP),
    case("http-check expect hdr name-lf x-%[str(two)] value-lf th%[str(ird)]", HTTP),
    case("http-check expect comment c hdr name x-two value no", HTTP),
    case("http-check expect comment c hdr name x-four", HTTP),
    case("http-check expect ! hdr name x-two value third", HTTP),
    case("http-check expect hdr name-lf %[var(check.none)]", HTTP),
    case("http-check expect hdr name x-two value-lf %[var(check.none)]", HTTP),
    Case { lines: "http-check connect\n http-check send uri /first\n http-check expect status 200\n http-check set-var(check.v) res.hdr(x-two)\n http-check set-var(check.s) status\n http-check connect\n http-check send uri-lf /%[var(check.v)]-%[var(check.s)]\n http-check expect on-success <%[var(check.v)]> status 200", says: HTTP, checks: 2 },
    case("http-check set-var(check.p) int({b})\n http-check connect port var(check.p)\n http-check send uri /there", HTTP),
    case("http-check expect status 200\n http-check unset-var(check.p)", HTTP),
    case("http-check send meth GET uri / body-lf %[str()]", HTTP),
    case("http-check send meth DELETE uri /", HTTP),
    case("http-check send meth PATCH uri /", HTTP),
    case("http-check send uri / hdr Connection keep-alive hdr Content-Length 7", HTTP),
    case("http-check send ver HTTP/1.1 uri / hdr Connection keep-alive hdr Transfer-Encoding x", HTTP),
    case("http-check expect hdr name -m beg X-", HTTP),
    case("http-check expect hdr name -m reg ^X-", HTTP),
    case("http-check expect status 200 comment later", HTTP),
    case("http-check expect on-error bad comment c string-lf %[str()]", HTTP),
    case("http-check comment one\n http-check expect status 201", HTTP),
    case("tcp-check comment one\n tcp-check connect\n tcp-check send x\n tcp-check expect min-recv 1 string a", "b"),
    case("tcp-check set-var(check.p) int(1)\n tcp-check connect port var(check.p) comment j\n tcp-check send x", "b"),
    case("tcp-check comment k\n tcp-check connect port int(1)\n tcp-check send x", "b"),
    case("tcp-check send x\n tcp-check expect comment z on-error bad binary-lf %[str()]", "b"),
    case("tcp-check send-binary-lf 0 comment why", "b"),
    case("tcp-check set-var(check.x) bin(000102)\n tcp-check send-lf <%[var(check.x)]|%[var(check.x),hex]>", ""),
    case("tcp-check set-var-fmt(check.x) a%[bin(00)]b%[str(x)]\n tcp-check send-lf <%[var(check.x)]>", ""),
    case("tcp-check send-lf a\n tcp-check expect string b\n tcp-check expect string b on-success twice", "b"),
    case("tcp-check comment one\n tcp-check connect\n tcp-check send x\n tcp-check comment two\n tcp-check expect min-recv 1 string a", "b"),
];

/// Serves on two ports and tells what was said to it on each connection, all of it.
fn serve(says: &'static str, told: &Sender<String>) -> (SocketAddr, u16) {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [own, other] = listeners.each_ref().map(|listener| listener.local_addr().unwrap());
    for (listener, place) in listeners.into_iter().zip(["", "b "]) {
        let told = told.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let _ = told.send(format!("{place}{}", hear(client, says)));
            }
        });
    }
    (own, other.port())
}

fn hear(mut client: TcpStream, says: &str) -> String {
    client.set_read_timeout(Some(BOUND)).unwrap();
    let (mut heard, mut block) = (Vec::new(), [0; 2_048]);
    while let Ok(count @ 1..) = client.read(&mut block) {
        heard.extend_from_slice(&block[..count]);
        let _ = client.write_all(says.as_bytes());
    }
    heard.escape_ascii().to_string()
}

/// What changes from run to run.
fn blurred(text: &str, addresses: (SocketAddr, u16)) -> String {
    text.replace(&addresses.0.port().to_string(), "PORT").replace(&addresses.1.to_string(), "OTHER")
}

fn option_of(lines: &str) -> &'static str {
    if lines.starts_with("tcp-check") {
        "option tcp-check"
    } else if lines.starts_with("http-check") {
        "option httpchk"
    } else {
        ""
    }
}

/// What the first checks said, as far as something was said in them, and what was made of the last answer.
fn outcome(proxy: &Proxy, number: usize, case: &Case, told: &Receiver<String>) -> String {
    let mut status = String::new();
    let ended = || {
        status = proxy.columns_now(&format!("s{number}"), "status check_status check_code last_chk");
        status.split('|').nth(1).is_some_and(|status| status.starts_with('L')).then_some(())
    };
    wait::until("the check", BOUND, ended).unwrap();
    let patience = if case.checks > 1 { BOUND } else { BOUND / 150 };
    let said: Vec<String> = (0..case.checks).filter_map(|_| told.recv_timeout(patience).ok()).collect();
    format!("{} => {status}", said.join(" // "))
}

#[test]
fn what_checks_put_together() {
    let mut config = FRONT.to_owned();
    let mut servers = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        let (sender, told) = channel();
        let addresses = serve(case.says, &sender);
        let lines = case.lines.replace("{b}", &addresses.1.to_string());
        let _ = writeln!(config, "backend c{number}\n {}\n {lines}", option_of(case.lines));
        // The shortest interval is the one in which all begin.
        let inter = if case.checks > 1 { "1s" } else { "3s" };
        let _ = writeln!(config, " server s{number} {} check inter {inter} fall 1 rise 1", addresses.0);
        servers.push((addresses, told));
    }
    let config = config.replace("srv_is_up(s0)", "srv_is_up(c0/s0)");
    let proxy = Proxy::start("check-formats", &config, answering(HTTP.as_bytes()));
    let mut found = String::new();
    for ((number, case), (addresses, told)) in CASES.iter().enumerate().zip(servers) {
        let outcome = blurred(&outcome(&proxy, number, case, &told), addresses);
        let _ = writeln!(found, "{}: {outcome}", case.lines.replace("\n ", "; ").escape_debug());
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/proxy/check_formats.txt");
    if Subject::from_env() == Subject::Theirs && std::env::var_os("BLESS").is_some() {
        std::fs::write(path, &found).unwrap();
    }
    let expected = std::fs::read_to_string(path).unwrap();
    let wrong: Vec<_> = found.lines().zip(expected.lines()).filter(|(found, expected)| found != expected).collect();
    assert!(wrong.is_empty() && found.lines().count() == expected.lines().count(), "{wrong:#?}");
}

/// A section's own rules stand instead of those it would inherit, of either kind.
#[test]
fn own_rules_are_not_added_to_inherited_ones() {
    let (sender, told) = channel();
    let (first, _) = serve("ok", &sender);
    let (second, _) = serve(HTTP, &sender);
    let inherited = FRONT.replace(
        " timeout check 300ms",
        " timeout check 300ms\n tcp-check connect\n tcp-check send inherited\n http-check connect\n http-check send uri /inherited",
    );
    let config = format!(
        "{inherited}backend c0\n option tcp-check\n tcp-check send own\n server s0 {first} check inter 300ms\n\
         backend c1\n option httpchk GET /own\n http-check expect status 200\n server s1 {second} check inter 300ms\n"
    );
    let _proxy = Proxy::start("check-inheritance", &config, answering(HTTP.as_bytes()));
    let mut heard: Vec<String> = (0..6).map(|_| told.recv_timeout(BOUND).unwrap()).collect();
    heard.sort();
    heard.dedup();
    assert_eq!(heard, ["GET /own HTTP/1.0\\r\\n\\r\\n", "own"]);
}

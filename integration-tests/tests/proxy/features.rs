//! What stands between reading and forwarding: persistence by cookies, PROXY headers, pages of the proxy's own, queues.

use super::rig::{Rig, Step, answering, read_all, talk};
use integration_tests::subject::Subject;
use std::io::{Read, Write};
use std::time::Duration;

const CONFIG: &str = "
global
    log {log} local0
defaults
    mode http
    log global
    option httplog
    timeout client 2s
    timeout server 2s
    timeout connect 1s
frontend fe
    bind {front}
    default_backend be
backend be
    server s1 {server} cookie A
";

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const QUIET: Duration = Duration::from_millis(150);

fn with(lines: &str) -> String {
    CONFIG.replace("    server s1", &format!("{lines}\n    server s1"))
}

/// The `cookie` line, the response, the request's cookie, and then: what the server gets, what the client gets, the letters.
struct Cookie {
    line: &'static str,
    response: &'static [u8],
    sent: &'static str,
    to_server: &'static str,
    to_client: &'static str,
    letters: &'static str,
}

const COOKIES: &[Cookie] = &[
    Cookie {
        line: "cookie SRV insert indirect nocache",
        response: OK,
        sent: "",
        to_server: "",
        to_client: "content-length: 2\r\nset-cookie: SRV=A; path=/\r\n",
        letters: "--NI",
    },
    Cookie {
        line: "cookie SRV insert indirect nocache",
        response: OK,
        sent: "cookie: x=1; SRV=A; y=2\r\n",
        to_server: "cookie: x=1; y=2\r\n",
        to_client: "content-length: 2\r\n",
        letters: "--VN",
    },
    Cookie {
        line: "cookie SRV insert indirect nocache",
        response: OK,
        sent: "cookie: SRV=A\r\n",
        to_server: "",
        to_client: "content-length: 2\r\n",
        letters: "--VN",
    },
    Cookie {
        line: "cookie SRV insert indirect nocache",
        response: OK,
        sent: "cookie: SRV=Z\r\n",
        to_server: "",
        to_client: "content-length: 2\r\nset-cookie: SRV=A; path=/\r\n",
        letters: "--II",
    },
    Cookie {
        line: "cookie SRV insert nocache httponly secure domain .a.b",
        response: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nEtag: x\r\n\r\nok",
        sent: "",
        to_server: "",
        to_client: "content-length: 2\r\netag: x\r\nset-cookie: SRV=A; path=/; domain=.a.b; HttpOnly; Secure\r\ncache-control: private\r\n",
        letters: "--NI",
    },
    Cookie {
        line: "cookie JSESSIONID prefix",
        response: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: JSESSIONID=abc\r\n\r\nok",
        sent: "cookie: JSESSIONID=A~xyz\r\n",
        to_server: "cookie: JSESSIONID=xyz\r\n",
        to_client: "content-length: 2\r\nset-cookie: JSESSIONID=A~abc\r\n",
        letters: "--VR",
    },
    Cookie {
        line: "cookie SRV rewrite",
        response: b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: SRV=; path=/\r\n\r\nok",
        sent: "",
        to_server: "",
        to_client: "content-length: 2\r\nset-cookie: SRV=A; path=/\r\n",
        letters: "--NR",
    },
    Cookie {
        line: "cookie SRV",
        response: OK,
        sent: "cookie: SRV=A\r\n",
        to_server: "cookie: SRV=A\r\n",
        to_client: "content-length: 2\r\n",
        letters: "----",
    },
];

#[test]
fn cookies() {
    for case in COOKIES {
        let rig = Rig::start("cookies", &with(&format!("    {}", case.line)), answering(case.response));
        let (answer, _) = talk(&rig, format!("GET / HTTP/1.1\r\n{}\r\n", case.sent).as_bytes(), false, QUIET);
        let name = format!("{} with {:?}", case.line, case.sent);
        assert_eq!(answer, format!("HTTP/1.1 200 OK\r\n{}\r\nok", case.to_client), "{name}");
        assert_eq!(rig.origin.message(), format!("GET / HTTP/1.1\r\n{}\r\n", case.to_server), "{name}");
        let log = rig.log_line();
        assert!(log.contains(&format!(" {} 1/1/", case.letters)), "{name}: {log}");
    }
}

#[test]
fn a_proxy_header_tells_the_client() {
    let config = CONFIG.replace("bind {front}", "bind {front} accept-proxy\n    option forwardfor except 10.0.0.0/8");
    let rig = Rig::start("accept-proxy", &config, answering(OK));
    for (address, field) in [("1.2.3.4", "x-forwarded-for: 1.2.3.4\r\n"), ("10.1.1.1", "")] {
        let sent = format!("PROXY TCP4 {address} 5.6.7.8 1111 80\r\nGET / HTTP/1.1\r\n\r\n");
        let (answer, _) = talk(&rig, sent.as_bytes(), false, QUIET);
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert_eq!(rig.origin.message(), format!("GET / HTTP/1.1\r\n{field}\r\n"));
    }
    assert_eq!(talk(&rig, b"GET / HTTP/1.1\r\n\r\n", false, QUIET), (String::new(), true));
}

#[test]
fn pages_of_its_own() {
    let lines = "    stats uri /stats\n    stats auth admin:secret\n    stats realm lock";
    let config = with(lines).replace("bind {front}", "bind {front}\n    monitor-uri /alive");
    let rig = Rig::start("pages", &config, answering(OK));
    let get = |target: &str, field: &str| {
        talk(&rig, format!("GET {target} HTTP/1.1\r\n{field}\r\n").as_bytes(), false, QUIET).0
    };
    let alive = get("/alive", "");
    assert!(alive.starts_with("HTTP/1.1 200 OK\r\ncontent-length: 58\r\ncache-control: no-cache\r\n"), "{alive}");
    let refused = get("/stats", "");
    assert!(refused.starts_with("HTTP/1.1 401 Unauthorized\r\n"), "{refused}");
    assert!(refused.contains("www-authenticate: Basic realm=\"lock\"\r\n"), "{refused}");
    let csv = get("/stats;csv", "authorization: Basic YWRtaW46c2VjcmV0\r\n");
    assert!(csv.contains("# pxname,svname,qcur,"), "{csv}");
    assert!(csv.contains("\nbe,s1,0,0,"), "{csv}");
    assert!(rig.origin.is_idle());
    let log = rig.log_line();
    assert!(log.starts_with("fe be/<STATS> T/T/T/-1/T ") && log.contains(" LR-- "), "{log}");
}

/// The first slot that comes free goes to the one who waits, and the line tells how many were ahead.
#[test]
fn a_full_server_makes_requests_wait() {
    let script = vec![Step::ReadUntil("\r\n\r\n"), Step::ReadUntil("go"), Step::Write(OK.to_vec()), Step::ReadToEnd];
    let config = CONFIG
        .replace("cookie A", "maxconn 1")
        .replace("timeout connect 1s", "timeout connect 1s\n    timeout queue 5s");
    let rig = Rig::start("queue", &config, script);
    let (mut first, mut second) = (rig.connect(), rig.connect());
    first.write_all(b"POST /1 HTTP/1.1\r\ncontent-length: 2\r\n\r\n").unwrap();
    assert!(rig.origin.message().starts_with("POST /1"));
    second.write_all(b"GET /2 HTTP/1.1\r\n\r\n").unwrap();
    second.set_read_timeout(Some(QUIET)).unwrap();
    let mut early = [0; 200];
    if let Ok(count) = second.read(&mut early) {
        panic!("the second request has to wait: {}", String::from_utf8_lossy(&early[..count]));
    }
    first.write_all(b"go").unwrap();
    assert!(read_all(&mut first, QUIET).0.starts_with("HTTP/1.1 200 OK"));
    let line = rig.log_line();
    assert!(line.contains(" 0/0 \"POST /1"), "{line}");
    assert_eq!(rig.origin.message(), "go");
    assert!(rig.origin.message().starts_with("GET /2"));
}

/// What haproxy 3.x gives rules and logs as samples, and the word of the log that means the same.
const TOLD: &[(&str, &str)] = &[
    ("%Tw", "req.timer.queue"),
    ("%Tc", "bc.timer.connect"),
    ("%Td", "res.timer.data"),
    ("%Ta", "txn.timer.total"),
    ("%Tu", "txn.timer.user"),
    ("%U", "bytes_in"),
    ("%B", "bytes_out"),
    ("%rc", "txn.conn_retries"),
    ("%ts", "txn.sess_term_state"),
    ("%sq", "bc_srv_queue"),
    ("%bq", "bc_be_queue"),
];

/// haproxy 2.6 does not have these samples.
#[test]
fn samples_tell_what_the_log_tells() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let pairs: Vec<String> = TOLD.iter().map(|(word, sample)| format!("{word}=%[{sample}]")).collect();
    let format = format!("log-format \"[x] - - - {}\"", pairs.join(" "));
    let config = CONFIG.replace("option httplog", &format);
    let ruled = "    http-response set-header x-connect %[bc.timer.connect]\n\
                 \x20   http-response set-header x-end %[res.timer.data]/%[txn.sess_term_state]/%[bc_reused]\n";
    let config = config.replace("    server s1", &format!("{ruled}    server s1"));
    let rig = Rig::start("told", &config, answering(OK));
    let (answer, _) = talk(&rig, b"GET / HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n", false, QUIET);
    assert!(answer.contains("\r\nx-connect: ") && !answer.contains("x-connect: -1"), "{answer}");
    assert!(answer.contains("/--/0\r\n"), "{answer}");
    let (refused, _) = talk(&rig, b"GET /", true, QUIET);
    assert!(refused.contains(" 400 "), "{refused}");
    for end in ["--=--", "CR=CR"] {
        let line = rig.log_line();
        assert!(line.contains(end), "{line}");
        for (pair, (word, sample)) in line.split(' ').skip(3).zip(TOLD) {
            let (told, asked) = pair.split_once('=').unwrap();
            assert_eq!(told, asked, "{word} and {sample}: {line}");
        }
    }
}

/// Nor these, which cost something only where they are asked for.
#[test]
fn samples_tell_what_went_to_the_server_and_how_often_the_exchange_went_on() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let rules = "    http-request set-header x-calls %[cpu_calls]/%[req.bytes_out]\n\
                 \x20   http-response set-header x-sent %[req.bytes_out]\n\
                 \x20   http-response set-header x-usage %[cpu_usage_thr]/%[cpu_usage_grp]/%[cpu_usage_proc]\n\
                 \x20   http-response set-header x-calls %[cpu_calls]\n";
    let config = with(rules).replace("option httplog", "log-format \"[x] - - - %[req.bytes_out] %[cpu_calls]\"");
    let rig = Rig::start("sent", &config, answering(OK));
    for _ in 0..2 {
        let request = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
        let (answer, _) = talk(&rig, request, false, QUIET);
        let seen = rig.origin.message();
        // The first time that it goes on, nothing has been sent.
        assert!(seen.contains("\r\nx-calls: 1/0\r\n"), "{seen}");
        let field = |name: &str| {
            let line = answer.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{answer}"));
            line.to_owned()
        };
        assert_eq!(field("x-sent: "), seen.len().to_string(), "{seen}");
        let calls: u32 = field("x-calls: ").parse().unwrap();
        assert!((2..10).contains(&calls), "{calls}");
        for usage in field("x-usage: ").split('/') {
            assert!(usage.parse::<u8>().unwrap() <= 100, "{usage}");
        }
        let line = rig.log_line();
        assert!(line.contains(&format!(" {} ", seen.len())), "{line}");
    }
}

/// Nor that trailers can be kept back, each way.
#[test]
fn trailers_are_not_passed_on() {
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let config = with("    option http-drop-request-trailers")
        .replace("    bind {front}", "    bind {front}\n    option http-drop-response-trailers");
    let head = "transfer-encoding: chunked\r\n\r\n";
    let answer = format!("HTTP/1.1 200 OK\r\n{head}2\r\nok\r\n0\r\nx-t: v\r\n\r\n");
    let script = vec![Step::ReadUntil("abc\r\n0\r\n\r\n"), Step::Write(answer.into_bytes()), Step::ReadToEnd];
    let rig = Rig::start("trailers", &config, script);
    let request = format!("POST / HTTP/1.1\r\n{head}3\r\nabc\r\n0\r\nx-t: v\r\n\r\n");
    let (answer, _) = talk(&rig, request.as_bytes(), false, QUIET);
    assert!(answer.ends_with(&format!("{head}2\r\nok\r\n0\r\n\r\n")), "{answer}");
    let seen = rig.origin.message();
    assert!(seen.ends_with(&format!("{head}3\r\nabc\r\n0\r\n\r\n")), "{seen}");
}

/// Nor that it can decrypt tokens: RFC 7516, appendix A.3, with the key as a secret, as a JSON Web Key, and in a variable.
#[test]
fn tokens_are_decrypted() {
    const TOKEN: &str = "eyJhbGciOiJBMTI4S1ciLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.6KB707dM9YTIgHtLvtgWQ8mKwboJW3of9locizkDTHzBC2IlrT1oOQ.AxY8DCtDaGlsbGljb3RoZQ.KDlTtXchhZTGufMYmOYGS4HffxPSUrfmqCHXaI9wOGY.U0m_YmjN04DJvceFICbCVQ";
    if Subject::from_env() == Subject::Theirs {
        return;
    }
    let rules = "    http-request set-var(txn.jwk) str(\\'{\\\"kty\\\":\\\"oct\\\",\\\"k\\\":\\\"GawgguFyGrWKav7AX4VKUg\\\"}\\')
    http-request set-header x-a %[http_auth_bearer,jwt_decrypt_secret(\"GawgguFyGrWKav7AX4VKUg\")]
    http-request set-header x-b %[http_auth_bearer,jwt_decrypt_jwk(txn.jwk)]
    http-request set-header x-c %[http_auth_bearer,jwt_decrypt_jwk(\\'{\\\"kty\\\":\\\"oct\\\",\\\"k\\\":\\\"AAAA\\\"}\\')]
    http-request set-header x-d <%[str(a.b.c.d.e),jwt_decrypt_jwk(txn.jwk)]>";
    // Vectors have been made of a key that also stands in files.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../proxyd/src/sample/convert/jwe");
    let vectors = std::fs::read_to_string(format!("{folder}/vectors.txt")).unwrap();
    let sealed = vectors.lines().find(|line| line.starts_with("RSA-OAEP ")).and_then(|line| line.rsplit(' ').next());
    let by_file = format!("    http-request set-header x-e %[req.hdr(sealed),jwt_decrypt_cert({folder}/rsa.pem)]");
    let rules = format!("{rules}\n{by_file}");
    let text = "Live long and prosper.";
    for (list, shown, unsealed) in [("A256KW:A128KW", text, ""), ("ALL:!A128KW", "", text)] {
        let config = with(&rules).replace("\nglobal\n", &format!("\nglobal\n    jwt.decrypt_alg_list {list}\n"));
        let rig = Rig::start("tokens", &config, answering(OK));
        let request = format!(
            "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\nSealed: {}\r\n\r\n",
            sealed.unwrap()
        );
        talk(&rig, request.as_bytes(), false, QUIET);
        let seen = rig.origin.message();
        let fields = format!("x-a: {shown}\r\nx-b: {shown}\r\nx-c: \r\nx-d: <>\r\nx-e: {unsealed}\r\n");
        assert!(seen.contains(&fields), "{seen}");
    }
}

use super::*;
use crate::http::{Head, Version};
use crate::ids::{ServerIndex, UserlistId};
use crate::rules::Verdict;
use crate::sample::variable::Name;
use crate::sample::variable::ProcessVariables;
use crate::sample::{Context, Groups, Live, Stream};
use shared_config::diagnostic::Severity;
use shared_config::haproxy::env::Env;
use shared_config::haproxy::load::Input;
use shared_config::haproxy::predicate::Facts;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

/// What a frontend's lines come to: its rules, and one line `severity line message` for each problem.
fn lowered(lines: &str, kind: SectionKind, mode: Mode) -> (Rules, Vec<(Severity, u32, String)>) {
    let bytes = format!("{} f\n{lines}", kind.name()).into_bytes();
    let parsed =
        shared_config::haproxy::parse(vec![Input { path: "a.cfg".into(), bytes }], Env::default(), &Facts::default());
    let mut out = Diagnostics::new();
    let section = Section {
        kind,
        name: "f",
        mode,
        frontend: Some(FrontendId(0)),
        backend: (kind == SectionKind::Listen).then_some(BackendId(0)),
        request_captures: 0,
        response_captures: 0,
    };
    let mut names = Names::default();
    names.frontends.insert("f".into(), FrontendId(0));
    names.backends.extend([("b".to_owned(), BackendId(1)), ("c".to_owned(), BackendId(2))]);
    if kind == SectionKind::Listen {
        names.backends.insert("f".into(), BackendId(0));
    }
    names.servers.insert(("f".into(), "s".into()), (BackendId(0), ServerIndex(0)));
    names.userlists.insert("u".into(), UserlistId(0));
    names.resolvers.insert("dns".into());
    let section_of_file = parsed.file.sections.first().expect("one section");
    let rules = lower(&section, &[], section_of_file.statements.iter().collect(), &names, &mut out);
    let problems = parsed.diagnostics.iter().chain(out.iter()).map(|problem| {
        let line = problem.span.map_or(0, |span| parsed.sources.position(span).line - 1);
        (problem.severity, line, problem.message.clone())
    });
    (rules, problems.collect())
}

fn http(lines: &str) -> (Rules, Vec<(Severity, u32, String)>) {
    lowered(lines, SectionKind::Frontend, Mode::Http)
}

struct Process;

impl Live for Process {
    fn servers_up(&self, _: BackendId) -> u64 {
        1
    }
    fn server_up(&self, _: BackendId, _: ServerIndex) -> bool {
        true
    }
    fn admitted(&self, _: UserlistId, user: &[u8], password: &[u8]) -> Option<Groups> {
        (user == b"u" && password == b"p:q").then(|| Groups(vec!["g".into()]))
    }
    fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback()
    }

    fn variables(&self) -> &ProcessVariables {
        static VARIABLES: LazyLock<ProcessVariables> = LazyLock::new(ProcessVariables::default);
        &VARIABLES
    }
    fn random(&self) -> u32 {
        7
    }
}

fn stream() -> Stream<'static> {
    Stream {
        transaction: Some(Box::leak(Box::default())),
        source: "127.0.0.1:4000".parse().ok(),
        destination: "127.0.0.1:23871".parse().ok(),
        frontend: (FrontendId(0), "f"),
        listener: 1,
        http: true,
        client_requests: 1,
        now: Duration::from_secs(1_000),
        ..Stream::outside(Box::leak(Box::default()), Box::leak(Box::default()), &Process)
    }
}

/// The request that haproxy was asked with when the rows below were recorded.
fn request() -> Head {
    let mut head = Head::default();
    head.start_request(b"GET", b"/a/b.html?x=1&y=%20z;w=3", Version::HTTP_11);
    for (name, value) in [
        ("host", "Example.com:81"),
        ("x-l", r#"a, "b,c" ,d"#),
        ("x-l", "e"),
        ("x-ip", "10.1.2.3"),
        ("x-6", "[2001:db8::1]:80"),
        ("x-n", "12ab"),
        ("x-e", ""),
        ("cookie", "a=1; b=2; a=3"),
        ("authorization", "Basic dTpwOnE="),
    ] {
        head.append(name.as_bytes(), value.as_bytes());
    }
    head
}

/// Each row was recorded from haproxy 2.6: an expression, a tab, and the value it had for [`request`] between `<` and `>`.
#[test]
fn expressions_have_haproxys_values() {
    let mut failures = Vec::new();
    for row in include_str!("samples.tsv").lines() {
        let (expression, value) = row.split_once('\t').expect("two columns");
        let (rules, problems) = http(&format!("  http-request set-header r \"<%[{expression}]>\"\n"));
        let mut head = request();
        rules.http_request(&mut head, &stream(), &mut 0);
        let got = head.value(b"r").map(|value| String::from_utf8_lossy(value).into_owned());
        if got.as_deref() != Some(value) {
            failures.push(format!("{expression}: haproxy {value}, here {got:?} {problems:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// Each condition was tried on haproxy 2.6 with this request.
#[test]
fn conditions_hold_as_in_haproxy() {
    let mut head = Head::default();
    head.start_request(b"GET", b"/a/b?x=1", Version::HTTP_11);
    for (name, value) in [("host", "h.ex"), ("x-a", "1, 2"), ("x-a", "3"), ("x-b", "5"), ("cookie", "a=b"), ("e", "")] {
        head.append(name.as_bytes(), value.as_bytes());
    }
    let mut failures = Vec::new();
    for row in include_str!("conditions.tsv").lines() {
        let (condition, expected) = row.split_once('\t').expect("two columns");
        let (rules, problems) = http(&format!("  http-request deny if {condition}\n"));
        let denied = matches!(rules.http_request(&mut head.clone(), &stream(), &mut 0), Verdict::Deny(_));
        if denied != (expected == "yes") || problems.iter().any(|(severity, ..)| *severity == Severity::Error) {
            failures.push(format!("{condition}: haproxy {expected}, here {denied} {problems:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// The lines of each row in a `listen`, and what haproxy 2.6 says about them after `parsing [file:line] : `.
#[test]
fn problems_are_worded_as_haproxy_words_them() {
    let mut failures = Vec::new();
    for row in include_str!("problems.tsv").lines() {
        let mut columns = row.split('\t');
        let (Some(lines), Some(severity), Some(message)) = (columns.next(), columns.next(), columns.next()) else {
            panic!("{row}")
        };
        let lines = lines.replace("\\n", "\n  ");
        let (_, problems) = lowered(&format!("  {lines}\n"), SectionKind::Listen, Mode::Http);
        let severity_of = |severity: Severity| match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            _ => "other",
        };
        let found = problems.iter().any(|(found, _, text)| {
            severity_of(*found) == severity && text.lines().next().unwrap_or_default().starts_with(message)
        });
        if !found {
            failures.push(format!("{lines}\n  haproxy: {message}\n  here:    {problems:?}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_seeds_rules_compile() {
    let (rules, problems) = http(
        "  acl ms1 path_beg -i /ms1/\n  acl ms2 path_beg -i /ms2/\n  use_backend b if ms1\n  use_backend c if ms2\n",
    );
    assert_eq!(problems, []);
    let mut head = Head::default();
    for (path, expected) in [("/MS1/x", Some(BackendId(1))), ("/ms2/", Some(BackendId(2))), ("/ms3/", None)] {
        head.start_request(b"GET", path.as_bytes(), Version::HTTP_11);
        let stream = stream();
        let context = Context { request: Some(&head), response: None, stream: &stream };
        assert_eq!(rules.choose_backend(&context, |_| true), expected, "{path}");
    }
}

#[test]
fn old_words_do_what_they_did() {
    let (rules, problems) = http("  http-request set-header a b\n  block if { path /x }\n  reqadd X-A:\\ v\n");
    let severities: Vec<Severity> = problems.iter().map(|problem| problem.0).collect();
    assert_eq!(severities, [Severity::Warning, Severity::Warning]);
    let mut head = Head::default();
    head.start_request(b"GET", b"/x", Version::HTTP_11);
    assert!(matches!(rules.http_request(&mut head, &stream(), &mut 0), Verdict::Deny(_)));
    assert_eq!(head.field_count(), 0, "block comes before the other rules");
    head.start_request(b"GET", b"/", Version::HTTP_11);
    rules.http_request(&mut head, &stream(), &mut 0);
    assert_eq!(head.value(b"x-a"), Some(&b"v"[..]));
}

#[test]
fn acls_are_samples() {
    let (rules, problems) = http(
        "acl a path_beg /a\nacl get method GET\nhttp-request deny if { acl(a,get) }\nhttp-request deny if { acl(!a,METH_GET) }\n\
         http-request set-var(txn.x) acl(none)\nhttp-request set-var(txn.y) var(check.a) if { var(psess.b) -m found }\n",
    );
    let messages: Vec<&str> = problems.iter().map(|(_, _, message)| message.as_str()).collect();
    assert_eq!(messages, ["sample fetch keyword 'acl': no such ACL : 'none'."]);
    let holds = |rule: usize, target: &[u8]| {
        let mut head = Head::default();
        head.start_request(b"GET", target, Version::HTTP_11);
        let stream = stream();
        let context = Context { request: Some(&head), response: None, stream: &stream };
        rules.http_request[rule].condition.as_ref().is_some_and(|condition| condition.holds(&rules.acls, &context))
    };
    assert_eq!([holds(0, b"/a"), holds(0, b"/b"), holds(1, b"/a"), holds(1, b"/b")], [true, false, false, true]);
    assert!(!holds(2, b"/a"), "what belongs to no proxy has no value");
}

#[test]
fn what_does_not_work_yet_is_said() {
    for (lines, shown) in [
        ("  http-request use-service lua.a\n", "http-request use-service"),
        ("  http-request deny if { internal.htx.data gt 5 }\n", "sample fetch internal.htx.data"),
        ("  http-request lua.foo\n", "http-request lua.foo"),
    ] {
        let (_, problems) = http(lines);
        assert!(
            problems.iter().any(|(severity, _, text)| *severity == Severity::Unsupported && text.contains(shown)),
            "{lines}: {problems:?}"
        );
    }
    let lines = "  tcp-request content reject if { src 10.0.0.0/8 }\n";
    let (_, problems) = lowered(lines, SectionKind::Frontend, Mode::Tcp);
    assert_eq!(problems, []);
}

/// What haproxy 2.6 has only one half of: the other half gives its input back, and the bytes of RFC 3602, section 4, and of
/// the case in `samples.txt`.
#[test]
fn what_aes_encrypts_it_decrypts() {
    let lines = "
  http-request set-var(txn.cbc) str('Single block msg'),aes_cbc_enc(128,Pa+6Qp2etDC0ItqALJ+sQQ==,BqkhQDa4oVtRLgPVNBIABg==)
  http-request set-var(txn.cbc_hex) var(txn.cbc),hex,lower
  http-request set-var(txn.cbc_back) var(txn.cbc),aes_cbc_dec(128,Pa+6Qp2etDC0ItqALJ+sQQ==,BqkhQDa4oVtRLgPVNBIABg==)
  http-request set-var(txn.gcm) str('hello gcm'),aes_gcm_enc(128,AAECAwQFBgcICQoL,AAECAwQFBgcICQoLDA0ODw==,txn.tag)
  http-request set-var(txn.gcm_hex) var(txn.gcm),hex,lower
  http-request set-var(txn.gcm_back) var(txn.gcm),aes_gcm_dec(128,AAECAwQFBgcICQoL,AAECAwQFBgcICQoLDA0ODw==,txn.tag)
  http-request set-var(txn.other) var(txn.gcm),aes_gcm_dec(128,AAECAwQFBgcICQoL,AAECAwQFBgcICQoLDA0ODw==,txn.tag,YWJj)
";
    let (rules, problems) = http(lines);
    assert_eq!(problems, []);
    let stream = stream();
    rules.http_request(&mut request(), &stream, &mut 0);
    for (name, expected) in [
        ("txn.cbc_back", Some("Single block msg")),
        ("txn.gcm_hex", Some("fb09cba2093b903726")),
        ("txn.tag", Some("DUg3UmPF2ELk7Gbqdiv6WQ==")),
        ("txn.gcm_back", Some("hello gcm")),
        ("txn.other", None),
    ] {
        let value = stream.variable(&Name::parse(name).unwrap()).map(|value| value.into_text().into_owned());
        assert_eq!(value.as_deref(), expected.map(str::as_bytes), "{name}");
    }
    let first_block = stream.variable(&Name::parse("txn.cbc_hex").unwrap()).unwrap().into_text().into_owned();
    assert!(first_block.starts_with(b"e353779c1079aeb82708942dbe77181a"), "{first_block:?}");
}

proptest::proptest! {
    /// Whatever is written, it is lowered without a panic.
    #[test]
    fn any_words(line in "(acl|http-request|use_backend|redirect|tcp-request|stats admin|block|reqadd)( [a-z_%\\[\\]{}()!|,.:/0-9-]{0,12}){0,6}") {
        lowered(&format!("  {line}\n"), SectionKind::Listen, Mode::Http);
    }
}

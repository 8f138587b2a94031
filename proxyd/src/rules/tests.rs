use super::acl::{AclIndex, Term, Test};
use super::http::Reply;
use super::redirect::Target;
use super::switch::BackendName;
use super::*;
use crate::http::Version;
use crate::ids::FrontendId;
use crate::sample::fetch::{HeaderFetch, Side, TargetPart};
use crate::sample::pattern::Method;
use crate::sample::prefix_map::Case;
use crate::sample::text::{Piece, Text};
use crate::sample::variable::ProcessVariables;
use crate::sample::{Expression, Fetch, Live, Patterns};
use proptest::prelude::*;
use std::net::IpAddr;
use std::sync::LazyLock;
use std::time::Duration;

struct Process;

impl Live for Process {
    fn backend_named(&self, name: &[u8]) -> Option<BackendId> {
        (name == b"dyn").then_some(BackendId(99))
    }
    fn servers_up(&self, _: BackendId) -> u64 {
        2
    }
    fn server_up(&self, _: BackendId, _: ServerIndex) -> bool {
        true
    }
    fn server_of(&self, backend: BackendId, name: &[u8]) -> Option<ServerIndex> {
        (backend == BackendId(3) && name == b"/b").then_some(ServerIndex(7))
    }
    fn is_local(&self, ip: IpAddr) -> bool {
        ip.is_loopback()
    }

    fn variables(&self) -> &ProcessVariables {
        static VARIABLES: LazyLock<ProcessVariables> = LazyLock::new(ProcessVariables::default);
        &VARIABLES
    }

    fn random(&self) -> u32 {
        0
    }
}

pub(super) fn stream() -> Stream<'static> {
    Stream {
        transaction: Some(Box::leak(Box::default())),
        source: "10.0.0.1:1000".parse().ok(),
        destination: "10.0.0.2:80".parse().ok(),
        frontend: (FrontendId(0), "f"),
        listener: 1,
        http: true,
        client_requests: 1,
        now: Duration::from_secs(5),
        ..Stream::outside(Box::leak(Box::default()), Box::leak(Box::default()), &Process)
    }
}

fn request(target: &str) -> Head {
    let mut head = Head::default();
    head.start_request(b"GET", target.as_bytes(), Version::HTTP_11);
    head.append(b"host", b"h.ex");
    head
}

fn fetch(fetch: Fetch) -> Expression {
    Expression { fetch, converters: Box::new([]) }
}

fn acl(fetch: Fetch, method: Method, texts: &[&str]) -> Acl {
    let texts = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    let patterns = Patterns::texts(method, Case::Exact, texts).unwrap();
    let expression = Expression { fetch, converters: Box::new([]) };
    Acl { name: String::new(), tests: vec![Test { expression, patterns: Box::new([patterns]) }] }
}

fn when(acl: usize, negated: bool) -> Condition {
    Condition { unless: false, any: Box::new([Box::new([Term { acl: AclIndex(acl), negated }])]) }
}

fn header(name: &str) -> Fetch {
    let name = Some(name.as_bytes().into());
    Fetch::Header(
        HeaderFetch { side: Side::Request, name, whole_lines: false, occurrence: None },
        crate::sample::fetch::As::Text,
    )
}

#[test]
fn conditions_are_groups_of_terms() {
    let acls = [
        acl(Fetch::Target(TargetPart::Path), Method::Beg, &["/a"]),
        acl(Fetch::Target(TargetPart::Path), Method::End, &["b"]),
    ];
    let term = |acl, negated| Term { acl: AclIndex(acl), negated };
    let stream = stream();
    for (unless, groups, expected) in [
        (false, vec![vec![term(0, false), term(1, false)]], [true, false, false]),
        (false, vec![vec![term(0, false)], vec![term(1, false)]], [true, true, true]),
        (true, vec![vec![term(0, false)], vec![term(1, false)]], [false, false, false]),
        (false, vec![vec![term(0, false), term(1, true)]], [false, true, false]),
        (true, vec![vec![term(1, false)]], [false, true, false]),
        (false, vec![], [false; 3]),
    ] {
        let any = groups.into_iter().map(Vec::into_boxed_slice).collect();
        let condition = Condition { unless, any };
        let holds = ["/a/b", "/a/c", "/xb"].map(|path| {
            let request = request(path);
            condition.holds(&acls, &Context { request: Some(&request), response: None, stream: &stream })
        });
        assert_eq!(holds, expected, "{condition:?}");
    }
}

#[test]
fn http_request_rules_edit_in_order_until_one_ends() {
    let text = |text: &str| Text::literal(text.as_bytes());
    let path = Text {
        pieces: Box::new([
            Piece::Literal(b"p=".as_slice().into()),
            Piece::Sample(fetch(Fetch::Target(TargetPart::Path))),
        ]),
    };
    let rule = |action| Rule { written: None, condition: None, action };
    let rules = Rules {
        acls: vec![acl(header("x"), Method::Str, &["p=/a"])],
        http_request: vec![
            rule(HttpAction::SetHeader(b"x".as_slice().into(), path)),
            rule(HttpAction::AddHeader(b"y".as_slice().into(), text("1\r\nevil: 2"))),
            rule(HttpAction::DeleteHeader(b"host".as_slice().into())),
            rule(HttpAction::SetTarget(http::TargetPart::Query, text("q=a b"))),
            Rule { written: None, condition: Some(when(0, false)), action: HttpAction::Deny(Reply::error(429)) },
            rule(HttpAction::SetMethod(text("POST"))),
        ],
        ..Rules::default()
    };
    let mut head = request("/a");
    assert_eq!(rules.http_request(&mut head, &stream(), &mut 0), Verdict::Deny(Answer::error(429)));
    let fields: Vec<(&[u8], &[u8])> = head.fields().collect();
    assert_eq!(fields, [(&b"x"[..], &b"p=/a"[..]), (b"y", b"1  evil: 2")]);
    assert_eq!((head.target(), head.method()), (&b"/a?q=a%20b"[..], &b"GET"[..]));
    let mut head = request("/b");
    assert_eq!(rules.http_request(&mut head, &stream(), &mut 0), Verdict::Continue);
    assert_eq!(head.method(), b"POST");
}

/// Each row was answered by haproxy 2.6.
#[test]
fn redirects() {
    let text = |text: &str| Text::literal(text.as_bytes());
    let redirect = |status, target| Redirect {
        status,
        target,
        drop_query: false,
        append_slash: false,
        ignore_empty: false,
        cookie: None,
    };
    let slash = |redirect| Redirect { append_slash: true, ..redirect };
    let drop = |redirect| Redirect { drop_query: true, ..redirect };
    for (target, redirect, location, no_cache) in [
        ("/a/b?x=1", redirect(302, Target::Location(text("/new"))), "/new", true),
        ("/a/b?x=1", redirect(302, Target::Prefix(text("https://p.x"))), "https://p.x/a/b?x=1", true),
        ("/a/b?x=1", redirect(302, Target::Prefix(text("/"))), "/a/b?x=1", true),
        ("/a/b?x=1", redirect(301, Target::Scheme(text("https"))), "https://h.ex/a/b?x=1", false),
        ("/a/b?x=1", drop(slash(redirect(302, Target::Prefix(text("http://q"))))), "http://q/a/b/", true),
        ("/foo/?a", slash(redirect(302, Target::Prefix(text("http://q")))), "http://q/foo/?a/", true),
        ("*", redirect(302, Target::Prefix(text("/"))), "/", true),
        ("*", redirect(301, Target::Scheme(text("https"))), "https://h.ex/", false),
        ("http://h.ex?x=1", redirect(302, Target::Prefix(text("/p"))), "/p/?x=1", true),
        ("/", slash(redirect(303, Target::Prefix(text("http://q")))), "http://q/", true),
        ("/a", redirect(307, Target::Location(text("/z"))), "/z", true),
        ("/a", redirect(308, Target::Prefix(text("/z"))), "/z/a", false),
    ] {
        let request = request(target);
        let stream = stream();
        let context = Context { request: Some(&request), response: None, stream: &stream };
        let answer = redirect.answer(&context).unwrap();
        let field = |name: &[u8]| answer.fields.iter().find(|(field, _)| field == name).map(|(_, value)| &value[..]);
        assert_eq!(field(b"location"), Some(location.as_bytes()), "{redirect:?}");
        assert_eq!(field(b"cache-control").is_some(), no_cache, "{redirect:?}");
    }
    let empty = Redirect { ignore_empty: true, ..redirect(302, Target::Location(Text::default())) };
    let stream = stream();
    assert_eq!(empty.answer(&Context { request: None, response: None, stream: &stream }), None);
}

/// What a sample brings along must not become a field of its own.
#[test]
fn answers_keep_to_their_lines() {
    let evil = || Text::literal(*b"x\r\nset-cookie: a=b\0");
    let redirect = Redirect {
        status: 302,
        target: Target::Location(evil()),
        drop_query: false,
        append_slash: false,
        ignore_empty: false,
        cookie: None,
    };
    let reply =
        Reply { status: 200, fields: Box::new([(b"y".as_slice().into(), evil())]), body: http::ReplyBody::None };
    for action in [HttpAction::Redirect(redirect), HttpAction::Return(reply), HttpAction::Auth(evil())] {
        let rules = Rules { http_request: vec![Rule { written: None, condition: None, action }], ..Rules::default() };
        let verdict = rules.http_request(&mut request("/"), &stream(), &mut 0);
        let Verdict::Reply(answer) = verdict else { panic!("{verdict:?}") };
        let breaks = |byte: &u8| matches!(byte, b'\r' | b'\n' | 0);
        assert!(answer.fields.iter().all(|(_, value)| !value.iter().any(breaks)), "{answer:?}");
    }
}

#[test]
fn redirects_come_after_allow() {
    let redirect = Redirect {
        status: 302,
        target: Target::Location(Text::literal(*b"/x")),
        drop_query: false,
        append_slash: false,
        ignore_empty: false,
        cookie: None,
    };
    let rules = Rules {
        http_request: vec![
            Rule { written: None, condition: None, action: HttpAction::Allow },
            Rule { written: None, condition: None, action: HttpAction::Reject },
        ],
        redirects: vec![Rule { written: None, condition: None, action: redirect }],
        ..Rules::default()
    };
    let mut head = request("/");
    let verdict = rules.http_request(&mut head, &stream(), &mut 0);
    assert!(matches!(verdict, Verdict::Reply(Answer { status: 302, .. })), "{verdict:?}");
}

#[test]
fn names_of_backends_made_at_run_time() {
    let rule = |name: &[u8]| Rule { written: None, condition: None, action: BackendName::Dynamic(Text::literal(name)) };
    let stream = stream();
    let context = Context { request: None, response: None, stream: &stream };
    for (name, expected) in [(&b"dyn"[..], Some(BackendId(99))), (b"nosuch", None)] {
        let rules = Rules { use_backend: Switch::new(vec![rule(name)], &[]), ..Rules::default() };
        assert_eq!(rules.choose_backend(&context, |_| true), expected);
    }
}

/// A rule of a run, in the words of the property below.
fn switch_rule() -> impl Strategy<Value = (u8, Vec<String>)> {
    (0_u8..5, proptest::collection::vec("[/ab]{0,3}", 1..3))
}

proptest! {
    /// Joined rules decide as a walk over them does.
    #[test]
    fn runs_keep_the_first_match(
        list in proptest::collection::vec(switch_rule(), 0..12),
        path in "/[/ab]{0,4}",
        hosts in proptest::collection::vec("[/ab]{0,3}", 0..3),
        away in proptest::collection::vec(0_u32..12, 0..4),
    ) {
        let mut acls = Vec::new();
        let mut rules = Vec::new();
        for ((kind, texts), number) in list.iter().zip(0..) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            acls.push(match kind {
                0 | 4 => acl(Fetch::Target(TargetPart::Path), Method::Beg, &texts),
                1 => acl(Fetch::Target(TargetPart::Path), Method::End, &texts),
                2 => acl(header("x"), Method::Str, &texts),
                _ => acl(header("x"), Method::Sub, &texts),
            });
            let condition = Some(when(acls.len() - 1, *kind == 4));
            rules.push(Rule { written: None, condition, action: BackendName::Fixed(BackendId(number)) });
        }
        let mut request = request(&path);
        for host in &hosts {
            request.append(b"x", host.as_bytes());
        }
        let stream = stream();
        let context = Context { request: Some(&request), response: None, stream: &stream };
        let takes = |id: BackendId| !away.iter().any(|away| BackendId(*away) == id);
        let walk =
            rules.iter().zip(0..).position(|(rule, number)| rule.holds(&acls, &context) && takes(BackendId(number)));
        let rules = Rules { use_backend: Switch::new(rules, &acls), acls, ..Rules::default() };
        prop_assert_eq!(rules.choose_backend(&context, takes).map(BackendId::index), walk);
    }
}

#[test]
fn a_server_may_be_named_at_run_time() {
    let text = Text { pieces: Box::new([Piece::Sample(fetch(Fetch::Target(TargetPart::Path)))]) };
    let rules = Rules {
        use_server: vec![
            Rule { written: None, condition: None, action: ServerName::Dynamic(text) },
            Rule { written: None, condition: None, action: ServerName::Fixed(ServerIndex(1)) },
        ],
        ..Rules::default()
    };
    let chosen = |target, backend| {
        let stream = Stream { backend, ..stream() };
        let request = request(target);
        rules.choose_server(&Context { request: Some(&request), response: None, stream: &stream })
    };
    assert_eq!(chosen("/b", Some((BackendId(3), "b"))), Some(ServerIndex(7)));
    assert_eq!(chosen("/c", Some((BackendId(3), "b"))), None, "the rule that held has decided");
    assert_eq!(chosen("/b", Some((BackendId(4), "b"))), None);
    assert_eq!(chosen("/b", None), None);
}

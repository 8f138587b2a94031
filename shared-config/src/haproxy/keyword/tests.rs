use super::*;

fn sorted<T>(rows: &[T], name: impl Fn(&T) -> &'static str, unique: bool) {
    for pair in rows.windows(2) {
        let (a, b) = (name(&pair[0]), name(&pair[1]));
        assert!(if unique { a < b } else { a <= b }, "`{a}` before `{b}`");
    }
}

#[test]
fn tables_are_sorted() {
    sorted(GLOBAL, |row| row.name, true);
    sorted(PROXY, |row| row.name, true);
    sorted(SECTION, |row| row.name, false);
    sorted(OPTIONS, |row| row.name, true);
    sorted(BIND_PARAMS, |row| row.name, true);
    sorted(SERVER_PARAMS, |row| row.name, true);
    sorted(FETCHES, |row| row.name, true);
    sorted(CONVERTERS, |row| row.name, true);
    sorted(ACL_DERIVATIVES, |row| row.name, true);
    sorted(ACTIONS, |row| row.name, false);
    sorted(FILTERS, |row| row.name, true);
    sorted(SERVICES, |row| row.name, true);
    sorted(CLI_COMMANDS, |row| row.name, true);
}

#[test]
fn rows_of_one_name_do_not_overlap() {
    for (i, a) in SECTION.iter().enumerate() {
        for b in SECTION[i + 1..].iter().filter(|b| b.name == a.name) {
            assert!(a.sections.iter().all(|kind| !b.sections.contains(kind)), "{}", a.name);
        }
    }
    for (i, a) in ACTIONS.iter().enumerate() {
        for b in ACTIONS[i + 1..].iter().filter(|b| b.name == a.name && b.parenthesis == a.parenthesis) {
            assert!(
                Ruleset::ALL.iter().all(|&set| !(a.rulesets.contains(set) && b.rulesets.contains(set))),
                "{}",
                a.name
            );
        }
    }
}

#[test]
fn statements_are_found_by_their_longest_name() {
    use SectionKind::{Backend, Defaults, Frontend, Global, Listen, Peers, Userlist};
    for (section, line, expected) in [
        (Global, "stats timeout 2m", Some("stats timeout")),
        (Global, "log 127.0.0.1 local0", Some("log")),
        (Defaults, "log global", Some("log")),
        (Defaults, "log-format x", Some("log-format")),
        (Listen, "timeout client 1s", Some("timeout client")),
        (Listen, "timeout clint 1s", None),
        (Frontend, "capture request header Host len 3", Some("capture request header")),
        (Backend, "http-check set-var(check.x) int(1)", Some("http-check set-var")),
        (Backend, "http-check set-var-fmt(check.x) 1", Some("http-check set-var-fmt")),
        (Backend, "use_backend b", None),
        (Backend, "persist rdp-cookie(x)", Some("persist rdp-cookie")),
        (Peers, "server a", Some("server")),
        (Userlist, "user a insecure-password b", Some("user")),
        (Global, "nosuch", None),
        (Global, "", None),
    ] {
        let words: Vec<&str> = line.split(' ').collect();
        let found = find_statement(section, &words).map(|row| row.name);
        assert_eq!(found, expected, "{line}");
    }
}

#[test]
fn actions_are_found_with_parentheses_and_numbers() {
    use Ruleset::{HttpRequest, TcpRequestConnection, TcpRequestContent};
    for (set, word, expected) in [
        (HttpRequest, "set-header", Some("set-header")),
        (HttpRequest, "set-var(txn.a)", Some("set-var")),
        (HttpRequest, "set-var", Some("set-var")),
        (HttpRequest, "track-sc0", Some("track-sc")),
        (HttpRequest, "track-sc12", Some("track-sc")),
        (HttpRequest, "track-sc", None),
        (HttpRequest, "track-scx", None),
        (HttpRequest, "set-header(x)", None),
        (HttpRequest, "accept", None),
        (TcpRequestConnection, "accept", Some("accept")),
        (TcpRequestContent, "set-bandwidth-limit", Some("set-bandwidth-limit")),
        (TcpRequestConnection, "set-bandwidth-limit", None),
    ] {
        assert_eq!(find_action(set, word).map(|row| row.name), expected, "{word}");
    }
}

#[test]
fn sections_by_name() {
    for kind in SectionKind::ALL {
        assert_eq!(SectionKind::from_name(kind.name()), (kind != SectionKind::CrtList).then_some(kind));
    }
    assert_eq!(SectionKind::from_name("ruleset"), None);
}

#[test]
fn required_arguments_come_first() {
    for (name, args) in
        FETCHES.iter().map(|row| (row.name, row.args)).chain(CONVERTERS.iter().map(|row| (row.name, row.args)))
    {
        assert!(args.is_sorted_by_key(|arg| !arg.required), "{name}");
    }
}

#[test]
fn fetch_places_are_the_columns() {
    let src = find_fetch("src").expect("a row");
    assert!(src.places.contains(FetchPlace::FrontendTcpRequestConnection));
    assert!(!src.places.contains(FetchPlace::CliParser));
    let status = find_fetch("status").expect("a row");
    assert!(!status.places.contains(FetchPlace::FrontendHttpRequestHeader));
    assert!(status.places.contains(FetchPlace::BackendHttpResponseHeader));
}

/// Each pair was tried on haproxy 2.6 as `%[fetch,converter]`: the types in the rows' order that a fetch of the first
/// type can be converted to.
#[test]
fn casts_are_those_of_haproxy() {
    use SampleType::{Addr, Bin, Bool, Ipv4, Ipv6, Meth, Sint, Str};
    let wanted = [Bool, Sint, Addr, Str, Bin];
    for (from, accepted) in [
        (Bool, [true, true, false, true, true]),
        (Sint, [true; 5]),
        (Ipv4, [false, true, true, true, true]),
        (Ipv6, [false, false, true, true, true]),
        (Str, [true; 5]),
        (Bin, [false, false, false, true, true]),
        (Meth, [false, false, false, true, true]),
    ] {
        assert_eq!(wanted.map(|to| from.casts_to(to)), accepted, "{from:?}");
    }
}

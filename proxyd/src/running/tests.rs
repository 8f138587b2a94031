use super::*;
use crate::balance::server_state::Running;
use crate::config::{Request, lower};
use crate::stats::{Count, Event};
use shared_config::haproxy::load::Input;

const BASE: &str = "defaults\n mode http\n timeout client 1s\n timeout server 1s\n timeout connect 1s\n";

fn model(text: &str) -> Model {
    let inputs = vec![Input { path: "test.cfg".into(), bytes: format!("{BASE}{text}").into_bytes() }];
    let loaded = lower(inputs, Request::default(), shared_config::diagnostic::Diagnostics::default());
    assert!(!loaded.is_refused(), "{:?}", loaded.diagnostics);
    loaded.model
}

fn facts() -> Facts {
    Facts { workers: 2, groups: 1, program: "haproxy".into(), hostname: "lb1".into(), maxconn: 3000 }
}

const TEXT: &str = "frontend fe\n bind 127.0.0.1:1\n use_backend two if { path_beg /2 }\n default_backend one\nbackend one\n \
                    server a 127.0.0.1:2 cookie x\n server b 127.0.0.1:3\nbackend two\n server c 127.0.0.1:4\nbackend alone\nfrontend \
                    small\n bind 127.0.0.1:5\n maxconn 55\n default_backend one\n";

#[test]
fn limits_that_are_not_written_follow_from_those_that_are() {
    let generation = build(&model(TEXT), &facts(), None);
    assert_eq!(generation.global.maxconn.get(), 3000);
    assert_eq!(generation.frontends.iter().map(|frontend| frontend.maxconn.get()).collect::<Vec<_>>(), [3000, 55]);
    let fullconn: Vec<_> = generation.backends.iter().map(|backend| backend.farm.settings().fullconn).collect();
    assert_eq!(fullconn, [306, 300, 1], "a tenth of what the frontends that name the backend let in, rounded up");
}

#[test]
fn what_a_reload_does_not_change_lives_on() {
    let before = build(&model(TEXT), &facts(), None);
    before.frontends[0].section.traffic.of(1).add(Count::Connections, 7);
    before.backends[0].servers[0].traffic.event(0, Event::Session, 1);
    before.backends[0].farm.set_running(1, Running::Down);
    before.global.connections.enter();
    let changed = TEXT
        .replace("server a 127.0.0.1:2 cookie x", "server a 127.0.0.1:2 cookie y")
        .replace("maxconn 55", "maxconn 60");
    let after = build(&model(&changed), &facts(), Some(&before));

    assert_eq!(after.frontends[0].section.traffic.total(Count::Connections), 7);
    assert_eq!(after.backends[0].servers[0].traffic.last_session_ms(), Some(1));
    assert_eq!(after.global.connections.current(), 1);
    assert_eq!(after.frontends[1].maxconn.get(), 60);
    let servers = |generation: &Generation| generation.backends[0].farm.servers().to_vec();
    let (old, new) = (servers(&before), servers(&after));
    assert!(!Arc::ptr_eq(&old[0], &new[0]), "its line changed");
    assert!(Arc::ptr_eq(&old[1], &new[1]), "its line did not");
    assert_eq!(new[1].running(), Running::Down, "a dead server stays dead");
    assert!(!Arc::ptr_eq(&before.backends[0].farm, &after.backends[0].farm));
    assert!(Arc::ptr_eq(&before.backends[1].farm, &after.backends[1].farm), "with all who wait there");
}

#[test]
fn a_section_that_is_gone_or_new_has_no_past() {
    let before = build(&model(TEXT), &facts(), None);
    before.backends[1].section.traffic.of(0).add(Count::Sessions, 3);
    let renamed = TEXT.replace("two", "three");
    let after = build(&model(&renamed), &facts(), Some(&before));
    assert_eq!(after.backends[1].section.traffic.total(Count::Sessions), 0);
}

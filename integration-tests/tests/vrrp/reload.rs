//! Scenarios 12 and 13: what others do to the addresses, and what SIGHUP does. keepalived dies of a bad file and leaves
//! its addresses behind, so those are for ours only.

use crate::conf::{Conf, conf};
use crate::election::SETTLED;
use crate::scenario::Step::{Calm, Check, Configure, Holder, Logs, Sh, Signal, Start};
use crate::scenario::Who::{A, B};
use crate::scenario::{Stage, Step, demand, missing, play_all, scenario};
use anyhow::Result;
use integration_tests::wait;
use nix::sys::signal::Signal::{SIGCONT, SIGHUP, SIGSTOP};
use std::time::Duration;

const RELOAD: &[Step] = &[Signal(A, SIGHUP), Logs(A, "Reload complete")];

fn two() -> Conf {
    conf(150).instance("VI_2", 52, 150, "192.0.2.60/24")
}

#[test]
fn s12_addresses_disappear() {
    play_all(&[scenario(
        "the shared one",
        conf(150),
        conf(100),
        &[
            SETTLED,
            &[
                Sh(A, "ip address del 192.0.2.50/24 dev eth0"),
                Logs(A, "putting it back"),
                Holder(A),
                Calm(600),
                Holder(A),
            ],
        ],
    )
    .on_purpose(A, "keepalived steps down, and takes back at the next election; ours puts the address back at once")]);
}

#[test]
fn s12_own_address_disappears() {
    const SOURCE: &str = "ip address del 192.0.2.11/24 dev eth0";
    // Else the shared address would go with the first of its subnet.
    const PROMOTE: Step = Sh(A, "sysctl -qw net.ipv4.conf.eth0.promote_secondaries=1");
    play_all(&[scenario(
        "the host's own",
        conf(150),
        conf(100),
        &[
            SETTLED,
            &[PROMOTE, Sh(A, SOURCE), Holder(B), Calm(300), Sh(A, "ip address add 192.0.2.11/24 dev eth0"), Holder(A)],
        ],
    )
    .without("entering FAULT state (no IPv4 address", "ours says what the fault is")]);
}

/// Over IPv6 the kernel does not let a socket send from an address that the host has lost, unless it is asked to.
#[test]
fn s12_own_address_disappears_inet6() {
    const READY: Step = Check(|stage| {
        for node in &stage.nodes {
            let ready =
                || node.host.sh("ip -6 -o address show scope link -tentative").ok()?.contains("fe80").then_some(());
            wait::until("a link-local address", Duration::from_secs(10), ready)?;
        }
        Ok(())
    });
    const OWN_GOES: Step = Sh(
        A,
        "own=$(ip -6 -o address show dev eth0 scope link | grep -v fe80::50 | sed 's/.*inet6 //; s/ .*//'); \
         ip -6 address del $own dev eth0",
    );
    const GOODBYE: Step = Check(|stage| {
        let port = stage.nodes[0].host.port_index();
        let said = || {
            let sent = stage.capture.of(port);
            let mut adverts = sent.iter().filter_map(|frame| frame.packet.advert());
            adverts.any(|advert| advert.vrid() == 56 && advert.priority() == 0).then_some(())
        };
        wait::until("priority 0 from the lost address", Duration::from_secs(5), said)
    });
    let conf = |priority| conf(priority).instance("VI_6", 56, priority, "fe80::50/64").set("advert_int 1");
    let steps: &[Step] = &[
        Logs(A, "(VI_6) Entering MASTER STATE"),
        OWN_GOES,
        Logs(A, "(VI_6) Entering FAULT STATE"),
        GOODBYE,
        Logs(B, "(VI_6) Entering MASTER STATE"),
    ];
    play_all(&[scenario("the host's own of IPv6", conf(150), conf(100), &[&[READY], SETTLED, steps])
        .on_purpose(A, "keepalived cannot send from there: `send advert error 22 (Invalid argument)`")]);
}

/// What happens in the moment before a reload is found when everything is read anew.
#[test]
fn s13_an_address_that_goes_while_a_reload_is_due() {
    const MEANWHILE: &[Step] = &[
        Step::SignalAll(A, SIGSTOP),
        Sh(A, "ip address del 192.0.2.50/24 dev eth0"),
        // To the process that reads the file: by way of its parent it might hear of the address first.
        Sh(A, "kill -HUP $(cat /run/vrrp.pid)"),
        Step::SignalAll(A, SIGCONT),
        Logs(A, "putting it back"),
        Holder(A),
        Calm(300),
        Holder(A),
    ];
    play_all(&[scenario(
        "a signal comes before its report",
        conf(150),
        conf(1).set("advert_int 1"),
        &[SETTLED, MEANWHILE],
    )
    .on_purpose(A, "keepalived steps down, and takes back at the next election")]);
}

/// keepalived sets and announces what it has anew at each reload.
const NOT_TOUCHED: &str = "what a reload does not change is not touched";

#[test]
fn s13_reload_changes_nothing() {
    let (pair, alone) = ([SETTLED, RELOAD, RELOAD].concat(), [&[Start(A), Holder(A)], RELOAD].concat());
    play_all(
        &[
            scenario("of a pair", conf(150), conf(100), &[&pair, &[Calm(500), Holder(A)]]),
            scenario("alone", conf(100), conf(100), &[&alone, &[Calm(300), Holder(A)]]),
        ]
        .map(|scenario| scenario.without("setting VIPs.", NOT_TOUCHED)),
    );
}

/// Does not mind what the other one's list says.
fn tolerant(priority: u8, addresses: &[&str]) -> Conf {
    conf(priority).set("skip_check_adv_addr").addresses(addresses)
}

#[test]
fn s13_reload_addresses() {
    const ONE: &[&str] = &["192.0.2.50/24"];
    const MORE: &[&str] = &["192.0.2.50/24", "192.0.2.60/24", "198.51.100.7"];
    let added: &[Step] =
        &[Configure(A, || tolerant(150, MORE)), Signal(A, SIGHUP), Logs(A, "Reload complete"), Calm(400), Holder(A)];
    let removed: &[Step] =
        &[Configure(A, || tolerant(150, ONE)), Signal(A, SIGHUP), Logs(A, "Reload complete"), Calm(400), Holder(A)];
    play_all(&[
        scenario("one less", tolerant(150, MORE), tolerant(100, MORE), &[SETTLED, removed])
            .without("setting VIPs.", NOT_TOUCHED),
        scenario("one more", tolerant(150, ONE), tolerant(100, ONE), &[SETTLED, added])
            .without("setting VIPs.", NOT_TOUCHED)
            .on_purpose(A, "keepalived announces the old one again too"),
    ]);
}

#[test]
fn s13_reload_priority_and_instances() {
    play_all(
        &[
            scenario(
                "a lower priority",
                conf(150),
                conf(100),
                &[SETTLED, &[Configure(A, || conf(50))], RELOAD, &[Holder(B)]],
            )
            .without("Changing effective priority", "keepalived does not say it of a reload"),
            scenario(
                "an instance less",
                two(),
                conf(100),
                &[SETTLED, &[Configure(A, || conf(150))], RELOAD, &[Calm(400), Holder(A)]],
            ),
            scenario(
                "an instance more",
                conf(150),
                conf(100),
                &[SETTLED, &[Configure(A, two)], RELOAD, &[Logs(A, "(VI_2) Entering MASTER STATE"), Holder(A)]],
            )
            .without("(VI_2) removing VIPs.", "keepalived looks for left addresses of the first instances only"),
        ]
        .map(|scenario| scenario.without("setting VIPs.", NOT_TOUCHED)),
    );
}

fn entered(stage: &Stage, times: usize) -> Result<()> {
    let log = stage.nodes[0].log();
    demand(log.matches("Entering").count() == times, &format!("{times} changes of state expected:\n{log}"))
}

#[test]
fn s13_bad_file() {
    const BAD: fn() -> Conf = || conf(150).set("virtual_router_id 0");
    play_all(&[scenario(
        "a bad file changes nothing and says why",
        conf(150),
        conf(100),
        &[
            SETTLED,
            &[
                Configure(A, BAD),
                Signal(A, SIGHUP),
                Logs(A, "New config failed validation"),
                Calm(500),
                Holder(A),
                Check(|stage| {
                    demand(stage.nodes[0].log().contains("the virtual router id must be set"), "no reason is given")
                }),
                Check(|stage| entered(stage, 2)),
                Configure(A, || conf(150)),
            ],
            RELOAD,
            &[Holder(A)],
        ],
    )
    .on_purpose(A, "keepalived ends and leaves its addresses behind")]);
}

#[test]
fn s13_storm() {
    const STORM: Step = Check(|stage| {
        for _ in 0..300 {
            stage.nodes[0].signal(SIGHUP)?;
            wait::pause(Duration::from_millis(3));
        }
        Ok(())
    });
    const NO_GAP: Step = Check(|stage| {
        let port = stage.nodes[0].host.port_index();
        let times: Vec<_> = stage.capture.of(port).iter().filter(|f| f.packet.is_advert(150)).map(|f| f.at).collect();
        let longest = missing(times.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).max(), "no adverts")?;
        demand(longest < Duration::from_millis(341), &format!("{longest:?} without an advert"))
    });
    play_all(&[scenario(
        "adverts leave between signals",
        conf(150),
        conf(100),
        &[
            SETTLED,
            &[STORM, Logs(A, "Reload complete"), Calm(300), Holder(A), NO_GAP, Check(|stage| entered(stage, 2))],
        ],
    )
    .on_purpose(A, "what keepalived makes of a storm is nobody's measure")]);
}

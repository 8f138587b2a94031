//! Where an instruction of the router meets the kernel.
//!
//! [`Io::perform`] is the only place. What it cannot do is logged and, where the router can do something about it, comes
//! back as a fact. Everything that happens outside arrives by [`Io::next`].
//!
//! - `vrrp_socket`: adverts; `arp_socket`: gratuitous ARP and neighbour advertisements;
//! - `kernel`: everything else that the kernel does for us: `netlink` (links, addresses, routes, rules), `vmac` (virtual
//!   interfaces), `nftables` (the packet filter);
//! - `checks`: what watches for the trackers, with `track_file` and `track_process`;
//! - `notify`: who is told, with `fifo` and `mail`; `one_shot`: scripts that are run once;
//! - `script`: starting and ending processes; `vet`: which commands can run;
//! - `background`: what ends when nobody wants it any more.

pub mod arp_socket;
pub mod background;
pub mod checks;
pub mod fifo;
pub mod kernel;
pub mod mail;
pub mod netlink;
pub mod nftables;
pub mod notify;
pub mod one_shot;
pub mod script;
pub mod track_file;
pub mod track_process;
pub mod vet;
pub mod vmac;
pub mod vrrp_socket;

use crate::limits::EVENTS_MAX;
use crate::packet::Family;
use crate::router::{self, Input, Output, Outputs, Router};
use crate::track::file::Reading;
use crate::track::script::Outcome;
use crate::vrrp::event::Advertisement;
use crate::vrrp::settings::Transport;
use crate::vrrp::{Level, Settings};
use background::Background;
use checks::Checks;
use kernel::Kernel;
use netlink::Fact;
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use vrrp_socket::{Received, Receiver, Scope, Sender};

/// Something that happened outside.
#[derive(Debug)]
pub enum Event {
    /// A VRRP packet from the interface of this index.
    Packet {
        /// Interface index.
        interface: u32,
        /// The packet.
        packet: Received,
    },
    /// Links or addresses changed.
    Facts(Vec<Fact>),
    /// The kernel lost reports: everything has to be surveyed anew.
    Overrun,
    /// A script's run ended.
    Script {
        /// Name of the script.
        script: String,
        /// How it ended.
        outcome: Outcome,
    },
    /// A tracked file was read.
    FileRead {
        /// Name of its block.
        file: String,
        /// What it holds.
        reading: Reading,
    },
    /// Tracked processes were counted.
    ProcessesCounted {
        /// Name of the block.
        process: String,
        /// How many run.
        count: u32,
    },
}

/// Sockets, processes and the connection to the kernel.
pub struct Io {
    kernel: Kernel,
    /// By interface and family; the empty name is for instances without an interface.
    receivers: BTreeMap<Place, Reception>,
    /// The same; adverts of `use_vmac` leave from another interface than they come in by.
    senders: BTreeMap<Place, Transmission>,
    notifier: notify::Notifier,
    checks: Checks,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
}

/// Interface name and whether it is for IPv6.
type Place = (String, bool);

/// The socket that adverts leave by.
struct Transmission {
    transmit: Sender,
    /// The last advert could not be sent; said once until one can.
    failing: bool,
}

/// The socket that adverts come in by.
struct Reception {
    scope: Scope,
    _reader: Background,
}

impl Io {
    /// Opens what is independent of the configuration. Needs a tokio runtime, `CAP_NET_RAW` and `CAP_NET_ADMIN`.
    pub fn open() -> io::Result<Self> {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        Ok(Self {
            kernel: Kernel::open()?,
            receivers: BTreeMap::new(),
            senders: BTreeMap::new(),
            notifier: notify::Notifier::default(),
            checks: Checks::new(sender.clone()),
            events,
            sender,
        })
    }

    /// Everything the kernel knows, as facts.
    pub fn survey(&mut self) -> io::Result<Vec<Fact>> {
        self.kernel.survey()
    }

    /// The next event. Cancel safe.
    pub async fn next(&mut self) -> io::Result<Event> {
        tokio::select! {
            biased;
            Some(event) = self.events.recv() => Ok(event),
            facts = self.kernel.next() => Ok(facts?.map_or(Event::Overrun, Event::Facts)),
        }
    }

    /// An event that is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Says what the file wants of the kernel, before the first survey and after each reload.
    pub fn configure(&mut self, settings: &router::Settings) -> io::Result<()> {
        self.kernel.configure(settings)
    }

    /// Says who is told of changes, besides notify scripts.
    pub fn set_channels(&mut self, settings: &router::Settings) {
        self.notifier.set(&settings.channels);
    }

    /// Watches what the trackers of the router need. Answers with a first look at what is new.
    pub async fn watch(&mut self, router: &Router) -> Vec<Event> {
        self.checks.watch(router).await
    }

    /// Opens and closes sockets so that there is one pair for each interface the router uses and the kernel has.
    pub fn tune(&mut self, router: &Router) {
        let (inward, outward) = (incoming(router), outgoing(router));
        self.receivers.retain(|place, reception| inward.get(place) == Some(&reception.scope));
        self.senders.retain(|place, transmission| outward.get(place) == Some(transmission.transmit.scope()));
        for (place, scope) in
            inward.into_iter().filter(|(place, _)| !self.receivers.contains_key(place)).collect::<Vec<_>>()
        {
            match Reception::open(scope, self.sender.clone()) {
                Ok(reception) => {
                    self.receivers.insert(place, reception);
                }
                Err(error) => tracing::error!("cannot receive VRRP on {}: {error}", place.0),
            }
        }
        for (place, scope) in outward {
            if self.senders.contains_key(&place) {
                continue;
            }
            match Sender::open(scope) {
                Ok(transmit) => {
                    self.senders.insert(place, Transmission { transmit, failing: false });
                }
                Err(error) => tracing::error!("cannot send VRRP on {}: {error}", place.0),
            }
        }
    }

    /// Does what the router decided, in its order. Answers with what the router wants to know about it.
    pub fn perform(&mut self, outputs: Outputs) -> Vec<Input<'static>> {
        let mut facts = Vec::new();
        for output in outputs {
            match output {
                Output::Advertise { interface, advertisement } => self.advertise(interface.as_deref(), &advertisement),
                Output::Notify(notice) => self.notifier.tell(notice),
                Output::RunScript { script, command } => self.checks.run(script, &command),
                Output::TerminateScript(name) => self.checks.signal(&name, Signal::SIGTERM),
                Output::KillScript(name) => self.checks.signal(&name, Signal::SIGKILL),
                Output::Changed { .. } => {}
                Output::Log(level, line) => log(level, &line),
                Output::AddAddress { .. }
                | Output::RemoveAddress { .. }
                | Output::AddRoute(_)
                | Output::RemoveRoute(_)
                | Output::AddRule(_)
                | Output::RemoveRule(_)
                | Output::AddStatic(_)
                | Output::RemoveStatic(_)
                | Output::Filter { .. }
                | Output::Announce { .. } => facts.extend(self.kernel.perform(&output)),
            }
        }
        facts
    }

    /// Takes away what is not an address, a route or a rule: the packet filter, and unless they are to stay, virtual
    /// interfaces and their settings.
    pub fn release(&mut self, vmacs_stay: bool) {
        self.kernel.close(vmacs_stay);
    }

    /// Waits for notify scripts, then ends.
    pub async fn close(self, limit: Duration) {
        self.notifier.finish(limit).await;
    }

    fn advertise(&mut self, interface: Option<&str>, advertisement: &Advertisement) {
        let name = interface.unwrap_or_default();
        let place = (name.to_owned(), advertisement.destination.is_ipv6());
        let Some(channel) = self.senders.get_mut(&place) else { return };
        match channel.transmit.send(advertisement) {
            Ok(()) => channel.failing = false,
            Err(error) if !channel.failing => {
                channel.failing = true;
                tracing::warn!("cannot send adverts to {} on {name}: {error}", advertisement.destination);
            }
            Err(_) => {}
        }
    }

    /// Forgets the process of a script that has ended: its number may be another's soon.
    pub fn script_ended(&mut self, name: &str) {
        self.checks.ended(name);
    }
}

impl Reception {
    fn open(scope: Scope, events: mpsc::Sender<Event>) -> io::Result<Self> {
        let receiver = Receiver::open(&scope)?;
        let interface = scope.index;
        let reader = Background::start(async move {
            loop {
                match receiver.receive().await {
                    Ok(packet) => {
                        if events.send(Event::Packet { interface, packet }).await.is_err() {
                            return;
                        }
                    }
                    // Reading the error clears it; the interface's fate is netlink's to tell.
                    Err(error) => tracing::debug!("receiving VRRP packets: {error}"),
                }
            }
        });
        Ok(Self { scope, _reader: reader })
    }
}

/// The sockets that adverts of the instances come in by, with the groups to join.
fn incoming(router: &Router) -> BTreeMap<Place, Scope> {
    let mut scopes: BTreeMap<Place, Scope> = BTreeMap::new();
    for settings in router.instances().map(crate::vrrp::Instance::settings) {
        let Some((place, scope)) = scope_on(router, settings.listen_on(), settings.family) else { continue };
        scopes.entry(place).or_insert(scope).groups.extend(group_of(settings));
    }
    scopes
}

/// The sockets that their adverts leave by.
fn outgoing(router: &Router) -> BTreeMap<Place, Scope> {
    let settings = router.instances().map(crate::vrrp::Instance::settings);
    settings.filter_map(|settings| scope_on(router, settings.advertise_on(), settings.family)).collect()
}

/// `None` while the kernel does not have the interface.
fn scope_on(router: &Router, interface: Option<&str>, family: Family) -> Option<(Place, Scope)> {
    let index = interface.map_or(Some(0), |name| router.interfaces().index_of(name))?;
    let interface = interface.map(str::to_owned);
    let place = (interface.clone().unwrap_or_default(), family == Family::Inet6);
    Some((place, Scope { interface, index, family, groups: BTreeSet::new() }))
}

fn group_of(settings: &Settings) -> Option<IpAddr> {
    match settings.transport {
        Transport::Multicast { group, .. } => Some(group),
        Transport::Unicast { .. } => None,
    }
}

fn with_cause(what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

fn log(level: Level, line: &str) {
    match level {
        Level::Error => tracing::error!("{line}"),
        Level::Warning => tracing::warn!("{line}"),
        Level::Info => tracing::info!("{line}"),
        Level::Detail => tracing::debug!("{line}"),
    }
}

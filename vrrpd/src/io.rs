//! Where an instruction of the router meets the kernel.
//!
//! [`Io::perform`] is the only place. What it cannot do is logged and, where the router can do something about it, comes
//! back as a fact. Everything that happens outside arrives by [`Io::next`].
//!
//! - `vrrp_socket`: adverts; `arp_socket`: gratuitous ARP and neighbour advertisements; `netlink`: links and addresses;
//! - `checks`: what watches for the trackers, with `track_file` and `track_process`;
//! - `notify`: who is told, with `fifo` and `mail`; `one_shot`: scripts that are run once;
//! - `script`: starting and ending processes; `vet`: which commands can run.

pub mod arp_socket;
pub mod checks;
pub mod fifo;
pub mod mail;
pub mod netlink;
pub mod notify;
pub mod one_shot;
pub mod script;
pub mod track_file;
pub mod track_process;
pub mod vet;
pub mod vrrp_socket;

use crate::limits::EVENTS_MAX;
use crate::packet::Family;
use crate::router::{self, Output, Outputs, Router};
use crate::track::file::Reading;
use crate::track::script::Outcome;
use crate::vrrp::event::Advertisement;
use crate::vrrp::settings::Transport;
use crate::vrrp::{Level, Settings};
use arp_socket::ArpSocket;
use checks::Checks;
use netlink::{Fact, Netlink};
use nix::sys::signal::Signal;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
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
    netlink: Netlink,
    arp: ArpSocket,
    /// By interface and family; the empty name is for instances without an interface.
    channels: BTreeMap<Place, Channel>,
    notifier: notify::Notifier,
    checks: Checks,
    events: mpsc::Receiver<Event>,
    sender: mpsc::Sender<Event>,
}

/// Interface name and whether it is for IPv6.
type Place = (String, bool);

/// The sockets of one interface and family.
struct Channel {
    transmit: Sender,
    reader: JoinHandle<()>,
    /// The last advert could not be sent; said once until one can.
    failing: bool,
}

impl Drop for Channel {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Io {
    /// Opens what is independent of the configuration. Needs a tokio runtime, `CAP_NET_RAW` and `CAP_NET_ADMIN`.
    pub fn open() -> io::Result<Self> {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        Ok(Self {
            netlink: Netlink::open().map_err(|error| with_cause("cannot connect to the kernel's netlink", &error))?,
            arp: ArpSocket::open()
                .map_err(|error| with_cause("cannot open a packet socket, which needs CAP_NET_RAW", &error))?,
            channels: BTreeMap::new(),
            notifier: notify::Notifier::default(),
            checks: Checks::new(sender.clone()),
            events,
            sender,
        })
    }

    /// Everything the kernel knows, as facts.
    pub async fn survey(&mut self) -> io::Result<Vec<Fact>> {
        self.netlink.resync().await
    }

    /// The next event. Cancel safe.
    pub async fn next(&mut self) -> io::Result<Event> {
        tokio::select! {
            biased;
            Some(event) = self.events.recv() => Ok(event),
            report = self.netlink.next() => {
                let report = report.ok_or_else(|| io::Error::other("the netlink connection has ended"))?;
                Ok(self.netlink.apply(report).map_or(Event::Overrun, Event::Facts))
            }
        }
    }

    /// An event that is there already.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// Says which addresses are virtual, before the first survey and after each reload.
    pub fn set_virtuals(&mut self, settings: &router::Settings) {
        let mut virtuals = HashSet::new();
        for instance in settings.instances.iter().map(|instance| &instance.vrrp).filter(|vrrp| !vrrp.is_owner()) {
            for vip in instance.all_addresses() {
                virtuals.extend(instance.device_of(vip).map(|device| (device.to_owned(), vip.address)));
            }
        }
        self.netlink.set_virtuals(virtuals);
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
        let wanted = scopes(router);
        self.channels.retain(|place, channel| wanted.get(place) == Some(channel.transmit.scope()));
        for (place, scope) in wanted {
            if self.channels.contains_key(&place) {
                continue;
            }
            match Channel::open(scope, self.sender.clone()) {
                Ok(channel) => {
                    self.channels.insert(place, channel);
                }
                Err(error) => tracing::error!("cannot open VRRP sockets on {}: {error}", place.0),
            }
        }
    }

    /// Does what the router decided, in its order.
    pub async fn perform(&mut self, outputs: Outputs) {
        for output in outputs {
            match output {
                Output::Advertise { interface, advertisement } => self.advertise(interface.as_deref(), &advertisement),
                Output::AddAddress { device, address } => {
                    if let Err(error) = self.netlink.add(&device, &address).await {
                        tracing::error!("cannot add address {} to {device}: {error}", address.address);
                    }
                }
                Output::RemoveAddress { device, address } => {
                    if let Err(error) = self.netlink.remove(&device, address.address).await
                        && error.kind() != io::ErrorKind::NotFound
                    {
                        tracing::error!("cannot remove address {} from {device}: {error}", address.address);
                    }
                }
                Output::Announce { device, address } => self.announce(&device, address),
                Output::Notify(notice) => self.notifier.tell(notice),
                Output::RunScript { script, command } => self.checks.run(script, &command),
                Output::TerminateScript(name) => self.checks.signal(&name, Signal::SIGTERM),
                Output::KillScript(name) => self.checks.signal(&name, Signal::SIGKILL),
                Output::Changed { .. } => {}
                Output::Log(level, line) => log(level, &line),
            }
        }
    }

    /// Waits for notify scripts, then ends.
    pub async fn close(self, limit: Duration) {
        self.notifier.finish(limit).await;
    }

    fn advertise(&mut self, interface: Option<&str>, advertisement: &Advertisement) {
        let name = interface.unwrap_or_default();
        let place = (name.to_owned(), advertisement.destination.is_ipv6());
        let Some(channel) = self.channels.get_mut(&place) else { return };
        match channel.transmit.send(advertisement) {
            Ok(()) => channel.failing = false,
            Err(error) if !channel.failing => {
                channel.failing = true;
                tracing::warn!("cannot send adverts to {} on {name}: {error}", advertisement.destination);
            }
            Err(_) => {}
        }
    }

    fn announce(&self, device: &str, address: IpAddr) {
        let sent = self.netlink.hardware(device).and_then(|(index, mac)| self.arp.announce(index, mac, address));
        if let Err(error) = sent {
            tracing::warn!("Error sending gratuitous ARP on {device} for {address}: {error}");
        }
    }

    /// Forgets the process of a script that has ended: its number may be another's soon.
    pub fn script_ended(&mut self, name: &str) {
        self.checks.ended(name);
    }
}

impl Channel {
    fn open(scope: Scope, events: mpsc::Sender<Event>) -> io::Result<Self> {
        let receiver = Receiver::open(&scope)?;
        let interface = scope.index;
        let transmit = Sender::open(scope)?;
        let reader = tokio::spawn(async move {
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
        Ok(Self { transmit, reader, failing: false })
    }
}

/// The sockets that the instances need.
fn scopes(router: &Router) -> BTreeMap<Place, Scope> {
    let mut scopes: BTreeMap<Place, Scope> = BTreeMap::new();
    for settings in router.instances().map(crate::vrrp::Instance::settings) {
        let family = settings.family;
        let place = (settings.interface.clone().unwrap_or_default(), family == Family::Inet6);
        let index = match &settings.interface {
            None => 0,
            Some(interface) => match router.interfaces().index_of(interface) {
                Some(index) => index,
                None => continue,
            },
        };
        let interface = settings.interface.clone();
        let scope = scopes.entry(place).or_insert_with(|| Scope { interface, index, family, groups: BTreeSet::new() });
        scope.groups.extend(group_of(settings));
    }
    scopes
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

//! What an instance sends: one message, or one copy for each peer.

use super::event::{Advertisement, Output, Outputs};
use super::settings::{Auth, GROUP_INET, OldChecksum, Settings, Transport};
use crate::packet::ip::TTL_VRRP;
use crate::packet::{Family, Version, vrrp2, vrrp3};
use std::net::IpAddr;

/// What changes from one advert of an instance to the next.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Without a source address nothing can be sent.
    pub source: Option<IpAddr>,
    /// Effective priority, or 0.
    pub priority: u8,
    /// IP identification.
    pub id: u16,
    /// A peer was heard that makes its sums in the old way (`old_unicast_checksum`).
    pub old_checksum: bool,
}

/// Pushes the adverts of `settings` at this moment.
pub fn advertise(settings: &Settings, moment: Moment, out: &mut Outputs) {
    let Moment { source: Some(source), id, .. } = moment else { return };
    let addresses: Vec<IpAddr> = settings.addresses.iter().map(|vip| vip.address).collect();
    let mut send = |destination, ttl| {
        let message = message(settings, moment, &addresses, source, destination);
        out.push(Output::Advertise(Advertisement { source, destination, ttl, id, message }));
    };
    match &settings.transport {
        Transport::Multicast { group, .. } => send(*group, TTL_VRRP),
        Transport::Unicast { peers, ttl, .. } => {
            // A file copied to every node lists the node itself: nothing to tell it.
            for peer in peers.iter().filter(|peer| peer.address != source) {
                send(peer.address, *ttl);
            }
        }
    }
}

fn message(settings: &Settings, moment: Moment, addresses: &[IpAddr], source: IpAddr, destination: IpAddr) -> Vec<u8> {
    let (vrid, priority) = (settings.vrid, moment.priority);
    match settings.version {
        Version::V2 => {
            let password = match settings.auth {
                Auth::None | Auth::Unsupported(_) => None,
                Auth::Pass(password) => Some(password),
            };
            let interval = u8::try_from(settings.advert_interval.as_secs()).unwrap_or(u8::MAX);
            vrrp2::Repr { vrid, priority, interval, password, addresses }.emit()
        }
        Version::V3 => {
            let old = match settings.old_unicast_checksum {
                OldChecksum::Always => true,
                OldChecksum::Auto => moment.old_checksum,
                OldChecksum::Never => false,
            };
            let covered = match settings.family {
                Family::Inet if settings.v3_checksum_as_v2 => None,
                Family::Inet if old => Some((source, IpAddr::V4(GROUP_INET))),
                Family::Inet | Family::Inet6 => Some((source, destination)),
            };
            vrrp3::Repr { vrid, priority, interval: settings.advert_interval, addresses }.emit(covered)
        }
    }
}

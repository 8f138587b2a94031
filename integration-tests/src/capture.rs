//! What hosts send, as the switch receives it: adverts and announcements of addresses, each with its sender and time.
//!
//! One packet socket in the switch's namespace sees every port before bridging, so a host's frames are recorded even
//! when its cable is pulled on the switch's side. The times are the kernel's, not those of a reader that may be late.

pub mod packet;

use crate::clock;
use crate::netns::Netns;
use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvmsg, setsockopt,
    socket, sockopt,
};
use nix::sys::time::TimeSpec;
use packet::Packet;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// `PACKET_OUTGOING` of packet(7): what the switch sends to a port, which came in at another.
const OUTGOING: u8 = 4;
/// Room for the largest frame of a port.
const FRAME_MAX: usize = 2048;
/// Room for a burst of announcements while the reader waits for a processor, in bytes.
const BUFFER: usize = 8 << 20;
/// How often the reader looks whether it shall end, in microseconds.
const LOOK_EVERY_US: i64 = 50_000;

/// Something that a host sent.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The number of the switch's port, as [`Host::port_index`](crate::host::Host::port_index) says.
    pub port: u32,
    /// When it arrived, since 1970.
    pub at: Duration,
    /// What it says.
    pub packet: Packet,
}

/// A recording that goes on until it is dropped.
#[derive(Debug)]
pub struct Capture {
    frames: Arc<Mutex<Vec<Frame>>>,
    stop: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    /// Records all ports of a switch.
    pub(crate) fn start(switch: &Netns) -> Result<Self> {
        let socket = switch.within(open)??;
        let frames = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let (frames, stop) = (Arc::clone(&frames), Arc::clone(&stop));
            move || read(&socket, &frames, &stop)
        });
        Ok(Self { frames, stop, reader: Some(reader) })
    }

    /// Everything from one port so far.
    pub fn of(&self, port: u32) -> Vec<Frame> {
        self.find_all(|frame| frame.port == port)
    }

    /// The first frame that fits.
    pub fn find(&self, fits: impl Fn(&Frame) -> bool) -> Option<Frame> {
        self.with(|frames| frames.iter().find(|frame| fits(frame)).cloned())
    }

    /// The last frame that fits.
    pub fn find_last(&self, fits: impl Fn(&Frame) -> bool) -> Option<Frame> {
        self.with(|frames| frames.iter().rev().find(|frame| fits(frame)).cloned())
    }

    /// All frames that fit.
    pub fn find_all(&self, fits: impl Fn(&Frame) -> bool) -> Vec<Frame> {
        self.with(|frames| frames.iter().filter(|frame| fits(frame)).cloned().collect())
    }

    /// Forgets what was recorded.
    pub fn clear(&self) {
        self.with(Vec::clear);
    }

    fn with<T>(&self, look: impl FnOnce(&mut Vec<Frame>) -> T) -> T {
        look(&mut self.frames.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

fn open() -> Result<OwnedFd> {
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
        .context("a packet socket")?;
    // Root of a user namespace may not force it; the default then has to do.
    let _ = setsockopt(&socket, sockopt::RcvBufForce, &BUFFER);
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true).context("timestamps")?;
    let timeout = nix::sys::time::TimeVal::new(0, LOOK_EVERY_US);
    setsockopt(&socket, sockopt::ReceiveTimeout, &timeout).context("a timeout")?;
    Ok(socket)
}

fn read(socket: &OwnedFd, frames: &Mutex<Vec<Frame>>, stop: &AtomicBool) {
    let mut buffer = [0; FRAME_MAX];
    let mut control = nix::cmsg_space!(TimeSpec);
    while !stop.load(Ordering::Relaxed) {
        let received = {
            let mut parts = [IoSliceMut::new(&mut buffer)];
            let message = recvmsg::<LinkAddr>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty());
            message.map(|message| {
                let stamp = message.cmsgs().ok().and_then(|mut all| {
                    all.find_map(|one| match one {
                        ControlMessageOwned::ScmTimestampns(stamp) => Some(Duration::from(stamp)),
                        _ => None,
                    })
                });
                (message.bytes, message.address, stamp.unwrap_or_else(clock::since_epoch))
            })
        };
        match received {
            Ok((length, Some(from), at)) if from.pkttype() != OUTGOING => {
                let port = u32::try_from(from.ifindex()).unwrap_or(0);
                if let Some(packet) = buffer.get(..length).and_then(Packet::read) {
                    frames.lock().unwrap_or_else(PoisonError::into_inner).push(Frame { port, at, packet });
                }
            }
            Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(_) => return,
        }
    }
}

//! Moves bytes from socket to socket inside the kernel (`splice(2)`): through a pipe, without copying them to us.

use std::io;
use std::os::fd::OwnedFd;

use nix::fcntl::{FcntlArg, OFlag, SpliceFFlags, fcntl, splice};
use tokio::io::Interest;

use super::Stream;

/// A pipe and the bytes on their way through it.
#[derive(Debug)]
pub struct Pipe {
    out: OwnedFd,
    inward: OwnedFd,
    held: usize,
    size: usize,
}

impl Pipe {
    /// A new pipe with room for about `size` bytes; the system may give less, or none at all.
    pub fn open(size: usize) -> io::Result<Self> {
        let (out, inward) = nix::unistd::pipe2(OFlag::O_NONBLOCK | OFlag::O_CLOEXEC)?;
        let wanted = i32::try_from(size).unwrap_or(i32::MAX);
        // Refused where the user has too many pipes: what there is will do.
        let _ = fcntl(&inward, FcntlArg::F_SETPIPE_SZ(wanted));
        let size = usize::try_from(fcntl(&inward, FcntlArg::F_GETPIPE_SZ)?).unwrap_or(0);
        Ok(Self { out, inward, held: 0, size })
    }

    /// Bytes in the pipe.
    pub fn len(&self) -> usize {
        self.held
    }

    /// True without bytes.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Bytes it has room for. A pipe counts pages, so bytes that came in small pieces fill it sooner.
    pub fn size(&self) -> usize {
        self.size
    }

    /// Takes up to `most` bytes that a socket has received. To be called on an empty pipe only: a full one and a socket without
    /// bytes would look the same. Zero: the peer will send no more.
    pub fn fill(&mut self, from: &Stream, most: usize) -> io::Result<usize> {
        let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
        let taken = from.try_io(Interest::READABLE, |socket| {
            splice(socket, None, &self.inward, None, most.min(self.size), flags).map_err(io::Error::from)
        })?;
        self.held += taken;
        Ok(taken)
    }

    /// Gives a socket what it takes.
    pub fn drain(&mut self, to: &Stream) -> io::Result<usize> {
        let flags = SpliceFFlags::SPLICE_F_MOVE | SpliceFFlags::SPLICE_F_NONBLOCK;
        let taken = to.try_io(Interest::WRITABLE, |socket| {
            splice(&self.out, None, socket, None, self.held, flags).map_err(io::Error::from)
        })?;
        self.held = self.held.saturating_sub(taken);
        Ok(taken)
    }
}

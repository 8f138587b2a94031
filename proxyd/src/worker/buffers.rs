//! Memory for bytes in flight, lent by the worker.
//!
//! A [`Buffer`] without bytes owns no memory: it takes a block when something is read and gives it back when all of it
//! was passed on, so an idle connection costs none. Blocks come in two sizes, for heads and for bulk.

use std::cell::RefCell;

use crate::limits::{BUFFERS_KEPT, BULK_BUFFER_SIZE};

/// The blocks a worker keeps for re-use.
#[derive(Debug)]
pub struct Buffers {
    /// Bytes of a small block (`tune.bufsize`).
    size: usize,
    small: RefCell<Vec<Vec<u8>>>,
    large: RefCell<Vec<Vec<u8>>>,
}

impl Buffers {
    /// Blocks of `size` bytes, and of [`BULK_BUFFER_SIZE`].
    pub fn new(size: usize) -> Self {
        Self { size, small: RefCell::default(), large: RefCell::default() }
    }

    /// Bytes of a small block.
    pub fn size(&self) -> usize {
        self.size
    }

    fn take(&self, large: bool) -> Vec<u8> {
        let (kept, size) =
            if large { (&self.large, BULK_BUFFER_SIZE.max(self.size)) } else { (&self.small, self.size) };
        kept.borrow_mut().pop().unwrap_or_else(|| Vec::with_capacity(size))
    }

    fn give(&self, mut block: Vec<u8>) {
        block.clear();
        let kept = match block.capacity() {
            capacity if capacity >= BULK_BUFFER_SIZE.max(self.size) => &self.large,
            capacity if capacity >= self.size => &self.small,
            _ => return,
        };
        let mut kept = kept.borrow_mut();
        if kept.len() < BUFFERS_KEPT {
            kept.push(block);
        }
    }
}

/// Bytes between two sides of a connection.
#[derive(Debug, Default)]
pub struct Buffer {
    block: Vec<u8>,
    /// Bytes at the front that were passed on.
    start: usize,
}

impl Buffer {
    /// The bytes held.
    pub fn bytes(&self) -> &[u8] {
        &self.block[self.start..]
    }

    /// How many bytes are held.
    pub fn len(&self) -> usize {
        self.block.len() - self.start
    }

    /// True without bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Marks `count` bytes as passed on.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.block.len());
        if self.start == self.block.len() {
            self.block.clear();
            self.start = 0;
        }
    }

    /// Takes back what was appended behind the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        self.block.truncate(self.start + length);
        self.consume(0);
    }

    /// Where bytes are appended, with its memory. Append freely: it grows, but blocks that grew past their size are not kept.
    pub fn space(&mut self, buffers: &Buffers) -> &mut Vec<u8> {
        if self.block.capacity() == 0 {
            self.block = buffers.take(false);
        }
        &mut self.block
    }

    /// Where bytes are read into: at least one byte is free, unless the block is full (`None`). `large` asks for a bulk block
    /// where none is held yet.
    pub fn room(&mut self, buffers: &Buffers, large: bool) -> Option<&mut Vec<u8>> {
        if self.block.capacity() == 0 {
            self.block = buffers.take(large);
        } else if self.start > 0 && self.block.len() == self.block.capacity() {
            self.block.drain(..self.start);
            self.start = 0;
        }
        (self.block.len() < self.block.capacity()).then_some(&mut self.block)
    }

    /// Gives the memory back where no byte is held. Mostly there is nothing to give, which the caller finds out by itself.
    #[inline]
    pub fn release(&mut self, buffers: &Buffers) {
        if self.block.capacity() > 0 && self.is_empty() {
            self.give_back(buffers);
        }
    }

    fn give_back(&mut self, buffers: &Buffers) {
        buffers.give(std::mem::take(&mut self.block));
        self.start = 0;
    }

    /// Gives bytes and memory back.
    #[inline]
    pub fn discard(&mut self, buffers: &Buffers) {
        if self.block.capacity() > 0 {
            self.give_back(buffers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_held_only_with_bytes() {
        let buffers = Buffers::new(16);
        let mut buffer = Buffer::default();
        buffer.space(&buffers).extend_from_slice(b"0123456789abcdef");
        assert!(buffer.room(&buffers, false).is_none());
        buffer.consume(4);
        assert_eq!(buffer.bytes(), b"456789abcdef");
        assert_eq!(buffer.room(&buffers, false).unwrap().len(), 12);
        buffer.consume(11);
        buffer.release(&buffers);
        assert_eq!(buffer.bytes(), b"f");
        buffer.consume(1);
        buffer.release(&buffers);
        assert_eq!(buffers.small.borrow().len(), 1);
        assert!(buffer.room(&buffers, true).unwrap().capacity() >= BULK_BUFFER_SIZE);
        buffer.discard(&buffers);
        assert_eq!(buffers.large.borrow().len(), 1);
    }
}

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
    /// Bytes of a large one.
    bulk: usize,
    small: Kept,
    large: Kept,
}

/// Blocks without bytes, the last used one first.
type Kept = RefCell<Vec<Box<Block>>>;

/// Memory, and the bytes in it that were not passed on yet.
#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    /// Bytes at the front that were passed on.
    start: usize,
}

impl Block {
    fn clear(&mut self) {
        self.bytes.clear();
        self.start = 0;
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.start
    }
}

impl Buffers {
    /// Blocks of `size` bytes, and of [`BULK_BUFFER_SIZE`].
    pub fn new(size: usize) -> Self {
        Self { size, bulk: BULK_BUFFER_SIZE.max(size), small: RefCell::default(), large: RefCell::default() }
    }

    /// Bytes of a small block.
    pub fn size(&self) -> usize {
        self.size
    }

    #[expect(clippy::unnecessary_box_returns, reason = "the box is what is kept")]
    fn take(&self, large: bool) -> Box<Block> {
        let (kept, size) = if large { (&self.large, self.bulk) } else { (&self.small, self.size) };
        kept.borrow_mut().pop().unwrap_or_else(|| Box::new(Block { bytes: Vec::with_capacity(size), start: 0 }))
    }

    fn give(&self, mut block: Box<Block>) {
        block.clear();
        let kept = match block.bytes.capacity() {
            capacity if capacity >= self.bulk => &self.large,
            capacity if capacity >= self.size => &self.small,
            _ => return,
        };
        let mut kept = kept.borrow_mut();
        if kept.len() < BUFFERS_KEPT {
            kept.push(block);
        }
    }
}

/// Bytes between two sides of a connection. It is one pointer, because most connections hold none most of the time.
#[derive(Debug, Default)]
pub struct Buffer {
    block: Option<Box<Block>>,
}

impl Buffer {
    /// The bytes held.
    pub fn bytes(&self) -> &[u8] {
        self.block.as_ref().map_or(&[], |block| &block.bytes[block.start..])
    }

    /// How many bytes are held.
    pub fn len(&self) -> usize {
        self.block.as_ref().map_or(0, |block| block.len())
    }

    /// True without bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Marks `count` bytes as passed on.
    pub fn consume(&mut self, count: usize) {
        let Some(block) = &mut self.block else { return };
        block.start = (block.start + count).min(block.bytes.len());
        if block.len() == 0 {
            block.clear();
        }
    }

    /// Takes back what was appended behind the first `length` bytes.
    pub fn truncate(&mut self, length: usize) {
        if let Some(block) = &mut self.block {
            block.bytes.truncate(block.start + length);
        }
        self.consume(0);
    }

    /// Puts bytes before those that are held.
    pub fn put_back(&mut self, bytes: &[u8], buffers: &Buffers) {
        let block = self.block.get_or_insert_with(|| buffers.take(false));
        block.bytes.splice(block.start..block.start, bytes.iter().copied());
    }

    /// `before` and then the first `count` bytes held as one piece, where there is room for the former in front of the latter. What
    /// is held stays the same.
    pub fn behind(&mut self, before: &[u8], count: usize) -> Option<&[u8]> {
        let block = self.block.as_mut()?;
        let from = block.start.checked_sub(before.len())?;
        block.bytes.get_mut(from..block.start)?.copy_from_slice(before);
        block.bytes.get(from..block.start + count)
    }

    /// Where bytes are appended, with its memory. Append freely: it grows, but blocks that grew past their size are not kept.
    pub fn space(&mut self, buffers: &Buffers) -> &mut Vec<u8> {
        &mut self.block.get_or_insert_with(|| buffers.take(false)).bytes
    }

    /// Where bytes are read into: at least one byte is free, unless the block is full (`None`). `large` asks for a bulk block
    /// where none is held yet.
    pub fn room(&mut self, buffers: &Buffers, large: bool) -> Option<&mut Vec<u8>> {
        let block = self.block.get_or_insert_with(|| buffers.take(large));
        if block.start > 0 && block.bytes.len() == block.bytes.capacity() {
            block.bytes.drain(..block.start);
            block.start = 0;
        }
        (block.bytes.len() < block.bytes.capacity()).then_some(&mut block.bytes)
    }

    /// Gives the memory back where no byte is held. Mostly there is nothing to give, which the caller finds out by itself.
    #[inline]
    pub fn release(&mut self, buffers: &Buffers) {
        if let Some(block) = self.block.take_if(|block| block.len() == 0) {
            buffers.give(block);
        }
    }

    /// Gives bytes and memory back.
    #[inline]
    pub fn discard(&mut self, buffers: &Buffers) {
        if let Some(block) = self.block.take() {
            buffers.give(block);
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
        buffer.put_back(b"de", &buffers);
        buffer.consume(1);
        buffer.put_back(b"abcd", &buffers);
        assert_eq!(buffer.bytes(), b"abcdef");
        buffer.consume(6);
        buffer.release(&buffers);
        assert_eq!(buffers.small.borrow().len(), 1);
        assert!(buffer.room(&buffers, true).unwrap().capacity() >= BULK_BUFFER_SIZE);
        buffer.discard(&buffers);
        assert_eq!(buffers.large.borrow().len(), 1);
    }
    #[test]
    fn a_head_is_put_in_front_of_a_body_where_there_was_a_longer_one() {
        let buffers = Buffers::new(16);
        let mut buffer = Buffer::default();
        assert_eq!(buffer.behind(b"", 0), None);
        buffer.space(&buffers).extend_from_slice(b"headbody");
        buffer.consume(4);
        assert_eq!(buffer.behind(b"head!", 2), None);
        assert_eq!(buffer.behind(b"HEAD", 4), Some(&b"HEADbody"[..]));
        assert_eq!(buffer.behind(b"==", 2), Some(&b"==bo"[..]));
        assert_eq!(buffer.behind(b"==", 5), None);
        assert_eq!(buffer.bytes(), b"body");
    }
}

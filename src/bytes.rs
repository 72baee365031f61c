//! Bounded little-endian reading of bytes that somebody else chose.
//!
//! What it gives: [`Bytes`], a view that can be shortened, split and read, and
//! that has no method that panics: no `Index`, no slicing by range. Every
//! read is an `Option`; an offset past the end, or an overflow on the way to
//! it, is `None`. What it trusts: nothing. Matches the layout rules of
//! elf(5) for ELFDATA2LSB.

/// A view of untrusted bytes. Copying it copies the reference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    /// Wraps a slice.
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True when nothing is left.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes themselves, for hashing and copying.
    pub fn as_slice(&self) -> &'a [u8] {
        self.0
    }

    /// `length` bytes from `offset`, or `None` when they are not all there.
    pub fn range(&self, offset: usize, length: usize) -> Option<Bytes<'a>> {
        let end = offset.checked_add(length)?;
        self.0.get(offset..end).map(Bytes)
    }

    /// Everything from `offset` on.
    pub fn tail(&self, offset: usize) -> Option<Bytes<'a>> {
        self.0.get(offset..).map(Bytes)
    }

    /// Takes `length` bytes off the front.
    pub fn take(&mut self, length: usize) -> Option<Bytes<'a>> {
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(Bytes(head))
    }

    /// Takes the bytes up to a NUL, and the NUL; `None` without one.
    pub fn take_cstr(&mut self) -> Option<Bytes<'a>> {
        let length = self.0.iter().position(|&b| b == 0)?;
        let text = self.take(length)?;
        self.take(1)?;
        Some(text)
    }

    /// The bytes before the first NUL, or all of them.
    pub fn until_nul(&self) -> Bytes<'a> {
        let length = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        Bytes(self.0.get(..length).unwrap_or(self.0))
    }

    fn array<const N: usize>(&self, offset: usize) -> Option<[u8; N]> {
        self.range(offset, N)?.0.try_into().ok()
    }

    /// One byte at `offset`.
    pub fn u8(&self, offset: usize) -> Option<u8> {
        self.array::<1>(offset).map(|[b]| b)
    }

    /// Two bytes at `offset`.
    pub fn u16(&self, offset: usize) -> Option<u16> {
        self.array(offset).map(u16::from_le_bytes)
    }

    /// Four bytes at `offset`.
    pub fn u32(&self, offset: usize) -> Option<u32> {
        self.array(offset).map(u32::from_le_bytes)
    }

    /// Four bytes at `offset`, signed.
    pub fn i32(&self, offset: usize) -> Option<i32> {
        self.array(offset).map(i32::from_le_bytes)
    }

    /// Eight bytes at `offset`.
    pub fn u64(&self, offset: usize) -> Option<u64> {
        self.array(offset).map(u64::from_le_bytes)
    }

    /// Takes one byte off the front.
    pub fn take_u8(&mut self) -> Option<u8> {
        self.take(1)?.u8(0)
    }

    /// Takes two bytes off the front.
    pub fn take_u16(&mut self) -> Option<u16> {
        self.take(2)?.u16(0)
    }

    /// Takes four bytes off the front.
    pub fn take_u32(&mut self) -> Option<u32> {
        self.take(4)?.u32(0)
    }

    /// Takes eight bytes off the front.
    pub fn take_u64(&mut self) -> Option<u64> {
        self.take(8)?.u64(0)
    }

    /// Takes an unsigned LEB128 off the front; more than ten bytes is `None`.
    pub fn take_uleb128(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for group in 0..10u32 {
            let byte = self.take_u8()?;
            let shift = group.checked_mul(7)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits.checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_past_the_end_is_none_and_not_a_panic() {
        let bytes = Bytes::new(&[1, 2, 3, 4]);
        assert_eq!(bytes.u32(0), Some(0x0403_0201));
        assert_eq!(bytes.u32(1), None);
        assert_eq!(bytes.u64(usize::MAX), None);
        assert_eq!(bytes.range(2, usize::MAX), None);
        assert_eq!(bytes.tail(5), None);
    }

    #[test]
    fn leb128_stops_at_ten_bytes() {
        assert_eq!(Bytes::new(&[0xe5, 0x8e, 0x26]).take_uleb128(), Some(624_485));
        assert_eq!(Bytes::new(&[0x80; 32]).take_uleb128(), None);
        assert_eq!(Bytes::new(&[0x80]).take_uleb128(), None);
    }

    #[test]
    fn a_string_without_its_nul_is_not_a_string() {
        let mut bytes = Bytes::new(b"abc");
        assert_eq!(bytes.take_cstr(), None);
        assert_eq!(bytes.until_nul().as_slice(), b"abc");
        let mut bytes = Bytes::new(b"abc\0d");
        assert_eq!(bytes.take_cstr().map(|b| b.as_slice()), Some(&b"abc"[..]));
        assert_eq!(bytes.len(), 1);
    }
}

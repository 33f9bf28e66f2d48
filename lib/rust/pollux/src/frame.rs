// SPDX-License-Identifier: BSD-3-Clause
use crate::{guard, Pool};
use pollux_sys as sys;
use std::ops::{Deref, DerefMut};
use std::ptr::null_mut;

/// A frame. It reads as the bytes of its first buffer, which is the whole of most frames. It may outlive its port and
/// pool. Dropped, it is freed as one that the program has consumed, and no counter counts it.
///
/// Bytes that another frame shares ([`Frame::try_clone`], or a port that passes clones on) must not be written:
/// [`Frame::try_mut`] is `None` then, and `DerefMut` panics.
#[repr(transparent)]
pub struct Frame {
    raw: sys::pollux_frame,
}

// SAFETY: frames may move between threads; what `&self` does only reads, and shared bytes are never written.
unsafe impl Send for Frame {}
unsafe impl Sync for Frame {}

/// What is there before the library writes a frame to it.
pub(crate) const EMPTY: sys::pollux_frame = sys::pollux_frame {
    data: null_mut(),
    handle: null_mut(),
    length: 0,
    reserved: 0,
    flags: 0,
    headroom: 0,
    origin: 0,
    capacity: 0,
    unused: 0,
};

impl Frame {
    /// # Safety
    /// `raw` is a frame that nobody else owns.
    pub(crate) unsafe fn own(raw: sys::pollux_frame) -> Frame {
        Frame { raw }
    }
    /// The caller frees it.
    pub(crate) fn release(self) -> sys::pollux_frame {
        std::mem::ManuallyDrop::new(self).raw
    }

    /// The bytes of the first buffer, to write; `None` if another frame shares them.
    #[inline]
    pub fn try_mut(&mut self) -> Option<&mut [u8]> {
        if self.raw.flags & SHARED != 0 {
            return None;
        }
        if guard::is_forked() {
            return Some(&mut []);
        }
        // SAFETY: the buffer is this frame's alone, and has that many bytes.
        Some(unsafe { std::slice::from_raw_parts_mut(self.raw.data, usize::from(self.raw.length)) })
    }
    /// Bytes of the whole frame, all of its buffers together.
    pub fn bytes(&self) -> usize {
        if guard::is_forked() {
            return 0;
        }
        // SAFETY: the frame is owned.
        unsafe { sys::pollux_frame_bytes(&self.raw) as usize }
    }
    /// The buffers of the frame, in order.
    pub fn buffers(&self) -> Buffers<'_> {
        Buffers {
            next: (!guard::is_forked()).then_some(self.raw),
            frame: std::marker::PhantomData,
        }
    }
    /// Copies bytes of the frame from `offset` on, and returns how many.
    pub fn copy_to(&self, offset: usize, to: &mut [u8]) -> usize {
        if guard::is_forked() {
            return 0;
        }
        // SAFETY: the frame is owned, and `to` has that many bytes.
        unsafe { sys::pollux_frame_copy(&self.raw, offset, to.as_mut_ptr().cast(), to.len()) }
    }
    /// Bytes that [`Frame::prepend`] can use.
    pub fn headroom(&self) -> usize {
        if self.raw.flags & SHARED != 0 {
            return 0;
        }
        usize::from(self.raw.headroom)
    }

    /// Grows the frame at its end and returns the new bytes, which are left over from earlier use. `None`, with nothing
    /// changed: there is no room, or others share the bytes.
    pub fn append(&mut self, bytes: u32) -> Option<&mut [u8]> {
        self.grow(bytes, sys::pollux_frame_append)
    }
    /// The same at its front.
    pub fn prepend(&mut self, bytes: u32) -> Option<&mut [u8]> {
        self.grow(bytes, sys::pollux_frame_prepend)
    }
    /// Removes bytes of the first buffer's front. False, with nothing changed: it has fewer.
    #[must_use]
    pub fn strip(&mut self, bytes: u32) -> bool {
        // SAFETY: the frame is owned.
        !guard::is_forked() && unsafe { sys::pollux_frame_strip(&mut self.raw, bytes) }
    }
    /// Removes bytes of the last buffer's end. False, with nothing changed: it has fewer.
    #[must_use]
    pub fn trim(&mut self, bytes: u32) -> bool {
        // SAFETY: the frame is owned.
        !guard::is_forked() && unsafe { sys::pollux_frame_trim(&mut self.raw, bytes) }
    }
    /// Appends the buffers of `more` to those of the frame, or returns `more`: together they would have more than 255.
    pub fn chain(&mut self, more: Frame) -> Result<(), Frame> {
        // SAFETY: both frames are owned, and what is chained is forgotten.
        if guard::is_forked() || !unsafe { sys::pollux_frame_chain(&mut self.raw, &more.raw) } {
            return Err(more);
        }
        more.release();
        Ok(())
    }
    /// A second frame with the same bytes, to send it twice; neither may be written any more. Its header is from `pool`.
    /// `None`: the pool is exhausted, or of another Context.
    pub fn try_clone(&mut self, pool: &mut Pool) -> Option<Frame> {
        if guard::is_forked() {
            return None;
        }
        let mut clone = EMPTY;
        // SAFETY: the frame is owned, and the pool open.
        unsafe { sys::pollux_frame_clone(&mut self.raw, pool.raw(), &mut clone).then(|| Frame::own(clone)) }
    }

    pub(crate) fn raw_mut(&mut self) -> &mut sys::pollux_frame {
        &mut self.raw
    }
    pub(crate) fn raw(&self) -> &sys::pollux_frame {
        &self.raw
    }

    fn grow(
        &mut self,
        bytes: u32,
        by: unsafe extern "C" fn(*mut sys::pollux_frame, u32) -> *mut u8,
    ) -> Option<&mut [u8]> {
        if guard::is_forked() {
            return None;
        }
        // SAFETY: the frame is owned, and what is returned are new bytes of it that nobody shares.
        unsafe {
            let start = by(&mut self.raw, bytes);
            (!start.is_null()).then(|| std::slice::from_raw_parts_mut(start, bytes as usize))
        }
    }
}

/// The original of a clone has the one bit, the clone the other.
pub(crate) const SHARED: u8 = sys::POLLUX_FRAME_SHARED as u8;

impl Deref for Frame {
    type Target = [u8];
    #[inline]
    fn deref(&self) -> &[u8] {
        if guard::is_forked() {
            return &[];
        }
        // SAFETY: the buffer has that many bytes, which nobody writes while the frame is borrowed.
        unsafe { std::slice::from_raw_parts(self.raw.data, usize::from(self.raw.length)) }
    }
}

impl DerefMut for Frame {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        match self.try_mut() {
            Some(bytes) => bytes,
            None => shared(),
        }
    }
}

#[cold]
pub(crate) fn shared() -> ! {
    panic!("another frame shares these bytes: Frame::try_mut tells");
}

impl Drop for Frame {
    fn drop(&mut self) {
        if !guard::is_forked() {
            // SAFETY: the frame is owned, and not used after this.
            unsafe { sys::pollux_free(null_mut(), &mut self.raw, 1) };
        }
    }
}

impl std::fmt::Debug for Frame {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Frame({} bytes)", self.bytes())
    }
}

/// The buffers of a frame: [`Frame::buffers`].
pub struct Buffers<'a> {
    next: Option<sys::pollux_frame>,
    frame: std::marker::PhantomData<&'a Frame>,
}

impl<'a> Iterator for Buffers<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        let current = self.next?;
        // SAFETY: the frame is borrowed, and owns all of its buffers.
        unsafe {
            let mut next = EMPTY;
            self.next = sys::pollux_frame_next(&current, &mut next).then_some(next);
            Some(std::slice::from_raw_parts(current.data, usize::from(current.length)))
        }
    }
}

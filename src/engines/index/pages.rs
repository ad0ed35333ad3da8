//! Memory for a large table that is read all over: it starts at a page, so no row lies in more cache lines than it must, and
//! the system is asked for huge pages, of which the processor knows enough addresses.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// Bytes of one table, all 0 at first.
#[derive(Debug)]
pub(super) struct Pages(MmapMut);

impl Pages {
    /// A table of these numbers; `None` when there are none, or the system has no memory for them.
    pub(super) fn of(numbers: &[f32]) -> Option<Self> {
        if numbers.is_empty() {
            return None;
        }
        let mut pages = Self::zeroed(size_of_val(numbers))?;
        let bytes: &[i8] = bytemuck::cast_slice(numbers);
        pages.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(pages)
    }

    /// The bytes as numbers.
    #[inline(always)]
    pub(super) fn numbers(&self) -> &[f32] {
        bytemuck::cast_slice(&self.0)
    }

    /// `None` when the system has no memory for them.
    pub(super) fn zeroed(bytes: usize) -> Option<Self> {
        // Nothing cannot be mapped.
        let map = MmapMut::map_anon(bytes.max(1)).ok()?;
        // A wish: a system without huge pages serves small ones.
        #[cfg(target_os = "linux")]
        drop(map.advise(memmap2::Advice::HugePage));
        Some(Self(map))
    }
}

impl Deref for Pages {
    type Target = [i8];

    #[inline(always)]
    fn deref(&self) -> &[i8] {
        bytemuck::cast_slice(&self.0)
    }
}

impl DerefMut for Pages {
    fn deref_mut(&mut self) -> &mut [i8] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

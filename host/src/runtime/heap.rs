//! What compiling leaves on the heap.

/// Gives free memory back to the operating system. Compiling a guest takes some 30 MB for half a second, and glibc would
/// keep them for ever, as holes between what stays.
pub(super) fn release() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[expect(
        unsafe_code,
        reason = "there is no safe wrapper; it takes no pointer, and glibc locks what it touches (malloc_trim(3): MT-Safe)"
    )]
    // SAFETY: a foreign function without preconditions.
    unsafe {
        libc::malloc_trim(0);
    }
}

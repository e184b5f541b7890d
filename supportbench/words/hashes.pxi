# Sets of words, and of pairs of words, by their hashes.

cdef inline uint64_t pair(uint64_t first, uint64_t second) noexcept nogil:
    cdef uint64_t mixed = (first ^ (first >> 31)) * 0x9E3779B97F4A7C15ULL + second * 0xC2B2AE3D27D4EB4FULL
    return mixed ^ (mixed >> 29)


@cython.final
cdef class Hashes:
    """A set of 64-bit hashes, which knows beforehand how many there will be at most."""

    cdef uint64_t *places
    cdef size_t mask
    cdef readonly Py_ssize_t number

    def __cinit__(self, Py_ssize_t most):
        cdef size_t size = 8
        if most < 0:
            raise ValueError("a set has no fewer than no members")
        while size < 2 * <size_t>most:
            size *= 2
        self.places = <uint64_t *>PyMem_Calloc(size, sizeof(uint64_t))
        if self.places == NULL:
            raise MemoryError
        self.mask = size - 1

    def __dealloc__(self):
        PyMem_Free(self.places)

    cdef inline bint has(self, uint64_t value) noexcept nogil:
        value |= value == 0  # 0 marks a free place
        cdef size_t place = value & self.mask
        while self.places[place] != value:
            if self.places[place] == 0:
                return False
            place = (place + 1) & self.mask
        return True

    cdef inline void add(self, uint64_t value) noexcept nogil:
        value |= value == 0
        cdef size_t place = value & self.mask
        while self.places[place] != value:
            if self.places[place] == 0:
                self.places[place] = value
                self.number += 1
                return
            place = (place + 1) & self.mask

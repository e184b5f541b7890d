# Reading a text as words.

@cython.final
cdef class Words:
    cdef readonly str folded
    cdef readonly Py_ssize_t number
    cdef list cut
    cdef Py_ssize_t room
    cdef uint64_t *hashes
    cdef uint8_t *spelt     # whether it has letters alone

    def __dealloc__(self):
        PyMem_Free(self.hashes)
        PyMem_Free(self.spelt)

    @property
    def stems(self):
        if self.cut is None:
            self.cut = self.folded.split()
        return self.cut

    cdef inline int add(self, uint64_t word, bint spelt) except -1:
        if self.number == self.room:
            self.grow()
        self.hashes[self.number] = word
        self.spelt[self.number] = spelt
        self.number += 1
        return 0

    cdef int grow(self) except -1:
        cdef Py_ssize_t room = max(32, 2 * self.room)
        cdef void *hashes = PyMem_Realloc(self.hashes, room * sizeof(uint64_t))
        if hashes == NULL:
            raise MemoryError
        self.hashes = <uint64_t *>hashes
        cdef void *spelt = PyMem_Realloc(self.spelt, room)
        if spelt == NULL:
            raise MemoryError
        self.spelt = <uint8_t *>spelt
        self.room = room
        return 0


cdef struct Known:
    uint64_t run    # the hash of its bytes
    uint64_t word
    uint32_t place  # where the run stands in `spelling`, and behind it its stem
    uint8_t size    # of the run; 0 marks a free place
    uint8_t width   # of the stem
    uint8_t spelt


cdef struct Output:
    char *chars
    size_t size
    size_t room


cdef inline int put(Output *out, const char *chars, size_t size) except -1:
    """Write a blank, and the characters behind it."""
    cdef void *more
    if out.size + size + 2 > out.room:
        more = PyMem_Realloc(out.chars, 2 * (out.size + size + 2))
        if more == NULL:
            raise MemoryError
        out.chars = <char *>more
        out.room = 2 * (out.size + size + 2)
    out.chars[out.size] = b" "
    memcpy(out.chars + out.size + 1, chars, size)
    out.size += size + 1
    return 0


cdef inline bint is_blank(char byte) noexcept nogil:
    return byte == 32 or 9 <= byte <= 13


@cython.final
cdef class Reader:
    cdef object stems_of
    cdef dict several       # the stems of runs that are not one word
    cdef bytes lower
    cdef Known *known
    cdef size_t mask, number
    cdef Output spelling

    def __cinit__(self, stems_of, bytes lower not None):
        if len(lower) != 256:
            raise ValueError("the table has no entry for each byte")
        self.stems_of = stems_of
        self.several = {}
        self.lower = lower
        self.make_room(1 << 10)

    def __dealloc__(self):
        PyMem_Free(self.known)
        PyMem_Free(self.spelling.chars)

    def read(self, text):
        if not isinstance(text, str):
            raise TypeError(f"a text is a str, not {type(text).__name__}")
        return self.words_of(text if type(text) is str else str.__str__(text))

    cdef Words words_of(self, str text):
        cdef Py_ssize_t size, place
        cdef const char *chars
        cdef bytes encoded
        if PyUnicode_IS_ASCII(text):
            chars = PyUnicode_AsUTF8AndSize(text, &size)
        else:
            encoded = text.encode("utf-8", "surrogatepass")
            chars, size = encoded, len(encoded)
        cdef Words words = Words.__new__(Words)
        cdef const char *lower = self.lower
        cdef char *lowered = <char *>PyMem_Malloc(size + 1)
        cdef Output out = [NULL, 0, 0]
        if lowered == NULL:
            raise MemoryError
        try:
            for place in range(size):
                lowered[place] = lower[<uint8_t>chars[place]]
            lowered[size] = b" "
            self.read_runs(lowered, size, words, &out)
            put(&out, b"", 0)
            words.folded = PyUnicode_DecodeUTF8(out.chars, out.size, NULL)
        finally:
            PyMem_Free(lowered)
            PyMem_Free(out.chars)
        return words

    cdef int read_runs(self, const char *here, Py_ssize_t size, Words words, Output *out) except -1:
        cdef const char *end = here + size
        cdef const char *begin
        cdef uint64_t run
        cdef Known *known
        while True:
            while here < end and is_blank(here[0]):
                here += 1
            if here == end:
                return 0
            begin = here
            while not is_blank(here[0]):  # a blank stands at the end
                here += 1
            run = <uint64_t>Py_HashBuffer(begin, here - begin)
            known = self.place_of(begin, here - begin, run)
            if known.size:
                words.add(known.word, known.spelt)
                put(out, self.spelling.chars + known.place + known.size + 1, known.width)
            else:
                self.learn(begin, here - begin, run, words, out)

    cdef inline Known *place_of(self, const char *chars, size_t size, uint64_t run) noexcept nogil:
        cdef size_t place = run & self.mask
        cdef Known *known = &self.known[place]
        while known.size and not (
            known.run == run and known.size == size and memcmp(self.spelling.chars + known.place, chars, size) == 0
        ):
            place = (place + 1) & self.mask
            known = &self.known[place]
        return known

    cdef int learn(self, const char *chars, size_t size, uint64_t run, Words words, Output *out) except -1:
        """Read a run that is not known as a word, and keep what may well come again."""
        cdef bytes written = chars[:size]
        cdef list stems = self.several.get(written)
        cdef bint met = stems is not None
        cdef Py_ssize_t width = 0
        cdef const char *stem = NULL
        cdef str word
        if not met:
            stems = self.stems_of(written)
        for word in stems:
            stem = PyUnicode_AsUTF8AndSize(word, &width)
            words.add(<uint64_t>hash(word), word.isalpha())
            put(out, stem, width)
        if met or size > LONGEST_RUN:
            return 0
        if len(stems) != 1:
            if len(self.several) == MOST_SEVERAL:
                self.several.clear()
            self.several[written] = stems
        elif width <= 255 and (width <= LONGEST_NUMBER or not word.isdigit()):
            self.keep(chars, size, run, word, stem, width)
        return 0

    cdef int keep(
        self, const char *chars, size_t size, uint64_t run, str word, const char *stem, Py_ssize_t width
    ) except -1:
        cdef uint64_t value = <uint64_t>hash(word)
        cdef bint spelt = word.isalpha()
        if self.number == MOST_RUNS:
            memset(self.known, 0, (self.mask + 1) * sizeof(Known))
            self.number = self.spelling.size = 0
        elif 2 * self.number > self.mask:
            self.make_room(2 * (self.mask + 1))
        cdef Known *known = self.place_of(chars, size, run)
        if known.size:  # somebody else learnt it, while Python read it
            return 0
        cdef size_t place = self.spelling.size + 1
        put(&self.spelling, chars, size)
        put(&self.spelling, stem, width)
        known.run, known.word, known.place = run, value, place
        known.size, known.width, known.spelt = size, width, spelt
        self.number += 1
        return 0

    cdef int make_room(self, size_t size) except -1:
        cdef Known *before = self.known
        cdef size_t place, last = self.mask
        cdef Known *known = <Known *>PyMem_Calloc(size, sizeof(Known))
        if known == NULL:
            raise MemoryError
        self.known, self.mask = known, size - 1
        if before != NULL:
            for place in range(last + 1):
                if before[place].size:
                    known = self.place_of(
                        self.spelling.chars + before[place].place, before[place].size, before[place].run
                    )
                    known[0] = before[place]
            PyMem_Free(before)
        return 0

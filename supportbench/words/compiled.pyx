# cython: language_level=3
"""A text as its words, and what is measured of them: the same as `plain.py`, which has the docstrings, compiled.

A word is told by its hash: Python's own of its stem, which has 64 bits, and a key that nobody knows.
"""

cimport cython
from cpython.mem cimport PyMem_Free, PyMem_Malloc, PyMem_Realloc
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport int8_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

cdef extern from "Python.h":
    bint PyUnicode_IS_ASCII(str text)
    const char *PyUnicode_AsUTF8AndSize(str text, Py_ssize_t *size) except NULL

cdef extern from *:
    """
    #ifndef SOURCE
    #define SOURCE ""
    #endif
    #if PY_VERSION_HEX < 0x030E0000
    #define Py_HashBuffer _Py_HashBytes
    #endif
    """
    const char *SOURCE
    Py_hash_t Py_HashBuffer(const void *chars, Py_ssize_t size) noexcept nogil

MADE_OF = SOURCE.decode()
"""The SHA-256 hash of the file that this was compiled from."""

cdef enum:
    MOST_RUNS = 1 << 16     # kept; then all are forgotten
    LONGEST_RUN = 40        # of those that are kept
    LONGEST_NUMBER = 3      # of the numbers that are kept: they are many
    LONG_LIST = 15
    LEAST_PASSAGE = 5
    PASSAGES = 12           # words of all passages: fewer are none


# --- hash tables of words, and of pairs of words

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
        while size < 2 * <size_t>most:
            size *= 2
        self.places = <uint64_t *>PyMem_Malloc(size * sizeof(uint64_t))
        if self.places == NULL:
            raise MemoryError
        memset(self.places, 0, size * sizeof(uint64_t))
        self.mask = size - 1

    def __dealloc__(self):
        PyMem_Free(self.places)

    cdef inline bint has(self, uint64_t value) noexcept nogil:
        cdef size_t place = value & self.mask
        value |= value == 0  # 0 marks a free place
        while self.places[place] != value:
            if self.places[place] == 0:
                return False
            place = (place + 1) & self.mask
        return True

    cdef inline void add(self, uint64_t value) noexcept nogil:
        cdef size_t place = value & self.mask
        value |= value == 0
        while self.places[place] != value:
            if self.places[place] == 0:
                self.places[place] = value
                self.number += 1
                return
            place = (place + 1) & self.mask


# --- reading a text as words

@cython.final
cdef class Words:
    cdef readonly str folded
    cdef readonly Py_ssize_t number
    cdef Py_ssize_t room
    cdef uint64_t *hashes
    cdef uint8_t *spelt     # whether it has letters alone

    def __dealloc__(self):
        PyMem_Free(self.hashes)
        PyMem_Free(self.spelt)

    @property
    def stems(self):
        return self.folded.split()

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
    cdef bytes lower
    cdef Known *known
    cdef size_t mask, number
    cdef Output spelling

    def __cinit__(self, stems_of, bytes lower not None):
        if len(lower) != 256:
            raise ValueError("the table has no entry for each byte")
        self.stems_of = stems_of
        self.lower = lower
        self.make_room(1 << 10)

    def __dealloc__(self):
        PyMem_Free(self.known)
        PyMem_Free(self.spelling.chars)

    def read(self, str text not None):
        cdef Py_ssize_t size, place
        cdef const char *chars
        cdef bytes encoded
        if PyUnicode_IS_ASCII(text):
            chars = PyUnicode_AsUTF8AndSize(text, &size)
        else:
            encoded = text.encode("utf-8", "surrogatepass")
            chars, size = encoded, len(encoded)
        cdef const char *lower = self.lower
        cdef char *lowered = <char *>PyMem_Malloc(size + 1)
        cdef Output out = [NULL, 0, 0]
        cdef Words words = Words.__new__(Words)
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
        """Have a run read that is not known, and keep it if it is a word that may well come again."""
        cdef list stems = self.stems_of(chars[:size])
        cdef Py_ssize_t width = 0
        cdef const char *stem = NULL
        cdef str word
        for word in stems:
            stem = PyUnicode_AsUTF8AndSize(word, &width)
            words.add(<uint64_t>hash(word), word.isalpha())
            put(out, stem, width)
        if len(stems) != 1 or size > LONGEST_RUN or width > 255 or (width > LONGEST_NUMBER and word.isdigit()):
            return 0
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
        known.run, known.word, known.place = run, <uint64_t>hash(word), place
        known.size, known.width, known.spelt = size, width, word.isalpha()
        self.number += 1
        return 0

    cdef int make_room(self, size_t size) except -1:
        cdef Known *before = self.known
        cdef size_t place, last = self.mask
        cdef Known *known = <Known *>PyMem_Malloc(size * sizeof(Known))
        if known == NULL:
            raise MemoryError
        memset(known, 0, size * sizeof(Known))
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


# --- measuring it

cdef struct Class:
    uint64_t word
    uint8_t kind


@cython.final
cdef class English:
    cdef Class *classes
    cdef size_t mask
    cdef int8_t *half_bits
    cdef Py_ssize_t number

    def __cinit__(self, dict classes not None, list half_bits not None):
        cdef size_t place, size = 64
        cdef Py_ssize_t row, column
        while size < 4 * <size_t>len(classes):
            size *= 2
        self.mask = size - 1
        self.number = len(half_bits)
        self.classes = <Class *>PyMem_Malloc(size * sizeof(Class))
        self.half_bits = <int8_t *>PyMem_Malloc(self.number * self.number)
        if self.classes == NULL or self.half_bits == NULL:
            raise MemoryError
        memset(self.classes, 0, size * sizeof(Class))
        for row in range(self.number):
            for column in range(self.number):
                self.half_bits[row * self.number + column] = half_bits[row][column]
        for word, kind in classes.items():
            if not 0 < kind < self.number:
                raise ValueError(f"no class has the number {kind}")
            place = <uint64_t>hash(word) & self.mask
            while self.classes[place].kind:
                place = (place + 1) & self.mask
            self.classes[place] = [<uint64_t>hash(word), kind]

    def __dealloc__(self):
        PyMem_Free(self.classes)
        PyMem_Free(self.half_bits)

    cdef inline uint8_t class_of(self, uint64_t word) noexcept nogil:
        cdef size_t place = word & self.mask
        while self.classes[place].kind and self.classes[place].word != word:
            place = (place + 1) & self.mask
        return self.classes[place].kind


@cython.final
cdef class TicketWords:
    cdef Hashes words, neighbours, near
    cdef readonly bint english

    def __init__(self, Words shown not None, English lexicon not None, bint english):
        cdef Py_ssize_t place, content = 0
        cdef uint64_t word, before = 0, one_before = 0
        self.english = english
        self.words = Hashes(shown.number)
        self.neighbours = Hashes(shown.number)
        self.near = Hashes(4 * shown.number)
        for place in range(shown.number):
            word = shown.hashes[place]
            self.words.add(word)
            if place:
                self.neighbours.add(pair(shown.hashes[place - 1], word))
            if lexicon.class_of(word):
                continue
            if content:
                self.near.add(pair(before, word))
                self.near.add(pair(word, before))
            if content > 1:
                self.near.add(pair(one_before, word))
                self.near.add(pair(word, one_before))
            one_before, before = before, word
            content += 1


@cython.final
cdef class Measures:
    cdef Words words
    cdef English english
    cdef Hashes each
    cdef uint64_t *contents
    cdef readonly Py_ssize_t number, content
    cdef Py_ssize_t spelt, list_of_words, half_bits
    # Beside the last ticket:
    cdef TicketWords ticket
    cdef Py_ssize_t of_neighbours, of_known, of_copied
    cdef list runs

    def __cinit__(self, Words words not None, English english not None):
        cdef Py_ssize_t place, run = 0, listed = 0
        cdef uint8_t kind, before = 0
        self.words = words
        self.english = english
        self.number = words.number
        self.each = Hashes(words.number)
        self.contents = <uint64_t *>PyMem_Malloc((words.number + 1) * sizeof(uint64_t))
        if self.contents == NULL:
            raise MemoryError
        for place in range(words.number):
            kind = english.class_of(words.hashes[place])
            self.each.add(words.hashes[place])
            if place:
                self.half_bits += english.half_bits[before * english.number + kind]
            before = kind
            if kind:
                run = listed = 0
                continue
            self.contents[self.content] = words.hashes[place]
            self.content += 1
            run += 1
            if words.spelt[place]:
                self.spelt += 1
                listed += 1
            if run >= LONG_LIST and listed > self.list_of_words:
                self.list_of_words = listed

    def __dealloc__(self):
        PyMem_Free(self.contents)

    def distinct(self):
        return self.each.number

    def small_words(self):
        cdef Py_ssize_t small = self.number - self.content
        return small / <double>(small + self.spelt) if small else 0.0

    def longest_list(self):
        return self.list_of_words

    def order(self):
        return self.half_bits / 2.0

    def repetition(self):
        cdef Hashes different = Hashes(self.spelt)
        cdef Py_ssize_t place
        for place in range(self.number):
            if self.words.spelt[place] and self.english.class_of(self.words.hashes[place]) == 0:
                different.add(self.words.hashes[place])
        return max(1.0, self.spelt / <double>max(1, different.number))

    def neighbours(self, TicketWords ticket not None):
        self.look_beside(ticket)
        return self.of_neighbours

    def known(self, TicketWords ticket not None):
        self.look_beside(ticket)
        return self.of_known

    def copied(self, TicketWords ticket not None):
        self.look_beside(ticket)
        return self.of_copied

    def passages(self, TicketWords ticket not None, Py_ssize_t least):
        self.look_beside(ticket)
        if self.runs is None:
            return ()
        passages = [run for run in self.runs if run[1] - run[0] >= least]
        return passages if sum([behind - first for first, behind in passages]) >= PASSAGES else ()

    def repeats(self, Measures earlier not None, TicketWords ticket not None):
        cdef Py_ssize_t others = (self.each.number + 4) // 5, new = 0
        cdef size_t place
        cdef uint64_t word
        cdef bint named = False
        for place in range(self.each.mask + 1):
            word = self.each.places[place]
            if word and not earlier.each.has(word):
                new += 1
                if new >= others:
                    return False
                named = named or ticket.words.has(word)
        return not named and new < others

    cdef int look_beside(self, TicketWords ticket) except -1:
        cdef Py_ssize_t place, run = 0
        cdef uint64_t *said = self.words.hashes
        cdef bint before = False, copied
        if self.ticket is ticket:
            return 0
        self.of_neighbours = self.of_known = self.of_copied = 0
        self.runs = None
        for place in range(1, self.number + 1):
            if place < self.number and ticket.neighbours.has(pair(said[place - 1], said[place])):
                self.of_neighbours += 1
                run += 1
                continue
            if run + 1 >= LEAST_PASSAGE:
                self.runs = self.runs or []
                self.runs.append((place - 1 - run, place))
            run = 0
        for place in range(self.content):
            self.of_known += ticket.words.has(self.contents[place])
            copied = place and ticket.near.has(pair(self.contents[place - 1], self.contents[place]))
            if copied:
                self.of_copied += 1 + (not before)
            before = copied
        self.ticket = ticket
        return 0

# Finding phrases in a text.

cdef struct Begun:
    uint64_t begin  # its first two words, as `pair` has them, or its only word
    int phrase      # the last that begins so, counted from 1; 0 marks a free place


cdef struct Phrase:
    Py_ssize_t begin, behind    # among all words
    int group
    int other                   # the one before that begins so too, counted from 1


@cython.final
cdef class Phrases:
    cdef Begun *begun
    cdef Phrase *phrases
    cdef uint64_t *words
    cdef size_t mask

    def __cinit__(self, list phrases not None):
        cdef Words said
        cdef Begun *begun
        cdef list checked = []
        cdef Py_ssize_t words = 0, place = 0
        cdef uint64_t begin
        cdef size_t size = 8
        for group, said in phrases:
            if said is None:
                raise TypeError("a phrase has no words to be read")
            checked.append((<int>group, said))
            words += said.number
        while size < 2 * <size_t>len(checked):
            size *= 2
        self.mask = size - 1
        self.begun = <Begun *>PyMem_Calloc(size, sizeof(Begun))
        self.phrases = <Phrase *>PyMem_Calloc(len(checked) + 1, sizeof(Phrase))
        self.words = <uint64_t *>PyMem_Calloc(words + 1, sizeof(uint64_t))
        if self.begun == NULL or self.phrases == NULL or self.words == NULL:
            raise MemoryError
        words = 0
        for group, said in checked:
            if not said.number:
                continue
            place += 1
            memcpy(self.words + words, said.hashes, said.number * sizeof(uint64_t))
            begin = said.hashes[0] if said.number == 1 else pair(said.hashes[0], said.hashes[1])
            self.phrases[place] = [words, words + said.number, group, self.begun_with(begin).phrase]
            begun = self.begun_with(begin)
            begun.begin, begun.phrase = begin, place
            words += said.number

    def __dealloc__(self):
        PyMem_Free(self.begun)
        PyMem_Free(self.phrases)
        PyMem_Free(self.words)

    def found_in(self, Words text not None):
        cdef Py_ssize_t place
        cdef uint64_t begin
        cdef set found = set()
        for place in range(text.number):
            self.add_found(self.begun_with(text.hashes[place]).phrase, text, place, found)
            if place + 1 < text.number:
                begin = pair(text.hashes[place], text.hashes[place + 1])
                self.add_found(self.begun_with(begin).phrase, text, place, found)
        return frozenset(found) if found else NOTHING

    cdef inline int add_found(self, int number, Words text, Py_ssize_t place, set found) except -1:
        cdef Phrase *phrase
        cdef Py_ssize_t size
        while number:
            phrase = &self.phrases[number]
            size = phrase.behind - phrase.begin
            if size <= text.number - place and memcmp(
                self.words + phrase.begin, text.hashes + place, size * sizeof(uint64_t)
            ) == 0:
                found.add(phrase.group)
            number = phrase.other
        return 0

    cdef inline Begun *begun_with(self, uint64_t begin) noexcept nogil:
        cdef size_t place = begin & self.mask
        while self.begun[place].phrase and self.begun[place].begin != begin:
            place = (place + 1) & self.mask
        return &self.begun[place]


cdef frozenset NOTHING = frozenset()

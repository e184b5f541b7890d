# Finding phrases in a text.

cdef struct Begun:
    uint64_t word
    int phrase      # the last that begins with the word, counted from 1; 0 marks a free place


cdef struct Phrase:
    Py_ssize_t begin, behind    # among all words
    int group
    int other                   # the one before that begins with the same word, counted from 1


@cython.final
cdef class Phrases:
    cdef Begun *begun
    cdef Phrase *phrases
    cdef uint64_t *words
    cdef size_t mask

    def __cinit__(self, list phrases not None):
        cdef Words said
        cdef Begun *begun
        cdef Py_ssize_t number = len(phrases), words = 0, place = 0
        cdef size_t size = 8
        for _, said in phrases:
            if said is None:
                raise TypeError("a phrase has no words to be read")
            words += said.number
        while size < 2 * <size_t>number:
            size *= 2
        self.mask = size - 1
        self.begun = <Begun *>PyMem_Calloc(size, sizeof(Begun))
        self.phrases = <Phrase *>PyMem_Calloc(number + 1, sizeof(Phrase))
        self.words = <uint64_t *>PyMem_Calloc(words + 1, sizeof(uint64_t))
        if self.begun == NULL or self.phrases == NULL or self.words == NULL:
            raise MemoryError
        words = 0
        for group, said in phrases:
            if not said.number:
                continue
            place += 1
            memcpy(self.words + words, said.hashes, said.number * sizeof(uint64_t))
            begun = self.begun_with(said.hashes[0])
            self.phrases[place] = [words, words + said.number, group, begun.phrase]
            begun[0] = [said.hashes[0], place]
            words += said.number

    def __dealloc__(self):
        PyMem_Free(self.begun)
        PyMem_Free(self.phrases)
        PyMem_Free(self.words)

    def found_in(self, Words text not None):
        cdef Py_ssize_t place
        cdef int number
        cdef Phrase *phrase
        cdef Py_ssize_t size
        cdef set found = None
        for place in range(text.number):
            number = self.begun_with(text.hashes[place]).phrase
            while number:
                phrase = &self.phrases[number]
                size = phrase.behind - phrase.begin
                if size <= text.number - place and memcmp(
                    self.words + phrase.begin, text.hashes + place, size * sizeof(uint64_t)
                ) == 0:
                    found = found or set()
                    found.add(phrase.group)
                number = phrase.other
        return frozenset(found) if found else NOTHING

    cdef inline Begun *begun_with(self, uint64_t word) noexcept nogil:
        cdef size_t place = word & self.mask
        while self.begun[place].phrase and self.begun[place].word != word:
            place = (place + 1) & self.mask
        return &self.begun[place]


cdef frozenset NOTHING = frozenset()

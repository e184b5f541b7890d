# Measuring a text's words.

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
        self.classes = <Class *>PyMem_Calloc(size, sizeof(Class))
        self.half_bits = <int8_t *>PyMem_Malloc(self.number * self.number)
        if self.classes == NULL or self.half_bits == NULL:
            raise MemoryError
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

    def __cinit__(self, Words shown not None, English lexicon not None, bint english):
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
        cdef list runs = self.runs
        if not runs:
            return ()
        passages = [run for run in runs if run[1] - run[0] >= least]
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
        # Where a tuple is made, another thread may come in and ask about another ticket: so nothing is kept before all
        # is counted.
        cdef Py_ssize_t place, run = 0, neighbours = 0, known = 0, near = 0
        cdef uint64_t *said = self.words.hashes
        cdef bint before = False, copied
        cdef list runs = []
        if self.ticket is ticket:
            return 0
        for place in range(1, self.number + 1):
            if place < self.number and ticket.neighbours.has(pair(said[place - 1], said[place])):
                neighbours += 1
                run += 1
                continue
            if run + 1 >= LEAST_PASSAGE:
                runs.append((place - 1 - run, place))
            run = 0
        for place in range(self.content):
            known += ticket.words.has(self.contents[place])
            copied = place and ticket.near.has(pair(self.contents[place - 1], self.contents[place]))
            if copied:
                near += 1 + (not before)
            before = copied
        self.of_neighbours, self.of_known, self.of_copied = neighbours, known, near
        self.runs, self.ticket = runs, ticket
        return 0

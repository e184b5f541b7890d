# cython: language_level=3
"""A text as its words, and what is measured of them: the same as `plain`, which has the docstrings, compiled.

A word is told by Python's hash of its stem. Two words of one hash would be taken for one: of 64 bits that is as good as
never, and nobody can arrange it, unless PYTHONHASHSEED is set.
"""

cimport cython
from cpython.mem cimport PyMem_Calloc, PyMem_Free, PyMem_Malloc, PyMem_Realloc
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
    #if PY_VERSION_HEX >= 0x030D0000  /* which exports it, and declares it nowhere */
    PyAPI_FUNC(Py_hash_t) _Py_HashBytes(const void *, Py_ssize_t);
    #endif
    #endif
    """
    const char *SOURCE
    Py_hash_t Py_HashBuffer(const void *chars, Py_ssize_t size) noexcept nogil

MADE_OF = SOURCE.decode()
"""The SHA-256 hash of the files that this was compiled from."""

cdef enum:
    MOST_RUNS = 1 << 16     # kept; then all are forgotten
    MOST_SEVERAL = 1 << 12  # of those that are no word, or several
    LONGEST_RUN = 40        # of those that are kept
    LONGEST_NUMBER = 3      # of the numbers that are kept: they are many
    LONG_LIST = 15
    LEAST_PASSAGE = 5
    PASSAGES = 12           # words of all passages: fewer are none


include "hashes.pxi"
include "reading.pxi"
include "phrases.pxi"
include "measures.pxi"

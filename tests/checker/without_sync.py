#!/usr/bin/env python3
"""Runs a program whose syncs do nothing and say "done".

    without_sync.py PROGRAM ARGUMENT...

The control of the power-cut tests: a gateway run like this must be seen to lose what it acknowledged, or the tests
would prove nothing. A seccomp filter answers fsync, fdatasync, sync, syncfs and sync_file_range with success before
the kernel carries them out; it sits below every library, so the program needs no switch for it.
"""

import ctypes
import os
import platform
import struct
import sys

SYNCS = {  # fsync, fdatasync, sync, syncfs, sync_file_range; and the architecture as the filter sees it
    "x86_64": (0xC000003E, [74, 75, 162, 306, 277]),
    "aarch64": (0xC00000B7, [82, 83, 81, 267, 84]),
}
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, DONE = 0x7FFF0000, 0x00050000  # SECCOMP_RET_ALLOW; SECCOMP_RET_ERRNO with errno 0
NUMBER_AT, ARCHITECTURE_AT = 0, 4


def instruction(code, value, if_true=0, if_false=0):
    return struct.pack("HBBI", code, if_true, if_false, value)


def program():
    architecture, numbers = SYNCS[platform.machine()]
    code = [instruction(LOAD, ARCHITECTURE_AT), instruction(EQUAL, architecture, 0, len(numbers) + 1),
            instruction(LOAD, NUMBER_AT)]
    for index, number in enumerate(numbers):
        code.append(instruction(EQUAL, number, len(numbers) - index, 0))
    return code + [instruction(RETURN, ALLOW), instruction(RETURN, DONE)]


def install():
    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    code = program()
    buffer = ctypes.create_string_buffer(b"".join(code))
    filter_program = Program(len(code), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    for arguments in [(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
                      (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(filter_program), 0, 0)]:
        if libc.prctl(*arguments) != 0:
            sys.exit(f"without_sync.py: prctl: {os.strerror(ctypes.get_errno())}")


install()
os.execvp(sys.argv[1], sys.argv[1:])

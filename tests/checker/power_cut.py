#!/usr/bin/env python3
"""Cuts the power of a mounted filesystem, as often as asked.

    power_cut.py MOUNT

For each line on standard input the filesystem stops at once and writes back nothing that it still holds, not even its
journal (EXT4_IOC_SHUTDOWN with NOLOGFLUSH): what the disk has then is what it would have after a power cut. Answers
with a line each. Wants root. The caller unmounts and mounts again.
"""

import fcntl
import os
import struct
import sys

EXT4_IOC_SHUTDOWN = 0x8004587D
NOLOGFLUSH = 2

for _ in sys.stdin:
    mount = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(mount, EXT4_IOC_SHUTDOWN, struct.pack("I", NOLOGFLUSH))
    finally:
        os.close(mount)
    print("off", flush=True)

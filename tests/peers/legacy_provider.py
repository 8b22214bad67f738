"""Loads OpenSSL's legacy provider, the only one with RC2, into this process.

To be imported before pyas2lib: oscrypto, on which it stands, looks for the provider once, when it is imported itself.
"""

import ctypes
import ctypes.util

libcrypto = ctypes.CDLL(ctypes.util.find_library("crypto"))
libcrypto.OSSL_PROVIDER_load.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
libcrypto.OSSL_PROVIDER_load.restype = ctypes.c_void_p

# The default provider as well: it is no longer there by itself once another one was asked for.
for name in (b"default", b"legacy"):
    libcrypto.OSSL_PROVIDER_load(None, name)

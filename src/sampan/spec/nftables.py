"""Numbers of libnftables and the hook priorities of nftables.

Spec: libnftables(3), nft(8) "standard priority names".
"""

from __future__ import annotations

LIBRARY = "libnftables.so.1"
NFT_CTX_DEFAULT = 0
NFT_CTX_OUTPUT_JSON = 1 << 4
NFT_CTX_OUTPUT_HANDLE = 1 << 3
NFT_CTX_OUTPUT_NUMERIC_PROTO = 1 << 7
NFT_CTX_OUTPUT_NUMERIC_PRIO = 1 << 8

PRIORITY_RAW = -300
PRIORITY_DSTNAT = -100
PRIORITY_FILTER = 0
PRIORITY_SRCNAT = 100

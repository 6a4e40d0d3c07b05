"""Why a direction of DynaKV fails on the shipped sample, found there by the ablation, `units` and sweeps.

Shown only where it fails; what the reasons rest on is in the figures of the notebook.
"""

REASONS = {
    "F10a": (
        "Keys of the small reference model lie together by position: 16 consecutive tokens, which are "
        "no clusters, have more recall at the same width (pages, below), and ClusterKV's windows "
        "follow position. Its open window is attended to besides."
    ),
    "F10b": (
        "A step of this length is mostly compute, and pipeline 1 reads every representative in every "
        "step: 512 B for some 15 entries of 264 B, of which a tenth is retrieved and half of that is "
        "cached. Without pipelines DynaKV is faster than PQCache (ablation); ClusterKV still does "
        "less I/O, as its LRU cache hits more often."
    ),
    "F10c": (
        "Representatives and swapped caches keep the flash busy, and none of their bytes counts as "
        "useful. Without pipelines DynaKV's effective bandwidth is above that of all three "
        "(ablation)."
    ),
    "F11": (
        "A head splits a cluster about once in 15 steps, most of them when they are loaded anyway. Were "
        "every such cluster read for it, that would be some 2 % of what retrieval reads."
    ),
    "F12, pairing": (
        "Pairs are of the prompt's clusters, counted over its last 32 queries; most clusters at the "
        "end come from splits and are in no pair. The gain is several times as large over the first "
        "512 steps."
    ),
    "F13, space": (
        "A pool has twice the room of the prompt's largest cluster, and most clusters are far "
        "smaller; splits leave ends empty."
    ),
    "F14b": (
        "It gives up large clusters first, and those are wanted again soon: what it misses lies in "
        "longer runs than what LRU misses, with or without the reserve. It hits more often only in "
        "the smallest cache."
    ),
    "F15": "As F10b.",
    "F16": "As F10b.",
    "F17": "As F10b.",
    "F18": (
        "As F10b: energy follows time, and the bytes that pipelines read again cost energy of their own."
    ),
}

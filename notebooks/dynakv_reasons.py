"""Why a direction of DynaKV fails on the shipped sample, found there by the ablation, `units` and sweeps.

Shown only where it fails; what the reasons rest on is in the figures of the notebook.
"""

REASONS = {
    "F10a": (
        "Recall is level with that of ClusterKV's windows, at as many units (units); the attention mass of "
        "what is retrieved is higher."
    ),
    "F10b": (
        "A step of this length is mostly compute, but that of one layer of the smaller models is too short "
        "to hide what DynaKV reads: pipeline 1 reads every representative in every step, 512 B for some 16 "
        "entries of 264 B, and cluster-aligned replacement gives up what is wanted again soon. With "
        "representatives in DRAM and LRU DynaKV is the fastest (ablation), and on the larger models it is so "
        "as published."
    ),
    "T5": (
        "The threshold leaves 99 units a head where ClusterKV has 102, on average. In heads with more of "
        "them DynaKV's are the tighter ones, in the others ClusterKV's."
    ),
    "F11": (
        "A head splits a cluster about once in 17 steps, most of them when they are loaded anyway. Were "
        "every such cluster read for it, that would be some 3 % of what retrieval reads."
    ),
    "F12, pairing": (
        "Pairs are of the prompt's clusters, counted over its last 32 queries; five of six clusters at the "
        "end come from splits and are in no pair."
    ),
    "F13, space": (
        "Every split opens a pool with twice the room of the prompt's largest cluster, and most clusters "
        "are far smaller. Without splits it is 1.16x."
    ),
    "F14b": (
        "It gives up large clusters first, and those are wanted again soon: it finds fewer units in every "
        "cache. What it misses lies in longer runs, which makes up for most of that."
    ),
    "T6, absolute": (
        "Cells of long contexts are too fast, the longer the more. The paper says neither the share that is "
        "retrieved nor the size of the cache: a larger share or a smaller cache would close the gap, and so "
        "would what is left out here, that reading and computing share DRAM and cores."
    ),
    "F15": "As F10b.",
    "F16": "As F10b.",
    "F17": "As F10b.",
    "F18": (
        "As F10b: energy follows time, and the bytes that pipelines read again cost energy of their own."
    ),
}

"""Captures kvtrace files (attention keys, values and queries) from Hugging Face causal decoders."""

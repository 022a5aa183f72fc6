"""The nouns of the design: pure values and functions that load nothing but the standard library."""
